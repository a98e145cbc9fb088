"""Windows: the examples of a forecast, from any table and with any scaler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any

import numpy as np

from ..data.errors import DataError
from ..data.table import Table
from ..nn.scaling import Scaler, Scaling
from . import features
from .base import Batch
from .recipe import ForecastRecipe, from_json

CHUNK_EXAMPLES = 1 << 16  # examples whose errors are in memory at a time


class Windows:
    """The examples of a forecast, shared by training and inference.

    An example is the row r of the first predicted value; its inputs come from the rows r − window … r − 1. At each of
    these rows t the input is, standardised: the targets' values, the other inputs' values, the calendar of row t + 1
    (``features.calendar``, if there is a time column), and for each lag L the targets' values of the rows
    t + 1 − L … t + horizon − L. The target is the values of the rows r … r + horizon − 1, step by step, column by
    column.

    r is at least ``first`` and at most n: the example at row n, after the end, has inputs but no target.

    Args:
        table: a ``data.Table``.
        target, inputs: lists of columns; by default the first column of the file, and no others.
        window, horizon, lags: in rows.
        scaler: of the columns, the targets first; None for one that changes nothing.
        calendar: False leaves out the calendar.

    Raises:
        DataError: for a column that is missing or named twice, or a lag smaller than the horizon, whose value is not
            known yet.
    """

    def __init__(
        self,
        table: Table,
        target: Sequence[str] | str | None = None,
        inputs: Sequence[str] | str | None = None,
        window: int = 24,
        horizon: int = 1,
        lags: Sequence[int] = (),
        *,
        scaler: Scaler | None = None,
        calendar: bool = True,
    ):
        target, inputs = ([names] if isinstance(names, str) else names for names in (target, inputs))
        targets = [table.column(name) for name in target or [None]]
        self.columns = targets + [table.column(name) for name in inputs or ()]
        if twice := [table.columns[k] for k in dict.fromkeys(self.columns) if self.columns.count(k) > 1]:
            raise DataError(
                f"the column {twice[0]!r} is named twice: name each target once, and as inputs only other columns (the "
                "model sees the targets anyway)"
            )
        self.table, self.name = table, table.name
        self.window, self.horizon, self.lags = int(window), int(horizon), tuple(dict.fromkeys(int(lag) for lag in lags))
        self.target_columns = [table.columns[k] for k in targets]
        self.input_columns = [table.columns[k] for k in self.columns[len(targets) :]]
        if self.window < 1 or self.horizon < 1:
            raise DataError(f"a window of {window} rows and a horizon of {horizon}; at least 1 expected")
        for lag in self.lags:
            if lag < self.horizon:
                raise DataError(
                    f"the lag {lag} is smaller than the horizon {self.horizon}: its value is not known yet; at least "
                    f"{self.horizon} expected"
                )
        self.first = self.window + max(self.lags, default=1) - 1
        whole = self.columns == list(range(table.values.shape[1]))
        self.values = table.values if whole else table.values[:, self.columns]
        self.scaler = Scaler.identity(len(self.columns)) if scaler is None else scaler
        self.calendar, self._calendar = calendar and table.step is not None, None
        if self.calendar and table.start is not None:  # repeats after the least common multiple of week and step
            rows = min(features.WEEK // gcd(features.WEEK, table.step), len(self.values))
            self._calendar = features.calendar(table.start + np.arange(1, rows + 1) * np.timedelta64(table.step, "s"))
        self.output_size = self.horizon * len(targets)
        widths = [len(self.columns), len(features.CALENDAR) * self.calendar, len(self.lags) * self.output_size]
        self.input_size = sum(widths)
        self._from_calendar, self._from_lags = np.cumsum(widths[:2])
        self._index = np.int32 if len(self.values) < 2**31 else np.int64
        longest = len(self.values) + 1  # a window of a billion rows has no example, and needs no memory
        self._back = np.arange(-min(self.window, longest), 0, dtype=self._index)
        self._ahead = np.arange(min(self.horizon, longest), dtype=self._index)

    @classmethod
    def from_recipe(cls, recipe: ForecastRecipe | Mapping[str, Any], table: Table) -> Windows:
        """Return the examples of another table, prepared in the same way.

        Args:
            recipe: of a task, or as it is in ``model.metadata["recipe"]``.

        Raises:
            DataError: for a table without the columns, the time column or the time step of the training data.
        """
        if not isinstance(recipe, ForecastRecipe):
            recipe = from_json(recipe)
        if recipe.calendar and table.step is None:
            raise DataError(f"{table.name} has no time column; the model was trained with one")
        if recipe.calendar and None not in (recipe.step, table.start) and recipe.step != table.step:
            raise DataError(
                f"the rows of {table.name} are {table.step:,} s apart; the model was trained on rows {recipe.step:,} s "
                "apart and can only be used with the same step"
            )
        names = "target", "inputs", "window", "horizon", "lags", "scaler", "calendar"
        return cls(table, **{name: getattr(recipe, name) for name in names})

    @property
    def target_scaler(self) -> Scaler:
        """The scaler of the target columns."""
        return self.scaler.first(len(self.target_columns))

    def inputs(self, rows: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
        """Return x (B, window, I), standardised, of the examples ``rows``: only earlier rows are read."""
        seen = np.asarray(rows, self._index)[:, None] + self._back
        x = np.empty(seen.shape + (self.input_size,), dtype)
        x[:, :, : len(self.columns)] = self.scaler.standardise(self.values[seen])
        if self._calendar is not None:
            x[:, :, self._from_calendar : self._from_lags] = self._calendar[seen % len(self._calendar)]
        elif self.calendar:
            times, last = self.table.irregular, len(self.values) - 1
            after = times[np.minimum(seen + 1, last)] + (seen == last) * np.timedelta64(self.table.step, "s")
            x[:, :, self._from_calendar : self._from_lags] = features.calendar(after)
        O, at, scaler = len(self.target_columns), self._from_lags, self.target_scaler
        for lag in self.lags:
            for step in self._ahead:
                x[:, :, at : at + O] = scaler.standardise(self.values[seen + (step + 1 - lag), :O])
                at += O
        return x

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the inputs of the examples ``rows``: x (B, window, I), without a target."""
        return Batch(self.inputs(rows, dtype), None)

    def windows(self, rows: np.ndarray) -> np.ndarray:
        """Return x (B, window, I) in data units: what ``Model.predict`` takes.

        Raises:
            DataError: for rows without a whole window before them.
        """
        rows = np.atleast_1d(rows)
        if len(rows) and not self.first <= rows.min() <= rows.max() <= len(self.values):
            raise DataError(
                f"windows before the rows {rows.min()} … {rows.max()} asked for; rows from {self.first} to "
                f"{len(self.values)} have one"
            )
        return self.scaling().inputs.to_units(self.inputs(rows, np.float64))

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """Return the targets (B, horizon · targets), standardised: row by row, column by column."""
        predicted = np.asarray(rows, self._index)[:, None] + self._ahead
        values = self.values[predicted, : len(self.target_columns)]
        return self.target_scaler.standardise(values).reshape(len(predicted), -1)

    def to_units(self, y: np.ndarray) -> np.ndarray:
        """Return standardised outputs (B, horizon · targets) in data units, float64."""
        return self.target_scaler.repeat(self.horizon).to_units(y)

    def metrics(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        """Return root mean squared error and mean absolute error, in data units, over all predicted values."""
        squares, sizes = np.zeros(self.output_size), np.zeros(self.output_size)
        for start in range(0, len(rows), CHUNK_EXAMPLES):
            part = slice(start, start + CHUNK_EXAMPLES)
            errors = predictions[part] - self.to_units(self.targets(rows[part]))
            squares += (errors * errors).sum(axis=0)
            sizes += np.abs(errors).sum(axis=0)
        squares, sizes = squares / len(rows), sizes / len(rows)
        result = {"rmse": float(np.sqrt(squares.mean())), "mae": float(sizes.mean())}
        if self.output_size > 1:
            result["rmse_by_output"] = np.sqrt(squares).tolist()
        return result

    def scaling(self) -> Scaling:
        """Return the scaling of ``Model.predict``; the calendar is not scaled."""
        calendar = Scaler.identity(self._from_lags - self._from_calendar)
        lagged = self.target_scaler.repeat(len(self.lags) * self.horizon)
        return Scaling(Scaler.join([self.scaler, calendar, lagged]), self.target_scaler.repeat(self.horizon))
