"""The layers that people use.

``RNN``, ``LSTM`` and ``GRU`` run ``bptt.py``, the readable recurrence; ``OptimizedRNN``, ``OptimizedLSTM`` and
``OptimizedGRU`` run ``fused.py``: the same parameters, the same names, the same numbers. Options, shapes and errors of
all six are those of ``Recurrent`` in ``recurrent.py``.
"""

import numpy as np

from . import fused
from .cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from .parameters import Module
from .recurrent import Recurrent, check_sizes, truncated_bptt  # noqa: F401


class RNN(Recurrent):
    """Elman's network, h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h), or with relu in place of tanh.

    ``nonlinearity``: ``"tanh"`` or ``"relu"``; all other options as ``Recurrent``.
    """

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", *args, **options):
        cells = {"tanh": RNNCell, "relu": ReLURNNCell}
        if nonlinearity not in cells:
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu'; {nonlinearity!r} given")
        self.cell, self.nonlinearity = cells[nonlinearity], nonlinearity
        super().__init__(input_size, hidden_size, num_layers, *args, **options)


class LSTM(Recurrent):
    """Long short-term memory (equations: ``cells.LSTMCell``); options as ``Recurrent``."""

    cell = LSTMCell


class GRU(Recurrent):
    """Gated recurrent unit, reset after the product (equations: ``cells.GRUCell``); options as ``Recurrent``.

    ``params`` has npseq's z, which is torch's 1 − z: σ(−a) = 1 − σ(a), so the z rows change sign in ``state_dict``.
    """

    cell = GRUCell

    def _to_torch(self, name, array):
        if not name.startswith(("weight_ih", "weight_hh", "bias")):
            return array
        H = self.hidden_size
        return np.concatenate([array[:H], -array[H:2 * H], array[2 * H:]])  # (28) of docs/derivation.md


class OptimizedRNN(RNN):
    """``RNN`` on the schedule of ``fused.py``."""

    through_time = fused


class OptimizedLSTM(LSTM):
    """``LSTM`` on the schedule of ``fused.py``."""

    through_time = fused


class OptimizedGRU(GRU):
    """``GRU`` on the schedule of ``fused.py``."""

    through_time = fused


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
        bound = input_size ** -0.5
        self.theta[...] = np.random.default_rng(rng).uniform(-bound, bound, self.theta.shape)

    def forward(self, x):
        """x (…, I) -> y (…, O), tape."""
        if x.shape[-1] != self.params["weight"].shape[1]:
            raise ValueError(f"the last dimension of x must be {self.params['weight'].shape[1]}; "
                             f"x of shape {x.shape} given")
        y = x @ self.params["weight"].T
        return (y + self.params["bias"] if "bias" in self.params else y), x

    def backward(self, tape, dy):
        """dy (…, O) -> dx (…, I), grads."""
        x, grads = tape, self.new_gradients()
        over = tuple(range(dy.ndim - 1))
        grads["weight"][...] = np.tensordot(dy, x, axes=(over, over))
        if "bias" in grads:
            grads["bias"][...] = dy.sum(over)
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
        np.add.at(grads["weight"], tape, dy)
        return grads
