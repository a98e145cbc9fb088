"""``npseq predict`` of forecasters: a line for each forecast value, with its interval, and the picture."""

from __future__ import annotations

import argparse

import numpy as np

from .. import data
from ..data.table import Table
from ..forecast.calendar_slots import row_times
from ..forecast.ensemble import Ensemble
from ..formats.messages import marked
from . import data_options, output, plots, progress, trained_files

BEFORE = 168  # rows of data before the first of --steps, in the picture


def write_forecast(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Write a line for each forecast value: its time (or row), how many rows ahead it is, the values, the interval.

    Returns:
        lines to print.
    """
    options = data_options.table_options(args)
    table = data.load(args.data, args.time, "past", progress.reading(), options)  # nothing may look ahead
    forecaster = Ensemble(members, table, args.interval, in_use=True)
    windows = forecaster.windows[0]
    rows, ahead, values, low, high, after = forecaster.predict(args.steps, progress.bar("forecasting"))
    lines = [f"{table.name}: {marked(note)}" for note in table.notes] + outside(forecaster)
    if args.whole:
        values, low, high = np.rint(values), _rounded(np.floor, low), _rounded(np.ceil, high)
    if low is not None and (beyond := int((ahead > forecaster.measured).sum())):
        lines.append(
            f"from {forecaster.measured + 1} rows ahead on ({beyond:,} of {len(rows):,} rows) the interval widens with "
            "the square root of the step: errors so far ahead were not measured in the training"
        )
    _write(args.output, _times(table, rows), ahead, windows.target_columns, values, low, high)
    if args.plot:
        _draw(args, table, windows, after, rows, values, low, high)
    return [*lines, f"{len(rows):,} forecasts of {', '.join(windows.target_columns)} in {args.output}"]


def _rounded(how, bound):
    return None if bound is None else how(bound)


def outside(forecaster: Ensemble) -> list[str]:
    """Return a line for each column whose values lie far outside the range of the training rows."""
    lines = {}
    for (_, trained), windows in zip(forecaster.members, forecaster.windows):
        outside = trained.far_outside(windows.values).T
        for (low, high), name, column, far in zip(trained.range or (), windows.column_names, windows.values.T, outside):
            if far.any():
                row = int(np.argmax(far))
                lines[name] = (
                    f"{windows.name}: {int(far.sum()):,} values of {name} lie far outside the range of the training "
                    f"rows, {low:.6g} to {high:.6g}, the first in row {row}: {column[row]:.6g}; forecasts after them "
                    "extrapolate"
                )
    return list(lines.values())


def _times(table: Table, rows: np.ndarray) -> np.ndarray:
    """The times of rows, after the end too; their numbers if there is no time, or the next one is unknown."""
    if not len(rows):
        return rows
    start = int(rows.min())
    try:
        times = row_times(table, start, int(rows.max()) + 1)
    except data.DataError:
        return rows
    return rows if times is None else times[rows - start]


def _write(path, times, ahead, names, values, low, high):
    parts = [values] if low is None else [values, low, high]
    header = [name + ending for name in names for ending in ("", "_low", "_high")[: len(parts)]]
    cells = np.stack(parts, axis=2).reshape(len(values), -1)
    when = [str(time).replace("T", " ") for time in times]
    with output.csv_writer(path) as writer:
        writer.writerow(["time" if times.dtype.kind == "M" else "row", "steps_ahead", *header])
        for k, row in enumerate(cells):
            writer.writerow([when[k], ahead[k], *("" if np.isnan(value) else f"{value:.10g}" for value in row)])


def _draw(args, table, windows, after, rows, values, low, high):
    """Draw each target: the rows after the end and the data before them, or the last forecasts of the first steps."""
    panels, h = [], windows.horizon
    if after:
        before = np.arange(max(0, int(rows[0]) - BEFORE), int(rows[0]))
        shown = np.concatenate([before, rows])
        blank = np.full(len(before), np.nan)
        for k, name in enumerate(windows.target_columns):
            lines = [None if part is None else np.append(blank, part[:, k]) for part in (values, low, high)]
            panels.append(plots.Panel(name, windows.values[before, k], {"forecast": lines[0]}, *lines[1:]))
        what = f"the next {len(rows)} rows"
    else:
        first = np.arange(0, len(rows), h)[-plots.ROWS :]
        shown = rows[first]
        for k, name in enumerate(windows.target_columns):
            ahead = plots.lines_ahead(values[first + np.arange(h)[:, None], k])
            bounds = [None if part is None else part[first, k] for part in (low, high)]
            panels.append(plots.Panel(name, windows.values[shown[shown < len(windows.values)], k], ahead, *bounds))
        what = "one row ahead" if h == 1 else f"the first {min(h, plots.FIRST_STEPS)} rows ahead"
    plots.forecasts(args.plot, _times(table, shown), panels, f"{table.name}: {what}", args.interval)
