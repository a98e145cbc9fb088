"""What is wrong in one step of a cell: the first wrong variable of its backward, or a forward that is another cell's.

For each local variable v of forward, the gradient of the loss with respect to v is computed by a complex step on v, in
the running forward. Backward's local variables are recorded as they are assigned; the one called dv must be that
gradient. The first that is not is the error: everything before it is right.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ...nn.own_parameters import cell_name
from .. import reference
from ..cases import Step
from ..numerical import dtype_of
from ..result import largest, near, relative_error
from . import places, tracing

TOLERANCE = {"complex": 1e-12, "central": 1e-5}
RIGHT_FOR_ANOTHER_FORWARD = "the gradient is right for what forward computes; "
NAMES = {"RNNCell": "RNN", "ReLURNNCell": "ReLU RNN", "LSTMCell": "LSTM", "GRUCell": "GRU"}


def diagnose(cell: Any, step: Step, method: str = "complex") -> list[str]:
    """Return what is wrong in one step of a cell, the first wrong variable first; empty if backward is right."""
    tolerance, true_cell = TOLERANCE[method], reference.TrueDerivative(cell, method)
    _, cache = step.forward(cell)
    true = step.gradients(true_cell, step.forward(true_cell)[1])
    forward = forward_difference(cell, step)
    assigned: list[tracing.Assignment] = []
    before, raised, given = tracing.copied(cache), False, dict[str, Any]()
    try:
        codes = [tracing.code_of(cell.backward)]
        given, _ = tracing.record(lambda: step.gradients(cell, cache), codes, into=assigned)
    except Exception:
        raised = True
    wrong = [name for name, d in given.items() if not near(d, true[name], tolerance)]
    overwritten = _overwritten(cell, assigned, cache, before)
    if not (raised or wrong or overwritten):
        return []
    if forward is not None and _backward_fits_the_reference(cell, step):
        return [f"{forward}; backward is right for the published forward"]
    locals_of_forward, known = _true_gradients(cell, step, true, method)
    lines = _wrong_variables(cell, step, assigned, known, tolerance, raised)
    if lines:
        blocks = {
            gate
            for name in ("a_x", "a_h")
            if name in given
            for gate in _gates(cell, given[name], true[name], tolerance)
        }
        gates = [gate for gate in cell.gates if gate in blocks and len(cell.gates) > 1]
        lines[0] += f"; da is wrong in gate {', '.join(gates)}" if gates else ""
    for name in [] if lines else wrong:
        place, line = _where(cell, step, name, given[name], true[name]), _returned_by(cell, name)
        lines.append(f"{cell_name(cell)}.backward returns a wrong d{name}, {place}{line}")
    both = [f"{forward}; backward is wrong for both forwards"] if forward else []
    return both + _changed_in_the_cache(cell, assigned, locals_of_forward) + lines + overwritten


def _gates(cell: Any, given: Any, true: np.ndarray, tolerance: float) -> list[str]:
    """Return the letters of the gates in whose blocks a gradient is wrong."""
    G = len(cell.gates)
    if np.shape(given) != true.shape or len(true) % G:
        return []
    blocks = zip(cell.gates, np.split(given, G), np.split(true, G))
    return [gate for gate, d, true_d in blocks if largest(d - true_d) > tolerance * largest(true)]


def _returned_by(cell: Any, name: str) -> str:
    """Return the line of backward that puts the gradient of ``name`` into what it returns, as far as the text tells."""
    code = tracing.code_of(cell.backward)
    line = code and (places.line_with(code, f'"{name}":') or places.line_with(code, "return "))
    return f"; {places.line_of(code, line)}" if code and line else ""


def _where(cell: Any, step: Step, name: str, given: np.ndarray, expected: np.ndarray) -> str:
    """Return the place of the worst element of the gradient of ``name``, both values, and other wrong gates."""
    if np.shape(given) != expected.shape:
        return f"shape {np.shape(given)} given, {expected.shape} expected"
    where, a, b = places.worst_element(given, expected)
    values = f"{a:.9g} given, {b:.9g} expected"
    if any(name in mapping for mapping in step.own):
        return ", ".join([*places.of_own(where, given.shape), values])
    units, G = len(step.state[0]), len(cell.gates)
    place = places.of_column(where, given.shape, cell.gates, units)
    if G > 1 and given.shape[0] == G * units:
        others = [gate for gate in _gates(cell, given, expected, 1e-9) if f"gate {gate}," not in place]
        place += f" (also wrong: gates {', '.join(others)})" if others else ""
    return f"{place}: {values}"


def _backward_fits_the_reference(cell: Any, step: Step) -> bool:
    """True if backward, given the cache of the published forward, is the derivative of that forward."""
    known = reference.reference_of(cell)
    assert known is not None  # a cell of npseq
    _, cache = step.forward(known)
    try:
        given = step.gradients(cell, cache)
    except Exception:  # the edited cell keeps something else in its cache
        return False
    true = step.gradients(known, cache)
    return all(near(d, true[name], TOLERANCE["complex"]) for name, d in given.items())


def forward_difference(cell: Any, step: Step) -> str | None:
    """Return how forward differs from that of the published cell of the same name; None if it does not."""
    known = reference.reference_of(cell)
    if known is None:
        return None
    (new, _), assigned = tracing.record(lambda: step.forward(cell), [tracing.code_of(cell.forward)])
    (true, _), published = tracing.record(lambda: step.forward(known), [tracing.code_of(known.forward)])
    pairs = zip(cell.state, new, true)
    letters = [letter for letter, a, b in pairs if not relative_error(a, b) < TOLERANCE["complex"]]
    if not letters:
        return None
    text = f"forward is not the {NAMES[known.__name__]}'s"
    values = {item.name: item.value for item in published}
    for item in assigned:
        if item.name in values and np.shape(item.value) == np.shape(values[item.name]):
            if not near(item.value, values[item.name], TOLERANCE["complex"]):
                return f"{text}: {item.name} differs, {places.line_of(item.code, item.line)}"
    return f"{text}: the new {', '.join(letters)} differs"


def _true_gradients(cell: Any, step: Step, true: dict[str, Any], method: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the last value of each local variable of forward, and name -> the true gradients with respect to it.

    A variable that is assigned several times has several gradients. The arguments are in it too.
    """
    code, dtype = tracing.code_of(cell.forward), dtype_of(method)
    known: dict[str, list[Any]] = {name: [d] for name, d in true.items()}
    for k, gate in enumerate(cell.gates):  # a = a_x + a_h, of a cell that only adds the two
        block, other = (np.split(true[name], len(cell.gates))[k] for name in ("a_x", "a_h"))
        if near(block, other, TOLERANCE[method]):
            known[f"a_{gate}"] = [block]
    if near(true["a_x"], true["a_h"], TOLERANCE[method]):
        known["a"] = [true["a_x"]]
    if code is None:
        return {}, known
    _, assigned = tracing.record(lambda: step.forward(cell), [code])
    found: dict[str, list[Any]] = {}
    for item in assigned:
        text = places.text_of(code, item.line)
        if ";" in text or ":=" in text:  # the line may read the variable again before it can be changed
            continue
        if isinstance(item.value, np.ndarray) and item.value.dtype.kind == "f":
            d = tracing.gradient_of(lambda: step.loss(step.forward(cell, dtype)[0]), item, method)
            if d is not None and largest(d):  # else it cannot be complex, or nothing reads the variable
                found.setdefault(item.name, []).append(d)
    return {item.name: item.value for item in assigned}, {**known, **found}


def _wrong_variables(
    cell: Any, step: Step, assigned: list[Any], known: dict[str, Any], tolerance: float, raised: bool
) -> list[str]:
    """Return a line about the first line of backward with a variable d + v whose last value is not the gradient of v.

    All wrong variables of that line are named. If it only takes them from ``d_state``, a second line names the next. If
    backward ``raised`` an exception, or all values are right, a variable of another shape than v's is wrong too.
    """
    last = {item.name: item for item in assigned}
    wrong, misshapen = [], []
    for item in assigned:
        gradients = known.get(item.name[1:], [])
        if item is not last[item.name] or not item.name.startswith("d") or not gradients:
            continue
        expected = [e for e in gradients if np.shape(e) == np.shape(item.value)]
        before = known.get(f"{item.name[1:]}_prev", [])  # dh may be the name of what is returned for h'
        if expected and not any(near(item.value, e, tolerance) for e in [*expected, *before]):
            wrong.append(_first_with_the_error(cell, step, assigned, item, expected[-1]))
        elif not expected and isinstance(item.value, (np.ndarray, np.generic, float)):
            misshapen.append((item, gradients[-1]))
    if raised or not wrong:
        wrong = [(item, e) for item in assigned for other, e in [*wrong, *misshapen] if other is item]
    lines: dict[int, list[Any]] = {}
    for item, true in wrong:
        lines.setdefault(item.line, []).append((item, true))
    texts, given = [], step.S
    for pairs in lines.values():
        texts.append(_wrong_line(cell, step, assigned, sorted(pairs, key=_column)))
        if not all(any(np.array_equal(item.value, d) for d in given) for item, _ in pairs):
            break
    return texts[:2]


def _first_with_the_error(
    cell: Any, step: Step, assigned: list[Any], item: tracing.Assignment, expected: np.ndarray
) -> tuple[tracing.Assignment, np.ndarray]:
    """Return an earlier assignment that takes something else from d_state, if that is the whole error; else the item.

    In ``dh, dc = d_state`` and then ``dc = dc + …`` both values of dc have the error of the first line.
    """
    for letter, given in zip(cell.state, step.S):
        if item.name == "d" + letter:
            for other in assigned:
                if other.name == item.name and other is not item and np.shape(other.value) == given.shape:
                    if relative_error(other.value - given, item.value - expected) < 1e-9:
                        return other, given
    return item, expected


def _wrong_line(cell: Any, step: Step, assigned: list[Any], wrong: list[Any]) -> str:
    """Return a line about the wrong variables of one line of backward: pairs (assignment, true gradient)."""
    names = ", ".join(item.name + _gate(cell, item.name) for item, _ in wrong)
    lines = {other.line for other in assigned for item, _ in wrong if other.name == item.name}
    several = f" (assigned in lines {', '.join(map(str, sorted(lines)))})" if len(lines) > 1 else ""
    item, expected = wrong[0]
    return (
        f"{cell_name(cell)}.backward: {names} {'is' if len(wrong) == 1 else 'are'} wrong{several}, "
        f"{places.line_of(item.code, item.line)}; "
        f"{_where(cell, step, item.name[1:], item.value, expected)}"
    )


def _column(pair: tuple[tracing.Assignment, Any]) -> int:
    """Return where in its line the variable of a pair stands."""
    found = re.search(rf"\b{pair[0].name}\b", places.text_of(pair[0].code, pair[0].line))
    return found.start() if found else 0


def _gate(cell: Any, name: str) -> str:
    """Return " (gate f)" for df or da_f, "" for other names."""
    return f" (gate {name[-1]})" if name[1:] in (*cell.gates, *(f"a_{gate}" for gate in cell.gates)) else ""


def _changed_in_the_cache(cell: Any, assigned: list[Any], locals_of_forward: dict[str, Any]) -> list[str]:
    """Return a line for the first line of backward that takes from the cache what has another value in forward."""
    changed: dict[tuple[Any, ...], list[str]] = {}
    for item in assigned:
        before, of_cache = locals_of_forward.get(item.name), "cache" in places.text_of(item.code, item.line)
        arrays = isinstance(before, np.ndarray) and isinstance(item.value, np.ndarray)
        if arrays and of_cache and not item.name.startswith(("d", "_")) and not near(item.value, before, 1e-12):
            changed.setdefault((item.code, item.line), []).append(item.name)
    if not changed:
        return []
    (code, line), names = next(iter(changed.items()))
    text = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not forward's {', '.join(names)}"
    forward = tracing.code_of(cell.forward)
    returned = forward and places.line_with(forward, "return ")
    holds = f" ({places.line_of(forward, returned)})" if forward and returned else ""
    return [
        f"{cell_name(cell)}.backward: {text}: the cache holds something else{holds} or is read in another order, "
        f"{places.line_of(code, line)}"
    ]


def _arrays(value: Any) -> list[np.ndarray]:
    """Return the arrays in a tuple, a list or a dict, or in several inside each other."""
    if isinstance(value, np.ndarray):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return [array for part in parts for array in _arrays(part)]


def _overwritten(cell: Any, assigned: list[Any], cache: Any, before: Any) -> list[str]:
    """Return a line if backward has changed an array of the cache, so that a second call would read other values."""
    for array, old in zip(_arrays(cache), _arrays(before)):
        if np.array_equal(array, old, equal_nan=True):
            continue
        values = [item for item in assigned if isinstance(item.value, np.ndarray)]
        found = [item for item in values if any(np.array_equal(item.value, value) for value in (array, old))]
        where = f"{found[-1].name}, {places.line_of(found[-1].code, found[-1].line)}" if found else "an array of it"
        return [f"{cell_name(cell)}.backward changes what the cache holds: {where}; it must only read it"]
    return []
