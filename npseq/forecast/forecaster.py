"""``Forecaster``: fit, predict, update, score, save and load on one's own arrays and DataFrames.

The weights file, the training, the forecasts and the scores are those of ``npseq train``, ``predict`` and ``evaluate``:
the commands call the same functions.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import load, load_series
from ..data.errors import DataError
from ..data.panel import Panel
from ..data.sources import TableOptions
from ..data.table import Table
from ..formats import model_file, schema
from ..formats.unpickler import CheckpointError
from ..fused import blas
from ..nn.model import Model
from ..nn.validation import outer_level
from ..tasks.metadata import load_trained
from ..training.config import NAMES, TrainingConfig, plain
from ..training.fit import Progress
from ..training.run import TrainingRun
from . import combination, drawing, evaluation
from . import rows as forms
from .asked import steps_of, whole
from .ensemble import Ensemble, Prediction, needed
from .finish import finish, refit
from .frames import forecast_frame
from .metadata import ForecastMetadata, load_forecast
from .origins import Origins
from .panel.forecaster import PanelForecaster, form_of, on_panels
from .panel.metadata import PanelMetadata
from .recipe import ForecastRecipe
from .streaming import ForecastStream
from .task import forecast_task

if TYPE_CHECKING:
    from typing_extensions import Self

_INPUTS = {
    "window": schema.optional(schema.COUNT),
    "lags": schema.optional(schema.listed(schema.COUNT)),
    "scale": schema.one_of(("standard", "none")),
    "base": schema.one_of(combination.CHOICES),
    "log": schema.one_of(combination.LOGS),
    "steps": schema.optional(schema.COUNT),
    "refit": schema.BOOLEAN,
}


class Forecaster(drawing.Drawn, Origins):
    """A network that corrects a linear forecast of a series, or of several columns.

        forecaster = npseq.Forecaster("lstm", epochs=10, seed=0).fit(frame, target="load", horizon=1)
        forecast = forecaster.predict(48, interval=0.9)

    Args:
        model: ``"rnn"``, ``"lstm"``, ``"gru"``, an optimized one, or a registered name.
        window: rows that the network sees; by default 24 or fewer, with ``base="none"`` 12.
        lags: further inputs, the values this many rows earlier; by default none, with ``base="none"`` the season.
        scale: ``"standard"`` or ``"none"``.
        base: the forecast that the network corrects (``combination.CHOICES``).
        log: ``"yes"`` or ``"no"`` for a base of the logarithm, or not; by default where that is better.
        steps: rows ahead over which bases are compared; by default the horizon, or a season of at most 48 rows.
        refit: fit the base again to all rows after the training: ``predict``, ``stream`` and rows that ``update`` adds
            stand on that one, scores of the rows of ``fit`` on the one of the training.
        epochs …: the fields of ``training.config.TrainingConfig``, with its defaults.

    Attributes:
        members: the trained models, each with what its training has kept (``ForecastMetadata``): one after ``fit``, one
            for each file after ``load``.
        progress: of the training: ``best_epoch``, ``history``.

    Raises:
        ValueError, TypeError: for a setting that is not valid, or unknown.
    """

    def __init__(
        self,
        model: str = "lstm",
        *,
        window: int | None = None,
        lags: Sequence[int] | None = None,
        scale: str = "standard",
        base: str = "auto",
        log: str = "auto",
        steps: int | None = None,
        refit: bool = True,
        epochs: int = TrainingConfig.epochs,
        hidden_size: int = TrainingConfig.hidden_size,
        lr: float = TrainingConfig.lr,
        num_layers: int = TrainingConfig.num_layers,
        bidirectional: bool = TrainingConfig.bidirectional,
        read: str = TrainingConfig.read,
        dropout: float = TrainingConfig.dropout,
        recurrent_dropout: float = TrainingConfig.recurrent_dropout,
        forget_bias: float | None = TrainingConfig.forget_bias,
        batch_size: int | None = TrainingConfig.batch_size,
        clip: float = TrainingConfig.clip,
        optimizer: str = TrainingConfig.optimizer,
        weight_decay: float | None = TrainingConfig.weight_decay,
        schedule: str = TrainingConfig.schedule,
        warmup: int = TrainingConfig.warmup,
        patience: int | None = TrainingConfig.patience,
        loss: str | None = TrainingConfig.loss,
        seed: int = TrainingConfig.seed,
        dtype: str = TrainingConfig.dtype,
        threads: int | None = TrainingConfig.threads,
    ) -> None:
        given = locals()
        own = TrainingConfig(**{name: plain(given[name]) for name in NAMES})  # what is wrong is said here
        self.settings: dict[str, Any] = {"model": model, **own.changed(*NAMES[1:])}
        lags = [plain(lag) for lag in lags] if np.iterable(lags) and not isinstance(lags, str) else lags
        inputs = {"window": plain(window), "lags": lags, "scale": scale, "base": base, "log": log}
        inputs |= {"steps": plain(steps), "refit": plain(refit)}
        self._inputs = schema.check(inputs, _INPUTS, "the forecaster")
        self.members: list[tuple[Model, Any]] = []
        self.progress: Progress | None = None
        self._given: forms.Given | None = None
        self._table: Table | None = None
        self._read: list[str] = []  # the notes on the data that were read as a whole
        self._panel: PanelForecaster | None = None  # of data with several series

    def __repr__(self) -> str:
        usual = inspect.signature(Forecaster).parameters
        given = self.settings | {name: own for name, own in self._inputs.items() if own != usual[name].default}
        shown = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return "\n  ".join([f"Forecaster({shown})", *self.notes])

    @property
    def notes(self) -> list[str]:
        """What was found in the data and done to them, a line each: what ``npseq train`` prints. Those on rows given to
        ``update`` are of the last call.
        """
        found = self._table if self._panel is None else self._panel
        return [] if found is None else list(found.notes)

    def fit(
        self,
        data: Any,
        target: Sequence[str | int] | str | int | None = None,
        inputs: Sequence[str | int] | str | int | None = None,
        horizon: int = 1,
        *,
        future: Sequence[str | int] | str | int | None = None,
        time: str | None = None,
        id: str | None = None,
        jobs: int = 1,
        on_epoch: Callable[[Progress, bool], object] | None = None,
    ) -> Self:
        """Train on 70 % of the rows, choose the best epoch on the next 15 %, and leave the last 15 % for ``score``.

        Args:
            data: a DataFrame, a Series, an array (n,) or (n, C), a dict of arrays, or a file: what ``data.load`` takes.
            target: columns to forecast, by name, or by number from 0; by default the first one.
            inputs: other columns that the model reads. future: columns whose values are known ahead.
            horizon: rows to forecast at once.
            time: the time column; by default the first one with times, or the index.
            id: the column that names the series of a long table; with a column unique_id or item_id it is not needed.
            jobs: processes for the closed forms of several series.
            on_epoch: called after each epoch with (progress, True if it is the best so far).

        Raises:
            DataError: for data or columns that cannot be used, or a horizon that is not a whole number from 1.
            Diverged: for a loss that is not finite. KeyboardInterrupt: if the training is interrupted. After any error
            the forecaster is as it was.
        """
        asked: dict[str, Any] = {"target": _names(target), "inputs": _names(inputs), "future": _names(future)}
        asked["horizon"] = whole("horizon", horizon)
        several = isinstance(data, Panel) or isinstance(data, list) and data and np.ndim(data[0])
        data = data if several else forms.kept(data)
        said = TableOptions(id=id) if id else None
        table, columns = load_series(data, time, "past", options=said), {"time": time} if time else {}
        if isinstance(table, Panel):
            panel = PanelForecaster(self.settings, self._inputs["window"], jobs)
            self._panel = panel.fit(table, asked, columns, said, on_epoch)
            panel.form, self.members, self.progress = form_of(data, said), panel.members, panel.progress
            return self
        given = forms.Given(data, table, time)
        self._fit(table, asked, columns, on_epoch)
        self._panel, self._asked, self._given, self._table, self._read = None, asked, given, table, table.notes
        return self

    def _fit(
        self,
        table: Table,
        asked: dict[str, Any],
        columns: dict[str, str],
        on_epoch: Callable[[Progress, bool], object] | None = None,
    ) -> None:
        task = forecast_task(table, **asked, **self._inputs)
        own = TrainingConfig.of("forecast" if task.corrects else "alone", **self.settings)
        run = TrainingRun(task, own)
        with blas.limited(own.threads or 1):
            progress = run.train(on_epoch=on_epoch)
            if progress.interrupted:
                raise KeyboardInterrupt("the training was interrupted")
            more = {"columns": columns, "seed": own.seed, "best_epoch": progress.best_epoch, "settings": run.settings}
            kept = finish(run.model, task, **more, card=run.card(progress, task.fingerprint()))
            kept = evaluation.with_own_scores(run.model, kept, table)
            self.members = [(run.model, refit(run.model, task, kept))]
        self.progress = progress

    @on_panels
    def predict(
        self, steps: int | None = None, future: Any = None, interval: float | Sequence[float] | None = None
    ) -> Any:
        """Forecast the rows after the last value.

        Args:
            steps: how many; by default the rows of ``future``, or the horizon. Beyond the horizon forecasts are fed
                back.
            future: values of the columns known ahead, in the form of the data: a DataFrame, a dict of arrays, an array.
                Not needed if the data end with rows that have these values and no target.
            interval: coverage of prediction intervals, such as 0.9, or of several, such as [0.8, 0.95], of which the
                wider holds the narrower.

        Returns:
            If a DataFrame or a Series was given to ``fit``, a DataFrame that continues its index, with a column for
            each target, and with an interval NAME_low and NAME_high; with several NAME_low_80, NAME_high_80 and so on.
            Otherwise an array (steps,), or (steps, targets) for several; with an interval one more axis of 3: forecast,
            low, high; with L intervals of 1 + 2 L. Beyond the steps whose errors were measured in the training the
            interval widens with the square root of the step. A warning tells where the coverage that was measured on
            the test part at these steps is further than 7 points from the nominal one.

        Raises:
            DataError: before ``fit`` or without data; for values known ahead that are missing, steps beyond the
            horizon for a model that reads other inputs, steps that are not a whole number from 1, or an interval that
            is not between 0 and 1.
        """
        given, table = self._known()
        ensemble, found = self._forecast(steps, future, interval)
        for line in ensemble.doubts(found.ahead):
            warnings.warn(line, stacklevel=outer_level())
        if given.index is not None:
            return forecast_frame(given.index, ensemble.table, self._recipe.target, found)
        return found.array()

    def _forecast(self, steps: int | None, future: Any, interval: Any) -> tuple[Ensemble, Prediction]:
        given, table = self._known()
        recipe, steps = self._recipe, steps_of(steps)
        inputs, ahead = needed([trained.recipe for _, trained in self.members])
        empty = forms.without_values(table, recipe.target)
        if (ahead and future is None and not empty) or (future is not None and not ahead):
            names = ", ".join(ahead) or "no column"
            raise DataError(f"future {'is missing' if future is None else 'given'}: the model reads {names} ahead")
        if ahead and future is None:
            steps = steps or empty
        if future is not None:
            others = [*recipe.target, *(name for name in inputs if name not in ahead)]
            joined = forms.with_known_ahead(given.sample, future, table, ahead, others)
            values, times = given.read(joined, table, ahead)
            table, steps = table.append(values, times), steps or len(values)
        with blas.limited(1):
            ensemble = Ensemble(self.members, table, interval, in_use=True)
            return ensemble, ensemble.predict(steps or recipe.horizon)

    @on_panels
    def update(self, rows: Any) -> Self:
        """Append rows to the data: ``predict`` then starts after them. The model is not trained again.

        Rows at times that the data have already correct them (``Table.append``); ``notes`` counts them.

        Args:
            rows: in the form of the data. After ``load``, the first call gives all rows up to now.

        Raises:
            DataError: before ``fit``; for rows of another form, other columns, or a time off the steps of the data. The
            forecaster is then as it was.
        """
        inputs, ahead = needed([trained.recipe for _, trained in self.members])
        columns = [*self._recipe.target, *inputs, *ahead]
        if self._given is None or self._table is None:
            rows = forms.kept(rows)
            said = self.members[0][1].options
            table = load(rows, self._time, "past", options=said)
            self._given, self._table, self._read = forms.Given(rows, table, self._time, said), table, table.notes
            return self
        joined = forms.followed(self._given.sample, rows, columns)
        table = self._table.append(*self._given.read(joined, self._table, columns))
        table.notes = [*self._read, *table.notes[len(self._table.notes) :]]
        self._table = table
        return self

    @on_panels
    def score(self, steps: int | None = None, interval: float | Sequence[float] | None = 0.9) -> drawing.Score:
        """Score on the rows that the model was neither trained nor validated on, beside every baseline.

        Args:
            steps: to feed back; by default 48, or as many as the rows allow. interval: whose coverage is scored; of
                several the first one, and all their bounds as quantiles.

        Returns:
            What ``npseq evaluate --json`` prints (``evaluation.score``); ``.plot()`` draws the error by step.

        Raises:
            DataError: without data, or if they hold too few such rows; for steps or an interval as ``predict``.
        """
        _, table = self._known()
        with blas.limited(1):
            return drawing.score(self.members, table, steps, interval)

    @on_panels
    def stream(self) -> ForecastStream:
        """Return a stream, which takes a row at a time and gives what ``predict`` gives.

        Raises:
            DataError: before ``fit``, or for several files. ValueError: as ``ForecastStream``.
        """
        model, trained = self._only("a stream is of one")
        until = trained.fitted_until
        model, trained = trained.in_use(model)
        return ForecastStream(model, trained.recipe, trained.width, until)

    @on_panels
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights file of ``npseq train``.

        Raises:
            DataError: before ``fit``, or for several models. OSError: if it cannot be written.
        """
        model, trained = self._only("a file holds one")
        model_file.save_model(path, model, trained.to_json())

    @classmethod
    def load(cls, *paths: str | os.PathLike[str]) -> Self:
        """Return the forecaster of a weights file; of several, the mean of their forecasts. ``update`` gives it data.

        It has the settings, and ``backtest`` the columns, of the first file.

        Raises:
            CheckpointError: for a file that holds no forecaster. OSError: if one cannot be opened.
        """
        if not paths:
            raise TypeError("no file given; one or more expected")
        first = load_trained(os.fspath(paths[0]))
        members = [load_forecast(os.fspath(path)) for path in paths] if type(first[1]) is not PanelMetadata else []
        model, trained = first
        try:
            self = cls(**{**trained.settings, "model": model.kind, "seed": trained.seed})
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{os.fspath(paths[0])}: its settings are invalid: {error}") from None
        if isinstance(trained, PanelMetadata):
            self._panel = PanelForecaster.load(paths, self.settings)
            self.members = self._panel.members
            return self
        self.members = members
        self._asked = {name: getattr(trained.recipe, name) for name in ("target", "inputs", "future", "horizon")}
        return self

    @property
    def _recipe(self) -> ForecastRecipe:
        if not self.members:
            raise DataError("the forecaster is not trained: call fit, or load a file")
        found: ForecastRecipe = self.members[0][1].recipe
        return found

    def _only(self, why: str) -> tuple[Model, ForecastMetadata]:
        self._recipe  # noqa: B018  raises before fit
        if len(self.members) > 1:
            raise DataError(f"{len(self.members)} models; {why}")
        return self.members[0]

    @property
    def _time(self) -> str | None:
        return self.members[0][1].columns.get("time") if self.members else None

    def _known(self) -> tuple[forms.Given, Table]:
        """The form of the data and their table."""
        self._recipe  # noqa: B018  raises before fit
        if self._table is None or self._given is None:
            raise DataError("the forecaster has no data: give the rows up to now with update")
        return self._given, self._table


def _names(given: Sequence[str | int] | str | int | None) -> list[str] | None:
    return None if given is None else [str(name) for name in ([given] if isinstance(given, (str, int)) else given)]
