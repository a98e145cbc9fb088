"""Where ``fused.py`` works: buffers that are made once and used again, and copies from one memory layout to another."""

from itertools import repeat

import numpy as np
from numpy.lib.stride_tricks import as_strided

CACHE = 400_000  # bytes of the factors that are made in one go
COLUMNS = 1024  # of the products over time, at least; half of it where W has more rows than that
HOIST = 150_000  # elements of W from which W_x x is made for many steps at once: W no longer stays in the cache
NARROW, SMALL = 16, 512  # sequences and rows up to which the gradients of the steps are turned into rows
BLOCK = 32  # rows or columns that are transposed together; more would fall on each other in the cache
LARGE = 8_192  # elements from which transposing is done in blocks


def copy_swapped(to, source):
    """``to[...] = source``, (T, ·, ·) each, where the last axis is contiguous in one and the last but one in the
    other."""
    if to[:1].size < LARGE:
        to[...] = source
        return
    last = to.strides[2] == to.itemsize
    for start in range(0, to.shape[2 if last else 1], BLOCK):
        block = slice(start, start + BLOCK)
        part = (slice(None), slice(None), block) if last else (slice(None), block)
        to[part] = source[part]


def transposed(matrix):
    """A copy of Mᵀ, contiguous."""
    out = np.empty(matrix.shape[::-1], matrix.dtype)
    copy_swapped(out[None], matrix.T[None])
    return out


def group(I, H, B, dtype):
    """Steps that are run in one go: as many as stay in the cache, and enough for one product with W_x where that is
    hoisted."""
    return max(1, CACHE // ((H + I + 1) * B * np.dtype(dtype).itemsize), -(-COLUMNS // B))


def columns_at_once(rows):
    """Of the products over time with so many rows of W."""
    return COLUMNS if rows <= COLUMNS // 2 else COLUMNS // 2


def gathered(flat, steps):
    """(n, blocks, rows, B) -> (blocks · rows, n · B), the columns of all steps side by side, in the room ``flat``.

    With few sequences the copy lies in memory with one row for each step and sequence: the product over time is faster
    with it, and copying a few numbers at a time would be slow.
    """
    n, blocks, rows, B = steps.shape
    flat = flat[:steps.size]
    if narrow(blocks * rows, B):
        flat.reshape(n, B, blocks * rows)[...] = steps.reshape(n, blocks * rows, B).transpose(0, 2, 1)
        return flat.reshape(n * B, blocks * rows).T
    flat.reshape(blocks, rows, n, B)[...] = steps.transpose(1, 2, 0, 3)
    return flat.reshape(blocks * rows, n * B)


def narrow(rows, B):
    """Are the gradients of the steps turned into rows for the products over time?"""
    return B <= NARROW and rows <= SMALL


def outer(D, Z, room, matmul):
    """D Zᵀ, (rows of D, rows of Z), in the flat ``room``, by the faster of the two products that give it: it lies in
    memory as (rows of Z, rows of D) when it comes from Z Dᵀ."""
    out = room[:len(D) * len(Z)]
    if len(D) < len(Z) or D.strides[0] == D.itemsize:
        return matmul(Z, D.T, out=out.reshape(len(Z), len(D))).T
    return matmul(D, Z.T, out=out.reshape(len(D), len(Z)))


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
        matmul(W_x, x, out=self.a_x[:, :x.shape[1]])
        self.first = first

    def hoisted(self, first, last):
        """For each of these steps what ``hoist`` has made, or None."""
        if not self.large:
            return repeat(None)
        return self.a_x_steps[first - self.first:last - self.first]


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
        return (self.dh.copy(), self.dc.copy())[:self.letters]
