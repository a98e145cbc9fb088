"""Many series in ``npseq train``, ``evaluate`` and ``predict``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import data
from ..data.load import read_panel
from ..data.panel import Panel
from ..forecast.panel import drawing, scores
from ..forecast.panel.ensemble import PanelEnsemble, PanelForecast
from ..forecast.panel.task import PanelTask, panel_task
from ..formats.messages import marked
from . import arguments, data_options, output, progress, trained_files
from .predict_forecast import BOTH, USUAL, coverages, series_columns

FEW = 10  # series of which each one's scores are printed
WIDE = 1e5  # scores from which on they are shown with three digits
OF_ONE_SERIES = "lags", "scale", "base", "log", "steps", "no_refit"


def make(args: argparse.Namespace, panel: Panel) -> PanelTask:
    """Return the task of a panel.

    Raises:
        DataError: for options of one series, or as ``panel_task``.
    """
    typed = getattr(args, "typed", ())
    if given := [name for name in OF_ONE_SERIES if name in typed]:
        raise data.DataError(f"{arguments.option(given[0])} is for one series; {panel.name} holds {len(panel):,}")
    if len(args.target or ()) > 1:
        raise data.DataError(f"{len(args.target)} targets given; of many series one column is forecast")
    horizon, window = (
        getattr(args, name) if name in typed or getattr(args, "resume", None) else None
        for name in ("horizon", "window")
    )
    return panel_task(panel, (args.target or [None])[0], horizon, window, args.inputs, args.future)


def read(args: argparse.Namespace) -> Panel:
    """Return the panel that ``--data`` names, also of one series. Raises DataError as ``data.load_series``."""
    bar = None if getattr(args, "json", False) else progress.reading()
    return read_panel(args.data, args.time, bar, data_options.table_options(args))


def write(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Write a line for each series and step: unique_id, ds, the forecast and its interval, as utilsforecast has it.

    Returns:
        lines to print.
    """
    if args.interval and args.quantiles:
        raise data.DataError(BOTH)
    panel, wanted = read(args), coverages(args) or [USUAL]
    found = PanelEnsemble(members, panel, args.jobs).predict(args.steps, tuple(wanted))
    if args.whole:
        found.mean = np.rint(found.mean)
        found.low = {p: np.floor(bound) for p, bound in found.low.items()}
        found.high = {p: np.ceil(bound) for p, bound in found.high.items()}
    columns = series_columns(args, found.mean, found.low, found.high)
    output.write_series(args.output, found.ids, found.times, columns)
    if args.plot:
        drawing.grid(args.plot, panel, found, wanted[0], f"{panel.name}: the next {found.mean.shape[1]} rows")
    lines = [f"{panel.name}: {marked(note)}" for note in panel.notes] + left_out(found)
    return [*lines, f"{found.mean.shape[1]:,} forecasts of each of {len(found.ids):,} series in {args.output}"]


def left_out(found: PanelForecast) -> list[str]:
    """Return a line for each series that has no forecast."""
    return [f"{one} left out: it {why}" for one, why in found.left_out.items()]


def evaluate(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Return the lines of the scores of the last rows of each series; with ``--json`` one line."""
    panel = read(args)
    coverage = args.interval[0]
    result = scores.evaluate(members, panel, args.steps, coverage, args.jobs, args.part == "all")
    if args.scores:
        write_scores(args.scores, result["series"])
    if args.plot:
        drawing.scored(args.plot, panel, members, result["steps"], coverage)
    if args.json:
        return [json.dumps(result)]
    lines = [f"{panel.name}: {marked(note)}" for note in panel.notes]
    return [*lines, "", *report(result), *([f"scores of each series in {args.scores}"] if args.scores else [])]


def report(result: dict[str, Any]) -> list[str]:
    """Return the lines of what ``scores.evaluate`` found: the means over the series, and the series themselves if they
    are few, or else the worst."""
    of_all, series = result["scores"], result["series"]
    title = f"{len(series):,} series, the last {result['steps']:,} rows of each"
    lines = [*result["notes"], "", *table(title, of_all, last="npseq")]
    if result["share_better"] is not None:
        lines += ["", f"better than the seasonal naive: {result['share_better']:.0%} of the series"]
    few = len(series) <= FEW
    shown = series if few else [one for one in series if one["unique_id"] in result["worst"]]
    shown = sorted(shown, key=lambda one: float("-inf" if one["mase"] is None else one["mase"]), reverse=True)
    title = "each series" if few else f"the {len(shown)} worst"
    return [*lines, "", *table(title, {one["unique_id"]: one for one in shown})]


def table(title: str, rows: dict[str, dict[str, Any]], last: str | None = None) -> list[str]:
    """Return the lines of a table of metrics, one row of each name; the row ``last`` is marked."""
    known = {key for row in rows.values() for key, value in row.items() if value is not None}
    shown = {key: form for key, form in scores.METRICS.items() if key in known}
    width = max(map(len, [title, *rows]))
    lines = [f"{title:{width}}" + "".join(f"{name:>10}" for name, _ in shown.values())]
    for name, row in rows.items():
        cells = [_cell(row.get(key), form) for key, (_, form) in shown.items()]
        lines.append(f"{name:{width}}" + "".join(f"{cell:>10}" for cell in cells) + "  <" * (name == last))
    return lines


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}" if abs(value) < WIDE else f"{value:.3g}"


def write_scores(path: str, series: Sequence[dict[str, Any]]) -> None:
    """Write a line for each series."""
    names = [name for name, value in series[0].items() if not isinstance(value, (list, dict))]
    with output.csv_writer(path) as writer:
        writer.writerow(names)
        writer.writerows(["" if one[name] is None else one[name] for name in names] for one in series)
