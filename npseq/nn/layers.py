"""The layers that people use.

``RNN``, ``LSTM`` and ``GRU`` run ``bptt.py``, the readable recurrence; ``OptimizedRNN``, ``OptimizedLSTM`` and
``OptimizedGRU`` run ``fused``: the same parameters, the same names, the same numbers. Options, shapes and errors of
all six are those of ``Recurrent`` in ``recurrent.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from ..fused.batch_parallel import BatchParallel
from . import keras
from .linear import Embedding, Linear
from .recurrent import Recurrent
from .truncated import truncated_bptt

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "RNN",
    "LSTM",
    "GRU",
    "OptimizedRNN",
    "OptimizedLSTM",
    "OptimizedGRU",
    "Linear",
    "Embedding",
    "Recurrent",
    "from_keras_weights",
    "from_state_dict",
    "truncated_bptt",
]


class RNN(Recurrent):
    """Elman's network, h_{t+1} = tanh(W_x x_t + b_x + W_h h_t + b_h), or with relu in place of tanh.

    ``nonlinearity``: ``"tanh"`` or ``"relu"``; all other options as ``Recurrent``.
    """

    cells = {"tanh": RNNCell, "relu": ReLURNNCell}

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", *args, **options):
        if nonlinearity not in self.cells:
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu'; {nonlinearity!r} given")
        self.cell, self.nonlinearity = self.cells[nonlinearity], nonlinearity
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
        return np.concatenate([array[:H], -array[H : 2 * H], array[2 * H :]])  # (28) of docs/derivation.md


class _Optimized:
    """Runs ``fused`` in place of ``bptt.py``.

    ``threads``: number of threads over which a wide batch is split (``fused/batch_parallel.py``); by default chosen from
    the sizes and the available cores.
    """

    through_time = BatchParallel()

    def __init__(self, *args, threads=None, **options):
        if threads is not None:
            self.through_time = BatchParallel(threads)
        super().__init__(*args, **options)


class OptimizedRNN(_Optimized, RNN):
    """``RNN`` run by ``fused``; further option: ``threads``."""


class OptimizedLSTM(_Optimized, LSTM):
    """``LSTM`` run by ``fused``; further option: ``threads``."""


class OptimizedGRU(_Optimized, GRU):
    """``GRU`` run by ``fused``; further option: ``threads``."""


def from_state_dict(mapping, prefix="", optimized=False, nonlinearity="tanh"):
    """The layer whose parameters stand in ``mapping`` (name -> array, in torch's names and sense) under ``prefix``.

    Kind, sizes, number of layers, directions, bias, projection and learned initial state are read off the names and
    shapes; names of other things are passed over. The nonlinearity of an RNN cannot be seen in them: give
    ``nonlinearity="relu"`` where it is that.

    Returns:
        An ``RNN``, ``LSTM`` or ``GRU``, or with ``optimized`` its twin, in float64 if the arrays are, else in float32.

    Raises:
        ValueError: when there is no such layer under the prefix, or its shapes do not fit together.
    """
    own = {
        name[len(prefix) :]: np.asarray(value)
        for name, value in mapping.items()
        if name.startswith(prefix) and _RECURRENT_NAME.fullmatch(name[len(prefix) :])
    }
    W_x, W_h = own.get("weight_ih_l0"), own.get("weight_hh_l0")
    if W_x is None or W_h is None or W_x.ndim != 2 or W_h.ndim != 2:
        raise ValueError(
            f"no recurrent layer under the prefix {prefix!r}: {prefix}weight_ih_l0 and "
            f"{prefix}weight_hh_l0 expected, "
            f"{', '.join(list(mapping)[:8]) or 'nothing'} given"
        )
    W_p = own.get("weight_hr_l0")
    H = W_h.shape[1] if W_p is None else W_p.shape[-1]
    kinds = {H: "RNN", 3 * H: "GRU", 4 * H: "LSTM"}
    if len(W_h) not in kinds:
        raise ValueError(
            f"{prefix}weight_hh_l0 is {W_h.shape}: {H} units need {H}, {3 * H} or {4 * H} rows (RNN, GRU, LSTM)"
        )
    kind = kinds[len(W_h)]
    options = {"nonlinearity": nonlinearity} if kind == "RNN" else {}
    layer = globals()["Optimized" * optimized + kind](
        W_x.shape[1],
        H,
        num_layers=sum(name.startswith("weight_hh_l") and not name.endswith("_reverse") for name in own),
        bias="bias_ih_l0" in own,
        bidirectional="weight_ih_l0_reverse" in own,
        proj_size=0 if W_p is None else len(W_p),
        learn_initial_state="h_0" in own,
        dtype=np.float64 if W_x.dtype == np.float64 else np.float32,
        **options,
    )
    layer.load_state_dict(own)
    return layer


def from_keras_weights(
    weights: Sequence[ArrayLike],
    kind: str,
    reset_after: bool = True,
    optimized: bool = False,
    nonlinearity: str = "tanh",
) -> Recurrent:
    """Return the layer that computes what a Keras layer computes: ``layer(x)`` with x (B, T, I), as in Keras.

    Args:
        weights: ``keras_layer.get_weights()`` of a ``SimpleRNN``, ``LSTM`` or ``GRU``, or of a ``Bidirectional`` around
            one, whose outputs then stand side by side (``merge_mode="concat"``).
        kind: ``"SimpleRNN"``, ``"LSTM"`` or ``"GRU"``.
        reset_after: of the Keras GRU.
        optimized: return the optimized twin.
        nonlinearity: ``"tanh"`` or ``"relu"``, of a SimpleRNN. Of the others the activations must be Keras's defaults.

    Returns:
        A layer with ``batch_first=True``, in float64 if the arrays are, else in float32.

    Raises:
        ValueError: for ``reset_after=False``, which is another function, or arrays of another number or other shapes.
    """
    layer = from_state_dict(keras.state_dict_of(weights, kind, reset_after), "", optimized, nonlinearity)
    layer.batch_first = True
    return layer


_RECURRENT_NAME = re.compile(r"(weight_(ih|hh|hr)|bias_(ih|hh))_l\d+(_reverse)?|[hc]_0")
