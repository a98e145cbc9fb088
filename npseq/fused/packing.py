"""Sequences of different lengths, packed end to end.

Columns are independent, so when a sequence ends another one can start in its column: the batch becomes narrower and few
steps are spent on padding. Where a sequence starts, its initial state is written (and in backward its gradient is
read); where it ends, its final state is read (and in backward its gradient is added). Between two sequences of a column
there is at least one idle step, on zeros, so that the slot of the last state of one is not the first slot of the next;
the gradient of an idle step is zero.

Sequences start at multiples of a few steps (``STARTS`` of them in the longest sequence), so that the loop is seldom
interrupted, and the number of columns is a multiple of ``COLUMNS_MULTIPLE``, because a product with 28 columns takes
longer than one with 32. If packing would save fewer than ``MIN_MULTIPLICATIONS_SAVED`` multiplications, every sequence
keeps its own column, and finished ones continue on zeros.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

MIN_MULTIPLICATIONS_SAVED = 20e6  # by packing; below that, setting it up takes longer
STARTS = 32  # number of steps of the longest sequence at which another one may start
COLUMNS_MULTIPLE = 16  # the width of a packed batch is a multiple of this
COLUMNS_OVERHEAD = 8  # a product takes about as long as its number of columns plus this many


class Packing:
    """Where each sequence of a batch is.

    Args:
        T: steps of the batch.
        lengths: (B,) integers, not all zero.
        reverse: True to run the sequences from the last step to the first.
        work: multiplications per sequence and step.

    Attributes:
        steps, width: steps and columns of the packed batch.
        sequences, starts, columns: for each non-empty sequence its index in the batch, its first step and its column.
        last_slots: the slot of the last state of each of these sequences.
        idle: (steps, columns), two arrays of indices: where no sequence runs.
    """

    def __init__(self, T: int, lengths: np.ndarray, reverse: bool, work: float) -> None:
        B, longest = len(lengths), int(lengths.max())
        self.lengths, self.reverse = lengths, reverse
        self.steps, self.width = longest, B
        self.sequences = self.columns = np.flatnonzero(lengths)
        self.starts = np.zeros_like(self.sequences)
        own_columns = True
        if (B * longest - int(lengths.sum())) * work > MIN_MULTIPLICATIONS_SAVED:
            own_columns = not self._pack(lengths, B, longest)
        self.last_slots = self.starts + lengths[self.sequences]
        idle = np.ones((self.steps, self.width), bool)
        # (steps · width,), which of the (T · B,) rows is in each slot, and its inverse; None if each keeps its place
        self._rows: Any = None
        self._slots: Any = None
        if own_columns and not reverse:
            idle = np.arange(longest)[:, None] >= lengths
        else:
            self._number(T, lengths, reverse, B, idle)
        self.idle = np.nonzero(idle)
        self._starting: dict[int, Any] = {0: slice(None)}  # step -> the sequences, as places in ``sequences``
        if self.starts.any():
            self._starting = {}
            for k, start in enumerate(self.starts.tolist()):
                self._starting.setdefault(start, []).append(k)

    def _pack(self, lengths: np.ndarray, B: int, longest: int) -> bool:
        """Place the longest sequence first, each into the column that becomes free first. Returns True if that pays."""
        grid = max(1, longest // STARTS)
        sizes = -(-(lengths + 1) // grid) * grid
        order = self.sequences[np.argsort(-lengths[self.sequences], kind="stable")]
        total = int(sizes[order].sum())

        def time(width: int) -> float:
            columns = -(-width // COLUMNS_MULTIPLE) * COLUMNS_MULTIPLE + COLUMNS_OVERHEAD
            return columns * max(longest, 1.05 * total / width)

        width = min([*range(COLUMNS_MULTIPLE, B, COLUMNS_MULTIPLE), B], key=time)
        if width == B:
            return False
        free, places = [(0, column) for column in range(width)], []
        for size in sizes[order].tolist():
            start, column = free[0]
            places.append((start, column))
            heapq.heapreplace(free, (start + size, column))
        self.sequences, (self.starts, self.columns) = order, np.array(places).T
        self.steps, self.width = int((self.starts + lengths[order]).max()), width
        return True

    def _number(self, T: int, lengths: np.ndarray, reverse: bool, B: int, idle: np.ndarray) -> None:
        """Set ``_rows`` and ``_slots``, and ``idle`` to False where a sequence runs."""
        counts = lengths[self.sequences]
        sequence = np.repeat(self.sequences, counts)
        step = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
        slot = (np.repeat(self.starts, counts) + step) * self.width + np.repeat(self.columns, counts)
        row = (lengths[sequence] - 1 - step if reverse else step) * B + sequence
        self._rows = np.zeros(self.steps * self.width, np.intp)
        self._rows[slot] = row
        idle.reshape(-1)[slot] = False
        self._slots = np.full(T * B, len(self._rows))
        self._slots[row] = slot

    def packed(self, x: np.ndarray) -> np.ndarray:
        """Return x (T, ·, B) packed: (steps, ·, width), zero where no sequence runs."""
        rows = x.transpose(0, 2, 1)
        if self._rows is None:
            found = np.array(rows[: self.steps], order="C")
        else:
            T, B, size = rows.shape
            found = np.take(rows.reshape(T * B, size), self._rows, axis=0).reshape(self.steps, self.width, size)
        found[self.idle] = 0
        return found.transpose(0, 2, 1)

    def buffer(self, out: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a buffer (steps, ·, width) to fill, whose content ``unpack`` writes to ``out`` (T, ·, B).

        Returns also the (steps · width + 1, ·) rows that the buffer is a view of, or None if it is a view of ``out``.
        """
        if self._rows is None:
            return out[: self.steps], None
        rows = np.empty((self.steps * self.width + 1, out.shape[1]), out.dtype)
        rows[-1] = 0
        return rows[:-1].reshape(self.steps, self.width, -1).transpose(0, 2, 1), rows

    def unpack(self, rows: np.ndarray | None, out: np.ndarray) -> None:
        """Write the filled buffer, given by its rows, to ``out`` (T, ·, B), with zeros in the padding."""
        outputs = out.transpose(0, 2, 1)
        T, B, size = outputs.shape
        if rows is None:
            outputs[: self.steps][self.idle] = 0
            outputs[self.steps :] = 0
        elif outputs.flags.c_contiguous:
            # with mode="clip" take writes directly to out
            np.take(rows, self._slots, axis=0, out=outputs.reshape(T * B, size), mode="clip")
        else:
            outputs[...] = np.take(rows, self._slots, axis=0).reshape(T, B, size)

    def pieces(self, first: int, last: int) -> list[tuple[int, int, Any]]:
        """Cut the steps first … last − 1 where sequences start.

        Returns:
            (start, stop, the sequences that start at ``start``, as an index into ``sequences``, or None) in order.
        """
        cuts = sorted([first, *(t for t in self._starting if first < t < last), last])
        return [(a, b, self._starting.get(a)) for a, b in zip(cuts, cuts[1:])]
