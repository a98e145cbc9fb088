"""Validate the number of steps and the coverage of intervals."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from ..data.errors import DataError


def whole(name: str, value: Any) -> int:
    """Return ``value``, a whole number from 1, as an int.

    Raises:
        DataError: for any other value, with ``name``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise DataError(f"{name} {value!r} given; a whole number from 1 expected")
    return int(value)


def steps_of(value: Any) -> int | None:
    """Return a number of steps as an int, or None. Raises DataError as ``whole``."""
    return None if value is None else whole("steps", value)


def coverage_of(value: Any) -> float:
    """Return the coverage of an interval, a number between 0 and 1.

    Raises:
        DataError: for any other value.
    """
    coverage = float(value) if isinstance(value, Real) else 0.0
    if not 0 < coverage < 1:
        raise DataError(f"an interval of {value!r} asked for; a coverage between 0 and 1 expected, such as 0.9")
    return coverage


def coverages_of(value: Any) -> tuple[float, ...]:
    """Return the coverages of intervals: of one number, of several, or of None. Raises DataError as ``coverage_of``."""
    if value is None:
        return ()
    return tuple(dict.fromkeys(map(coverage_of, value))) if np.ndim(value) else (coverage_of(value),)
