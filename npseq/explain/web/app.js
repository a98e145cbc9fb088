/* The state of the page, its controls, and what is shown beside the picture. */
/* global Chain, Engine, Exercises, Formulas, Scenes */
(() => {
  "use strict";

  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const { number, escape } = Chain;
  /* four decimals, or three significant digits where those would not show them */
  const four = (value) => (Math.abs(value) >= 0.1 && Math.abs(value) < 1e5 ? value.toFixed(4) : number(value));
  const full = (value) => `data-value="${value}"`;
  const shown = (name) => data.shown[name] || name;

  /* ---- state: what the address holds ---- */

  const LANGUAGES = { en: "English", zh: "中文" };
  const home = /^zh/.test(navigator.language) ? "zh" : "en";
  const defaults = { model: data.start, T: 4, H: 2, I: 1, unit: 0, line: 0, predict: 0, cut: 0, W_h: 1, direct: 1, bug: "", weight: "", last: 0, beside: "", scene: "", answer: -1, exercise: "lstm-backward", lang: home };
  const state = { ...defaults, changed: {} }; /* changed: "W_hf.0.1" -> number */

  const model = () => data.models[state.model];
  const recorded = () => model().recorded;

  function readAddress() {
    Object.assign(state, defaults, { changed: {} });
    for (const [key, text] of new URLSearchParams(location.hash.slice(1))) {
      if (Object.hasOwn(defaults, key)) state[key] = typeof defaults[key] === "number" ? Number(text) : text;
      else if (Number.isFinite(Number(text))) state.changed[key] = Number(text);
    }
    if (!Object.hasOwn(data.models, state.model)) state.model = data.start;
    if (!Object.hasOwn(data.models, state.beside) || data.models[state.beside].recorded) state.beside = "";
    if (!Object.hasOwn(LANGUAGES, state.lang)) state.lang = home;
    if (!Object.hasOwn(data.exercises, state.exercise)) state.exercise = "lstm-backward";
    if (!Scenes.named(state.scene)) state.scene = "";
    const within = (key, low, high) => (state[key] = Number.isNaN(state[key]) ? low : Math.min(Math.max(Math.round(state[key]), low), high));
    within("T", 2, data.sizes.T);
    within("H", 1, data.sizes.H);
    within("I", 1, data.sizes.I);
    if (recorded()) ({ T: state.T, H: state.H, I: state.I } = recorded());
    within("unit", 0, state.H - 1);
    within("cut", 0, state.T);
    within("line", 0, 1e6); /* how many there are is known when they have been made */
    within("answer", -1, 3);
  }

  function writeAddress() {
    const query = new URLSearchParams();
    for (const key of Object.keys(defaults)) if (state[key] !== defaults[key]) query.set(key, state[key]);
    for (const [key, value] of Object.entries(state.changed)) query.set(key, value);
    history.replaceState(null, "", "#" + query);
  }

  /* ---- the network that the state describes ---- */

  function network(overrides = {}) {
    const { T, H, I, last } = { ...state, ...overrides };
    const m = data.models[overrides.model || state.model];
    const changed = overrides.changed || state.changed;
    const value = (key, v) => (changed[key] === undefined ? v : changed[key]);
    const given = {};
    for (const [name, array] of Object.entries(m.given)) {
      const columns = name.startsWith("W_x") ? I : H;
      given[name] = array.slice(0, H).map((row, j) =>
        Array.isArray(row) ? row.slice(0, columns).map((v, k) => value(`${name}.${j}.${k}`, v)) : value(`${name}.${j}`, row),
      );
    }
    const silent = (t) => last && t < T - 1; /* the only loss is at the last step */
    const table = (name, rows, columns) => rows.slice(0, T).map((row, t) => row.slice(0, columns).map((v, k) => value(`${name}.${t}.${k}`, v)));
    const initial = Object.fromEntries(
      Object.entries(m.initial).map(([letter, part]) => [letter, part.slice(0, H).map((v, j) => value(`state.${letter}.${j}`, v))]),
    );
    return { model: m, T, H, I, given, x: table("x", m.x, I), dy: table("dy", m.dy, H).map((row, t) => (silent(t) ? row.map(() => 0) : row)), state: initial };
  }

  const bug = () => data.bugs.find((each) => each.name === state.bug) || null;
  const options = () => ({ cut: state.cut, W_h: Boolean(state.W_h), direct: Boolean(state.direct), bug: bug() });

  let net, back, gradients, forwardSteps, lines;

  function compute() {
    if (recorded()) {
      const { steps, T, H, I, initial } = recorded();
      back = steps;
      net = { model: model(), T, H, I, x: steps.map((v) => v.x), dy: steps.map((v) => v.dy), state: initial, recorded: true };
      gradients = recorded().gradients;
      lines = [];
      return;
    }
    net = network();
    forwardSteps = Engine.forward(net).steps;
    ({ steps: back, gradients } = Engine.backward(net, forwardSteps, options()));
    lines = allLines();
    state.line = Math.min(state.line, lines.length - 1);
  }

  /* ---- languages: every text of the page is English in the source, and looked up ---- */

  const tr = (text, ...parts) => ((state.lang === "zh" && data.chinese[text]) || text).replace(/\{(\d)\}/g, (_, k) => parts[k]);

  function translate() {
    document.documentElement.lang = state.lang === "zh" ? "zh-CN" : "en";
    for (const element of document.querySelectorAll("[data-tr]")) {
      element.dataset.tr ||= element.innerHTML.replace(/\s+/g, " ").trim();
      element.innerHTML = tr(element.dataset.tr);
    }
    $("languages").innerHTML = Object.entries(LANGUAGES).map(([code, name]) => `<button type="button" data-lang="${code}" lang="${code}" aria-pressed="${state.lang === code}">${name}</button>`).join(" ");
  }

  /* ---- the computation as lines: one equation at one place ---- */

  const inNumbers = (value) => (value < 0 ? `(${four(value)})` : four(value));
  const sumOf = (pairs) => pairs.map(([a, b]) => (b === undefined ? inNumbers(a) : `${inNumbers(a)}·${inNumbers(b)}`)).join(" + ");
  const pretty = (formula) => formula.replace(/\*\*2/g, "²").replace(/ \* /g, " ⊙ ").replace(/ - /g, " − ");
  const NAME = /[\p{L}_][\p{L}\d_]*(?![\p{L}\d_(])/gu; /* a whole name that is not a function's */
  const putIn = (formula, of) => formula.replace(NAME, (name) => of(name));

  function allLines() {
    const m = model();
    const found = [];
    const elementWise = (t, [no, name, formula], backward) =>
      found.push({
        t,
        name,
        number: no,
        backward,
        section: backward ? tr("step {0}, backward", t) : tr("step {0}, forward", t),
        formula: `${shown(name)} = ${pretty(putIn(formula, shown))}`,
        elements: () => back[t][name].map((value, j) => [pretty(putIn(formula, (other) => inNumbers(back[t][other] ? back[t][other][j] : 0))).replace(/ ⊙ /g, "·"), value]),
      });
    for (let t = 0; t < net.T; t++) {
      for (const [no, side, read] of [[7, "x", "x"], [8, "h", "h_prev"]]) {
        for (const gate of m.gates) {
          const [W, b, a] = ["W", "b", "a"].map((letter) => `${letter}_${side}${gate}`);
          found.push({
            t,
            name: a,
            number: no,
            section: tr("step {0}, forward", t),
            formula: `${a} = ${W} ${shown(read)} + ${b}`,
            elements: () => back[t][a].map((value, j) => [sumOf([...net.given[W][j].map((w, k) => [w, back[t][read][k]]), [net.given[b][j]]]), value]),
          });
        }
      }
      for (const equation of m.forward) elementWise(t, equation, false);
    }
    for (let t = net.T - 1; t >= 0; t--) {
      elementWise(t, [29, "dh", "dy + dh_carried"], true);
      const changedBy = (bug() && bug().formulas && bug().formulas[m.name]) || {};
      for (const [no, name, formula] of m.backward) {
        if (!m.own.includes(name.slice(1))) elementWise(t, [no, name, changedBy[name] || formula], true);
      }
      for (const [no, side, to] of [[30, "h", "dh_prev"], [34, "x", "dx"]]) {
        const direct = side === "h" && back[t].dh_direct ? " + dh'_direct" : "";
        found.push({
          t,
          name: to,
          number: no,
          backward: true,
          section: tr("step {0}, backward", t),
          formula: `${shown(to)} = W_${side}ᵀ da_${side}${direct}`,
          elements: () => back[t][to].map((value, k) => [
            sumOf([
              ...m.gates.flatMap((gate) => net.given[`W_${side}${gate}`].map((row, j) => [row[k], back[t][Engine.aName(back[t], side, gate)][j]])),
              ...(direct ? [[back[t].dh_direct[k]]] : []),
            ]),
            value,
          ]),
        });
      }
    }
    const [name, row, column] = weight();
    found.push({
      t: -1,
      name: "d" + name,
      number: { W_x: 31, W_h: 32, b_x: 33, b_h: 33 }[name.slice(0, 3)] || null,
      backward: true,
      section: tr("after the loop: the weight chosen below"),
      formula: `d${label(name, row, column)} = ${tr("the sum over the steps")}`,
      elements: () => [[sumOf(back.map((v) => [Engine.contribution(net, v, name, row, column, (bug() && bug().loop) || {})])), gradientOf(name, row, column)]],
    });
    return found;
  }

  const label = (name, row, column) => `${name}[${column === null ? row : `${row},${column}`}]`;
  const gradientOf = (name, row, column) => (column === null ? gradients[name][row] : gradients[name][row][column]);

  function weight() {
    const [name, row, column] = (state.weight || "").split(".");
    const W = net.given[name];
    if (W && W[row] !== undefined && (column === undefined || W[row][column] !== undefined)) {
      return [name, Number(row), column === undefined ? null : Number(column)];
    }
    return ["W_h" + model().gates[Math.min(1, model().gates.length - 1)], 0, 0];
  }

  /* ---- showing ---- */

  function showChain() {
    const at = lines[state.line];
    const order = new Map(lines.map((line, k) => [`${line.t} ${line.name}`, k]));
    const place = (t, name) => order.get(`${t} ${name}`);
    const hidden = (k) => state.predict && k !== undefined && k >= state.line;
    const asking = isAsking();
    const shows = (t, name) => {
      if (asking && /^d/.test(name) && name !== "dy") return false;
      if (!state.predict) return true;
      const before = /^(d?)([^_]+)_prev$/.exec(name);
      if (before && !before[1]) return t === 0 || !hidden(place(t - 1, before[2]));
      return name === "dy" || !hidden(place(t, name));
    };
    $("chain").innerHTML = Chain.draw({ net, back, unit: state.unit, shows, current: at ? { t: at.t, name: at.name } : null });
    $("scale").innerHTML = `<span>${escape(tr("unit {0}; width of a wire: size of its gradient over all units:", state.unit))}</span>` + Chain.scale(back);
    if (!at || at.t < 0) return;
    /* the step in the middle; where it does not fit, what the line computes */
    const mark = document.querySelector("#chain .current");
    const narrow = mark && $("chain").clientWidth < Chain.width(net.model);
    const middle = narrow ? mark.getBBox().x + mark.getBBox().width / 2 : Chain.left(net.model, at.t) + Chain.width(net.model) / 2;
    $("chain").scrollLeft = Math.max(0, middle - $("chain").clientWidth / 2);
  }

  /* the gradient in every slot: of h and, if there is one, of c; beside it that of another cell */
  function showStrip() {
    const inSlots = (steps, letter) => [steps[0][`d${letter}_prev`], ...steps.map((v) => v["d" + letter])].map(Chain.norm);
    const series = [...net.model.state].map((letter) => ({ label: `|d${letter}|`, sizes: inSlots(back, letter) }));
    const other = besides();
    if (other) series.splice(1, 9, { label: `|dh| ${state.beside}`, sizes: inSlots(other, "h") });
    if (other) series[0].label += " " + state.model;
    $("strip").innerHTML = Chain.strip(series, tr("size of the gradient by slot:"));
  }

  function besides() {
    if (!state.beside || net.recorded) return null;
    const other = network({ model: state.beside, changed: {} });
    return Engine.backward(other, Engine.forward(other).steps, options()).steps;
  }

  /* ---- scenes ---- */

  const isAsking = () => Boolean(state.scene) && state.answer < 0;

  function showScene() {
    const open = Scenes.all.filter(({ state: { model, beside } }) => data.models[model] && (!beside || data.models[beside]));
    $("scenes").innerHTML = `<span class="hint">${tr("Scenes:")}</span>` + open.map(({ name, title }) => `<button type="button" data-scene="${name}" aria-pressed="${state.scene === name}">${tr(title)}</button>`).join("") + `<button type="button" id="to-exercise">${tr("exercises ↓")}</button>`;
    const scene = Scenes.named(state.scene);
    $("scene").hidden = !scene;
    document.body.classList.toggle("asking", isAsking());
    if (!scene) return;
    const measure = scene.measure({ net, back, other: besides(), matrix: (whole) => Engine.matrix(net, forwardSteps, { ...options(), ...whole }, ...weight()) });
    const right = scene.choices.findIndex(([, holds]) => holds(measure));
    const buttons = scene.choices.map(([text], k) => `<button type="button" data-answer-of="${k}" aria-pressed="${state.answer === k}">${tr(text)}</button>`).join(" ");
    const told = isAsking() ? "" : `<p id="scene-result" data-measure="${measure}" data-right="${right}"><span class="${state.answer === right ? "right" : "wrong"}">${state.answer === right ? tr("✓ right") : tr("✗ no: {0}", tr(scene.choices[right] ? scene.choices[right][0] : ""))}</span> (${tr("the ratio is {0}", number(measure))}). ${tr(scene.because)}</p>`;
    $("scene").innerHTML = `<p>${tr(scene.question)}</p><div class="controls">${buttons}</div><div aria-live="polite">${told}</div>`;
  }

  function startScene(name) {
    const scene = Scenes.named(name);
    Object.assign(state, defaults, { changed: {}, lang: state.lang, exercise: state.exercise, scene: name, ...scene.state });
    compute();
    if (scene.quiet) {
      for (const [letter, rows] of Object.entries({ x: net.x, b_x: net.given.b_x, b_h: net.given.b_h })) rows.forEach((row, t) => [row].flat().forEach((_, k) => (state.changed[letter === "x" ? `x.${t}.${k}` : `${letter}.${t}`] = 0)));
      net.state.h.forEach((_, j) => (state.changed[`state.h.${j}`] = 1e-4));
    }
    if (scene.radius) scaleRadius(scene.radius);
    if (scene.forget !== undefined) setForget(scene.forget);
    show(true);
  }

  /* ---- exercises ---- */

  const formulas = {}; /* exercise -> name -> what is written */
  const writtenIn = () => (formulas[state.exercise] ||= {});

  function showExercise() {
    const choices = Object.keys(data.exercises).map((name) => `<button type="button" data-exercise="${name}" aria-pressed="${state.exercise === name}">${data.exercises[name].model.toUpperCase()}</button>`).join(" ");
    $("exercise-body").innerHTML = `<div class="controls">${choices}</div>${Exercises.rows(data.exercises[state.exercise], writtenIn(), tr)}<p id="exercise-says" aria-live="polite"></p><div id="trial"></div>`;
    judgeExercise();
  }

  function judgeExercise() {
    const exercise = data.exercises[state.exercise];
    const found = Formulas.judge(data.mistakes, exercise, writtenIn());
    const { texts, says, finished } = Exercises.verdicts(exercise, found, tr, state.lang === "zh");
    for (const [name, [kind, text]] of Object.entries(texts)) {
      const place = document.querySelector(`[data-verdict="${name}"]`);
      place.className = `verdict ${kind}`;
      place.innerHTML = text;
    }
    $("exercise-says").innerHTML = `<span class="${finished ? "right" : ""}">${says}</span>`;
    $("exercise-says").dataset.finished = Number(finished);
    showTrial(exercise);
  }

  /* the hint to the first value that is not right yet */
  function showHint() {
    const exercise = data.exercises[state.exercise];
    const first = Formulas.judge(data.mistakes, exercise, writtenIn()).findIndex((each) => !each.right);
    $("hint-text").textContent = first < 0 ? "" : `${exercise.steps[first].name}: ${tr(exercise.hints[first])}`;
  }

  /* the matrix of contributions that the student's formulas give, in the network of the page with this cell */
  function showTrial(exercise) {
    if (!Object.values(writtenIn()).some((text) => text.trim()) || !data.models[exercise.model].given) {
      $("trial").innerHTML = "";
      return;
    }
    const own = network({ model: exercise.model, T: 4, H: 2, I: 1, last: 0, changed: {} });
    const chosen = ["W_h" + (own.model.gates[1] || ""), 0, 0];
    const table = Exercises.matrix(own, Engine.forward(own).steps, writtenIn(), chosen);
    const [sum, step] = [table.flat().reduce((s, v) => s + v, 0), Engine.complexStep(own, ...chosen)];
    const same = Math.abs(sum - step) <= 1e-12 * Math.max(1, Math.abs(step));
    $("trial").innerHTML = `<p>${tr("With your lines, and the right ones for the rest, the contributions to d{0} in four steps of a small network are:", escape(label(...chosen)))}</p><div class="scroll">${tableOf(table)}</div><p>${tr("sum")}: <b>${four(sum)}</b> · ${tr("complex step")}: <b>${four(step)}</b> · ${same ? `<span class="right">✓ ${tr("equal")}</span>` : `<span class="wrong">✗ ${tr("different")}</span>`}</p>`;
  }

  function showLine() {
    $("stepper").hidden = !lines.length;
    if (!lines.length) return;
    const line = lines[state.line];
    const code = line.number && data.code[line.number];
    const rows = line.elements().map(([numbers, value], j) => {
      const asked = state.predict && (j === state.unit || line.t < 0 || line.elements().length === 1);
      const result = state.predict ? (asked ? answerField(value) : "?") : `<span ${full(value)}>${four(value)}</span>`;
      return `<tr class="${asked ? "asked" : ""}"><td>${escape(line.t < 0 ? `d${label(...weight())}` : `${shown(line.name)}[${j}]`)}</td><td class="numbers">= ${escape(numbers)}</td><td class="result">= ${result}</td></tr>`;
    });
    $("line").innerHTML =
      `<div class="hint">${escape(line.section)}</div><div class="formula">${line.number ? `(${line.number}) ` : ""}${escape(line.formula)}</div>` +
      `<table>${rows.join("")}</table>` +
      (code ? `<div id="code"><span class="hint">${escape(tr("npseq/{0}, line {1}", code[0], code[1]))}</span><code>${escape(code[2])}</code></div>` : "");
    $("progress").textContent = tr("{0} of {1}", state.line + 1, lines.length);
  }

  const answerField = (value) =>
    `<input type="text" id="answer" inputmode="decimal" size="9" aria-label="${tr("your number")}" data-answer="${value}"> <button type="button" id="check">${tr("check")}</button> <button type="button" id="reveal">${tr("show")}</button> <span id="verdict" aria-live="polite"></span>`;

  function checkAnswer() {
    const right = Number($("answer").dataset.answer);
    const given = Number($("answer").value.trim().replace(",", ".").replace("−", "-"));
    const error = Math.abs(given - right);
    const close = $("answer").value.trim() !== "" && (error <= 0.02 * Math.abs(right) || (error <= 0.006 && Math.abs(right) >= 0.05));
    $("verdict").className = close ? "right" : "wrong";
    $("verdict").textContent = close ? tr("✓ right: {0}; → for the next", four(right)) : Math.sign(given) === -Math.sign(right) ? tr("✗ no: look at the sign") : tr("✗ no: try again");
  }

  function tableOf(table) {
    const largest = Math.max(...table.flat().map(Math.abs), 1e-300);
    const head = table[0].map((_, s) => `<th scope="col">${tr("use at {0}", s)}</th>`).join("");
    const cell = (value, t, s) =>
      s > t
        ? `<td class="nothing" ${full(value)}>${value === 0 ? "–" : four(value)}</td>`
        : `<td ${full(value)}>${four(value)}<span class="bar" style="width:${(100 * Math.abs(value)) / largest}%"></span></td>`;
    return `<table><tr><td></td>${head}</tr>${table.map((values, t) => `<tr><th scope="row">${tr("loss at {0}", t)}</th>${values.map((v, s) => cell(v, t, s)).join("")}</tr>`).join("")}</table>`;
  }

  function showMatrix() {
    const target = $("contributions");
    target.hidden = Boolean(net.recorded);
    if (net.recorded) return;
    const [name, row, column] = weight();
    const table = Engine.matrix(net, forwardSteps, options(), name, row, column);
    $("matrix").innerHTML = tableOf(table);
    const total = gradientOf(name, row, column);
    const step = Engine.complexStep(net, name, row, column);
    const same = Math.abs(total - step) <= 1e-13 * Math.max(1, Math.abs(step));
    const why = bug() ? tr("because of the bug") : state.cut || !state.W_h || !state.direct ? tr("because gradient is cut or switched off") : "";
    $("sums").innerHTML =
      `${tr("gradient of {0}", escape(label(name, row, column)))}: <b id="total" ${full(total)}>${four(total)}</b> · ${tr("complex step")}: <b id="complex-step" ${full(step)}>${four(step)}</b> · ` +
      (same ? `<span class="right">✓ ${tr("equal")}</span>` : `<span class="wrong">✗ ${tr("different")} ${why}</span>`);
  }

  /* ---- fields for numbers ---- */

  const keyOf = (name, j, k) => (k === null ? `${name}.${j}` : `${name}.${j}.${k}`);

  function field(key, text, value) {
    return `<span class="field"><label class="handle" for="f-${key}" data-field="${key}" title="${tr("drag up or down")}">${escape(text)}</label><input type="number" step="0.05" id="f-${key}" data-key="${key}" value="${Number(value.toPrecision(6))}"><output data-gradient="${key}" for="f-${key}"></output></span>`;
  }

  function showNumbers() {
    if (net.recorded) {
      $("numbers").innerHTML = Object.entries(gradients).map(([name, d]) => `<fieldset><legend>d${escape(name)}</legend>${[d].flat().map((row) => [row].flat().map(number).join("&ensp;")).join("<br>")}</fieldset>`).join("");
      return;
    }
    const group = (title, rows) => `<fieldset><legend>${escape(title)}</legend>${rows.map((row) => `<div class="row">${row.join("")}</div>`).join("")}</fieldset>`;
    const parts = [
      group(tr("x, by step"), net.x.map((x, t) => x.map((v, k) => field(`x.${t}.${k}`, net.I > 1 ? `x_${t}[${k}]` : `x_${t}`, v)))),
      group(tr("dy, by step: the loss"), net.dy.map((dy, t) => dy.map((v, k) => field(`dy.${t}.${k}`, `dy_${t}[${k}]`, v)))),
      group(tr("initial state"), Object.entries(net.state).map(([letter, part]) => part.map((v, j) => field(`state.${letter}.${j}`, `${letter}_0[${j}]`, v)))),
    ];
    for (const [name, array] of Object.entries(net.given)) {
      const rows = array.map((row, j) => (Array.isArray(row) ? row.map((v, k) => field(keyOf(name, j, k), `[${j},${k}]`, v)) : [field(keyOf(name, j, null), `[${j}]`, row)]));
      parts.push(group(name, rows));
    }
    $("numbers").innerHTML = parts.join("");
  }

  function showGradients() {
    for (const output of document.querySelectorAll("[data-gradient]")) {
      const [name, ...index] = output.dataset.gradient.split(".");
      let value;
      if (name === "x") value = back[index[0]].dx[index[1]];
      else if (name === "dy") value = back[index[0]].h[index[1]];
      else if (name === "state") value = gradients[index[0] + "_0"][index[1]];
      else value = index.reduce((array, k) => array[k], gradients[name]);
      output.dataset.value = value;
      output.textContent = `${name === "dy" ? "h" : "d"} ${four(value)}`;
    }
    for (const input of document.querySelectorAll("#numbers input")) {
      if (input !== document.activeElement) input.value = Number(valueOf(input.dataset.key).toPrecision(6));
    }
  }

  function valueOf(key) {
    const [name, ...index] = key.split(".");
    if (name === "x" || name === "dy") return net[name][index[0]][index[1]];
    if (name === "state") return net.state[index[0]][index[1]];
    return index.reduce((array, k) => array[k], net.given[name]);
  }

  /* ---- controls ---- */

  function showControls() {
    const choose = (id, text, choices, value) =>
      `<label>${text} <select id="${id}">${choices.map((c) => `<option${String(c) === String(value) ? " selected" : ""}>${escape(c)}</option>`).join("")}</select></label>`;
    const upTo = (from, to) => Array.from({ length: to - from + 1 }, (_, k) => from + k);
    const fixed = recorded();
    $("sizes").innerHTML =
      choose("model", tr("cell"), Object.keys(data.models), state.model) +
      (fixed ? "" : `<label>${tr("steps")} <input type="range" id="T" min="2" max="${data.sizes.T}" value="${state.T}"> <output id="T-shown">${state.T}</output></label>` + choose("H", tr("hidden units"), upTo(1, data.sizes.H), state.H) + choose("I", tr("inputs"), upTo(1, data.sizes.I), state.I)) +
      choose("unit", tr("unit shown"), upTo(0, state.H - 1), state.unit) +
      (fixed ? "" : `<label><input type="checkbox" id="last" ${state.last ? "checked" : ""}> ${tr("loss at the last step only")}</label>`) +
      `<button type="button" id="reset">${tr("reset")}</button>`;
    $("recorded").hidden = !fixed;
    $("changes").parentElement.hidden = Boolean(fixed);
    if (fixed) return;
    const m = model();
    const twoPaths = m.state.length > 1 || m.backward.some(([, name]) => name === "dh_direct");
    const direct = m.state.length > 1 ? tr("gradient along {0}", m.state.slice(1)) : tr("gradient past W_h") + (m.gates.includes("z") ? ", (1 − z)" : "");
    const offered = data.bugs.filter((each) => (each.formulas ? each.formulas[m.name] : !each.several_gates || m.gates.length > 1));
    $("changes").innerHTML =
      `<label>${tr("cut the gradient every")} <input type="range" id="cut" min="1" max="${state.T}" value="${state.cut || state.T}"> <output id="cut-shown"></output></label>` +
      (m.gates.includes("f") ? `<label>${tr("forget bias")} <input type="range" id="forget" min="-4" max="6" step="0.25" value="${forgetBias()}"> <output id="forget-shown"></output></label>` : "") +
      `<label>${tr("spectral radius of W_h")} <input type="range" id="radius" min="0" max="3" step="0.05" value="${radius().toFixed(2)}"> <output id="radius-shown"></output></label>` +
      `<label><input type="checkbox" id="W_h" ${state.W_h ? "checked" : ""}> ${tr("gradient through W_h")}</label>` +
      (twoPaths ? `<label><input type="checkbox" id="direct" ${state.direct ? "checked" : ""}> ${escape(direct)}</label>` : "") +
      `<label>${tr("planted bug")} <select id="bug"><option value="">${tr("none")}</option>${offered.map((each) => `<option ${each.name === state.bug ? "selected" : ""}>${each.name}</option>`).join("")}</select></label>`;
    const names = Object.entries(net.given).flatMap(([name, array]) => array.flatMap((row, j) => (Array.isArray(row) ? row.map((_, k) => [name, j, k]) : [[name, j, null]])));
    const now = label(...weight());
    $("weight").innerHTML = names.map((w) => `<option value="${keyOf(...w)}" ${label(...w) === now ? "selected" : ""}>${label(...w)}</option>`).join("");
  }

  const forgetBias = () => net.given.b_xf[0] + net.given.b_hf[0];
  const radius = () => Math.max(...model().gates.map((gate) => Engine.spectralRadius(net.given["W_h" + gate])));

  function showChanges() {
    if (net.recorded) return;
    $("cut-shown").textContent = state.cut ? tr(state.cut > 1 ? "{0} steps" : "{0} step", state.cut) : tr("never");
    if ($("forget-shown")) $("forget-shown").textContent = number(forgetBias());
    $("radius-shown").textContent = number(radius());
    $("bug-text").hidden = !bug();
    if (bug()) $("bug-text").textContent = `${bug().name}: ${tr(bug().what)}. ${tr("What does it do to the matrix?")}`;
  }

  function show(everything = false) {
    compute();
    document.body.classList.toggle("predicting", Boolean(state.predict) && !net.recorded);
    document.body.classList.toggle("recorded", Boolean(net.recorded));
    $("predict").checked = Boolean(state.predict);
    if (everything) {
      translate();
      agreement();
      showControls();
      showNumbers();
      showExercise();
    }
    showScene();
    showLine();
    showChain();
    showStrip();
    showMatrix();
    showChanges();
    if (!net.recorded) showGradients();
    writeAddress();
  }

  function setValue(key, value) {
    if (!Number.isFinite(value)) return;
    state.changed[key] = value;
    show();
  }

  function setForget(bias) {
    for (let j = 0; j < net.H; j++) Object.assign(state.changed, { [`b_xf.${j}`]: bias, [`b_hf.${j}`]: 0 });
  }

  function scaleRadius(wanted) {
    const factor = wanted / (radius() || 1);
    for (const gate of model().gates) {
      net.given["W_h" + gate].forEach((row, j) => row.forEach((w, k) => (state.changed[`W_h${gate}.${j}.${k}`] = w * factor || (wanted ? 0.1 : 0))));
    }
  }

  /* what is written into an exercise is judged when its field is left, and by Enter */
  document.addEventListener("change", ({ target }) => {
    if (target.dataset.write) write(target);
  });
  function write(input) {
    writtenIn()[input.dataset.write] = input.value;
    judgeExercise();
  }

  const go = (by) => {
    state.line = Math.min(Math.max(state.line + by, 0), lines.length - 1);
    show();
    if (state.predict && $("answer")) $("answer").focus();
  };

  const actions = {
    model: (v) => Object.assign(state, { model: v, changed: {}, line: 0, bug: "", weight: "", unit: 0 }, recorded() ? { T: 4, H: 2, I: 1 } : {}),
    T: (v) => Object.assign(state, { T: Number(v), cut: 0, line: 0 }),
    H: (v) => Object.assign(state, { H: Number(v), unit: 0, weight: "", line: 0 }),
    I: (v) => Object.assign(state, { I: Number(v), weight: "", line: 0 }),
    unit: (v) => (state.unit = Number(v)),
  };
  document.addEventListener("input", ({ target }) => {
    const { id, value } = target;
    if (actions[id]) {
      actions[id](value);
      if (recorded()) ({ T: state.T, H: state.H, I: state.I } = recorded());
      show(true);
      $(id).focus();
    } else if (target.dataset.key) setValue(target.dataset.key, target.valueAsNumber);
    else if (id === "cut") { state.cut = Number(value) >= state.T ? 0 : Number(value); show(); }
    else if (id === "forget") { setForget(Number(value)); show(); }
    else if (id === "radius") { scaleRadius(Number(value)); show(); }
    else if (id === "last") { state.last = Number(target.checked); show(true); $("last").focus(); }
    else if (id === "W_h" || id === "direct") { state[id] = Number(target.checked); show(); }
    else if (id === "bug" || id === "weight") { state[id] = value; show(); }
    else if (id === "predict") { state.predict = Number(target.checked); show(); }
  });
  document.addEventListener("click", ({ target }) => {
    if (target.dataset.lang) { state.lang = target.dataset.lang; show(true); document.querySelector(`[data-lang="${state.lang}"]`).focus(); }
    else if (target.dataset.scene) { startScene(target.dataset.scene); document.querySelector("[data-answer-of]").focus(); }
    else if (target.dataset.answerOf) { state.answer = Number(target.dataset.answerOf); show(); document.querySelector(`[data-answer-of="${state.answer}"]`).focus(); }
    else if (target.dataset.exercise) { state.exercise = target.dataset.exercise; showExercise(); writeAddress(); document.querySelector("[data-write]").focus(); }
    else if (target.id === "to-exercise") { $("exercise").scrollIntoView(); document.querySelector("[data-write]").focus(); }
    else if (target.id === "hint") showHint();
    else if (target.id === "back") go(-1);
    else if (target.id === "next") go(1);
    else if (target.id === "to-backward") { state.line = lines.findIndex((line) => line.backward); show(); }
    else if (target.id === "check") checkAnswer();
    else if (target.id === "reveal") { $("answer").value = four(Number($("answer").dataset.answer)); checkAnswer(); }
    else if (target.id === "reset") { history.replaceState(null, "", `#model=${encodeURIComponent(state.model)}&lang=${state.lang}`); readAddress(); show(true); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.id === "answer" && event.key === "Enter") checkAnswer();
    if (event.target.dataset.write && event.key === "Enter") {
      write(event.target);
      const fields = [...document.querySelectorAll("[data-write]")];
      const right = document.querySelector(`[data-verdict="${event.target.dataset.write}"]`).classList.contains("right");
      if (right) (fields[fields.indexOf(event.target) + 1] || event.target).focus();
    }
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    const empty = event.target.id === "answer" && $("verdict").className === "right";
    if ((typing && !empty) || event.altKey || event.ctrlKey || event.metaKey || !lines.length) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      go(event.key === "ArrowRight" ? 1 : -1);
    }
  });
  $("sizes").addEventListener("submit", (event) => event.preventDefault());

  /* drag a number up or down: a hundredth for each pixel */
  let dragged = null;
  document.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-field]");
    if (!handle) return;
    dragged = { pointer: event.pointerId, key: handle.dataset.field, from: event.clientY, value: valueOf(handle.dataset.field) };
    event.preventDefault();
  });
  document.addEventListener("pointermove", (event) => {
    if (dragged && dragged.pointer === event.pointerId) setValue(dragged.key, Math.round(100 * (dragged.value + (dragged.from - event.clientY) / 100)) / 100);
  });
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => (dragged = null));
  window.addEventListener("hashchange", () => { readAddress(); show(true); });

  /* ---- the line at the foot: the page's numbers beside npseq's ---- */

  function agreement() {
    let [worst, compared] = [0, 0];
    for (const [name, m] of Object.entries(data.models)) {
      for (const { T, H, I, values } of m.checks || []) {
        const part = network({ model: name, T, H, I, last: 0, changed: {} });
        const { steps } = Engine.forward(part);
        const found = Engine.backward(part, steps);
        const ours = { ...found.gradients, h: steps.map((v) => v.h), dx: found.steps.map((v) => v.dx) };
        for (const [key, expected] of Object.entries(values)) {
          worst = Math.max(worst, Engine.difference(ours[key], expected));
          compared += [expected].flat(3).length;
        }
      }
    }
    const digits = worst === 0 ? 16 : Math.floor(-Math.log10(worst));
    $("agreement").textContent = compared ? tr("This page's {0} numbers agree with those that npseq computed when the page was made to {1} digits (largest relative difference {2}).", compared.toLocaleString("en"), digits, worst.toExponential(1)) : tr("The numbers are npseq's own.");
    $("agreement").dataset.digits = digits;
    $("version").textContent = data.version;
  }

  readAddress();
  show(true);
})();
