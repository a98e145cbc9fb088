"""Inputs that are one-hot vectors, given by the index of their 1.

W_x e_k is column k of W_x: a table with the columns W_x + b is read by index, and no product with zeros is made. ζ then
has no rows for x, and W is [W_h, b]. Going back, column (t, b) of da is added to the column of dW_x that was read.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def split(kernel: Any, W: np.ndarray, H: int) -> tuple[np.ndarray, np.ndarray]:
    """Return [W_h, b] and the table W_x + b (rows that read x, I), of the stacked W, [W_h, W_x, b]."""
    rows = kernel.rows_of_x(H)
    return np.concatenate([W[:, :H], W[:, -1:]], axis=1), W[rows, H:-1] + W[rows, -1:]


def sum_of_columns(columns: np.ndarray, indices: np.ndarray, I: int) -> np.ndarray:
    """Return the (A, I) array whose column k is the sum of those columns (A, N) whose index, of N, is k."""
    total = np.zeros((len(columns), I), columns.dtype)
    order = np.argsort(indices, kind="stable")  # the columns of one index side by side
    found, starts = np.unique(indices[order], return_index=True)
    total[:, found] = np.add.reduceat(columns.take(order, axis=1), starts, axis=1)
    return total


class TableGradient:
    """dW_x of one-hot inputs, summed chunk by chunk.

    Args:
        kernel: of the cell. indices: (T, B), in the order of the steps. I, H: of the layer. dtype: of the gradients.
    """

    def __init__(self, kernel: Any, indices: np.ndarray, I: int, H: int, dtype: Any) -> None:
        self.indices, self.rows, self.H = indices, kernel.rows_of_x(H), H
        self.dW_x = np.zeros((self.rows.stop - self.rows.start, I), dtype)

    def add(self, D: np.ndarray, start: int, count: int) -> None:
        """Add da of the steps start … start + count − 1, the columns of D (rows, count · B)."""
        columns = self.indices[start : start + count].reshape(-1)
        self.dW_x += sum_of_columns(D[self.rows], columns, self.dW_x.shape[1])

    def joined(self, dW: np.ndarray) -> np.ndarray:
        """Return the gradient of [W_h, W_x, b], given that of [W_h, b]."""
        I, H = self.dW_x.shape[1], self.H
        whole = np.zeros((len(dW), H + I + 1), dW.dtype)
        whole[:, :H], whole[self.rows, H:-1], whole[:, -1] = dW[:, :H], self.dW_x, dW[:, -1]
        return whole
