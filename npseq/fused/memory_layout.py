"""Copies between memory layouts, and the products whose speed depends on the layout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Matmul = Callable[..., np.ndarray]  # called as ``np.matmul``: (a, b, out=...)

NARROW_MAX_SEQUENCES, NARROW_MAX_ROWS = 16, 512  # up to these sizes the gradients of the steps are gathered as rows


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
