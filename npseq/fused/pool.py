"""A pool of workspaces: buffers are allocated once and reused by later calls of the same sizes."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any, Protocol

CAPACITY_BYTES = 1 << 28  # of the pool that all layers of a process share


class Pooled(Protocol):
    """What a pool must know of a workspace: ``key``, that is its class and the arguments it was made with, and size."""

    key: tuple[Hashable, ...]
    nbytes: int


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

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.clear()

    def clear(self) -> None:
        """Drop all workspaces. Also run in a forked process, in which another thread's lock would stay locked."""
        self._lock = threading.Lock()
        self._available: OrderedDict[tuple[Hashable, ...], list[Any]] = OrderedDict()  # sizes used last are at the end
        self._returned: deque[Any] = deque()  # released, but not yet in ``_available``
        self.used_bytes = 0

    def acquire(self, workspace_class: Callable[..., Any], *sizes: Any) -> Lease:
        """Return a ``Lease`` on a workspace of these sizes: one from the pool, else a new one."""
        key, workspace = (workspace_class, *sizes), None
        with self._lock:
            if self._returned:
                self._store_returned()
            if key in self._available:
                workspace = self._remove(key, -1)
        return Lease(workspace_class(*sizes) if workspace is None else workspace, self)

    def release(self, workspace: Pooled) -> None:
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

    def _store_returned(self) -> None:
        while self._returned:
            workspace = self._returned.popleft()
            key, nbytes = workspace.key, workspace.nbytes
            if nbytes > self.capacity_bytes:
                continue
            while self.used_bytes + nbytes > self.capacity_bytes:
                self._remove(next(iter(self._available)), 0)
            if key in self._available:
                self._available[key].append(workspace)
                self._available.move_to_end(key)
            else:
                self._available[key] = [workspace]
            self.used_bytes += nbytes

    def _remove(self, key: tuple[Hashable, ...], place: int) -> Any:
        kept = self._available[key]
        workspace = kept.pop(place)
        self.used_bytes -= workspace.nbytes
        if not kept:
            del self._available[key]
        return workspace


class Lease:
    """The right to use a workspace. When the lease is deleted the workspace returns to its pool.

    Copies are safe: ``copy.copy`` of an object that holds a lease shares the lease, and the workspace returns when both
    are gone; ``copy.deepcopy`` and pickle give a lease on another workspace, with the same contents.

    Attributes:
        workspace: a ``ForwardWorkspace`` or ``BackwardWorkspace``.
    """

    __slots__ = ("workspace", "_pool")

    def __init__(self, workspace: Any, pool: WorkspacePool | None = None) -> None:
        self.workspace, self._pool = workspace, POOL if pool is None else pool

    def __del__(self) -> None:
        workspace, self.workspace = self.workspace, None
        if workspace is not None:
            self._pool.release(workspace)

    def __copy__(self) -> Lease:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Lease, (self.workspace,)


POOL = WorkspacePool(CAPACITY_BYTES)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.clear)
