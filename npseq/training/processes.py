"""Calls in other processes: those of ``npseq compare`` and the closed forms of many series."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from typing import Any

from .. import status

CHUNKS = 8  # of a list of calls, for each process


@contextmanager
def runner(jobs: int) -> Iterator[Callable[..., Callable[[], Any]]]:
    """A function that starts a call and returns one that gives its result: in processes if there are several jobs."""
    if jobs == 1:
        yield partial
        return
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:

        @contextmanager
        def starting() -> Iterator[None]:
            """Be in ``folder``: a new interpreter imports the modules of the current folder instead of its own.
            Ctrl-C waits, and no child ever gets it: it would be raised while the child loads its modules."""
            block = getattr(signal, "pthread_sigmask", lambda *_: None)
            mask = block(getattr(signal, "SIG_BLOCK", 0), [signal.SIGINT])
            os.chdir(folder)
            try:
                yield
            finally:
                os.chdir(here)
                block(getattr(signal, "SIG_SETMASK", 0), mask)

        def start(*call: Any) -> Callable[[], Any]:
            with starting():
                return processes.submit(*call).result

        with starting():
            processes = ProcessPoolExecutor(jobs, get_context("spawn"), _begin_as_a_child, (here,))
        with processes:
            try:
                yield start
            except BaseException:
                for child in active_children():
                    child.terminate()
                processes.shutdown(cancel_futures=True)
                raise


def _begin_as_a_child(folder: str) -> None:
    """Work in ``folder``, leave Ctrl-C to the parent, and end when it ends, even if it was killed."""
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(status.UNEXPECTED)


def mapped(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], jobs: int = 1) -> list[Any]:
    """Return what ``function`` returns for each of the ``calls`` (tuples of arguments), in order.

    Args:
        jobs: processes. A backend of joblib that the caller has set (``joblib.parallel_config("dask")``) takes their
            place.
    """
    joblib = sys.modules.get("joblib")
    if joblib is not None:
        backend, count = joblib.parallel.get_active_backend()
        if count != 1 or type(backend).__name__ != "LokyBackend":
            found = joblib.Parallel()(joblib.delayed(_all)(function, part) for part in _chunks(calls, CHUNKS * 8))
            return [one for part in found for one in part]
    if jobs == 1:
        return _all(function, calls)
    with runner(jobs) as start:
        results = [start(_all, function, part) for part in _chunks(calls, CHUNKS * jobs)]
        return [one for result in results for one in result()]


def _all(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [function(*call) for call in calls]


def _chunks(calls: Sequence[tuple[Any, ...]], count: int) -> list[Sequence[tuple[Any, ...]]]:
    size = max(1, -(-len(calls) // count))
    return [calls[start : start + size] for start in range(0, len(calls), size)]
