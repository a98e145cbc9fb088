/* The computation behind the page: expressions, forward, backward. No equation is written here: they come with the page's
   data, as text, from npseq/explain/equations.py or from the cell itself. Sizes: H units, I inputs, T steps, one sequence. */
/* global Formulas */
/* exported Engine */
const Engine = (() => {
  "use strict";

  /* ---- numbers: real ones, and complex ones [re, im] for the complex step ---- */

  const logistic = (a) => 0.5 * Math.tanh(0.5 * a) + 0.5;
  const real = {
    of: (v) => v,
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div: (a, b) => a / b,
    pow: (a, n) => a ** n,
    functions: {
      tanh: Math.tanh,
      "σ": logistic,
      exp: Math.exp,
      relu: (a) => Math.max(a, 0),
      step: (a) => (a > 0 ? 1 : 0),
    },
  };
  const mul = (a, b) => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
  /* f of a + bi for a tiny b: the imaginary part is b times the slope, to rounding, because b² vanishes beside 1 */
  const analytic = (f, slope) => (a) => [f(a[0]), a[1] * slope(a[0])];
  const complex = {
    of: (v) => [v, 0],
    add: (a, b) => [a[0] + b[0], a[1] + b[1]],
    sub: (a, b) => [a[0] - b[0], a[1] - b[1]],
    mul,
    div: (a, b) => {
      const size = b[0] * b[0] + b[1] * b[1];
      return mul(a, [b[0] / size, -b[1] / size]);
    },
    pow: (a, n) => [a[0] ** n, n * a[0] ** (n - 1) * a[1]],
    functions: {
      tanh: (a) => {
        const [s, c] = [Math.tanh(a[0]), 1 / Math.cosh(a[0])];
        return [s, a[1] * c * c];
      },
      "σ": analytic(logistic, (a) => 0.25 / Math.cosh(0.5 * a) ** 2),
      exp: analytic(Math.exp, Math.exp),
      relu: (a) => (a[0] > 0 ? a : [0, 0]),
      step: (a) => [a[0] > 0 ? 1 : 0, 0],
    },
  };

  /* ---- expressions, as trees of formulas.js, element by element ---- */

  const SIGNS = { "+": "add", "-": "sub", "*": "mul", "/": "div" };
  const parsed = new Map();

  function parse(text) {
    if (!parsed.has(text)) parsed.set(text, Formulas.read(text));
    return parsed.get(text);
  }

  function evaluate(tree, valueOf, ops) {
    if (typeof tree === "number") return ops.of(tree);
    if (typeof tree === "string") return valueOf(tree);
    const [kind, first, second] = tree;
    if (kind === "call") return ops.functions[first](evaluate(second, valueOf, ops));
    const left = evaluate(first, valueOf, ops);
    if (kind === "neg") return ops.sub(ops.of(0), left);
    if (kind === "**") return ops.pow(left, Array.isArray(second) ? -second[1] : second);
    return ops[SIGNS[kind]](left, evaluate(second, valueOf, ops));
  }

  /* A formula for each unit; names that have no value yet are 0 (what comes from beyond the last step). */
  const vector = (formula, values, H, ops) =>
    Array.from({ length: H }, (_, j) =>
      evaluate(parse(formula), (name) => (values[name] === undefined ? ops.of(0) : values[name][j]), ops),
    );

  /* ---- forward ---- */

  const product = (W, x, ops) => W.map((row) => row.reduce((s, w, k) => ops.add(s, ops.mul(w, x[k])), ops.of(0)));
  const lift = (value, ops) => (Array.isArray(value) ? value.map((v) => lift(v, ops)) : ops.of(value));

  /* net: {model, T, H, I, given: {name: array}, x, dy, state: {h, c}}. ``moved``: [name, row, column], moved by iε. */
  const EPSILON = 1e-30;

  function forward(net, ops = real, moved = null) {
    const { model } = net;
    const given = {};
    for (const [name, array] of Object.entries(net.given)) given[name] = lift(array, ops);
    if (moved) {
      const [name, row, column] = moved;
      const target = column === null ? given[name] : given[name][row];
      target[column === null ? row : column] = [column === null ? net.given[name][row] : net.given[name][row][column], EPSILON];
    }
    let state = lift2(net.state, ops);
    let loss = ops.of(0);
    const steps = [];
    for (let t = 0; t < net.T; t++) {
      const v = { ...given, x: lift(net.x[t], ops) };
      for (const letter of model.state) v[letter + "_prev"] = state[letter];
      v.h_direct = v.h_prev;
      for (const gate of model.gates) {
        for (const [side, read] of [["x", v.x], ["h", v.h_prev]]) {
          const Wx = product(v[`W_${side}${gate}`], read, ops);
          v[`a_${side}${gate}`] = Wx.map((a, j) => ops.add(a, v[`b_${side}${gate}`][j]));
        }
      }
      for (const [, name, formula] of model.forward) v[name] = vector(formula, v, net.H, ops);
      state = Object.fromEntries([...model.state].map((letter) => [letter, v[letter]]));
      loss = v.h.reduce((s, h, j) => ops.add(s, ops.mul(ops.of(net.dy[t][j]), h)), loss);
      steps.push(v);
    }
    return { loss, steps };
  }

  const lift2 = (object, ops) => Object.fromEntries(Object.entries(object).map(([name, a]) => [name, lift(a, ops)]));

  /* dloss/d(one weight) by the complex step */
  const complexStep = (net, name, row, column) => forward(net, complex, [name, row, column]).loss[1] / EPSILON;

  /* ---- backward ---- */

  const columnSums = (W, d) => W[0].map((_, k) => d.reduce((s, dj, j) => s + W[j][k] * dj, 0));
  const plus = (a, b) => a.map((value, j) => value + b[j]);
  const aName = (v, side, gate) => (v[`da_${side}${gate}`] ? `da_${side}${gate}` : gate ? `da_${gate}` : "da");
  const da = (v, side, gate) => v[aName(v, side, gate)];

  /* What a student's formula gives at one step, a column for each vector; null where it cannot be computed */
  function written(tree, v) {
    const columns = new Proxy(v, { get: (values, name) => (Array.isArray(values[name]) ? values[name].map((row) => (Array.isArray(row) ? row : [row])) : undefined) });
    try {
      return Formulas.evaluate(tree, columns);
    } catch {
      return null;
    }
  }
  const column = (a) => a && a.map((row) => row[0]);

  /* options: cut (steps in a chunk, or 0), W_h and direct (false switches that path off), bug, dy (instead of net.dy),
     student (name -> tree, in place of the backward equations and of the sums over the units) */
  function backward(net, steps, options = {}) {
    const { model, T, H } = net;
    const { cut = 0, W_h = true, direct = true, bug = null, dy = net.dy, student = {} } = options;
    const changed = (bug && bug.formulas && bug.formulas[model.name]) || {};
    const loop = (bug && bug.loop) || {};
    const zeros = Array(H).fill(0);
    const back = steps.map((v) => ({ ...v }));
    let carried = Object.fromEntries([...model.state].map((letter) => [letter, zeros]));
    for (let t = T - 1; t >= 0; t--) {
      const v = back[t];
      if (cut && (t + 1) % cut === 0) carried = Object.fromEntries([...model.state].map((letter) => [letter, zeros]));
      for (const letter of model.state) v[`d${letter}_carried`] = carried[letter];
      v.dy = dy[t];
      v.dh = plus(v.dy, v.dh_carried);
      for (const [, name, formula] of model.backward) {
        v[name] = (student[name] && column(written(student[name], v))) || vector(changed[name] || formula, v, H, real);
      }
      if (loop.skip_first && t === 0) for (const name of Object.keys(v)) if (/^da/.test(name)) v[name] = zeros;
      v.dh_prev = v.dh_direct && direct ? v.dh_direct : zeros;
      v.dx = Array(net.I).fill(0);
      for (const gate of model.gates) {
        if (W_h) v.dh_prev = plus(v.dh_prev, columnSums(v["W_h" + gate], da(v, "h", gate)));
        v.dx = plus(v.dx, columnSums(v["W_x" + gate], da(v, "x", gate)));
      }
      for (const name of ["dh_prev", "dx"]) if (student[name]) v[name] = column(written(student[name], v)) || v[name];
      if (loop.skip_first && t === 0) v.dh_prev = v.dh; /* the loop has stopped before this step */
      if (loop.dh_overwritten) v.dh_prev = zeros;
      for (const letter of model.state) {
        if (letter !== "h" && !direct) v[`d${letter}_prev`] = zeros;
        if (letter !== "h" && loop.skip_first && t === 0) v[`d${letter}_prev`] = v[`d${letter}_carried`];
      }
      carried = Object.fromEntries([...model.state].map((letter) => [letter, v[`d${letter}_prev`]]));
    }
    return { steps: back, gradients: afterTheLoop(net, back, loop, student) };
  }

  /* What the use of a weight at step s contributes to its gradient */
  function contribution(net, v, name, row, column, loop = {}, student = {}) {
    const own = student[`d${name[0] === "b" ? "b" : name}`];
    const value = own && written(own, v);
    if (value && value[row] !== undefined) return value[row][column || 0];
    const found = /^([Wb])_([xh])(.*)$/.exec(name);
    if (!found) return v["d" + name][row];
    const [, kind, side, gate] = found;
    const d = da(v, side, gate)[row];
    if (kind === "b") return d;
    return d * (side === "x" ? v.x : loop.h_of_this_step ? v.h : v.h_prev)[column];
  }

  function afterTheLoop(net, back, loop, student) {
    const gradients = {};
    const scale = loop.mean ? 1 / net.T : 1;
    const sum = (name, j, k) => back.reduce((s, v) => s + contribution(net, v, name, j, k, loop, student), 0) * scale;
    for (const [name, array] of Object.entries(net.given)) {
      gradients[name] = array.map((row, j) => (Array.isArray(row) ? row.map((_, k) => sum(name, j, k)) : sum(name, j, null)));
    }
    const { gates } = net.model;
    if (loop.no_db_h) for (const gate of gates) gradients["b_h" + gate] = gradients["b_h" + gate].map(() => 0);
    if (loop.db_of_another_gate && gates.length > 1) gradients["b_x" + gates[0]] = gradients["b_x" + gates[1]];
    if (loop.starts_from_weights) {
      for (const [name, array] of Object.entries(net.given)) gradients[name] = map2(gradients[name], array, (d, w) => d + w);
    }
    if (loop.clip) {
      const norm = Math.sqrt(Object.values(gradients).flat(2).reduce((s, d) => s + d * d, 0));
      const factor = norm > loop.clip ? loop.clip / norm : 1;
      for (const name of Object.keys(gradients)) gradients[name] = map2(gradients[name], gradients[name], (d) => d * factor);
    }
    for (const letter of net.model.state) gradients[letter + "_0"] = back[0][`d${letter}_prev`];
    return gradients;
  }

  const map2 = (a, b, f) => (Array.isArray(a) ? a.map((v, k) => map2(v, b[k], f)) : f(a, b));

  /* T × T: in row t, column s, what the loss at step t has to do with the use of the weight at step s. */
  function matrix(net, steps, options, name, row, column) {
    const scale = options.bug && options.bug.loop && options.bug.loop.mean ? 1 / net.T : 1;
    return net.dy.map((_, t) => {
      const dy = net.dy.map((d, s) => (s === t ? d : d.map(() => 0)));
      const back = backward(net, steps, { ...options, dy }).steps;
      const loop = (options.bug && options.bug.loop) || {};
      return back.map((v) => contribution(net, v, name, row, column, loop, options.student) * scale);
    });
  }

  /* Spectral radius of a square matrix: the limit of ‖Wⁿ‖^(1/n), by squaring */
  function spectralRadius(W) {
    const square = (A) => A.map((row) => A[0].map((_, k) => row.reduce((s, a, j) => s + a * A[j][k], 0)));
    let [A, log, n] = [W, 0, 1];
    for (let k = 0; k < 40; k++) {
      const size = Math.sqrt(A.flat().reduce((s, a) => s + a * a, 0));
      if (size === 0) return 0;
      log += Math.log(size) / n;
      A = square(A.map((row) => row.map((a) => a / size)));
      n *= 2;
    }
    return Math.exp(log);
  }

  /* Largest difference of two nested arrays, relative to the largest element of the second */
  function difference(a, b) {
    const [x, y] = [[a].flat(3), [b].flat(3)];
    const largest = Math.max(...y.map(Math.abs), 1e-300);
    return Math.max(...x.map((value, k) => Math.abs(value - y[k]))) / largest;
  }

  return { forward, backward, matrix, contribution, complexStep, spectralRadius, difference, aName };
})();
if (typeof module !== "undefined") module.exports = Engine;
