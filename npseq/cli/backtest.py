"""``npseq train --backtest N``: the same training at N origins in time, each scored on the rows that follow.

The last origin has the whole table. Each one before has 85 % of the rows of the next, so that its test part ends where
that of the next begins: no row is scored twice, and nothing after an origin's rows is read. Of many series the origins
are the windows of ``Forecaster.cross_validation``, a horizon apart.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from .. import data, status, tasks
from ..forecast import evaluation
from ..forecast.origins import backtest_rows
from ..forecast.panel import scores
from ..forecast.panel.forecaster import PanelForecaster
from ..forecast.task import split_rows
from . import arguments, experiment, kinds, panels
from .tables import cut

MOST = 12


class BacktestError(ValueError):
    """The options do not describe a backtest; the message is one line."""


def check(args: argparse.Namespace) -> None:
    """Refuse options that a backtest does not have.

    Raises:
        BacktestError: naming the option.
    """
    if args.backtest > MOST:
        raise BacktestError(f"--backtest {args.backtest} given; at most {MOST} origins expected")
    for name in ("resume", "checkpoint", "report", "history", "plot"):
        if getattr(args, name):
            raise BacktestError(f"--{name} given with --backtest, which keeps no files: leave one of them out")
    others = ("sequence", "label", "regress", "label_each_row")
    source = args.data in [*data.SHIPPED_SEQUENCES, *data.SHIPPED_TEXTS, tasks.Adding.name]
    if source or args.task not in (None, "forecast") or any(getattr(args, name) for name in others):
        raise BacktestError("--backtest is for forecasts: other data have no order in time")


def run(args: argparse.Namespace, train: Callable[..., Any]) -> int:
    """Train and score at each origin, and print a line for each and the mean. Returns the exit status.

    Args:
        args: options of ``npseq train``. train: ``training_run.train``.

    Raises:
        BacktestError: for options or data that do not fit. Other errors: those of ``train``.
    """
    check(args)
    try:
        table = kinds.read_forecast(args)
    except (OSError, ValueError) as error:
        raise BacktestError(arguments.told(error)) from None
    say = (lambda *text, **how: None) if args.quiet else print
    if isinstance(table, data.Panel):
        return _of_many(args, table, say)
    n, found = len(table.values), []
    say(f"{'rows':>9}  {'tested from':19}  {'target':12} {'RMSE':>10}  {'best baseline':24} {'RMSE':>10} {'skill':>8}")
    for rows in backtest_rows(n, args.backtest):
        with tempfile.TemporaryDirectory() as folder:
            outcome = train(arguments.changed(args, out_dir=folder, quiet=True), loaded=table.first(rows))
        if outcome.report is None or outcome.status != status.OK:
            return outcome.status
        start = split_rows(rows)[1]
        when = str(start) if table.times is None else str(table.times[start]).replace("T", " ")
        for target, line in _scores(outcome.report).items():
            found.append((target, line))
            say(_line(f"{rows:,}", when, target, *line), flush=True)
    for target in dict.fromkeys(target for target, _ in found):
        own, best = (np.array([line[at] for name, line in found if name == target]) for at in (0, 2))
        say(
            f"\n{target}: mean RMSE {own.mean():.4g} (deviation {own.std():.4g}, {own.min():.4g} to {own.max():.4g}); "
            f"the best baseline of each origin {best.mean():.4g}; better at {int((own < best).sum())} of {len(own)}"
        )
    return status.OK


def _of_many(args, panel, say):
    """The windows of cross-validation of many series, each scored on the rows of one horizon."""
    try:
        task = panels.make(args, panel)
        recipe, found = task.recipe(), []
        asked = {"target": [recipe.target], "inputs": recipe.inputs, "future": recipe.future, "horizon": recipe.horizon}
        forecaster = PanelForecaster(asdict(experiment.config_of(args, task)), recipe.window, args.jobs)
        h = recipe.horizon
        for members, long, back in forecaster.origins(panel, asked, h, args.backtest, h, True):
            result = scores.evaluate(members, long.without_last(back - h), h, jobs=args.jobs)
            found.append(result["scores"])
            title = f"{len(result['series']):,} series, {h:,} rows, {back:,} before the end"
            say("\n".join(panels.table(title, found[-1], last=scores.MODEL)) + "\n", flush=True)
    except data.DataError as error:
        raise BacktestError(arguments.told(error)) from None
    means = {name: scores.means([each[name] for each in found]) for name in found[0]}
    say("\n".join(panels.table(f"the mean of {len(found)}", means, last=scores.MODEL)))
    return status.OK


def _scores(report: Mapping[str, Any]) -> dict[str, tuple[float, str, float]]:
    """The RMSE, the best baseline and its RMSE of each target of a report of a training."""
    test = report["test"].get("targets", {"": report["test"]})
    scores = {}
    for target, own in test.items():
        others = {name: each.get("targets", {"": each})[target]["rmse"] for name, each in report["baselines"].items()}
        best = min(others, key=lambda name: others[name])
        scores[target or "the target"] = own["rmse"], report["labels"][best], others[best]
    return scores


def _line(rows, when, target, own, best, other):
    skill = evaluation.skill(own, other)
    return f"{rows:>9}  {when:19}  {target:12} {own:10.4g}  {best:24} {other:10.4g} {cut(skill):8.1%}"
