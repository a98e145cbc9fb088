"""Pictures and tables of forecasts: for ``Forecaster``, its scores, and the commands."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data.table import Table
from ..nn.model import Model
from ..tasks import pictures
from ..training.fit import Progress
from . import evaluation
from .bases import MANY
from .calendar_slots import row_times
from .ensemble import Ensemble, Prediction
from .metadata import ForecastMetadata
from .panel.forecaster import on_panels
from .task import ForecastTask

BEFORE = 168  # rows of data before the first one that is forecast
COVERAGE = 0.9  # of the band, where none was asked for


def times_of(table: Table, rows: np.ndarray) -> np.ndarray:
    """Return the times of rows, after the end too; their numbers if there is no time."""
    if not len(rows):
        return rows
    start = int(rows.min())
    times = row_times(table, start, int(rows.max()) + 1)
    return rows if times is None else np.asarray(times[rows - start])


def prediction(path: str | None, ensemble: Ensemble, found: Prediction) -> Any:
    """Draw what ``ensemble.predict`` has found, of each of the first ``MANY`` targets: the rows after the end and the
    data before them, or the last forecasts of the first steps; of several intervals the widest."""
    windows, panels, widest, bounds = ensemble.windows[0], [], None, None
    rows, values, h = found.rows, found.values, ensemble.horizon
    names = windows.target_columns[:MANY]
    if found.bounds is not None:
        widest = max(found.coverages)
        bounds = found.bounds[..., 2 * found.coverages.index(widest) :]
    if found.after:
        before = np.arange(max(0, int(rows[0]) - BEFORE), int(rows[0]))
        shown, blank = np.concatenate([before, rows]), np.full(len(before), np.nan)
        for k, name in enumerate(names):
            sides = [] if bounds is None else [np.append(blank, bounds[:, k, side]) for side in (0, 1)]
            forecast = {"forecast": np.append(blank, values[:, k])}
            panels.append(pictures.Panel(name, windows.values[before, k], forecast, *sides))
        what = f"the next {len(rows)} rows"
    else:
        first = np.arange(0, len(rows), h)[-pictures.ROWS :]
        shown = rows[first]
        for k, name in enumerate(names):
            ahead = pictures.lines_ahead(values[first + np.arange(h)[:, None], k])
            sides = [] if bounds is None else [bounds[first, k, side] for side in (0, 1)]
            actual = windows.values[shown[shown < len(windows.values)], k]
            panels.append(pictures.Panel(name, actual, ahead, *sides))
        what = "one row ahead" if h == 1 else f"the first {min(h, pictures.FIRST_STEPS)} rows ahead"
    return pictures.forecasts(path, times_of(ensemble.table, shown), panels, f"{ensemble.table.name}: {what}", widest)


def training(path: str | None, model: Model, task: ForecastTask, kept: ForecastMetadata, progress: Progress) -> Any:
    """Draw the end of the test part beside its forecast and the band, and the losses of the training."""
    rows, band = task.parts["test"][-pictures.ROWS :], kept.residual_quantiles is not None
    found = Ensemble([(model, kept)], task.table, COVERAGE if band else None).direct(rows)
    panels = []
    for k, name in enumerate(task.target_columns[:MANY]):
        sides = [] if found.bounds is None else [found.bounds[:, 0, k, side] for side in (0, 1)]
        ahead = pictures.lines_ahead(found.values[:, :, k].T)
        panels.append(pictures.Panel(name, task.values[rows, k], ahead, *sides))
    title, losses = f"{task.name}: {model.kind} on the test part", (progress.history, progress.start_loss)
    return pictures.forecasts(path, times_of(task.table, rows), panels, title, COVERAGE, losses)


def by_step(path: str | None, name: str, found: Mapping[str, Any], labels: Mapping[str, str], title: str) -> Any:
    """Draw the error by step of one target's scores (``evaluation.score``), the model last."""
    lines = {labels[key]: [row["baselines"][key]["rmse"] for row in found["by_step"]] for key in found["baselines"]}
    lines[name] = [row["model"]["rmse"] for row in found["by_step"]]
    return pictures.by_step(path, lines, title)


class Drawn(ABC):
    """The picture of a forecaster, and what a notebook shows of it."""

    @abstractmethod
    def _forecast(self, steps: int | None, future: Any, interval: Any) -> tuple[Ensemble, Prediction]:
        """Return what forecasts, and the forecasts of the rows after the last value."""

    @on_panels
    def plot(self, steps: int | None = None, future: Any = None, interval: float | None = 0.9) -> Any:
        """Draw what ``predict`` gives, after the last rows of the data. Arguments and errors as there.

        Returns:
            matplotlib's figure, which a notebook shows and ``savefig(path)`` writes.

        Raises:
            PlotError: without matplotlib.
        """
        return prediction(None, *self._forecast(steps, future, interval))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def score(members: list[tuple[Model, ForecastMetadata]], table: Table, steps: int | None, interval: Any) -> Score:
    """Return the scores of ``Forecaster.score``. Arguments and errors as there."""
    if any(trained.residual_quantiles is None for _, trained in members):
        interval = None  # of a training that was killed
    found, _, _, baselines = evaluation.on_new_rows(ensemble := Ensemble(members, table, interval), steps)
    labels = {name: baselines.label(name) for name in baselines.before(len(table.values))}
    return Score(found, labels, members[0][0].kind, ensemble.targets[0])


class Score(dict[str, Any]):
    """The scores of a forecaster: a dict (``evaluation.score``), which also draws itself and is a table in a notebook.

    Args:
        found: the scores. labels: name of a baseline -> text that is shown. name: of the model. target: the first.
    """

    def __init__(self, found: Mapping[str, Any], labels: Mapping[str, str], name: str, target: str) -> None:
        super().__init__(found)
        self.labels, self.name, self._target = labels, name, target

    def _targets(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self["targets"] if "targets" in self else {self._target: self}
        return found

    def plot(self, target: str | None = None, path: str | None = None) -> Any:
        """Draw the error by step beside the baselines'.

        Args:
            target: by default the first. path: of the file to write (.png, .svg), or None.

        Returns:
            matplotlib's figure.

        Raises:
            PlotError: without matplotlib. KeyError: for an unknown target.
        """
        target = next(iter(self._targets())) if target is None else target
        return by_step(path, self.name, self._targets()[target], self.labels, f"{target}: error by step")

    def _repr_html_(self) -> str:
        rows = ["<tr><th></th><th></th><th>RMSE</th><th>MAE</th></tr>"]
        for target, found in self._targets().items():
            named = {self.labels[key]: each for key, each in found["baselines"].items()} | {self.name: found["model"]}
            for label, each in sorted(named.items(), key=lambda item: -item[1]["rmse"]):
                cells = [html.escape(target), html.escape(label), f"{each['rmse']:.4g}", f"{each['mae']:.4g}"]
                rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        return f"<table>{''.join(rows)}</table>"
