"""Checks of a layer's arguments. Every message says what was given and what was expected."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .flat import DTYPES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


REAL, OBJECTS = "fiub", "fiubO"  # kinds of dtypes: real numbers; also objects, which may be numbers
WORDS = {"fiub": "real numbers", "fiubO": "real numbers", "fiubc": "numbers", "iu": "integers"}


class KindError(TypeError, ValueError):
    """An array does not hold what was expected; the message is one line."""


def as_array(name: str, given: Any, kinds: str | None = None) -> np.ndarray:
    """Return what a user has given as an array. Nothing is converted in silence: NumPy reads numbers from text and
    times, drops imaginary parts and masks, and makes NaN of None.

    Args:
        name: of the array, for the message. kinds: of the dtypes that are taken (``WORDS``), or None for all.

    Raises:
        KindError, a TypeError and ValueError: for a mask, another kind, or a whole number too large for float64.
    """
    if type(given) is not np.ndarray:
        parts = given if isinstance(given, (list, tuple)) else [given]
        if any(isinstance(part, np.ma.MaskedArray) for part in parts):
            raise KindError(f"{name} is a masked array; an array without a mask expected, such as {name}.filled(0)")
        given = np.asarray(given)
    if kinds is not None and given.dtype.kind not in kinds:
        words = (
            ". Complex data not supported" if given.dtype.kind == "c" else ""
        )  # the words that scikit-learn looks for
        raise KindError(f"{name} must hold {WORDS[kinds]}; {given.dtype} given{words}")
    if kinds == OBJECTS and given.dtype.kind == "O":
        try:
            given.astype(np.float64)
        except OverflowError:
            raise KindError(f"{name} holds a whole number that float64 cannot hold") from None
        except (TypeError, ValueError):  # no numbers: the caller says what it expects
            pass
    array: np.ndarray = given
    return array


def check_sizes(**sizes: Any) -> None:
    """Check that each size is an integer greater than zero.

    Raises:
        ValueError: for the first that is not.
    """
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{name} must be an integer greater than zero; {size!r} given")


def check_dtype(name: str, array: np.ndarray, dtype: np.dtype) -> None:
    """Check that an array has the dtype of the parameters; complex128 parameters also accept float64.

    A complex step needs the exception: its parameters are complex, its data real.

    Raises:
        TypeError: for another dtype; ``name`` is the name of the array.
    """
    if array.dtype != dtype and not (dtype == np.complex128 and array.dtype == np.float64):
        other = f" or layer.astype(np.{array.dtype})" if array.dtype in DTYPES else ""
        raise TypeError(
            f"{name} is {array.dtype} but the parameters are {dtype}: convert one, "
            f"{name.split()[0]}.astype(np.{dtype}){other}"
        )


def checked_lengths(given: ArrayLike | None, T: int, B: int) -> np.ndarray | None:
    """Return lengths as an array (B,) of integers from 0 to T, or None. The integers are signed, and wide enough for
    any index: in a smaller type differences and sums of lengths could overflow.

    Raises:
        ValueError: for another shape or dtype, or a length out of range.
    """
    if given is None:
        return None
    lengths = np.atleast_1d(as_array("lengths", given))
    if lengths.shape != (B,) or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be {B} integers, one for each sequence; {lengths.dtype} of shape {lengths.shape} given"
        )
    if lengths.min() < 0 or lengths.max() > T:
        raise ValueError(f"lengths must be from 0 to T = {T}; from {lengths.min()} to {lengths.max()} given")
    return lengths.astype(np.intp, copy=False)


def checked_indices(x: np.ndarray, size: int) -> np.ndarray:
    """Return x, integers that are the indices of one-hot vectors of ``size`` elements.

    Raises:
        ValueError: if one is out of range.
    """
    if not 0 <= x.min() <= x.max() < size:
        raise ValueError(
            f"x of integers, the indices of one-hot vectors, must be from 0 to {size - 1}; {x.min()} to {x.max()} given"
        )
    return x


def checked_checkpoint(k: int | str | None) -> int | str | None:
    """Return ``checkpoint_every``: a positive integer, ``"sqrt"`` or None.

    Raises:
        ValueError: for anything else.
    """
    if k is None or k == "sqrt":
        return k
    if isinstance(k, (int, np.integer)) and k > 0:
        return int(k)
    raise ValueError(f"checkpoint_every must be a positive integer, 'sqrt' or None; {k!r} given")


def outer_level() -> int:
    """Return the ``stacklevel`` of a warning that names the line outside npseq from which its caller was called."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("npseq."):
        frame, level = frame.f_back, level + 1
    return level
