"""Sequences of different lengths on the optimized schedule: packed one behind the other.

Columns do not touch each other. So when a sequence has ended its column may go on with another one: the batch becomes a
narrower one of full length, and no step is run for padding. What that takes: the state is set where a sequence begins,
and going back the gradient is taken out there; the final states are read off where sequences end, and their gradients
are fed in. Between two sequences there is at least one idle step, on zeros, so that the slot of the last state of one
is not that of the first state of the next; its gradient is zero.

Sequences begin at multiples of a few steps (``GRID`` of them in the longest), so that the loop is seldom interrupted,
and columns come in sixteens, because a product with 28 columns takes longer than one with 32. Where packing would not
save ``WORTH``, every sequence keeps its column, and those that have ended run on, on zeros.
"""

import heapq

import numpy as np

WORTH = 20e6  # multiplications that packing must save
GRID = 32  # places in the longest sequence where another may begin


class Packing:
    """Where each of the sequences stands.

    Args:
        T: steps of the batch.
        lengths: (B,), not all zero.
        reverse: are they run from their last step to their first?
        work: multiplications for one sequence and step.

    Attributes:
        steps, width: of the packed batch.
        sequences, starts, columns: one entry for each sequence that is not empty: which it is, its first step, its
            column.
        ends: the slot of its last state.
    """

    def __init__(self, T, lengths, reverse, work):
        B, longest = len(lengths), int(lengths.max())
        self.lengths, self.reverse = lengths, reverse
        self.steps, self.width = longest, B
        self.sequences = self.columns = np.flatnonzero(lengths)
        self.starts = np.zeros_like(self.sequences)
        own_columns = True
        if (B * longest - int(lengths.sum())) * work > WORTH:
            own_columns = not self._pack(lengths, B, longest)
        self.ends = self.starts + lengths[self.sequences]
        idle = np.ones((self.steps, self.width), bool)
        self.slots = None  # (steps · width,) which of the (T · B,) rows stands in each slot; ``sources`` the inverse
        if own_columns and not reverse:
            idle = np.arange(longest)[:, None] >= lengths
        else:
            self._number(T, lengths, reverse, B, idle)
        self.idle = np.nonzero(idle)  # (steps, columns) where nothing runs
        self.begins = {}  # step -> the sequences, as places in ``sequences``, that begin there
        for k, start in enumerate(self.starts.tolist()) if self.starts.any() else ():
            self.begins.setdefault(start, []).append(k)
        self.begins = self.begins or {0: slice(None)}

    def _pack(self, lengths, B, longest):
        """The longest first, each to the column that is free first; -> was it worth it?"""
        grid = max(1, longest // GRID)
        sizes = -(-(lengths + 1) // grid) * grid
        order = self.sequences[np.argsort(-lengths[self.sequences], kind="stable")]
        total = int(sizes[order].sum())
        # a product's time is about that of width + 8 columns, its width being counted in sixteens
        width = min([*range(16, B, 16), B], key=lambda n: (-(-n // 16) * 16 + 8) * max(longest, 1.05 * total / n))
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

    def _number(self, T, lengths, reverse, B, idle):
        counts = lengths[self.sequences]
        sequence = np.repeat(self.sequences, counts)
        step = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
        slot = (np.repeat(self.starts, counts) + step) * self.width + np.repeat(self.columns, counts)
        place = (lengths[sequence] - 1 - step if reverse else step) * B + sequence
        self.slots = np.zeros(self.steps * self.width, np.intp)
        self.slots[slot] = place
        idle.reshape(-1)[slot] = False
        self.sources = np.full(T * B, len(self.slots))
        self.sources[place] = slot

    def packed(self, x):
        """(T, ·, B) -> (steps, ·, width), zero where nothing runs."""
        rows = x.transpose(0, 2, 1)
        if self.slots is None:
            found = np.array(rows[: self.steps], order="C")
        else:
            T, B, size = rows.shape
            found = np.take(rows.reshape(T * B, size), self.slots, axis=0).reshape(self.steps, self.width, size)
        found[self.idle] = 0
        return found.transpose(0, 2, 1)

    def room(self, out):
        """-> (steps, ·, width), to be filled for ``unpack``, and the (steps · width + 1, ·) rows that it lies in."""
        if self.slots is None:
            return out[: self.steps], None
        flat = np.empty((self.steps * self.width + 1, out.shape[1]), out.dtype)
        flat[-1] = 0
        return flat[:-1].reshape(self.steps, self.width, -1).transpose(0, 2, 1), flat

    def unpack(self, flat, out):
        """What ``room`` gave, filled, into ``out`` (T, ·, B); zeros in the padding."""
        rows = out.transpose(0, 2, 1)
        T, B, size = rows.shape
        if flat is None:
            rows[: self.steps][self.idle] = 0
            rows[self.steps :] = 0
        elif rows.flags.c_contiguous:
            np.take(flat, self.sources, axis=0, out=rows.reshape(T * B, size), mode="clip")  # clip: straight into out
        else:
            rows[...] = np.take(flat, self.sources, axis=0).reshape(T, B, size)

    def pieces(self, first, last):
        """The steps first … last − 1 as (start, stop, the sequences that begin at start), cut where one begins."""
        cuts = [first, *(t for t in self.begins if first < t < last), last]
        cuts.sort()
        return [(a, b, self.begins.get(a)) for a, b in zip(cuts, cuts[1:])]
