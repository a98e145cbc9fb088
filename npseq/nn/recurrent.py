"""Base class of the recurrent layers: torch-shaped arrays outside, one column per sequence inside.

It has stacked layers, two directions, dropout, lengths and states. Between calls a layer stores nothing but its
parameters and the generator for dropout: the state is passed in and returned, the tape holds all that backward needs.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import bptt
from ..bptt import Weights
from ..cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from .flat import Gradients
from .module import Module
from .own_parameters import check_backward, check_declaration, check_forward, initial_value
from .parameters import draws, parameter_shapes, suffixes
from .streaming import Stream
from .torch_shapes import as_given, checked_state, columns, inputs, joined, rows, time_major
from .validation import check_sizes, checked_checkpoint, outer_level

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

CHECKED = RNNCell, ReLURNNCell, LSTMCell, GRUCell  # the shapes of their arrays need no check
Array = np.ndarray
# options in repr, and their defaults
SHOWN: dict[str, Any] = dict(num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0)
SHOWN |= dict(recurrent_dropout=0.0, learn_initial_state=False, checkpoint_every=None)
ARGUMENTS = "input_size", "hidden_size", *SHOWN, "forget_bias"


class LayerTape(NamedTuple):
    """What backward needs of a layer's forward pass."""

    runs: list[Any]  # a tape of bptt.py or fused/ for each layer and direction: l0, l0 reverse, l1, …
    dropout: list[Array | None]  # the mask on the output of each layer, or None
    learned_state: bool  # True if the learned initial state was used
    unbatched: bool  # True if x had no batch dimension
    y_shape: tuple[int, ...]  # (T, B, D·P)
    owner: bytes  # of the layer


class Recurrent(Module):
    """What RNN, LSTM and GRU have in common: layers, directions, dropout, lengths, states.

    A subclass needs only ``cell``, a class with the contract of ``cells.py``; ``registry.register`` gives it a name.

    Args:
        input_size, hidden_size: I and H.
        num_layers: L, stacked layers; layer k > 0 reads the output of layer k − 1.
        bias: False omits both bias vectors.
        batch_first: x and y are (B, T, ·) instead of (T, B, ·). States are (L·D, B, ·) either way.
        dropout: probability of zeroing an output of every layer but the last, in training (inverted dropout).
        bidirectional: a second set of weights processes the sequence in reverse; the two outputs are concatenated.
        proj_size: only for cells with a state of several arrays, such as the LSTM: h is projected to this size (Sak et
            al. 2014, arXiv 1402.1128v1).
        dtype: float32 to train, float64 to check, complex128 for complex-step checks.
        rng: ``np.random.Generator`` (or a seed) for the initial weights, U(−1/√H, 1/√H) as torch draws them, and for
            dropout masks.
        recurrent_dropout: probability of zeroing an element of h before W_h, one mask for all steps (Gal & Ghahramani
            2016, arXiv 1512.05287v5), in training.
        learn_initial_state: the default initial state is a parameter (``h_0``, and ``c_0`` for the LSTM, (L·D, H)),
            initially zero. torch's layers have no such parameter.
        forget_bias: only for cells with a gate f: the initial bias of the forget gate (Gers et al. 2000; Jozefowicz et
            al. 2015). It is put into b_ih; the forget block of b_hh is then zero, so that it does not count twice.
        recurrent_init: ``"uniform"`` or ``"orthogonal"`` (each gate's block of W_h; Saxe et al. 2014, arXiv
            1312.6120v3).
        checkpoint_every: store every k-th state only and recompute the rest in backward; with ``"sqrt"`` memory is
            O(√T). The tape then refers to x, which must not change before backward.

    The optimized twins run recurrent dropout, checkpointing and user-defined cells through ``bptt.py``; the numbers are
    the same either way.

    Raises:
        ValueError, TypeError: naming what was given and what was expected.
    """

    through_time: Any = bptt
    cell: Any = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | int | None = None,
        *,
        recurrent_dropout: float = 0.0,
        learn_initial_state: bool = False,
        forget_bias: float | None = None,
        recurrent_init: str = "uniform",
        checkpoint_every: int | str | None = None,
    ) -> None:
        check_declaration(self.cell)
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for name, p in dict(dropout=dropout, recurrent_dropout=recurrent_dropout).items():
            if not 0 <= p < 1:
                raise ValueError(f"{name} must be a probability in [0, 1); {p!r} given")
        if dropout and num_layers == 1:
            text = f"dropout={dropout} acts between layers, so with num_layers=1 it does nothing"
            warnings.warn(text, stacklevel=outer_level())
        if proj_size and len(self.cell.state) < 2:  # such a cell reads h, which would have another size
            raise ValueError(f"proj_size is only supported for LSTM; {proj_size!r} given to {type(self).__name__}")
        if not isinstance(proj_size, (int, np.integer)) or not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"proj_size must be an integer from 0 to hidden_size − 1 = {hidden_size - 1}; {proj_size!r} given"
            )
        if forget_bias is not None and ("f" not in self.cell.gates or not bias):
            raise ValueError(
                f"forget_bias needs an LSTM (a cell with a gate f) with bias; given to "
                f"{type(self).__name__} with bias={bias}"
            )
        if recurrent_init not in ("uniform", "orthogonal"):
            raise ValueError(f"recurrent_init must be 'uniform' or 'orthogonal'; {recurrent_init!r} given")
        self.checkpoint_every = checked_checkpoint(checkpoint_every)
        self.input_size, self.hidden_size, self.num_layers = int(input_size), int(hidden_size), int(num_layers)
        self.bias, self.batch_first, self.bidirectional = bool(bias), bool(batch_first), bool(bidirectional)
        self.dropout, self.recurrent_dropout = float(dropout), float(recurrent_dropout)
        self.proj_size, self.learn_initial_state = int(proj_size), bool(learn_initial_state)
        self.forget_bias = None if forget_bias is None else float(forget_bias)
        self.recurrent_init = recurrent_init
        self.rng = np.random.default_rng(rng)
        self._cells_checked: set[tuple[str, int, int]] = set()
        sizes = "input_size", "hidden_size", "num_layers", "bias", "bidirectional", "proj_size", "learn_initial_state"
        shapes = parameter_shapes(self.cell, **{name: getattr(self, name) for name in sizes})
        super().__init__(shapes, dtype)
        if draws():
            self._initialise()

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make the same layer again, but for ``rng`` and ``dtype``."""
        return {name: getattr(self, name) for name in ARGUMENTS if getattr(self, name) != SHOWN.get(name)}

    # ---- sizes and parameters ----

    @property
    def num_directions(self) -> int:
        """D, 1 or 2."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Size of h in one direction: P with projection, else H."""
        return self.proj_size or self.hidden_size

    def state_sizes(self) -> list[int]:
        """Return the rows of each array of the state: P (or H) for h, H for c."""
        return [self.output_size] + [self.hidden_size] * (len(self.cell.state) - 1)

    def _suffixes(self) -> list[str]:
        return suffixes(self.num_layers, self.num_directions)

    def own_names(self) -> dict[str, str]:
        """Return name of a parameter -> name that the cell gives it, for the cell's own parameters in every layer."""
        names = getattr(self.cell, "own", None) or {}
        return {name + suffix: name for suffix in self._suffixes() for name in names}

    def _initialise(self) -> None:
        G, H, bound = len(self.cell.gates), self.hidden_size, self.hidden_size**-0.5
        learned, own = [letter + "_0" for letter in self.cell.state], self.own_names()
        for name, array in self.params.items():
            if name in learned:
                continue
            if name in own:
                array[...] = initial_value(self.cell, own[name], array.shape, self.rng, bound)
                continue
            array[...] = self.rng.uniform(-bound, bound, array.shape)
            if name.startswith("weight_hh") and self.recurrent_init == "orthogonal":
                for block in array.reshape(G, H, -1):
                    q, r = np.linalg.qr(self.rng.standard_normal((H, H)))
                    # the signs make q uniform over rotations
                    block[...] = (q * np.sign(np.diag(r)))[:, : block.shape[1]]
            if self.forget_bias is not None and name.startswith("bias"):
                array[self.cell.gates.index("f") * H :][:H] = self.forget_bias if name.startswith("bias_ih") else 0

    def _adopt(self, theta: Array) -> None:
        super()._adopt(theta)
        self.suffixes = self._suffixes()
        self._weights = [self._weights_of(suffix) for suffix in self.suffixes]

    def weights(self, run: int = 0) -> Weights:
        """Return the ``Weights`` of one layer in one direction (l0, l0 reverse, l1, …), as views of the parameters."""
        return self._weights[run]

    def _weights_of(self, suffix: str) -> Weights:
        b_x, b_h = (self.params[name + suffix][:, None] if self.bias else None for name in ("bias_ih", "bias_hh"))
        own = {name: self.params[name + suffix] for name in getattr(self.cell, "own", None) or {}}
        return Weights(
            self.params["weight_ih" + suffix],
            self.params["weight_hh" + suffix],
            b_x,
            b_h,
            self.params["weight_hr" + suffix] if self.proj_size else None,
            {name: part[:, None] if part.ndim == 1 else part for name, part in own.items()} or None,
        )

    def _check_cell(self, check: Any, B: int) -> None:
        """Check the shapes that a user-defined cell returns, once for each size of the batch."""
        if self.cell not in CHECKED and (check.__name__, id(self.cell), B) not in self._cells_checked:
            check(self.cell, self.hidden_size, self.output_size, B, self.dtype, self.weights().own)
            self._cells_checked.add((check.__name__, id(self.cell), B))

    def __repr__(self) -> str:
        options = [f"{self.input_size}, {self.hidden_size}"]
        options += [f"{name}={getattr(self, name)}" for name in SHOWN if getattr(self, name) != SHOWN[name]]
        return f"{type(self).__name__}({', '.join(options)}, dtype={self.dtype})"

    # ---- forward and backward ----

    def forward(
        self,
        x: ArrayLike,
        state: Any = None,
        lengths: ArrayLike | None = None,
        training: bool = False,
        rng: np.random.Generator | None = None,
        checkpoint_every: int | str | None = "layer",
    ) -> tuple[Array, Any, LayerTape]:
        """Run the sequences and keep what backward needs.

        Args:
            x: (T, B, I); (B, T, I) with batch_first; or one sequence, (T, I). Integers (T, B), (B, T) or (T,) are
                one-hot vectors, given by the index of their 1: W_x x is a column of W_x, and x has no gradient.
            state: h_0 (L·D, B, P or H), for the LSTM (h_0, c_0); zeros (or the learned state) when None. Unbatched
                without B.
            lengths: (B,) integers from 0 to T, in any order. Outputs past the end of a sequence are zero, its final
                state is the one at its last valid step, and the values in the padding are ignored.
            training: True enables dropout.
            rng: generator for the dropout masks; the layer's own when None.
            checkpoint_every: as in the constructor, for this call; ``"layer"`` is the layer's own.

        Returns:
            y (T, B, D·P) or (B, T, D·P), the final state in the same form as ``state``, the tape.

        Raises:
            ValueError, TypeError: naming what was given and what was expected.
        """
        y, state, tape = self._run(x, state, lengths, training, rng, checkpoint_every, keep_tape=True)
        assert tape is not None
        return y, state, tape

    def __call__(self, x: ArrayLike, state: Any = None, lengths: ArrayLike | None = None) -> tuple[Array, Any]:
        """Return y and the final state: inference, without a tape and without dropout; arguments as ``forward``.

        Memory use apart from y does not grow with T.
        """
        return self._run(x, state, lengths, False, None, None, keep_tape=False)[:2]

    def _run(
        self,
        x: ArrayLike,
        state: Any,
        lengths: ArrayLike | None,
        training: bool,
        rng: np.random.Generator | None,
        checkpoint_every: int | str | None,
        keep_tape: bool,
    ) -> tuple[Array, Any, LayerTape | None]:
        x, lengths, unbatched = inputs(x, lengths, self.input_size, self.dtype, self.batch_first)
        T, B = x.shape[:2]
        checkpoint_every = (
            self.checkpoint_every if checkpoint_every == "layer" else checked_checkpoint(checkpoint_every)
        )
        learned = state is None and self.learn_initial_state
        initial = self._columns(state, B, unbatched, learned)
        self._check_cell(check_forward, B)
        rng = self.rng if rng is None else rng
        D, P = self.num_directions, self.output_size
        runs: list[Any] = []
        masks: list[Array | None] = []
        final: list[Any] = []
        for k in range(self.num_layers):
            y = np.empty((T, B, D * P), self.dtype)
            for direction in range(D):
                options = {
                    "keep_tape": keep_tape,
                    "checkpoint_every": checkpoint_every,
                    "h_mask": self._dropout_mask(self.recurrent_dropout, (P, B), training, rng),
                }
                out = y[:, :, direction * P : (direction + 1) * P].transpose(0, 2, 1)
                _, end, tape = self.through_time.forward_through_time(
                    self.cell,
                    self.weights(len(runs)),
                    x.transpose(0, 2, 1) if x.ndim == 3 else x,
                    initial[len(runs)],
                    lengths,
                    direction == 1,
                    out=out,
                    **options,
                )
                runs.append(tape)
                final.append(end)
            masks.append(self._dropout_mask(self.dropout if k < self.num_layers - 1 else 0, y.shape, training, rng))
            x = y if masks[-1] is None else y * masks[-1]  # (62) of docs/derivation.md
        tape = LayerTape(runs, masks, learned, unbatched, y.shape, self._identity) if keep_tape else None
        return as_given(y, unbatched, self.batch_first), joined(rows(final, self.dtype), unbatched), tape

    def stream(self, batch: int = 1) -> Stream:
        """Return a ``Stream``: the layer one step at a time, for ``batch`` sequences, its state kept between steps.

        The weights are copied: after a change of the parameters make a new stream.

        Raises:
            ValueError: for a layer with two directions.
        """
        return Stream(self, batch)

    def backward(
        self, tape: LayerTape, dy: Array | None, d_state: Any = None, need_dx: bool = True
    ) -> tuple[Array | None, Any, Gradients]:
        """Compute the gradient of a loss that reads y and the final state.

        Args:
            tape: the tape returned by ``forward``; the parameters must not have changed since. It is not modified.
            dy: dloss/dy, of y's shape, or None for zeros (a loss that reads only the final state).
            d_state: dloss/dfinal state, in the form of the state, or None for zeros.
            need_dx: False skips the gradient of x.

        Returns:
            dx (of x's shape, or None), d_state of the initial state, and grads: name -> array, with ``grads.theta`` as
            the flat vector.

        Raises:
            ValueError, TypeError: naming what was given and what was expected.
        """
        self._check_tape(tape, LayerTape)
        (_, B, _), unbatched = tape.y_shape, tape.unbatched
        D, P = self.num_directions, self.output_size
        if dy is not None:
            dy, dy_unbatched = time_major(dy, "dy", D * P, self.dtype, self.batch_first)
            if dy.shape != tape.y_shape or dy_unbatched != unbatched:
                raise ValueError(f"dy has the shape {dy.shape}; y has {tape.y_shape} (time first)")
        d_final = self._columns(d_state, B, unbatched, learned=False, name="d_state")
        self._check_cell(check_backward, B)
        grads = self.new_gradients()
        d_initial: list[Any] = [None] * len(tape.runs)
        for k in reversed(range(self.num_layers)):
            mask = tape.dropout[k]
            if dy is not None and mask is not None:
                dy = dy * mask  # (62)
            dx = None
            for direction in range(D):
                run = k * D + direction
                d_hs = None if dy is None else dy[:, :, direction * P : (direction + 1) * P].transpose(0, 2, 1)
                d_weights, d_x, d_initial[run] = self.through_time.backward_through_time(
                    self.cell, self.weights(run), tape.runs[run], d_hs, d_final[run], need_dx=need_dx or k > 0
                )
                self._store(grads, self.suffixes[run], d_weights)
                if d_x is not None:  # both directions read the same x
                    d_x = d_x.transpose(0, 2, 1)
                    dx = d_x if dx is None else dx + d_x
            dy = dx
        d_states = rows(d_initial, self.dtype)
        if tape.learned_state:
            for letter, d in zip(self.cell.state, d_states):
                grads[letter + "_0"][...] = d.sum(1)
        dx = as_given(dy, unbatched, self.batch_first) if need_dx and dy is not None else None
        return dx, joined(d_states, unbatched), grads

    @staticmethod
    def _store(grads: Gradients, suffix: str, d_weights: Weights) -> None:
        found = dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"), d_weights[:5]))
        for name, d in {**found, **(d_weights.own or {})}.items():
            if d is not None:
                grads[name + suffix][...] = d.reshape(grads[name + suffix].shape)

    def _dropout_mask(self, p: float, shape: tuple[int, ...], training: bool, rng: np.random.Generator) -> Array | None:
        """Inverted dropout: 1/(1 − p) with probability 1 − p, else 0; drawn here once, never in backward."""
        if not training or not p:
            return None
        return ((rng.random(shape) >= p) / (1 - p)).astype(self.dtype)

    def _columns(self, state: Any, B: int, unbatched: bool, learned: bool, name: str = "state") -> list[Any]:
        """Return torch's state as a tuple of (H, B) arrays for each layer and direction."""
        letters, sizes, runs = self.cell.state, self.state_sizes(), len(self._weights)
        if learned:
            parts = [np.repeat(self.params[letter + "_0"][:, None, :], B, axis=1) for letter in letters]
        elif state is None:
            return [tuple(np.zeros((size, B), self.dtype) for size in sizes) for run in range(runs)]
        else:
            parts = checked_state(state, name, letters, sizes, runs, B, unbatched, self.dtype)
        return columns(parts, runs, self.dtype)
