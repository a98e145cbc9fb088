"""How far rounding may move a result: Monte Carlo arithmetic.

Every value that a cell computes is changed at random by a relative δ, far above the rounding of float64 and far below
anything else, and the results are compared with the unchanged ones. Rounding by ε then moves them by about ε / δ times
as much (Parker, "Monte Carlo arithmetic", UCLA CSD-970002, 1997). So an error is called rounding because the code
amplifies rounding that much at this very point (saturated gates, chaotic dynamics), not because it is small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .result import largest

Arrays = Mapping[str, np.ndarray]

DELTA = 1e-11  # relative size of the changes
SAFETY = 30.0  # an error may be as many times the one measured: measured are a few samples only
SAMPLES = 3
FLOAT32_OVERFLOW = 1e30  # results that are as large may have been computed from larger ones
FLOAT32_UNDERFLOW = 1e-30  # absolute: factors of gradients that are as small are lost in float32
FLOAT32_ALWAYS = 3e-6  # relative: errors in float32 that need no measurement


def ratio(dtype: type = np.float64) -> float:
    """Return by how much an error may be larger than a measured change."""
    return SAFETY * float(np.finfo(dtype).eps) / DELTA


class Noisy:
    """A cell whose every result is changed at random.

    The gates' values, which are computed by tanh and so are near ±1 or 0, are changed by δ itself, as much as the
    rounding of a number near 1: where 1 − h² or 1 − o is small, that is what its rounding comes from.
    """

    def __init__(self, cell: Any, rng: np.random.Generator, delta: float = DELTA) -> None:
        self.cell, self.rng, self.delta = cell, rng, delta
        self.gates, self.state, self.own = cell.gates, cell.state, getattr(cell, "own", None)

    def changed(self, value: Any, floor: float = 0.0) -> Any:
        """Return an array, or the arrays of a tuple, a list or a dict, changed."""
        if isinstance(value, tuple | list):
            return type(value)(self.changed(part, floor) for part in value)
        if isinstance(value, dict):
            return {name: self.changed(part, floor) for name, part in value.items()}
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            return value
        return value + self.delta * self.rng.uniform(-1, 1, value.shape) * np.maximum(np.abs(value), floor)

    def forward(self, a_x: np.ndarray, a_h: np.ndarray, state: Any, *own: Any) -> tuple[Any, Any]:
        """Return the new state and the cache, changed."""
        new, cache = self.cell.forward(self.changed(a_x), self.changed(a_h), state, *own)
        return self.changed(new, 1.0), self.changed(cache, 1.0)

    def backward(self, d_state: Any, cache: Any, *own: Any) -> Any:
        """Return the gradients, changed."""
        return self.changed(self.cell.backward(d_state, cache, *own))


def noisy(cell: Any, delta: float = DELTA) -> Iterator[Noisy]:
    """Yield a cell with noise, as often as noise is drawn."""
    for seed in range(SAMPLES):
        yield Noisy(cell, np.random.default_rng(seed), delta)


class LayerNoise:
    """How far results of a layer move: name -> largest change relative to the largest element.

    ``coarse`` are results changed by as much as float32 rounds: they may move further than in proportion.
    """

    def __init__(self, fine: list[Arrays], coarse: list[Arrays], plain: Arrays) -> None:
        self.samples, self.coarse, self.plain = fine, coarse, plain

    def _moved(self, name: str, samples: list[Arrays]) -> float:
        plain = self.plain[name]
        moved = max(largest(sample[name] - plain) for sample in samples) / (largest(plain) or 1.0)
        return moved if moved < 1e-3 else float("inf")  # no number, or no small change any more

    def allowed(self, name: str, dtype: type = np.float64) -> float:
        """Return the relative error of ``name`` that rounding explains; infinity where nothing is known of it."""
        found = ratio(dtype) * self._moved(name, self.samples)
        return found if dtype == np.float64 else max(found, SAFETY * self._moved(name, self.coarse))

    def allowed_along(self, v: Arrays, size: float) -> float:
        """Return the error of the gradient along v, relative to ``size``, that rounding explains."""
        moved = max(
            sum(float(np.sqrt(np.square((sample[name] - self.plain[name]) * d).sum())) for name, d in v.items())
            for sample in self.samples
        )
        return ratio() * moved / size if moved < 1e-3 * size else float("inf")


def of_layer(case: Any, shape: Any) -> LayerNoise:
    """Return the noise of a ``LayerCase``, by the second statement of its equations."""

    def results(cell: Any) -> Arrays:
        y, end, tapes = case.expected(shape._replace(cell=cell))
        grads = case.expected_gradients(shape._replace(cell=cell), tapes)
        return {**case.named(y, end), **grads}

    fine, coarse = (
        [results(cell) for cell in noisy(shape.cell, delta)] for delta in (DELTA, float(np.finfo(np.float32).eps))
    )
    return LayerNoise(fine, coarse, results(shape.cell))


# ---- any function ----

ULPS = 4 * float(np.finfo(float).eps)  # by which arguments are changed, to see how far their rounding goes
FUNCTION_SAMPLES = 4


class Rounded(np.ndarray):
    """An array of which every result of a NumPy function is changed at random by a relative ``DELTA``."""

    rng = np.random.default_rng(0)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        plain = [np.asarray(part) if isinstance(part, Rounded) else part for part in inputs]
        if out is not None:
            options["out"] = tuple(np.asarray(part) if isinstance(part, Rounded) else part for part in out)
        result = getattr(ufunc, method)(*plain, **options)
        if isinstance(result, tuple) or getattr(result, "dtype", np.dtype(bool)).kind not in "fc":
            return result
        noise = 1 + DELTA * self.rng.uniform(-1, 1, np.shape(result))
        if out is not None:
            np.asarray(out[0])[...] *= noise
            return out[0]
        return np.asarray(result * noise).view(Rounded)


def of_gradient(grad: Callable[..., Any], arrays: Arrays, given: Arrays) -> dict[str, np.ndarray]:
    """Return name -> for each element how far rounding may have moved the gradient that a function returns.

    Its arguments are changed by a few units in the last place, and, where it takes arrays that round coarsely, every
    step of its arithmetic is.
    """
    rng = np.random.default_rng(0)
    bounds = {name: np.zeros(np.shape(d)) for name, d in given.items()}

    def add(found: Any, factor: float) -> None:
        for name, bound in bounds.items():
            moved = np.abs(np.asarray(found[name], float) - given[name])
            bound[...] = np.maximum(bound, factor * np.where(np.isfinite(moved), moved, 0))

    for _ in range(FUNCTION_SAMPLES):
        add(grad(**{k: a * (1 + ULPS * rng.uniform(-1, 1, a.shape)) for k, a in arrays.items()}), SAFETY)
    try:
        with np.errstate(all="ignore"):
            for _ in range(FUNCTION_SAMPLES):
                add(grad(**{k: a.copy().view(Rounded) for k, a in arrays.items()}), SAFETY * ULPS / DELTA)
    except Exception:  # the function takes no other arrays
        pass
    return bounds
