"""What ``checks.py`` calls last: each function adds to a result what is known about the errors in it.

The proof, every other module of this folder but ``failures.py``, imports neither the diagnosis nor the planted bugs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nn.recurrent import Recurrent
from .bugs import recognised
from .cases import CellCase
from .diagnosis import cell as of_cell
from .diagnosis import failure, not_analytic, patterns, places, replay
from .diagnosis import function as of_function
from .diagnosis.failure import attempt
from .judge import THRESHOLD, judge
from .layer_case import SCALES, Case, LayerCase
from .reference import reference_of
from .result import Result, relative_error

AROUND = "the cell and the recurrence are right by themselves: the error is in the layer"


def _reasons(result: Result) -> None:
    """Add the line of an exception, and why forward is not analytic."""
    if result.error is not None:
        line = failure.failure(result.error)
        for each in filter(None, (result, result.central)):
            each.faults.insert(0, line)
    if result.not_analytic and result.differentiated is not None:
        result.reasons = not_analytic.reasons(result.differentiated)


def function(result: Result, steps_of: str | None, called: tuple[Any, ...]) -> None:
    """Explain the result of ``check``; ``called`` are the loss, the gradient and the arrays."""
    _reasons(result)
    if result.verdict == "wrong":
        result.diagnosis = attempt(lambda: of_function.first_wrong(*called))
        result.diagnosis += patterns.patterns(result, {}, steps_of)


def cell(case: CellCase, result: Result, wrong: bool) -> None:
    """Explain the result of one step of a cell; ``wrong`` says whether backward is."""
    _reasons(result)
    gates = case.cell.gates
    places.set_places(result.arrays, {key: a.shape for key, a in case.arrays.items()}, gates, len(case.step.S[0]))
    difference = of_cell.forward_difference(case.cell, case.step)
    if difference and result.right:
        result.notes.append(of_cell.RIGHT_FOR_ANOTHER_FORWARD + difference)
    if wrong:
        result.diagnosis = attempt(lambda: of_cell.diagnose(case.cell, case.step, result.method))
        result.diagnosis += patterns.patterns(result, {"a_x": gates, "a_h": gates})


def layer(case: LayerCase, result: Result, rng: Any, y: np.ndarray, wrong: bool, named: bool) -> bool:
    """Explain the result of a layer whose output is ``y``; ``wrong`` says whether backward is, ``named`` that the line
    is known. True if forward is not that of the published cell."""
    _reasons(result)
    places.name_places(result.arrays, case.layer)
    notes = _other_forward(case, y, result.right)
    result.notes += notes
    if wrong:
        bugs = attempt(lambda: recognised.known_bugs(case, result))
        scales = () if named else (1.0,) if bugs or not result.calls else (1.0, *SCALES)
        lines = bugs + _blame(case, result.method, scales)
        result.diagnosis = lines + _looks(case, result, None if bugs else rng)
        result.notes = [note for note in result.notes if not any(note in line for line in lines)]
    return bool(notes)


def _blame(case: LayerCase, method: str, scales: tuple[float, ...]) -> list[str]:
    """Return what is wrong: in the cell, the recurrence or the layer around them; dy and d_state times ``scales``."""
    kind = type(case.layer)
    own = kind.backward is not Recurrent.backward
    for scale in scales:
        lines: list[str] = attempt(lambda: replay.blame(case.of(case.layer, scale), method))
        if lines and lines[0].startswith(("recurrent.py", "torch_shapes.py")):
            return [f"{AROUND}, {kind.__name__}.backward"] if own else [f"{AROUND}, nn/{line}" for line in lines]
        if lines:
            return lines if scale == 1 else [f"with dy and d_state times {scale:.0e}: {line}" for line in lines]
    return [f"{AROUND}, {kind.__name__}.backward" if own else AROUND] if scales[1:] else []


def _looks(case: LayerCase, result: Result, rng: Any) -> list[str]:
    """Return what the gradients look like: over time or, with ``rng``, in one step, if that shows nothing."""
    layer, T = case.layer, case.case.T
    names = [name for name in result.expected if name.startswith(("weight_ih", "weight_hh", "bias"))]
    gates = dict.fromkeys(names, layer.cell.gates)
    padding = None if case.case.lengths is None else case.case.padding()
    found = patterns.patterns(result, gates, "x", padding)
    if found or T == 1 or rng is None or not result.calls:
        return found

    def of_one_step() -> list[str]:
        single = LayerCase(Case(layer, 1, case.case.B, None, *case.case[4:6]), rng)
        given = [single.gradients(layer, single.forward(layer)[2])]
        of_single = judge(single.make, given, result.method, THRESHOLD[result.method])
        return [f"with T = 1: {line}" for line in patterns.patterns(of_single, gates, "x")]

    return list(attempt(of_one_step))


def _other_forward(case: LayerCase, y: np.ndarray, right: bool) -> list[str]:
    """Return a note if the layer of an npseq cell no longer computes the published equations, ``right`` or not."""
    known = reference_of(case.layer.cell)
    if known is None or relative_error(y, case.expected(case.shape())[0]) <= 1e-10:
        return []
    found = of_cell.forward_difference(case.layer.cell, case.step())
    found = found or (
        f"forward is not the {of_cell.NAMES[known.__name__]}'s: the cell is, the recurrence around it is not"
    )
    return [of_cell.RIGHT_FOR_ANOTHER_FORWARD + found if right else found]


def model(result: Result, rnn: Any) -> None:
    """Name the places of the errors of a model with a recurrent part."""
    places.name_places(result.arrays, rnn, "rnn.")
