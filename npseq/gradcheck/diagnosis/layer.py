"""What is wrong in a layer: its cell, the recurrence, or the layer around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...nn.layers import GRU, LSTM, RNN
from ...nn.recurrent import Recurrent
from .. import reference
from ..cases import SCALES, Case, LayerCase, draw
from ..draws import Config
from ..judge import THRESHOLD, judge
from ..reference import reference_of
from ..result import Result, relative_error
from . import cell as of_cell
from . import patterns, replay
from . import recurrence as of_recurrence


def explain(
    case: LayerCase,
    result: Result,
    calls: list[Any],
    expected: dict[str, Any],
    method: str,
    rng: Any,
    known_bugs: Callable[[], list[str]],
) -> list[str]:
    """Return what is wrong in a layer, and what its gradients look like.

    Args:
        case, result, calls, expected, method, rng: of ``check_layer``.
        known_bugs: returns a line for each bug that gives the same wrong gradients.
    """
    layer = case.layer
    lines = diagnose_layer(case.case, method, known_bugs, bool(calls))
    if not calls:
        return lines
    gates = {name: layer.cell.gates for name in expected if name.startswith(("weight_ih", "weight_hh", "bias"))}
    found = patterns.patterns(result, calls[0], expected, gates, "x", case.padding())

    def of_one_step() -> list[str]:
        single = LayerCase(layer, 1, case.case.B, None, case.case.with_state, case.case.training, rng)
        _, tape = single.forward_once()
        given = [single.gradients(single.layer, tape)]
        result, expected = judge(single.make, given, method, THRESHOLD[method])
        return patterns.patterns(result, given[0], expected, gates, "x")

    if not found and case.case.T > 1 and not any(line.startswith("forward") for line in lines):
        # a pattern may be recognisable in a single step but not over several
        found = [f"with T = 1: {line}" for line in attempt(of_one_step) or []]
    return lines + found


def other_forward(case: LayerCase, y: np.ndarray, right: bool) -> list[str]:
    """Return a note if the layer of an npseq cell no longer computes the published equations.

    ``y`` is its output; ``right`` says whether the gradient is that of what it computes.
    """
    known = reference_of(case.layer.cell)
    if known is None:
        return []
    expected, _, _ = case.forward(reference_layer(case.layer), case.x, case.state)
    if relative_error(y, expected) <= 1e-10:
        return []
    name = of_cell.NAMES[known.__name__]
    found = of_cell.forward_difference(case.layer.cell, case.step())
    found = found or f"forward is not the {name}'s: the cell is, the recurrence around it is not"
    return [of_cell.RIGHT_FOR_ANOTHER_FORWARD + found if right else found]


def diagnose_layer(case: Case, method: str, known_bugs: Callable[[], list[str]], backward_ran: bool) -> list[str]:
    """Return what is wrong in a layer: known bugs, then the cell, then the recurrence, then the layer around them."""
    cell, recurrence = _cell_and_recurrence(case, method, 1.0)
    lines: list[str] = []
    if reference_of(case.layer.cell) or cell is not None and cell.right:
        lines += attempt(known_bugs) or []
    lines += cell.lines if cell is not None else []
    lines += recurrence or []
    if lines or cell is None or recurrence is None or not backward_ran:
        return lines
    for scale in SCALES[1:]:
        cell, recurrence = _cell_and_recurrence(case, method, scale)
        lines = (cell.lines if cell is not None else []) + (recurrence or [])
        if lines:
            return [f"with dy and d_state times {scale:.0e}: {line}" for line in lines]
    kind, text = type(case.layer), "the cell and the recurrence are right by themselves: the error is in the layer"
    if kind.backward is not Recurrent.backward:
        return [f"{text}, {kind.__name__}.backward"]
    shown = attempt(lambda: replay.blame(_config_of(case), case.layer)) or []
    return [f"{text}, nn/{line.removeprefix('error in ')}" for line in shown] or [text]


def _config_of(case: Case) -> Config:
    """Return the configuration of the random check that has a layer's options."""
    layer, training = case.layer, case.training
    return Config(
        I=layer.input_size,
        H=layer.hidden_size,
        T=case.T,
        B=case.B,
        L=layer.num_layers,
        D=layer.num_directions,
        P=layer.proj_size,
        lengths="equal" if case.lengths is None else "mixed",
        bias=layer.bias,
        batch_first=layer.batch_first,
        dropout=layer.dropout * training,
        recurrent_dropout=layer.recurrent_dropout * training,
        learned=layer.learn_initial_state,
        checkpoint=layer.checkpoint_every,
        state=case.with_state,
    )


def _cell_and_recurrence(case: Case, method: str, scale: float) -> tuple[Any, list[str] | None]:
    """Return the ``CellReport`` of a layer's cell, and what is wrong in its recurrence; None for what cannot be judged.

    ``scale`` multiplies the gradients that backward is given.
    """
    layer, rng = case.layer, np.random.default_rng(0)
    step = draw(layer.cell, layer.hidden_size, case.B, rng, layer.weights().own)
    step = step._replace(S=tuple(scale * part for part in step.S))
    cell = attempt(lambda: of_cell.diagnose(layer.cell, step, method))
    if not of_recurrence.can_judge(layer):
        return cell, None
    return cell, attempt(lambda: of_recurrence.diagnose(case, method, scale))


def attempt(find: Callable[[], Any]) -> Any:
    """Return what ``find`` returns; None if the code that is diagnosed fails."""
    try:
        return find()
    except Exception:
        return None


def reference_layer(layer: Any) -> Any:
    """Return a layer with the parameters of ``layer`` and the reference's recurrence.

    Its cell is the reference of an npseq cell, otherwise the layer's own; methods that the layer's class overrides are
    those of npseq.
    """
    known = reference_of(layer.cell)
    kinds = {"RNNCell": RNN, "ReLURNNCell": RNN, "LSTMCell": LSTM, "GRUCell": GRU}
    layer = layer.astype(layer.dtype)
    kind = kinds[known.__name__] if known else type("Reference", (Recurrent,), {})
    layer.__class__, layer.through_time, layer.cell = kind, reference, known or layer.cell
    return layer
