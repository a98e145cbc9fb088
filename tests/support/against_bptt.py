"""A layer's own recurrence held against ``bptt.py``, at sizes at which a complex step would take minutes.

The optimized layers have code that small sizes do not reach: products that are computed before the loop, long sequences
cut into chunks, sequences packed end to end, batches split over threads. ``bptt.py``, which the complex step proves at
small sizes, is the reference there.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np

from npseq import bptt
from npseq.fused.batch_parallel import LARGE_WEIGHTS_MIN_ELEMENTS, BatchParallel
from npseq.fused.workspace import HOIST_MIN_INPUTS
from npseq.gradcheck.diagnosis import places
from npseq.gradcheck.result import Result, compare

THRESHOLD = 1e-12  # the sums are over a thousand columns


class Sizes(NamedTuple):
    """Sizes of a layer and of what it is run on.

    ``mixed``: sequences of different lengths. ``by_index``: the inputs are one-hot vectors, given as integers.
    ``threads``: over which an optimized layer may split a batch.
    """

    what: str
    I: int
    H: int
    T: int
    B: int
    mixed: bool = False
    by_index: bool = False
    threads: int = 1


def sizes(gates: int) -> list[Sizes]:
    """Return sizes that reach the code that small ones do not, for a cell with that many gates."""
    H = 160 if gates == 1 else 96
    wide = LARGE_WEIGHTS_MIN_ELEMENTS // (gates * H) + 1
    return [
        Sizes("many inputs", wide, H, 3, 4, threads=2),  # W_x is multiplied before the loop, that product is split
        Sizes("many sequences", HOIST_MIN_INPUTS, H, 4, 80, threads=2),  # split over threads
        Sizes("many sequences of mixed lengths", 24, H if gates == 1 else 72, 20, 96, mixed=True),  # packed
        Sizes("many steps", 3, 8, 40, 40),  # cut into chunks
        Sizes("many steps, indices", 5, 8, 40, 40, by_index=True),
    ]


def has_own_recurrence(layer_class: Any) -> bool:
    """True if the layers of a class run another recurrence than ``bptt.py`` itself."""
    return not inspect.ismodule(layer_class.through_time)


def compare_with_bptt(layer: Any, case: Sizes, rng: np.random.Generator) -> Result:
    """Compare outputs, final states and gradients of a layer with those of the same layer run by ``bptt.py``.

    A layer of one direction is also run one step at a time, by ``layer.stream()``, if its inputs are vectors and all
    sequences have the same length.

    Args:
        layer: a ``Recurrent`` of these sizes; it is not changed.
        case: T, B, and the kind of inputs.
        rng: generator of the inputs and of the weights of the loss.

    Returns:
        Result, without a diagnosis.
    """
    layer = layer.astype(np.float64)
    plain = layer.astype(np.float64)
    plain.through_time = bptt
    if isinstance(layer.through_time, BatchParallel):
        layer.through_time = BatchParallel(case.threads)
    T, B, I = case.T, case.B, case.I
    x = rng.integers(I, size=(T, B)) if case.by_index else rng.standard_normal((T, B, I))
    lengths = rng.integers(1, T + 1, B) if case.mixed else None
    letters, runs = layer.cell.state, layer.num_layers * layer.num_directions
    state, S = ([rng.standard_normal((runs, B, size)) for size in layer.state_sizes()] for _ in range(2))
    R = rng.standard_normal((T, B, layer.num_directions * layer.output_size))

    def one_or_all(parts: list[Any]) -> Any:
        return parts[0] if len(letters) == 1 else tuple(parts)

    def results(layer: Any) -> dict[str, np.ndarray]:
        y, end, tape = layer.forward(x, one_or_all(state), lengths)
        dx, d_state, grads = layer.backward(tape, R, one_or_all(S), need_dx=not case.by_index)
        states = zip(letters, *((part,) if len(letters) == 1 else part for part in (end, d_state)))
        found = {"y": y, **{name: grads[name] for name in layer.params}}
        for letter, last, d_first in states:
            found.update({f"final {letter}": last, f"d {letter}": d_first})
        return found if dx is None else {**found, "dx": dx}

    given, expected = results(layer), results(plain)
    if not (layer.bidirectional or case.mixed or case.by_index):
        stream = layer.stream(B)
        stream.state = one_or_all(state)
        given["stream"] = np.array([np.array(stream.step(row)) for row in x])
        expected["stream"] = expected["y"]
    errors = {name: compare(name, given[name], expected[name]) for name in expected}
    places.name_places(errors, layer)
    return Result(errors, THRESHOLD, "bptt.py")
