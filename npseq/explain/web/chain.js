/* The picture of the chain: slots, cells and wires, with the value and the gradient of one unit on each wire. */
/* global Engine */
/* exported Chain */
const Chain = (() => {
  "use strict";

  const STEP = 250;
  const [LEFT, CELL, WIDTH, SLOT] = [34, 94, 82, 20]; /* first slot; from a slot to its cell; a cell; half a slot */
  const SMALLEST = 1e-6; /* gradients below this part of the largest are drawn alike */

  const escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const number = (value) => (value === undefined ? "" : Math.abs(value) < 5e-5 ? "0" : Number(value.toPrecision(3)).toString());
  const norm = (d) => Math.sqrt((d || []).reduce((s, v) => s + v * v, 0));

  /* Width and strength of a wire, on a logarithmic scale: told apart without colour */
  function stroke(size, largest) {
    const part = largest > 0 ? Math.max(0, 1 - Math.log10(Math.max(size / largest, SMALLEST)) / Math.log10(SMALLEST)) : 0;
    return size > 0 ? `stroke-width="${(1 + 7 * part).toFixed(2)}" stroke-opacity="${(0.2 + 0.8 * part).toFixed(2)}"` : `stroke-width="0"`;
  }

  /* state: {net, back, unit, shows: (t, name) => is this value computed yet?, current: {t, name} or null} */
  function draw({ net, back, unit, shows, current }) {
    const { model, T } = net;
    const cells = [...model.state].length > 1;
    const [top, middle, low, bottom] = cells ? [58, 150, 240, 290] : [0, 70, 160, 210];
    const out = [];
    const d = (v, name) => v[name];
    const last = back[T - 1];
    const largest = Math.max(...back.flatMap((v) => ["dh", "dc", "dh_prev", "dc_prev", "dx", "dy"].map((name) => norm(d(v, name)))));

    function wire(points, t, value, gradient, at, anchor = "middle") {
      const v = back[t];
      const path = points.map(([x, y], k) => `${k ? "L" : "M"}${x} ${y}`).join("");
      out.push(`<path class="base" d="${path}" marker-end="url(#tip)"/>`);
      if (shows(t, gradient)) out.push(`<path class="wire" d="${path}" ${stroke(norm(d(v, gradient)), largest)}/>`);
      label(at[0], at[1], t, value, gradient, anchor);
    }

    function label(x, y, t, value, gradient, anchor) {
      const v = back[t];
      const isNow = current && current.t === t;
      const mark = (name, yy) => {
        if (isNow && current.name === name) out.push(`<rect class="current" x="${x - (anchor === "middle" ? 27 : 2)}" y="${yy - 10}" width="56" height="13" rx="3"/>`);
      };
      if (value) {
        mark(value, y);
        out.push(text(x, y, shows(t, value) ? number((v[value] || [])[unit]) : "?", "value", anchor));
      }
      mark(gradient, y + 13);
      out.push(text(x, y + 13, shows(t, gradient) ? "d " + number((v[gradient] || [])[Math.min(unit, (v[gradient] || []).length - 1)]) : "d ?", "d", anchor));
    }

    const text = (x, y, content, kind, anchor = "middle", extra = "") =>
      `<text x="${x}" y="${y}" class="${kind}" text-anchor="${anchor}" ${extra}>${escape(content)}</text>`;
    const box = (x, y, w, h, isCurrent) => `<rect class="box${isCurrent ? " current" : ""}" x="${x}" y="${y}" width="${w}" height="${h}" rx="6"/>`;
    const drag = (field) => (net.recorded ? "" : `data-field="${field}"`);
    const dragClass = net.recorded ? "name" : "name drag";

    for (let t = 0; t <= T; t++) {
      const x = LEFT + t * STEP;
      const first = t === 0;
      out.push(box(x - SLOT, middle - 14, 2 * SLOT, 28));
      out.push(text(x, middle + 4, `h_${t}`, first ? dragClass : "name", "middle", first ? drag(`state.h.${unit}`) : ""));
      if (cells) {
        const other = [...model.state][1];
        out.push(box(x - SLOT, top - 14, 2 * SLOT, 28));
        out.push(text(x, top + 4, `${other}_${t}`, first ? dragClass : "name", "middle", first ? drag(`state.${other}.${unit}`) : ""));
      }
      out.push(text(x, cells ? top - 24 : middle - 30, `slot ${t}`, ""));
    }
    for (let t = 0; t < T; t++) {
      const x = LEFT + t * STEP;
      const [from, out_of, to] = [x + CELL, x + CELL + WIDTH, x + STEP - SLOT];
      const high = cells ? top - 22 : middle - 34;
      const isNow = current && current.t === t && /^d?a|^d?[^hcx]$/.test(current.name);
      out.push(box(from, high, WIDTH, low - high - 20, isNow));
      out.push(text(from + WIDTH / 2, high + 14, `step ${t}`, "name"));
      gateRows(t, from + 6, high + 32);
      wire([[x + SLOT, middle], [from, middle]], t, "h_prev", "dh_prev", [(x + SLOT + from) / 2, middle - 22]);
      wire([[out_of, middle], [to, middle]], t, "h", "dh", [(out_of + to) / 2, middle - 22]);
      if (cells) {
        const other = [...model.state][1];
        wire([[x + SLOT, top], [from, top]], t, `${other}_prev`, `d${other}_prev`, [(x + SLOT + from) / 2, top - 22]);
        wire([[out_of, top], [to, top]], t, other, `d${other}`, [(out_of + to) / 2, top - 22]);
      }
      wire([[from + WIDTH / 2, bottom], [from + WIDTH / 2, low - 20]], t, null, "dx", [from + WIDTH / 2 + 7, low], "start");
      out.push(text(from + WIDTH / 2, bottom + 14, `x_${t} = ${number(net.x[t][Math.min(unit, net.I - 1)])}`, dragClass, "middle", drag(`x.${t}.${Math.min(unit, net.I - 1)}`)));
      const slot = LEFT + (t + 1) * STEP;
      wire([[slot, middle + 14], [slot, low - 26]], t, null, "dy", [slot + 7, middle + 28], "start");
      out.push(text(slot, low - 12, `y_${t}`, "name"));
      out.push(text(slot, low + 4, `dy_${t} = ${number(net.dy[t][unit])}`, dragClass, "middle", drag(`dy.${t}.${unit}`)));
    }

    /* Inside a cell: each gate's value and the gradient of its pre-activation */
    function gateRows(t, x, y) {
      const v = back[t];
      if (!model.forward) return;
      const gates = model.gates.length > 1 ? model.gates : ["a"];
      gates.forEach((gate, k) => {
        const name = Engine.aName(v, "h", gate === "a" ? "" : gate);
        const value = gate === "a" ? "h" : gate;
        out.push(text(x, y + 22 * k, `${gate === "a" ? "h" : gate} ${shows(t, value) ? number((v[value] || [])[unit]) : "?"}`, "value", "start"));
        out.push(text(x + 4, y + 22 * k + 11, `da ${shows(t, name) ? number(v[name][unit]) : "?"}`, "d", "start"));
      });
    }

    const [width, height] = [LEFT + T * STEP + 70, bottom + 24];
    const tip = '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor"/></marker></defs>';
    const what = `Chain of ${T} steps; the loss's gradient reaches h_0 with size ${number(norm(back[0].dh_prev))}, from ${number(norm(last.dh))} at h_${T}`;
    return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(what)}">${tip}${out.join("")}</svg>`;
  }

  /* The scale of widths, for readers of the picture */
  function scale(back) {
    const largest = Math.max(...back.flatMap((v) => ["dh", "dc", "dh_prev", "dc_prev", "dx", "dy"].map((name) => norm(v[name]))));
    const samples = [1, 1e-1, 1e-2, 1e-4, 1e-6];
    const wireOf = (part) => `<svg width="40" height="10"><path class="wire" d="M0 5L40 5" ${stroke(part * largest, largest)}/></svg>`;
    return samples.map((part) => `<span>${wireOf(part)} ${number(part * largest) === "0" ? (part * largest).toExponential(0) : number(part * largest)}</span>`).join("");
  }

  const left = (t) => LEFT + t * STEP;

  return { draw, scale, left, number, escape };
})();
