"""The layers beside the recurrent ones: linear and embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..fused.one_hot import sum_of_rows
from .flat import Gradients
from .module import Module, Tape
from .parameters import draws
from .validation import as_array, check_dtype, check_sizes, checked_lengths

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


class Linear(Module):
    """y = x Wᵀ + b over the last axis of x.

    ``weight`` (output_size, input_size) and ``bias`` (output_size,) start from U(−1/√I, 1/√I), as torch's do.

    Args:
        input_size, output_size: I and O.
        bias: False for no b.
        dtype: of the parameters.
        rng: ``np.random.Generator`` or seed for the initial parameters.

    Raises:
        ValueError: if a size is below 1, the last axis of x is not I, dy does not have y's shape, or a tape is that of
            another module. TypeError: for an x of another dtype, as a recurrent layer.
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

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make the same layer again, but for ``rng`` and ``dtype``."""
        output_size, input_size = self.shapes["weight"]
        return {"input_size": input_size, "output_size": output_size, "bias": "bias" in self.shapes}

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Tape]:
        """Compute y (…, O) of x (…, I). Returns y and the tape."""
        x = self._checked("x", x, self.params["weight"].shape[1])
        y = x @ self.params["weight"].T  # (60) of docs/derivation.md
        return (y + self.params["bias"] if "bias" in self.params else y), Tape(x, self._identity)

    def backward(self, tape: Tape, dy: np.ndarray, need_dx: bool = True) -> tuple[Any, Gradients]:
        """Compute the gradients of a loss from dy = dloss/dy (…, O). Returns dx (…, I) and the parameters' gradients.

        dx = dy W,   dW = Σ dyᵀ x,   db = Σ dy,   summed over all axes but the last; dx is None if it is not needed
        """
        x, dy = self._check_tape(tape, Tape).kept, self._checked("dy", dy, len(self.params["weight"]))
        if dy.shape[:-1] != x.shape[:-1]:
            raise ValueError(f"dy has the shape {dy.shape}; y has {(*x.shape[:-1], dy.shape[-1])}")
        grads, rows = self.new_gradients(), dy.reshape(-1, dy.shape[-1])
        grads["weight"][...] = rows.T @ x.reshape(len(rows), -1)
        if "bias" in grads:
            grads["bias"][...] = rows.sum(0)
        return dy @ self.params["weight"] if need_dx else None, grads

    def _checked(self, name: str, array: np.ndarray, size: int) -> np.ndarray:
        array = as_array(name, array)
        check_dtype(name, array, self.dtype)
        if array.ndim == 0 or array.shape[-1] != size:
            raise ValueError(f"the last dimension of {name} must be {size}; {name} of shape {array.shape} given")
        return array.astype(self.dtype, copy=False)


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

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make the same layer again, but for ``rng`` and ``dtype``."""
        return dict(zip(("count", "size"), self.shapes["weight"]))

    def forward(self, indices: np.ndarray, lengths: ArrayLike | None = None) -> tuple[np.ndarray, Tape]:
        """Look up the rows of ``indices`` (…), integers. Returns y (…, size) and the tape.

        With ``lengths`` (B,) the indices are (B, T), and what is in the padding changes nothing.
        """
        indices, count, there = as_array("indices", indices), len(self.params["weight"]), None
        if lengths is not None and indices.ndim == 2:
            checked = checked_lengths(lengths, indices.shape[1], len(indices))
            there = np.arange(indices.shape[1]) < np.asarray(checked)[:, None]
            indices = np.where(there, indices, 0)
        if indices.dtype.kind not in "iu" or indices.size and not 0 <= indices.min() <= indices.max() < count:
            numbers = indices.size and indices.dtype.kind in "fiub"
            found = f"{indices.dtype} from {indices.min()} to {indices.max()}" if numbers else f"{indices.dtype}"
            raise ValueError(f"indices must be integers from 0 to {count - 1}; {found} given")
        return self.params["weight"][indices], Tape((indices, there), self._identity)

    def backward(self, tape: Any, dy: Any, need_dx: bool = True) -> tuple[None, Gradients]:
        """Compute the gradient of ``weight`` from dy = dloss/dy (…, size). Returns None, in place of dx, and it.

        The gradients of repeated indices are summed. There is no gradient with respect to the indices.
        """
        (indices, there), dy = self._check_tape(tape, Tape).kept, as_array("dy", dy)
        check_dtype("dy", dy, self.dtype)
        if dy.shape != (*indices.shape, self.params["weight"].shape[1]):
            raise ValueError(f"dy has the shape {dy.shape}; y has {(*indices.shape, self.params['weight'].shape[1])}")
        dy = dy if there is None else np.where(there[:, :, None], dy, 0)
        grads, rows = self.new_gradients(), np.ascontiguousarray(dy).reshape(-1, dy.shape[-1])
        # (61) of docs/derivation.md
        grads["weight"][...] = sum_of_rows(rows, indices.reshape(-1), len(grads["weight"]))
        return None, grads
