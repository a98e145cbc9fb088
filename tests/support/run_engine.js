/* Runs the page's engine in node. Arguments: engine.js, and a JSON file {data, requests}. Prints the answers as JSON.
   A request: {model, T, H, I, options, weight}; the network's numbers are the first T, H, I of the page's. */
const fs = require("fs");
const path = require("path");
global.Formulas = require(path.join(path.dirname(path.resolve(process.argv[2])), "formulas.js")); /* one script in the page */
const Engine = require(path.resolve(process.argv[2]));
const { data, requests } = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));

const answers = requests.map(({ model: name, T, H, I, options = {}, weight }) => {
  const model = data.models[name];
  const cut = (key, array) =>
    array.slice(0, H).map((row) => (Array.isArray(row) ? row.slice(0, key.startsWith("W_x") ? I : H) : row));
  const net = {
    model,
    T,
    H,
    I,
    given: Object.fromEntries(Object.entries(model.given).map(([key, array]) => [key, cut(key, array)])),
    x: model.x.slice(0, T).map((x) => x.slice(0, I)),
    dy: model.dy.slice(0, T).map((dy) => dy.slice(0, H)),
    state: Object.fromEntries(Object.entries(model.initial).map(([letter, part]) => [letter, part.slice(0, H)])),
  };
  const bug = options.bug ? data.bugs.find((each) => each.name === options.bug) : null;
  const { loss, steps } = Engine.forward(net);
  const found = Engine.backward(net, steps, { ...options, bug });
  const answer = { loss, gradients: found.gradients, h: steps.map((v) => v.h), dx: found.steps.map((v) => v.dx) };
  if (weight) {
    answer.matrix = Engine.matrix(net, steps, { ...options, bug }, ...weight);
    answer.complexStep = Engine.complexStep(net, ...weight);
  }
  return answer;
});
process.stdout.write(JSON.stringify({ answers, radius: Engine.spectralRadius([[0.5, -0.8], [0.3, 0.2]]) }));
