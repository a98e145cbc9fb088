"""Numerical derivatives: complex step and central differences."""

import numpy as np

STEP = 1e-30  # of the complex step: any h with h² below the rounding of f will do


def numerical_gradient(f, arrays, method="complex"):
    """The gradient of ``f()`` with respect to each of ``arrays``, element by element.

    Args:
        f: takes nothing, reads the arrays, returns a number.
        arrays: name -> array that f reads: complex128 for the complex step, float64 for central differences. Each
            element is changed in place and put back.
        method: ``"complex"`` or ``"central"``.

    Returns:
        name -> gradient, float64.
    """
    gradients = {}
    for name, array in arrays.items():
        gradients[name] = d = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            value = array[index]
            if method == "complex":
                array[index] = value + 1j * STEP
                moved = f()
                if not np.iscomplexobj(moved):
                    raise TypeError(
                        f"f gives a {type(moved).__name__} for complex {name}: an abs, a conjugate or a "
                        "float on its way has dropped the imaginary part; mend it, or take "
                        "method='central'"
                    )
                d[index] = moved.imag / STEP  # (52)
            else:
                h = np.cbrt(np.finfo(float).eps) * max(1.0, abs(value))  # balances rounding against the h² term
                array[index] = value + h
                above = f()
                array[index] = value - h
                d[index] = (above - f()) / (2 * h)  # (53)
            array[index] = value
    return gradients


def hessian_vector_product(f_grad, params, v):
    """H v = Im f_grad(params + i h v) / h: the complex step through the hand-written backward, exact to rounding.

    Args:
        f_grad: ``f_grad(params)`` -> the gradient, one flat vector; it is given complex128.
        params: flat vector of real numbers.
        v: a direction of the same size.

    Returns:
        H v, float64. It costs about what one gradient in complex numbers costs; H is never formed.

    The sharpest direction of the loss, by SciPy's Lanczos iteration::

        from scipy.sparse.linalg import LinearOperator, eigsh
        n = params.size
        H = LinearOperator((n, n), lambda v: hessian_vector_product(f_grad, params, v), dtype=float)
        sharpness, direction = eigsh(H, k=1, which="LA")

    Raises:
        ValueError: if v has another shape than params.
    """
    params, v = np.asarray(params, np.float64), np.asarray(v, np.float64)
    if v.shape != params.shape:
        raise ValueError(f"v has the shape {v.shape}; that of params, {params.shape}, expected")
    return np.imag(f_grad(params + 1j * STEP * v)) / STEP  # (55)
