"""How many threads to use, and how a batch is split over them.

A wide batch is split over Python threads (``BatchParallel``): NumPy's calls let other threads run while they work. For
a narrow batch with large weights only the products of many steps are split. BLAS itself is limited to one thread
meanwhile: two threads that synchronise at every product stall for milliseconds when another process keeps a core busy
(a step with H = 512 took up to 14 times as long).
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from .. import bptt
from ..bptt import Cell, Weights
from . import through_time
from .blas import available, limited, one_at_the_start
from .memory_layout import Matmul
from .product import pieces
from .through_time import FusedTape, State

Array = np.ndarray

LARGE_WEIGHTS_MIN_ELEMENTS = 250_000  # of [W_h, W_x]; from there the products of many steps are split
MIN_COLUMNS, MIN_COLUMNS_UNPACKED = 16, 8  # of a part, in general and where the products of a step are not packed
# A step with fewer multiplications than this, times the number of gates plus one, is not split: switching threads costs
# more.
MIN_MULTIPLICATIONS_PER_GATE = 500_000


class BatchParallel:
    """The two functions of ``fused`` with the batch split over threads where that pays.

    Columns are independent, so each part is computed by a separate call; the gradients of the weights are added part by
    part, in order. The same number of threads gives the same bits, whatever the timing. A layer that is called in a
    thread of the pool computes its parts one after the other in that thread.

    Args:
        count: number of threads; None for ``blas.available()``.

    Raises:
        ValueError: for a count that is neither a positive integer nor None.
    """

    def __init__(self, count: int | None = None) -> None:
        if count is not None and (not isinstance(count, (int, np.integer)) or count < 1):
            raise ValueError(f"threads must be a positive integer or None; {count!r} given")
        self.count = count

    def parts(self, weights: Weights, B: int) -> list[slice]:
        """Return the columns of each thread; a single slice if splitting a batch of B sequences does not pay."""
        (rows, I), H = weights.W_x.shape, weights.W_h.shape[1]
        if rows * (H + I) * B < MIN_MULTIPLICATIONS_PER_GATE * (rows // H + 1):
            return [slice(0, B)]
        count = self.count or available()
        unpacked = pieces(rows, H + I + 1, max(MIN_COLUMNS_UNPACKED, B // count), weights.W_h.dtype)
        return _slices(B, max(1, min(count, B // (MIN_COLUMNS_UNPACKED if unpacked else MIN_COLUMNS))))

    def forward_through_time(
        self,
        cell: Cell,
        weights: Weights,
        x: Array,
        state: State,
        lengths: Any = None,
        reverse: bool = False,
        **options: Any,
    ) -> tuple[Array, State, SplitTape | FusedTape | bptt.Tape | None]:
        """Carry ``cell`` over the T steps of x; arguments and results as ``bptt.forward_through_time``."""
        parts = self.parts(weights, x.shape[-1])
        if len(parts) == 1:
            context, matmul = self._whole(weights)
            with context:
                return through_time.forward_through_time(
                    cell, weights, x, state, lengths, reverse, matmul=matmul, **options
                )
        out, h_mask = options.pop("out", None), options.pop("h_mask", None)
        hs = np.empty((len(x),) + state[0].shape, weights.W_h.dtype) if out is None else out
        lengths = None if lengths is None else np.asarray(lengths)

        def run(k: int, columns: slice) -> Any:
            return through_time.forward_through_time(
                cell,
                weights,
                x[..., columns],
                tuple(part[:, columns] for part in state),
                None if lengths is None else lengths[columns],
                reverse,
                h_mask=None if h_mask is None else h_mask[:, columns],
                out=hs[:, :, columns],
                **options,
            )

        _, states, tapes = zip(*_each(run, parts))
        tape = None if tapes[0] is None else SplitTape(parts, tapes)
        return hs, tuple(np.concatenate(letter, axis=1) for letter in zip(*states)), tape

    def backward_through_time(
        self,
        cell: Cell,
        weights: Weights,
        tape: SplitTape | FusedTape | bptt.Tape,
        d_hs: np.ndarray | None,
        d_state: State,
        *,
        need_dx: bool = True,
    ) -> tuple[Weights, np.ndarray | None, State]:
        """Compute the gradients; arguments and results as ``bptt.backward_through_time``."""
        if not isinstance(tape, SplitTape):
            context, matmul = self._whole(weights)
            with context:
                return through_time.backward_through_time(
                    cell, weights, tape, d_hs, d_state, need_dx=need_dx, matmul=matmul
                )

        def run(k: int, columns: slice) -> Any:
            return through_time.backward_through_time(
                cell,
                weights,
                tape.tapes[k],
                None if d_hs is None else d_hs[:, :, columns],
                tuple(part[:, columns] for part in d_state),
                need_dx=need_dx,
            )

        d_weights, d_xs, d_states = zip(*_each(run, tape.parts))
        total, d_x = Weights(*map(_sum, zip(*d_weights))), None
        if d_xs[0] is not None:  # indices have no gradient
            d_x = np.concatenate([part.transpose(0, 2, 1) for part in d_xs], axis=1).transpose(0, 2, 1)
        return total, d_x, tuple(np.concatenate(letter, axis=1) for letter in zip(*d_states))

    def _whole(self, weights: Weights) -> tuple[AbstractContextManager[None], Matmul]:
        """Return for a batch that is not split a context that limits BLAS, and what computes products of many steps."""
        (rows, I), H = weights.W_x.shape, weights.W_h.shape[1]
        context = nullcontext() if one_at_the_start() else limited(1)
        count = 1 if rows * (H + I) < LARGE_WEIGHTS_MIN_ELEMENTS else self.count or available()
        return context, np.matmul if count == 1 else functools.partial(_matmul, count)


class SplitTape(NamedTuple):
    """The tapes of the parts of a split batch."""

    parts: list[slice]  # the columns of each
    tapes: tuple[FusedTape | bptt.Tape, ...]


def _slices(n: int, count: int) -> list[slice]:
    """Return ``count`` slices of about equal length that cover n."""
    borders = [n * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in zip(borders, borders[1:])]


def _matmul(count: int, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Compute a @ b as ``np.matmul`` does, with the rows of a split over ``count`` threads."""
    _each(lambda k, rows: np.matmul(a[rows], b, out=out[rows]), _slices(len(a), count))
    return out


def _sum(parts: Sequence[Any]) -> Any:
    """Return the sum of arrays in order, name by name if they are dicts of arrays; None if they are None."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], dict):
        return {name: _sum([part[name] for part in parts]) for name in parts[0]}
    return sum(parts[1:], start=parts[0])


# ---- threads ----

_pools: dict[int, ThreadPoolExecutor] = {}  # by number of threads, each made when first needed
_pools_lock = threading.Lock()
_this_thread = threading.local()  # ``is_worker`` is set in the threads of the pools


def _each(call: Callable[[int, slice], Any], parts: Sequence[slice]) -> list[Any]:
    """Call ``call(k, part)`` for every part, the first one in this thread.

    Returns:
        The results in order, when all calls have finished.

    Raises:
        The first exception of a call, also when all have finished.
    """
    if getattr(_this_thread, "is_worker", False):  # a worker that waited for a free worker could wait for itself
        return [call(k, part) for k, part in enumerate(parts)]
    pool = _pool(len(parts))
    with limited(1):
        others = [pool.submit(_in_worker, call, k, part) for k, part in enumerate(parts) if k]
        try:
            first = call(0, parts[0])
        finally:
            for other in others:
                other.exception()  # waits
    return [first, *(other.result() for other in others)]


def _pool(count: int) -> ThreadPoolExecutor:
    with _pools_lock:
        if count not in _pools:
            _pools[count] = ThreadPoolExecutor(count, "npseq")
        return _pools[count]


def _in_worker(call: Callable[[int, slice], Any], k: int, part: slice) -> Any:
    _this_thread.is_worker = True
    with limited(1):  # some builds of BLAS have a number of threads for each thread
        return call(k, part)


def _after_fork() -> None:
    """Forget the pools: a forked process has none of its parent's threads."""
    _pools.clear()
    _pools_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pools_lock.acquire, after_in_parent=_pools_lock.release, after_in_child=_after_fork)
