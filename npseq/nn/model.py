"""A model for a task: a recurrent encoder, and a linear head on its last hidden state, or on that of every step.

    h_1 … h_T = encoder(x_1 … x_T),   y = W h_T + b   or   y_t = W h_t + b,  t = 1 … T

h_T is the top layer's hidden state at the last step of each sequence; with two directions, the final states of both
directions side by side (``read="final"``: that of the reverse direction belongs to the first step). Programs in torch
often take ``output[:, -1]`` instead (``read="last"``): then the reverse direction has seen the last step only. In place
of h_T the head can read the mean or the maximum over the steps, or both (``reading.py``).

x is (B, T, I), one row per sequence, or integers (B, T): one-hot vectors by the index of their 1, or indices of the
rows of an embedding. The parameters of all parts are one flat vector, ``theta``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import losses
from .flat import Gradients
from .linear import Embedding, Linear
from .module import Module, Tape
from .reading import POOLED, READS, d_pool, last_steps, pool, read_size
from .recurrent import LayerTape
from .registry import MODELS
from .scaling import Scaling, patches
from .streaming import Stream, check_streamable
from .validation import REAL, as_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


OUTPUTS = "last", "all"  # the steps at which a model has an output
State = Any  # of the encoder, as torch's: h (L·D, B, H), or (h, c)


class ModelTape(NamedTuple):
    """The tapes of the parts, the shape of the encoder's outputs (B, T, D·P), and the lengths."""

    embedding: Tape | None
    encoder: LayerTape
    head: Tape
    shape: tuple[int, ...]
    lengths: ArrayLike | None
    steps: np.ndarray | None  # of a maximum that the head has read
    owner: bytes


class Model(Module):
    """Encoder and head.

    Args:
        kind: a name of ``MODELS``.
        input_size, hidden_size, output_size: I, H and O, the number of outputs (values to forecast, or classes).
        loss: ``"mse"``, ``"mae"``, ``"huber"`` (targets (B, O)) or ``"cross_entropy"`` (labels (B,)).
        outputs: ``"last"``: one output, after the last step; ``"all"``: one at every step, y (B, T, O), targets
            (B, T, O) or labels (B, T). Steps past a sequence's length do not count in the loss.
        embedding_size: 0, or the number E of an embedding: x is then integers (B, T) from 0 to I − 1, and the encoder
            reads rows of ``embedding.weight`` (I, E).
        dtype, rng: of the parameters; generator (or seed) for the initial weights and dropout.
        scaling: how inputs are standardised and outputs converted back to data units, a ``Scaling`` or a dict of its
            lists ``input_mean``, ``input_scale``, ``output_mean``, ``output_scale``, ``skip``, ``patch``; None for no
            change.
        read: what the head reads: ``"final"`` or ``"last"`` as above (of one direction the same), ``"mean"``, ``"max"``
            or ``"mean+max"`` over the steps of each sequence (``reading.py``).
        threads: of an optimized encoder (``layers.OptimizedLSTM``); it does not affect the results and is not part of
            ``config``.
        options: of the encoder: ``num_layers``, ``bidirectional``, ``dropout``, ``forget_bias``, … (``Recurrent``).

    Attributes:
        config: the arguments that make the same model again.
        metadata: what a weights file says besides; None for a model that was not loaded.

    Raises:
        ValueError: for an unknown kind or loss, a ``read`` of all steps or a ``scaling.skip`` with ``outputs="all"``,
            and as ``Recurrent`` does.
    """

    def __init__(
        self,
        kind: str,
        input_size: int,
        hidden_size: int = 32,
        output_size: int = 1,
        *,
        loss: str = "mse",
        outputs: str = "last",
        embedding_size: int = 0,
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
        if outputs not in OUTPUTS:
            raise ValueError(f"unknown outputs {outputs!r}; one of {', '.join(OUTPUTS)} expected")
        if outputs == "all" and read in POOLED:
            raise ValueError(
                f"read={read!r} gives one output for all steps, so outputs='last' is expected; 'all' given"
            )
        self.rng = np.random.default_rng(rng)
        self.kind, self.loss, self.read, self.every_step = kind, loss, read, outputs == "all"
        self.scaling = Scaling.from_json(scaling) if isinstance(scaling, Mapping) else scaling
        self.metadata: dict[str, Any] | Any = None  # a dict in practice: who has loaded a file need not check
        own: dict[str, Any] = {"threads": threads} if kind.startswith("optimized") else {}
        self.embedding = Embedding(input_size, embedding_size, dtype, self.rng) if embedding_size else None
        size = embedding_size or input_size
        self.rnn = MODELS[kind](size, hidden_size, batch_first=True, dtype=dtype, rng=self.rng, **options, **own)
        size = read_size(read, self.rnn.output_size * self.rnn.num_directions)
        self.fc = Linear(size, output_size, dtype=dtype, rng=self.rng)
        self.config: dict[str, Any] = dict(
            kind=kind,
            loss=loss,
            input_size=int(input_size),
            hidden_size=int(hidden_size),
            output_size=int(output_size),
            # as the encoder has them: plain numbers, whatever was given
            **{name: getattr(self.rnn, name, value) for name, value in options.items()},
            **({} if read == "final" else {"read": read}),
        )
        if self.every_step:
            self.config["outputs"] = outputs
        if embedding_size:
            self.config["embedding_size"] = int(embedding_size)
        super().__init__(dtype=dtype)

    @property
    def scaling(self) -> Scaling | None:
        """How inputs and outputs are scaled. ValueError: for ``skip`` of a model with an output at every step."""
        return self._scaling

    @scaling.setter
    def scaling(self, scaling: Scaling | None) -> None:
        if self.every_step and scaling is not None and scaling.skip is not None:
            raise ValueError(
                "scaling.skip adds the last row's values to one output: outputs='last' expected, 'all' given"
            )
        self._scaling = scaling

    def forward(
        self,
        x: np.ndarray,
        state: State | None = None,
        lengths: ArrayLike | None = None,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> tuple[np.ndarray, State, ModelTape]:
        """Run the model and keep what backward needs.

        Args:
            x: (B, T, I), standardised, or indices (B, T).
            state, lengths, training, rng: as for ``Recurrent.forward``.

        Returns:
            y, (B, O) or (B, T, O), the encoder's final state and the tape.
        """
        x, embedding_tape = (x, None) if self.embedding is None else self.embedding.forward(x, lengths)
        hs, state, encoder_tape = self.rnn.forward(x, state, lengths, training, rng)
        h, steps = self._read(hs, state, lengths)
        y, head_tape = self.fc.forward(h)
        tape = ModelTape(embedding_tape, encoder_tape, head_tape, hs.shape, lengths, steps, self._identity)
        return self._by_sequence(y, hs), state, tape

    def backward(
        self, tape: ModelTape, dy: np.ndarray, d_state: State | None = None, need_dx: bool = True
    ) -> tuple[np.ndarray | None, State, Gradients]:
        """Compute the gradient of a loss that reads y and the final state.

        Args:
            tape: the tape returned by ``forward``.
            dy: dloss/dy, (B, O) or (B, T, O).
            d_state: dloss/dfinal state, or None for zeros.
            need_dx: False skips the gradient of x.

        Returns:
            dx (None of indices), d_state of the initial state, and the gradients of the parameters.
        """
        self._check_tape(tape, ModelTape)
        if self.every_step:
            B, T, O = dy.shape
            dh, d_fc = self.fc.backward(tape.head, dy.swapaxes(0, 1).reshape(T * B, O))
            d_hs = dh.reshape(T, B, -1).swapaxes(0, 1)
        else:
            dh, d_fc = self.fc.backward(tape.head, dy)
            d_hs, d_read = self._d_read(dh, tape)
            d_state = d_read if d_state is None or d_read is None else _sum(d_state, d_read)
        need_dx = need_dx or self.embedding is not None
        dx, d_state, d_rnn = self.rnn.backward(tape.encoder, d_hs, d_state, need_dx)
        found = {"rnn": d_rnn, "fc": d_fc}
        if self.embedding is not None:
            dx, found["embedding"] = self.embedding.backward(tape.embedding, dx)
        return dx, d_state, self.new_gradients(**found)

    def _d_read(self, dh: np.ndarray, tape: ModelTape) -> tuple[np.ndarray | None, State | None]:
        """Return the gradients of the encoder's outputs (None for zeros) and final state, given that of what the head
        has read after the last step."""
        shape = tape.shape
        if self.read in POOLED:
            return d_pool(self.read, dh, tape.steps, shape, tape.lengths), None
        # the loss reads the top layer's h alone: the gradient of every other state is zero
        D, (B, _) = self.rnn.num_directions, dh.shape
        d_state = [np.zeros((self.rnn.num_layers * D, B, size), self.dtype) for size in self.rnn.state_sizes()]
        d_hs = None
        if self._reads_last():
            P, (rows, steps) = dh.shape[1] // 2, last_steps(shape, tape.lengths)
            d_hs = np.zeros(shape, self.dtype)
            d_hs[rows, steps, P:] = dh[rows, P:]
            dh = dh.copy()
            dh[rows, P:] = 0
        d_state[0][-D:] = dh.reshape(B, D, -1).swapaxes(0, 1)
        return d_hs, d_state[0] if len(d_state) == 1 else d_state

    def _reads_last(self) -> bool:
        return self.read == "last" and self.rnn.num_directions == 2

    def _read(self, hs: np.ndarray, state: State, lengths: ArrayLike | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what the head reads of the outputs hs (B, T, D·P) and the final state: (B, D·P), or for outputs at
        every step (T·B, D·P); and for a maximum its steps."""
        if self.every_step:
            return hs.swapaxes(0, 1).reshape(-1, hs.shape[2]), None  # in the encoder's own order, without a copy
        if self.read in POOLED:
            return pool(self.read, hs, lengths)
        h: np.ndarray = state[0] if isinstance(state, tuple) else state
        D = self.rnn.num_directions
        h = h[-D:].swapaxes(0, 1).reshape(h.shape[1], -1)
        if self._reads_last():
            P, (rows, steps) = h.shape[1] // 2, last_steps(hs.shape, lengths)
            h = h.copy()
            h[rows, P:] = hs[rows, steps, P:]  # of the forward direction it is the final state already
        return h, None

    def _by_sequence(self, y: np.ndarray, hs: np.ndarray) -> np.ndarray:
        """Return the head's output for what ``_read`` gave as (B, O), or (B, T, O)."""
        return y.reshape(hs.shape[1], hs.shape[0], -1).swapaxes(0, 1) if self.every_step else y

    def __call__(
        self, x: np.ndarray, state: State | None = None, lengths: ArrayLike | None = None
    ) -> tuple[np.ndarray, State]:
        """Return y and the final state: inference, without a tape and without dropout; arguments as ``forward``."""
        x = x if self.embedding is None else self.embedding(x, lengths)
        hs, state = self.rnn(x, state, lengths)
        return self._by_sequence(self.fc(self._read(hs, state, lengths)[0]), hs), state

    def hidden(
        self, x: np.ndarray, state: State | None = None, lengths: ArrayLike | None = None
    ) -> tuple[np.ndarray, State]:
        """Return what the head reads, and the final state, of real inputs x. Arguments as ``forward``."""
        hs, state = self.rnn(x, state, lengths)
        return self._read(hs, state, lengths)[0], state

    def stream(self, batch: int = 1) -> Stream:
        """Return a ``Stream``: after each step the model's y for the steps so far, for ``batch`` sequences.

        It takes the model's inputs, standardised, as ``forward`` does. The weights are copied: after a change of the
        parameters make a new stream. For a model that was trained on windows: ``streaming.WindowStream``.

        Raises:
            ValueError: for a model with two directions, one whose head reads all steps, or one with an embedding
                (``model(x, state)`` keeps its state).
        """
        check_streamable(self)
        return Stream(self.rnn, batch, self.fc)

    def predict(self, x: ArrayLike, lengths: ArrayLike | None = None) -> np.ndarray:
        """Return y (B, O), or (B, T, O), for x (B, T, I), both in data units (logits for a classifier).

        A model of patches (``scaling.patch``) is given the rows themselves, x (B, T, I / patch).

        With ``scaling.skip``, y is added to the forecast that the last row of x holds. A single window (T, I) gives
        (O,), or (T, O). Integers (B, T) or (T,) are indices, of a model with an embedding or without scaling.

        Raises:
            ValueError: for an x of another shape.
        """
        x = as_array("x", x, REAL)
        if self.embedding is not None or self.scaling is None and x.dtype.kind in "iu" and x.ndim < 3:
            y = self.outputs(x[None] if x.ndim == 1 else x, lengths)
            return np.asarray(y[0]) if x.ndim == 1 else y
        x = np.asarray(x, np.float64)
        F = self.rnn.input_size // (1 if self.scaling is None else self.scaling.patch)
        if x.ndim not in (2, 3) or x.shape[-1] != F:
            raise ValueError(f"x has the shape {x.shape}; (B, T, {F}) or (T, {F}) expected")
        if x.ndim == 2:
            return np.asarray(self.predict(x[None], lengths)[0])
        if self.scaling is None:
            return self.outputs(x.astype(self.dtype), lengths)
        z = self.scaling.rows.standardise(x).astype(self.dtype)
        if self.scaling.patch > 1 and lengths is not None:
            z = np.where((np.arange(z.shape[1]) < np.asarray(lengths)[:, None])[:, :, None], z, 0)
        y = self.outputs(*patches(z, self.scaling.patch, lengths))
        y = self.scaling.outputs.to_units(y)
        if self.scaling.skip is None:
            return y
        last = -1 if lengths is None else np.asarray(lengths) - 1
        whole: np.ndarray = y + x[np.arange(len(x)), last][:, self.scaling.skip]
        return whole

    def __repr__(self) -> str:
        return f"Model({', '.join(f'{name}={value!r}' for name, value in self.config.items())}, dtype={self.dtype})"


def _sum(a: State, b: State) -> State:
    return tuple(map(np.add, a, b)) if isinstance(b, tuple | list) else a + b
