"""The kinds of tasks: for each, what the commands do with it. Nothing else asks what kind a task is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import data, tasks
from ..forecast import drawing, evaluation, finish
from ..forecast.ensemble import Ensemble
from ..forecast.panel import drawing as panel_drawing
from ..forecast.panel import ensemble, scores
from ..forecast.panel.windows import PanelTask
from ..forecast.task import ForecastTask, forecast_task
from ..nn.model import Model
from ..tasks import metadata
from ..tasks.metadata import Metadata
from ..training.fit import Progress
from . import adding, data_options, panels, plots, progress, sequences, text_options, texts
from .evaluate_forecast import evaluate_forecast
from .predict_forecast import USUAL as COVERAGE
from .predict_forecast import write_forecast
from .trained_files import Members

OF_FORECASTS = "target", "inputs", "future", "horizon", "window", "lags", "scale", "base", "log", "steps"


class Score(NamedTuple):
    """Predictions of the test part, their metrics, those of each baseline, the names that tables show of these, and the
    lines of another table, if there is one."""

    predictions: np.ndarray
    results: dict[str, Any]
    baselines: dict[str, dict[str, Any]]
    labels: dict[str, str]
    lines: list[str] = []


class Kind(NamedTuple):
    """What the commands do with a task.

    read: the data that the options of a training name; make: the task of these data; draw: the picture of a training;
    begin, finish: what the weights file keeps before and after the training; refit: what it keeps after the scores were
    taken; score: of the trained model, in one of several processes; evaluate: the lines of ``npseq evaluate``; write:
    the file and the lines of ``npseq predict``.
    """

    read: Callable[[argparse.Namespace], Any]
    make: Callable[[argparse.Namespace, Any], Any]
    evaluate: Callable[[argparse.Namespace, Members], list[str]]
    write: Callable[[argparse.Namespace, Members], list[str]]
    draw: Callable[..., None]
    begin: Callable[..., Metadata]
    finish: Callable[..., Metadata]
    refit: Callable[[Model, Any, Metadata], Metadata]
    score: Callable[[Model, Metadata | None, Any, Any], Score | None]


def read_forecast(args: argparse.Namespace) -> data.Table | data.Panel:
    """Return the table, or the panel of many series.

    Raises:
        DataError: as ``data.load_series``; with advice for a file that may be a text.
    """
    try:
        bar = None if args.quiet else progress.reading()
        return data.load_series(args.data, args.time, "past", bar, data_options.table_options(args))
    except data.DataError as error:
        raise text_options.advise(args, error) from None


def make_forecast(args: argparse.Namespace, table: data.Table | data.Panel) -> ForecastTask | PanelTask:
    """Return the task of a forecast. Errors as ``forecast_task``, ``panel_task`` and ``read_forecast``."""
    try:
        if isinstance(table, data.Panel):
            return panels.make(args, table)
        return forecast_task(table, **{name: getattr(args, name) for name in OF_FORECASTS}, refit=not args.no_refit)
    except data.DataError as error:
        raise text_options.advise(args, error) from None


def score_forecast(model: Model, kept: Metadata | None, task: ForecastTask, ranks: Any) -> Score | None:
    """Return the score of one horizon, in the first process alone."""
    if not ranks.root:
        return None
    found = evaluation.one_horizon(Ensemble([(model, kept)], task.table))
    return Score(found.predictions, found.results, found.baselines, found.labels)


def score_panel(model: Model, kept: Any, task: PanelTask, ranks: Any) -> Score | None:
    """Return the scores of the last rows of each series, in the first process alone."""
    if not ranks.root:
        return None
    found = scores.evaluate([(model, kept)], task.panel)
    others = {name: each for name, each in found["scores"].items() if name != "npseq"}
    return Score(np.empty(0), found["scores"]["npseq"], others, {name: name for name in others}, panels.report(found))


def draw_panel(path: str, model: Model, task: PanelTask, score: Score, kept: Any, progress: Progress) -> None:
    """Draw the forecasts of the last rows of the first series."""
    panel_drawing.scored(path, task.panel, [(model, kept)], task.recipe().horizon, COVERAGE)


def kept_of(task: tasks.Task, **run: Any) -> Metadata:
    """Return what a weights file keeps of a task that is no forecast."""
    return metadata.of_recipe(task.recipe(), **run, **task.kept())


def score_test(model: Model, kept: Metadata | None, task: tasks.Task, ranks: Any) -> Score | None:
    """Return the score of the test part, which all processes predict."""
    rows = task.parts["test"]
    predictions = ranks.predict(model, task, rows)
    if not ranks.root:
        return None
    baselines = task.baselines()
    return Score(predictions, task.metrics(predictions, rows), baselines, {name: name for name in baselines})


def draw_confusion(path: str, model: Model, task: Any, score: Score, kept: Any, progress: Progress) -> None:
    """Draw the confusion matrix and the losses."""
    losses, title = (progress.history, progress.start_loss), f"{task.name}: {model.kind}"
    plots.confusion(path, score.results["confusion"], task.classes, title, losses)


def draw_losses(path: str, model: Model, task: tasks.Task, score: Score, kept: Any, progress: Progress) -> None:
    """Draw the losses of each epoch."""
    plots.learning(path, progress.history, progress.start_loss, f"{task.name}: {model.kind}")


def draw_forecast(path: str, model: Model, task: ForecastTask, score: Score, kept: Any, progress: Progress) -> None:
    """Draw the end of the test part beside its forecast, and the losses."""
    drawing.training(path, model, task, kept, progress)


def refusing(why: str) -> Callable[[argparse.Namespace, Members], list[str]]:
    """Return the function of a task whose models predict nothing new: it raises DataError with ``why``."""

    def write(args: argparse.Namespace, members: Members) -> list[str]:
        raise data.DataError(f"{args.file} was trained on {why}")

    return write


NO_TEXT = refusing("a text; use npseq sample or npseq evaluate")
NO_DATA = refusing("the adding problem, which has no data to predict; use npseq evaluate")
OTHERS = kept_of, lambda model, task, **run: kept_of(task, **run), lambda model, task, kept: kept, score_test
OF_SEQUENCES = sequences.read, sequences.make, sequences.evaluate, sequences.write
KINDS = {
    "forecast": Kind(
        *(read_forecast, make_forecast, evaluate_forecast, write_forecast, draw_forecast),
        *(finish.begin, finish.finish, finish.refit, score_forecast),
    ),
    "panel": Kind(
        *(read_forecast, make_forecast, panels.evaluate, panels.write, draw_panel),
        *(ensemble.begin, ensemble.finish, lambda model, task, kept: kept, score_panel),
    ),
    "classify": Kind(*OF_SEQUENCES, draw_confusion, *OTHERS),
    "label": Kind(*OF_SEQUENCES, draw_confusion, *OTHERS),
    "regress": Kind(*OF_SEQUENCES, draw_losses, *OTHERS),
    "text": Kind(texts.read, texts.make, texts.evaluate, NO_TEXT, draw_losses, *OTHERS),
    "adding": Kind(adding.read, adding.make, adding.evaluate, NO_DATA, draw_losses, *OTHERS),
}


def of(members: Members) -> Kind:
    """Return the kind of the task that the models were trained for."""
    return KINDS[members[0][1].recipe.task]


def asked_for(args: argparse.Namespace) -> Kind:
    """Return the kind of the task that the options of a training describe.

    Raises:
        DataError: for options of another kind than the data.
    """
    if args.task == "text":
        return KINDS["text"]
    text_options.check(args)
    if args.data == tasks.Adding.name and args.task is None:
        return KINDS["adding"]
    file = text_options.kind_of(args)
    if file == "unclear" and args.task is None:
        raise data.DataError(f"{args.data} can be a table or a text: say which with --task forecast or --task text")
    named = args.data in data.SHIPPED_SEQUENCES or args.sequence is not None or args.label is not None
    named = named or file == "sequences"
    if args.label_each_row or args.task == "classify" or args.task is None and named:
        return KINDS["classify"]
    if args.regress:
        raise data.DataError("--regress predicts a number for each sequence: name its column with --label")
    return KINDS["forecast"]


def classifies(args: argparse.Namespace) -> bool:
    """True if the options ask for a class of each sequence."""
    try:
        return asked_for(args) is KINDS["classify"] and sequences.target_of(args) == "class"
    except data.DataError:  # which the training reports
        return False


def make_task(args: argparse.Namespace, loaded: Any = None) -> Any:
    """Return the task that the options describe.

    Args:
        loaded: the data, if they have been read, or the task itself (``shared``).

    Raises:
        DataError: if the data, a column or the window is invalid. OSError: if the data cannot be read.
    """
    kind = asked_for(args)
    if isinstance(loaded, (ForecastTask, PanelTask)):
        return loaded
    return kind.make(args, kind.read(args) if loaded is None else loaded)


def shared(task: tasks.Task, loaded: Any) -> Any:
    """Return what several trainings of a task start from: the task with its base, unless their seeds draw its parts."""
    return task if isinstance(task, (ForecastTask, PanelTask)) else loaded
