"""One step of a cell, with random data: its loss and its gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..bptt import Cell
from ..nn import own_parameters
from ..nn.recurrent import Recurrent
from . import rounding

Arrays = Mapping[str, np.ndarray]
RANGES = 1e-3, 1.0, 6.0, 20.0  # of the pre-activations at which a cell is checked
Calls = tuple[list[dict[str, np.ndarray]], Exception | None]


class Step(NamedTuple):
    """Arguments of one step of a cell, and the weights S of the loss Σ S ⊙ new state."""

    a_x: np.ndarray
    a_h: np.ndarray
    state: tuple[Any, ...]
    own: tuple[Any, ...]  # empty, or the dict of the cell's own parameters
    S: tuple[Any, ...]

    def arrays(self, cell: Cell) -> dict[str, np.ndarray]:
        """Return what is differentiated: ``a_x``, ``a_h``, ``h_prev``, … and the cell's own parameters."""
        before = {letter + "_prev": part for letter, part in zip(cell.state, self.state)}
        return {"a_x": self.a_x, "a_h": self.a_h, **before, **dict(*self.own)}

    def at(self, cell: Cell, arrays: Arrays) -> Step:
        """Return the step with other arrays, named as in ``arrays``."""
        own = tuple({name: arrays[name] for name in mapping} for mapping in self.own)
        before = tuple(arrays[letter + "_prev"] for letter in cell.state)
        return self._replace(a_x=arrays["a_x"], a_h=arrays["a_h"], state=before, own=own)

    def forward(self, cell: Cell, dtype: type = np.float64) -> tuple[Any, ...]:
        """Return the new state and the cache for copies of the arrays in that dtype."""
        s = self.at(cell, {name: np.array(array, dtype) for name, array in self.arrays(cell).items()})
        return cell.forward(s.a_x, s.a_h, s.state, *s.own)

    def new_state(self, cell: Cell, arrays: Arrays) -> tuple[Any, ...]:
        """Return the new state for other arrays, as they are."""
        s = self.at(cell, arrays)
        return cell.forward(s.a_x, s.a_h, s.state, *s.own)[0]

    def backward(self, cell: Cell, cache: Any) -> tuple[Any, ...]:
        """Return what the cell's backward returns for d_state = S."""
        return cell.backward(tuple(part.copy() for part in self.S), cache, *self.own)

    def gradients(self, cell: Cell, cache: Any) -> dict[str, np.ndarray]:
        """Return the same by the names of ``arrays``."""
        da_x, da_h, d_state, *d_own = self.backward(cell, cache)
        found = {key: np.array(d) for key, d in zip(self.arrays(cell), (da_x, da_h, *d_state))}
        return {**found, **{key: np.array(d[key]) for d in d_own for key in d}}

    def loss(self, new_state: tuple[Any, ...]) -> Any:
        return sum((s * part).sum() for s, part in zip(self.S, new_state))


def draw(
    cell: Any,
    hidden_size: int,
    batch: int,
    rng: np.random.Generator,
    own: dict[str, Any] | None = None,
    span: float | None = None,
) -> Step:
    """Return a random ``Step`` of a cell; ``span`` is the largest pre-activation (None: normal ones)."""
    shape, rows = (hidden_size, batch), (len(cell.gates) * hidden_size, batch)
    a_x, a_h = (rng.standard_normal(rows) if span is None else rng.uniform(-span, span, rows) for _ in range(2))
    state, S = (tuple(rng.standard_normal(shape) for _ in cell.state) for _ in range(2))
    return Step(a_x, a_h, state, () if own is None else (own,), S)


def changed_d_state(cell: Any, step: Step) -> list[str]:
    """Return a line if backward changes the arrays of d_state, which are the caller's."""
    d_state = tuple(part.copy() for part in step.S)
    cell.backward(d_state, step.forward(cell)[1], *step.own)
    letters = [f"d{letter}" for letter, d, given in zip(cell.state, d_state, step.S) if not np.array_equal(d, given)]
    name = own_parameters.cell_name(cell)
    text = f"{name}.backward changes the arrays of d_state ({', '.join(letters)}), which are the caller's"
    return [text + ": it must only read them"] if letters else []


def bounds_of(given: Arrays, samples: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Return name -> how far rounding may have moved each element, from gradients that noise has changed."""
    return {name: rounding.ratio() * np.max([np.abs(s[name] - d) for s in samples], 0) for name, d in given.items()}


class CellCase:
    """A random ``step`` of a cell as a loss of its ``arrays``; ``layer`` is one of one direction with the cell.

    Args: as for ``check_cell``; ``rng`` is a generator, ``span`` as for ``draw``.

    Raises:
        ValueError: for a shape that is not as ``cells.py`` says.
    """

    def __init__(
        self, cell: Cell, hidden_size: int, batch: int, rng: np.random.Generator, span: float | None = None
    ) -> None:
        self.cell, self.name = cell, own_parameters.cell_name(cell)
        step = draw(cell, hidden_size, batch, rng, span=span)
        self.layer = type(f"{self.name}Layer", (Recurrent,), {"cell": cell})(2, hidden_size, rng=rng)
        own = self.layer.astype(np.float64).weights().own or {}  # near its value, which may have to be positive
        own = {key: np.asarray(part + rng.uniform(-0.5, 0.5, part.shape)) for key, part in own.items()}
        self.step = step._replace(own=(own,) if own else ())
        self.arrays = self.step.arrays(cell)
        self._sizes = hidden_size, hidden_size, batch, np.float64, own or None
        own_parameters.check_forward(cell, *self._sizes)

    def make(self, dtype: type) -> tuple[Any, ...]:
        """Return the loss, and the arrays of ``dtype`` that it reads."""
        changed: dict[str, np.ndarray] = {key: array.astype(dtype) for key, array in self.arrays.items()}
        return lambda: self.step.loss(self.step.new_state(self.cell, changed)), changed

    def calls(self) -> Calls:
        """Return the gradients that backward returns, called twice; and the exception that it raised, or None.

        Raises:
            ValueError: if an array that backward returns does not have the shape of the contract.
        """
        try:
            cache = self.step.forward(self.cell)[1]
            own_parameters.check_backward(self.cell, *self._sizes)
            return [self.step.gradients(self.cell, cache), self.step.gradients(self.cell, cache)], None
        except Exception as error:
            if isinstance(error, ValueError) and str(error).startswith(f"{self.name}.backward returns"):
                raise
            return [], error

    def rounding(self, given: Arrays) -> dict[str, np.ndarray]:
        """Return name -> how far rounding may have moved each element of the gradients."""
        cells = rounding.noisy(self.cell)
        return bounds_of(given, [self.step.gradients(cell, self.step.forward(cell)[1]) for cell in cells])
