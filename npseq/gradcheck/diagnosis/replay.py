"""Where a configuration of the random check goes wrong.

The calls that the layer makes to its recurrence are recorded where they fail, with arguments and results, and compared
with the second statement of the equations (``reference.py``) for the same arguments. If one is wrong, it is replayed in
the cell, in ``bptt.py`` and in ``fused/``. If all are right, what stands between them is compared: the layer. So a
place is named only if it was shown to be wrong. A line begins with the file and the function; of a cell it has them.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ... import bptt, cells
from ...bptt import Weights
from ...nn.own_parameters import cell_name
from .. import reference
from ..cases import Step
from ..layer_case import LayerCase
from ..random_check import LayerCheck
from ..reference import known, logistic, reference_of
from ..reference_layer import one_hot
from ..result import near, relative_error
from . import cell as of_cell
from . import failure, places
from . import fused as of_fused
from . import recurrence as of_recurrence
from .glue import of_layer, of_stream
from .recurrence import Problem
from .same import at
from .tracing import copied

ALLOWED = {"complex": 1e-9, "central": 1e-5, "float32": 1e-3}  # relative errors of what a run returns


class Call(NamedTuple):
    """One call of ``forward_through_time``, or of ``backward_through_time`` for the tape of one."""

    problem: Problem  # x as vectors; d_hs and d_state are zero in a forward call
    indices: Any  # x as it was given, if it was indices
    options: dict[str, Any]
    result: Any
    tape: int  # its id: a tape that is kept would keep its workspace from being used again
    backward: bool
    forward: Call | None = None


class Recorder:
    """The recurrence of a layer, which keeps what it is called with and what it returns."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def forward_through_time(
        self,
        cell: Any,
        weights: Weights,
        x: Any,
        state: Any,
        lengths: Any = None,
        reverse: bool = False,
        **options: Any,
    ) -> Any:
        """Call the engine, and keep the call."""
        kept, indices = copied(weights), x.copy() if x.ndim == 2 else None
        vectors = x.copy() if x.ndim == 3 else one_hot(x, weights.W_x.shape[1]).astype(weights.W_x.dtype).swapaxes(1, 2)
        zeros = np.zeros((len(x), *state[0].shape), state[0].dtype), tuple(map(np.zeros_like, state))
        problem = Problem(cell, kept, vectors, copied(state), lengths, reverse, options.get("h_mask"), *zeros)
        hs, end, tape = self.engine.forward_through_time(cell, weights, x, state, lengths, reverse, **options)
        given = {key: value for key, value in options.items() if key in ("checkpoint_every", "keep_tape")}
        self.calls.append(Call(problem, indices, given, copied((hs, end)), id(tape), False))
        return hs, end, tape

    def backward_through_time(
        self, cell: Any, weights: Weights, tape: Any, d_hs: Any, d_state: Any, **options: Any
    ) -> Any:
        """Call the engine, and keep the call."""
        forward = next(call for call in reversed(self.calls) if not call.backward and call.tape == id(tape))
        given = {"d_state": copied(d_state), **({} if d_hs is None else {"d_hs": d_hs.copy()})}  # else zeros
        result = self.engine.backward_through_time(cell, weights, tape, d_hs, d_state, **options)
        problem = forward.problem._replace(**given)
        self.calls.append(forward._replace(problem=problem, result=copied(result), backward=True, forward=forward))
        return result


def blame(case: LayerCase, method: str = "complex") -> list[str]:
    """Return a line for each place that is shown to be wrong when the check of a layer fails; empty if none is."""
    layer = case.layer.astype(case.layer.dtype)
    layer.through_time = recorder = Recorder(case.layer.through_time)
    case = case.of(layer)
    known_cell = reference_of(layer.cell) is not None
    lines = [] if known_cell else of_cell.diagnose(layer.cell, case.step(), method)
    if lines or isinstance(recorder.engine, types.SimpleNamespace):  # a planted bug
        return lines
    check = LayerCheck(case)
    try:
        check.run(float32=False)
    except Exception as error:
        return of_cell.diagnose(layer.cell, case.step(), method) or failure.raised(error)
    with np.errstate(all="ignore"):
        for call in recorder.calls:
            wrong = wrong_results(call, method)
            if wrong:
                return in_the_recurrence(call, recorder.engine, wrong, lambda: _in_fused(case), method)
        second = Recorder(reference)
        tapes = case.expected(check.shape, engine=second)[2]
        lines = of_layer(check, recorder.calls, second.calls, case.expected_gradients(check.shape, tapes, second))
        if not lines and any(finding.what == "stream" for finding in check.findings):
            return of_stream(layer)
        return lines or _in_float32(case, recorder.engine)


def _in_fused(case: LayerCase) -> list[str]:
    """Return the function of ``fused/`` that breaks its contract: with numbers in the padding, if that fails too."""
    finite = case.of(case.layer)
    if not case.case.indices:
        finite.put_in_padding(None)
    check = LayerCheck(finite)
    found = of_fused.blame(lambda: check.run(False))
    return found if found or check.findings else of_fused.blame(lambda: LayerCheck(case).run(False))


def _in_float32(case: LayerCase, engine: Any) -> list[str]:
    """Return where a layer goes wrong that is right in float64."""
    layer = case.layer.astype(np.float32)
    layer.through_time = recorder = Recorder(engine)
    case.gradients(layer, case.forward(layer)[2])
    wrong = {name: None for call in recorder.calls for name in wrong_results(call, "float32")}
    if wrong and inspect.ismodule(engine):
        return [f"bptt.py: in float32 a run returns a wrong {', '.join(wrong)}"]
    return of_fused.blame(lambda: case.gradients(layer, case.forward(layer)[2])) if wrong else []


def _named(call: Call, result: Any) -> dict[str, Any]:
    """Return name -> what a call has returned."""
    if call.backward:
        return of_recurrence.results(call.problem, result)
    hs, end = result[:2]
    return {"hs": hs, **{f"the final {letter}": part for letter, part in zip(call.problem.cell.state, end)}}


def wrong_results(call: Call, method: str = "complex", result: Any = None) -> list[str]:
    """Return the names of what a call has returned (or a ``result``) that is not what it is by the second statement."""
    cell = known(call.problem.cell)
    *outputs, tape = call.problem.forward(reference, cell)
    true = _named(call, call.problem.backward(reference, cell, tape) if call.backward else outputs)
    given = _named(call, call.result if result is None else result)
    return [name for name, d in true.items() if given[name] is not None and not near(given[name], d, ALLOWED[method])]


def again(call: Call, engine: Any, vectors: bool = False) -> Any:
    """Return what an engine returns for the arguments of a call, by itself; ``vectors`` in place of indices."""
    p = call.problem
    p = p if vectors or call.indices is None else p._replace(x=call.indices)
    *outputs, tape = p.forward(engine, p.cell, **{**call.options, "keep_tape": True})
    return p.backward(engine, p.cell, tape) if call.backward else outputs


def in_the_recurrence(
    call: Call, engine: Any, wrong: list[str], in_fused: Callable[[], list[str]], method: str = "complex"
) -> list[str]:
    """Return where a call goes wrong: in the cell, in ``bptt.py``, or in ``fused/``, by ``in_fused()``."""
    plain = engine if inspect.ismodule(engine) else bptt
    if wrong_results(call, method, again(call, plain)):
        lines = _in_the_cell(call)
        if not lines and call.indices is not None and not wrong_results(call, method, again(call, plain, vectors=True)):
            return _of_indices(call)
        return lines or _in_bptt(call, plain, method)
    if inspect.ismodule(engine):
        kept = ["bptt.py: the same call by itself is right: something is kept between calls"]
        return _in_the_cell(call) or _in_bptt(call, plain, method) or kept
    function = "backward" if call.backward else "forward"
    text = "each part (lengths, state, d_state, d_hs) by itself is right, together they are not"
    together = f"batch_parallel.py, BatchParallel.{function}_through_time: {text}: {', '.join(wrong)}"
    return in_fused() or [together]


def _steps_of(problem: Problem, true: Any) -> Iterator[tuple[Step, bool]]:
    """Yield the steps of a cell that a call makes, as the published cell would: forward, and then backward (True)."""
    notes, T = of_recurrence.Notes(), len(problem.x)
    tape = problem.forward(reference, true, note=notes)[2]
    problem.backward(reference, true, tape, note=notes)
    own = () if problem.weights.own is None else (problem.weights.own,)
    for t, backward in [*((t, False) for t in range(T)), *((t, True) for t in reversed(range(T)))]:
        state = notes["state", t][0]
        S = notes["d_new", t][-1] if backward else state
        yield Step(notes["a_x", 0][0][t], notes["a_h", t][0], state, own, S), backward


def _in_the_cell(call: Call) -> list[str]:
    """Return what is wrong in the cell, at the values of the steps that have failed."""
    cell = call.problem.cell
    true: Any = reference_of(cell)
    for step, backward in _steps_of(call.problem, true) if true else ():
        if not np.isfinite(step.a_x).all() or not np.isfinite(step.a_h).all():
            continue
        new, published = (step.forward(kind)[0] for kind in (cell, true))
        other = not all(near(a, b, 1e-11) for a, b in zip(new, published))
        a = np.linspace(-3, 3, 7)
        if other and places.file_of(cell.forward) == "cells.py" and not near(cells.sigmoid(a), logistic(a), 1e-12):
            return ["cells.py, sigmoid: it is not 1 / (1 + exp(−a))"]
        if other or backward and not all(near(a, b, 1e-11) for a, b in _pairs(cell, true, step)):
            lines = of_cell.diagnose(cell, _few_elements(cell, step, true))
            return lines or [f"{cell_name(cell)}.forward: {of_cell.forward_difference(cell, step)}"]
    return []


def _pairs(cell: Any, true: Any, step: Step) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what backward of a cell, called twice, and of the published one return."""
    (_, cache), published = step.forward(cell), step.gradients(true, step.forward(true)[1])
    calls = [step.gradients(cell, cache) for _ in range(2)]
    return [(given[name], d) for given in calls for name, d in published.items()]


def _few_elements(cell: Any, step: Step, true: Any) -> Step:
    """Return the step of the few units and columns that differ most: a cell of npseq treats each by itself."""
    H, B = step.state[0].shape
    pairs = _pairs(cell, true, step)
    if any(a.shape != b.shape for a, b in pairs):
        return step
    error = sum(np.abs(a - b).reshape(-1, H, B).sum(0) for a, b in pairs)
    units, columns = (np.argsort(-error.max(axis))[:3] for axis in (1, 0))
    rows = np.concatenate([k * H + units for k in range(len(cell.gates))])

    def few(arrays: Any, which: Any) -> Any:
        return tuple(array[np.ix_(which, columns)] for array in arrays)

    a_x, a_h = few((step.a_x, step.a_h), rows)
    return Step(a_x, a_h, few(step.state, units), step.own, few(step.S, units))


def _in_bptt(call: Call, engine: Any, method: str) -> list[str]:
    """Return the first wrong intermediate of ``bptt.py``."""
    true = reference_of(call.problem.cell) or reference.TrueDerivative(call.problem.cell, method)
    judged = of_recurrence.Judged(call.problem, engine, true, ALLOWED[method])
    every = call.options.get("checkpoint_every")
    for options in ({}, {"checkpoint_every": every}) if every is not None else ({},):
        lines = []
        for line in judged.wrong(options):
            function = judged.function_at(line)
            bad = _bad_segments(engine) if function is None and options else None
            if function is None and options and not bad:
                lines.append(at(engine.backward_through_time, line, "total"))
                continue
            function = f"_segments: {bad}" if bad else function
            lines.append(f"bptt.py, {function + ': ' if function else ''}{line}")
        if lines:
            return lines
    return []


def _bad_segments(engine: Any) -> str | None:
    """Return what is wrong with the segments of checkpointing, None if they are consecutive and complete."""
    for T in range(1, 12):
        for k in (1, 2, 3, 5, "sqrt"):
            steps = [t for part in engine._segments(T, k) for t in range(T)[part]]
            if steps != list(range(T)):
                return f"for T = {T} and k = {k} the slices are not steps 0 … {T - 1}, each once"
    return None


def _of_indices(call: Call) -> list[str]:
    """Name the function of ``bptt.py`` that treats indices wrongly, as vectors it is right."""
    W = call.problem.weights.W_x
    rng = np.random.default_rng(0)
    da, x = rng.standard_normal((3, len(W), 4)), rng.integers(W.shape[1], size=(3, 4))
    true = np.einsum("nab,nib->ai", da, one_hot(x, W.shape[1]).swapaxes(1, 2))
    if not relative_error(bptt._sum_of_products(da, x, W.shape[1]), true) <= 1e-12:
        return [at(bptt._sum_of_products, "with indices Σ da xᵀ (dW_x, total) is wrong", "total")]
    return [at(bptt._forward_steps, "with indices a_x is wrong", "W_x.T[x]")]
