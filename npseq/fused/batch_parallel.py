"""Threads: as many as pay, and no more than the machine or the user allows.

A wide batch is split over Python threads (``Split``): NumPy's calls let other threads run while they work. Of a narrow
batch with large weights only the products of many steps are split. BLAS itself is held to one thread meanwhile: two
that meet at every product stall for milliseconds when another process keeps a core busy (a step with H = 512 took up to
14 times as long).
"""

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np

from ..bptt import Weights
from . import through_time
from .blas import available, limited, one_at_the_start

LARGE = 250_000  # rows of W · its columns, from which the products of many steps are split where the batch is narrow
WIDE, WIDE_OF_LARGE = 16, 32  # columns of a part, at least: fewer make a product no faster
ENOUGH = 500_000  # multiplications of a step for each gate and one more, from which it pays to change threads so often


class Split:
    """``fused.py``'s two functions with the batch split over ``count`` threads where that pays (None: ``available()``).

    Columns are independent, so each part is a call of its own; the gradients of the weights are added part by part, in
    order. The same count gives the same bits, whatever the timing.
    """

    def __init__(self, count=None):
        if count is not None and (not isinstance(count, (int, np.integer)) or count < 1):
            raise ValueError(f"threads must be a positive integer or None; {count!r} given")
        self.count = count

    def parts(self, weights, B):
        """The columns of each thread as slices; one slice where splitting does not pay."""
        (rows, I), H = weights.W_x.shape, weights.W_h.shape[1]
        if rows * (H + I) * B < ENOUGH * (rows // H + 1):
            return [slice(0, B)]
        count = min(self.count or available(), B // (WIDE if rows * (H + I) < LARGE else WIDE_OF_LARGE))
        if count < 2:
            return [slice(0, B)]
        borders = [B * k // count for k in range(count + 1)]
        return [slice(a, b) for a, b in zip(borders, borders[1:])]

    def _whole(self, weights):
        """Of a batch that is not split: the context, and what makes the products of many steps."""
        (rows, I), H = weights.W_x.shape, weights.W_h.shape[1]
        context = nullcontext() if one_at_the_start() else limited(1)
        count = 1 if rows * (H + I) < LARGE else self.count or available()
        return context, np.matmul if count == 1 else functools.partial(self._matmul, count)

    def _matmul(self, count, a, b, out):
        """As ``np.matmul``, the rows of a split over ``count`` threads."""
        borders = [len(a) * k // count for k in range(count + 1)]
        parts = [slice(*ends) for ends in zip(borders, borders[1:])]
        self._each(lambda k, rows: np.matmul(a[rows], b, out=out[rows]), parts)
        return out

    def _each(self, call, parts):
        """``call(k, columns)`` for every part, the first one in this thread; returns when all calls have finished."""
        if getattr(_this_thread, "is_worker", False):  # to wait here for a free worker could mean to wait for itself
            return [call(k, columns) for k, columns in enumerate(parts)]
        pool = _pool(len(parts))
        with limited(1):
            others = [pool.submit(_in_worker, call, k, columns) for k, columns in enumerate(parts) if k]
            try:
                first = call(0, parts[0])
            finally:
                for other in others:
                    other.exception()  # waits
        return [first, *(other.result() for other in others)]

    def forward_through_time(
        self, cell, weights, x, state, lengths=None, reverse=False, *, h_mask=None, out=None, **options
    ):
        """As ``bptt.forward_through_time``."""
        parts = self.parts(weights, x.shape[2])
        if len(parts) == 1:
            context, matmul = self._whole(weights)
            with context:
                return through_time.forward_through_time(
                    cell, weights, x, state, lengths, reverse, h_mask=h_mask, out=out, matmul=matmul, **options
                )
        if out is None:
            out = np.empty((len(x),) + state[0].shape, weights.W_h.dtype)
        lengths = None if lengths is None else np.asarray(lengths)

        def run(k, columns):
            return through_time.forward_through_time(
                cell,
                weights,
                x[:, :, columns],
                tuple(part[:, columns] for part in state),
                None if lengths is None else lengths[columns],
                reverse,
                h_mask=None if h_mask is None else h_mask[:, columns],
                out=out[:, :, columns],
                **options,
            )

        _, states, tapes = zip(*self._each(run, parts))
        tape = None if tapes[0] is None else SplitTape(parts, tapes)
        return out, tuple(np.concatenate(letter, axis=1) for letter in zip(*states)), tape

    def backward_through_time(self, cell, weights, tape, d_hs, d_state, *, need_dx=True):
        """As ``bptt.backward_through_time``."""
        if not isinstance(tape, SplitTape):
            context, matmul = self._whole(weights)
            with context:
                return through_time.backward_through_time(
                    cell, weights, tape, d_hs, d_state, need_dx=need_dx, matmul=matmul
                )

        def run(k, columns):
            return through_time.backward_through_time(
                cell,
                weights,
                tape.tapes[k],
                None if d_hs is None else d_hs[:, :, columns],
                tuple(part[:, columns] for part in d_state),
                need_dx=need_dx,
            )

        d_weights, d_x, d_states = zip(*self._each(run, tape.parts))
        total = Weights(
            *(None if same[0] is None else sum(same[1:], start=same[0]) for same in zip(*(d[:5] for d in d_weights)))
        )
        if weights.own is not None:
            total = total._replace(own={name: sum(d.own[name] for d in d_weights) for name in weights.own})
        d_x = np.concatenate([part.transpose(0, 2, 1) for part in d_x], axis=1).transpose(0, 2, 1) if need_dx else None
        return total, d_x, tuple(np.concatenate(letter, axis=1) for letter in zip(*d_states))


class SplitTape:
    """The tapes of the parts, and which columns each has."""

    def __init__(self, parts, tapes):
        self.parts, self.tapes = parts, tapes


_pools = {}  # number of workers -> ThreadPoolExecutor, made when first needed
_pools_lock = threading.Lock()
_this_thread = threading.local()  # ``is_worker`` is set in the threads of the pools


def _pool(count):
    with _pools_lock:
        if count not in _pools:
            _pools[count] = ThreadPoolExecutor(count, "npseq")
        return _pools[count]


def _in_worker(call, k, columns):
    _this_thread.is_worker = True
    with limited(1):  # a BLAS may have a number of threads for each thread
        return call(k, columns)


def _after_fork():
    """A forked process has none of its parent's threads."""
    _pools.clear()
    _pools_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pools_lock.acquire, after_in_parent=_pools_lock.release, after_in_child=_after_fork)
