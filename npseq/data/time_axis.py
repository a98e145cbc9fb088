"""Rows in time order, one calendar step apart: seconds, weekdays, or months."""

from __future__ import annotations

from collections import Counter

import numpy as np

from .errors import DataError
from .grid import DAY, MONTH, SECOND, WEEK, Grid
from .table import Table

MOST_ROWS = 1.25  # if inserting the missing times would make the table longer than this factor, times are irregular
JITTER = 0.1  # of a step: times that are off by less are moved onto the step
CHUNK = 1 << 20  # rows processed at a time, to avoid a second copy of a long table
NICE = (1, 2, 5, 10, 15, 20, 30, *(60 * k for k in (1, 2, 5, 10, 15, 20, 30)), *(3600 * k for k in (1, 2, 3, 4, 6, 12)),
        DAY, WEEK)  # fmt: skip


def find_grid(times: np.ndarray) -> tuple[Grid | None, np.ndarray | None]:
    """Return the grid of increasing times, and (n,) its steps where a time is off the grid by jitter, else None.

    Without equal steps, or where most of them are missing, the grid is None.
    """
    n, whole = len(times), np.datetime_data(times.dtype)[0] == "s"
    steps = step_counts(times)
    usual = steps.most_common(1)[0][0]
    if whole and usual >= 27 * DAY and n > 2 and (grid := _months(times)) is not None:
        k = grid.index(times)
        off = np.abs(times - grid.at(k)).max()
        if (np.diff(k) > 0).all() and k[-1] + 1 < MOST_ROWS * n and off < 28 * DAY * grid.months * JITTER * SECOND:
            return grid, k if off else None
    if whole and len(steps) > 1 and usual < WEEK and all(step % DAY == 0 for step in steps):
        day = (times.astype("M8[D]").astype(np.int64) + 3) % 7
        week = "".join("01"[number in set(day[:1000].tolist())] for number in range(7))
        grid = Grid(times[0], week=week)
        if "0" in week and (times[-1] - times[0]) >= 2 * WEEK * SECOND and np.isin(day, np.unique(day[:1000])).all():
            if grid.index(times[-1:])[0] + 1 < MOST_ROWS * n:
                return grid, None
    if whole and all(step % usual == 0 for step in steps):
        grid = Grid(times[0], step=usual)
        return (grid if grid.index(times[-1:])[0] + 1 < MOST_ROWS * n else None), None
    return _jitter(times)


def _months(times: np.ndarray) -> Grid | None:
    """The grid of times that lie at the same place of each month, seen from its start or from its end; None without."""
    month = times.astype("M8[M]")
    count = Counter(np.diff(month).astype(np.int64).tolist()).most_common(1)[0][0]
    if count < 1:
        return None
    into, left = times - month.astype("M8[s]"), (month + MONTH).astype("M8[s]") - times
    middle = [np.sort(place)[len(times) // 2 if k else (len(times) - 1) // 2] for k, place in enumerate((into, left))]
    starts = (
        month[0].astype("M8[s]") + max(middle[0], into.max() * (into.max() >= 28 * DAY * SECOND)),
        (month[0] + MONTH).astype("M8[s]") - middle[1],
    )
    grids = [Grid(start, months=count, end=end) for end, start in zip((False, True), starts)]
    return min(grids, key=lambda grid: (np.abs(times - grid.at(grid.index(times))).max(), grid.name is None))


def _jitter(times: np.ndarray) -> tuple[Grid | None, np.ndarray | None]:
    """The grid from which all times are off by less than a tenth of a step, and their steps; None, None without."""
    times = times.astype("M8[us]")
    usual = float(np.median(np.diff(times).astype(np.int64))) / 1e6
    step = min(NICE, key=lambda nice: abs(np.log(max(usual, 1e-6) / nice)))
    phase = (times - times[0]).astype(np.int64) / (step * 1e6)
    k = np.rint(phase).astype(np.int64)
    off = phase - k
    if (
        abs(usual / step - 1) > JITTER
        or np.ptp(off) >= 2 * JITTER
        or (np.diff(k) < 1).any()
        or k[-1] + 1 >= MOST_ROWS * len(k)
    ):
        return None, None
    start = times[0] + np.timedelta64(round(float(np.median(off)) * step * 1e6), "us")
    unit = next(
        size
        for size in (step, 60, 1)
        if abs((float(start.astype(np.int64)) / 1e6 / size + 0.5) % 1 - 0.5) * size <= JITTER * step
    )
    grid = Grid(np.datetime64(round(float(start.astype(np.int64)) / 1e6 / unit) * unit, "s"), step=step)
    return (
        (grid, k)
        if (np.abs(times - grid.at(k)).max() < np.timedelta64(round(step * JITTER * 1e6), "us"))
        else (None, None)
    )


def step_counts(times: np.ndarray) -> Counter[int]:
    """Return how often each difference between neighbours occurs, in the unit of the times."""
    counts: Counter[int] = Counter()
    for start in range(0, len(times) - 1, CHUNK):
        steps, count = np.unique(np.diff(times[start : start + CHUNK + 1]).astype(np.int64), return_counts=True)
        counts.update(dict(zip(steps.tolist(), count.tolist())))
    return counts


def put_in_time_order(table: Table, times: np.ndarray) -> None:
    """Sort the rows of ``table``, keep one for each time and insert an empty one for each missing time; add notes."""
    times = _whole_seconds(times)
    steps = step_counts(times)
    if min(steps, default=0) < 0:
        order = np.argsort(times, kind="stable")
        times, table.values = times[order], table.values[order]
        table.notes.append("rows were not in time order: sorted")
        steps = step_counts(times)
    if repeats := steps.pop(0, 0):
        if 2 * repeats >= len(times) > 9:
            raise DataError(
                f"{table.name}: its {len(times):,} rows have only {len(times) - repeats:,} different times; if the hour is "
                "in another column say so with --time DATE,HOUR; if these are several series, with --sequence COLUMN and "
                "--label COLUMN, or keep one of them"
            )
        first = np.append(True, times[1:] > times[:-1])
        times, table.values = times[first], table.values[first]
        table.notes.append(f"{repeats:,} rows have a duplicate time; the first of each was kept")
    if not steps:
        return
    grid, k = find_grid(times)
    if grid is None:
        _keep_irregular(table, times, steps)
        return
    if k is not None:
        table.notes.append(
            f"times off the step by less than a tenth of it: moved to {grid.at(k[:1])[0]}, {grid.at(k[1:2])[0]}, …"
        )
    table.grid = grid
    if grid.step:
        table.start, table.step = grid.start, grid.step
    n = int(grid.index(times[-1:])[0] if k is None else k[-1]) + 1
    if missing := n - len(times):
        table.notes.append(f"{missing:,} times are missing; an empty row was inserted for each")
        whole = np.full((n, table.values.shape[1]), np.nan)
        whole[grid.index(times) if k is None else k] = table.values
        table.values = whole
    if not grid.step:
        table.irregular = grid.at(np.arange(n))
        table.step = DAY if grid.week else None


def _whole_seconds(times: np.ndarray) -> np.ndarray:
    """The times in seconds if none has a fraction; in place if they are microseconds."""
    if times.dtype != np.dtype("M8[us]"):
        return times.astype("M8[s]")
    ticks, million = times.view(np.int64), np.int64(10**6)
    if any((ticks[start : start + CHUNK] % million).any() for start in range(0, len(ticks), CHUNK)):
        return times
    ticks //= million
    return ticks.view("M8[s]")


def _keep_irregular(table: Table, times: np.ndarray, steps: Counter[int]) -> None:
    if times.dtype != np.dtype("M8[s]"):
        table.notes.append("the times have fractions of a second: rows are taken as they follow each other")
        return
    usual, count = steps.most_common(1)[0]
    table.irregular, table.step = times, usual
    table.notes.append(
        f"irregular times: {sum(steps.values()) - count:,} of {sum(steps.values()):,} steps are not the usual {usual:,} s; "
        "the rows are taken as they follow each other"
    )
