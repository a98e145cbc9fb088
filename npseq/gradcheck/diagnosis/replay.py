"""Where a configuration of the random check goes wrong.

The calls that the layer makes to its recurrence are recorded where they fail, with arguments and results, and compared
with the second statement of the equations (``reference.py``) for the same arguments. If one is wrong, it is replayed in
the cell, in ``bptt.py`` and in ``fused/``. If all are right, what stands between them is compared: the layer. So a
place is named only if it was shown to be wrong. Every line begins with "error in FILE, FUNCTION".
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ... import bptt, cells
from ...bptt import Weights
from ...fused import pool, through_time
from ...nn.own_parameters import cell_name
from .. import reference
from ..cases import Step
from ..draws import Config
from ..random_check import Drawn, LayerCheck
from ..reference import known, reference_of
from ..result import relative_error
from . import cell as of_cell
from . import failure, tracing
from . import fused as of_fused
from . import recurrence as of_recurrence
from .glue import of_layer
from .recurrence import Problem
from .same import at

NEAR, NEAR_FLOAT32 = 1e-9, 1e-3


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
        kept = Weights._make(tracing.copied(tuple(weights)))
        vectors = (
            np.eye(weights.W_x.shape[1], dtype=weights.W_x.dtype)[x].transpose(0, 2, 1) if x.ndim == 2 else x.copy()
        )
        zeros = np.zeros((len(x), *state[0].shape), state[0].dtype), tuple(map(np.zeros_like, state))
        problem = Problem(cell, kept, vectors, tracing.copied(state), lengths, reverse, options.get("h_mask"), *zeros)
        hs, end, tape = self.engine.forward_through_time(cell, weights, x, state, lengths, reverse, **options)
        given = {key: value for key, value in options.items() if key in ("checkpoint_every", "keep_tape")}
        indices = x.copy() if x.ndim == 2 else None
        self.calls.append(Call(problem, indices, given, (hs.copy(), tracing.copied(end)), id(tape), False))
        return hs, end, tape

    def backward_through_time(
        self, cell: Any, weights: Weights, tape: Any, d_hs: Any, d_state: Any, **options: Any
    ) -> Any:
        """Call the engine, and keep the call."""
        forward = next(call for call in reversed(self.calls) if not call.backward and call.tape == id(tape))
        zeros = np.zeros_like(forward.problem.d_hs)
        kept = forward.problem._replace(d_hs=zeros if d_hs is None else d_hs.copy(), d_state=tracing.copied(d_state))
        result = self.engine.backward_through_time(cell, weights, tape, d_hs, d_state, **options)
        copied = Weights._make(tracing.copied(tuple(result[0]))), tracing.copied(result[1]), tracing.copied(result[2])
        self.calls.append(Call(kept, forward.indices, forward.options, copied, forward.tape, True, forward))
        return result


def blame(config: Config, layer: Any = None) -> list[str]:
    """Return a line for each place that is shown to be wrong when a configuration fails; empty if none is."""
    drawn = Drawn(config, layer)
    recorder = Recorder(drawn.layer.through_time)
    drawn.layer.through_time = recorder
    check = LayerCheck(drawn)
    try:
        check.run(float32=False)
    except Exception as error:
        return [f"error in {failure.raised(error)}"]
    with np.errstate(all="ignore"):
        for call in recorder.calls:
            wrong = wrong_results(call)
            if wrong:
                lines = in_the_recurrence(call, recorder.engine, wrong)
                return lines or [f"error in {_engine_name(recorder.engine)}: {', '.join(wrong)} of one run is wrong"]
        lines = of_layer(check, recorder.calls)
        return lines or _in_float32(drawn, recorder.engine)


def _in_float32(drawn: Drawn, engine: Any) -> list[str]:
    """Return where a layer goes wrong that is right in float64."""
    layer = drawn.layer.astype(np.float32)
    layer.through_time = recorder = Recorder(engine)
    y, _, tape = drawn.forward(layer)
    drawn.backward(layer, tape)
    for call in recorder.calls:
        wrong = wrong_results(call, near=NEAR_FLOAT32)
        if wrong and not inspect.ismodule(engine):
            with _new_pool():
                alone_is_right = not wrong_results(call, again(call, through_time), NEAR_FLOAT32)
                return of_fused.blame(call, engine, wrong, alone_is_right)
        if wrong:
            return [f"error in bptt.py: in float32 a run returns a wrong {', '.join(wrong)}"]
    return []


@contextmanager
def _new_pool() -> Iterator[None]:
    """Let ``fused`` make new workspaces: none that keeps anything of an earlier call."""
    before = vars(through_time)["POOL"]
    vars(through_time)["POOL"] = pool.WorkspacePool(pool.CAPACITY_BYTES)
    try:
        yield
    finally:
        vars(through_time)["POOL"] = before


def _engine_name(engine: Any) -> str:
    return "bptt.py" if inspect.ismodule(engine) else "fused/"


def expected(call: Call) -> dict[str, Any]:
    """Return name -> what the call should have returned, by the second statement."""
    problem, cell = call.problem, known(call.problem.cell)
    hs, end, tape = problem.forward(reference, cell)
    if not call.backward:
        return {"hs": hs, **{f"the final {letter}": part for letter, part in zip(problem.cell.state, end)}}
    d_weights, d_x, d_state = problem.backward(reference, cell, tape)
    return of_recurrence._results(d_weights, d_x, d_state, problem.cell)


def results(call: Call, result: Any) -> dict[str, Any]:
    """Return name -> what a call has returned."""
    if call.backward:
        d_weights, d_x, d_state = result
        return of_recurrence._results(d_weights, d_x, d_state, call.problem.cell)
    hs, end = result[:2]
    return {"hs": hs, **{f"the final {letter}": part for letter, part in zip(call.problem.cell.state, end)}}


def wrong_results(call: Call, result: Any = None, near: float = NEAR) -> list[str]:
    """Return the names of what a call has returned that is not what it should be."""
    given, true = results(call, call.result if result is None else result), expected(call)
    return [
        name
        for name, array in true.items()
        if given[name] is not None
        and (np.shape(given[name]) != array.shape or not relative_error(given[name], array) <= near)
    ]


def again(call: Call, engine: Any, vectors: bool = False) -> Any:
    """Return what an engine returns for the arguments of a call, by itself; ``vectors`` in place of indices."""
    p = call.problem
    x = p.x.copy() if vectors or call.indices is None else call.indices
    options = {**call.options, "keep_tape": True}
    hs, end, tape = engine.forward_through_time(
        p.cell, p.weights, x, p.state, p.lengths, p.reverse, h_mask=p.h_mask, **options
    )
    if not call.backward:
        return hs, end
    return engine.backward_through_time(p.cell, p.weights, tape, p.d_hs, p.d_state)


def in_the_recurrence(call: Call, engine: Any, wrong: list[str]) -> list[str]:
    """Return where a recurrence goes wrong: the cell, ``bptt.py``, or ``fused/``."""
    if wrong_results(call, again(call, bptt)):
        lines = _in_the_cell(call)
        if not lines and call.indices is not None and not wrong_results(call, again(call, bptt, vectors=True)):
            return _of_indices(call)
        return lines or _in_bptt(call)
    if inspect.ismodule(engine):
        return ["error in bptt.py: the same call by itself is right: something is kept between calls"]
    with _new_pool():
        alone_is_right = not wrong_results(call, again(call, through_time))
        return of_fused.blame(call, engine, wrong, alone_is_right)


class _Recording:
    """A cell that keeps the arguments and the results of its functions."""

    def __init__(self, cell: Any) -> None:
        self.cell, self.gates, self.state = cell, cell.gates, cell.state
        self.steps: list[tuple[Any, ...]] = []

    def forward(self, a_x: np.ndarray, a_h: np.ndarray, state: Any, *own: Any) -> Any:
        """Run forward."""
        new, cache = self.cell.forward(a_x, a_h, state, *own)
        self.steps.append((a_x.copy(), a_h.copy(), tracing.copied(tuple(state)), own))
        return new, (cache, len(self.steps) - 1)

    def backward(self, d_state: Any, cache: Any, *own: Any) -> Any:
        """Run backward."""
        self.steps.append((*self.steps[cache[1]], tracing.copied(tuple(d_state))))
        return self.cell.backward(d_state, cache[0], *own)


def _in_the_cell(call: Call) -> list[str]:
    """Return what is wrong in the cell, at the values of the steps that have failed."""
    cell, true = call.problem.cell, reference_of(call.problem.cell)
    recording = _Recording(cell)
    again(call._replace(problem=call.problem._replace(cell=recording)), bptt)
    for a_x, a_h, state, own, *d_state in recording.steps:
        step = Step(a_x, a_h, state, own, d_state[0] if d_state else state)
        if not np.isfinite(a_x).all() or not np.isfinite(a_h).all():
            continue
        if true is not None:
            new, published = (step.forward(kind)[0] for kind in (cell, true))
            if any(not relative_error(a, b) <= 1e-11 for a, b in zip(new, published)):
                return _in_forward(cell, step)
        if d_state and call.backward and _wrong_backward(cell, true, step):
            small = _one_element(cell, step, true) if true is not None else step
            lines = of_cell.diagnose(cell, small).lines
            return [f"error in {_file(cell)}, {line}" for line in lines[:1]]
    return []


def _in_forward(cell: Any, step: Step) -> list[str]:
    a = np.linspace(-3, 3, 7)
    if _file(cell) == "cells.py" and not relative_error(cells.sigmoid(a), reference.logistic(a)) <= 1e-12:
        return ["error in cells.py, sigmoid: it is not 1 / (1 + exp(−a))"]
    found = of_cell.forward_difference(cell, step) or "the new state differs"
    return [f"error in {_file(cell)}, {cell_name(cell)}.forward: {found}"]


def _wrong_backward(cell: Any, true: Any, step: Step) -> bool:
    given = step.backward(cell, step.forward(cell)[1])
    if true is None:
        return not of_cell.diagnose(cell, step).right
    published = step.backward(true, step.forward(true)[1])
    pairs = [(given[0], published[0]), (given[1], published[1]), *zip(given[2], published[2])]
    return any(np.shape(a) != b.shape or not relative_error(a, b) <= 1e-11 for a, b in pairs)


def _one_element(cell: Any, step: Step, true: Any) -> Step:
    """Return the step of the few units and columns that differ most: a cell of npseq treats each by itself."""
    H, B = step.state[0].shape
    given, published = (step.backward(kind, step.forward(kind)[1]) for kind in (cell, true))
    error = sum(
        np.abs(a - b).reshape(-1, H, B).sum(0) for a, b in zip((*given[:2], *given[2]), (*published[:2], *published[2]))
    )
    units, columns = (np.argsort(-error.max(axis))[:3] for axis in (1, 0))
    rows = np.concatenate([k * H + units for k in range(len(cell.gates))])

    def few(arrays: Any, which: Any) -> Any:
        return tuple(array[np.ix_(which, columns)] for array in arrays)

    a_x, a_h = few((step.a_x, step.a_h), rows)
    return Step(a_x, a_h, few(step.state, units), step.own, few(step.S, units))


def _file(cell: Any) -> str:
    code = tracing.code_of(cell.forward)
    return tracing.source_file(code) if code is not None else "the cell"


def _in_bptt(call: Call) -> list[str]:
    """Return the first wrong intermediate of ``bptt.py``."""
    problem = call.problem
    cell = reference_of(problem.cell) or reference.TrueDerivative(problem.cell)
    options = {key: value for key, value in call.options.items() if key == "checkpoint_every" and value is not None}
    for chosen in ({}, options) if options else ({},):
        lines = of_recurrence._compare(problem, bptt, cell, 1e-9, chosen)
        if lines:
            return [f"error in bptt.py, {_with_function(line, chosen)}" for line in lines[:1]]
    return []


def _with_function(line: str, options: dict[str, Any]) -> str:
    """Put the function that a line's place is in before the line."""
    code = of_recurrence.code_at(line)
    if code is None and options:
        bad = _bad_segments()
        return f"_segments: {bad}" if bad else line
    return f"{code.co_name}: {line}" if code is not None and not line.startswith(code.co_name) else line


def _bad_segments() -> str | None:
    """Return what is wrong with the segments of checkpointing, None if they are consecutive and complete."""
    for T in range(1, 12):
        for k in (1, 2, 3, 5, "sqrt"):
            steps = [t for part in bptt._segments(T, k) for t in range(T)[part]]
            if steps != list(range(T)):
                return f"for T = {T} and k = {k} the slices are not steps 0 … {T - 1}, each once"
    return None


def _of_indices(call: Call) -> list[str]:
    """Name the function of ``bptt.py`` that treats indices wrongly, as vectors it is right."""
    W = call.problem.weights.W_x
    rng = np.random.default_rng(0)
    da, x = rng.standard_normal((3, len(W), 4)), rng.integers(W.shape[1], size=(3, 4))
    true = np.einsum("nab,nib->ai", da, np.eye(W.shape[1])[x].transpose(0, 2, 1))
    if not relative_error(bptt._sum_of_products(da, x, W.shape[1]), true) <= 1e-12:
        return ["error in " + at(bptt._sum_of_products, "with indices Σ da xᵀ (dW_x, total) is wrong", "total")]
    return ["error in " + at(bptt._forward_steps, "with indices a_x is wrong", "W_x.T[x]")]
