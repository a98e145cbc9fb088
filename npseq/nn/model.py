"""A model for a task: a recurrent encoder, and a linear head on its last hidden state.

    h_T = encoder(x_1 … x_T),   y = W h_T + b

h_T is the top layer's hidden state at the last step of each sequence; with two directions, the final states of both
directions side by side (``read="final"``: that of the reverse direction belongs to the first step). Programs in torch
often take ``output[:, -1]`` instead (``read="last"``): then the reverse direction has seen the last step only.

x is (B, T, I), one row per sequence. The parameters of both parts are one flat vector, ``theta``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import losses
from .linear import Linear
from .module import Module
from .registry import MODELS
from .scaling import Scaling
from .streaming import Stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


READS = "final", "last"


class Model(Module):
    """Encoder and head.

    Args:
        kind: a name of ``MODELS``.
        input_size, hidden_size, output_size: I, H and O, the number of outputs (values to forecast, or classes).
        loss: ``"mse"``, ``"mae"``, ``"huber"`` (targets (B, O)) or ``"cross_entropy"`` (labels (B,)).
        dtype, rng: of the parameters; generator (or seed) for the initial weights and dropout.
        scaling: how inputs are standardised and outputs converted back to data units, a ``Scaling`` or a dict of its
            four lists ``input_mean``, ``input_scale``, ``output_mean``, ``output_scale``; None for no change.
        read: what the head reads of two directions: ``"final"`` or ``"last"`` as above; of one direction the same.
        threads: of an optimized encoder (``layers.OptimizedLSTM``); it does not affect the results and is not part of
            ``config``.
        options: of the encoder: ``num_layers``, ``bidirectional``, ``dropout``, ``forget_bias``, … (``Recurrent``).

    Attributes:
        config: the arguments that make the same model again.
        metadata: what a weights file says besides; None for a model that was not loaded.

    Raises:
        ValueError: for an unknown kind or loss, and as ``Recurrent`` does.
    """

    def __init__(
        self,
        kind: str,
        input_size: int,
        hidden_size: int = 32,
        output_size: int = 1,
        *,
        loss: str = "mse",
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | int | None = None,
        scaling: Scaling | Mapping[str, Any] | None = None,
        read: str = "final",
        threads: int | None = None,
        **options: Any,
    ):
        if kind not in MODELS:
            raise ValueError(f"unknown model {kind!r}; one of {', '.join(MODELS)} expected")
        if loss not in losses.LOSSES:
            raise ValueError(f"unknown loss {loss!r}; one of {', '.join(losses.LOSSES)} expected")
        if read not in READS:
            raise ValueError(f"read is {read!r}; one of {', '.join(READS)} expected")
        self.rng = np.random.default_rng(rng)
        self.kind, self.loss, self.read = kind, loss, read
        self.scaling = Scaling.from_json(scaling) if isinstance(scaling, Mapping) else scaling
        self.metadata: dict[str, Any] | None = None
        self.config = dict(
            kind=kind,
            loss=loss,
            input_size=int(input_size),
            hidden_size=int(hidden_size),
            output_size=int(output_size),
            **options,
            **({} if read == "final" else {"read": read}),
        )
        if kind.startswith("optimized"):
            options["threads"] = threads
        self.rnn = MODELS[kind](input_size, hidden_size, batch_first=True, dtype=dtype, rng=self.rng, **options)
        self.fc = Linear(self.rnn.output_size * self.rnn.num_directions, output_size, dtype=dtype, rng=self.rng)
        shapes = {
            f"{part}.{name}": shape for part in ("rnn", "fc") for name, shape in getattr(self, part).shapes.items()
        }
        super().__init__(shapes, dtype)

    def _adopt(self, theta):
        """Put the encoder's parameters into the first part of θ and the head's into the rest."""
        middle = self.rnn.theta.size
        self.rnn.bind(theta[:middle])
        self.fc.bind(theta[middle:])
        super()._adopt(theta)

    def astype(self, dtype: DTypeLike) -> Model:
        other = self._copy()
        other.rnn, other.fc = self.rnn.astype(dtype), self.fc.astype(dtype)
        other.rng = other.rnn.rng
        other._adopt(np.empty_like(self.theta, dtype))
        return other

    def _to_torch(self, name, array):
        part, _, rest = name.partition(".")
        return getattr(self, part)._to_torch(rest, array)

    def forward(self, x: np.ndarray, lengths: ArrayLike | None = None, training: bool = False) -> tuple:
        """Run the model: x (B, T, I), standardised. Returns y (B, O) and the tape."""
        hs, state, tape = self.rnn.forward(x, None, lengths, training)
        y, head_tape = self.fc.forward(self._read(hs, state, lengths))
        return y, ((tape, hs.shape, lengths), head_tape)

    def backward(self, tape: tuple, dy: np.ndarray) -> np.ndarray:
        """Return the gradient of all parameters as one flat vector, given dy (B, O)."""
        (tape, shape, lengths), head_tape = tape
        dh, head_grads = self.fc.backward(head_tape, dy)
        # the loss reads the top layer's h alone: the gradient of every other state is zero
        D, (B, _) = self.rnn.num_directions, dh.shape
        d_state = [np.zeros((self.rnn.num_layers * D, B, size), self.dtype) for size in self.rnn.state_sizes()]
        d_hs = None
        if self._reads_last():
            P, (rows, steps) = dh.shape[1] // 2, _last_steps(shape, lengths)
            d_hs = np.zeros(shape, self.dtype)
            d_hs[rows, steps, P:] = dh[rows, P:]
            dh = dh.copy()
            dh[rows, P:] = 0
        d_state[0][-D:] = dh.reshape(B, D, -1).swapaxes(0, 1)
        _, _, grads = self.rnn.backward(tape, d_hs, d_state[0] if len(d_state) == 1 else d_state, need_dx=False)
        return np.concatenate([grads.theta, head_grads.theta])

    def _reads_last(self) -> bool:
        return self.read == "last" and self.rnn.num_directions == 2

    def _read(self, hs: np.ndarray, state: Any, lengths: ArrayLike | None) -> np.ndarray:
        """Return what the head reads, (B, D·P), of the outputs hs (B, T, D·P) and the final state."""
        h = state[0] if isinstance(state, tuple) else state
        D = self.rnn.num_directions
        h = h[-D:].swapaxes(0, 1).reshape(h.shape[1], -1)
        if self._reads_last():
            P, (rows, steps) = h.shape[1] // 2, _last_steps(hs.shape, lengths)
            h = h.copy()
            h[rows, P:] = hs[rows, steps, P:]  # of the forward direction it is the final state already
        return h

    def loss_and_grad(self, batch: tuple, training: bool = True) -> tuple[Any, np.ndarray]:
        """Return the mean loss over the batch (x, target, lengths) and its gradient as one flat vector."""
        x, target, lengths = batch
        y, tape = self.forward(x, lengths, training)
        loss, dy = losses.LOSSES[self.loss](y, target)
        return loss, self.backward(tape, dy)

    def loss_of(self, batch: tuple) -> Any:
        """Return the mean loss over the batch, without a tape and without dropout."""
        x, target, lengths = batch
        return losses.LOSSES[self.loss](self.outputs(x, lengths), target)[0]

    def outputs(self, x: np.ndarray, lengths: ArrayLike | None = None) -> np.ndarray:
        """Return y (B, O) for x (B, T, I), standardised: inference, without a tape and without dropout."""
        hs, state = self.rnn(x, None, lengths)
        return self.fc.forward(self._read(hs, state, lengths))[0]

    def stream(self, batch: int = 1) -> Stream:
        """Return a ``Stream``: after each step the model's y for the steps so far, for ``batch`` sequences.

        It takes the model's inputs, standardised, as ``outputs`` does. The weights are copied: after a change of the
        parameters make a new stream. For a model that was trained on windows: ``streaming.WindowStream``.

        Raises:
            ValueError: for a model with two directions.
        """
        return Stream(self.rnn, batch, self.fc)

    def predict(self, x: ArrayLike, lengths: ArrayLike | None = None) -> np.ndarray:
        """Return y (B, O) for x (B, T, I), both in data units (logits for a classifier).

        A single window (T, I) gives (O,).

        Raises:
            ValueError: for an x of another shape.
        """
        x = np.asarray(x, np.float64)
        if x.ndim not in (2, 3) or x.shape[-1] != self.rnn.input_size:
            raise ValueError(
                f"x has the shape {x.shape}; (B, T, {self.rnn.input_size}) or (T, {self.rnn.input_size}) expected"
            )
        if x.ndim == 2:
            return self.predict(x[None], lengths)[0]
        if self.scaling is None:
            return self.outputs(x.astype(self.dtype), lengths)
        y = self.outputs(self.scaling.inputs.standardise(x).astype(self.dtype), lengths)
        return self.scaling.outputs.to_units(y)

    def __repr__(self) -> str:
        return f"Model({', '.join(f'{name}={value!r}' for name, value in self.config.items())}, dtype={self.dtype})"


def _last_steps(shape: tuple[int, ...], lengths: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the sequences that are not empty, and the number of the last step of each; ``shape``: (B, T, ·)."""
    B, T = shape[:2]
    ends = np.full(B, T) if lengths is None else np.asarray(lengths)
    rows = np.flatnonzero(ends > 0)
    return rows, ends[rows] - 1
