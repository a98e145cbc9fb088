"""A layer with random data for everything, its loss, and the gradients that its backward returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bptt import Cell
from ..nn.recurrent import Recurrent
from . import cell_diagnosis
from .judge import failure, unread_by_forward
from .planting import Case, reference_layer
from .reference import reference_of
from .result import Result, relative_error


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

    def calls(self, tape: Any) -> tuple[list[dict[str, np.ndarray]], str | None]:
        """Return the gradients of the layer from two calls of backward; and a line about an exception, or None."""
        try:
            return [self.gradients(self.layer, tape), self.gradients(self.layer, tape)], None
        except Exception as error:
            return [], failure(error)

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

    def padding(self) -> np.ndarray | None:
        """Return (T, B), True at padded steps; None without lengths."""
        lengths = self.case.lengths
        return None if lengths is None else np.arange(self.case.T)[:, None] >= np.asarray(lengths)

    def step(self) -> cell_diagnosis.Step:
        """Return one random step of the layer's cell, with the parameters of the first layer."""
        layer = self.layer
        own = layer.weights().own
        return cell_diagnosis.draw(layer.cell, layer.hidden_size, self.case.B, np.random.default_rng(0), own)

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
        return cell_diagnosis.changed_d_state(self.layer.cell, self.step())

    def other_forward(self, y: np.ndarray, result: Result) -> list[str]:
        """Return a note if the layer of an npseq cell no longer computes the published equations."""
        known = reference_of(self.layer.cell)
        if known is None:
            return []
        expected, _, _ = self.forward(reference_layer(self.layer), self.x, self.state)
        if relative_error(y, expected) <= 1e-10:
            return []
        name = cell_diagnosis.NAMES[known.__name__]
        found = cell_diagnosis.forward_difference(self.layer.cell, self.step())
        found = found or f"forward is not the {name}'s: the cell is, the recurrence around it is not"
        return [cell_diagnosis.RIGHT_FOR_ANOTHER_FORWARD + found if result.ok else found]
