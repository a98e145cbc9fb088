"""Missing values: found, filled and counted."""

import numpy as np

from .errors import DataError


def fill(table, how):
    """Fill the gaps of every column and count them."""
    table.filled = ~np.isfinite(table.values)
    if not table.filled.any():
        return
    if not table.values.flags.writeable:
        table.values = np.array(table.values)
    for k, name in enumerate(table.columns):
        count = fill_column(table.values[:, k], table.filled[:, k], how)
        if count is None:
            raise DataError(f"{table.name}: the column {name!r} has no number in it")
        if count:
            table.notes.append(
                f"{count:,} gaps in {name} filled "
                + ("with the value before" if how == "past" else "by linear interpolation")
            )


def fill_column(column, gap, how="linear"):
    """Fill ``column`` where ``gap`` says so, in place -> how many, or None where there is nothing to fill from."""
    at = np.flatnonzero(gap)
    if len(at) == len(column):
        return None
    if len(at):
        new = np.append(True, np.diff(at) > 1)  # the first cell of each gap
        run = np.cumsum(new) - 1
        before = (at[new] - 1)[run]
        after = (at[np.append(new[1:], True)] + 1)[run]
        before = np.where(before < 0, after, before)
        after = np.where(after == len(column), before, after)
        left, right = column[before], column[after]
        column[at] = left if how == "past" else left + (right - left) * ((at - before) / np.maximum(after - before, 1))
    return len(at)
