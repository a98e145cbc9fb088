"""The layers beside the recurrent ones: linear and embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..fused.one_hot import sum_of_rows
from .module import Gradients, Module
from .parameters import draws
from .validation import check_sizes

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Linear(Module):
    """y = x Wᵀ + b over the last axis of x.

    ``weight`` (output_size, input_size) and ``bias`` (output_size,) start from U(−1/√I, 1/√I), as torch's do.

    Args:
        input_size, output_size: I and O.
        bias: False for no b.
        dtype: of the parameters.
        rng: ``np.random.Generator`` or seed for the initial parameters.

    Raises:
        ValueError: if a size is below 1, or the last axis of x is not I.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        check_sizes(input_size=input_size, output_size=output_size)
        shapes: dict[str, tuple[int, ...]] = {"weight": (output_size, input_size)}
        if bias:
            shapes["bias"] = (output_size,)
        super().__init__(shapes, dtype)
        bound = input_size**-0.5
        if draws():
            self.theta[...] = np.random.default_rng(rng).uniform(-bound, bound, self.theta.shape)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute y (…, O) of x (…, I). Returns y and the tape."""
        if x.shape[-1] != self.params["weight"].shape[1]:
            raise ValueError(
                f"the last dimension of x must be {self.params['weight'].shape[1]}; x of shape {x.shape} given"
            )
        y = x @ self.params["weight"].T  # (60) of docs/derivation.md
        return (y + self.params["bias"] if "bias" in self.params else y), x

    def backward(self, tape: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, Gradients]:
        """Compute the gradients of a loss from dy = dloss/dy (…, O). Returns dx (…, I) and the parameters' gradients.

        dx = dy W,   dW = Σ dyᵀ x,   db = Σ dy,   summed over all axes but the last
        """
        grads, rows = self.new_gradients(), dy.reshape(-1, dy.shape[-1])
        grads["weight"][...] = rows.T @ tape.reshape(len(rows), -1)
        if "bias" in grads:
            grads["bias"][...] = rows.sum(0)
        return dy @ self.params["weight"], grads


class Embedding(Module):
    """y = W[indices]: row k of ``weight`` (count, size) stands for index k; it starts from N(0, 1), as torch's does.

    Args:
        count, size: number of indices, and of elements for each.
        dtype: of the parameters.
        rng: ``np.random.Generator`` or seed for the initial parameters.

    Raises:
        ValueError: if a size is below 1, or the indices are not integers from 0 to count − 1.
    """

    def __init__(
        self,
        count: int,
        size: int,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        check_sizes(count=count, size=size)
        super().__init__({"weight": (count, size)}, dtype)
        if draws():
            self.params["weight"][...] = np.random.default_rng(rng).standard_normal((count, size))

    def forward(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look up the rows of ``indices`` (…), integers. Returns y (…, size) and the tape."""
        indices, count = np.asarray(indices), len(self.params["weight"])
        if indices.dtype.kind not in "iu" or indices.size and not 0 <= indices.min() <= indices.max() < count:
            given = f"{indices.min()} to {indices.max()}" if indices.size else "none"
            raise ValueError(f"indices must be integers from 0 to {count - 1}; {indices.dtype}, {given}, given")
        return self.params["weight"][indices], indices

    def backward(self, tape: np.ndarray, dy: np.ndarray) -> Gradients:
        """Compute the gradient of ``weight`` from dy = dloss/dy (…, size).

        The gradients of repeated indices are summed. There is no gradient with respect to the indices.
        """
        grads = self.new_gradients()
        rows = np.ascontiguousarray(dy).reshape(-1, dy.shape[-1])
        grads["weight"][...] = sum_of_rows(rows, tape.reshape(-1), len(grads["weight"]))  # (61) of docs/derivation.md
        return grads
