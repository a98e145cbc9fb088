"""The number of threads that BLAS may use.

Most builds of BLAS have one number of threads for the whole process, while ``limited`` may be active several times at
once: nested in one thread, and in several threads whose uses overlap in any order. If each use restored what it found,
the last one to leave could restore the limit of another. So the requests are kept together: of one thread the innermost
counts, of several threads the smallest, and when the last one ends the numbers from before the first one are restored.
The libraries are found, asked and set by threadpoolctl's controller.
"""

from __future__ import annotations

import functools
import numbers
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def available() -> int:
    """Return how many threads may be used at most.

    That is the number of processors that this process may run on, or the value of ``OMP_NUM_THREADS`` or
    ``OPENBLAS_NUM_THREADS`` where it is smaller.
    """
    counts = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0]
        if value.isdecimal() and int(value) > 0:
            counts.append(int(value))
    return min(counts)


@functools.cache
def one_at_the_start() -> bool:
    """True if only one thread may be used; evaluated once, as BLAS does."""
    return available() == 1


@functools.cache
def controller() -> Any | None:
    """Return threadpoolctl's ``ThreadpoolController``, or None if threadpoolctl is not installed.

    It is made once: finding the libraries takes far longer than setting a limit, and so does a failed import.
    """
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


def described() -> str:
    """Return the names of the BLAS libraries, the processor each is made for, and how many threads may be used."""
    found = [] if controller() is None else controller().select(user_api="blas").info()  # type: ignore[union-attr]
    each = [f"{one['internal_api']} {one['version']} ({one.get('architecture', 'any processor')})" for one in found]
    number = available()
    return f"{', '.join(each) or 'BLAS of NumPy'}, {number} thread{'s' if number > 1 else ''}"


@functools.cache
def architecture() -> str | None:
    """Return the processor whose kernels the OpenBLAS of NumPy's wheels runs, such as ``"SkylakeX"``.

    None if threadpoolctl is not installed, or NumPy has another BLAS: libraries that other packages load do not count.
    """
    threadpools = controller()
    own = os.path.join(os.path.dirname(os.path.dirname(np.__file__)), "numpy")
    for library in [] if threadpools is None else threadpools.info():
        if library.get("internal_api") == "openblas" and library["filepath"].startswith(own):
            found: str | None = library.get("architecture")
            return found
    return None


@contextmanager
def limited(count: int) -> Iterator[None]:
    """Limit BLAS to ``count`` threads within this context; afterwards it may use as many as before.

    That holds for exceptions, for nested contexts (the innermost count applies) and for contexts that overlap in
    several threads (the smallest count applies until its context ends). In a forked process the contexts of the
    parent's other threads have ended. Also a decorator. Without threadpoolctl nothing is changed.

    Args:
        count: number of threads, 1 or more.

    Raises:
        ValueError: for a count that is no such number.
    """
    if not isinstance(count, numbers.Integral) or count < 1:
        raise ValueError(f"count must be an integer of 1 or more; {count!r} given")
    request = object()
    own = _libraries(per_thread=True)
    before = [library.num_threads for library in own]
    try:
        _set(own, count)
        _LIMITS.add(request, count)
        yield
    finally:
        _LIMITS.remove(request)
        for library, number in zip(own, before):
            _set([library], number)


@functools.cache
def _libraries(per_thread: bool) -> list[Any]:
    """Return the controllers of the BLAS libraries whose number of threads belongs to each thread, or to the process.

    An OpenBLAS that runs on OpenMP has one for each thread.
    """
    threadpools = controller()
    found = [] if threadpools is None else threadpools.select(user_api="blas").lib_controllers
    return [library for library in found if (getattr(library, "threading_layer", None) == "openmp") == per_thread]


def _set(libraries: Iterable[Any], count: int) -> None:
    for library in libraries:
        # threadpoolctl from 3.8 on lets the first thread that sets a number set the next ones too, and ignores other
        # threads until the first one gives that up. Here a lock says whose turn it is.
        give_up = getattr(library, "clear_controlling_thread", lambda force: None)
        give_up(force=True)
        library.set_num_threads(count)
        give_up(force=True)


class _Limits:
    """The requests of all active ``limited`` contexts, and the numbers to restore when there are none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._requests: dict[object, tuple[int, int]] = {}  # request -> (thread, count), in the order of entry
        self._count: int | None = None  # the limit set at present
        self._before: list[int] = []  # the number of each library before it was set

    def add(self, request: object, count: int) -> None:
        with self.lock:
            self._requests[request] = threading.get_ident(), count
            self._apply()

    def remove(self, request: object) -> None:
        with self.lock:
            if self._requests.pop(request, None) is not None:  # None if ``after_fork`` has dropped it
                self._apply()

    def after_fork(self) -> None:
        """Drop the requests of the threads that do not exist in this process, the child of a fork."""
        try:
            here = threading.get_ident()
            self._requests = {request: made for request, made in self._requests.items() if made[0] == here}
            self._apply()
        finally:
            self.lock.release()  # taken before the fork, so that no other thread was within ``add`` or ``remove``

    def _apply(self) -> None:
        innermost = {thread: count for thread, count in self._requests.values()}
        count = min(innermost.values(), default=None)
        if count == self._count:
            return
        shared = _libraries(per_thread=False)
        if self._count is None:
            self._before = [library.num_threads for library in shared]
        if count is None:
            for library, number in zip(shared, self._before):
                _set([library], number)
        else:
            _set(shared, count)
        self._count = count


_LIMITS = _Limits()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_LIMITS.lock.acquire, after_in_parent=_LIMITS.lock.release, after_in_child=_LIMITS.after_fork
    )
