"""The layers beside the recurrent ones: linear and embedding."""

import numpy as np

from .module import Module
from .validation import check_sizes


class Linear(Module):
    """y = x Wᵀ + b over the last axis of x.

    ``weight`` (output_size, input_size) and ``bias`` (output_size,) start from U(−1/√I, 1/√I), as torch's do.

    Raises:
        ValueError: for a size below 1, or an x whose last axis is not I.
    """

    def __init__(self, input_size, output_size, bias=True, dtype=np.float32, rng=None):
        check_sizes(input_size=input_size, output_size=output_size)
        shapes = {"weight": (output_size, input_size)}
        if bias:
            shapes["bias"] = (output_size,)
        super().__init__(shapes, dtype)
        bound = input_size**-0.5
        self.theta[...] = np.random.default_rng(rng).uniform(-bound, bound, self.theta.shape)

    def forward(self, x):
        """x (…, I) -> y (…, O), tape."""
        if x.shape[-1] != self.params["weight"].shape[1]:
            raise ValueError(
                f"the last dimension of x must be {self.params['weight'].shape[1]}; x of shape {x.shape} given"
            )
        y = x @ self.params["weight"].T  # (60) of docs/derivation.md
        return (y + self.params["bias"] if "bias" in self.params else y), x

    def backward(self, tape, dy):
        """dy (…, O) -> dx (…, I), grads."""
        grads, rows = self.new_gradients(), dy.reshape(-1, dy.shape[-1])
        grads["weight"][...] = rows.T @ tape.reshape(len(rows), -1)
        if "bias" in grads:
            grads["bias"][...] = rows.sum(0)
        return dy @ self.params["weight"], grads


class Embedding(Module):
    """y = W[indices]: row k of ``weight`` (count, size) stands for index k; it starts from N(0, 1), as torch's does.

    Raises:
        ValueError: for a size below 1, or indices that are not integers from 0 to count − 1.
    """

    def __init__(self, count, size, dtype=np.float32, rng=None):
        check_sizes(count=count, size=size)
        super().__init__({"weight": (count, size)}, dtype)
        self.params["weight"][...] = np.random.default_rng(rng).standard_normal((count, size))

    def forward(self, indices):
        """indices (…) of integers -> y (…, size), tape."""
        indices, count = np.asarray(indices), len(self.params["weight"])
        if indices.dtype.kind not in "iu" or indices.size and not 0 <= indices.min() <= indices.max() < count:
            given = f"{indices.min()} to {indices.max()}" if indices.size else "none"
            raise ValueError(f"indices must be integers from 0 to {count - 1}; {indices.dtype}, {given}, given")
        return self.params["weight"][indices], indices

    def backward(self, tape, dy):
        """dy (…, size) -> grads. An index that occurs twice gets both its gradients. (An index has no gradient.)"""
        grads = self.new_gradients()
        np.add.at(grads["weight"], tape, dy)  # (61) of docs/derivation.md
        return grads
