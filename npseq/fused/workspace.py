"""Where ``fused.py`` works: buffers that are made once and used again, and copies from one memory layout to another."""

from itertools import repeat

import numpy as np
from numpy.lib.stride_tricks import as_strided

CACHE = 400_000  # bytes of the factors that are made in one go
COLUMNS = 1024  # of the products over time, at least; half of it where W has more rows than that
HOIST = 150_000  # elements of W from which W_x x is made for many steps at once: W no longer stays in the cache


def group(I, H, B, dtype):
    """Steps that are run in one go: as many as stay in the cache, and enough for one product with W_x where that is
    hoisted."""
    return max(1, CACHE // ((H + I + 1) * B * np.dtype(dtype).itemsize), -(-COLUMNS // B))


def columns_at_once(rows):
    """Of the products over time with so many rows of W."""
    return COLUMNS if rows <= COLUMNS // 2 else COLUMNS // 2


class Pooled:
    """Buffers by sizes, kept for the next call of the same sizes."""

    MOST = 1 << 28  # bytes that are kept in all; beyond it, all are let go
    free, held = {}, 0

    @classmethod
    def take(cls, *sizes):
        key = (cls, *sizes)
        try:
            room = Pooled.free[key].pop()
            Pooled.held -= room.nbytes
        except (KeyError, IndexError):
            room = cls(*sizes)
            room.key = key
        return room

    def give_back(self):
        if Pooled.held + self.nbytes > self.MOST:
            Pooled.free, Pooled.held = {}, 0
        if self.nbytes <= self.MOST:
            Pooled.free.setdefault(self.key, []).append(self)
            Pooled.held += self.nbytes


class Room(Pooled):
    """What a forward pass keeps: Z (T + 1, H + I + 1, B) and the blocks of each step, S (T + 1, blocks, H, B).

    Without ``keep`` (inference) all steps have the same S. There may be room for a few steps more than asked for.
    """

    @classmethod
    def take(cls, schedule, T, *sizes):
        return super().take(schedule, -(-T // 8) * 8, *sizes)  # so that lengths near each other share rooms

    def __init__(self, schedule, T, I, H, B, dtype, keep=True):
        self.sizes = T, I, H, B
        self.Z = np.zeros((T + 1, H + I + 1, B), dtype)
        self.Z[:, H + I] = 1
        self.S = np.zeros((T + 1 if keep else 1, schedule.blocks, H, B), dtype)
        self.scratch = np.empty((2, H, B), dtype)
        rows, self.W_h, self.first = schedule.rows_of_x(H), None, 0
        self.large = rows.stop * (H + I) > HOIST and I >= 64  # is W_x x made for a group of steps at once?
        n = min(T, group(I, H, B, dtype)) if self.large else 0
        self.a_x = np.empty((rows.stop - rows.start, n * B), dtype)
        self.a_x_steps = self.a_x.reshape(len(self.a_x), n, B).transpose(1, 0, 2)
        self.nbytes = self.Z.nbytes + self.S.nbytes + self.a_x.nbytes
        if not keep:
            self.S = as_strided(self.S, (T + 1,) + self.S.shape[1:], (0,) + self.S.strides[1:])
        self.steps = schedule.forward_views(self)

    def hoist(self, W_x, first, last, matmul):
        """W_x x + b of the steps first … last − 1, whose x stand in Z, as one product."""
        T, I, H, B = self.sizes
        x = self.Z[first:last, H:].transpose(1, 0, 2).reshape(I + 1, (last - first) * B)
        matmul(W_x, x, out=self.a_x[:, : x.shape[1]])
        self.first = first

    def hoisted(self, first, last):
        """For each of these steps what ``hoist`` has made, or None."""
        if not self.large:
            return repeat(None)
        return self.a_x_steps[first - self.first : last - self.first]


class Back(Pooled):
    """Room of a backward pass over chunks of n steps: factors K of m steps, gradients D of n, and both Z and D gathered
    with the columns of all steps side by side."""

    def __init__(self, schedule, n, I, H, B, dtype):
        self.sizes = n, I, H, B
        blocks = schedule.factor_blocks
        self.m = max(1, min(n, CACHE // (blocks * H * B * np.dtype(dtype).itemsize)))
        self.K = np.empty((self.m, blocks, H, B), dtype)
        self.D = np.empty((n, schedule.gradient_blocks, H, B), dtype)
        self.D_flat = np.empty((schedule.da.stop - schedule.da.start) * H * n * B, dtype)
        self.Z_flat = np.empty((H + I + 1) * n * B, dtype)
        self.d_outputs = np.empty((n, H, B), dtype)
        self.product = np.empty((schedule.da.stop - schedule.da.start) * H * (H + I + 1), dtype)
        self.dh, self.dc = np.empty((2, H, B), dtype)
        arrays = self.K, self.D, self.D_flat, self.Z_flat, self.d_outputs, self.product
        self.nbytes = sum(array.nbytes for array in arrays)
        self.letters = len(schedule.cell_state)
        self.K_steps, self.steps = schedule.backward_views(self)

    def start(self, d_state):
        self.dh[...] = d_state[0]
        if self.letters > 1:
            self.dc[...] = d_state[1]

    def end(self):
        return (self.dh.copy(), self.dc.copy())[: self.letters]
