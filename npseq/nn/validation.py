"""Checks of what a layer is given."""

import numpy as np

from .module import DTYPES


def check_sizes(**sizes):
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{name} must be an integer greater than zero; {size!r} given")


def check_dtype(name, array, dtype):
    """Same dtype, except that complex128 parameters also take float64: that is what a complex step needs."""
    if array.dtype != dtype and not (dtype == np.complex128 and array.dtype == np.float64):
        other = f" or layer.astype(np.{array.dtype})" if array.dtype in DTYPES else ""
        raise TypeError(
            f"{name} is {array.dtype} but the parameters are {dtype}: convert one, "
            f"{name.split()[0]}.astype(np.{dtype}){other}"
        )


def checked_lengths(lengths, T, B):
    if lengths is None:
        return None
    lengths = np.atleast_1d(np.asarray(lengths))
    if lengths.shape != (B,) or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be {B} integers, one for each sequence; {lengths.dtype} of shape {lengths.shape} given"
        )
    if lengths.min() < 0 or lengths.max() > T:
        raise ValueError(f"lengths must be from 0 to T = {T}; from {lengths.min()} to {lengths.max()} given")
    return lengths


def checked_indices(x, size):
    """Return x, integers that are the indices of one-hot vectors. Raises ValueError for none, or one out of range."""
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"x must have at least one time step and one sequence; x of shape {x.shape} given")
    if not 0 <= x.min() <= x.max() < size:
        raise ValueError(
            f"x of integers, the indices of one-hot vectors, must be from 0 to {size - 1}; {x.min()} to {x.max()} given"
        )
    return x


def checked_checkpoint(k):
    if k is None or k == "sqrt" or isinstance(k, (int, np.integer)) and k > 0:
        return k
    raise ValueError(f"checkpoint_every must be a positive integer, 'sqrt' or None; {k!r} given")
