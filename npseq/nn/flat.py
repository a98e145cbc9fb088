"""The flat vector of parameters, or of their gradients, and its named views; and names for what is nested."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

DTYPES = np.float32, np.float64, np.complex128

Shapes = Mapping[str, tuple[int, ...]]


class Gradients(dict[str, np.ndarray]):
    """name -> gradient, each a view into the flat vector ``theta`` (in the order of the parameters).

    Args:
        shapes: name -> shape of each parameter.
        theta: (n,), as many elements as the parameters have.

    Raises:
        ValueError: if theta has another number of elements.
    """

    def __init__(self, shapes: Shapes, theta: np.ndarray) -> None:
        super().__init__(views_of(shapes, theta))
        self.theta = theta

    def __reduce__(self) -> tuple[Any, ...]:
        # pickle and deepcopy copy each array separately, so the views are rebuilt
        return type(self), ({name: view.shape for name, view in self.items()}, self.theta)


def checked_dtype(dtype: Any) -> np.dtype[Any]:
    """Return a dtype that parameters may have. Raises TypeError for another one."""
    checked: np.dtype[Any] = np.dtype(dtype)
    if checked not in DTYPES:
        raise TypeError(f"dtype {checked} given; float32, float64 or complex128 expected")
    return checked


def views_of(shapes: Shapes, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Return name -> view into ``theta``. Raises ValueError if theta has another number of elements."""
    views, start = {}, 0
    for name, shape in shapes.items():
        end = start + math.prod(shape)
        views[name] = theta[start:end].reshape(shape)
        start = end
    if start != theta.size:
        raise ValueError(f"a flat vector of {theta.size} elements given; {start} expected")
    return views


def entries(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the entries of lists, tuples and dicts in ``value``, under their names joined by dots."""
    if isinstance(value, list | tuple | dict) and not isinstance(value, Gradients):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from entries(f"{name}.{key}" if name else str(key), entry)
    else:
        yield name, value


def accepted(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    """Return those of the options that the function has among its parameters."""
    return {name: value for name, value in options.items() if name in _names(getattr(function, "__func__", function))}


@lru_cache(maxsize=512)
def _names(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}
