"""Numerical derivatives: complex step and central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STEP = 1e-30  # of the complex step: any h with h² below the rounding of f will do
CENTRAL_STEP = float(np.cbrt(np.finfo(float).eps))  # balances the rounding of f against the h² term
METHODS = ("complex", "central")


def dtype_of(method: str) -> type:
    """Return the dtype of the arrays that ``method`` changes: complex128 or float64.

    Raises:
        ValueError: if there is no such method.
    """
    if method not in METHODS:
        raise ValueError(f"method must be 'complex' or 'central'; {method!r} given")
    return np.complex128 if method == "complex" else np.float64


def central_difference(f: Callable[[], Any], array: np.ndarray, index: tuple[Any, ...], fraction: float = 1.0) -> float:
    """Return (f(x + h) − f(x − h)) / 2h for one element of ``array``, which is changed in place and put back.

    ``fraction`` multiplies the default step.
    """
    value = array[index]
    h = fraction * CENTRAL_STEP * max(1.0, abs(value))
    try:
        array[index] = value + h
        above = f()
        array[index] = value - h
        return float(np.real(above - f()) / (2 * h))  # (53)
    finally:
        array[index] = value


def numerical_gradient(
    f: Callable[[], Any], arrays: dict[str, np.ndarray], method: str = "complex"
) -> dict[str, np.ndarray]:
    """Compute the gradient of ``f()`` with respect to each of ``arrays``, element by element.

    Args:
        f: takes nothing, reads the arrays, returns a number.
        arrays: name -> array that f reads: complex128 for the complex step, float64 for central differences. Each
            element is changed in place and put back.
        method: ``"complex"`` or ``"central"``.

    Returns:
        name -> gradient, float64.

    Raises:
        TypeError: for the complex step, if f returns a real number.
    """
    gradients = {}
    for name, array in arrays.items():
        gradients[name] = d = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            if method == "central":
                d[index] = central_difference(f, array, index)
                continue
            value = array[index]
            array[index] = value + 1j * STEP
            try:
                moved = f()
            finally:
                array[index] = value
            if not np.iscomplexobj(moved):
                raise TypeError(
                    f"f returns a {type(moved).__name__} for complex {name}: abs, conj or float() dropped the "
                    "imaginary part; fix it or use method='central'"
                )
            d[index] = moved.imag / STEP  # (52)
    return gradients


def hessian_vector_product(f_grad: Callable[[np.ndarray], np.ndarray], params: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return H v = Im f_grad(params + i h v) / h, the complex step through the hand-written backward.

    Args:
        f_grad: ``f_grad(params)`` -> the gradient, one flat vector; it receives complex128.
        params: flat vector of real numbers.
        v: a direction of the same size.

    Returns:
        H v, float64, exact to rounding. It costs about as much as one gradient in complex numbers; H is never formed.

    The sharpest direction of the loss, by SciPy's Lanczos iteration::

        from scipy.sparse.linalg import LinearOperator, eigsh
        n = params.size
        H = LinearOperator((n, n), lambda v: hessian_vector_product(f_grad, params, v), dtype=float)
        sharpness, direction = eigsh(H, k=1, which="LA")

    Raises:
        ValueError: if the shape of v is not that of params.
    """
    params, v = np.asarray(params, np.float64), np.asarray(v, np.float64)
    if v.shape != params.shape:
        raise ValueError(f"v has the shape {v.shape}; that of params, {params.shape}, expected")
    return np.imag(f_grad(params + 1j * STEP * v)) / STEP  # (55)
