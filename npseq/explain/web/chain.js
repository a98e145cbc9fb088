/* The picture of the chain: for each step the cell as it is drawn in the literature, between the slots of the state, with
   the value and the gradient of one unit on each wire. */
/* exported Chain */
const Chain = (() => {
  "use strict";

  const SMALLEST = 1e-6; /* gradients below this part of the largest are drawn alike */
  const [LEFT, SLOT, RING] = [50, 20, 9];

  const escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
  /* three significant digits, whatever the size */
  function number(value) {
    if (value === undefined || value === null) return "";
    if (value === 0 || !Number.isFinite(value)) return String(value + 0);
    const size = Math.abs(value);
    return (size < 1e-3 || size >= 1e5 ? value.toExponential(2) : size >= 1000 ? value.toFixed(0) : value.toPrecision(3)).replace("e+", "e");
  }
  const norm = (d) => Math.sqrt((d || []).reduce((s, v) => s + v * v, 0));

  /* Width and strength of a wire, on a logarithmic scale: told apart without colour */
  function stroke(size, largest) {
    const part = largest > 0 ? Math.max(0, 1 - Math.log10(Math.max(size / largest, SMALLEST)) / Math.log10(SMALLEST)) : 0;
    return size > 0 ? `stroke-width="${(1 + 5 * part).toFixed(2)}" stroke-opacity="${(0.25 + 0.75 * part).toFixed(2)}"` : 'stroke-width="0"';
  }

  /* ---- one step of each cell. x counts from the slot before the step; wire: [points, value, gradient, place of the label,
     anchor]; box: [x, y, width, text, gate]; ring: [x, y, sign]. ---- */

  const gate = (x, y, text, name) => ({ box: [x, y, text === "σ" ? 34 : 44, text, name] });
  const PICTURES = {
    lstm: {
      width: 530, height: 304, slots: { h: 228, c: 56 }, bus: 228, x: [70, 296], dy: [276, 242, 262],
      wires: [
        [[[20, 56], [95, 56]], "c_prev", "dc_prev", [60, 33]],
        [[[113, 56], [218, 56]]],
        [[[236, 56], [510, 56]], "c", "dc", [473, 33]],
        [[[104, 168], [104, 65]], "f", "df", [111, 110], "start"],
        [[[186, 168], [186, 112], [218, 112]], "i", "di", [193, 131], "start"],
        [[[268, 168], [268, 112], [236, 112]], "g", "dg", [275, 131], "start"],
        [[[227, 103], [227, 65]]],
        [[[350, 168], [350, 130], [427, 130]], "o", "do", [357, 146], "start"],
        [[[436, 56], [436, 80]]],
        [[[436, 100], [436, 121]]],
        [[[436, 139], [436, 228], [510, 228]], "h", "dh", [475, 206]],
        [[[104, 228], [350, 228]]],
        [[[20, 228], [104, 228]], "h_prev", "dh_prev", [62, 198]],
        [[[104, 228], [104, 188]], null, "da_f", [111, 210], "start"],
        [[[186, 228], [186, 188]], null, "da_i", [193, 210], "start"],
        [[[268, 228], [268, 188]], null, "da_g", [275, 210], "start"],
        [[[350, 228], [350, 188]], null, "da_o", [357, 210], "start"],
      ],
      boxes: [gate(104, 178, "σ", "f"), gate(186, 178, "σ", "i"), gate(268, 178, "tanh", "g"), gate(350, 178, "σ", "o"), { box: [436, 90, 44, "tanh"] }],
      rings: [[104, 56, "×"], [227, 56, "+"], [227, 112, "×"], [436, 130, "×"]],
    },
    gru: {
      width: 470, height: 316, slots: { h: 56 }, bus: 240, x: [64, 308], dy: [14, 42, 20],
      wires: [
        [[[20, 56], [40, 56]], "h_prev", "dh_prev", [84, 33]],
        [[[40, 56], [227, 56]], null, "dh_direct", [182, 46]],
        [[[40, 56], [40, 240], [330, 240]]],
        [[[245, 56], [309, 56]]],
        [[[327, 56], [450, 56]], "h", "dh", [390, 33]],
        [[[84, 168], [84, 108], [309, 108]], "z", "dz", [91, 137], "start"],
        [[[236, 108], [236, 65]], "1 − z", null, [243, 88], "start"],
        [[[166, 168], [166, 130], [252, 130], [252, 195]], "r", "dr", [173, 147], "start"],
        [[[318, 168], [318, 117]], "n", "dn", [325, 140], "start"],
        [[[318, 99], [318, 65]]],
        [[[261, 204], [306, 204], [306, 188]]],
        [[[252, 240], [252, 213]], null, "da_hn", [259, 231], "start"],
        [[[330, 240], [330, 188]], null, "da_xn", [337, 214], "start"],
        [[[84, 240], [84, 188]], null, "da_z", [91, 214], "start"],
        [[[166, 240], [166, 188]], null, "da_r", [173, 214], "start"],
      ],
      boxes: [gate(84, 178, "σ", "z"), gate(166, 178, "σ", "r"), gate(318, 178, "tanh", "n")],
      rings: [[236, 56, "×"], [318, 56, "+"], [318, 108, "×"], [252, 204, "×"]],
    },
    rnn: {
      width: 300, height: 178, slots: { h: 66 }, bus: 118, x: [150, 170], dy: [14, 52, 22],
      wires: [
        [[[20, 66], [128, 66]], "h_prev", "dh_prev", [74, 42]],
        [[[172, 66], [280, 66]], "h", "dh", [224, 42]],
        [[[150, 118], [150, 76]], null, "da", [157, 102], "start"],
      ],
      boxes: [gate(150, 66, "tanh", "")],
      rings: [],
    },
  };

  /* A cell that has no picture of its own: a box with its gates below it */
  function plainPicture(model) {
    const [main, ...others] = [...model.state];
    const slots = Object.fromEntries([[main, 130], ...others.map((letter, k) => [letter, 56 - 74 * k])].map(([letter, y]) => [letter, y + 74 * Math.max(0, others.length - 1)]));
    const [top, low] = [Math.min(...Object.values(slots)), slots[main]];
    const gates = model.forward ? model.gates : [];
    const middle = low + 62 + 30 * gates.length;
    const wires = [...model.state].flatMap((letter) => [
      [[[20, slots[letter]], [112, slots[letter]]], `${letter}_prev`, `d${letter}_prev`, [66, slots[letter] - 24]],
      [[[188, slots[letter]], [280, slots[letter]]], letter, `d${letter}`, [234, slots[letter] - 24]],
    ]);
    gates.forEach((name, k) => wires.push([null, name || null, name ? `da_${name}` : "da", [138, low + 44 + 30 * k], "start"]));
    const box = { box: [150, (top + low) / 2, 76, model.name.slice(0, 9), null, low - top + 48] };
    return { width: 300, height: middle + 22, slots, bus: low + 24, x: [130, middle + 14], dy: [low + 46, low + 14, low + 34], wires, boxes: [box], rings: [], own: true };
  }

  const pictureOf = (model) => PICTURES[model.name] || plainPicture(model);

  /* state: {net, back, unit, shows: (t, name) => is this value computed yet?, current: {t, name} or null} */
  function draw({ net, back, unit, shows, current }) {
    const { model, T } = net;
    const picture = pictureOf(model);
    const out = [];
    const largest = largestOf(back);
    const text = (x, y, content, kind, anchor = "middle", extra = "") => out.push(`<text x="${x}" y="${y}" class="${kind}" text-anchor="${anchor}" ${extra}>${escape(content)}</text>`);
    const at = (values, place) => (values || [])[Math.min(place, (values || []).length - 1)];
    /* the name by which the step has it: da_i, or da_xi and da_hi where they differ */
    const named = (v, name) => (v[name] ? name : name && name.startsWith("da_") && v["da_h" + name.slice(3)] ? "da_h" + name.slice(3) : name);

    function wire([points, value, gradient, place, anchor = "middle"], t, left) {
      const v = back[t];
      const own = gradient && named(v, gradient);
      if (points) {
        const path = points.map(([x, y], k) => `${k ? "L" : "M"}${x + left} ${y}`).join("");
        out.push(`<path class="base" d="${path}"/>`);
        if (own && shows(t, own) && norm(v[own]) > 0) out.push(`<path class="wire" d="${path}" ${stroke(norm(v[own]), largest)} marker-start="url(#back)"/>`);
      }
      if (!place) return;
      const [x, y] = [place[0] + left, place[1]];
      const rows = value ? [[value, y, "value"], [own, y + 13, "d"]] : [[own, y, "d"]];
      for (const [name, row, kind] of rows) {
        if (!name) continue;
        if (current && current.t === t && current.name === name) out.push(`<rect class="current" x="${x - (anchor === "middle" ? 30 : 2)}" y="${row - 10}" width="${anchor === "middle" ? 60 : 58}" height="13" rx="3"/>`);
        const keep = name === "1 − z" ? "z" : name;
        if (!(keep in v)) continue;
        const value_of = name === keep ? at(v[name], unit) : 1 - at(v.z, unit);
        const letter = kind === "value" ? (/^[hc]$|_prev$/.test(name) ? "" : name + " ") : /^da/.test(name) ? "da " : "d ";
        text(x, row, letter + (shows(t, keep) ? number(value_of) : "?"), kind, anchor, `data-t="${t}" data-name="${escape(name)}"`);
      }
    }

    const drag = (field) => (net.recorded ? "" : `data-field="${field}" tabindex="-1"`);
    const dragClass = net.recorded ? "name" : "name drag";
    for (let t = 0; t < T; t++) {
      const left = LEFT + t * picture.width;
      const [x, low] = picture.x;
      wire([[[x, low - 14], [x, picture.bus]]], t, left);
      for (const each of picture.wires) wire(each, t, left);
      const k = Math.min(unit, net.I - 1);
      if (shows(t, "dx") && norm(back[t].dx) > 0) out.push(`<path class="wire" d="M${x + left} ${low - 14}L${x + left} ${picture.bus}" ${stroke(norm(back[t].dx), largest)} marker-start="url(#back)"/>`);
      if (current && current.t === t && current.name === "dx") out.push(`<rect class="current" x="${x + left + 5}" y="${low - 36}" width="60" height="13" rx="3"/>`);
      text(x + left + 7, low - 26, "d " + (shows(t, "dx") ? number(back[t].dx[k]) : "?"), "d", "start", `data-t="${t}" data-name="dx"`);
      text(x + left, low, `x_${t} = ${number(net.x[t][k])}`, dragClass, "middle", drag(`x.${t}.${k}`));
      for (const { box: [bx, by, width, name, gateName, height = 20] } of picture.boxes) {
        const isNow = current && current.t === t && gateName !== undefined && [`a_x${gateName}`, `a_h${gateName}`].includes(current.name);
        out.push(`<rect class="box${isNow ? " current" : ""}" x="${bx + left - width / 2}" y="${by - height / 2}" width="${width}" height="${height}" rx="5"/>`);
        text(bx + left, by + 4, name, "name");
      }
      for (const [rx, ry, sign] of picture.rings) {
        out.push(`<circle class="box" cx="${rx + left}" cy="${ry}" r="${RING}"/>`);
        text(rx + left, ry + 4, sign, "name");
      }
      const [low_dy, from, to] = picture.dy;
      const slot = left + picture.width;
      out.push(`<path class="base" d="M${slot} ${from}L${slot} ${to}"/>`);
      if (shows(t, "dy") && norm(net.dy[t]) > 0) out.push(`<path class="wire" d="M${slot} ${from}L${slot} ${to}" ${stroke(norm(net.dy[t]), largest)} marker-start="url(#back)"/>`);
      text(slot, low_dy, `dy_${t} = ${number(net.dy[t][unit])}`, dragClass, "middle", drag(`dy.${t}.${unit}`));
    }
    for (let t = 0; t <= T; t++) {
      for (const [letter, y] of Object.entries(picture.slots)) {
        const x = LEFT + t * picture.width;
        out.push(`<rect class="box" x="${x - SLOT}" y="${y - 14}" width="${2 * SLOT}" height="28" rx="6"/>`);
        text(x, y + 4, `${letter}_${t}`, t === 0 ? dragClass : "name", "middle", t === 0 ? drag(`state.${letter}.${unit}`) : "");
      }
    }
    const [width, height] = [2 * LEFT + T * picture.width, picture.height];
    const tip = '<defs><marker id="back" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="14" markerHeight="14" markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>';
    const what = `${model.name}, ${T} steps; |dh_0| = ${number(norm(back[0].dh_prev))}, |dh_${T}| = ${number(norm(back[T - 1].dh))}`;
    return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(what)}">${tip}${out.join("")}</svg>`;
  }

  const largestOf = (back) => Math.max(...back.flatMap((v) => ["dh", "dc", "dh_prev", "dc_prev", "dx", "dy"].map((name) => norm(v[name]))));

  /* The scale of widths, for readers of the picture */
  function scale(back) {
    const largest = largestOf(back);
    const wireOf = (part) => `<svg width="40" height="10" aria-hidden="true"><path class="wire" d="M0 5L40 5" ${stroke(part * largest, largest)}/></svg>`;
    return [1, 1e-1, 1e-2, 1e-4, 1e-6].map((part) => `<span>${wireOf(part)} ${number(part * largest)}</span>`).join("");
  }

  /* The size of the gradient in every slot, on a logarithmic scale. series: [{label, sizes}], one value a slot. */
  function strip(series, label) {
    const [width, height, left, low] = [520, 96, 62, 78];
    const all = series.flatMap(({ sizes }) => sizes).filter((v) => v > 0 && Number.isFinite(v));
    if (!all.length) return "";
    const top = Math.ceil(Math.log10(Math.max(...all)));
    const bottom = Math.min(top - 2, Math.max(top - 12, Math.floor(Math.log10(Math.min(...all)))));
    const y = (v) => low - ((low - 8) * Math.max(0, Math.log10(v) - bottom)) / (top - bottom);
    const slots = series[0].sizes.length;
    const step = (width - left - 8) / slots;
    const out = [top, (top + bottom) / 2, bottom].map((power) => `<path class="base" d="M${left - 4} ${y(10 ** power)}L${width} ${y(10 ** power)}"/><text x="${left - 8}" y="${y(10 ** power) + 4}" text-anchor="end">${number(10 ** power)}</text>`);
    const thick = Math.min(16, (step - 4) / series.length);
    series.forEach(({ sizes, label: name }, k) => {
      sizes.forEach((v, t) => {
        if (v > 0) out.push(`<rect class="bar bar${k}" x="${(left + t * step + k * thick).toFixed(1)}" y="${y(v).toFixed(1)}" width="${thick.toFixed(1)}" height="${Math.max(0.5, low - y(v)).toFixed(1)}" data-size="${v}" data-series="${escape(name)}"><title>${escape(name)} ${t}: ${number(v)}</title></rect>`);
        if (k === 0) out.push(`<text x="${(left + (t + 0.3) * step).toFixed(1)}" y="${low + 14}">${t}</text>`);
      });
    });
    const legend = series.map(({ label: name }, k) => `<span><i class="key bar${k}"></i>${escape(name)}</span>`).join(" ");
    return `<div class="legend">${escape(label)} ${legend}</div><svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(label)}">${out.join("")}</svg>`;
  }

  const left = (model, t) => LEFT + t * pictureOf(model).width;
  const width = (model) => pictureOf(model).width;

  return { draw, scale, strip, left, width, number, norm, escape };
})();
