"""A pool of workspaces: buffers are allocated once and reused by later calls of the same sizes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

CAPACITY_BYTES = 1 << 28  # of the pool that all layers of a process share


class WorkspacePool:
    """Workspaces that nobody uses at present, by their ``key``: class and sizes. A pool that gets full starts anew.

    A workspace leaves the pool with ``acquire`` and comes back when the last reference to its lease is gone, so it has
    one user at a time. Leases are deleted at any moment, also by a garbage collection, and in any thread. So there is
    no lock: each access of the dict and of a deque is atomic, and what is lost between two of them is allocated anew.

    Args:
        capacity_bytes: maximum number of bytes in the pool.

    Attributes:
        used_bytes: number of bytes in the pool; threads that meet here may count wrongly, until the pool starts anew.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes, self.used_bytes = capacity_bytes, 0
        self._kept: dict[tuple[Hashable, ...], deque[Any]] = {}

    def acquire(self, workspace_class: Callable[..., Any], *sizes: Any) -> Lease:
        """Return a ``Lease`` on a workspace of these sizes: one from the pool, else a new one."""
        try:
            workspace = self._kept[(workspace_class, *sizes)].pop()
            self.used_bytes -= workspace.nbytes
        except (KeyError, IndexError):
            workspace = workspace_class(*sizes)
        return Lease(workspace, self)

    def release(self, workspace: Any) -> None:
        """Take a workspace back. Called by ``Lease`` only, once for each lease."""
        if workspace.nbytes > self.capacity_bytes:
            return
        if self.used_bytes + workspace.nbytes > self.capacity_bytes:
            self._kept, self.used_bytes = {}, 0
        self._kept.setdefault(workspace.key, deque()).append(workspace)
        self.used_bytes += workspace.nbytes


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
