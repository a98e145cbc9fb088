"""``npseq evaluate`` of forecasters: every error beside the baselines', by step, and the coverage of the intervals."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from .. import data
from ..forecast import drawing, evaluation
from ..forecast.baselines import Baselines
from ..forecast.bases import MANY
from ..forecast.ensemble import Ensemble, unknown_ahead
from ..forecast.metadata import ALONE
from ..formats.messages import marked
from . import data_options, progress, trained_files
from .predict_forecast import coverages, outside
from .tables import by_step_table, cut, part_name, scores_table, summary

EQUAL = 0.0005  # skills that round to 0.0 % are called as good


def evaluate_forecast(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Return the lines of the errors beside the baselines', by step, and of the coverage of the interval; with
    ``--json`` one line.
    """
    bar = None if args.json else progress.reading()
    table = data.load(args.data, args.time, "past", bar, data_options.table_options(args))
    measured = all(each.residual_quantiles is not None for _, each in members)
    forecaster = Ensemble(members, table, coverages(args) if measured else None)
    forecasting = iter if args.json else progress.bar("forecasting")
    try:
        result, new, rows, baselines = evaluation.on_new_rows(forecaster, args.steps, args.part == "all", forecasting)
    except data.DataError as error:
        advice = "" if args.part == "all" else "; --part all scores the rows of the training too"
        raise data.DataError(f"{marked(error)}{advice}") from None
    if args.json:
        return [json.dumps(result)]
    part = part_name(new.part, table.name)
    lines = [f"{table.name}: {marked(note)}" for note in table.notes]
    lines += [f"{len(rows):,} examples, {part}", *new.notes]
    if len(new.notes) > 1:
        lines.append("--part all scores all rows")
    lines += [*_gaps(forecaster, rows), *outside(forecaster), *[ALONE] * ("base_alone" in result)]
    name = members[0][0].kind if len(members) == 1 else f"mean of {len(members)}"
    targets = result.get("targets", {forecaster.targets[0]: result})
    if len(targets) > MANY:
        lines += _of_many(name, targets, baselines, part)
    for column, found in targets.items() if len(targets) <= MANY else ():
        title = f"{column}, on {part}" if len(targets) == 1 and forecaster.horizon == 1 else None
        lines += ["", *forecast_report(name, column, found, baselines, forecaster, title, args.quantiles)]
    if "later" in result:
        lines += ["", _later(name, result["later"], baselines)]
    if args.plot:
        _draw_steps(args, name, forecaster, baselines, result)
    return lines


def _of_many(name, targets, baselines, part):
    """The lines of more than ``MANY`` targets: a summary, and another of steps fed back."""
    lines = []
    for key, title in (None, f"{len(targets)} targets, on {part}"), ("fed_back", "forecasts fed back"):
        found = {column: each if key is None else each.get(key) for column, each in targets.items()}
        parts = {column: (each["model"], {baselines.label(one): scores for one, scores in each["baselines"].items()})
                 for column, each in found.items() if each is not None}  # fmt: skip
        lines += ["", *summary(title, name, parts)] if parts else []
    return [*lines, "", "--json has each target"]


def _later(name, found, baselines):
    """The line on the rows after those of the training, which are forecast with the base fitted to all of these."""
    best = min(found["baselines"], key=lambda key: found["baselines"][key]["rmse"])
    return (
        f"{found['rows']:,} examples after the rows of the training, with the base fitted again to all of them: RMSE "
        f"{found['model']['rmse']:.4g} ({name}), {found['baselines'][best]['rmse']:.4g} ({baselines.label(best)})"
    )


def _gaps(forecaster, rows):
    """Return a line that counts the missing values, none if there are none."""
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
    name: str,
    column: str,
    found: dict[str, Any],
    baselines: Baselines,
    forecaster: Ensemble,
    title: str | None,
    quantiles: Sequence[float] | None = None,
) -> list[str]:
    """Return the lines on one target: the table of one horizon, the one of steps fed back, interval and quantiles."""
    h = forecaster.horizon
    title = title or f"{column}, {'one row' if h == 1 else f'{h} rows'} ahead"
    labels = {key: baselines.label(key) for key in found["baselines"]}
    lines = [scores_table(title, name, found, labels)]
    if "interval" in found:
        lines += ["", *_interval_lines(found, quantiles)]
    if "fed_back" in found and found["fed_back"]["steps"] > h:
        far = found["fed_back"]
        lines += ["", scores_table(f"forecasts fed back for {far['steps']} rows", name, far, labels)]
        lines += ["", *by_step_table(name, found["by_step"], labels)]
        if "interval" in far:
            lines += ["", *_interval_lines(far, quantiles)]
    elif forecaster.input_columns:
        lines += ["", unknown_ahead(forecaster.input_columns)]
    lines += ["", *verdict(name, found, labels)]
    return lines


def verdict(name: str, found: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the last line: which baselines win, in words."""
    lost = []
    for what, part in (("one horizon ahead", found), ("fed back", found.get("fed_back"))):
        if part is not None and part["skill"] < -EQUAL:
            lost.append(f"{what} {labels[part['best_baseline']]} is {-cut(part['skill']):.1%} better than {name}")
    if lost:
        return ["; ".join(lost) + ": use that baseline there"]
    if found["skill"] < EQUAL:
        return [f"{name} is as good as {labels[found['best_baseline']]}"]
    return [f"{name} is better than every baseline by {found['skill']:.1%}"]


def verdicts(name: str, results: dict[str, Any], baselines: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the last lines of a training: for each target which baselines win; none for more than ``MANY``."""
    lines, parts = [], results.get("targets", {"": results})
    for target, own in parts.items() if len(parts) <= MANY else ():
        others = {key: each.get("targets", {"": each})[target]["rmse"] for key, each in baselines.items()}
        best = min(others, key=lambda key: others[key])
        found = {"skill": evaluation.skill(own["rmse"], others[best]), "best_baseline": best}
        lines += [f"{target}: {line}" if target else line for line in verdict(name, found, labels)]
    return lines


def _interval_lines(part, quantiles):
    """Lines on the coverage of the interval, overall and by hour, beside the constant width's, and on quantiles."""
    found = part["interval"]
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
    below = [f"{p} {each['below']:.1%}" for p, each in part["quantiles"].items() if float(p) in (quantiles or ())]
    return lines + [f"share of the values below each quantile: {', '.join(below)}"] * bool(below)


def _draw_steps(args, name, forecaster, baselines, result):
    """Draw the error by step of the first target."""
    found = result.get("targets", {forecaster.targets[0]: result})[forecaster.targets[0]]
    labels = {key: baselines.label(key) for key in found["baselines"]}
    title = f"{forecaster.table.name}: {forecaster.targets[0]}, error by step"
    drawing.by_step(args.plot, name, found, labels, title)
