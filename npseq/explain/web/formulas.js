/* Formulas as trees, as npseq/explain/formulas.py has them: read, written, evaluated on matrices, rewritten; and the naming
   of the mistake in a wrong formula, by the same table as npseq's grader (mistakes.json). A tree is a number, a name, or an
   array: [sign, left, right], ["neg", a], ["T", a], ["call", function, a, …]. */
/* exported Formulas */
const Formulas = (() => {
  "use strict";

  class FormulaError extends Error {
    constructor(text, what) { super(text); this.text = text; this.what = what; }
  }

  /* ---- reading ---- */

  const SPOKEN = [[/[⊙·×]/g, " * "], [/−/g, "-"], [/²/g, "**2"], [/\^/g, "**"], [/([hc])[′'’]/g, "$1_prev"], [/ᵀ/g, ".T"], [/\bnp\./g, ""], [/\bsigmoid\b/g, "σ"]];
  const TOKEN = /\s*(\*\*|[\p{L}_][\p{L}\d_]*|\d+\.?\d*(?:e[+-]?\d+)?|[-+*/()@.,=])/uy;

  function read(spoken) {
    const text = SPOKEN.reduce((so_far, [from, to]) => so_far.replace(from, to), spoken).trim();
    const tokens = [];
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length) {
      const from = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (!found) throw new FormulaError("not understood: {0}", text.slice(from).trim());
      tokens.push(found[1]);
    }
    let place = 0;
    const at = (...signs) => signs.includes(tokens[place]);
    const take = (sign) => {
      const token = tokens[place++];
      if (token === undefined) throw new FormulaError(sign ? "unfinished: {0} is missing at the end" : "unfinished: something is missing at the end", sign);
      if (sign && token !== sign) throw new FormulaError("not understood: {0}", token);
      return token;
    };
    /* what stands between the parentheses of a call: expressions, and axis=1, keepdims=True */
    const listed = () => {
      const found = [];
      take("(");
      while (!at(")")) {
        if (tokens[place + 1] === "=") {
          const name = take();
          take("=");
          const value = sum();
          if (name === "axis") found.push(value);
        } else found.push(sum());
        if (!at(")")) take(place < tokens.length ? "," : ")");
      }
      take(")");
      return found;
    };
    const atom = () => {
      const token = take();
      let tree = token;
      if (token === "(") {
        tree = sum();
        take(")");
      } else if (/^\d/.test(token)) tree = Number(token);
      else if (!/^[\p{L}_]/u.test(token)) throw new FormulaError("not understood: {0}", token);
      else if (at("(")) tree = ["call", token, ...listed()];
      while (at(".")) {
        take(".");
        const name = take();
        tree = name === "T" ? ["T", tree] : ["call", name, tree, ...listed()];
      }
      return tree;
    };
    const power = () => {
      const base = atom();
      if (!at("**")) return base;
      take();
      return ["**", base, unary()];
    };
    const unary = () => {
      if (!at("-")) return power();
      take();
      return ["neg", unary()];
    };
    const product = () => {
      let tree = unary();
      while (at("*", "/", "@")) tree = [take(), tree, unary()];
      return tree;
    };
    const sum = () => {
      let tree = product();
      while (at("+", "-")) tree = [take(), tree, product()];
      return tree;
    };
    const tree = sum();
    if (place < tokens.length) throw new FormulaError("not understood: {0}", tokens[place]);
    return tree;
  }

  /* ---- writing ---- */

  const LEVEL = { "+": 1, "-": 1, "*": 2, "/": 2, "@": 2, neg: 3, "**": 4 };

  function write(tree, level = 0) {
    if (!Array.isArray(tree)) return String(tree);
    const [kind, ...parts] = tree;
    if (kind === "call") return `${parts[0]}(${parts.slice(1).map((part) => write(part)).join(", ")})`;
    if (kind === "T") return write(parts[0], 5) + ".T";
    const own = LEVEL[kind];
    const text = kind === "neg" ? "-" + write(parts[0], own) : write(parts[0], own) + (kind === "**" ? kind : ` ${kind} `) + write(parts[1], own + 1);
    return own < level ? `(${text})` : text;
  }

  /* ---- values: matrices as arrays of rows; a side of length 1 is repeated ---- */

  const matrix = (rows, columns, of) => Array.from({ length: rows }, (_, j) => Array.from({ length: columns }, (__, k) => of(j, k)));
  const shape = (a) => [a.length, a[0].length];
  const is = (value) => (Array.isArray(value) ? value : [[value]]);
  const shapes = (a, b) => new FormulaError("shapes {0} do not fit", `(${shape(a)}) (${shape(b)})`);

  function broadcast(f, a, b) {
    const [[m, n], [p, q]] = [shape(a), shape(b)];
    if ((m !== p && m !== 1 && p !== 1) || (n !== q && n !== 1 && q !== 1)) throw shapes(a, b);
    return matrix(Math.max(m, p), Math.max(n, q), (j, k) => f(a[m === 1 ? 0 : j][n === 1 ? 0 : k], b[p === 1 ? 0 : j][q === 1 ? 0 : k]));
  }

  const SIGNS = { "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "**": (a, b) => a ** b };
  const FUNCTIONS = { tanh: Math.tanh, "σ": (a) => 0.5 * Math.tanh(0.5 * a) + 0.5, exp: Math.exp };
  const transposed = (a) => matrix(a[0].length, a.length, (j, k) => a[k][j]);
  const total = (numbers) => numbers.reduce((s, v) => s + v, 0);

  function along(name, a, axis) {
    if (axis !== 0 && axis !== 1) throw new FormulaError("{0} needs an axis, 0 or 1", name);
    const sums = axis === 1 ? a.map((row) => [total(row)]) : [a[0].map((_, k) => total(a.map((row) => row[k])))];
    return name === "sum" ? sums : broadcast(SIGNS["/"], sums, [[axis === 1 ? a[0].length : a.length]]);
  }

  /* values: name -> matrix */
  function evaluate(tree, values) {
    if (typeof tree === "number") return is(tree);
    if (typeof tree === "string") {
      if (!Object.hasOwn(values, tree) || values[tree] === undefined) throw new FormulaError("{0} is not known here", tree);
      return values[tree];
    }
    const [kind, ...parts] = tree;
    if (kind === "call") {
      const [name, argument, axis] = parts;
      const elementWise = Object.hasOwn(FUNCTIONS, name);
      if (argument === undefined || !(elementWise || name === "sum" || name === "mean")) throw new FormulaError("{0} is no function here; tanh, σ, exp, sum and mean are", name);
      const a = evaluate(argument, values);
      return elementWise ? a.map((row) => row.map(FUNCTIONS[name])) : along(name, a, axis);
    }
    const a = evaluate(parts[0], values);
    if (kind === "T") return transposed(a);
    if (kind === "neg") return a.map((row) => row.map((v) => -v));
    const b = evaluate(parts[1], values);
    if (kind !== "@") return broadcast(SIGNS[kind], a, b);
    if (a[0].length !== b.length) throw shapes(a, b);
    return matrix(a.length, b[0].length, (j, k) => total(a[j].map((v, l) => v * b[l][k])));
  }

  const names = (tree) => {
    if (typeof tree === "string") return [tree];
    if (!Array.isArray(tree)) return [];
    return [...new Set(tree.slice(tree[0] === "call" ? 2 : 1).flatMap(names))];
  };

  /* ---- rewriting ---- */

  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  function match(pattern, tree, bound) {
    if (typeof pattern === "string" && "ABCDX".includes(pattern)) {
      if ((pattern === "X" && typeof tree !== "string") || (pattern in bound && !same(bound[pattern], tree))) return null;
      return { ...bound, [pattern]: tree };
    }
    if (!Array.isArray(pattern) || !Array.isArray(tree)) return same(pattern, tree) ? bound : null;
    if (pattern.length !== tree.length || pattern[0] !== tree[0]) return null;
    return pattern.slice(1).reduce((found, part, k) => found && match(part, tree[k + 1], found), bound);
  }

  function putIn(tree, meaning) {
    if (typeof tree === "string") return Object.hasOwn(meaning, tree) ? meaning[tree] : tree;
    if (!Array.isArray(tree)) return tree;
    const start = tree[0] === "call" ? 2 : 1;
    return tree.map((part, k) => (k < start ? part : putIn(part, meaning)));
  }

  /* Each part of a tree, from the root, with the function that puts another in its place */
  function places(tree, put = (other) => other) {
    if (!Array.isArray(tree)) return [[tree, put]];
    const start = tree[0] === "call" ? 2 : 1;
    return [[tree, put], ...tree.flatMap((part, k) => (k < start ? [] : places(part, (other) => put(tree.map((old, l) => (l === k ? other : old))))))];
  }

  const rules = new Map();
  const treesOf = (rule) => {
    if (!rules.has(rule)) rules.set(rule, [read(rule.from), read(rule.to)]);
    return rules.get(rule);
  };

  function* variants(table, tree, scope, pair = false) {
    for (const rule of table) {
      if (pair && !rule.pair) continue;
      const [left, right] = treesOf(rule);
      for (const [part, put] of rule.where === "whole" ? [[tree, (other) => other]] : places(tree)) {
        const bound = match(left, part, {});
        if (!bound) continue;
        for (const other of names(right).includes("Y") ? scope : [null]) {
          if (other !== null && other === bound.X) continue;
          const meaning = other === null ? bound : { ...bound, Y: other };
          const changed = putIn(right, meaning);
          const words = Object.fromEntries(Object.entries(meaning).map(([letter, what]) => [letter, write(what, 3)]));
          const mistake = { kind: rule.kind, last: rule.last, texts: [[rule, words]] };
          const others = { everywhere: { [bound.X]: changed }, swap: { [bound.X]: changed, [changed]: bound.X } }[rule.where];
          yield [mistake, others ? putIn(tree, others) : put(changed)];
        }
      }
    }
  }

  const size = (tree) => (Array.isArray(tree) ? 1 + total(tree.slice(1).map(size)) : 1);
  const TOLERANCE = 1e-9;
  const largest = (a) => Math.max(...a.flat().map(Math.abs));
  const squeezed = (a) => String(shape(a).filter((n) => n !== 1));

  /* Are two matrices equal to rounding? */
  function equal(value, right) {
    if (squeezed(value) !== squeezed(right)) return false;
    const [a, b] = [value.flat(), right.flat()];
    return a.every((v, k) => Math.abs(v - b[k]) <= TOLERANCE * Math.max(largest(right), 1e-300));
  }

  /* The mistake that explains a wrong value: {kind, texts}, or null */
  function mistake(table, value, tree, values) {
    const scope = Object.keys(values);
    const meets = (changed) => {
      let found;
      try {
        found = evaluate(changed, values);
      } catch {
        return false;
      }
      return found.flat().every(Number.isFinite) && equal(value, found);
    };
    const all = [...variants(table, tree, scope)].filter(([, changed]) => meets(changed));
    const met = all.some(([each]) => !each.last) ? all.filter(([each]) => !each.last) : all;
    if (met.length) return met.reduce((best, each) => (size(each[1]) < size(best[1]) ? each : best))[0];
    const both = [];
    for (const [first, once] of variants(table, tree, scope, true)) {
      for (const [second, twice] of variants(table, once, [], true)) if (meets(twice)) both.push([first, second, twice]);
    }
    if (both.length) {
      const [first, second] = both.reduce((best, each) => (size(each[2]) < size(best[2]) ? each : best));
      return { kind: `${first.kind} ${second.kind}`, texts: [...first.texts, ...second.texts] };
    }
    for (const [first, once] of variants(table, tree, scope, true)) {
      for (const left of names(once)) {
        for (const other of scope) {
          if (other !== left && meets(putIn(once, { [left]: other }))) {
            const says = { says: "{Y} in place of {X}", zh: "应为 {X}，而不是 {Y}" };
            return { kind: `${first.kind} name`, texts: [...first.texts, [says, { X: left, Y: other }]] };
          }
        }
      }
    }
    return null;
  }

  /* ---- judging, as npseq's grader does: each value from those before it that the student has computed ---- */

  /* exercise: {given, steps: [{name, number, formula}]}; formulas: name -> text. Returns for each step {right, written,
     value, expected, mistake, error}. */
  function judge(table, exercise, formulas) {
    const [right, theirs] = [{ ...exercise.given }, { ...exercise.given }];
    return exercise.steps.map(({ name, formula }) => {
      const tree = read(formula);
      const expected = (right[name] = evaluate(tree, right));
      const text = (formulas[name] || "").trim();
      const verdict = { name, right: false, written: text !== "", expected };
      let value = null;
      if (verdict.written) {
        try {
          value = verdict.value = evaluate(read(text), theirs);
          if (!value.flat().every(Number.isFinite)) throw new FormulaError("{0} has an infinite element", name);
          const wanted = shape(expected);
          if (equal(value, expected) && String(shape(value)) === String(wanted)) verdict.right = true;
          else {
            const follows = evaluate(tree, theirs);
            verdict.right = equal(value, follows) && String(shape(value)) === String(wanted);
            if (!verdict.right) verdict.mistake = mistake(table, value, tree, theirs);
          }
        } catch (error) {
          if (!(error instanceof FormulaError)) throw error;
          verdict.error = error;
        }
      }
      const fits = value && !verdict.error && String(shape(value)) === String(shape(expected));
      const usable = fits && largest(value) > 1e-6 * largest(expected) && largest(value) < 1e6 * largest(expected);
      theirs[name] = usable ? value : expected;
      return verdict;
    });
  }

  return { read, write, evaluate, names, judge, FormulaError };
})();
if (typeof module !== "undefined") module.exports = Formulas;
