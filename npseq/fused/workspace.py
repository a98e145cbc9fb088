"""Workspaces of ``fused``: buffers that are allocated once and reused, and the pool that keeps them between calls."""

import os
import threading
from collections import OrderedDict, deque
from itertools import repeat

import numpy as np
from numpy.lib.stride_tricks import as_strided

CACHE = 400_000  # bytes of gradient factors computed in one call
COLUMNS = 1024  # minimum number of columns of a product over time; half as many if W has more than COLUMNS // 2 rows
HOIST = 150_000  # above this many elements W does not stay in the cache, so W_x x is computed for many steps at once


def group(I, H, B, dtype):
    """Number of steps to run together: as many as fit in the cache, and enough for one product with W_x if that is
    precomputed."""
    return max(1, CACHE // ((H + I + 1) * B * np.dtype(dtype).itemsize), -(-COLUMNS // B))


def columns_at_once(rows):
    """Number of columns of one product over time, for a W with ``rows`` rows."""
    return COLUMNS if rows <= COLUMNS // 2 else COLUMNS // 2


class WorkspacePool:
    """Workspaces that nobody uses at present, kept by size for later calls of the same sizes.

    A workspace leaves the pool with ``acquire`` and comes back when the last reference to its lease is gone, so it has
    one user at a time. When the pool is full, the workspaces whose sizes have been unused for longest are dropped. All
    methods may be called from several threads.

    Args:
        capacity_bytes: maximum number of bytes in the pool.

    Attributes:
        used_bytes: number of bytes in the pool at present.
    """

    def __init__(self, capacity_bytes):
        self.capacity_bytes = capacity_bytes
        self.clear()

    def clear(self):
        """Drop all workspaces. Also run in a forked process, in which another thread's lock would stay locked."""
        self._lock = threading.Lock()
        self._available = OrderedDict()  # (class, *sizes) -> list of workspaces; the sizes used last are at the end
        self._returned = deque()  # released, but not yet in ``_available``
        self.used_bytes = 0

    def acquire(self, workspace_class, *sizes):
        """Return a ``Lease`` on a workspace of these sizes: one from the pool, else a new one."""
        key, workspace = (workspace_class, *sizes), None
        with self._lock:
            self._store_returned()
            if key in self._available:
                workspace = self._remove(key, -1)
                if key in self._available:
                    self._available.move_to_end(key)
        return Lease(workspace_class(*sizes) if workspace is None else workspace, self)

    def release(self, workspace):
        """Take a workspace back. Called by ``Lease`` only, once for each lease.

        Leases are deleted at any moment, also by a garbage collection that starts while this thread holds the lock.
        So a lock that is not free is never waited for: the workspace is stored by the next call that has it.
        """
        self._returned.append(workspace)
        if self._lock.acquire(blocking=False):
            try:
                self._store_returned()
            finally:
                self._lock.release()

    def _store_returned(self):
        while self._returned:
            workspace = self._returned.popleft()
            if workspace.nbytes > self.capacity_bytes:
                continue
            while self.used_bytes + workspace.nbytes > self.capacity_bytes:
                self._remove(next(iter(self._available)), 0)
            self._available.setdefault(workspace.key, []).append(workspace)
            self._available.move_to_end(workspace.key)
            self.used_bytes += workspace.nbytes

    def _remove(self, key, place):
        kept = self._available[key]
        workspace = kept.pop(place)
        self.used_bytes -= workspace.nbytes
        if not kept:
            del self._available[key]
        return workspace


class Lease:
    """The right to use a workspace. When the lease is deleted the workspace returns to its pool.

    Copies are safe: ``copy.copy`` of an object that holds a lease shares the lease, and the workspace returns when both
    are gone; ``copy.deepcopy`` and pickle give a lease on a workspace of its own, with the same contents.
    """

    __slots__ = ("workspace", "_pool")

    def __init__(self, workspace, pool=None):
        self.workspace, self._pool = workspace, POOL if pool is None else pool

    def __del__(self):
        workspace, self.workspace = self.workspace, None
        if workspace is not None:
            self._pool.release(workspace)

    def __copy__(self):
        return self

    def __reduce__(self):
        return Lease, (self.workspace,)


class ForwardWorkspace:
    """What a forward pass keeps: Z (T + 1, H + I + 1, B) and the blocks of each step, S (T + 1, blocks, H, B).

    Without ``keep`` (inference) all steps have the same S.
    """

    def __init__(self, schedule, T, I, H, B, dtype, keep=True):
        self.key = (type(self), schedule, T, I, H, B, dtype, keep)
        self.sizes = T, I, H, B
        self.Z = np.zeros((T + 1, H + I + 1, B), dtype)
        self.Z[:, H + I] = 1
        self.S = np.zeros((T + 1 if keep else 1, schedule.blocks, H, B), dtype)
        self.scratch = np.empty((2, H, B), dtype)
        rows, self.W_h = schedule.rows_of_x(H), None
        self.large = rows.stop * (H + I) > HOIST and I >= 64  # whether W_x x is computed for a group of steps at once
        n = min(T, group(I, H, B, dtype)) if self.large else 0
        self.a_x = np.empty((rows.stop - rows.start, n * B), dtype)
        self.a_x_steps, self.first = None, 0  # of the present group, and its first step
        self.nbytes = self.Z.nbytes + self.S.nbytes + self.a_x.nbytes
        if not keep:
            self.S = as_strided(self.S, (T + 1,) + self.S.shape[1:], (0,) + self.S.strides[1:])
        self.steps = schedule.forward_views(self)

    def __reduce__(self):
        """Copies and pickles are new workspaces: arrays of their own, and views of these arrays."""
        keep = self.key[-1]
        return type(self), self.key[1:], (self.Z, self.S if keep else self.S[:1])

    def __setstate__(self, arrays):
        for own, given in zip((self.Z, self.S), arrays):
            own[: len(given)] = given

    def hoist(self, W_x, first, last, matmul):
        """W_x x + b of the steps first … last − 1, whose x stand in Z, as one product."""
        _, I, H, B = self.sizes
        n = last - first
        x = self.Z[first:last, H:].transpose(1, 0, 2).reshape(I + 1, n * B)
        a_x = self.a_x[:, : n * B] if self.large else np.empty((len(W_x), n * B), W_x.dtype)
        matmul(W_x, x, out=a_x)
        self.a_x_steps, self.first = a_x.reshape(len(W_x), n, B).transpose(1, 0, 2), first

    def hoisted(self, first, last):
        """The precomputed W_x x + b of each of these steps, or None if it was not precomputed."""
        if self.a_x_steps is None:
            return repeat(None)
        return self.a_x_steps[first - self.first : last - self.first]


class BackwardWorkspace:
    """Workspace of a backward pass over chunks of n steps: factors K of m steps, gradients D of n, and both Z and D
    gathered with the columns of all steps side by side."""

    def __init__(self, schedule, n, I, H, B, dtype):
        self.key = (type(self), schedule, n, I, H, B, dtype)
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


POOL = WorkspacePool(1 << 28)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.clear)
