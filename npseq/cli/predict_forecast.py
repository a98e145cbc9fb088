"""``npseq predict`` of forecasters: a line for each forecast value, with its interval, and the picture."""

from __future__ import annotations

import argparse
import re

import numpy as np

from .. import data
from ..data.panel import of_table
from ..forecast import drawing
from ..forecast.drawing import times_of
from ..forecast.ensemble import Ensemble
from ..formats.messages import marked
from . import data_options, output, progress, trained_files

UNNAMED = re.compile(r"c\d+|Unnamed: \d+")  # a column without a name in the file
BOTH = "--interval and --quantiles given: quantiles are bounds of intervals; name one of them"
USUAL = 0.9  # coverage of the interval that a long table of forecasts has


def write_forecast(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Write a line for each forecast value: its time (or row), how many rows ahead it is, the values, the interval.

    Returns:
        lines to print.
    """
    if args.interval and args.quantiles:
        raise data.DataError(BOTH)
    options = data_options.table_options(args)
    table = data.load(args.data, args.time, "past", progress.reading(), options)  # nothing may look ahead
    named = bool(table.ids) and args.steps is not None and len(members[0][1].recipe.target) == 1
    forecaster = Ensemble(members, table, coverages(args) or [USUAL] * named or None, in_use=True)
    windows = forecaster.windows[0]
    found = forecaster.predict(args.steps, progress.bar("forecasting"))
    rows, ahead = found.rows, found.ahead
    lines = [f"{table.name}: {marked(note)}" for note in table.notes] + outside(forecaster)
    if args.whole:
        found = found._replace(values=np.rint(found.values))
        if found.bounds is not None:
            upper = np.arange(found.bounds.shape[2]) % 2
            found = found._replace(bounds=np.where(upper, np.ceil(found.bounds), np.floor(found.bounds)))
    if found.bounds is not None and (beyond := int((ahead > forecaster.measured).sum())):
        lines.append(
            f"from {forecaster.measured + 1} rows ahead on ({beyond:,} of {len(rows):,} rows) the interval widens with "
            "the square root of the step: errors so far ahead were not measured in the training"
        )
    lines += forecaster.doubts(ahead)
    if named:
        grid, bounds = of_table(table).grids[0], found.bounds
        low, high = ({} if bounds is None else {coverage: bounds[None, :, 0, 2 * k + up]
                     for k, coverage in enumerate(found.coverages)} for up in (0, 1))  # fmt: skip
        times = times_of(table, rows) if grid is None else grid.at(rows)
        output.write_series(args.output, table.ids, [times], series_columns(args, found.values[None, :, 0], low, high))
    else:
        _write(args.output, table, rows, ahead, _columns(args, found, windows.target_columns))
    if args.plot:
        if found.bounds is None and all(each.residual_quantiles is not None for _, each in members):
            forecaster = Ensemble(members, table, drawing.COVERAGE, in_use=True)  # the picture has a band
            found = forecaster.predict(args.steps)
        drawing.prediction(args.plot, forecaster, found)
    return [*lines, f"{len(rows):,} forecasts of {', '.join(windows.target_columns)} in {args.output}"]


def coverages(args: argparse.Namespace) -> list[float] | None:
    """Return the coverages of the intervals that the options name, or whose bounds are the quantiles that they name."""
    return [*(args.interval or ()), *map(_around, {*(args.quantiles or ())} - {0.5})] or None


def series_columns(
    args: argparse.Namespace, mean: np.ndarray, low: dict[float, np.ndarray], high: dict[float, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the columns of a long table of forecasts.

    Args:
        mean: (S, h). low, high: coverage -> (S, h).
    """
    if args.quantiles:
        bounds = {p: mean if p == 0.5 else (low if p < 0.5 else high)[_around(p)] for p in args.quantiles}
        return {"npseq": mean} | {f"npseq_q{p:g}": column for p, column in bounds.items()}
    both = [("lo", low), ("hi", high)]
    return {"npseq": mean} | {f"npseq-{side}-{100 * p:g}": each[p] for p in low for side, each in both}


def _around(quantile):
    """The coverage of the interval with this bound."""
    return round(abs(2 * quantile - 1), 12)


def _columns(args, found, names):
    """The columns to write: forecasts, and the bounds of the intervals or the quantiles."""
    if not args.quantiles:
        return found.columns(names)
    columns = {}
    for k, name in enumerate(names):
        columns[name] = found.values[:, k]
        for p in args.quantiles:
            at = p != 0.5 and 2 * found.coverages.index(_around(p)) + (p > 0.5)
            columns[f"{name}_q{p:g}"] = columns[name] if p == 0.5 else found.bounds[:, k, at]
    return columns


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


def _write(path, table, rows, ahead, columns):
    times, first = times_of(table, rows), "row"
    if times.dtype.kind == "M":
        own = [name for name, kind in table.kinds.items() if kind == "time" and not UNNAMED.fullmatch(name)]
        first = own[0] if len(own) == 1 else "time"
    when = output.written(times, table.times)
    with output.csv_writer(path) as writer:
        writer.writerow([first, "steps_ahead", *columns])
        for k, row in enumerate(zip(*columns.values())):
            writer.writerow([when[k], ahead[k], *("" if np.isnan(value) else f"{value:.10g}" for value in row)])
