"""How many threads BLAS may use."""

import functools
import os
from contextlib import contextmanager

_controller = None  # threadpoolctl's, made once: looking for the libraries takes far longer than setting a limit
_limit = None  # what ``limited`` has set at present


def available():
    """The most threads that may be used: the processors this process may run on, and no more than ``OMP_NUM_THREADS``
    or ``OPENBLAS_NUM_THREADS`` say where they are set."""
    counts = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0]
        if value.isdigit() and int(value) > 0:
            counts.append(int(value))
    return min(counts)


@functools.cache
def one_at_the_start():
    """May only one be used? Asked once, as BLAS does."""
    return available() == 1


@contextmanager
def limited(count):
    """Within this context BLAS uses ``count`` threads; afterwards as many as before, exceptions included.

    Without threadpoolctl nothing is changed.
    """
    global _controller, _limit
    if _limit == count:  # set already, further out
        yield
        return
    if _controller is None:
        try:
            from threadpoolctl import ThreadpoolController

            _controller = ThreadpoolController()
        except ImportError:  # a failed import is not remembered, and takes far longer than a layer's step
            _controller = False
    if not _controller:
        yield
        return
    before, _limit = _limit, count
    try:
        with _controller.limit(limits=count, user_api="blas"):
            yield
    finally:
        _limit = before
