"""What ``Forecaster`` does on data that hold several series."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from ...data.content import FIELD_IDS
from ...data.errors import DataError
from ...data.grid import Numbers
from ...data.load import read_panel
from ...data.panel import Panel
from ...data.panel_reader import of_arrays
from ...data.sources import TableOptions
from ...formats import model_file
from ...training.config import TrainingConfig
from ...training.fit import Progress
from ...training.run import TrainingRun
from ..asked import coverages_of, steps_of
from ..rows import is_pandas
from . import drawing, ensemble, scores
from .ensemble import Member, PanelEnsemble, PanelForecast
from .metadata import load_panel
from .series import observed
from .task import panel_task

if TYPE_CHECKING:
    from typing_extensions import Self

M = TypeVar("M", bound=Callable[..., Any])


class PanelForecaster:
    """Closed forms for each of many series, one network for all, and their combination.

    Args:
        settings: of ``TrainingConfig``. window: steps of the network. jobs: processes for the closed forms.

    Attributes:
        members: the networks, each with what its training has kept. panel: the data. form: of a DataFrame in which they
            were given (``form_of``), or None.
    """

    def __init__(self, settings: dict[str, Any], window: int | None = None, jobs: int = 1):
        self.settings, self.window, self.jobs = settings, window, jobs
        self.members: list[Member] = []
        self.progress: Progress | None = None
        self.panel: Panel | None = None
        self.form: dict[str, Any] | None = None
        self.options: TableOptions | None = None
        self.asked: dict[str, Any] = {}

    def fit(
        self,
        panel: Panel,
        asked: dict[str, Any],
        columns: dict[str, str] | None = None,
        options: TableOptions | None = None,
        on_epoch: Callable[[Progress, bool], object] | None = None,
    ) -> Self:
        """Train on all rows but the last ones of each series, from which shares and intervals come.

        Args:
            asked: target, horizon, inputs, future. columns, options: as ``Metadata``. on_epoch: as ``fit.fit``.

        Raises:
            DataError: for columns or a horizon that cannot be used. KeyboardInterrupt: if it is interrupted.
        """
        target = asked.get("target") or None
        if target is not None and len(target) > 1:
            raise DataError(f"{len(target)} targets given; of several series one column is forecast")
        more = [asked.get(name) for name in ("inputs", "future")]
        task = panel_task(panel, target and target[0], asked["horizon"], self.window, *more)
        config = TrainingConfig.of("panel", **self.settings)
        run = TrainingRun(task, config)
        progress = run.train(on_epoch=on_epoch)
        if progress.interrupted:
            raise KeyboardInterrupt("the training was interrupted")
        kept_of: dict[str, Any] = {"columns": columns or {}, "seed": config.seed, "best_epoch": progress.best_epoch}
        kept_of["card"] = run.card(progress, task.fingerprint())
        said = options.to_json() if options else {}
        kept = ensemble.finish(run.model, task, self.jobs, **kept_of, settings=run.settings, table=said)
        self.members, self.progress, self.panel, self.options = [(run.model, kept)], progress, panel, options
        self.asked = asked
        return self

    @property
    def notes(self) -> list[str]:
        """What was found in the data, a line each."""
        return [] if self.panel is None else list(self.panel.notes)

    def known(self) -> Panel:
        """Return the data. Raises DataError without."""
        if self.panel is None:
            raise DataError("the forecaster has no data: give the rows up to now with update")
        return self.panel

    def predict(self, steps: int | None = None, future: Any = None, interval: Any = None) -> Any:
        """Forecast the rows after the end of each series; arguments as ``Forecaster.predict``.

        Returns:
            If a DataFrame was given, one with the columns unique_id, ds, npseq, and for each interval npseq-lo-90 and
            npseq-hi-90; otherwise a dict of name -> array (steps,), with L intervals (steps, 1 + 2 L).
        """
        coverages = coverages_of(interval)
        _, found = self._forecast(steps, future, coverages)
        columns = columns_of(found, coverages)
        if self.form is not None:
            return _frame(columns, self.form)
        values = [value for name, value in columns.items() if name not in ("unique_id", "ds")]
        table = np.stack(values, axis=1).reshape(len(found.ids), -1, len(values))
        return {name: rows if coverages else rows[:, 0] for name, rows in zip(found.ids, table)}

    def _forecast(self, steps: int | None, future: Any, coverages: tuple[float, ...]) -> tuple[Panel, PanelForecast]:
        panel, ahead = self.known(), self.members[0][1].recipe.future
        if future is not None:
            if not ahead:
                raise DataError("future given: the model reads no column ahead")
            panel = panel.append(self._read(future, ahead).only(ahead, panel))
        return panel, PanelEnsemble(self.members, panel, self.jobs).predict(steps_of(steps), coverages)

    def plot(self, steps: int | None = None, future: Any = None, interval: float | None = 0.9) -> Any:
        """Draw what ``predict`` gives of the first series, as ``Forecaster.plot``."""
        coverage = (*coverages_of(interval), 0.9)[0]
        panel, found = self._forecast(steps, future, (coverage,))
        return drawing.grid(None, panel, found, coverage, f"{panel.name}: the next {found.mean.shape[1]} rows")

    def _read(self, rows: Any, names: Sequence[str] | None = None) -> Panel:
        """The panel of new rows; ``names``: of the columns of arrays, by default those of the data."""
        known = {} if self.panel is None else {one: k for k, one in enumerate(self.panel.ids)}
        arrays = dict(enumerate(rows)) if isinstance(rows, (list, tuple)) else rows
        if isinstance(arrays, Mapping) and known and {*map(str, arrays)} <= {*known}:
            assert self.panel is not None
            ends = [self.panel.times_after(known[str(one)], 2) for one in arrays]
            if all(times.dtype.kind == "i" for times in ends):  # arrays by name, which follow the rows of their series
                grids = [Numbers(int(first), int(second - first)) for first, second in ends]
                found = of_arrays("the rows", arrays, "past", grids)
                named = list(names or self.panel.columns)
                return (
                    replace(found, columns=named, all_columns=named) if len(named) == found.values.shape[1] else found
                )
        return read_panel(rows, self.members[0][1].columns.get("time"), options=self.options)

    def update(self, rows: Any) -> Self:
        """Append rows to the series, and new series; after ``load`` the first call gives all rows up to now."""
        new, self.form = self._read(rows), form_of(rows, self.options)
        self.panel = new if self.panel is None else self.panel.append(new)
        return self

    def score(self, steps: int | None = None, interval: Any = 0.9) -> drawing.PanelScore:
        """Score the last rows of each series (``scores.evaluate``)."""
        panel, coverage = self.known(), (*coverages_of(interval), 0.9)[0]
        found = scores.evaluate(self.members, panel, steps, coverage, self.jobs)
        about = {"panel": panel, "members": self.members, "steps": found["steps"], "coverage": coverage}
        return drawing.PanelScore(found, partial(drawing.scored, **about))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights file of ``npseq train``."""
        if len(self.members) != 1:
            raise DataError(f"{len(self.members)} models; a file holds one")
        model, kept = self.members[0]
        model_file.save_model(path, model, kept.to_json())

    @classmethod
    def load(cls, paths: Sequence[str | os.PathLike[str]], settings: dict[str, Any]) -> Self:
        """Return the forecaster of weights files, whose networks are averaged. Errors as ``load_panel``."""
        self = cls(settings)
        self.members = [load_panel(os.fspath(path)) for path in paths]
        recipe, kept = self.members[0][1].recipe, self.members[0][1]
        self.window, self.options = recipe.window, kept.options
        self.asked = {"target": [recipe.target], "horizon": recipe.horizon}
        self.asked |= {"inputs": recipe.inputs or None, "future": recipe.future or None}
        return self

    def origins(
        self, panel: Panel, asked: dict[str, Any], h: int, n_windows: int, step_size: int, refit: bool
    ) -> Iterator[tuple[list[Member], Panel, int]]:
        """Yield for each window the networks, the series that are long enough, and how many of their last rows the
        networks have not seen. Arguments and errors as ``Forecaster.cross_validation``."""
        used, panel = self, observed(panel, (asked["target"] or [None])[0])
        for back in range(h + (n_windows - 1) * step_size, h - 1, -step_size):
            long = panel.take(np.flatnonzero(panel.lengths > back))
            if not len(long):
                raise DataError(f"no series has more than {back:,} rows, as the first window needs")
            if refit or used is self:
                used = PanelForecaster(self.settings, self.window, self.jobs).fit(long.without_last(back), asked)
            yield used.members, long, back

    def cross_validation(self, panel: Panel, asked: dict[str, Any], h: int, *windows: Any) -> Any:
        """As ``Forecaster.cross_validation``, which calls it with the panel and what was asked."""
        parts: list[dict[str, np.ndarray]] = []
        for members, long, back in self.origins(panel, asked, h, *windows):
            found = PanelEnsemble(members, long, self.jobs, held_out=back).predict(h, ())
            each, column = list(zip(found.places, found.ends)), long.column(found.target)
            cutoff = np.concatenate([np.repeat(long.times(k)[end - 1], h) for k, end in each])
            actual = np.concatenate([long.values[long.rows(k), column][end : end + h] for k, end in each])
            parts.append({**columns_of(found, ()), "cutoff": cutoff, "y": actual})
        names = "unique_id", "ds", "cutoff", "y", "npseq"
        return _frame({name: np.concatenate([part[name] for part in parts]) for name in names}, self.form or {})


def columns_of(found: PanelForecast, coverages: Sequence[float]) -> dict[str, np.ndarray]:
    """Return the columns of forecasts in long form: unique_id, ds, npseq, npseq-lo-90, npseq-hi-90, …"""
    steps = found.mean.shape[1]
    columns = {"unique_id": np.repeat(np.array(found.ids, object), steps), "ds": np.concatenate(found.times)}
    columns["npseq"] = found.mean.ravel()
    for p in coverages:
        columns[f"npseq-lo-{100 * p:.6g}"] = found.low[p].ravel()
        columns[f"npseq-hi-{100 * p:.6g}"] = found.high[p].ravel()
    return columns


def form_of(data: Any, options: TableOptions | None) -> dict[str, Any] | None:
    """Return the types that ids and zoned times have in a DataFrame in long form; None for other data."""
    if not is_pandas(data):
        return None
    ids, found = FIELD_IDS if options is None or options.id is None else (options.id,), {}
    for name, dtype in data.iloc[:1].reset_index().dtypes.items():
        if name in ids or getattr(dtype, "tz", None) is not None:
            found["unique_id" if name in ids else "ds"] = dtype
    return found


def _frame(columns: dict[str, np.ndarray], form: Mapping[str, Any]) -> Any:
    """A DataFrame with the types of the data's, so that both can be merged."""
    import pandas as pd

    frame = pd.DataFrame(columns)
    if "unique_id" in form:
        dtype = form["unique_id"]
        inner = dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype
        frame["unique_id"] = frame["unique_id"].astype(inner).astype(dtype)
    for name in {"ds", "cutoff"} & {*frame} if "ds" in form else ():
        frame[name] = frame[name].dt.tz_localize("UTC").astype(form["ds"])
    return frame


def on_panels(method: M) -> M:
    """A method of ``Forecaster`` that, for several series, is that of the ``PanelForecaster`` in ``_panel``."""

    @wraps(method)
    def either(self: Any, *args: Any, **more: Any) -> Any:
        if self._panel is None:
            return method(self, *args, **more)
        own = getattr(self._panel, method.__name__, None)
        if own is None:
            raise DataError(f"{method.__name__} is for one series; this forecaster has several")
        found = own(*args, **more)
        return self if found is self._panel else found

    return cast(M, either)
