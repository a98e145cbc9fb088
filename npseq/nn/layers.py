"""The public layers.

``RNN``, ``LSTM`` and ``GRU`` run ``bptt.py``, the readable recurrence; ``OptimizedRNN``, ``OptimizedLSTM`` and
``OptimizedGRU`` run ``fused``: the same parameters, the same names, the same numbers. Options, shapes and errors of
all six are those of ``Recurrent`` in ``recurrent.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..bptt import Cell
from ..cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from ..fused.batch_parallel import BatchParallel
from .linear import Embedding, Linear
from .recurrent import Recurrent
from .truncated import truncated_bptt

__all__ = [
    "RNN", "LSTM", "GRU", "OptimizedRNN", "OptimizedLSTM", "OptimizedGRU",
    "Linear", "Embedding", "Recurrent", "truncated_bptt",
]  # fmt: skip


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

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make the same layer again, but for ``rng`` and ``dtype``."""
        return {**super().config, **({} if self.nonlinearity == "tanh" else {"nonlinearity": self.nonlinearity})}


class LSTM(Recurrent):
    """Long short-term memory (equations: ``cells.LSTMCell``); options as ``Recurrent``."""

    cell = LSTMCell


class GRU(Recurrent):
    """Gated recurrent unit, reset after the product (equations: ``cells.GRUCell``); options as ``Recurrent``.

    ``params`` has npseq's z, which is torch's 1 − z: σ(−a) = 1 − σ(a), so the z rows change sign in ``state_dict``.
    """

    cell = GRUCell

    def turn(self, name: str, array: np.ndarray) -> None:
        """Convert one parameter between npseq's and torch's convention in place: the z rows change sign."""
        if name.startswith(("weight_ih", "weight_hh", "bias")):
            z = array[self.hidden_size : 2 * self.hidden_size]
            np.negative(z, out=z)  # (28) of docs/derivation.md


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
