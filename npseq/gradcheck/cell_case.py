"""One step of a cell with random data for everything, its loss, and the gradients that its backward returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..bptt import Cell, State
from ..nn import own_parameters
from ..nn.recurrent import Recurrent
from .cell_diagnosis import Step
from .judge import failure

Arrays = Mapping[str, np.ndarray]


class CellCase:
    """A step of a cell, as a loss Σ S ⊙ new state of the arrays a_x, a_h, h_prev, … and the cell's own parameters.

    Args: as for ``check_cell``; ``rng`` is a generator.

    Attributes:
        arrays: name -> array.
        step: the same arrays as the arguments of the cell's functions, and S.
        layer: a layer of one direction with the cell.

    Raises:
        ValueError: for a shape that is not as ``cells.py`` says.
    """

    def __init__(self, cell: Cell, hidden_size: int, batch: int, rng: np.random.Generator) -> None:
        self.cell = cell
        self.name = own_parameters.cell_name(cell)
        rows, shape = (len(cell.gates) * hidden_size, batch), (hidden_size, batch)
        self.before = [letter + "_prev" for letter in cell.state]
        self.arrays: dict[str, np.ndarray] = {"a_x": rng.standard_normal(rows), "a_h": rng.standard_normal(rows)}
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

    def calls(self) -> tuple[list[dict[str, np.ndarray]], str | None]:
        """Return the gradients that backward returns, called twice; and a line about an exception, or None.

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
            return [], failure(error)

    def _gradients(self, cache: Any) -> dict[str, np.ndarray]:
        da_x, da_h, d_state, *d_own = self.step.backward(self.cell, cache)
        found = {key: np.array(d) for key, d in zip(self.arrays, (da_x, da_h, *d_state))}
        return {**found, **{key: np.array(d[key]) for d in d_own for key in d}}
