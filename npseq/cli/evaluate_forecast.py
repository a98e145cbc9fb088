"""``npseq evaluate`` of forecasters: every error beside the baselines', by step, and the coverage of the intervals."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from .. import data
from ..forecast import evaluation
from ..forecast.baselines import Baselines
from ..forecast.ensemble import Ensemble, unknown_ahead
from ..forecast.task import ForecastTask
from ..formats import paths
from ..nn.model import Model
from ..tasks.metadata import Metadata
from . import data_options, plots, progress
from .predict import outside
from .tables import by_step_table, part_name, scores_table

EQUAL = 0.0005  # skills that round to 0.0 % are called as good


def evaluate_forecast(args: argparse.Namespace, members: list[tuple[Model, Metadata]]) -> list[str]:
    """Return the lines of the errors beside the baselines', by step, and of the coverage of the interval; with
    ``--json`` one line.
    """
    trained = members[0][1]
    bar = None if args.json else progress.reading()
    table = data.load(args.data, args.time, "past", bar, data_options.table_options(args))
    measured = all(each.residual_quantiles is not None for _, each in members)
    forecaster = Ensemble(members, table, args.interval if measured else None)
    seen, part, told = _not_to_be_scored(args, members, forecaster)
    rows = evaluation.scored_rows(forecaster, seen)
    if len(rows) == 0:
        raise data.DataError(
            f"{table.name} has {len(table.values):,} rows: too few for a model that sees {forecaster.first} and "
            f"forecasts {forecaster.horizon}{told and '; ' + told[0]}"
        )
    baselines = Baselines(forecaster.windows[0], _fitted(trained, table, part))
    forecasting = iter if args.json else progress.bar("forecasting")
    result = evaluation.score(forecaster, rows, baselines, args.steps, seen, forecasting)
    if args.json:
        return [json.dumps(result)]
    lines = [f"{table.name}: {note}" for note in table.notes]
    lines += [f"{len(rows):,} examples, {part_name(part, table.name)}", *told, *_gaps(forecaster, rows)]
    lines += outside(trained, forecaster.windows[0])
    name = members[0][0].kind if len(members) == 1 else f"mean of {len(members)}"
    for column, found in result.get("targets", {forecaster.targets[0]: result}).items():
        lines += ["", *(forecast_report(name, column, found, baselines, forecaster, "targets" not in result))]
    if args.plot:
        _draw_steps(args, name, forecaster, baselines, result)
    return lines


def _not_to_be_scored(args, members, forecaster):
    """(n,) the rows that the model was trained on, or None; the part that is scored; lines that tell of it."""
    trained, windows = members[0][1], forecaster.windows[0]
    n = len(windows.values)
    if args.part == "all":
        return None, "all", []
    if trained.seen is None:  # a file of npseq 0.1.0: by the name of the data
        if (args.part or _named(args, trained)) == "all":
            return None, "all", []
        seen = np.arange(n) < int(0.85 * n)
        return seen, "test", []
    found = forecaster.seen()
    if found is None:
        return None, "all", []
    seen = found
    if seen.all():
        raise data.DataError(f"{windows.name}: the model was trained or validated on every row: nothing to test on")
    told = [f"{int(seen.sum()):,} rows that the model was trained or validated on are left out"]
    return seen, "test", told


def _named(args, trained):
    return "test" if paths.name_of(args.data) == trained.recipe.data else "all"


def _fitted(trained, table, part):
    """The autoregressions of the weights file; of an old file, fitted again if the data are those of the training."""
    if trained.baselines or part == "all":
        return trained.baselines
    return ForecastTask.from_recipe(trained.recipe, table).fitted_baselines()


def _gaps(forecaster, rows):
    """A line that counts what was missing, if anything was."""
    windows = forecaster.windows[0]
    if windows.filled is None:
        return []
    missing = int((~windows.observed(rows)).sum())
    inputs = int(windows.filled[: int(rows[-1])].sum())
    return [
        f"{inputs:,} missing values are filled from the rows before them for the model to read; none is scored"
        + (f" ({missing:,} predicted values left out)" if missing else "")
    ]


def forecast_report(
    name: str, column: str, found: dict[str, Any], baselines: Baselines, forecaster: Ensemble, only: bool
) -> list[str]:
    """Return the lines on one target: the table of one horizon, the one of steps fed back, the interval."""
    h = forecaster.horizon
    title = "on the test part" if only and h == 1 else f"{column}, {'one row' if h == 1 else f'{h} rows'} ahead"
    labels = {key: baselines.label(key) for key in found["baselines"]}
    lines = [scores_table(title, name, found, labels)]
    if "interval" in found:
        lines += ["", *_interval_lines(found["interval"])]
    if "fed_back" in found and found["fed_back"]["steps"] > h:
        far = found["fed_back"]
        lines += ["", scores_table(f"forecasts fed back for {far['steps']} rows", name, far, labels)]
        lines += ["", *by_step_table(name, found["by_step"], labels)]
        if "interval" in far:
            lines += ["", *_interval_lines(far["interval"])]
    elif forecaster.windows[0].input_columns:
        lines += ["", unknown_ahead(forecaster.windows[0].input_columns)]
    lines += ["", *verdict(name, found, labels)]
    return lines


def verdict(name: str, found: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the last line: which baselines win, in words."""
    lost = []
    for what, part in (("one horizon ahead", found), ("fed back", found.get("fed_back"))):
        if part is not None and part["skill"] < -EQUAL:
            lost.append(f"{what} {labels[part['best_baseline']]} is {-part['skill']:.1%} better than {name}")
    if lost:
        return ["; ".join(lost) + ": a forecast by it is the better one there"]
    if found["skill"] < EQUAL:
        return [f"{name} is as good as {labels[found['best_baseline']]}"]
    return [f"{name} is better than every baseline by {found['skill']:.1%}"]


def _interval_lines(found):
    """Lines on the coverage of the interval, overall and by hour, beside the constant width's."""
    nominal = f"the {found['nominal']:.0%} interval"
    if found["coverage"] is None:
        return [f"{nominal}: no errors so far ahead were measured in the training"]
    lines = [
        f"{nominal} holds {found['coverage']:.1%} of the values, score {found['score']:.4g}; with a constant width "
        f"{found['constant_coverage']:.1%}, score {found['constant_score']:.4g}"
    ]
    hours = [row for row in found.get("by_hour", ()) if row["coverage"] is not None]
    if len(hours) > 1:
        worst, best = (pick(hours, key=lambda row: row["coverage"]) for pick in (min, max))
        constant = min(hours, key=lambda row: row["constant_coverage"])
        lines.append(
            f"by hour of the day from {worst['coverage']:.0%} ({worst['hour']:02d} h) to {best['coverage']:.0%} "
            f"({best['hour']:02d} h); with a constant width from {constant['constant_coverage']:.0%} "
            f"({constant['hour']:02d} h)"
        )
    return lines


def _draw_steps(args, name, forecaster, baselines, result):
    """Draw the error by step of the first target."""
    found = result.get("targets", {forecaster.targets[0]: result})[forecaster.targets[0]]
    lines = {baselines.label(key): [row["baselines"][key]["rmse"] for row in found["by_step"]]
             for key in found["baselines"]}  # fmt: skip
    lines[name] = [row["model"]["rmse"] for row in found["by_step"]]
    plots.by_step(args.plot, lines, f"{forecaster.table.name}: {forecaster.targets[0]}, error by step")
