"""The public layers.

``RNN``, ``LSTM`` and ``GRU`` run ``bptt.py``, the readable recurrence; ``OptimizedRNN``, ``OptimizedLSTM`` and
``OptimizedGRU`` run ``fused``: the same parameters, the same names, the same numbers. Options, shapes and errors of
all six are those of ``Recurrent`` in ``recurrent.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..bptt import Cell
from ..cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from ..fused.batch_parallel import BatchParallel
from .conversion import check_shapes, parameters_under, sizes_in, state_dict_of_keras
from .linear import Embedding, Linear
from .parameters import parameter_shapes, undrawn
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

    Args:
        input_size, hidden_size, num_layers: I, H and L.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        args, options: as ``Recurrent``.

    Raises:
        ValueError: for another nonlinearity, and as ``Recurrent`` does.
    """

    cells: ClassVar[dict[str, Cell]] = {"tanh": RNNCell, "relu": ReLURNNCell}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **options: Any,
    ) -> None:
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

    def to_torch_convention(self, name: str, array: np.ndarray) -> np.ndarray:
        """Convert one parameter between npseq's and torch's convention: the z rows change sign."""
        if not name.startswith(("weight_ih", "weight_hh", "bias")):
            return array
        converted, z = np.array(array), slice(self.hidden_size, 2 * self.hidden_size)
        np.negative(converted[z], out=converted[z])  # (28) of docs/derivation.md
        return converted


class _Optimized:
    """Runs ``fused`` in place of ``bptt.py``.

    ``threads``: number of threads over which a wide batch is split (``fused/batch_parallel.py``); by default chosen
    from the sizes and the available cores.
    """

    through_time = BatchParallel()

    def __init__(self, *args: Any, threads: int | None = None, **options: Any) -> None:
        if threads is not None:
            self.through_time = BatchParallel(threads)
        super().__init__(*args, **options)


class OptimizedRNN(_Optimized, RNN):
    """``RNN`` run by ``fused``; further option: ``threads``."""


class OptimizedLSTM(_Optimized, LSTM):
    """``LSTM`` run by ``fused``; further option: ``threads``."""


class OptimizedGRU(_Optimized, GRU):
    """``GRU`` run by ``fused``; further option: ``threads``."""


def from_state_dict(
    mapping: Mapping[str, ArrayLike], prefix: str = "", optimized: bool = False, nonlinearity: str = "tanh"
) -> Recurrent:
    """Return the layer whose parameters are in ``mapping`` under ``prefix``.

    Kind, sizes, number of layers, directions, bias, projection and learned initial state follow from the names and
    shapes; other names are ignored.

    Args:
        mapping: name -> array, in torch's names and convention.
        prefix: of the names of the layer's parameters.
        optimized: return the optimized twin.
        nonlinearity: of an RNN. It is not recorded in a state_dict: pass ``"relu"`` if the RNN used relu.

    Returns:
        An ``RNN``, ``LSTM`` or ``GRU``, or with ``optimized`` its twin, in float64 if the arrays are, in complex128 if
        they are complex, else in float32.

    Raises:
        ValueError: if there is no such layer under the prefix, or its shapes do not fit together.
    """
    sizes = sizes_in(mapping, prefix)
    kinds = {1: RNN, 3: GRU, 4: LSTM}
    H, rows = sizes["hidden_size"], sizes.pop("rows")
    if H == 0 or rows % H or rows // H not in kinds:
        raise ValueError(
            f"{prefix}weight_hh_l0 is {np.shape(mapping[prefix + 'weight_hh_l0'])}: {H} units need {H}, {3 * H} or "
            f"{4 * H} rows (RNN, GRU, LSTM)"
        )
    kind = kinds[rows // H]
    if optimized:
        kind = {RNN: OptimizedRNN, GRU: OptimizedGRU, LSTM: OptimizedLSTM}[kind]
    own = parameters_under(mapping, prefix)
    given = own["weight_ih_l0"].dtype
    check_shapes(own, parameter_shapes({1: RNNCell, 3: GRUCell, 4: LSTMCell}[rows // H], **sizes), prefix)
    with undrawn():
        layer: Recurrent = kind(
            dtype=np.complex128 if given.kind == "c" else np.float64 if given == np.float64 else np.float32,
            **sizes,
            **({"nonlinearity": nonlinearity} if issubclass(kind, RNN) else {}),
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
    layer = from_state_dict(state_dict_of_keras(weights, kind, reset_after), "", optimized, nonlinearity)
    layer.batch_first = True
    return layer
