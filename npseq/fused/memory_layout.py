"""Copies between memory layouts, and the products whose speed depends on the layout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Matmul = Callable[..., np.ndarray]  # called as ``np.matmul``: (a, b, out=...)

NARROW_MAX_SEQUENCES, NARROW_MAX_ROWS = 16, 512  # up to these sizes the gradients of the steps are gathered as rows
BLOCK_ROWS = 32  # block size for transposing; larger blocks cause cache conflicts
BLOCKED_MIN_ELEMENTS = 8_192  # matrices with at least this many elements are transposed in blocks


def copy_swapped(to: np.ndarray, source: np.ndarray) -> None:
    """Copy ``source`` to ``to``: ``to[...] = source``, where large matrices are copied in blocks that fit in the cache.

    Args:
        to, source: (n, rows, columns); one has contiguous rows, the other contiguous columns.
    """
    if to[:1].size < BLOCKED_MIN_ELEMENTS:
        to[...] = source
        return
    last = to.strides[2] == to.itemsize
    for start in range(0, to.shape[2 if last else 1], BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        part = (slice(None), slice(None), block) if last else (slice(None), block)
        to[part] = source[part]


def transposed(matrix: np.ndarray) -> np.ndarray:
    """Return a contiguous copy of Mᵀ."""
    out = np.empty(matrix.shape[::-1], matrix.dtype)
    copy_swapped(out[None], matrix.T[None])
    return out


def gathered(buffer: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Gather the columns of all steps side by side.

    For narrow batches the copy has one row per step and sequence: the product over time is then faster, and no copy
    moves only a few elements at a time.

    Args:
        buffer: flat, of at least as many elements as ``steps``; receives the copy.
        steps: (n, blocks, rows, B).

    Returns:
        (blocks · rows, n · B), a view of the buffer.
    """
    n, blocks, rows, B = steps.shape
    buffer = buffer[: steps.size]
    if narrow(blocks * rows, B):
        buffer.reshape(n, B, blocks * rows)[...] = steps.reshape(n, blocks * rows, B).transpose(0, 2, 1)
        return buffer.reshape(n * B, blocks * rows).T
    buffer.reshape(blocks, rows, n, B)[...] = steps.transpose(1, 2, 0, 3)
    return buffer.reshape(blocks * rows, n * B)


def narrow(rows: int, B: int) -> bool:
    """True if the gradients of the steps are gathered as rows for the products over time."""
    return B <= NARROW_MAX_SEQUENCES and rows <= NARROW_MAX_ROWS


def outer(D: np.ndarray, Z: np.ndarray, buffer: np.ndarray, matmul: Matmul) -> np.ndarray:
    """Compute D Zᵀ as D Zᵀ or as (Z Dᵀ)ᵀ, whichever is faster; the second is a transposed view.

    Args:
        D: (rows of D, columns).
        Z: (rows of Z, columns).
        buffer: flat, of at least rows of D · rows of Z elements; receives the product.
        matmul: computes the product.

    Returns:
        (rows of D, rows of Z), a view of the buffer.
    """
    out = buffer[: len(D) * len(Z)]
    if len(D) < len(Z) or D.strides[0] == D.itemsize:
        return matmul(Z, D.T, out=out.reshape(len(Z), len(D))).T
    return matmul(D, Z.T, out=out.reshape(len(D), len(Z)))
