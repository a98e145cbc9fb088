"""Missing values: found, filled and counted."""

from __future__ import annotations

import numpy as np

FIRST = 1000  # values by which most columns are decided


def fill_column(column: np.ndarray, missing: np.ndarray, how: str = "linear") -> int | None:
    """Fill ``column`` (n,) in place where ``missing`` (n,) is True.

    Returns:
        The number of values filled, or None if all are missing.
    """
    at = np.flatnonzero(missing)
    if len(at) == len(column):
        return None
    if len(at):
        new = np.append(True, np.diff(at) > 1)  # the first of each run of missing values
        run = np.cumsum(new) - 1
        before = (at[new] - 1)[run]
        after = (at[np.append(new[1:], True)] + 1)[run]
        before = np.where(before < 0, after, before)
        after = np.where(after == len(column), before, after)
        left, right = column[before], column[after]
        column[at] = left if how == "past" else left + (right - left) * ((at - before) / np.maximum(after - before, 1))
    return len(at)


def stands_apart(column: np.ndarray) -> tuple[float, int] | None:
    """Return a value such as −9999 that marks missing values, and how often it occurs; None if there is none.

    It is the least or the greatest value, occurs at least twice, and lies further from the others than they spread.
    """
    for extreme in (np.fmin.reduce(column), np.fmax.reduce(column)):
        count, others = np.count_nonzero(column == extreme), _others(column[:FIRST], extreme)
        if not 2 <= count <= len(column) // 2 or len(others) and not _is_far(extreme, others):
            continue
        others = _others(column, extreme)
        if len(np.unique(others[:FIRST])) >= 5 and _is_far(extreme, others):
            return float(extreme), int(count)
    return None


def _others(column: np.ndarray, extreme: float) -> np.ndarray:
    others: np.ndarray = column[np.isfinite(column) & (column != extreme)]
    return others


def _is_far(extreme: float, others: np.ndarray) -> bool:
    """True if a value lies further from the others than they spread; if not, the same holds with more of them."""
    low, high = others.min(), others.max()
    return bool(max(low - extreme, extreme - high) > high - low)
