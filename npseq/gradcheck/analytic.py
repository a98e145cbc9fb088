"""Can the complex step check this function? It needs a forward pass that is analytic.

abs, max, var, a conjugate, the real part, or an array of a real dtype drop or change the imaginary part. The complex
step is then wrong, not the gradient. Central differences need no complex numbers, so wherever the complex step
disagrees with the gradient it is compared with them first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .numerical import CENTRAL_STEP, central_difference, numerical_gradient
from .result import largest

AGREE = 1e-6  # relative: complex step and central differences that are nearer than this agree
NOISE = 100 * np.finfo(float).eps / CENTRAL_STEP  # of a central difference, for each unit of |f|
WORST = 4  # elements of a wrong array that are compared
SMALLER = 1 / 64  # of the step, for a second try: across a kink the first one is no derivative

ComplexWarning = getattr(np, "exceptions", np).ComplexWarning

Make = Callable[[type], tuple[Callable[[], Any], dict[str, np.ndarray]]]


class Differentiated:
    """The complex step of a loss, and what central differences say about it.

    Args:
        make: ``make(dtype) -> f, arrays``: a loss that reads ``arrays`` (name -> array of that dtype).

    Attributes:
        expected: name -> gradient by the complex step; NaN if f cannot run in complex numbers.
        error: the exception with which f failed in complex numbers, or None.
        caught: the warnings of NumPy in complex numbers.
    """

    def __init__(self, make: Make) -> None:
        self.make = make
        f, arrays = make(np.complex128)
        self.error: Exception | None = None
        with warnings.catch_warnings(record=True) as self.caught:
            warnings.simplefilter("always", ComplexWarning)
            try:
                self.expected = numerical_gradient(f, arrays)
            except Exception as error:  # whatever f raises only in complex numbers is not the gradient's fault
                self.error = error
                self.expected = {name: np.full(array.shape, np.nan) for name, array in arrays.items()}
        for caught in self.caught:
            if not issubclass(caught.category, ComplexWarning):
                warnings.warn_explicit(caught.message, caught.category, caught.filename, caught.lineno)
        self.f, self.real = make(np.float64)
        self.noise = self._noise()

    def _noise(self) -> float:
        """Return the part of a central difference that is the rounding of f: where its terms cancel, f is far smaller
        than they are, and so is what is expected of its rounding."""
        rng, value, moved = np.random.default_rng(0), np.real(self.f()), 0.0
        if np.real(self.f()) != value:  # another value when it is called again: that is no rounding
            return NOISE * float(abs(value))
        before = {name: array.copy() for name, array in self.real.items()}
        for _ in range(3):
            for name, array in self.real.items():
                array[...] = before[name] * (1 + 2 * np.finfo(float).eps * rng.uniform(-1, 1, array.shape))
            moved = max(moved, float(abs(np.real(self.f()) - value)))
        for name, array in self.real.items():
            array[...] = before[name]
        return max(NOISE * float(abs(value)), 30 * moved / CENTRAL_STEP)

    def agrees_along_a_direction(self, name: str) -> bool:
        """True if, along one random direction, the complex step of an array agrees with a central difference.

        This costs two evaluations, and finds a forward that is not analytic even if the gradient agrees with it.
        """
        array, gradient = self.real[name], self.expected[name]
        v = np.random.default_rng(array.size).uniform(-1, 1, array.shape)
        before, values = array.copy(), []
        for step in (CENTRAL_STEP, -CENTRAL_STEP):
            array[...] = before + step * v
            values.append(np.real(self.f()))
        array[...] = before
        difference = (values[0] - values[1]) / (2 * CENTRAL_STEP) - (gradient * v).sum()
        noise = max(self.noise, NOISE * max(map(abs, values)))
        return bool(np.abs(difference) <= 10 * AGREE * np.abs(gradient * v).sum() + noise)

    def central(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the gradients of some arrays by central differences; raises what f raises for real numbers."""
        return numerical_gradient(self.f, {name: self.real[name] for name in names}, "central")

    def central_where_worst(self, name: str, calls: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
        """Return central differences where a gradient differs most from the complex step, NaN elsewhere."""
        expected = self.expected[name]
        found = np.full(expected.shape, np.nan)
        different = [k for k, given in enumerate(calls) if not k or not np.array_equal(given[name], calls[0][name])]
        for given in (calls[k] for k in different):
            difference = np.abs(np.asarray(given[name]) - expected)
            for k in np.argsort(np.where(np.isfinite(difference), -difference, -np.inf), axis=None)[:WORST]:
                index = np.unravel_index(k, expected.shape)
                found[index] = central_difference(self.f, self.real[name], index)
        return found

    def disagreement(self, name: str, central: np.ndarray) -> str | None:
        """Return what the two methods give where they differ most; None if they agree (NaN: was not computed)."""
        expected = self.expected[name]
        if self.error is not None:
            return f"complex step failed, central difference {_largest_element(central):.9g}"
        computed = np.isfinite(central)
        scale = max(largest(expected), largest(central[computed]))
        difference = np.where(np.isfinite(expected), np.abs(expected - central), np.inf)
        difference[~computed] = 0
        for index in map(tuple, np.argwhere(difference > AGREE * scale + self.noise)):
            again = central_difference(self.f, self.real[name], index, SMALLER)
            if not abs(again - expected[index]) > AGREE * scale + self.noise / SMALLER:
                difference[index] = 0
        if not (difference > AGREE * scale + self.noise).any():
            return None
        where = np.unravel_index(difference.argmax(), difference.shape)
        at = f" at {','.join(map(str, where))}" if where else ""
        return f"complex step {expected[where]:.9g}, central difference {central[where]:.9g}{at}"


def _largest_element(array: np.ndarray) -> float:
    return array.flat[np.abs(array).argmax()] if array.size else 0.0


def check_method(
    calls: Sequence[Mapping[str, np.ndarray]],
    errors: Mapping[str, float],
    threshold: float,
    differentiated: Differentiated,
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Compare the complex step with central differences where the gradient, or one direction, disagrees with it.

    Every element of every array is compared only if forward turns out not to be analytic.

    Args:
        calls: the gradients that backward returned, called once or twice.
        errors: name -> relative error of the gradient against the complex step.
        threshold: the largest error that passes.
        differentiated: the complex step of the loss.

    Returns:
        name -> disagreement, empty if forward is analytic; and name -> central differences of the arrays compared, NaN
        where they were not computed.
    """
    central, doubtful = {}, []
    for name, error in errors.items():
        if differentiated.error is not None or not differentiated.agrees_along_a_direction(name):
            doubtful.append(name)
        elif not error <= threshold:
            central[name] = differentiated.central_where_worst(name, calls)
            if differentiated.disagreement(name, central[name]) is not None:
                doubtful.append(name)
    central.update(differentiated.central(doubtful))
    found = {name: differentiated.disagreement(name, central[name]) for name in doubtful}
    not_analytic = {name: text for name, text in found.items() if text is not None}
    if not_analytic:
        central.update(differentiated.central(name for name in errors if name not in doubtful))
    return not_analytic, central
