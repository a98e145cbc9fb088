"""What a wrong gradient is: a known bug, an error in the cell, the recurrence or the layer; and what it looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..nn.recurrent import Recurrent
from . import cell_diagnosis, planted_bugs, recurrence_diagnosis
from .planting import Case, reference_layer
from .reference import reference_of
from .result import Result, largest, relative_error

SCALES = 1.0, 2.0**40, 2.0**-40  # of dy and d_state: a gradient is linear in them
ALIKE = 1e-9  # a wrong gradient is called "equal to" a pattern when it is nearer to it than this

Arrays = Mapping[str, np.ndarray]


# ---- patterns in the numbers ----


def describe(name: str, given: np.ndarray, expected: np.ndarray, gates: str = "") -> list[str]:
    """Return what a wrong gradient looks like, one line for each pattern; empty if none is recognised.

    ``gates`` are the letters of the gate blocks of the array's rows, if it has gate blocks.
    """
    whole = _pattern(given, expected)
    if whole:
        return [f"{name} {whole}"]
    if len(gates) < 2:
        return []
    given_blocks, expected_blocks = np.split(given, len(gates)), np.split(expected, len(gates))
    lines = []
    for gate, block, true in zip(gates, given_blocks, expected_blocks):
        if relative_error(block, true) < ALIKE:
            continue
        pattern = _pattern(block, true)
        if pattern:
            lines.append(f"{name}: the {gate} block {pattern}")
        for other, other_true in zip(gates, expected_blocks):
            if other != gate and largest(other_true) and relative_error(block, other_true) < ALIKE:
                lines.append(f"{name}: the {gate} block is the gradient of the {other} block")
    return lines


def describe_steps(name: str, given: np.ndarray, expected: np.ndarray, padding: np.ndarray | None = None) -> list[str]:
    """Do the same for an array whose first axis is time; ``padding`` (T, B) is True at padded steps."""
    lines = []
    if largest(expected[0]) and not largest(given[0]) and largest(given):
        lines.append(f"all of t = 0 is missing: {name}[0] is zero")
    if len(given) > 1 and relative_error(given[::-1], expected) < ALIKE:
        lines.append(f"{name} is reversed in time: the reverse direction was not restored to forward order")
    if padding is not None and largest(given[padding]):
        lines.append(f"padding contributes: {name} is not zero past the end of a sequence")
    return lines


def _pattern(given: np.ndarray, expected: np.ndarray) -> str | None:
    """Return that an array is zero, has the wrong sign, or a constant factor; None if it is right or none of these."""
    if not np.all(np.isfinite(given)):
        return "has NaN or infinity in it"
    if relative_error(given, expected) < ALIKE or not largest(expected):
        return None
    if not largest(given):
        return "is zero everywhere"
    factor = float((given * expected).sum() / (expected * expected).sum())
    if given.size < 2 or relative_error(given, factor * expected) > ALIKE:
        return None
    return "has its sign flipped" if abs(factor + 1) < ALIKE else f"is {factor:.6g} times what it should be"


def patterns(
    result: Result,
    given: Arrays,
    expected: Arrays,
    gates: Mapping[str, str],
    steps_of: str | None = None,
    padding: np.ndarray | None = None,
) -> list[str]:
    """Return the patterns of every wrong array of a result."""
    lines = []
    for name, found in result.arrays.items():
        if not found.error <= result.threshold:
            if name == steps_of:
                lines += describe_steps(name, given[name], expected[name], padding)
            lines += describe(name, given[name], expected[name], gates.get(name, ""))
    return lines


# ---- a layer ----


def known_bugs(
    case: Case, calls: Sequence[Arrays], expected: Arrays, gradients: Callable[[Any], Sequence[Arrays]]
) -> list[str]:
    """Find the planted bugs with which the reference gives the same wrong gradients, the closest first.

    Args:
        case: the layer and what it was run on.
        calls: the gradients that the layer's backward returned, called once or twice.
        expected: the true gradients.
        gradients: ``gradients(layer)`` -> the same of another layer.
    """
    if not calls or not isinstance(case.layer, Recurrent):
        return []
    unbroken = reference_layer(case.layer)
    if any(_distance(call, expected) > ALIKE for call in gradients(unbroken)):
        return []  # nn/recurrent.py, which runs the reference too, is wrong, or forward is not the published one
    found = []
    for name, bug in planted_bugs.BUGS.items():
        if not bug.acts(case._replace(layer=unbroken)):
            continue
        with np.errstate(all="ignore"):  # a bug about one cell's gates may divide by zero in another
            wrong = gradients(planted_bugs.plant(name, unbroken))
        if len(wrong) == len(calls) and any(_distance(call, expected) > ALIKE for call in wrong):
            distance = max(map(_distance, calls, wrong))
            if distance < ALIKE:
                found.append((distance, f"equal to the gradient when {bug.what} ({name})"))
    return [line for _, line in sorted(found, key=lambda pair: pair[0])]


def _distance(given: Arrays, expected: Arrays) -> float:
    """Return the largest relative error of any array."""
    return max(relative_error(given[name], expected[name]) for name in expected)


def diagnose_layer(
    case: Case, calls: Sequence[Arrays], expected: Arrays, gradients: Callable[[Any], Sequence[Arrays]], method: str
) -> list[str]:
    """Return what is wrong in a layer: known bugs, then the cell, then the recurrence, then the layer around them."""
    cell, recurrence = _cell_and_recurrence(case, method, 1.0)
    lines: list[str] = []
    if reference_of(case.layer.cell) or cell is not None and cell.right:
        lines += attempt(lambda: known_bugs(case, calls, expected, gradients)) or []
    lines += cell.lines if cell is not None else []
    lines += recurrence or []
    if lines or cell is None or recurrence is None or not calls:
        return lines
    for scale in SCALES[1:]:
        cell, recurrence = _cell_and_recurrence(case, method, scale)
        lines = (cell.lines if cell is not None else []) + (recurrence or [])
        if lines:
            return [f"with dy and d_state times {scale:.0e}: {line}" for line in lines]
    kind = type(case.layer)
    where = "nn/recurrent.py" if kind.backward is Recurrent.backward else f"{kind.__name__}.backward"
    return [f"the cell and the recurrence are right by themselves: the error is in the layer, {where}"]


def _cell_and_recurrence(case: Case, method: str, scale: float) -> tuple[Any, list[str] | None]:
    """Return the ``CellReport`` of a layer's cell, and what is wrong in its recurrence; None for what cannot be judged.

    ``scale`` multiplies the gradients that backward is given.
    """
    layer, rng = case.layer, np.random.default_rng(0)
    step = cell_diagnosis.draw(layer.cell, layer.hidden_size, case.B, rng, layer.weights().own)
    step = step._replace(S=tuple(scale * part for part in step.S))
    cell = attempt(lambda: cell_diagnosis.diagnose(layer.cell, step, method))
    if not recurrence_diagnosis.can_judge(layer):
        return cell, None
    return cell, attempt(lambda: recurrence_diagnosis.diagnose(case, method, scale))


def attempt(find: Callable[[], Any]) -> Any:
    """Return what ``find`` returns; None if the code that is diagnosed fails."""
    try:
        return find()
    except Exception:
        return None
