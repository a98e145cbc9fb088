"""What ``checks.py`` calls last: each function adds to a result what is known about the errors in it.

The proof, every other module of this folder, imports neither the diagnosis nor the planted bugs. Here they are joined.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .bugs import recognised
from .cases import CellCase, LayerCase
from .diagnosis import cell as of_cell
from .diagnosis import failure, not_analytic, patterns, places
from .diagnosis import function as of_function
from .diagnosis import layer as of_layer
from .result import Result


def _reasons(result: Result) -> None:
    """Add the line of an exception, and why forward is not analytic."""
    if result.error is not None:
        line = failure.failure(result.error)
        for each in filter(None, (result, result.central)):
            each.faults.insert(0, line)
    if result.not_analytic and result.differentiated is not None:
        result.reasons = not_analytic.reasons(result.differentiated)


def function(result: Result, given: Any, expected: Any, steps_of: str | None, called: tuple[Any, ...]) -> None:
    """Explain the result of ``check``; ``called`` are the loss, the gradient and the arrays."""
    _reasons(result)
    if result.verdict == "wrong":
        result.diagnosis = of_layer.attempt(lambda: of_function.first_wrong(*called)) or []
        result.diagnosis += patterns.patterns(result, given, expected, {}, steps_of)


def cell(case: CellCase, result: Result, calls: list[Any], expected: Any, method: str, wrong: bool) -> None:
    """Explain the result of one step of a cell; ``wrong`` says whether backward is."""
    _reasons(result)
    gates = case.cell.gates
    places.set_places(result.arrays, {key: a.shape for key, a in case.arrays.items()}, gates, len(case.step.S[0]))
    difference = of_cell.forward_difference(case.cell, case.step)
    if difference and result.right:
        result.notes.append(of_cell.RIGHT_FOR_ANOTHER_FORWARD + difference)
    if wrong:
        found = of_layer.attempt(lambda: of_cell.diagnose(case.cell, case.step, method))
        result.diagnosis = found.lines if found else []
        result.diagnosis += patterns.patterns(result, calls[0], expected, {"a_x": gates, "a_h": gates}) if calls else []


def layer(
    case: LayerCase, result: Result, calls: list[Any], expected: Any, method: str, rng: Any, y: np.ndarray, wrong: bool
) -> bool:
    """Explain the result of a layer whose output is ``y``. True if forward is not that of the published cell."""
    _reasons(result)
    places.name_places(result.arrays, case.layer)
    notes = of_layer.other_forward(case, y, result.right)
    result.notes += notes
    if wrong:

        def known_bugs() -> list[str]:
            return recognised.known_bugs(case.case, calls, expected, case.gradients_of)

        result.diagnosis = of_layer.explain(case, result, calls, expected, method, rng, known_bugs)
        result.notes = [note for note in result.notes if not any(line.startswith(note) for line in result.diagnosis)]
    return bool(notes)


def model(result: Result, rnn: Any) -> None:
    """Name the places of the errors of a model with a recurrent part."""
    places.name_places(result.arrays, rnn, "rnn.")
