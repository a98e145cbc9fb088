"""Panels from what a source holds: long tables, wide tables, arrays of different lengths; and many generated series.

long       a row for each time of each series, with the name of the series in a column: unique_id, ds, y
wide       a column for each series, a row for each time
wide rows  a row for each series, its name first, a column for each time; empty cells at the end are cut
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..formats.messages import Message, argument
from . import roles
from .content import FIELD_TARGETS, FIELD_TIMES, Content
from .errors import DataError, listed
from .grid import DAY, Grid, Numbers
from .missing import fill_column
from .panel import Panel, joined, summed
from .table import NEVER, Table
from .time_axis import find_grid, put_in_time_order, whole_seconds

SURE = 10  # rows from which on equal steps are the frequency of a series
GAPS = 4  # steps for each row of a series, at most
REPEATED = 0.02  # of the rows at times that their series has already: these are several series

Steps = Grid | Numbers | None


def names_of(content: Content) -> tuple[np.ndarray, list[str]]:
    """Return the series (n,) of each row, −1 for none, and the names of the series in the order of their first rows."""
    labels = list(content.labels.values())
    codes, names = labels[0]
    codes = codes.astype(np.int32, copy=False)
    for more, others in labels[1:]:
        both = np.where((codes < 0) | (more < 0), -1, codes.astype(np.int64) * len(others) + more)
        there, codes = np.unique(both, return_inverse=True)
        names = ["" if one < 0 else f"{names[one // len(others)]}/{others[one % len(others)]}" for one in there]
        codes = codes.astype(np.int32)
        if len(there) and there[0] < 0:
            codes, names = codes - 1, names[1:]
    return codes, names


def whole_times(content: Content, codes: np.ndarray, time: str | None) -> tuple[str | None, np.ndarray | None]:
    """Return the column of whole numbers that are the times, and these (n,) as seconds; (None, None) without one.

    It is ``time``, ds or timestamp, or else the first one that rises within every series, mostly by equal steps.
    """
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    named = [name for name in content.columns if name == time or time is None and name in FIELD_TIMES]
    for name in (named or content.columns) if len(content.columns) > 1 else []:
        column = content.values[:, content.columns.index(name)]
        if np.isnan(column).any() or (column % 1 != 0).any() or np.abs(column).max() > 2**53:
            continue
        steps = np.diff(column[order])[same]
        if named or len(steps) and (steps > 0).all() and (steps == np.median(steps)).mean() >= roles.USUAL:
            return name, column.astype(np.int64).view("M8[s]")
    return None, None


def of_long(content: Content, name: str, how: str, time: str | None) -> Panel:
    """Return the panel of a long table.

    Raises:
        DataError: for series of different frequencies, or times that occur twice in a series.
    """
    codes, ids = names_of(content)
    values, columns, times, which = content.values, list(content.columns), content.times, None
    if times is None:
        which, times = whole_times(content, codes, time)
        if which is not None:
            k = columns.index(which)
            values, columns = np.delete(values, k, axis=1), columns[:k] + columns[k + 1 :]
    else:
        times = whole_seconds(times)
    about = Table(name, values[:0], columns, refused=content.refused, notes=list(content.notes))
    about.all_columns = [one for one in content.all_columns if one != which or one in columns]
    about.kinds = dict.fromkeys(about.all_columns, "text") | dict.fromkeys(content.time, "time")
    for k, one in enumerate(columns):
        about.kinds[one] = roles.kind_of_column(one, values[:, k], times, roles.first_in_time(times, len(values)))
    about.kinds |= dict.fromkeys(content.labels, "series")
    put_target_first(about)
    if lost := np.count_nonzero(codes < 0):
        about.notes.append(f"{lost:,} rows name no series: left out")
    order = np.lexsort((codes,) if times is None else (times, codes))
    ends = lost + np.cumsum(np.bincount(codes[codes >= 0], minlength=len(ids)))
    as_it_is = bool((order[1:] > order[:-1]).all())  # then the series are views
    picks = [slice(a, b) if as_it_is else order[a:b] for a, b in zip([lost, *ends[:-1]], ends)]
    tables = [Table(one, values[rows], columns, ids=[one]) for one, rows in zip(ids, picks)]
    every = None if times is None else [times[rows] for rows in picks]
    del codes, order, picks, values, times, content
    if every is None:
        return finished(about, tables, [None] * len(tables), None, how)
    for table, own, grid in zip(tables, every, common_steps(name, ids, every)):
        put_in_time_order(table, own, (grid,))
    if which is None:
        irregular = [np.empty(0, "M8[s]") if one.times is None else one.times for one in tables]
        return finished(about, tables, [one.grid for one in tables], irregular, how)
    return finished(about, tables, [_numbers(one, own[-1]) for one, own in zip(tables, every)], None, how)


def _numbers(table: Table, last: np.datetime64) -> Numbers:
    """The whole numbers that are the times of a series, read as seconds; without equal steps they count up to the last."""
    if table.grid is None:
        return Numbers(int(last.astype(np.int64)) - len(table.values) + 1)
    return Numbers(int(table.grid.start.astype(np.int64)), table.grid.step or 1)


def put_target_first(table: Table) -> None:
    """Make the target of the forms of Nixtla and GluonTS the first column that can be forecast."""
    if target := next((one for one in table.columns if one in FIELD_TARGETS), None):
        table.kinds[target] = "measurement"
        table.all_columns = sorted(table.all_columns, key=lambda one: one != target)


def common_steps(name: str, ids: Sequence[str], every: Sequence[np.ndarray]) -> list[Grid | None]:
    """Return the grid of each series, None where its times are irregular.

    Args:
        every: the times (n_k,) of each series, in order.

    Raises:
        DataError: for two series of different frequencies, by name, or if too many times occur twice in a series.
    """
    single = [times[np.append(True, times[1:] != times[:-1])] for times in every]
    repeats = [len(times) - len(own) for times, own in zip(every, single)]
    if sum(repeats) > REPEATED * sum(map(len, every)):
        worst = ids[int(np.argmax(repeats))]
        raise DataError(
            f"{name}: {sum(repeats):,} rows have a time that their series already has (most in {worst}): another column "
            f"tells series apart; name both with {argument('id', 'A,B')}"
        )
    own = [find_grid(times)[0] if len(times) > 1 else None for times in single]
    keys = [None if grid is None else (grid.step, grid.months, grid.week) for grid in own]
    rows: Counter[Any] = Counter()
    for key, times in zip(keys, single):
        rows[key] += len(times) * (len(times) > 2)
    usual = rows.most_common(1)[0][0]
    if usual is None or not rows[usual]:
        return own if rows[usual] else [None] * len(own)
    first = keys.index(usual)
    model = own[first]
    assert model is not None
    for k, times in enumerate(single):
        if keys[k] == usual:
            continue
        grid, mine = replace(model, start=times[0].astype("M8[s]")), own[k]
        steps = grid.index(times)
        fits = (np.diff(steps) > 0).all() and grid.holds(times, steps).all() and steps[-1] < GAPS * len(times)
        if mine is not None and len(times) > 2:
            weekdays = bool(mine.week) and model.step == DAY
            if not (fits and (len(times) < SURE or weekdays)):
                raise DataError(
                    f"{name}: mixed frequencies: the rows of {ids[first]} are {spoken(model)} apart, those of {ids[k]} "
                    f"{spoken(mine)}; one frequency expected: keep the series of one, or bring them to one"
                )
        own[k] = grid if fits else None
    return own


def spoken(grid: Grid) -> str:
    """Return the step of a grid in words."""
    if grid.months:
        return f"{grid.months} month{'s' * (grid.months > 1)}"
    if grid.week or grid.step is None:
        return "weekdays"
    size, unit = next(
        one for one in ((DAY, "day"), (3600, "hour"), (60, "minute"), (1, "second")) if grid.step % one[0] == 0
    )
    return f"{grid.step // size} {unit}{'s' * (grid.step > size)}"


def finished(
    about: Table, tables: list[Table], grids: Sequence[Steps], times: list[np.ndarray] | None, how: str
) -> Panel:
    """Return the panel of these series, end to end: series without a number are left out, missing values filled, and
    what is special about a series told.

    Args:
        about: what is said of all of them. times: of each, needed where they are irregular. how: as ``missing.fill``.
    """
    targets = [k for k, one in enumerate(about.columns) if one in FIELD_TARGETS][:1] or list(range(len(about.columns)))
    there = [len(one.values) > 0 and not np.isnan(one.values[:, targets]).all() for one in tables]
    notes = [(one.ids[0], note) for one in tables for note in one.notes]
    if empty := [one.ids[0] for one, kept in zip(tables, there) if not kept]:
        about.notes.append(f"left out, as they have no number: {told_series(empty)}")
    tables = [one for one, kept in zip(tables, there) if kept]
    grids = [one for one, kept in zip(grids, there) if kept]
    if not tables:
        raise DataError(f"{about.name}: no series has a number in it")
    times = [one for one, kept in zip(times or [], there) if kept]
    steps = Counter(one.step for one in tables)
    like = Panel(about.name, [], np.empty((0, 0)), about.columns, np.zeros(1, int), [], step=steps.most_common(1)[0][0],
                 all_columns=about.all_columns or about.columns, refused=about.refused, notes=about.notes,
                 kinds=about.kinds or dict.fromkeys(about.columns, "measurement"))  # fmt: skip
    panel = joined(like, tables, grids, times, summed(notes))
    panel.filled = np.isnan(panel.values)
    fill_gaps(panel, how)
    least, most = panel.lengths.min(), panel.lengths.max()
    panel.notes.append(f"{len(panel):,} series of {least:,}{f' to {most:,}' * bool(most > least)} rows")
    first, single = panel.starts[:-1], panel.lengths == 1
    same = np.maximum.reduceat(panel.values, first) == np.minimum.reduceat(panel.values, first)
    for k in np.flatnonzero(same.all(axis=0)):  # such as the size of a shop
        panel.kinds[panel.columns[k]] = "constant"
    if all(panel.kinds.get(one) == "constant" for one in panel.columns):
        panel.kinds[panel.columns[targets[0]]] = "measurement"
    same = same[:, next((k for k in targets if panel.kinds.get(panel.columns[k]) not in NEVER), targets[0])]
    for which, what in ((single, "have a single row"), (same & ~single, "do not change")):
        if which.any():
            panel.notes.append(f"{np.count_nonzero(which):,} series {what}: {told_series(np.array(panel.ids)[which])}")
    return panel


def fill_gaps(panel: Panel, how: str) -> None:
    """Fill the missing values of each series, in place, and count them. A column without a number in a series is 0 there."""
    assert panel.filled is not None
    for c, name in enumerate(panel.columns):
        gaps = np.add.reduceat(panel.filled[:, c], panel.starts[:-1], dtype=np.int64)
        for k in np.flatnonzero(gaps):
            rows = panel.rows(int(k))
            if fill_column(panel.values[rows, c], panel.filled[rows, c], how) is None:
                panel.values[rows, c] = 0.0
        if gaps.any():
            way = "from the values before them" if how == "past" else "by linear interpolation"
            panel.notes.append(f"{gaps.sum():,} gaps in {name} of {np.count_nonzero(gaps):,} series filled {way}")


def active(panel: Panel, only: bool | None) -> Panel:
    """Return the panel, with ``only`` without the series that have stopped; these are told."""
    stopped = panel.stopped()
    if not stopped.any():
        return panel
    names = (
        f"{np.count_nonzero(stopped):,} series end well before the others: {told_series(np.array(panel.ids)[stopped])}"
    )
    if only:
        panel = panel.take(np.flatnonzero(~stopped))
    note = f"{names}; left out" if only else f"{names}; {argument('active', True)} leaves them out"
    return replace(panel, notes=[*panel.notes, Message(note)])


def told_series(names: Sequence[str] | np.ndarray, most: int = 5) -> str:
    """Return the first of many names, and how many more there are."""
    return ", ".join(names[:most]) + f" and {len(names) - most:,} more" * (len(names) > most)


def of_columns(table: Table, how: str) -> Panel:
    """Return the panel of a wide table that is in time order: a series for each column but those that count the rows.

    Whole numbers in equal steps, in a column that counts, are the times if there are no others.
    """
    counters = [one for one in table.columns if table.kinds.get(one) in {*NEVER} - {"constant"}]
    grid: Steps = table.grid
    if table.times is None:
        columns = [table.values[:, table.columns.index(one)] for one in counters]
        grid = next((numbers for column in columns if (numbers := Numbers.of(column))), Numbers(1))
    series = {one: table.values[:, k] for k, one in enumerate(table.columns) if one not in counters}
    if not series:
        raise DataError(f"{table.name}: no column is a series: {listed(counters)} count the rows")
    return of_arrays(table.name, series, how, [grid] * len(series), list(table.notes), table.times)


def of_rows(content: Content, name: str, how: str) -> Panel:
    """Return the panel of a table with a row for each series, its name first. The other columns are in time order; if all
    of their names are times, these are those of the rows.

    Raises:
        DataError: for two rows with one name.
    """
    codes, ids = names_of(content)
    if len(ids) < len(codes):
        k = int(np.bincount(codes[codes >= 0]).argmax()) if (codes >= 0).all() else -1
        raise DataError(
            f"{name}: {'a row has no name' if k < 0 else f'two rows are named {ids[k]!r}'}; one for each expected"
        )
    if content.refused:
        raise DataError(next(iter(content.refused.values())))
    times = _times_in_names(content, name)
    grid: Steps = Numbers(1) if times is None else find_grid(times)[0]
    return of_arrays(name, dict(zip(ids, content.values)), how, [grid] * len(ids), list(content.notes), times)


def _times_in_names(content: Content, name: str) -> np.ndarray | None:
    """The times (n,) datetime64[s] that are the names of the columns; None if some are no times, or not in order."""
    if len(roles.times_in_names(content)) < max(len(content.columns), 2):
        return None
    import pandas as pd

    from .dates import TimeReader

    reader = TimeReader(name, "the names of the columns")
    if reader.add(pd.Series(content.columns, dtype=object)) is not None:
        return None
    times = whole_seconds(reader.done()[0])
    return times if (np.diff(times) > np.timedelta64(0, "s")).all() else None


def of_arrays(
    name: str,
    series: Mapping[Any, Any],
    how: str,
    grids: Sequence[Steps],
    notes: list[str] | None = None,
    times: np.ndarray | None = None,
) -> Panel:
    """Return the panel of arrays (n_k,), or (n_k, C), by the names of the series; missing values at their two ends are cut.

    Args:
        grids: of the rows of each. times: those of the rows of all, where a grid is None.

    Raises:
        DataError: for an array of another shape, or that holds no numbers.
    """
    tables, shifted, kept = [], [], []
    width = 0
    for (one, array), grid in zip(series.items(), grids):
        values = np.asarray(array)
        if values.dtype.kind not in "fiub" or values.ndim not in (1, 2):
            raise DataError(
                f"{name}: the series {one} is {values.dtype} of shape {values.shape}; numbers (rows,) expected"
            )
        values = values.reshape(len(values), -1).astype(float)
        width = width or values.shape[1]
        if values.shape[1] != width:
            raise DataError(
                f"{name}: the series {one} has {values.shape[1]} columns; {width} expected, as in the others"
            )
        there = np.flatnonzero(~np.isnan(values).all(axis=1))
        a, b = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)
        if isinstance(grid, Numbers):
            grid = Numbers(grid.first + a * grid.step, grid.step)
        elif grid is not None:
            grid = replace(grid, start=grid.at(np.array([a]))[0])
        columns = [FIELD_TARGETS[0], *(f"x{k}" for k in range(1, width))]
        tables.append(Table(name, values[a:b], columns, ids=[str(one)]))
        tables[-1].step = grid.step if isinstance(grid, Grid) else None
        shifted.append(grid)
        kept.append(np.empty(0) if times is None else times[a:b])
    if not tables:
        raise DataError(f"{name} holds no series")
    about = Table(name, np.empty((0, width)), tables[0].columns, notes=list(notes or []))
    return finished(about, tables, shifted, None if times is None else kept, how)
