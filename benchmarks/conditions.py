"""What the figures of a benchmark depend on. Importing this module holds BLAS, OpenMP and MKL at one thread.

OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which choose BLAS's kernels, are removed from the environment. Import it before
NumPy.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def versions(*modules: str) -> dict[str, Any]:
    """Return the versions of Python, NumPy and ``modules``, and what threadpoolctl says of BLAS and its threads."""
    found: dict[str, Any] = {"python": platform.python_version()}
    for module in ("numpy", "npseq", *modules):
        found[module] = __import__(module).__version__
    try:
        from threadpoolctl import threadpool_info

        keys = ("internal_api", "version", "architecture", "num_threads")
        found["threadpoolctl"] = [{key: pool.get(key) for key in keys} for pool in threadpool_info()]
    except ImportError:
        found["threadpoolctl"] = "not installed"
    return found
