"""Rows in time order, one calendar step apart: seconds, weekdays, or months."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..formats.messages import argument
from .errors import DataError
from .grid import DAY, JITTER, MONTH, MOST_ROWS, SECOND, WEEK, WEEKDAYS, Grid
from .table import Table

CHUNK = 1 << 20  # rows processed at a time, to avoid a second copy of a long table
NICE = (1, 2, 5, 10, 15, 20, 30, *(60 * k for k in (1, 2, 5, 10, 15, 20, 30)), *(3600 * k for k in (1, 2, 3, 4, 6, 12)),
        DAY, WEEK)  # fmt: skip


def find_grid(times: np.ndarray) -> tuple[Grid | None, np.ndarray | None]:
    """Return the grid of increasing times, which are off it by less than ``JITTER``, and the step (n,) of each.

    The steps are None if they are 0, 1, 2, …; the grid is None for a single time, without equal steps,
    or if too many of them are missing.
    """
    steps, whole = step_counts(times), np.datetime_data(times.dtype)[0] == "s"
    if not steps:
        return None, None
    usual, grids = steps.most_common(1)[0][0], []
    if whole and len(steps) == 1 and usual < 27 * DAY:
        return Grid(times[0], step=usual), None
    if whole and usual >= 27 * DAY and len(times) > 2:
        grids += _months(times)
    if whole and len(steps) > 1 and usual < WEEK and all(step % DAY == 0 for step in steps):
        count = np.bincount((times.astype("M8[D]").astype(np.int64) + 3) % 7, minlength=7)
        week = "".join("1" if 4 * one >= count.max() else "0" for one in count)
        if "0" in week and times[-1] - times[0] >= 2 * WEEK * SECOND:
            grids.append(Grid(times[0], week=week))
    if whole and all(step % usual == 0 for step in steps):
        grids.append(Grid(times[0], step=usual))
    else:
        grids.append(_round_step(times))
    for grid in grids:
        k = grid.index(times)
        if (np.diff(k) > 0).all() and k[-1] + 1 < MOST_ROWS * len(times) and grid.holds(times, k).all():
            return grid, k
    return None, None


def _months(times: np.ndarray) -> list[Grid]:
    """The grids of times at one place of each month, seen from its start or its end, or on its first or last weekday;
    the closest first."""
    month = times.astype("M8[M]")
    count = max(1, step_counts(month).most_common(1)[0][0])
    into, left = np.sort(times - month.astype("M8[s]")), np.sort((month + MONTH).astype("M8[s]") - times)
    middle = into[-1] if into[-1] >= 28 * DAY * SECOND else into[(len(times) - 1) // 2]
    starts = month[0].astype("M8[s]") + middle, (month[0] + MONTH).astype("M8[s]") - left[len(times) // 2]
    grids = [Grid(starts[end], None, count, end, week) for week in ("", WEEKDAYS) for end in (False, True)]
    return sorted(grids, key=lambda grid: (np.abs(times - grid.at(grid.index(times))).max(), grid.name is None))


def _round_step(times: np.ndarray) -> Grid:
    """The grid of a round number of seconds, minutes, hours or days that is closest to the times."""
    usual = float(np.median(np.diff(times).astype("m8[us]").astype(np.int64))) / 1e6
    step = min(NICE, key=lambda nice: abs(np.log(max(usual, 1e-6) / nice)))
    phase = (times - times[0]) / (step * SECOND)
    start = times[0].astype("M8[us]").astype(np.int64) / 1e6 + float(np.median(phase - np.rint(phase))) * step
    unit = next(size for size in (step, 60, 1) if abs((start / size + 0.5) % 1 - 0.5) * size <= JITTER * step)
    return Grid(np.datetime64(round(start / unit) * unit, "s"), step=step)


def step_counts(times: np.ndarray) -> Counter[int]:
    """Return how often each difference between neighbours occurs, in the unit of the times."""
    counts: Counter[int] = Counter()
    for start in range(0, len(times) - 1, CHUNK):
        steps, count = np.unique(np.diff(times[start : start + CHUNK + 1]).astype(np.int64), return_counts=True)
        counts.update(dict(zip(steps.tolist(), count.tolist())))
    return counts


def put_in_time_order(table: Table, times: np.ndarray, known: tuple[Grid | None] | None = None) -> None:
    """Sort the rows of ``table``, keep one for each time and insert an empty one for each missing time; add notes.

    Args:
        known: the grid of the times, or None in it for irregular times, if that is decided.
    """
    times = whole_seconds(times)
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        times, table.values = times[order], table.values[order]
        table.notes.append("rows were not in time order: sorted")
    first = np.append(True, times[1:] > times[:-1])
    if repeats := len(times) - np.count_nonzero(first):
        if 2 * repeats >= len(times) > 9:
            raise DataError(
                f"{table.name}: its {len(times):,} rows have only {len(times) - repeats:,} different times; if the hour is "
                f"in another column say so with {argument('time', 'DATE,HOUR')}; if these are several series, with "
                f"{argument('sequence', 'COLUMN')} and {argument('label', 'COLUMN')}, or keep one of them"
            )
        times, table.values = times[first], table.values[first]
        table.notes.append(f"{repeats:,} rows have a duplicate time; the first of each was kept")
    if len(times) < 2 and known in (None, (None,)):
        table.irregular = times if known and times.dtype == np.dtype("M8[s]") else None
        return
    grid, k = find_grid(times) if known is None else (known[0], None)
    if grid is None:
        _keep_irregular(table, times)
        return
    k = grid.index(times) if known else k
    n = len(times) if k is None else int(k[-1]) + 1
    if k is not None and ((there := grid.at(k)) != times).any():
        table.notes.append(
            f"times off the step by less than a tenth of it: moved to {', '.join(map(str, there[:2]))}, …"
        )
    if missing := n - len(times):
        table.notes.append(f"{missing:,} times are missing; an empty row was inserted for each")
        values, table.values = table.values, np.full((n, table.values.shape[1]), np.nan)
        table.values[k] = values
    table.grid = grid
    if grid.step:
        table.start, table.step = grid.start, grid.step
    else:
        table.irregular = grid.at(np.arange(n))
        table.step = None if grid.months else DAY


def whole_seconds(times: np.ndarray) -> np.ndarray:
    """Return the times in seconds if none has a fraction; in place if they are microseconds."""
    if times.dtype != np.dtype("M8[us]"):
        return times.astype("M8[s]")
    ticks, million = times.view(np.int64), np.int64(10**6)
    if any((ticks[start : start + CHUNK] % million).any() for start in range(0, len(ticks), CHUNK)):
        return times
    ticks //= million
    return ticks.view("M8[s]")


def _keep_irregular(table: Table, times: np.ndarray) -> None:
    if times.dtype != np.dtype("M8[s]"):
        table.notes.append("the times have fractions of a second: rows are taken as they follow each other")
        return
    table.step, count = step_counts(times).most_common(1)[0]
    table.irregular, n = times, len(times) - 1
    table.notes.append(
        f"irregular times: {n - count:,} of {n:,} steps are not the usual {table.step:,} s; "
        "the rows are taken as they follow each other, and those after the end dated as the last day's, a day later"
    )
