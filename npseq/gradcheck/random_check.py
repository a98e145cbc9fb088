"""The random check: one configuration of a layer, held against the second statement of the equations.

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

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..nn.registry import MODELS
from . import rounding
from .draws import Config
from .layer_case import Case, LayerCase, redrawn
from .numerical import STEP
from .reference import reference_of
from .result import largest

ALLOWED = 1e-9  # relative, along a direction: an error in one element of a thousand is larger, rounding is 1e-14
OUTPUTS_ALLOWED = 1e-10  # of outputs and states, relative to the largest of the array
SPREAD = 1e4  # at most by this factor v is larger where the gradient is smaller

Arrays = Mapping[str, np.ndarray]


class Finding(NamedTuple):
    """What is wrong: ``what`` was compared (``"y"``, ``"float32 y"``, ``"gradient"``, …), and a line about it."""

    what: str
    line: str
    error: float = float("inf")


def drawn(config: Config) -> LayerCase:
    """Return the layer of a configuration, and data for it, with NaN in the padding."""
    c, rng = config, np.random.default_rng(config.seed)
    layer = redrawn(MODELS[c.model](c.I, c.H, dtype=np.float64, rng=rng, **c.layer_options()), rng, c.scale)
    kinds = {"mixed": rng.integers(0, c.T + 1, c.B), "one": np.full(c.B, 1), "empty": np.zeros(c.B, int)}
    if c.B > 1:
        kinds["mixed"][:2] = c.T, 0  # the longest and the shortest are always there
    training = bool(c.dropout or c.recurrent_dropout)
    case = Case(layer, c.T, c.B, kinds.get(c.lengths), c.state, training)
    given = {name: getattr(c, name) for name in Case._fields[6:]}
    return LayerCase(case._replace(**given), rng, np.nan)


def direction(grads: Arrays, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return v: random, for each array (and each step of x) as large as its gradient is small."""
    axes = {name: (1, 2) if name == "x" else None for name in grads}
    sizes = {name: np.sqrt((d * d).sum(axis=axes[name], keepdims=True)) for name, d in grads.items()}
    most = max([float(np.max(size)) for size in sizes.values() if np.size(size)] or [1.0]) or 1.0
    scales = {name: np.maximum(size, most / SPREAD) for name, size in sizes.items()}
    finite = {name: np.where(np.isfinite(scale), scale, 1.0) for name, scale in scales.items()}
    return {name: rng.uniform(-1, 1, d.shape) / finite[name] for name, d in grads.items()}


def along(loss: Callable[[dict[str, np.ndarray]], Any], arrays: Arrays, v: Arrays) -> float:
    """Return the derivative of ``loss(arrays)`` along v, by one complex step."""
    step = STEP / max(largest(d) for d in v.values())
    moved = {name: array + 1j * step * v[name] if name in v else array + 0j for name, array in arrays.items()}
    return float(np.imag(loss(moved)) / step)


def wrong_direction(
    grads: Arrays,
    loss: Callable[[dict[str, np.ndarray]], Any],
    arrays: Arrays,
    seed: int,
    rounding_along: Callable[[Arrays, float], float],
) -> list[Finding]:
    """Return what is wrong with gradients along a random direction v.

    ``rounding_along(v, size)`` is the error that rounding explains, relative to ``size``, Σ |grad ⊙ v| by array.
    """
    v = direction(grads, np.random.default_rng(seed))
    products = [float(np.sum(d * v[name])) for name, d in grads.items()]
    given, expected, size = sum(products), along(loss, arrays, v), sum(map(abs, products)) or 1.0
    error = abs(given - expected) / size
    if error <= ALLOWED or error <= rounding_along(v, size):
        return []
    return [
        Finding("gradient", f"along a random direction the gradient is {given:.9g}; {expected:.9g} expected", error)
    ]


def difference(given: Any, expected: Any) -> float:
    """Return the largest error relative to the largest element: infinity for another shape, or no number."""
    if np.shape(given) != np.shape(expected):
        return float("inf")
    error = largest(given - expected) / (largest(expected) or 1.0)
    return error if np.isfinite(error) else float("inf")


class LayerCheck:
    """The checks of a layer. ``findings`` has what was wrong; the other attributes what was compared."""

    def __init__(self, case: LayerCase) -> None:
        self.case, self.shape = case, case.shape()
        self.findings: list[Finding] = []

    def run(self, float32: bool = True) -> list[Finding]:
        """Run them all."""
        case, layer = self.case, self.case.layer
        with np.errstate(all="ignore"):
            if case.case.again:
                self._with_other_parameters()
            self.y, self.end, tape = case.forward(layer)
            if case.case.tapes:
                kept = self.y.copy()
                other = LayerCase(case.case, np.random.default_rng(1), np.nan)
                other.gradients(layer, other.forward(layer)[2])
                if not np.array_equal(kept, self.y, equal_nan=True):
                    self._found("y", "a later call overwrites the outputs of an earlier one")
            self.true_y, self.true_end, self.tapes = case.expected(self.shape)
            self.outputs = case.named(self.y, self.end)
            self._outputs(self.outputs, case.named(self.true_y, self.true_end), "{} is not that of the equations")
            before = layer.theta.copy()
            self.grads, again = case.gradients(layer, tape), case.gradients(layer, tape)
            twice = [name for name in again if not np.array_equal(again[name], self.grads[name], equal_nan=True)]
            if twice:
                self._found("twice", f"backward called twice gives two gradients of {', '.join(twice)}")
            if not np.array_equal(before, layer.theta):
                self._found("theta", "backward has changed the parameters")
            self._gradient()
            if not self.findings:
                self._other_outputs()
            if float32 and not self.findings:
                self._float32()
        return self.findings

    def _found(self, what: str, line: str, error: float = float("inf")) -> None:
        self.findings.append(Finding(what, line, error))

    def _with_other_parameters(self) -> None:
        """Run the layer once with other parameters, and put its own back in place."""
        case, layer = self.case, self.case.layer
        kept = layer.theta.copy()
        layer.theta[...] = np.random.default_rng(1).uniform(-1, 1, kept.shape)
        case.gradients(layer, case.forward(layer)[2])
        layer.theta[...] = kept

    def _outputs(self, given: Arrays, expected: Arrays, text: str, what: str = "{}") -> None:
        """Compare y and the final state; what rounding does not explain is found."""
        for name, array in given.items():
            error = difference(array, expected[name])
            if not error <= OUTPUTS_ALLOWED and not error <= self._noise().allowed(name):
                self._found(what.format(name), f"{text.format(name)}: relative error {error:.1e}", error)

    def _gradient(self) -> None:
        arrays = self.case.arrays
        wrong = [name for name, d in self.grads.items() if d.shape != arrays[name].shape]
        infinite = [name for name, d in self.grads.items() if not np.isfinite(d).all()]
        if wrong:
            self._found("gradient", f"the gradient of {wrong[0]} has the shape {self.grads[wrong[0]].shape}")
        elif infinite:
            self._found("gradient", f"the gradient of {', '.join(infinite)} has NaN or infinity in it")
        else:
            noise = lambda v, size: self._noise().allowed_along(v, size)  # noqa: E731
            self.findings += wrong_direction(self.grads, self.loss, arrays, self.case.mask_seed, noise)

    def loss(self, arrays: Arrays) -> Any:
        """Return the loss of other arrays, by the second statement."""
        return self.case.loss(*self.case.expected(self.shape, arrays)[:2])

    def _noise(self) -> rounding.LayerNoise:
        return rounding.of_layer(self.case, self.shape)

    def _other_outputs(self) -> None:
        """Compare ``layer(x)`` and ``layer.stream()`` with ``layer.forward(x)``."""
        text, found = "{} gives another {{}} than layer.forward(x)", self.case.inference()
        if found is not None:
            self._outputs(self.case.named(*found), self.outputs, text.format("layer(x)"), "inference {}")
        streamed = self.case.streamed() if reference_of(self.case.layer.cell) else None
        if streamed is not None:
            self._outputs({"y": streamed}, self.outputs, text.format("layer.stream()"), "stream")

    def _float32(self) -> None:
        """Compare outputs and gradients in float32 with those in float64, for the same parameters and data."""
        layer = self.case.layer.astype(np.float32)
        y, end, tape = self.case.forward(layer)
        given = {**self.case.named(y, end), **self.case.gradients(layer, tape)}
        true = {**self.outputs, **self.grads}
        kind = [name for name, array in given.items() if array.dtype != np.float32]
        if kind:
            self._found("float32", f"in float32, {', '.join(kind)} is {given[kind[0]].dtype}")
        if not max(map(largest, true.values())) < rounding.FLOAT32_OVERFLOW:
            return
        noise = None
        for name, array in given.items():
            error = difference(array, true[name])
            if error <= rounding.FLOAT32_ALWAYS or error * largest(true[name]) <= rounding.FLOAT32_UNDERFLOW:
                continue
            noise = noise or self._noise()
            if not error <= noise.allowed(name, np.float32):
                line = f"in float32, {name} differs from float64 by {error:.1e}, more than rounding"
                self._found(f"float32 {name}", line, error)
