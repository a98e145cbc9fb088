"""What is checked, with random data: one step of a cell, or a layer over time; its loss and its gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..bptt import Cell, State
from ..nn import own_parameters
from ..nn.recurrent import Recurrent
from . import rounding
from .judge import unread_by_forward
from .result import relative_error

Arrays = Mapping[str, np.ndarray]
SCALES = 1.0, 2.0**40, 2.0**-40  # of dy and d_state: a gradient is linear in them


# ---- one step of a cell ----


class Step(NamedTuple):
    """Random arguments of one step of a cell, and the weights S of the loss Σ S ⊙ new state."""

    a_x: np.ndarray
    a_h: np.ndarray
    state: tuple[Any, ...]
    own: tuple[Any, ...]  # empty, or the dict of the cell's own parameters
    S: tuple[Any, ...]

    def forward(self, cell: Cell, dtype: type = np.float64) -> tuple[Any, ...]:
        """Return the new state and the cache."""
        own = tuple({name: part.astype(dtype) for name, part in mapping.items()} for mapping in self.own)
        state = tuple(part.astype(dtype) for part in self.state)
        return cell.forward(self.a_x.astype(dtype), self.a_h.astype(dtype), state, *own)

    def backward(self, cell: Cell, cache: Any) -> tuple[Any, ...]:
        """Return what the cell's backward returns for d_state = S."""
        return cell.backward(tuple(part.copy() for part in self.S), cache, *self.own)

    def loss(self, new_state: tuple[Any, ...]) -> Any:
        return sum((s * part).sum() for s, part in zip(self.S, new_state))


def draw(cell: Any, hidden_size: int, batch: int, rng: np.random.Generator, own: dict[str, Any] | None = None) -> Step:
    """Return a random ``Step`` of a cell."""
    shape, rows = (hidden_size, batch), (len(cell.gates) * hidden_size, batch)
    return Step(
        rng.standard_normal(rows),
        rng.standard_normal(rows),
        tuple(rng.standard_normal(shape) for _ in cell.state),
        () if own is None else (own,),
        tuple(rng.standard_normal(shape) for _ in cell.state),
    )


def changed_d_state(cell: Any, step: Step) -> list[str]:
    """Return a line if backward changes the arrays of d_state, which are the caller's."""
    d_state = tuple(part.copy() for part in step.S)
    cell.backward(d_state, step.forward(cell)[1], *step.own)
    letters = [f"d{letter}" for letter, d, given in zip(cell.state, d_state, step.S) if not np.array_equal(d, given)]
    name = own_parameters.cell_name(cell)
    text = f"{name}.backward changes the arrays of d_state ({', '.join(letters)}), which are the caller's"
    return [text + ": it must only read them"] if letters else []


class CellCase:
    """A step of a cell, as a loss Σ S ⊙ new state of the arrays a_x, a_h, h_prev, … and the cell's own parameters.

    Args: as for ``check_cell``; ``rng`` is a generator, ``span`` the largest pre-activation (None: normal ones).

    Attributes:
        arrays: name -> array.
        step: the same arrays as the arguments of the cell's functions, and S.
        layer: a layer of one direction with the cell.

    Raises:
        ValueError: for a shape that is not as ``cells.py`` says.
    """

    def __init__(
        self, cell: Cell, hidden_size: int, batch: int, rng: np.random.Generator, span: float | None = None
    ) -> None:
        self.cell = cell
        self.name = own_parameters.cell_name(cell)
        rows, shape = (len(cell.gates) * hidden_size, batch), (hidden_size, batch)
        self.before = [letter + "_prev" for letter in cell.state]
        self.arrays: dict[str, np.ndarray] = {"a_x": rng.standard_normal(rows), "a_h": rng.standard_normal(rows)}
        if span is not None:
            self.arrays = {key: rng.uniform(-span, span, rows) for key in self.arrays}
        self.arrays.update({state: rng.standard_normal(shape) for state in self.before})
        S = tuple(rng.standard_normal(shape) for _ in cell.state)
        self.layer = type(f"{self.name}Layer", (Recurrent,), {"cell": cell})(2, hidden_size, rng=rng)
        own = self.layer.astype(np.float64).weights().own or {}  # near its value, which may have to be positive
        own = {key: np.asarray(part + rng.uniform(-0.5, 0.5, part.shape)) for key, part in own.items()}
        state = tuple(self.arrays[key] for key in self.before)
        self.step = Step(self.arrays["a_x"], self.arrays["a_h"], state, (own,) if own else (), S)
        self.arrays.update(own)
        self._sizes = hidden_size, hidden_size, batch, np.float64, own or None
        own_parameters.check_forward(cell, *self._sizes)

    def forward(self, arrays: Arrays) -> tuple[State, Any]:
        """Return the new state and the cache."""
        own = tuple({key: arrays[key] for key in mapping} for mapping in self.step.own)
        return self.cell.forward(arrays["a_x"], arrays["a_h"], tuple(arrays[key] for key in self.before), *own)

    def new_state(self, arrays: Arrays) -> State:
        """Return the new state."""
        return self.forward(arrays)[0]

    def make(self, dtype: type) -> tuple[Any, ...]:
        """Return the loss, and the arrays of ``dtype`` that it reads."""
        changed: dict[str, np.ndarray] = {key: array.astype(dtype) for key, array in self.arrays.items()}
        return lambda: self.step.loss(self.new_state(changed)), changed

    def calls(self) -> tuple[list[dict[str, np.ndarray]], Exception | None]:
        """Return the gradients that backward returns, called twice; and the exception that it raised, or None.

        Raises:
            ValueError: if an array that backward returns does not have the shape of the contract.
        """
        try:
            cache = self.forward(self.arrays)[1]
            own_parameters.check_backward(self.cell, *self._sizes)
            return [self._gradients(cache), self._gradients(cache)], None
        except Exception as error:
            if isinstance(error, ValueError) and str(error).startswith(f"{self.name}.backward returns"):
                raise
            return [], error

    def rounding(self, given: Arrays) -> dict[str, np.ndarray]:
        """Return name -> how far rounding may have moved each element of the gradients."""
        bounds = {name: np.zeros(d.shape) for name, d in given.items()}
        for seed in range(rounding.SAMPLES):
            noisy = CellCase.__new__(CellCase)
            noisy.__dict__.update(self.__dict__, cell=rounding.Noisy(self.cell, np.random.default_rng(seed)))
            for name, d in noisy._gradients(noisy.forward(self.arrays)[1]).items():
                bounds[name] = np.maximum(bounds[name], rounding.ratio() * np.abs(d - given[name]))
        return bounds

    def _gradients(self, cache: Any) -> dict[str, np.ndarray]:
        da_x, da_h, d_state, *d_own = self.step.backward(self.cell, cache)
        found = {key: np.array(d) for key, d in zip(self.arrays, (da_x, da_h, *d_state))}
        return {**found, **{key: np.array(d[key]) for d in d_own for key in d}}


# ---- a layer ----


class Case(NamedTuple):
    """A layer and what it will be run on."""

    layer: Any
    T: int
    B: int
    lengths: Any = None
    with_state: bool = True
    training: bool = False

    @property
    def longest(self) -> int:
        """Steps of the longest sequence."""
        return self.T if self.lengths is None else int(np.max(self.lengths))

    @property
    def gates(self) -> str:
        return str(self.layer.cell.gates)


class LayerCase:
    """A float64 copy of a layer, random x and initial state, and the weights R and S of the loss Σ R ⊙ y + Σ S ⊙ state.

    Args: as for ``check_layer``; ``rng`` is a generator.
    """

    def __init__(
        self, layer: Any, T: int, B: int, lengths: Any, with_state: bool, training: bool, rng: np.random.Generator
    ) -> None:
        self.layer = layer = layer.astype(np.float64)
        self.case = Case(layer, T, B, lengths, with_state, training)
        self.letters = layer.cell.state
        learned = tuple(f"{letter}_0" for letter in self.letters)
        own = layer.own_names() if hasattr(layer, "own_names") else {}
        for name, array in layer.params.items():
            if name.startswith("bias") or name in learned:
                array[...] = rng.uniform(-1, 1, array.shape)
            elif name in own:  # near its value, which may have to be positive
                array += rng.uniform(-0.5, 0.5, array.shape)
        self.x = rng.standard_normal((T, B, layer.input_size))
        runs = layer.num_layers * layer.num_directions
        self.S = [rng.standard_normal((runs, B, size)) for size in layer.state_sizes()]
        self.state = [rng.standard_normal(s.shape) for s in self.S] if with_state else []
        self.R = rng.standard_normal((T, B, layer.num_directions * layer.output_size))
        self.mask_seed = int(rng.integers(2**31))

    def _as_given(self, array: np.ndarray) -> np.ndarray:
        return array.swapaxes(0, 1) if self.layer.batch_first else array

    @staticmethod
    def _joined(parts: list[Any]) -> Any:
        return None if not parts else parts[0] if len(parts) == 1 else tuple(parts)

    def forward(self, layer: Any, x: np.ndarray, state: list[Any]) -> tuple[Any, ...]:
        """Return y, the final state and the tape of a layer, with the case's dropout masks."""
        masks = np.random.default_rng(self.mask_seed)
        y, end, tape = layer.forward(
            self._as_given(x), self._joined(state), self.case.lengths, training=self.case.training, rng=masks
        )
        return y, end, tape

    def forward_once(self) -> tuple[Any, ...]:
        """Return y and the tape of the layer itself."""
        y, _, tape = self.forward(self.layer, self.x, self.state)
        return y, tape

    def inference(self) -> np.ndarray:
        """Return y of ``layer(x)``."""
        y: np.ndarray = self.layer(self._as_given(self.x), self._joined(self.state), self.case.lengths)[0]
        return y

    def _has_own_forward(self) -> bool:
        """True if the layer's class replaces a function of ``Recurrent`` that computes outputs."""
        kind = type(self.layer)
        return any(getattr(kind, name, None) is not getattr(Recurrent, name) for name in ("forward", "_run", "stream"))

    def streamed(self, y: np.ndarray) -> np.ndarray:
        """Return y of ``layer.stream()``; ``y`` itself for a layer or a case in which it means something else."""
        layer = self.layer
        if self._has_own_forward() or layer.bidirectional or self.case.training or self.case.lengths is not None:
            return y
        stream = layer.stream(self.case.B)
        if self.state:
            stream.state = self._joined(self.state)
        return self._as_given(np.array([np.array(stream.step(x_t)) for x_t in self.x]).reshape(self.R.shape))

    def changed_by_padding(self) -> list[str]:
        """Return what is not the same when x and dy are NaN past the end of the sequences, where they do not count."""
        padding = self.padding()
        if padding is None or self._has_own_forward():
            return []
        x, R = self.x, self.R
        y, _, tape = self.forward(self.layer, x, self.state)
        expected = {"y": y, **self.gradients(self.layer, tape)}
        try:
            self.x, self.R = (np.where(padding[:, :, None], np.nan, array) for array in (x, R))
            y, _, tape = self.forward(self.layer, self.x, self.state)
            given = {"y": y, **self.gradients(self.layer, tape)}
        finally:
            self.x, self.R = x, R
        return [name for name in expected if not relative_error(given[name], expected[name]) <= 1e-12]

    def as_given_to_backward(self) -> tuple[Any, ...]:
        """Return dy and d_state in the layer's own form."""
        return self._as_given(self.R), self._joined(self.S)

    def read_only(self) -> list[np.ndarray]:
        """Return the arrays that backward must not change."""
        return [self.layer.theta, self.x, self.R, *self.S, *self.state]

    def gradients(self, layer: Any, tape: Any) -> dict[str, np.ndarray]:
        """Return name -> gradient of the parameters, x (time first) and the initial state, of one call of backward."""
        dx, d_state, grads = layer.backward(tape, *self.as_given_to_backward())
        found = {name: grads[name] for name in layer.params}
        found["x"] = self._as_given(dx)
        if self.case.with_state:
            found.update(zip(self.letters, d_state if len(self.letters) > 1 else (d_state,)))
        return {name: np.array(d) for name, d in found.items()}

    def calls(self, tape: Any) -> tuple[list[dict[str, np.ndarray]], Exception | None]:
        """Return the gradients of the layer from two calls of backward; and the exception that it raised, or None."""
        try:
            return [self.gradients(self.layer, tape), self.gradients(self.layer, tape)], None
        except Exception as error:
            return [], error

    def rounding(self, given: Arrays) -> dict[str, np.ndarray]:
        """Return name -> how far rounding may have moved each element of the gradients."""
        layer = self.layer.astype(np.float64)
        bounds = {name: np.zeros(d.shape) for name, d in given.items()}
        for seed in range(rounding.SAMPLES):
            layer.cell = rounding.Noisy(self.layer.cell, np.random.default_rng(seed))
            layer._cells_checked = {
                ("check_forward", id(layer.cell), self.case.B),
                ("check_backward", id(layer.cell), self.case.B),
            }
            _, _, tape = self.forward(layer, self.x, self.state)
            for name, d in self.gradients(layer, tape).items():
                bounds[name] = np.maximum(bounds[name], rounding.ratio() * np.abs(d - given[name]))
        return bounds

    def gradients_of(self, layer: Any) -> list[dict[str, np.ndarray]]:
        """Return the gradients of another layer of the same sizes, from two calls of backward."""
        _, _, tape = self.forward(layer, self.x, self.state)
        return [self.gradients(layer, tape), self.gradients(layer, tape)]

    def make(self, dtype: type) -> tuple[Any, ...]:
        """Return the loss, and the arrays of ``dtype`` that it reads."""
        changed = self.layer.astype(dtype)
        arrays = dict(changed.params, x=self.x.astype(dtype))
        if self.case.with_state:
            arrays.update(zip(self.letters, [s.astype(dtype) for s in self.state]))

        def loss() -> Any:
            state = [arrays[letter] for letter in self.letters] if self.case.with_state else []
            y, end, _ = self.forward(changed, arrays["x"], state)
            end = end if len(self.letters) > 1 else (end,)
            return (self._as_given(self.R) * y).sum() + sum((s * e).sum() for s, e in zip(self.S, end))  # (54)

        return loss, arrays

    def gradient_at(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gradients that backward returns for other values of all arrays, in their dtype."""
        layer = self.layer.astype(next(iter(arrays.values())).dtype)
        for name in layer.params:
            layer.params[name][...] = arrays[name]
        state = [arrays[letter] for letter in self.letters] if self.case.with_state else []
        _, _, tape = self.forward(layer, arrays["x"], state)
        return self.gradients(layer, tape)

    def padding(self) -> np.ndarray | None:
        """Return (T, B), True at padded steps; None without lengths."""
        lengths = self.case.lengths
        return None if lengths is None else np.arange(self.case.T)[:, None] >= np.asarray(lengths)

    def step(self) -> Step:
        """Return one random step of the layer's cell, with the parameters of the first layer."""
        layer = self.layer
        own = layer.weights().own
        return draw(layer.cell, layer.hidden_size, self.case.B, np.random.default_rng(0), own)

    def unread(self) -> tuple[list[str], list[str]]:
        """Return faults and notes about what the cell's forward does not read."""
        step = self.step()
        cell: Cell = self.layer.cell
        before = [letter + "_prev" for letter in cell.state]
        arrays = {"a_x": step.a_x, "a_h": step.a_h, **dict(zip(before, step.state))}
        own = dict(step.own[0]) if step.own else {}

        def forward(point: dict[str, Any]) -> tuple[Any, ...]:
            extra = ({name: point[name] for name in own},) if own else ()
            return cell.forward(point["a_x"], point["a_h"], tuple(point[name] for name in before), *extra)[0]

        return unread_by_forward(cell, forward, {**arrays, **own}, np.random.default_rng(0))

    def changed_d_state(self) -> list[str]:
        """Return a note if the cell's backward changes the arrays of d_state."""
        return changed_d_state(self.layer.cell, self.step())
