"""A trained layer or model, one step at a time: a row goes in, an answer comes out, the state is kept.

``layer.stream()`` and ``model.stream()`` return a ``Stream``. ``WindowStream`` is for a model that was trained on
windows: at every row it gives what the model gives for the window that ends there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..fused.step import Plan, aligned
from .linear import Linear
from .reading import POOLED
from .torch_shapes import checked_state, columns, joined, rows
from .validation import as_array, check_sizes

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]


class Stepper:
    """What streams have in common: the weights in the layout of a step, the buffers, the state.

    Streams share no array that is written to, so different streams may run in different threads; one stream is for one
    thread at a time.

    Args:
        layer: ``Recurrent``; one direction.
        batch: B, the number of sequences that are stepped together.
        head: ``Linear`` on the top layer's h, or None for h itself.

    Raises:
        ValueError: for a layer with two directions, or a batch below 1.
    """

    def __init__(self, layer: Any, batch: int = 1, head: Linear | None = None) -> None:
        if layer.bidirectional:
            raise ValueError(
                f"{type(layer).__name__} is bidirectional: its second direction starts at the end of the sequence, so "
                "it cannot run one step at a time; bidirectional=False expected"
            )
        check_sizes(batch=batch)
        self.batch, self.dtype = int(batch), layer.dtype
        self.input_size, self._letters = layer.input_size, layer.cell.state
        self._sizes = layer.state_sizes()
        self._plans = [Plan(layer.cell, layer.weights(k)) for k in range(layer.num_layers)]
        self._initial = None
        if layer.learn_initial_state:
            self._initial = [layer.params[letter + "_0"][:, :, None].copy() for letter in self._letters]
        self._W_out_T = None if head is None else _with_bias(head).T
        self.output_size: int = self._sizes[0] if self._W_out_T is None else self._W_out_T.shape[1]
        self._make_buffers()
        self.reset()

    def _make_buffers(self) -> None:
        """One array [h of the top layer; 1; …; h of the lowest; 1; x], of which each layer's [h; 1; x] is a part."""
        L, P, B = len(self._plans), self._sizes[0], self.batch
        z = np.ones((L * (P + 1) + self.input_size,) + ((B,) if B > 1 else ()), self.dtype)
        steps = []
        for k, plan in enumerate(self._plans):
            start = (L - 1 - k) * (P + 1)
            steps.append(plan.step(z[start : start + P + 1 + (P if k else self.input_size)]))
        self._states = [step.state for step in steps]
        self._runs = [step.run for step in steps]
        self._x, self._h, self._h_1 = z[L * (P + 1) :].T, z[:P].T, z[: P + 1].T
        self._x_shape = self._x.shape

    def _answer(self, h_1: Array) -> Array:
        """Return the head's y of [h; 1], (P + 1,) or (B, P + 1)."""
        y: Array = np.dot(h_1, self._W_out_T)  # type: ignore[arg-type]
        return y

    @property
    def state(self) -> Array | tuple[Array, ...]:
        """The state as layers give and take it: h (L, B, P), for the LSTM (h, c) with c (L, B, H). A copy; to go on
        from another state assign one. With batch 1 it may be without B.

        Raises (assignment):
            TypeError, ValueError: for a state of another form; the state is then unchanged.
        """
        return joined(rows(self._states, self.dtype), unbatched=False)

    @state.setter
    def state(self, state: Any) -> None:
        first = state[0] if isinstance(state, tuple | list) and len(self._letters) > 1 else state
        unbatched = self.batch == 1 and np.ndim(first) == 2
        runs = len(self._plans)
        parts = checked_state(state, "state", self._letters, self._sizes, runs, self.batch, unbatched, self.dtype)
        for views, news in zip(self._states, columns(parts, runs, self.dtype)):
            for view, new in zip(views, news):
                view[...] = new

    def reset(self) -> None:
        """Return to the initial state: zeros, or the learned one."""
        self._clear(slice(None))

    def _clear(self, sequences: slice) -> None:
        for k, views in enumerate(self._states):
            for letter, view in enumerate(views):
                view[:, sequences] = 0 if self._initial is None else self._initial[letter][k]

    def copy(self) -> Self:
        """Return a second stream in the same state, which goes on by itself. The weights are shared."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._make_buffers()
        other.state = self.state
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()

    def __reduce__(self) -> Any:
        raise TypeError("a stream cannot be pickled: pickle the layer or model, and stream.state")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.input_size} inputs, {self.output_size} outputs, batch={self.batch})"

    def _real(self, x: Array) -> Array:
        if x.dtype.kind not in ("fiubc" if self.dtype.kind == "c" else "fiub"):
            raise TypeError(f"x must hold real numbers; {x.dtype} given")
        return x


def _with_bias(head: Linear) -> Array:
    """Return [W, b] of y = W h + b, so that the answer is one product with [h; 1]."""
    weight = head.params["weight"]
    W = aligned((len(weight), weight.shape[1] + 1), weight.dtype)
    W[:, :-1] = weight
    if "bias" in head.params:
        W[:, -1] = head.params["bias"]
    return W


def check_streamable(model: Any) -> None:
    """Refuse a model that cannot answer step by step. Raises ValueError."""
    if model.embedding is not None:
        raise ValueError("a stream takes real numbers, and this model has an embedding: use model(x, state)")
    if model.read in POOLED:
        raise ValueError(
            f"this model's head reads {model.read!r} of all steps, which no step's state holds: use model(x)"
        )


class Stream(Stepper):
    """A recurrent layer, or a model, run one step at a time.

    y of T calls of ``step`` is what the layer gives for these T steps; a model's y is its answer to the steps so far.
    The weights are copied when the stream is made: after a change of the parameters make a new one. A step allocates
    nothing but its answer (and, with a cell of your own, what the cell allocates). Different streams may run in
    different threads; one stream is for one thread at a time. (After an infinite x the h of a GRU is NaN here, not that
    of the layer: its one product has zeros for x in some rows.)

    Args and errors: as ``Stepper``. ``layer.stream(batch)`` and ``model.stream(batch)`` call this.

    Example:
        >>> stream = npseq.load("model.pth").stream()
        >>> y = stream.step(x)  # x (I,), y (O,)
    """

    def step(self, x: ArrayLike) -> Array:
        """Advance every sequence by one step.

        Args:
            x: (I,) with batch 1, or (B, I): the input of this step, real numbers.

        Returns:
            y (P,) or (B, P), where P is the number of rows of h; of a model (O,) or (B, O). A new array.

        Raises:
            ValueError: for an x of another shape. TypeError: for one that does not hold real numbers. The state is
                then unchanged.
        """
        x = as_array("x", x)
        if x.shape != self._x_shape or x.dtype != self.dtype:
            if x.ndim == 2 and self.batch == 1 and len(x) == 1:
                return self.step(x[0])[None]
            x = self._checked(x)
        self._x[...] = x
        for run in self._runs:
            run()
        if self._W_out_T is None:
            return self._h.copy()
        return self._answer(self._h_1)

    def _checked(self, x: Array) -> Array:
        if x.shape != self._x_shape:
            expected = f"({self.batch}, {self.input_size})"
            if self.batch == 1:
                expected = f"({self.input_size},) or {expected}"
            raise ValueError(f"x has the shape {x.shape}; {expected} expected")
        return self._real(x)


class WindowStream(Stepper):
    """A model that was trained on windows, one row at a time: its answer to the last ``window`` rows.

    The model reads each window from the initial state, so a state that is simply carried on from row to row gives other
    answers. A row belongs to ``window`` windows at the same time, one for each row at which a window may have started.
    Their states are the columns of one batch: a row advances all of them by one step, with one product, and completes
    the oldest, whose column then starts again.

    Args:
        model: ``Model`` (its encoder ``rnn`` and its head ``fc``); one direction.
        window: rows of a window.

    Attributes:
        seen: the number of rows so far. ``seen`` and ``state``, (L, window, ·), are all that a step depends on; both
            may be assigned.

    Raises:
        ValueError: for a model with two directions or an embedding, or whose head reads all steps; a window below 1.
    """

    def __init__(self, model: Any, window: int) -> None:
        check_sizes(window=window)
        check_streamable(model)
        super().__init__(model.rnn, window, model.fc)
        self.window, self.seen = self.batch, 0

    def step(self, x: ArrayLike) -> Array | None:
        """Take one row.

        Args:
            x: (I,), the model's inputs.

        Returns:
            y (O,), the model's answer to the window that ends here; None for the first ``window`` − 1 rows.

        Raises:
            ValueError, TypeError: as ``Stream.step``; the state is then unchanged.
        """
        x = as_array("x", x)
        if x.shape != (self.input_size,):
            raise ValueError(f"x has the shape {x.shape}; ({self.input_size},) expected")
        self._x[...] = self._real(x)
        column = self.seen % self.window
        self._clear(slice(column, column + 1))  # of the window that starts here
        for run in self._runs:
            run()
        self.seen += 1
        return None if self.seen < self.window else self._answer(self._completed())

    @property
    def hidden(self) -> Array:
        """What the head has read for the last answer: the top layer's h (P,) at the end of the window. A copy."""
        return self._completed()[:-1].copy()

    def _completed(self) -> Array:
        """[h; 1] of the window that the last row completed."""
        completed: Array = self._h_1.reshape(self.batch, -1)[self.seen % self.window]
        return completed

    def reset(self) -> None:
        """Forget all rows."""
        super().reset()
        self.seen = 0
