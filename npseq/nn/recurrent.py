"""What every recurrent layer has: torch-shaped arrays outside, one column per sequence inside.

Layers on top of each other, two directions, dropout, lengths, states. Nothing is remembered between calls but the
parameters (and the generator that dropout draws from): the state goes in and comes out, and the tape carries all that
backward needs.
"""

import warnings
from typing import NamedTuple

import numpy as np

from .. import bptt
from ..bptt import Weights
from ..cells import LSTMCell
from .module import Module
from .streaming import Stream
from .validation import check_dtype, check_sizes, checked_checkpoint, checked_lengths


class LayerTape(NamedTuple):
    runs: list  # a tape of bptt.py or fused.py for each layer and direction: l0, l0 reverse, l1, …
    dropout: list  # the mask on the output of each layer, or None
    learned_state: bool  # did the initial state come from the parameters?
    shape: tuple  # (T, B) and whether x was unbatched
    y_shape: tuple


class Recurrent(Module):
    """What RNN, LSTM and GRU have in common: layers, directions, dropout, lengths, states.

    Args:
        input_size, hidden_size: I and H.
        num_layers: layers on top of each other; layer k > 0 reads the output of the one below.
        bias: False leaves out both bias vectors.
        batch_first: x and y are (B, T, ·) instead of (T, B, ·). States are (L·D, B, ·) either way.
        dropout: probability of zeroing an output of every layer but the last, in training (inverted dropout).
        bidirectional: a second set of weights runs from the last step to the first; the outputs stand side by side.
        proj_size: LSTM only: h is projected to this size (Sak et al. 2014, arXiv 1402.1128v1).
        dtype: float32 to train, float64 to check, complex128 for complex-step checks.
        rng: ``np.random.Generator`` (or a seed) for the initial weights, U(−1/√H, 1/√H) as torch draws them, and for
            dropout masks.
        recurrent_dropout: probability of zeroing an element of h in front of W_h, one mask for all steps (Gal &
            Ghahramani 2016, arXiv 1512.05287v5), in training.
        learn_initial_state: the state of a call that is given none is a parameter (``h_0``, and ``c_0`` for the LSTM,
            (L·D, H)) that starts at zero. torch's layers have no such parameter.
        forget_bias: LSTM only: the forget gate's bias at the start (Gers et al. 2000; Jozefowicz et al. 2015), put into
            b_ih; the forget block of b_hh is then zero, so that it does not count twice.
        recurrent_init: ``"uniform"`` or ``"orthogonal"`` (each gate's block of W_h; Saxe et al. 2014, arXiv
            1312.6120v3).
        checkpoint_every: keep every k-th state only and compute the rest again going back: memory O(√T) with
            ``"sqrt"``. The tape then refers to x, which must not be changed before backward.

    The optimized twins run recurrent dropout and checkpointing through ``bptt.py``; the numbers are the same either
    way.

    Raises:
        ValueError, TypeError: naming what was given and what was expected.
    """

    through_time = bptt
    cell = None

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        dtype=np.float32,
        rng=None,
        *,
        recurrent_dropout=0.0,
        learn_initial_state=False,
        forget_bias=None,
        recurrent_init="uniform",
        checkpoint_every=None,
    ):
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for name, p in dict(dropout=dropout, recurrent_dropout=recurrent_dropout).items():
            if not 0 <= p < 1:
                raise ValueError(f"{name} must be a probability in [0, 1); {p!r} given")
        if dropout and num_layers == 1:
            warnings.warn(f"dropout={dropout} acts between layers, so with num_layers=1 it does nothing", stacklevel=3)
        if proj_size and self.cell is not LSTMCell:
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
        self.rng = np.random.default_rng(rng)
        super().__init__(self._parameter_shapes(), dtype)
        self._initialise(forget_bias, recurrent_init)

    # ---- sizes and parameters ----

    @property
    def num_directions(self):
        return 2 if self.bidirectional else 1

    @property
    def output_size(self):
        """Size of h in one direction: P with projection, else H."""
        return self.proj_size or self.hidden_size

    def state_sizes(self):
        """Rows of each array of the state: P (or H) for h, H for c."""
        return [self.output_size] + [self.hidden_size] * (len(self.cell.state) - 1)

    def _suffixes(self):
        return [
            f"_l{k}{direction}" for k in range(self.num_layers) for direction in ("", "_reverse")[: self.num_directions]
        ]

    def _parameter_shapes(self):
        G, H, P, D = len(self.cell.gates), self.hidden_size, self.output_size, self.num_directions
        shapes = {}
        for run, suffix in enumerate(self._suffixes()):
            shapes["weight_ih" + suffix] = (G * H, self.input_size if run < D else D * P)
            shapes["weight_hh" + suffix] = (G * H, P)
            if self.bias:
                shapes["bias_ih" + suffix] = shapes["bias_hh" + suffix] = (G * H,)
            if self.proj_size:
                shapes["weight_hr" + suffix] = (P, H)
        if self.learn_initial_state:
            for letter, size in zip(self.cell.state, self.state_sizes()):
                shapes[letter + "_0"] = (self.num_layers * D, size)
        return shapes

    def _initialise(self, forget_bias, recurrent_init):
        G, H, bound = len(self.cell.gates), self.hidden_size, self.hidden_size**-0.5
        for name, array in self.params.items():
            if name in ("h_0", "c_0"):
                continue
            array[...] = self.rng.uniform(-bound, bound, array.shape)
            if name.startswith("weight_hh") and recurrent_init == "orthogonal":
                for block in array.reshape(G, H, -1):
                    q, r = np.linalg.qr(self.rng.standard_normal((H, H)))
                    # the signs make q uniform over rotations
                    block[...] = (q * np.sign(np.diag(r)))[:, : block.shape[1]]
            if forget_bias is not None and name.startswith("bias"):
                array[self.cell.gates.index("f") * H :][:H] = forget_bias if name.startswith("bias_ih") else 0

    def _adopt(self, theta):
        super()._adopt(theta)
        self.suffixes = self._suffixes()
        self._weights = [self._weights_of(suffix) for suffix in self.suffixes]

    def weights(self, run=0):
        """The ``Weights`` of one layer in one direction (l0, l0 reverse, l1, …), as views of the parameters."""
        return self._weights[run]

    def _weights_of(self, suffix):
        b_x, b_h = (self.params[name + suffix][:, None] if self.bias else None for name in ("bias_ih", "bias_hh"))
        return Weights(
            self.params["weight_ih" + suffix],
            self.params["weight_hh" + suffix],
            b_x,
            b_h,
            self.params["weight_hr" + suffix] if self.proj_size else None,
        )

    def __repr__(self):
        options = [f"{self.input_size}, {self.hidden_size}"]
        options += [
            f"{name}={getattr(self, name)}"
            for name, default in [
                ("num_layers", 1),
                ("bias", True),
                ("batch_first", False),
                ("dropout", 0.0),
                ("bidirectional", False),
                ("proj_size", 0),
                ("recurrent_dropout", 0.0),
                ("learn_initial_state", False),
                ("checkpoint_every", None),
            ]
            if getattr(self, name) != default
        ]
        return f"{type(self).__name__}({', '.join(options)}, dtype={self.dtype})"

    # ---- forward and backward ----

    def forward(self, x, state=None, lengths=None, training=False, rng=None, checkpoint_every=None):
        """Run the sequences and keep what backward needs.

        Args:
            x: (T, B, I); (B, T, I) with batch_first; or one sequence without a batch, (T, I).
            state: h_0 (L·D, B, P or H), for the LSTM (h_0, c_0); zeros (or the learned state) when None. Unbatched
                without B.
            lengths: (B,) integers from 0 to T, in any order. Outputs past a sequence's length are zero, its final
                state is the one at its last valid step, and padding, whatever stands in it, changes nothing.
            training: dropout acts only when True.
            rng: generator for the dropout masks; the layer's own when None.
            checkpoint_every: as in the constructor, for this call.

        Returns:
            y (T, B, D·P) or (B, T, D·P), the final state in the same form as ``state``, the tape.
        """
        return self._run(x, state, lengths, training, rng, checkpoint_every, keep_tape=True)

    def __call__(self, x, state=None, lengths=None):
        """Inference: ``forward`` without a tape and without dropout -> y, state. Memory beyond y is constant in T."""
        return self._run(x, state, lengths, False, None, None, keep_tape=False)[:2]

    def _run(self, x, state, lengths, training, rng, checkpoint_every, keep_tape):
        x, unbatched = self._time_major(x, "x", self.input_size)
        T, B, _ = x.shape
        lengths = checked_lengths(lengths, T, B)
        checkpoint_every = checked_checkpoint(checkpoint_every) or self.checkpoint_every
        learned = state is None and self.learn_initial_state
        initial = self._columns(state, B, unbatched, learned)
        rng = self.rng if rng is None else rng
        D, P = self.num_directions, self.output_size
        runs, masks, final = [], [], []
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
                    x.transpose(0, 2, 1),
                    initial[len(runs)],
                    lengths,
                    direction == 1,
                    out=out,
                    **options,
                )
                runs.append(tape)
                final.append(end)
            last = k == self.num_layers - 1
            masks.append(None if last else self._dropout_mask(self.dropout, y.shape, training, rng))
            x = y if masks[-1] is None else y * masks[-1]  # (62) of docs/derivation.md
        state = self._rows(final)
        tape = LayerTape(runs, masks, learned, (T, B, unbatched), y.shape) if keep_tape else None
        return self._as_given(y, unbatched), self._joined(state, unbatched), tape

    def stream(self, batch=1):
        """Return a ``Stream``: the layer one step at a time, for ``batch`` sequences, its state kept between steps.

        The weights are copied: after a change of the parameters make a new stream.

        Raises:
            ValueError: for a layer with two directions.
        """
        return Stream(self, batch)

    def backward(self, tape, dy, d_state=None, need_dx=True):
        """The gradient of a loss that reads y and the final state.

        Args:
            tape: from ``forward``, the parameters being unchanged since; it is only read.
            dy: dloss/dy, of y's shape, or None for zeros (a loss that reads the final state alone).
            d_state: dloss/dfinal state, in the form of the state, or None for zeros.
            need_dx: False when the gradient of x is not asked for.

        Returns:
            dx (of x's shape, or None), d_state of the initial state, grads: name -> array, ``grads.theta`` the flat
            vector.
        """
        if not isinstance(tape, LayerTape):
            raise TypeError(
                f"the tape must be the third thing that this layer's forward gave; {type(tape).__name__} given"
            )
        T, B, unbatched = tape.shape
        if dy is not None:
            dy, dy_unbatched = self._time_major(dy, "dy", self.num_directions * self.output_size)
            if dy.shape != tape.y_shape or dy_unbatched != unbatched:
                raise ValueError(f"dy has the shape {dy.shape}; y has {tape.y_shape} (time first)")
        d_final = self._columns(d_state, B, unbatched, learned=False, name="d_state")
        grads, d_initial = self.new_gradients(), [None] * len(tape.runs)
        D, P = self.num_directions, self.output_size
        for k in reversed(range(self.num_layers)):
            if dy is not None and tape.dropout[k] is not None:
                dy = dy * tape.dropout[k]  # (62)
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
        d_state = self._rows(d_initial)
        if tape.learned_state:
            for letter, d in zip(self.cell.state, d_state):
                grads[letter + "_0"][...] = d.sum(1)
        dx = self._as_given(dy, unbatched) if need_dx else None
        return dx, self._joined(d_state, unbatched), grads

    @staticmethod
    def _store(grads, suffix, d_weights):
        for name, d in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"), d_weights):
            if d is not None:
                grads[name + suffix][...] = d.reshape(grads[name + suffix].shape)

    def _dropout_mask(self, p, shape, training, rng):
        """Inverted dropout: 1/(1 − p) with probability 1 − p, else 0; drawn here once, never in backward."""
        if not training or not p:
            return None
        return ((rng.random(shape) >= p) / (1 - p)).astype(self.dtype)

    # ---- torch's shapes in and out ----

    def _time_major(self, x, name, size):
        """-> (T, B, size) as a view, and whether there was no batch dimension."""
        x = np.asarray(x)
        check_dtype(name, x, self.dtype)
        x = x.astype(self.dtype, copy=False)
        if x.ndim not in (2, 3):
            raise ValueError(f"{name} must have 2 dimensions (unbatched) or 3; {name} of shape {x.shape} given")
        if x.shape[-1] != size:
            raise ValueError(f"the last dimension of {name} must be {size}; {name} of shape {x.shape} given")
        if x.ndim == 2:
            x, unbatched = x[:, None, :], True
        else:
            x, unbatched = x.swapaxes(0, 1) if self.batch_first else x, False
        if x.shape[0] < 1 or x.shape[1] < 1:
            raise ValueError(
                f"{name} must have at least one time step and one sequence; {x.shape[0]} steps of "
                f"{x.shape[1]} sequences given"
            )
        return x, unbatched

    def _as_given(self, y, unbatched):
        return y[:, 0] if unbatched else y.swapaxes(0, 1) if self.batch_first else y

    def _columns(self, state, B, unbatched, learned, name="state"):
        """torch's state -> for each layer and direction a tuple of (H, B) arrays."""
        letters, sizes, runs = self.cell.state, self.state_sizes(), len(self._weights)
        if learned:
            parts = [np.repeat(self.params[letter + "_0"][:, None, :], B, axis=1) for letter in letters]
        elif state is None:
            return [tuple(np.zeros((size, B), self.dtype) for size in sizes) for run in range(runs)]
        else:
            if len(letters) == 1:
                state = (state,)
            elif not isinstance(state, (tuple, list)) or len(state) != len(letters):
                raise TypeError(f"{name} must be a tuple ({', '.join(letters)}); {type(state).__name__} given")
            parts = [np.asarray(part) for part in state]
            for letter, part, size in zip(letters, parts, sizes):
                check_dtype(f"{name} {letter}", part, self.dtype)
                expected = (runs, size) if unbatched else (runs, B, size)
                if part.shape != expected:
                    raise ValueError(f"{name} {letter} must have the shape {expected}; {part.shape} given")
            if unbatched:
                parts = [part[:, None, :] for part in parts]
        return [tuple(np.array(part[run].T, self.dtype, order="C") for part in parts) for run in range(runs)]

    def _rows(self, states):
        """The inverse of ``_columns``: for each letter one (L·D, B, H) array."""
        parts = [np.empty((len(states), part.shape[1], len(part)), self.dtype) for part in states[0]]
        for run, state in enumerate(states):
            for whole, part in zip(parts, state):
                whole[run] = part.T
        return tuple(parts)

    def _joined(self, state, unbatched):
        """h alone, or (h, c)."""
        state = tuple(part[:, 0] for part in state) if unbatched else state
        return state if len(self.cell.state) > 1 else state[0]
