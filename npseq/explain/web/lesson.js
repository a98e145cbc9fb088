/* What there is to do in the page: scenes with a question before the result, and exercises. */
/* global Chain, Engine, Formulas */
/* exported Scenes, Exercises */

/* ---- scenes: one click sets the page up, the question comes first, and which answer is right is computed ---- */
const Scenes = (() => {
  "use strict";

  const through = ({ net, back }) => Chain.norm(back[0].dh_prev) / Chain.norm(back[net.T - 1].dh);
  const alongC = ({ net, back }) => Chain.norm(back[0].dc_prev) / Chain.norm(back[net.T - 1].dc);
  const SIZES = [
    ["at least a tenth of it", (r) => r >= 0.1 && r < 10],
    ["between a tenth and a thousandth of it", (r) => r >= 1e-3 && r < 0.1],
    ["less than a thousandth of it", (r) => r < 1e-3],
    ["more than ten times it", (r) => r >= 10],
  ];
  const AT_THE_END = "The only loss is at the last step. How large is the gradient that reaches h_0, beside that at h_12?";

  const all = [
    {
      name: "vanishing", title: "vanishing", state: { model: "rnn", T: 12, last: 1 }, radius: 0.5,
      question: AT_THE_END, measure: through, choices: SIZES,
      because: "Each step back multiplies by W_hᵀ and by the slope of tanh, which is at most 1. With a spectral radius of 0.5 that is a factor of at most about a half a step, twelve times: the gradient vanishes, and h_0 hardly learns.",
    },
    {
      name: "exploding", title: "exploding", state: { model: "rnn", T: 12, last: 1 }, radius: 1.6, quiet: true,
      question: AT_THE_END, measure: through, choices: SIZES,
      because: "The inputs are zero and h stays small, so the slope of tanh is almost 1, and each step back multiplies by W_hᵀ, whose spectral radius is 1.6. Twelve times that is a factor of hundreds. Clipping the norm of the gradient is the cure.",
    },
    {
      name: "highway", title: "the cell state as a highway", state: { model: "lstm", T: 12, last: 1 }, forget: 8,
      question: "An LSTM with a forget bias of 8, and the only loss at the last step. How large is the gradient dc that reaches c_0, beside that at c_12?", measure: alongC, choices: SIZES,
      because: "Along c a step back multiplies by the forget gate alone (18): no matrix and no tanh. With f near 1 most of it arrives; the paths through the gates add to it or take from it. Switch off the gradient along c below, and little is left.",
    },
    {
      name: "forget", title: "the forget bias", state: { model: "lstm", T: 12, last: 1 }, forget: -1,
      question: "The same LSTM with a forget bias of −1. How large is dc at c_0 beside that at c_12?", measure: alongC, choices: SIZES,
      because: "The forget gates are near σ(−1), about a quarter, some much less, and twelve such factors leave nothing. That is why the bias of the forget gate is set to 1 or more at the start. Drag the slider below to see how much it matters.",
    },
    {
      name: "truncation", title: "truncation", state: { model: "rnn", T: 6, cut: 3, weight: "W_h.0.0" },
      question: "The gradient is cut every 3 steps. In the matrix of contributions: what does the loss at step 5 say about the use of W_h at step 1?",
      measure: ({ matrix }) => Math.abs(matrix({})[5][1]) / Math.abs(matrix({ cut: 0 })[5][1]),
      choices: [["as much as without the cut", (r) => r > 0.5], ["less, but not nothing", (r) => r > 0 && r <= 0.5], ["nothing", (r) => r === 0]],
      because: "Nothing passes from one chunk back into the one before it, so the blocks of the matrix outside the chunks are zero. The state still passes forward: the network remembers, but does not learn to remember longer than a chunk.",
    },
    {
      name: "beside", title: "a GRU beside an LSTM", state: { model: "lstm", T: 12, last: 1, beside: "gru" },
      question: "The only loss is at the last step. Which network, of those shown when the page opens, has more of the gradient left at slot 0?",
      measure: ({ net, back, other }) => through({ net, back }) / through({ net, back: other }),
      choices: [["the LSTM, by more than a factor of 2", (r) => r > 2], ["the GRU, by more than a factor of 2", (r) => r < 0.5], ["neither", (r) => r >= 0.5 && r <= 2]],
      because: "The GRU has a direct path, too: h' reaches h by the factor 1 − z (23). In the LSTM the direct path is that of c, and h is read through the gates alone, so dh says less about it than dc does. Which is better is decided by the data, not by this picture.",
    },
  ];

  const named = (name) => all.find((scene) => scene.name === name);
  return { all, named };
})();

/* ---- exercises: the student types the backward formulas; the page computes with them ---- */
const Exercises = (() => {
  "use strict";

  const { escape } = Chain;

  /* The mistake in words: {texts: [[rule, {letter: text}]]} */
  function inWords(found, chinese, tr) {
    const each = found.texts.map(([rule, words]) => (chinese ? rule.zh : rule.says).replace(/\{(\w)\}/g, (_, letter) => words[letter]));
    return each.join(tr(", and "));
  }

  function rows(exercise, formulas, tr) {
    const row = ({ name, number }) =>
      `<label for="w-${name}">(${number}) <b>${name}</b> =</label><input id="w-${name}" data-write="${name}" value="${escape(formulas[name] || "")}" maxlength="300" autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby="v-${name}"><span id="v-${name}" class="verdict" data-verdict="${name}"></span>`;
    const known = Object.keys(exercise.given).join(", ");
    return `<p class="hint">${tr("Known: {0}, and each line above. Operators: + - * / @ **, .T, tanh(), σ(), sum(a, 1). Enter checks and goes on.", `<code class="known">${escape(known)}</code>`)}</p><div class="rows">${exercise.steps.map(row).join("")}</div><div class="controls"><button type="button" id="hint">${tr("hint")}</button><span id="hint-text" aria-live="polite"></span></div>`;
  }

  /* Verdicts for the rows, and one sentence about the first that is wrong */
  function verdicts(exercise, found, tr, chinese) {
    const first = found.find((each) => !each.right);
    const texts = {};
    for (const each of found) {
      if (each.right) texts[each.name] = ["right", "✓"];
      else if (!each.written) texts[each.name] = ["", ""];
      else if (each.error) texts[each.name] = ["wrong", "✗ " + tr(each.error.text, escape(each.error.what ?? ""))];
      else if (each === first || each.mistake) texts[each.name] = ["wrong", "✗ " + escape(each.mistake ? inWords(each.mistake, chinese, tr) : tr("wrong, and none of the known mistakes; equation ({0})", String(exercise.steps.find((step) => step.name === each.name).number)))];
      else texts[each.name] = ["wrong", "✗"];
    }
    const done = found.filter((each) => each.right).length;
    let says = tr("{0} of {1} values are right.", String(done), String(found.length));
    if (!first) says = tr("All {0} values are right: this is a backward pass.", String(found.length));
    else if (first.written) says += " " + tr("The first wrong one is {0}.", `<b>${first.name}</b>`);
    return { texts, says, finished: !first };
  }

  /* What is written so far, as trees, where it can be read */
  function trees(formulas) {
    const found = {};
    for (const [name, text] of Object.entries(formulas)) {
      try {
        if (text.trim()) found[name] = Formulas.read(text);
      } catch {
        /* unfinished: the right formula stands in for it */
      }
    }
    return found;
  }

  const matrix = (net, steps, formulas, weight) => Engine.matrix(net, steps, { student: trees(formulas) }, ...weight);

  return { rows, verdicts, trees, matrix };
})();
