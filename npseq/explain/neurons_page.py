"""The page of ``npseq neurons``: one HTML file with everything in it, no script or style from elsewhere."""

from __future__ import annotations

import base64
import json

import numpy as np

from .neurons import Neurons


def render(neurons: Neurons, text: str, title: str) -> str:
    """Return the page.

    Args:
        neurons: what was measured over ``text``.
        text: the characters, as they are shown.
        title: of the page, such as the file's name.
    """
    largest = np.maximum(np.abs(neurons.units).max(axis=0), 1e-12)
    units = np.round(127 * neurons.units / largest).astype(np.int8)
    with np.errstate(divide="ignore"):  # six powers of ten below the largest, as 0 to 255
        reach = np.log10(neurons.reach / max(neurons.reach.max(), 1e-300))
    reach = np.round(255 * np.clip(1 + reach / 6, 0, 1)).astype(np.uint8)
    content = {
        "text": list(text),
        "units": _base64(units),
        "hidden": units.shape[1],
        "largest": [round(float(value), 4) for value in largest],
        "tracking": {name: [round(float(r), 3) for r in values] for name, values in neurons.tracking.items()},
        "nats": [None if np.isnan(value) else round(float(value), 3) for value in neurons.nats],
        "reach": _base64(reach),
        "window": reach.shape[1],
        "top": float(neurons.reach.max()),
        "title": title,
    }
    data = json.dumps(content, ensure_ascii=True).replace("<", "\\u003c")  # no text can end the script element
    return PAGE.replace("{{data}}", data)


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>npseq neurons</title>
<style>
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --soft: #676767; --line: #bbb; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15181d; --ink: #e6e9ee; --soft: #a4adba; --line: #4a525e; }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.2rem; margin: 0 0 .3rem; }
fieldset { border: 0; padding: 0; margin: .6rem 0; display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; }
#text { font: 15px/1.7 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  border: 1px solid var(--line); padding: .7rem; max-height: 60vh; overflow-y: auto; }
#text span { cursor: pointer; }
#text span.chosen { outline: 2px solid var(--ink); }
#text span:focus-visible { outline: 2px dashed var(--ink); }
.end { color: var(--soft); }
.key { display: inline-block; width: 2.6rem; height: .9rem; vertical-align: middle; border: 1px solid var(--line); }
p { margin: .4rem 0; }
</style>
</head>
<body>
<h1 id="title"></h1>
<p>The text is coloured by h of one unit of the top layer after each character; or, when a character is chosen (click,
or the arrow keys and Enter), by the size of its loss's gradient with respect to each character before it.</p>
<fieldset>
<label>Order units by <select id="order"></select></label>
<label>Unit <select id="unit"></select></label>
<button id="previous">previous</button><button id="next">next</button>
<button id="clear" disabled>show the unit again</button>
</fieldset>
<p id="key"></p>
<p id="status" role="status"></p>
<div id="text"></div>
<script type="application/json" id="data">{{data}}</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const units = new Int8Array(bytes(data.units).buffer), reach = bytes(data.reach);
const $ = id => document.getElementById(id), H = data.hidden, W = data.window;
const names = Object.keys(data.tracking);
let chosen = null;

$("title").textContent = data.title;
const most = name => Math.max(...data.tracking[name].map(Math.abs));
for (const name of [...names, "number"]) {
  const none = name in data.tracking && most(name) === 0;
  $("order").add(new Option(none ? name + " (none in this text)" : name, name));
}
$("order").value = names.reduce((a, b) => most(b) > most(a) ? b : a);
const spans = data.text.map((character, t) => {
  const span = document.createElement("span");
  if (character === "\\n") {
    const end = document.createElement("span");
    end.className = "end"; end.textContent = "↵";
    span.append(end, "\\n");
  } else span.textContent = character;
  span.dataset.t = t; span.tabIndex = t ? -1 : 0;
  return span;
});
$("text").append(...spans);

function best(unit) {
  let name = names[0];
  for (const other of names) {
    if (Math.abs(data.tracking[other][unit]) > Math.abs(data.tracking[name][unit])) name = other;
  }
  return name;
}
function list() {
  const order = $("order").value, numbers = [...Array(H).keys()];
  if (order !== "number") numbers.sort((a, b) => Math.abs(data.tracking[order][b]) - Math.abs(data.tracking[order][a]));
  $("unit").replaceChildren(...numbers.map(unit => {
    const name = order === "number" ? best(unit) : order;
    return new Option(`${unit}  (r = ${data.tracking[name][unit].toFixed(2)} with ${name})`, unit);
  }));
  show();
}
function paint(span, colour, alpha) { span.style.backgroundColor = alpha ? `rgba(${colour}, ${alpha})` : ""; }
function keys(...parts) {
  $("key").replaceChildren(...parts.flatMap(([colour, words]) => {
    const box = document.createElement("span");
    box.className = "key"; box.style.backgroundColor = colour;
    return [box, " " + words + "   "];
  }));
}
function show() {
  const unit = Number($("unit").value);
  spans.forEach(span => span.classList.remove("chosen"));
  $("clear").disabled = chosen === null;
  if (chosen === null) {
    spans.forEach((span, t) => {
      const value = units[t * H + unit] / 127;
      paint(span, value > 0 ? "31, 119, 180" : "214, 96, 20", (Math.abs(value) * .8).toFixed(3));
    });
    const size = data.largest[unit].toFixed(2);
    keys(["rgba(214, 96, 20, .8)", "−" + size], ["rgba(31, 119, 180, .8)", "+" + size]);
    $("status").textContent = `unit ${unit}: ` +
      names.map(name => `${name} r = ${data.tracking[name][unit].toFixed(2)}`).join(", ");
    return;
  }
  spans.forEach((span, t) => {
    const d = chosen - t - 1;
    paint(span, "120, 40, 140", d >= 0 && d < W ? (reach[chosen * W + d] / 255 * .85).toFixed(3) : 0);
  });
  spans[chosen].classList.add("chosen");
  keys(["rgba(120, 40, 140, .85)", `‖∂L/∂x‖ = ${data.top.toPrecision(2)}; half the colour is a thousandth of it`]);
  const nats = data.nats[chosen];
  $("status").textContent = nats === null ? "the first character is not predicted" :
    `character ${chosen + 1}, ${JSON.stringify(data.text[chosen])}: ${nats.toFixed(2)} nats, ` +
      `p = ${Math.exp(-nats).toFixed(3)}`;
}
function choose(event) {
  const span = event.target.closest("[data-t]");
  if (!span) return;
  const t = Number(span.dataset.t);
  chosen = chosen === t ? null : t;
  stop(t);
  show();
}
$("text").addEventListener("click", choose);
// the text is one stop of the Tab key; inside it the arrow keys go from character to character
function stop(t) {
  spans.forEach((span, k) => { span.tabIndex = k === t ? 0 : -1; });
}
const steps = { ArrowRight: t => t + 1, ArrowLeft: t => t - 1, Home: () => 0, End: () => spans.length - 1,
  ArrowDown: t => below(t, 1), ArrowUp: t => below(t, -1) };
function below(t, by) {  // the nearest character of the next line on the screen, or of the one before
  const { left, top } = spans[t].getBoundingClientRect();
  let best = t, distance = Infinity;
  for (let k = t + by; spans[k] && distance; k += by) {
    const other = spans[k].getBoundingClientRect();
    if (Math.abs(other.top - top) < 4) continue;
    if (best !== t && Math.abs(other.top - spans[best].getBoundingClientRect().top) >= 4) break;
    if (Math.abs(other.left - left) < distance) [best, distance] = [k, Math.abs(other.left - left)];
  }
  return best;
}
$("text").addEventListener("keydown", event => {
  const span = event.target.closest("[data-t]"), step = steps[event.key];
  if (event.key === "Enter") choose(event);
  if (!span || !step) return;
  event.preventDefault();
  const t = Math.min(Math.max(step(Number(span.dataset.t)), 0), spans.length - 1);
  stop(t); spans[t].focus();
});
$("order").addEventListener("change", list);
$("unit").addEventListener("change", () => { chosen = null; show(); });
for (const [id, by] of [["previous", -1], ["next", 1]]) $(id).addEventListener("click", () => {
  $("unit").selectedIndex = ($("unit").selectedIndex + by + H) % H; chosen = null; show();
});
$("clear").addEventListener("click", () => { chosen = null; show(); });
list();
</script>
</body>
</html>
"""
