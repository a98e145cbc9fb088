"""A worked example: every equation of a small network with its numbers put in, forward and then backward.

The equations are the ones of ``docs/derivation.md``, by number. What is printed is what is computed: each formula below
is evaluated as it stands, each gradient is compared with the complex step (the very quantity moved along the imaginary
axis), and the whole with ``bptt.py``; the last line says whether all agree.
"""

import re
from typing import NamedTuple

import numpy as np

from .. import bptt
from .equations import BACKWARD, CELLS, FORWARD, SHOWN, evaluate

STEP, AGREE = 1e-30, 1e-13


class Line(NamedTuple):
    """One equation at one place: the formula, and for each element its numbers, value and complex-step value."""

    section: str
    number: int
    name: str
    group: str  # the name without the gate: a_x of a_xi, da of da_i
    formula: str
    elements: list  # of (label, numbers, value, complex-step value or None)


class WorkedExample:
    """Weights, inputs, initial state and output gradients of one sequence, in numbers of one digit."""

    def __init__(self, model, hidden_size, steps, seed=0, input_size=1):
        rng = np.random.default_rng(seed)

        def draw(*shape):  # no zeros: a zero hides what it is multiplied with
            return rng.integers(1, 10, shape) * rng.choice([-1, 1], shape) / 10

        self.model, self.cell, H = model, CELLS[model], hidden_size
        self.gates = self.cell.gates if len(self.cell.gates) > 1 else [""]
        self.given = {}
        for name, shape in (("W_x", (H, input_size)), ("W_h", (H, H)), ("b_x", (H,)), ("b_h", (H,))):
            self.given.update({name + gate: draw(*shape) for gate in self.gates})
        self.xs, self.dys = draw(steps, input_size), draw(steps, H)
        self.state = {letter: draw(H) for letter in self.cell.state}

    def run(self, moved=None):
        """Forward by the formulas -> the loss Σ dy_t · h_t, and the values of each step.

        ``moved`` = (step or None, name, index): that element is moved by ih as soon as it has its value.
        """

        def put(values, step, name, value):
            if moved is not None and moved[:2] == (step, name):
                value = value.astype(complex)
                value[moved[2]] += 1j * STEP
            values[name] = value

        given = {}
        for name, value in self.given.items():
            put(given, None, name, value)
        state, loss, steps = self.state, 0, []
        for t, (x, dy) in enumerate(zip(self.xs, self.dys), 1):
            v = dict(given)
            put(v, t, "x", x)
            for letter in self.cell.state:
                put(v, t, letter + "_prev", state[letter])
            put(v, t, "h_direct", v["h_prev"])
            for gate in self.gates:
                put(v, t, "a_x" + gate, v["W_x" + gate] @ v["x"] + v["b_x" + gate])
                put(v, t, "a_h" + gate, v["W_h" + gate] @ v["h_prev"] + v["b_h" + gate])
            for _, name, formula in FORWARD[self.model]:
                put(v, t, name, evaluate(formula, v))
            state = {letter: v[letter] for letter in self.cell.state}
            loss = loss + (dy * v["h"]).sum()
            steps.append(v)
        return loss, steps

    def complex_step(self, step, name, index):
        """The derivative of the loss with respect to one element of what ``name`` is the gradient of."""
        what = name[1:]
        if what.startswith("a") and "a_x" + what[2:] in self._pre_activations():
            what = "a_x" + what[2:]  # da_i stands for da_xi and da_hi, which are equal
        return self.run((step, what, index))[0].imag / STEP

    def _pre_activations(self):
        return ["a_x" + gate for gate in self.gates]


def explain(network):
    """-> the Lines, forward and then backward; the values of each step; the gradients, name -> value."""
    _, steps = network.run()
    lines = []
    for t, v in enumerate(steps, 1):
        lines += _forward_lines(network, t, v)
    gradients = {name: np.zeros_like(value) for name, value in network.given.items()}
    gradients["x"] = np.zeros_like(network.xs)
    carried = {letter: np.zeros_like(part) for letter, part in network.state.items()}
    for t in range(len(steps), 0, -1):
        v = steps[t - 1]
        lines += _backward_lines(network, t, v, carried)
        carried = {letter: v[f"d{letter}_prev"] for letter in network.cell.state}
        gradients["x"][t - 1] = v["dx"]
    lines += _weight_lines(network, steps, gradients)
    gradients.update({letter + "_0": part for letter, part in carried.items()})
    return lines, steps, gradients


def _forward_lines(network, t, v):
    section = f"step {t}, forward"
    for number, a, W, x, b in ((7, "a_x", "W_x", "x", "b_x"), (8, "a_h", "W_h", "h_prev", "b_h")):
        for gate in network.gates:
            elements = [
                (f"[{j}]", _sum_of(zip(row, v[x]), bias), value, None)
                for j, (row, bias, value) in enumerate(zip(v[W + gate], v[b + gate], v[a + gate]))
            ]
            yield Line(section, number, a + gate, a, f"{W}{gate} {SHOWN.get(x, x)} + {b}{gate}", elements)
    for number, name, formula in FORWARD[network.model]:
        yield _element_wise(network, section, number, name, formula, v)


def _backward_lines(network, t, v, carried):
    section = f"step {t}, backward"
    v.update({f"d{letter}_carried": part for letter, part in carried.items()}, dy=network.dys[t - 1])
    for number, name, formula in [(29, "dh", "dy + dh_carried"), *BACKWARD[network.model]]:
        v[name] = evaluate(formula, v)
        yield _element_wise(network, section, number, name, formula, v, t)
    direct = "dh_direct" in v
    terms = [(v["W_h" + gate], _da(v, "h", gate)) for gate in network.gates]
    v["dh_prev"] = sum(W.T @ da for W, da in terms) + (v["dh_direct"] if direct else 0)
    v["dx"] = sum(v["W_x" + gate].T @ _da(v, "x", gate) for gate in network.gates)
    elements = [
        (
            f"[{k}]",
            _sum_of([pair for W, da in terms for pair in zip(W[:, k], da)], v["dh_direct"][k] if direct else None),
            value,
            network.complex_step(t, "dh_prev", k),
        )
        for k, value in enumerate(v["dh_prev"])
    ]
    yield Line(section, 30, "dh_prev", "dh_prev", "W_hᵀ da_h" + (" + dh'_direct" if direct else ""), elements)
    terms = [(v["W_x" + gate], _da(v, "x", gate)) for gate in network.gates]
    elements = [
        (
            f"[{k}]",
            _sum_of([pair for W, da in terms for pair in zip(W[:, k], da)]),
            value,
            network.complex_step(t, "dx", k),
        )
        for k, value in enumerate(v["dx"])
    ]
    yield Line(section, 34, "dx", "dx", "W_xᵀ da_x", elements)


def _weight_lines(network, steps, gradients):
    section = "after the loop"
    for number, W, side, x in ((31, "W_x", "x", "x"), (32, "W_h", "h", "h_prev")):
        for gate in network.gates:
            das, name = [_da(v, side, gate) for v in steps], W + gate
            gradients[name] += sum(np.outer(da, v[x]) for da, v in zip(das, steps))
            elements = [
                (
                    f"[{j},{k}]",
                    _sum_of([(da[j], v[x][k]) for da, v in zip(das, steps)]),
                    value,
                    network.complex_step(None, "d" + name, (j, k)),
                )
                for (j, k), value in np.ndenumerate(gradients[name])
            ]
            formula = f"Σ_t d{_a(steps[0], side, gate)} {SHOWN.get(x, x)}ᵀ"
            yield Line(section, number, "d" + name, "d" + W, formula, elements)
    for side in "xh":
        for gate in network.gates:
            das, name = [_da(v, side, gate) for v in steps], f"b_{side}{gate}"
            gradients[name] += sum(das)
            elements = [
                (f"[{j}]", " + ".join(_number(da[j]) for da in das), value, network.complex_step(None, "d" + name, j))
                for j, value in enumerate(gradients[name])
            ]
            yield Line(section, 33, "d" + name, f"db_{side}", f"Σ_t d{_a(steps[0], side, gate)}", elements)


def _a(v, side, gate):
    """Which name the gradient of this pre-activation goes by: a_xn where the sides differ, else a_i, or a."""
    apart = f"a_{side}{gate}"
    return apart if "d" + apart in v else f"a_{gate}" if gate else "a"


def _da(v, side, gate):
    return v["d" + _a(v, side, gate)]


def _element_wise(network, section, number, name, formula, v, step=None):
    """A formula, and for each element the numbers that stand for its names."""
    elements = []
    for j, value in enumerate(v[name]):
        numbers = _put_in(formula, lambda other: _number(v[other][j])).replace(" * ", "·")
        elements.append(
            (
                f"[{j}]",
                re.sub(r"\(\((-[\d.]+)\)\)", r"(\1)", numbers),
                value,
                None if step is None else network.complex_step(step, name, j),
            )
        )
    shown = _put_in(formula, lambda other: SHOWN.get(other, other)).replace(" * ", " ⊙ ")
    group = "da" if name.startswith("da") else name
    return Line(section, number, name, group, shown, elements)


def _put_in(formula, text_of):
    """The formula with each name, but not the functions, replaced."""
    text = re.sub(r"[A-Za-z]\w*(?![\w(])", lambda match: text_of(match[0]), formula)
    return text.replace("**2", "²").replace(" - ", " − ")


def _sum_of(pairs, last=None):
    terms = [f"{_number(a)}·{_number(b)}" for a, b in pairs] + ([] if last is None else [_number(last)])
    return " + ".join(terms)


def _number(value):
    text = f"{value:.4f}"
    return f"({text})" if value < 0 and text != "-0.0000" else text.lstrip("-")


def disagreements(network, lines, steps, gradients):
    """Where equations, complex step and ``bptt.py`` differ by more than ``AGREE`` -> names, empty when all is well."""
    wrong = [
        f"{line.name}{label} ({line.section})"
        for line in lines
        for label, _, value, expected in line.elements
        if expected is not None and abs(value - expected) > AGREE
    ]

    def stack(name, of):
        return np.concatenate([of[name + gate] for gate in network.gates])

    def columns(of):
        return bptt.Weights(stack("W_x", of), stack("W_h", of), stack("b_x", of)[:, None], stack("b_h", of)[:, None])

    state = tuple(part[:, None] for part in network.state.values())
    weights = columns(network.given)
    hs, _, tape = bptt.forward_through_time(network.cell, weights, network.xs[:, :, None], state)
    d_weights, d_x, d_state = bptt.backward_through_time(
        network.cell, weights, tape, network.dys[:, :, None], tuple(np.zeros_like(part) for part in state)
    )
    pairs = [("h", hs[:, :, 0], np.array([v["h"] for v in steps])), ("dx", d_x[:, :, 0], gradients["x"])]
    pairs += zip(("dW_x", "dW_h", "db_x", "db_h"), d_weights, columns(gradients))
    pairs += [(f"d{letter}_0", d[:, 0], gradients[letter + "_0"]) for letter, d in zip(network.cell.state, d_state)]
    return wrong + [f"{name} of bptt.py" for name, own, other in pairs if np.abs(own - other).max() > AGREE]
