"""Forecasts of the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from ..data.errors import DataError
from ..data.table import Table
from ..nn.scaling import Scaler
from . import baselines, features
from .base import Batch, fingerprint
from .recipe import ForecastRecipe
from .windows import Windows

LARGEST_Z = 1e15  # its square, summed over a batch, is finite in float32


class Forecast(Windows):
    """Predict the next ``horizon`` values of one or more columns from the last ``window`` rows (see ``Windows``).

    The rows are split in time at int(0.70 n) and int(0.85 n): an example belongs to the part in which all its predicted
    rows lie; its window may reach back across the border. Columns are standardised by the training rows, or not at all
    (``scale="none"``), unless a ``scaler`` is given.

    Args:
        table, target, inputs, window, horizon, scaler, calendar: as ``Windows``.
        lags: in rows; ``"auto"`` takes ``seasonal_lags``.
        scale: ``"standard"`` or ``"none"``.

    Raises:
        DataError: as ``Windows``, for too few rows, or for a value far outside the range of the training rows.
    """

    kind, loss = "forecast", "mse"

    def __init__(
        self,
        table: Table,
        target: Sequence[str] | str | None = None,
        inputs: Sequence[str] | str | None = None,
        window: int = 24,
        horizon: int = 1,
        lags: Sequence[int] | str = (),
        scale: str = "standard",
        *,
        scaler: Scaler | None = None,
        calendar: bool = True,
    ):
        if scale not in ("standard", "none"):
            raise DataError(f"scale {scale!r} given; standard or none expected")
        n = len(table.values)
        a, b = int(0.70 * n), int(0.85 * n)
        first_target = target if isinstance(target, str) else (target or [None])[0]
        self.season = features.season(table.values[:a, table.column(first_target)], table.step)
        if lags == "auto":
            lags = seasonal_lags(self.season, table.step, horizon, a)
        super().__init__(table, target, inputs, window, horizon, lags, scaler=scaler, calendar=calendar)
        first = self.first
        ends = {"train": (first, a), "validation": (max(a, first), b), "test": (max(b, first), n)}
        self.parts = {
            part: np.arange(start, end - self.horizon + 1, dtype=self._index) for part, (start, end) in ends.items()
        }
        if any(len(rows) == 0 for rows in self.parts.values()):
            needed = max(ceil((first + self.horizon) / 0.7), ceil(self.horizon / 0.15)) + 2
            raise DataError(
                f"{self.name} has {n:,} rows: too few for a window of {self.window}, a horizon of "
                f"{self.horizon} and lags {list(self.lags)}; about {needed:,} are needed"
            )
        self.train_end, self.scale = a, scale
        if scaler is None and scale == "standard":
            self.scaler = Scaler.fit(self.values[:a])
        self._check_range()

    def _check_range(self):
        for k, name in enumerate(self.target_columns + self.input_columns):
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
        return Batch(self.inputs(rows, dtype), self.targets(rows).astype(dtype))

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the metrics of each baseline on the test rows (``baselines.forecasts``), column by column."""
        rows, columns = self.parts["test"], range(len(self.target_columns))
        by_column = [
            baselines.forecasts(self.values[:, k], self.table, self.season, self.train_end, rows, self.horizon)
            for k in columns
        ]
        results = {}
        for name in list(by_column[0]):
            forecast = np.stack([column.pop(name) for column in by_column], axis=2)  # frees one after the other
            results[name] = self.metrics(forecast.reshape(len(rows), -1), rows)
        return results

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        n = len(self.values)
        lines = [
            f"data        {self.name}: {n:,} rows, predicting {', '.join(self.target_columns)}"
            + (f" {self.horizon} rows ahead" if self.horizon > 1 else "")
            + f" from the last {self.window}"
            + (f" and those {', '.join(map(str, self.lags))} rows before" if self.lags else "")
            + (f" and {len(self.input_columns)} other columns" if self.input_columns else "")
        ]
        lines += [f"            {note}" for note in self.table.notes]
        columns = zip(self.target_columns + self.input_columns, self.values[: self.train_end].T)
        constant = [name for name, column in columns if column.min() == column.max()]
        if constant:
            lines.append(f"            constant in the training rows: {', '.join(constant)}")
        if self.season and self.season not in self.lags and self.season >= self.horizon:
            lines.append(
                f"            a season of {self.season} rows was found: --lags {self.season} gives it to the model"
            )
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return lines + [f"split       {sizes} examples, in time order"]

    def recipe(self) -> ForecastRecipe:
        """Return what a weights file must keep to prepare new data in the same way."""
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
        )

    def fingerprint(self) -> str:
        """Return a hash of the data and of how they are prepared."""
        return fingerprint(self.table.fingerprint(), self.recipe().to_json())


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
