"""Products of one step, in pieces that OpenBLAS multiplies without packing them (``fused/__init__.py``, point 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .blas import architecture
from .memory_layout import Matmul

UNPACKED = "skylakex", "cooperlake", "sapphirerapids"  # kernels of OpenBLAS that have a product without packing
MAX_MULTIPLICATIONS = 1_000_000  # of one piece; OpenBLAS packs the operands of larger products
MIN_ROWS = 4  # of a piece; with fewer it loses
MIN_ROWS_OF_TRANSPOSED = 16  # of a piece of a transposed matrix


def pieces(rows: int, size: int, columns: int, dtype: np.dtype[Any], min_rows: int | None = None) -> int:
    """Return into how many pieces of equal rows a product (rows, size) @ (size, columns) is cut.

    They are the fewest of at most ``MAX_MULTIPLICATIONS`` and at least ``min_rows`` rows (``MIN_ROWS``). That follows
    from the shape and the processor alone, so the same call gives the same bits. 0 stands for a product that is packed
    anyway: as a whole, in another precision, with one column, or by other kernels.
    """
    if dtype != np.float32 or columns < 2 or (architecture() or "").lower() not in UNPACKED:
        return 0
    fewest = max(1, -(-rows * size * columns // MAX_MULTIPLICATIONS))
    most = max(1, rows // (MIN_ROWS if min_rows is None else min_rows))
    return next((count for count in range(int(fewest), most + 1) if rows % count == 0), 0)


def product(W: np.ndarray, columns: int) -> Callable[[np.ndarray, np.ndarray], Any]:
    """Return ``multiply(Z, out)``, which computes W Z (rows, columns) into ``out`` and returns it; both contiguous."""
    count = pieces(len(W), W.shape[1], columns, W.dtype)
    if count < 2:
        return W.dot
    shape, matmul = (count, len(W) // count, columns), np.matmul
    V = W.reshape(count, len(W) // count, W.shape[1])

    def multiply(Z: np.ndarray, out: np.ndarray) -> np.ndarray:
        matmul(V, Z, out.reshape(shape))
        return out

    return multiply


def in_pieces(matmul: Matmul, A: np.ndarray, B: np.ndarray, out: np.ndarray) -> None:
    """Compute A B into ``out`` with ``matmul``; A is a transposed matrix of many rows."""
    (rows, size), columns = A.shape, B.shape[1]
    count = pieces(rows, size, columns, A.dtype, MIN_ROWS_OF_TRANSPOSED)
    if count > 1:
        A, out = A.reshape(count, rows // count, size), out.reshape(count, rows // count, columns)
    matmul(A, B, out=out)
