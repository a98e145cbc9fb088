"""Forecasts of the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from ..data.errors import DataError, listed
from ..data.table import Table
from ..formats.messages import Message, argument, marked
from ..nn.model import Model
from ..nn.scaling import Scaler
from ..tasks.base import Batch, Task, fingerprint
from ..tasks.scoring import shrunk_factor
from ..tasks.seen import SeenRows
from ..training.config import DEFAULTS
from . import baselines, bases, combination, features
from .base_model import AnyBase, BaseModel
from .bases import BaseModels
from .candidates import Series
from .recipe import ForecastRecipe
from .windows import WINDOW, WindowDataset

SPLIT = 0.70, 0.85  # of the rows: where the validation part begins, and where the test part does
LARGEST_Z = 1e15  # its square, summed over a batch, is finite in float32


class ForecastTask(WindowDataset, Task):
    """Predict the next ``horizon`` values of one or more columns from the last ``window`` rows (see ``WindowDataset``).

    The rows are split in time at the fractions ``SPLIT``: an example belongs to the part in which all its predicted
    rows lie; its window may reach back across the border. Columns are standardised by the training rows, or not at all
    (``scale="none"``), unless a ``scaler`` is given. Test examples without any observed value are left out. So are
    training and validation examples with a predicted value that was missing; if those were more than half of one part,
    only those without any observed value are.

    Args:
        table, target, inputs, window, horizon, scaler, more (calendar, future): as ``WindowDataset``.
        lags: in rows; ``"auto"`` takes ``seasonal_lags``.
        scale: ``"standard"`` or ``"none"``.
        base: ``"none"`` for a network alone; a name of ``combination.CHOICES`` for a base that is fitted to the
            training rows, of which ``"auto"`` combines the best on the validation rows; or ``BaseModels`` of a recipe.
        log, steps: of the base (``combination.Choice``).
        refit: choose and fit the base again on all rows, for forecasts after their end (``final.refitted``).

    Raises:
        DataError: as ``WindowDataset``, for too few rows, or for a value far outside the range of the training rows.
    """

    kind, loss = "forecast", "mse"

    def __init__(
        self,
        table: Table,
        target: Sequence[str] | str | None = None,
        inputs: Sequence[str] | str | None = None,
        window: int = WINDOW,
        horizon: int = 1,
        lags: Sequence[int] | str = (),
        scale: str = "standard",
        *,
        scaler: Scaler | None = None,
        base: str | BaseModels | None = "none",
        log: str = "auto",
        steps: int | None = None,
        refit: bool = True,
        **more: Any,
    ):
        if scale not in ("standard", "none"):
            raise DataError(f"scale {scale!r} given; standard or none expected")
        if isinstance(base, str) and base not in combination.CHOICES:
            raise DataError(f"base {base!r} given; one of {', '.join(combination.CHOICES)} expected")
        if log not in combination.LOGS:
            raise DataError(f"log {log!r} given; one of {', '.join(combination.LOGS)} expected")
        self._log, self._steps = log, steps
        n = len(table.values)
        a, b = self.split = split_rows(n)
        self._kind, self.refit = base, refit
        self.train_end, self.scale = a, scale
        self._fitted: dict[str, list[BaseModel]] | None = None
        self._seen: SeenRows | None = None
        self._refitted: dict[int, tuple[AnyBase, ...] | None] = {}
        super().__init__(table, target, inputs, window, horizon, scaler=scaler, **more)
        self.season = features.season(self.values[:a, 0], table.step)
        own = seasonal_lags(self.season, table.step, horizon, a) if isinstance(lags, str) else lags
        self.lags = self._checked_lags(own)
        if scaler is None and scale == "standard" and a > 0:
            self.scaler = Scaler.fit(self.values[:a])
        self._use(base if isinstance(base, BaseModels) else None)
        self._split(a, b)
        self._check_range()
        if isinstance(base, str) and base != "none":
            self._use(self._fit_base(base, b))
            self._split(a, b)

    def _split(self, a: int, b: int) -> None:
        """Take the examples of the three parts."""
        n, first, h = len(self.values), self.first, self.horizon
        self._targets: np.ndarray | None = None  # of all rows, for this base
        ends = {"train": (first, a), "validation": (max(a, first), b), "test": (max(b, first), n)}
        self.parts = {part: np.arange(start, end - h + 1, dtype=self._index) for part, (start, end) in ends.items()}
        if self.filled is not None:
            self._leave_out_missing()
        if any(len(rows) == 0 for rows in self.parts.values()):
            needed = max(ceil((first + self.horizon) / SPLIT[0]), ceil(self.horizon / (1 - SPLIT[1]))) + 2
            if n >= needed:
                part = next(part for part, rows in self.parts.items() if not len(rows))
                raise DataError(
                    f"{self.name}: no value of {', '.join(self.target_columns)} in the {part} part, the rows "
                    f"{ends[part][0]:,} to {ends[part][1] - 1:,}"
                )
            why = f"the first value of {self.latest!r} in row {self._lead - 1:,}" if first == self._lead else ", ".join(
                [f"a window of {self.window}", *([f"lags {list(self.lags)}"] if self.lags else []),
                 f"a horizon of {self.horizon}"])  # fmt: skip
            raise DataError(f"{self.name}: {n:,} rows are too few for {why}; about {needed:,} are needed")

    def _leave_out_missing(self) -> None:
        """Leave out the examples whose predicted values were missing."""
        whole = {part: np.all(self.observed(rows), axis=1) for part, rows in self.parts.items()}
        some = {part: np.any(self.observed(rows), axis=1) for part, rows in self.parts.items()}
        learned = "train", "validation"
        kept = whole if all(2 * whole[part].sum() >= len(whole[part]) for part in learned) else some
        self.parts = {part: rows[(kept if part in learned else some)[part]] for part, rows in self.parts.items()}

    def _fit_base(self, kind: str, b: int) -> BaseModels:
        """Fit the base of each target to the training rows."""
        a = self.train_end
        parts = self._chosen(kind, a, b)
        if parts is None:
            of = " of the logarithm" if self._log == "yes" else ""
            raise DataError(f"a base {kind!r}{of} asked for: the training rows of {self.name} allow none")
        raw = BaseModels(parts, np.ones(self.output_size), np.zeros(self.output_size, bool))
        self._use(raw)
        rows = np.arange(raw.order, a - self.horizon + 1)
        errors = np.where(self.observed(rows), self.targets(rows), np.nan)
        spread = np.sqrt(np.nanmean(errors * errors, axis=0)) if len(rows) else np.zeros(self.output_size)
        return BaseModels.of(parts, np.nan_to_num(spread), bases.error_lags(self.table, self.season, a))

    @property
    def corrects(self) -> bool:
        """True if the model corrects a base forecast."""
        return self.base is not None

    def _chosen(self, kind: str, fitted: int, stop: int, refit: bool = False) -> tuple[AnyBase, ...] | None:
        """The base of each target (``combination.Choice``), or None if the rows allow none for one of them."""
        choice = combination.Choice(kind, self.table, fitted, stop, self._log, self._steps, self.horizon, refit)
        parts = [choice.best(self._series(k)) for k in range(len(self.target_columns))]
        return None if None in parts else tuple(part for part in parts if part is not None)

    def refitted_base(self, stop: int) -> BaseModels | None:
        """Return the base of this kind, chosen on the last fifth of the rows before ``stop`` and fitted to all of them;
        None if they allow none. What the network knows of it, the scale of its errors, stays.
        """
        if self.base is None or not isinstance(self._kind, str):
            return None
        if stop not in self._refitted:  # several trainings may share the task
            self._refitted[stop] = self._chosen(self._kind, int((1 - combination.SHARE) * stop), stop, True)
        parts = self._refitted[stop]
        return None if parts is None else replace(self.base, parts=parts)

    def _series(self, k: int) -> Series:
        """What the base of the target k is fitted to."""
        scaler, n = self.target_scaler, len(self.values)
        known = self._known(np.arange(n)) if self.future_columns else None
        z = np.ascontiguousarray(scaler.standardise(self.values[:, : len(scaler)])[:, k])
        filled = None if self.filled is None else self.filled[:, k]
        return Series(z, float(scaler.mean[k]), float(scaler.scale[k]), self.table.times, known, filled)

    def prepare(self, model: Model) -> None:
        """Set the head of a new model to zero if there is a base: the untrained model then is the base forecast."""
        if self.base is not None:
            model.fc.theta[...] = 0

    def shrink(self, model: Model, y: np.ndarray | None = None) -> None:
        """Multiply each output of a trained model by the factor from 0 to 1 that fits the validation part best
        (``scoring.shrunk_factor``): where the network's correction does not help, the base forecast remains. ``y``: its
        outputs on the validation part, if known.
        """
        if self.base is None:
            return
        rows = self.parts["validation"]
        y, t = (self.raw_outputs(model, rows) if y is None else y).astype(float), self.targets(rows)
        repeats = np.repeat(np.arange(1.0, self.horizon + 1), len(self.target_columns))
        gamma = shrunk_factor(y, np.where(self.observed(rows), t, np.nan), repeats)
        for array in model.fc.params.values():
            array *= gamma.astype(array.dtype).reshape(-1, *[1] * (array.ndim - 1))

    def _check_range(self) -> None:
        for k, name in enumerate(self.target_columns + self.input_columns + self.future_columns):
            column, mean, scale = self.values[:, k], self.scaler.mean[k], self.scaler.scale[k]
            if max(column.max() - mean, mean - column.min()) > LARGEST_Z * scale:
                row = int(np.abs(column - mean).argmax())
                raise DataError(
                    f"{self.name}: row {row} of {name!r} holds {self.values[row, k]:.3g}, far outside the range of the "
                    f"training rows (mean {mean:.3g}, standard deviation {scale:.3g}); correct it, or leave the cell "
                    "empty"
                )

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the examples ``rows``, their first predicted rows: x (B, window, I), target (B, horizon · targets)."""
        if not self.fits_cache:
            return Batch(self.inputs(rows, dtype), self.targets(rows).astype(dtype))
        if self._targets is None:
            self._targets = self.targets(np.arange(len(self.values) - self.horizon + 1))
        return Batch(self.inputs(rows, dtype), self._targets[rows].astype(dtype))

    def seen_rows(self) -> SeenRows:
        """Return what tells the rows of the training and validation parts, which a weights file keeps."""
        if self._seen is None:
            self._seen = SeenRows.of(self.table, self.columns, split_rows(len(self.values))[1])
        return self._seen

    def range(self, rows: int | None = None) -> list[list[float]]:
        """Return the smallest and the largest value of each column in the first ``rows``, by default those of the
        training."""
        values = self.values[: rows or self.train_end]
        return [[float(column.min()), float(column.max())] for column in values.T]

    def fitted_baselines(self) -> dict[str, list[BaseModel]]:
        """Return the baselines that a weights file keeps, to compare the model with (``baselines.fit``)."""
        if self._fitted is None:
            self._fitted = baselines.fit(self, self.train_end, split_rows(len(self.values))[1], self.season)
        return self._fitted

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the metrics of each baseline on the test rows."""
        rows, found = self.parts["test"], baselines.Baselines(self, self.fitted_baselines())
        return {
            name: self.metrics(found.forecast(name, rows, self.horizon), rows) for name in found.before(int(rows[0]))
        }

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        n, named = len(self.values), self.target_columns
        targets = ", ".join(named) if len(named) <= bases.MANY else listed(named)
        lines = [
            f"data        {self.name}: {n:,} rows, predicting {targets}"
            + (f" {self.horizon} rows ahead" if self.horizon > 1 else "")
            + f" from the last {self.window}"
            + (f" and those {', '.join(map(str, self.lags))} rows before" if self.lags else "")
            + (f" and {len(self.input_columns)} other columns" if self.input_columns else "")
            + (f"; {', '.join(self.future_columns)} known ahead" if self.future_columns else "")
        ]
        if self.base is not None:
            lines += bases.describe(self.base, self.target_columns, self.table)
        lines += [Message(f"            {marked(note)}") for note in self.table.notes]
        used = self.target_columns + self.input_columns + self.future_columns
        if unused := [name for name in self.table.columns if name not in used and name not in self.table.counters]:
            how = f"name {'it' if len(unused) == 1 else 'them'} with {argument('inputs')}"
            lines.append(Message(f"            {listed(unused)}: not used; {how}"))
        columns = zip(used, self.values[: self.train_end].T)
        constant = [name for name, column in columns if column.min() == column.max()]
        if constant:
            lines.append(f"            constant in the training rows: {', '.join(constant)}")
        if self.base is None and self.season and self.season not in self.lags and self.season >= self.horizon:
            how = argument("lags", [self.season])
            lines.append(Message(f"            a season of {self.season} rows was found: {how} gives it to the model"))
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return lines + [f"split       {sizes} examples, in time order"]

    def recipe(self, base: BaseModels | None = None) -> ForecastRecipe:
        """Return what a weights file must keep to prepare new data in the same way; with another ``base`` if given."""
        return ForecastRecipe(
            data=self.name,
            target=self.target_columns,
            inputs=self.input_columns,
            window=self.window,
            horizon=self.horizon,
            lags=list(self.lags),
            scale=self.scale,
            step=None if self.table.start is None else self.table.step,  # says nothing of irregular times
            calendar=self.calendar,
            scaler=self.scaler,
            future=self.future_columns,
            base=base or self.base,
        )

    def settings(self) -> dict[str, Any]:
        """Return what was asked for, where it is not the default of ``forecast_task``."""
        n, alone = len(self.values), self._kind == "none"
        lags = seasonal_lags(self.season, self.table.step, self.horizon, self.train_end) if alone else ()
        window = DEFAULTS["alone"]["window"] if alone else default_window(n)
        usual = {"window": window, "lags": lags, "scale": "standard", "base": "auto", "log": "auto", "steps": None}
        own: dict[str, Any] = {
            "window": self.window,
            "lags": self.lags,
            "scale": self.scale,
            "base": self._kind,
            "log": self._log,
        }
        own |= {"steps": self._steps, "refit": self.refit}
        found = {name: value for name, value in own.items() if value != {**usual, "refit": True}[name]}
        return {name: list(value) if name == "lags" else value for name, value in found.items()}

    def fingerprint(self) -> str:
        """Return a hash of the data and of how they are prepared."""
        return fingerprint(self.table.fingerprint(), self.recipe().to_json())


def default_window(rows: int) -> int:
    """Return the window for a table of so many rows: ``WINDOW``, or a quarter of the training rows if that is less."""
    return max(1, min(WINDOW, split_rows(rows)[0] // 4))


def split_rows(rows: int) -> tuple[int, int]:
    """Return the row at which the validation part begins, and the one at which the test part does."""
    first, second = SPLIT
    return int(first * rows), int(second * rows)


def seasonal_lags(season: int | None, step: int | None, horizon: int, train_end: int) -> tuple[int, ...]:
    """Return the default lags: the season detected in the training rows and the day, if it divides the season.

    Lags shorter than the horizon are dropped; there are none if they would cost more than a tenth of the training rows.

    Args:
        season: in rows, or None. step: seconds between rows, or None. train_end: number of training rows.
    """
    if not season:
        return ()
    day = features.DAY // step if step and features.DAY % step == 0 else season
    candidates = [day, season] if 1 < day < season and season % day == 0 else [season]
    lags = tuple(lag for lag in candidates if lag >= horizon)
    return lags if lags and max(lags) <= 0.1 * train_end else ()


def forecast_task(
    table: Table, window: int | None = None, lags: Sequence[int] | None = None, base: str = "auto", **more: Any
) -> ForecastTask:
    """Return the task of a forecast, with the defaults of ``npseq train`` for window, lags and base.

    Args:
        more: as ``ForecastTask``.

    Raises:
        DataError: as ``ForecastTask``.
    """
    alone = base == "none"
    if window is None:
        window = DEFAULTS["alone"]["window"] if alone else default_window(len(table.values))
    own: Sequence[int] | str = lags if lags is not None else "auto" if alone else []
    return ForecastTask(table, window=window, lags=own, base=base, **more)
