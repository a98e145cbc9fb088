"""How many threads BLAS uses: as many as pay, and no more than the machine or the user allows."""

import os
from contextlib import contextmanager

_controller = None  # threadpoolctl's, made once: looking for the libraries takes far longer than setting a limit


def available():
    """The most threads that may be used: the processors this process may run on, and no more than ``OMP_NUM_THREADS`` or
    ``OPENBLAS_NUM_THREADS`` say where they are set."""
    counts = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0]
        if value.isdigit() and int(value) > 0:
            counts.append(int(value))
    return min(counts)


def worthwhile(hidden_size):
    """Threads that pay for layers of this size: products below a few hundred rows are faster on one."""
    return available() if hidden_size >= 256 else 1


@contextmanager
def limited(count):
    """Within this context BLAS uses ``count`` threads; afterwards as many as before, exceptions included.

    Without threadpoolctl nothing is changed.
    """
    global _controller
    if _controller is None:
        try:
            from threadpoolctl import ThreadpoolController
        except ImportError:
            yield
            return
        _controller = ThreadpoolController()
    with _controller.limit(limits=count, user_api="blas"):
        yield
