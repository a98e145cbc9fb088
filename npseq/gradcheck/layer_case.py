"""A layer over time, with random data: its loss and its gradients, and the same by the second statement."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ..nn.recurrent import Recurrent
from . import reference, reference_layer, rounding
from .cases import Arrays, Calls, Step, bounds_of, draw
from .reference import known
from .reference_layer import Shape
from .result import relative_error

SCALES = 2.0**40, 2.0**-40  # of dy and d_state: a gradient is linear in them


class Case(NamedTuple):
    """A layer and what it will be run on: which of its arguments are given, and how.

    ``again`` and ``tapes`` are of the random check: first a batch with other parameters; another forward between a
    forward and its backward.
    """

    layer: Any
    T: int
    B: int
    lengths: Any = None
    with_state: bool = True
    training: bool = False
    dy: bool = True
    d_state: bool = True
    need_dx: bool = True
    indices: bool = False
    unbatched: bool = False
    again: bool = False
    tapes: bool = False

    @property
    def longest(self) -> int:
        """Steps of the longest sequence."""
        return self.T if self.lengths is None else int(np.max(self.lengths))

    @property
    def gates(self) -> str:
        return str(self.layer.cell.gates)

    def padding(self) -> np.ndarray:
        """Return (T, B), True past the end of a sequence."""
        lengths = np.full(self.B, self.T) if self.lengths is None else np.asarray(self.lengths)
        return np.asarray(np.arange(self.T)[:, None] >= lengths)


def prepared(layer: Any, rng: np.random.Generator) -> Any:
    """Return a float64 copy of a layer in which no bias or learned state is zero."""
    return redrawn(layer.astype(np.float64), rng)


def redrawn(layer: Any, rng: np.random.Generator, scale: float = 1.0) -> Any:
    """Draw biases, learned states and a cell's own parameters of a layer anew, and multiply its weights."""
    own = layer.own_names() if hasattr(layer, "own_names") else {}
    for name, array in layer.params.items():
        if name in own:  # near its value, which may have to be positive
            array += rng.uniform(-0.5, 0.5, array.shape)
        elif name.startswith("weight"):
            array *= scale
        else:
            array[...] = rng.uniform(-1, 1, array.shape)
    return layer


class LayerCase:
    """A layer with random x and initial state, and the weights R and S of the loss Σ R ⊙ y + Σ S ⊙ state (54).

    Args: ``case.layer`` is float64 and will not be changed; ``padding`` is what x and dy have past the end of a
    sequence, where it does not count (None: random numbers).

    Attributes:
        arrays: name -> array: parameters, x (T, B, ·) and the state by its letters.
        R, S: time first; ``given``: x, state, dy and d_state in the form that the layer takes.
    """

    def __init__(self, case: Case, rng: np.random.Generator, padding: float | None = None) -> None:
        self.case, self.layer = case, case.layer
        layer, T, B, self.letters = case.layer, case.T, case.B, case.layer.cell.state
        indices = rng.integers(layer.input_size, size=(T, B)) if case.indices else None
        x = rng.standard_normal((T, B, layer.input_size))
        x = x if indices is None else reference_layer.one_hot(indices, layer.input_size)
        self.runs = layer.num_layers * layer.num_directions
        self.S = [rng.standard_normal((self.runs, B, size)) * case.d_state for size in layer.state_sizes()]
        self.state = [rng.standard_normal(s.shape) for s in self.S] if case.with_state else []
        self.R = rng.standard_normal((T, B, layer.num_directions * layer.output_size)) * case.dy
        self.mask_seed = int(rng.integers(2**31))
        self.arrays = {**layer.params, "x": x, **dict(zip(self.letters, self.state))}
        self.put_in_padding(padding, indices)

    def put_in_padding(self, padding: float | None, indices: np.ndarray | None = None) -> None:
        """Make ``given`` anew, with another value in the padding."""
        x, R = self.arrays["x"] if indices is None else indices, self.R
        if padding is not None:
            past = self.case.padding()
            x = np.where(past if x.ndim == 2 else past[:, :, None], 0 if x.ndim == 2 else padding, x)
            R = np.where(past[:, :, None], padding, R)
        d_state = self._joined(self.S) if self.case.d_state else None
        self.given = self._given(x), self._joined(self.state), self._given(R) if self.case.dy else None, d_state

    def of(self, layer: Any, scale: float = 1.0) -> LayerCase:
        """Return the same case of another layer, with dy and d_state multiplied."""
        case = copy.copy(self)
        case.case, case.layer = self.case._replace(layer=layer), layer
        if scale != 1:
            case.R, case.S = scale * self.R, [scale * part for part in self.S]
            case.put_in_padding(None)
        return case

    def _given(self, array: Any) -> Any:
        """Return an array that is time first in the form of the layer; ``_back`` does the reverse."""
        return array[:, 0] if self.case.unbatched else array.swapaxes(0, 1) if self.layer.batch_first else array

    def _back(self, array: Any) -> Any:
        return array[:, None] if self.case.unbatched else array.swapaxes(0, 1) if self.layer.batch_first else array

    def _joined(self, parts: list[Any]) -> Any:
        parts = [part[:, 0] for part in parts] if self.case.unbatched else parts
        return None if not parts else parts[0] if len(parts) == 1 else tuple(parts)

    def parts(self, state: Any) -> list[Any]:
        """Return a state that the layer has returned as a list, a (L·D, B, ·) array a letter."""
        parts = list(state) if isinstance(state, tuple) else [state]
        return [part[:, None] for part in parts] if self.case.unbatched else parts

    def named(self, y: np.ndarray, end: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Return ``y`` and ``final h``, … by name."""
        return {"y": y, **{f"final {letter}": part for letter, part in zip(self.letters, end)}}

    # ---- the code that is checked ----

    def forward(self, layer: Any, arrays: Arrays | None = None) -> tuple[Any, list[Any], Any]:
        """Return y (time first), the final state and the tape of a layer, with the case's dropout masks.

        ``arrays`` has x and the state in place of those that are given.
        """
        x, state, *_ = self.given
        if arrays is not None:
            letters = self.letters if self.case.with_state else ""
            x, state = self._given(arrays["x"]), self._joined([arrays[letter] for letter in letters])
        options = {"training": self.case.training, "rng": np.random.default_rng(self.mask_seed)}
        y, end, tape = layer.forward(_cast(x, layer), _cast(state, layer), self.case.lengths, **options)
        return self._back(y), self.parts(end), tape

    def gradients(self, layer: Any, tape: Any) -> dict[str, np.ndarray]:
        """Return name -> gradient (time first) of everything that one call of backward returns."""
        dy, d_state = (_cast(d, layer) for d in self.given[2:])
        dx, d_before, grads = layer.backward(tape, dy, d_state, need_dx=self.case.need_dx)
        found = {name: np.array(grads[name]) for name in layer.params}
        if dx is not None:
            found["x"] = np.array(self._back(dx))
        return {**found, **(dict(zip(self.letters, map(np.array, self.parts(d_before)))) if self.state else {})}

    def calls(self, tape: Any) -> Calls:
        """Return the gradients of the layer from two calls of backward; and the exception that it raised, or None."""
        try:
            return [self.gradients(self.layer, tape), self.gradients(self.layer, tape)], None
        except Exception as error:
            return [], error

    def gradients_of(self, layer: Any) -> list[dict[str, np.ndarray]]:
        """Return the gradients of another layer of the same sizes, from two calls of backward."""
        tape = self.forward(layer)[2]
        return [self.gradients(layer, tape), self.gradients(layer, tape)]

    def make(self, dtype: type) -> tuple[Any, ...]:
        """Return the loss, and the arrays of ``dtype`` that it reads."""
        layer = self.layer.astype(dtype)
        arrays = {**{name: array.astype(dtype) for name, array in self.arrays.items()}, **layer.params}
        return lambda: self.loss(*self.forward(layer, arrays)[:2]), arrays

    def loss(self, y: np.ndarray, end: list[np.ndarray]) -> Any:
        """Return Σ R ⊙ y + Σ S ⊙ state, (54)."""
        return (self.R * y).sum() + sum((s * part).sum() for s, part in zip(self.S, end))

    def gradient_at(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gradients that backward returns for other values of all arrays, in their dtype."""
        layer = self.layer.astype(next(iter(arrays.values())).dtype)
        for name in layer.params:
            layer.params[name][...] = arrays[name]
        return self.gradients(layer, self.forward(layer, arrays)[2])

    def read_only(self) -> list[np.ndarray]:
        """Return the arrays that backward must not change."""
        return [self.layer.theta, self.arrays["x"], self.R, *self.S, *self.state]

    def rounding(self, given: Arrays) -> dict[str, np.ndarray]:
        """Return name -> how far rounding may have moved each element of the gradients."""
        layer, samples = self.layer.astype(np.float64), []
        for cell in rounding.noisy(self.layer.cell):
            layer.cell = cell
            layer._cells_checked = {(name, id(cell), self.case.B) for name in ("check_forward", "check_backward")}
            samples.append(self.gradients(layer, self.forward(layer)[2]))
        return bounds_of(given, samples)

    # ---- the second statement ----

    def shape(self) -> Shape:
        """Return what the reference needs to know of the layer, masks included."""
        case, layer, masks = self.case, self.layer, np.random.default_rng(self.mask_seed)

        def mask(p: float, shape: tuple[int, ...]) -> Any:
            return (masks.random(shape) >= p) / (1 - p) if p and case.training else None

        L, D, P = layer.num_layers, layer.num_directions, layer.output_size
        h_masks: list[Any] = []
        y_masks: list[Any] = []
        for k in range(L):
            h_masks += [mask(layer.recurrent_dropout, (P, case.B)) for _ in range(D)]
            y_masks.append(mask(layer.dropout if k < L - 1 else 0, (case.T, case.B, D * P)))
        return Shape(known(layer.cell), L, D, case.lengths, h_masks, y_masks)

    def expected(
        self, shape: Shape, arrays: Any = None, engine: Any = reference
    ) -> tuple[np.ndarray, list[np.ndarray], list[Any]]:
        """Return y, the final state and the tapes of the second statement, whose recurrence ``engine`` runs."""
        own = list(getattr(self.layer.cell, "own", None) or {})
        return reference_layer.forward(self.arrays if arrays is None else arrays, shape, own, engine)

    def expected_gradients(self, shape: Shape, tapes: Any, engine: Any = reference) -> dict[str, np.ndarray]:
        """Return the gradients of the second statement."""
        return reference_layer.backward(tapes, self.arrays, shape, self.R if self.case.dy else None, self.S, engine)

    # ---- the layer run in other ways ----

    def _has_own_forward(self) -> bool:
        """True if the layer's class replaces a function of ``Recurrent`` that computes outputs."""
        kind = type(self.layer)
        return any(getattr(kind, name, None) is not getattr(Recurrent, name) for name in ("forward", "_run", "stream"))

    def inference(self) -> tuple[np.ndarray, list[Any]] | None:
        """Return y and the final state of ``layer(x)``; None with dropout."""
        if self.case.training:
            return None
        y, end = self.layer(*self.given[:2], self.case.lengths)
        return self._back(y), self.parts(end)

    def streamed(self) -> np.ndarray | None:
        """Return y of ``layer.stream()``; None for a layer or a case in which it means something else."""
        layer, case = self.layer, self.case
        if self._has_own_forward() or layer.bidirectional or case.training or case.lengths is not None:
            return None
        if case.indices or case.unbatched:
            return None
        stream = layer.stream(case.B)
        if self.state:
            stream.state = self.given[1]
        return np.array([np.array(stream.step(x_t)) for x_t in self.arrays["x"]]).reshape(self.R.shape)

    def changed_by_padding(self) -> list[str]:
        """Return what is not the same when x and dy are NaN past the end of the sequences, where they do not count."""
        if self.case.lengths is None or self._has_own_forward():
            return []

        def results() -> dict[str, np.ndarray]:
            y, _, tape = self.forward(self.layer)
            return {"y": y, **self.gradients(self.layer, tape)}

        expected = results()
        self.put_in_padding(np.nan)
        given = results()
        self.put_in_padding(None)
        return [name for name in expected if not relative_error(given[name], expected[name]) <= 1e-12]

    def step(self) -> Step:
        """Return one random step of the layer's cell, with the parameters of the first layer."""
        own = self.layer.weights().own
        return draw(self.layer.cell, self.layer.hidden_size, self.case.B, np.random.default_rng(0), own)


def _cast(array: Any, layer: Any) -> Any:
    """Return an array of floats, or several, in the dtype of a layer; None and indices as they are."""
    if array is None or isinstance(array, tuple):
        return array if array is None else tuple(_cast(part, layer) for part in array)
    return array if array.dtype.kind in "iu" else array.astype(layer.dtype, copy=False)
