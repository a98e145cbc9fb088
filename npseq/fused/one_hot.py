"""Inputs that are one-hot vectors, given by the index of their 1.

W_x e_k is column k of W_x: a table with the columns W_x + b is read by index, and no product with zeros is made. ζ then
has no rows for x, and W is [W_h, b]. Going back, column (t, b) of da is added to the column of dW_x that was read; the
columns of da are copied into rows first, so that each addition is of contiguous numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def split(kernel: Any, W: np.ndarray, H: int) -> tuple[np.ndarray, np.ndarray]:
    """Return [W_h, b] and the table W_x + b (rows that read x, I), of the stacked W, [W_h, W_x, b]."""
    rows = kernel.rows_of_x(H)
    return np.concatenate([W[:, :H], W[:, -1:]], axis=1), W[rows, H:-1] + W[rows, -1:]


def sum_of_rows(rows: np.ndarray, indices: np.ndarray, I: int) -> np.ndarray:
    """Return the (I, A) array whose row k is the sum of those rows (N, A) whose index, of N, is k.

    It is the product of a sparse (I, N) matrix of ones, of which scipy adds whole rows, one after another.
    """
    from scipy.sparse import csr_array  # here, as few models have one-hot inputs

    order = np.argsort(indices, kind="stable").astype(np.int32)
    ends = np.zeros(I + 1, np.int32)
    np.cumsum(np.bincount(indices.astype(np.intp, copy=False), minlength=I), out=ends[1:])
    total: np.ndarray = csr_array((np.ones(len(rows), rows.dtype), order, ends), shape=(I, len(rows))) @ rows
    return total


class TableGradient:
    """dW_x of one-hot inputs, summed chunk by chunk.

    Args:
        kernel: of the cell. indices: (T, B), in the order of the steps. I, H: of the layer. dtype: of the gradients.
    """

    def __init__(self, kernel: Any, indices: np.ndarray, I: int, H: int, dtype: Any) -> None:
        self.indices, self.rows, self.H = indices, kernel.rows_of_x(H), H
        self.dW_x = np.zeros((I, self.rows.stop - self.rows.start), dtype)

    def add(self, D: np.ndarray, start: int, buffer: np.ndarray) -> None:
        """Add da of n steps from ``start`` on: D (n, blocks, H, B); ``buffer``: flat, of D's size at least."""
        I, A = self.dW_x.shape
        n, blocks, H, B = D.shape
        of_x = D.reshape(n, blocks * H, B)[:, self.rows]
        rows = buffer[: of_x.size].reshape(n, B, A)
        rows[...] = of_x.transpose(0, 2, 1)
        self.dW_x += sum_of_rows(rows.reshape(n * B, A), self.indices[start : start + n].reshape(-1), I)

    def joined(self, dW: np.ndarray) -> np.ndarray:
        """Return the gradient of [W_h, W_x, b], given that of [W_h, b]."""
        I, H = len(self.dW_x), self.H
        whole = np.zeros((len(dW), H + I + 1), dW.dtype)
        whole[:, :H], whole[self.rows, H:-1], whole[:, -1] = dW[:, :H], self.dW_x.T, dW[:, -1]
        return whole
