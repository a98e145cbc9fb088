"""Derivatives of a gradient: the complex step through it against central differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .numerical import CENTRAL_STEP, STEP
from .result import largest

DIRECTIONS = 3
ALLOWED = 1e-5  # relative; central differences reach 1e-9 or so
ROUNDING = 100 * float(np.finfo(float).eps)


def faults(grad: Callable[..., Mapping[str, Any]], arrays: Mapping[str, np.ndarray], rng: Any = 0) -> list[str]:
    """Return a line for each array whose gradient has another derivative by the complex step than by differences.

    A cast, ``.real``, ``abs`` or a buffer of a real dtype inside a backward does that; the gradient may be right.
    """
    rng = np.random.default_rng(rng)
    wrong: dict[str, str] = {}
    for _ in range(DIRECTIONS):
        v = {name: rng.standard_normal(array.shape) for name, array in arrays.items()}

        def moved(step: complex, v: Mapping[str, np.ndarray] = v) -> Mapping[str, Any]:
            return grad(**{name: array + step * v[name] for name, array in arrays.items()})

        try:
            exact = {name: np.imag(np.asarray(d)) / STEP for name, d in moved(1j * STEP).items()}
        except Exception as error:
            return [f"order 2: for complex arrays the gradient raises {type(error).__name__}: {error}"]
        above, below = moved(CENTRAL_STEP), moved(-CENTRAL_STEP)
        for name in arrays:
            difference = (np.asarray(above[name]) - np.asarray(below[name])) / (2 * CENTRAL_STEP)
            size = max(largest(exact[name]), largest(difference))
            noise = ROUNDING * max(largest(above[name]), 1.0) / CENTRAL_STEP
            if not largest(exact[name] - difference) <= ALLOWED * size + noise:
                where = np.unravel_index(np.abs(exact[name] - difference).argmax(), difference.shape)
                wrong.setdefault(
                    name,
                    f"order 2: along a random direction the gradient of {name} changes by {difference[where]:.9g}, its "
                    f"complex step gives {exact[name][where]:.9g}: a cast, .real or a real buffer in the gradient",
                )
    return list(wrong.values())
