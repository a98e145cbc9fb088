"""A worked example: every equation of a small network with numbers substituted, forward and then backward.

The equations are those of ``docs/derivation.md``, by number; those of a cell that is not npseq's are the ones that it
states. Each formula below is evaluated as it is written, each gradient is compared with the complex step (the quantity
itself moved along the imaginary axis), and all results with ``bptt.py``, which runs the cell's own code; the last line
says whether everything agrees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import bptt
from ..nn.own_parameters import cell_name
from .derivatives import Equation, EquationError
from .equations import SHOWN, Description, describe, evaluate

STEP, AGREE = 1e-30, 1e-13
Values = dict[str, Any]  # name -> array, of one step
Element = tuple[str, str, float, "float | None"]  # label, numbers, value, complex-step value


class Line(NamedTuple):
    """One equation at one place: the formula, and for each element its numbers, value and complex-step value.

    ``names`` are the names by which ``--only`` finds it: its own, the one without the gate (a_x of a_xi, da of da_i),
    the one with a prime (c' of c_prev), and da_x, da_h where both are da.
    """

    section: str
    number: int | None
    name: str
    names: tuple[str, ...]
    formula: str
    elements: list[Element]


class WorkedExample:
    """Weights, inputs, initial state and output gradients of one sequence, in numbers of one digit.

    Args:
        cell: a class of ``cells.py``, or another that states its ``equations``.
        hidden_size, steps, input_size: H, T, I.
        seed: of the numbers.
        name: of the model, for the heading.

    Raises:
        EquationError: if the equations cannot be read, or there are none.
    """

    def __init__(
        self, cell: Any, hidden_size: int, steps: int, seed: int = 0, input_size: int = 1, name: str | None = None
    ) -> None:
        rng = np.random.default_rng(seed)

        def draw(*shape: int) -> Any:  # no zeros: a zero factor would hide an error
            return rng.integers(1, 10, shape) * rng.choice([-1, 1], shape) / 10

        described = describe(cell, name)
        if described is None:
            raise EquationError(
                f"{cell_name(cell)} has no attribute equations (its equations as text, see "
                "npseq/explain/derivatives.py)"
            )
        self.cell, H = cell, hidden_size
        self.description: Description = described
        self.gates = described.gates
        self.given: Values = {}
        for weight, shape in (("W_x", (H, input_size)), ("W_h", (H, H)), ("b_x", (H,)), ("b_h", (H,))):
            self.given.update({weight + gate: draw(*shape) for gate in self.gates})
        self.xs, self.dys = draw(steps, input_size), draw(steps, H)
        self.state = {letter: draw(H) for letter in described.state}
        self.given.update({own: draw(H) for own in described.own})

    def run(self, moved: tuple[int | None, str, Any] | None = None) -> tuple[Any, list[Values]]:
        """Run forward by the formulas.

        Args:
            moved: (step or None, name, index): ih is added to that element as soon as it has been computed.

        Returns:
            The loss Σ dy_t · h_{t+1}, and the values of each step.
        """

        def put(values: Values, step: int | None, name: str, value: np.ndarray) -> None:
            if moved is not None and moved[:2] == (step, name):
                value = value.astype(complex)
                value[moved[2]] += 1j * STEP
            values[name] = value

        given: Values = {}
        for name, value in self.given.items():
            put(given, None, name, value)
        state, loss, steps = self.state, 0.0, []
        for t, (x, dy) in enumerate(zip(self.xs, self.dys)):
            v = dict(given)
            put(v, t, "x", x)
            for letter in self.description.state:
                put(v, t, letter + "_prev", state[letter])
            put(v, t, "h_direct", v["h_prev"])
            for gate in self.gates:
                put(v, t, "a_x" + gate, v["W_x" + gate] @ v["x"] + v["b_x" + gate])  # (7)
                put(v, t, "a_h" + gate, v["W_h" + gate] @ v["h_prev"] + v["b_h" + gate])  # (8)
            for _, name, formula in self.description.forward:
                put(v, t, name, evaluate(formula, v))
            state = {letter: v[letter] for letter in self.description.state}
            loss = loss + (dy * v["h"]).sum()
            steps.append(v)
        return loss, steps

    def complex_step(self, step: int | None, name: str, index: Any) -> float:
        """Return one element of the gradient ``name`` by the complex step: the factor of a small change in (1)."""
        what = name[1:]
        if what.startswith("a") and "a_x" + what[2:] in self._pre_activations():
            what = "a_x" + what[2:]  # da_i stands for da_xi and da_hi, which are equal
        return float(self.run((step, what, index))[0].imag / STEP)

    def _pre_activations(self) -> list[str]:
        return ["a_x" + gate for gate in self.gates]


def explain(network: WorkedExample) -> tuple[list[Line], list[Values], Values]:
    """Compute all lines.

    Returns:
        The lines, forward and then backward; the values of each step; the gradients, name -> value.
    """
    _, steps = network.run()
    lines: list[Line] = []
    for t, v in enumerate(steps):
        lines += _forward_lines(network, t, v)
    gradients = {name: np.zeros_like(value) for name, value in network.given.items()}
    gradients["x"] = np.zeros_like(network.xs)
    carried = {letter: np.zeros_like(part) for letter, part in network.state.items()}
    for t in reversed(range(len(steps))):
        v = steps[t]
        lines += _backward_lines(network, t, v, carried)
        carried = {letter: v[f"d{letter}_prev"] for letter in network.description.state}
        gradients["x"][t] = v["dx"]
    lines += _weight_lines(network, steps, gradients)
    gradients.update({letter + "_0": part for letter, part in carried.items()})
    return lines, steps, gradients


def _forward_lines(network: WorkedExample, t: int, v: Values) -> Iterator[Line]:
    section = f"step {t}, forward"
    for number, a, W, x, b in ((7, "a_x", "W_x", "x", "b_x"), (8, "a_h", "W_h", "h_prev", "b_h")):
        for gate in network.gates:
            elements: list[Element] = [
                (f"[{j}]", _sum_of(zip(row, v[x]), bias), value, None)
                for j, (row, bias, value) in enumerate(zip(v[W + gate], v[b + gate], v[a + gate]))
            ]
            formula = f"{W}{gate} {SHOWN.get(x, x)} + {b}{gate}"
            yield Line(section, number, a + gate, (a + gate, a), formula, elements)
    for equation in network.description.forward:
        yield _element_wise(network, section, equation, v)


def _backward_lines(network: WorkedExample, t: int, v: Values, carried: Values) -> Iterator[Line]:
    section = f"step {t}, backward"
    v.update({f"d{letter}_carried": part for letter, part in carried.items()}, dy=network.dys[t])
    for equation in [Equation(29, "dh", "dy + dh_carried"), *network.description.backward]:
        v[equation.name] = evaluate(equation.formula, v) + np.zeros_like(v["dh_carried"])
        if equation.name[1:] not in network.given:  # the gradient of an own parameter is shown when it is summed
            yield _element_wise(network, section, equation, v, t)
    direct = v.get("dh_direct")
    v["dh_prev"], dh = _through(network, t, v, "W_h", "h", "dh_prev", direct)  # (30)
    v["dx"], dx = _through(network, t, v, "W_x", "x", "dx")  # (34)
    formula = "W_hᵀ da_h" + (" + dh'_direct" if direct is not None else "")
    yield Line(section, 30, "dh_prev", ("dh_prev", "dh'", *["dh_0"] * (t == 0)), formula, dh)
    yield Line(section, 34, "dx", ("dx",), "W_xᵀ da_x", dx)


def _through(
    network: WorkedExample, t: int, v: Values, W: str, side: str, name: str, direct: np.ndarray | None = None
) -> tuple[np.ndarray, list[Element]]:
    """The gradient dX = Wᵀ da of (3), over all gates, and its elements."""
    terms = [(v[W + gate], _da(v, side, gate)) for gate in network.gates]
    total = sum(matrix.T @ da for matrix, da in terms) + (0 if direct is None else direct)
    elements: list[Element] = []
    for k, value in enumerate(total):
        pairs = [pair for matrix, da in terms for pair in zip(matrix[:, k], da)]
        numbers = _sum_of(pairs, None if direct is None else direct[k])
        elements.append((f"[{k}]", numbers, value, network.complex_step(t, name, k)))
    return total, elements


def _weight_lines(network: WorkedExample, steps: list[Values], gradients: Values) -> Iterator[Line]:
    """The weights are used at every step, so their gradients are sums: dW = da Xᵀ and db = da of (3)."""
    section = "after the loop"
    for number, W, side, x in ((31, "W_x", "x", "x"), (32, "W_h", "h", "h_prev")):
        for gate in network.gates:
            das, name = [_da(v, side, gate) for v in steps], W + gate
            gradients[name] += sum(np.outer(da, v[x]) for da, v in zip(das, steps))
            elements: list[Element] = []
            for (j, k), value in np.ndenumerate(gradients[name]):
                numbers = _sum_of([(da[j], v[x][k]) for da, v in zip(das, steps)])
                elements.append((f"[{j},{k}]", numbers, value, network.complex_step(None, "d" + name, (j, k))))
            formula = f"Σ_t d{_a(steps[0], side, gate)} {SHOWN.get(x, x)}ᵀ"
            yield Line(section, number, "d" + name, ("d" + name, "d" + W), formula, elements)
    for side in "xh":
        for gate in network.gates:
            das, name = [_da(v, side, gate) for v in steps], f"b_{side}{gate}"
            gradients[name] += sum(das)
            formula = f"Σ_t d{_a(steps[0], side, gate)}"
            elements = _summed(network, name, das, gradients[name])
            yield Line(section, 33, "d" + name, ("d" + name, f"db_{side}"), formula, elements)
    for name in network.description.own:
        das = [v["d" + name] for v in steps]
        gradients[name] += sum(das)
        (formula,) = (e.formula for e in network.description.backward if e.name == "d" + name)
        shown = f"Σ_t {_put_in(formula, lambda other: SHOWN.get(other, other)).replace(' * ', ' ⊙ ')}"
        yield Line(section, None, "d" + name, ("d" + name,), shown, _summed(network, name, das, gradients[name]))


def _summed(network: WorkedExample, name: str, das: list[np.ndarray], total: np.ndarray) -> list[Element]:
    return [
        (f"[{j}]", " + ".join(_number(da[j]) for da in das), value, network.complex_step(None, "d" + name, j))
        for j, value in enumerate(total)
    ]


def _a(v: Values, side: str, gate: str) -> str:
    """Name of a pre-activation: a_xn where the gradients of a_x and a_h differ, else a_i, or a."""
    apart = f"a_{side}{gate}"
    return apart if "d" + apart in v else f"a_{gate}" if gate else "a"


def _da(v: Values, side: str, gate: str) -> Any:
    return v["d" + _a(v, side, gate)]


def _element_wise(network: WorkedExample, section: str, equation: Equation, v: Values, step: int | None = None) -> Line:
    """A formula, and for each element the numbers substituted for its names."""
    number, name, formula = equation
    elements: list[Element] = []
    for j, value in enumerate(v[name]):
        numbers = _put_in(formula, lambda other: _number(v[other][j])).replace(" * ", "·")
        numbers = re.sub(r"\(\((-[\d.]+)\)\)", r"(\1)", numbers)
        elements.append((f"[{j}]", numbers, value, None if step is None else network.complex_step(step, name, j)))
    shown = _put_in(formula, lambda other: SHOWN.get(other, other)).replace(" * ", " ⊙ ")
    names = [name, SHOWN.get(name, name)]
    if name.startswith("da"):
        gate = name.removeprefix("da_") if "_" in name else ""
        together = gate in network.gates
        names += ["da", *(f"da_{side}" for side in "xh" if together or gate.startswith(side))]
        names += [f"da_{side}{gate}" for side in "xh" if together]
    if step == 0 and name == "dc_prev":
        names.append("dc_0")
    return Line(section, number, name, tuple(dict.fromkeys(names)), shown, elements)


def _put_in(formula: str, text_of: Any) -> str:
    """The formula with each name, but not the functions, replaced."""
    text = re.sub(r"[A-Za-z]\w*(?![\w(])", lambda match: text_of(match[0]), formula)
    return text.replace("**2", "²").replace(" - ", " − ")


def _sum_of(pairs: Iterable[tuple[Any, Any]], last: float | None = None) -> str:
    terms = [f"{_number(a)}·{_number(b)}" for a, b in pairs] + ([] if last is None else [_number(last)])
    return " + ".join(terms)


def _number(value: float) -> str:
    text = f"{value:.4f}"
    return f"({text})" if value < 0 and text != "-0.0000" else text.lstrip("-")


def weights_of(network: WorkedExample, of: Values) -> bptt.Weights:
    """Return the parameters in ``of`` (or their gradients) as ``bptt.py`` takes them, the gates stacked."""

    def stack(name: str) -> np.ndarray:
        return np.concatenate([of[name + gate] for gate in network.gates])

    weights = bptt.Weights(stack("W_x"), stack("W_h"), stack("b_x")[:, None], stack("b_h")[:, None])
    own = {name: of[name][:, None] for name in network.description.own}
    return weights._replace(own=own) if own else weights


def by_bptt(network: WorkedExample) -> tuple[np.ndarray, bptt.Weights, np.ndarray, tuple[np.ndarray, ...]]:
    """Return the outputs, d_weights, dx and d_state of the initial state by ``bptt.py`` and the cell's own code."""
    state = tuple(part[:, None] for part in network.state.values())
    weights = weights_of(network, network.given)
    hs, _, tape = bptt.forward_through_time(network.cell, weights, network.xs[:, :, None], state)
    assert tape is not None
    zeros = tuple(np.zeros_like(part) for part in state)
    d_weights, d_x, d_state = bptt.backward_through_time(network.cell, weights, tape, network.dys[:, :, None], zeros)
    assert d_x is not None
    return hs, d_weights, d_x, d_state


def disagreements(network: WorkedExample, lines: list[Line], steps: list[Values], gradients: Values) -> list[str]:
    """Return where equations, complex step and ``bptt.py`` differ by more than ``AGREE``; empty if nowhere."""
    wrong = [
        f"{line.name}{label} ({line.section})"
        for line in lines
        for label, _, value, expected in line.elements
        if expected is not None and abs(value - expected) > AGREE
    ]
    hs, d_weights, d_x, d_state = by_bptt(network)
    pairs: list[Any] = [("h", hs[:, :, 0], np.array([v["h"] for v in steps])), ("dx", d_x[:, :, 0], gradients["x"])]
    pairs += zip(("dW_x", "dW_h", "db_x", "db_h"), iter(d_weights), iter(weights_of(network, gradients)))
    pairs += [
        (f"d{letter}_0", d[:, 0], gradients[letter + "_0"]) for letter, d in zip(network.description.state, d_state)
    ]
    own = d_weights.own or {}
    pairs += [(f"d{name}", own[name][:, 0], gradients[name]) for name in network.description.own]
    return wrong + [f"{name} of bptt.py" for name, theirs, ours in pairs if np.abs(theirs - ours).max() > AGREE]
