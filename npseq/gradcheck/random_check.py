"""The random check: one configuration of a layer or a model, held against the second statement of the equations.

The loss is Σ R ⊙ y + Σ S ⊙ state (54). Checked are the outputs and final states, and the gradient along one direction v
over all arrays at once:

    Σ grad ⊙ v  =  Im loss(arrays + i h v) / h                                            (52)

One forward pass in complex numbers thus proves the gradient of any number of parameters, at any size: an error in any
element shows, since v is random. v is scaled for each array, and for each step of x, by the size of its gradient, so
that small gradients count as much as large ones. The forward pass in complex numbers is that of ``reference.py``, so it
does not depend on the code that is checked; for a cell of the user's own it is the cell's, in the reference recurrence.

In float32 the same outputs and gradients are compared with those in float64, element by element, within a bound of
their rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..nn.registry import MODELS
from . import reference_layer as layers
from . import rounding
from .draws import Config
from .numerical import STEP
from .reference import known
from .result import largest

ALLOWED = 1e-9  # relative, along a direction: an error in one element of a thousand is larger, rounding is 1e-14
OUTPUTS_ALLOWED = 1e-10  # of outputs and states, relative to the largest of the array
SPREAD = 1e4  # at most by this factor v is larger where the gradient is smaller


class Finding(NamedTuple):
    """What is wrong: ``what`` was compared (``"y"``, ``"float32 y"``, ``"gradient"``, …), and a line about it."""

    what: str
    line: str
    error: float = float("inf")


class Drawn:
    """The layer and the data of a configuration.

    Attributes:
        layer: of the registry, float64, its parameters drawn.
        arrays: name -> array, in the reference's form: parameters, x (T, B, ·) and the state by its letters.
        x, state, lengths: as the layer takes them, padding filled with NaN.
        R, S: the weights of the loss, in the reference's form.
        dy, d_state: as backward takes them.
    """

    def __init__(self, config: Config, layer: Any = None) -> None:
        c, self.config = config, config
        rng = self.rng = np.random.default_rng(c.seed)
        self.layer = layer = self._layer(rng) if layer is None else layer.astype(np.float64)
        self.own = list(getattr(layer.cell, "own", None) or {})
        self.lengths = self._lengths(rng)
        padding = self.padding()
        T, B, runs = c.T, c.B, c.L * c.D
        self.indices: Any = rng.integers(c.I, size=(T, B)) if c.indices else None
        x = layers.one_hot(self.indices, c.I) if self.indices is not None else rng.standard_normal((T, B, c.I))
        self.state = [rng.standard_normal((runs, B, size)) for size in layer.state_sizes()] if c.state else []
        self.R = rng.standard_normal((T, B, c.D * layer.output_size)) * c.dy
        self.S = [rng.standard_normal((runs, B, size)) * c.d_state for size in layer.state_sizes()]
        self.arrays = {**layer.params, "x": x, **dict(zip(layer.cell.state, self.state))}
        R = np.where(padding[:, :, None], np.nan, self.R)
        self.R = np.where(padding[:, :, None], 0, self.R)
        self.x = self._given(
            np.where(padding, 0, self.indices) if self.indices is not None else np.where(padding[:, :, None], np.nan, x)
        )
        self.dy = self._given(R) if c.dy else None
        self.d_state = self._joined(self.S) if c.d_state else None
        self.mask_seed = int(rng.integers(1 << 30))

    def _layer(self, rng: np.random.Generator) -> Any:
        c = self.config
        options: dict[str, Any] = {"nonlinearity": "relu"} if c.relu else {}
        options.update({"proj_size": c.P} if c.P else {}, **({"threads": c.threads} if c.optimized else {}))
        layer = MODELS[c.model](
            c.I,
            c.H,
            num_layers=c.L,
            bias=c.bias,
            batch_first=c.batch_first,
            dropout=c.dropout,
            bidirectional=c.D == 2,
            dtype=np.float64,
            rng=rng,
            recurrent_dropout=c.recurrent_dropout,
            learn_initial_state=c.learned,
            checkpoint_every=c.checkpoint,
            **options,
        )
        own = layer.own_names()
        for name, array in layer.params.items():
            if name.startswith("weight"):
                array *= c.scale
            elif name in own:
                array += rng.uniform(-0.5, 0.5, array.shape)
            else:
                array[...] = rng.uniform(-1, 1, array.shape)
        return layer

    def _lengths(self, rng: np.random.Generator) -> Any:
        T, B = self.config.T, self.config.B
        kinds = {"mixed": rng.integers(0, T + 1, B), "one": np.full(B, 1), "empty": np.zeros(B, int)}
        if self.config.lengths == "mixed" and B > 1:
            kinds["mixed"][:2] = T, 0  # the longest and the shortest are always there
        return kinds.get(self.config.lengths)

    def padding(self) -> np.ndarray:
        """Return (T, B), True past the end of a sequence."""
        lengths = np.full(self.config.B, self.config.T) if self.lengths is None else self.lengths
        return np.arange(self.config.T)[:, None] >= lengths

    def _given(self, array: Any) -> Any:
        c = self.config
        return array[:, 0] if c.unbatched else array.swapaxes(0, 1) if c.batch_first else array

    def _back(self, array: np.ndarray) -> np.ndarray:
        c = self.config
        return array[:, None] if c.unbatched else array.swapaxes(0, 1) if c.batch_first else array

    def _joined(self, parts: list[np.ndarray]) -> Any:
        if not parts:
            return None
        parts = [part[:, 0] for part in parts] if self.config.unbatched else parts
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _parts(self, state: Any) -> list[np.ndarray]:
        parts = list(state) if isinstance(state, tuple) else [state]
        return [part[:, None] for part in parts] if self.config.unbatched else parts

    # ---- the code that is checked ----

    def forward(self, layer: Any) -> tuple[np.ndarray, list[np.ndarray], Any]:
        """Return y and the final state, in the reference's form, and the tape, in the layer's dtype."""

        training = bool(self.config.dropout or self.config.recurrent_dropout)
        y, end, tape = layer.forward(
            _cast(self.x, layer.dtype),
            _cast(self._joined(self.state), layer.dtype),
            self.lengths,
            training=training,
            rng=np.random.default_rng(self.mask_seed),
        )
        return self._back(y), self._parts(end), tape

    def backward(self, layer: Any, tape: Any) -> dict[str, np.ndarray]:
        """Return name -> gradient, in the reference's form, of everything that backward returns."""
        dy, d_state = _cast(self.dy, layer.dtype), _cast(self.d_state, layer.dtype)
        dx, d_before, grads = layer.backward(tape, dy, d_state, need_dx=self.config.need_dx)
        found = {name: np.array(grads[name]) for name in layer.params}
        if dx is not None:
            found["x"] = self._back(np.array(dx))
        if self.state:
            found.update({letter: np.array(part) for letter, part in zip(layer.cell.state, self._parts(d_before))})
        return found

    # ---- the second statement ----

    def shape(self) -> layers.Shape:
        """Return what the reference needs to know, masks included."""
        c, layer, masks = self.config, self.layer, np.random.default_rng(self.mask_seed)
        h_masks: list[Any] = []
        y_masks: list[Any] = []

        def mask(p: float, shape: tuple[int, ...]) -> Any:
            return (masks.random(shape) >= p) / (1 - p) if p else None

        for k in range(c.L):
            h_masks += [mask(c.recurrent_dropout, (layer.output_size, c.B)) for _ in range(c.D)]
            y_masks.append(mask(c.dropout if k < c.L - 1 else 0, (c.T, c.B, c.D * layer.output_size)))
        return layers.Shape(known(layer.cell), c.L, c.D, self.lengths, h_masks, y_masks)

    def expected(self, arrays: Any = None, shape: Any = None) -> tuple[np.ndarray, list[np.ndarray], list[Any]]:
        """Return y, the final state and the tapes of the second statement."""
        return layers.forward(self.arrays if arrays is None else arrays, shape or self.shape(), self.own)

    def loss(self, y: np.ndarray, end: list[np.ndarray]) -> Any:
        """Return Σ R ⊙ y + Σ S ⊙ state."""
        return (self.R * y).sum() + sum((s * part).sum() for s, part in zip(self.S, end))


def _cast(array: Any, dtype: Any) -> Any:
    """Return an array of floats, or several, in another dtype; None and indices as they are."""
    if array is None or isinstance(array, tuple):
        return array if array is None else tuple(_cast(part, dtype) for part in array)
    return array if array.dtype.kind in "iu" else array.astype(dtype)


def direction(grads: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return v: random, for each array (and each step of x) as large as its gradient is small."""
    found: dict[str, np.ndarray] = {}
    sizes = {
        name: np.sqrt((d * d).sum(axis=(1, 2), keepdims=True) if name == "x" else (d * d).sum())
        for name, d in grads.items()
    }
    most = max([float(np.max(size)) for size in sizes.values() if np.size(size)] or [1.0]) or 1.0
    for name, d in grads.items():
        scale = np.maximum(sizes[name], most / SPREAD)
        found[name] = rng.uniform(-1, 1, d.shape) / np.where(np.isfinite(scale), scale, 1.0)
    return found


def along(
    loss: Callable[[dict[str, np.ndarray]], Any], arrays: dict[str, np.ndarray], v: dict[str, np.ndarray]
) -> float:
    """Return the derivative of ``loss(arrays)`` along v, by one complex step."""
    step = STEP / max(largest(d) for d in v.values())
    moved = {name: array + 1j * step * v[name] if name in v else array + 0j for name, array in arrays.items()}
    return float(np.imag(loss(moved)) / step)


def _differs(given: np.ndarray, expected: np.ndarray, allowed: float) -> float | None:
    """Return the largest error relative to the largest element, if it is not within ``allowed``."""
    if given.shape != expected.shape:
        return float("inf")
    error = largest(given - expected) / (largest(expected) or 1.0) if given.size else 0.0
    return None if error <= allowed else error


class LayerCheck:
    """The checks of a layer. ``findings`` has what was wrong; ``grads`` and ``expected`` what was compared."""

    def __init__(self, drawn: Drawn) -> None:
        self.drawn = drawn
        self.findings: list[Finding] = []

    def run(self, float32: bool = True) -> list[Finding]:
        """Run them all."""
        drawn, layer, c = self.drawn, self.drawn.layer, self.drawn.config
        with np.errstate(all="ignore"):
            if c.again:
                self._with_other_parameters()
            self.y, self.end, tape = drawn.forward(layer)
            if c.tapes:
                kept = self.y.copy()
                other = Drawn(c._replace(seed=c.seed + 1, tapes=False), layer)
                other.layer = layer
                other.backward(layer, other.forward(layer)[2])
                if not np.array_equal(kept, self.y, equal_nan=True):
                    self._found("y", "a later call overwrites the outputs of an earlier one")
            self.shape = drawn.shape()
            self.true_y, self.true_end, self.tapes = drawn.expected(shape=self.shape)
            self._outputs()
            before = layer.theta.copy()
            self.grads = drawn.backward(layer, tape)
            again = drawn.backward(layer, tape)
            twice = [name for name in again if not np.array_equal(again[name], self.grads[name], equal_nan=True)]
            if twice:
                self._found("twice", f"backward called twice gives two gradients of {', '.join(twice)}")
            if not np.array_equal(before, layer.theta):
                self._found("theta", "backward has changed the parameters")
            self._gradient()
            if not self.findings:
                self._inference()
            if float32 and not self.findings:
                self._float32()
        return self.findings

    def _found(self, what: str, line: str, error: float = float("inf")) -> None:
        self.findings.append(Finding(what, line, error))

    def _with_other_parameters(self) -> None:
        """Run the layer once with other parameters, and put its own back in place."""
        drawn, layer = self.drawn, self.drawn.layer
        kept = layer.theta.copy()
        layer.theta[...] = np.random.default_rng(1).uniform(-1, 1, kept.shape)
        _, _, tape = drawn.forward(layer)
        drawn.backward(layer, tape)
        layer.theta[...] = kept

    def _outputs(self) -> None:
        names = ["y", *(f"final {letter}" for letter in self.drawn.layer.cell.state)]
        for name, given, true in zip(names, [self.y, *self.end], [self.true_y, *self.true_end]):
            error = _differs(given, true, OUTPUTS_ALLOWED)
            if error is not None and not self._is_rounding(name, error):
                self._found(name, f"{name} is not that of the equations: relative error {error:.1e}", error)

    def _gradient(self) -> None:
        drawn = self.drawn
        wrong = [name for name, d in self.grads.items() if d.shape != drawn.arrays[name].shape]
        if wrong:
            self._found("gradient", f"the gradient of {wrong[0]} has the shape {self.grads[wrong[0]].shape}")
            return
        infinite = [name for name, d in self.grads.items() if not np.isfinite(d).all()]
        if infinite:
            self._found("gradient", f"the gradient of {', '.join(infinite)} has NaN or infinity in it")
            return
        v = direction(self.grads, np.random.default_rng(drawn.config.seed))
        given, size = self._dot(self.grads, v)
        expected = along(lambda arrays: drawn.loss(*drawn.expected(arrays, self.shape)[:2]), drawn.arrays, v)
        self.error = abs(given - expected) / (size or 1.0)
        if not self.error <= ALLOWED and not self._is_rounding("gradient", self.error, v):
            self._found(
                "gradient", f"along a random direction the gradient is {given:.9g}; {expected:.9g} expected", self.error
            )

    @staticmethod
    def _dot(grads: dict[str, np.ndarray], v: dict[str, np.ndarray]) -> tuple[float, float]:
        products = [np.sum(d * v[name]) for name, d in grads.items()]
        return float(sum(products)), float(sum(map(abs, products)))

    def reference_gradients(self) -> dict[str, np.ndarray]:
        """Return the gradients of the second statement, for comparison element by element."""
        drawn = self.drawn
        found = layers.backward(self.tapes, drawn.arrays, self.shape, drawn.R if drawn.config.dy else None, drawn.S)
        return {name: found[name] for name in self.grads}

    def _is_rounding(self, what: str, error: float, v: dict[str, np.ndarray] | None = None) -> bool:
        """True if rounding explains an error of outputs or of the gradient along v."""
        noise = rounding.of_layer(self.drawn, self.shape)
        if v is None:
            return error <= noise.allowed(what)
        return error <= noise.allowed_along(v)

    def _inference(self) -> None:
        """Compare ``layer(x)`` with ``layer.forward(x)``."""
        drawn, layer, c = self.drawn, self.drawn.layer, self.drawn.config
        if c.dropout or c.recurrent_dropout:
            return
        y, end = layer(drawn.x, drawn._joined(drawn.state), drawn.lengths)
        pairs = zip(["y", *layer.cell.state], [drawn._back(y), *drawn._parts(end)], [self.y, *self.end])
        for name, given, expected in pairs:
            error = _differs(given, expected, OUTPUTS_ALLOWED)
            if error is not None and not self._is_rounding(f"final {name}" if name != "y" else name, error):
                self._found(
                    f"inference {name}", f"layer(x) gives another {name} than layer.forward(x): {error:.1e}", error
                )

    def _float32(self) -> None:
        """Compare outputs and gradients in float32 with those in float64, for the same parameters and data."""
        drawn = self.drawn
        layer = drawn.layer.astype(np.float32)
        y, end, tape = drawn.forward(layer)
        grads = drawn.backward(layer, tape)
        given = {"y": y, **{f"final {k}": part for k, part in zip(layer.cell.state, end)}, **grads}
        true = {"y": self.y, **{f"final {k}": part for k, part in zip(layer.cell.state, self.end)}, **self.grads}
        kind = [name for name, array in given.items() if array.dtype != np.float32]
        if kind:
            self._found("float32", f"in float32, {', '.join(kind)} is {given[kind[0]].dtype}")
        if not max(map(largest, true.values())) < rounding.FLOAT32_OVERFLOW:
            return
        noise = None
        for name, array in given.items():
            error = _differs(array, true[name], rounding.FLOAT32_ALWAYS)
            if error is None or error * largest(true[name]) <= rounding.FLOAT32_UNDERFLOW:
                continue
            noise = noise or rounding.of_layer(drawn, self.shape)
            if not error <= noise.allowed(name, np.float32):
                self._found(
                    f"float32 {name}",
                    f"in float32, {name} differs from float64 by {error:.1e}, more than rounding",
                    error,
                )
