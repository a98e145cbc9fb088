/* Judges attempts as the page does, in node. Arguments: formulas.js, and a JSON file {mistakes, exercises, attempts}. Prints
   for each attempt {right, kind, text, error}. */
const fs = require("fs");
const Formulas = require(require("path").resolve(process.argv[2]));
const { mistakes, exercises, attempts } = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));

const inWords = (texts) => texts.map(([rule, words]) => rule.says.replace(/\{(\w)\}/g, (_, letter) => words[letter])).join(", and ");
const answers = attempts.map(({ exercise, value, formula }) => {
  const formulas = Object.fromEntries(exercises[exercise].steps.map((step) => [step.name, step.formula]));
  const { right, mistake, error } = Formulas.judge(mistakes, exercises[exercise], { ...formulas, [value]: formula }).find((each) => each.name === value);
  const text = error ? error.text.replace("{0}", error.what) : null;
  return { right, kind: mistake ? mistake.kind : null, text: mistake ? inWords(mistake.texts) : null, error: text };
});
process.stdout.write(JSON.stringify(answers));
