"""WindowDataset: the examples of a forecast, from any table and with any scaler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..data.errors import DataError
from ..data.missing import fill_column
from ..data.table import Table
from ..nn.scaling import Scaler, Scaling
from ..tasks.base import Batch, Dataset
from ..tasks.metrics import errors
from ..tasks.recipe import Recipe, from_json
from ..training.config import DEFAULTS
from . import base_model, features
from .bases import BaseModels
from .calendar_slots import row_times
from .recipe import of_forecast

if TYPE_CHECKING:
    from typing_extensions import Self

WINDOW: int = DEFAULTS["forecast"]["window"]  # rows that a model sees by default
LARGEST_CACHE = 1 << 24  # numbers: inputs and targets of all rows are kept if they are no more


class WindowDataset(Dataset):
    """The examples of a forecast, shared by training and inference.

    An example is the row r of the first predicted value; its inputs come from the rows r − window … r − 1. At each of
    these rows t the input is, standardised:

    1. the values of the targets and of the other inputs;
    2. with a base (``bases.BaseModels``), for each target the base's error at row t, its errors at the rows t + 1 − L
       for the lags L of the base, and then its forecasts of the rows t + 1 … t + horizon, step by step, column by
       column;
    3. the calendar of row t + 1, if there is a time column (``features.calendar``);
    4. the values of the columns known ahead, of the rows t + 1 … t + horizon;
    5. for each lag L the targets' values of the rows t + 1 − L … t + horizon − L.

    The target is the values of the rows r … r + horizon − 1, step by step, column by column. With a base it is
    (z − f) / σ: the error of the base's forecast f, in units of its spread σ. An output y then stands for the value
    f + σ y, standardised.

    r is at least ``first`` and at most n: the example at row n, after the end, has inputs but no target. Before its
    first value a column holds that value, so ``first`` is after the first values of all columns. What was missing in
    the table is filled from the rows before it, whatever the table was filled with: a target with the base's forecast,
    or with lags and no base by the season (``base_model.from_season``); all else with the value before.

    Args:
        table: a ``data.Table``.
        target, inputs: lists of columns; by default the first column of the file, and no others.
        window, horizon, lags: in rows.
        scaler: of the columns, the targets first, those of ``future`` last; None for one that changes nothing.
        calendar: False leaves out the calendar.
        future: list of columns whose values are known ``horizon`` rows ahead.
        base: None for a network alone.

    Raises:
        DataError: for a column that is missing or named twice, or a lag smaller than the horizon, whose value is not
            known yet.
    """

    def __init__(
        self,
        table: Table,
        target: Sequence[str] | str | None = None,
        inputs: Sequence[str] | str | None = None,
        window: int = WINDOW,
        horizon: int = 1,
        lags: Sequence[int] = (),
        *,
        scaler: Scaler | None = None,
        calendar: bool = True,
        future: Sequence[str] | str | None = None,
        base: BaseModels | None = None,
    ):
        target, inputs, future = ([names] if isinstance(names, str) else names for names in (target, inputs, future))
        targets = [table.column(name) for name in target] if target else [table.column(None)]
        others, ahead = ([table.column(name) for name in names or ()] for names in (inputs, future))
        self.columns = targets + others + ahead
        if twice := [table.columns[k] for k in dict.fromkeys(self.columns) if self.columns.count(k) > 1]:
            raise DataError(
                f"the column {twice[0]!r} is named twice: name each target once, and as inputs, or as known "
                "ahead, only other columns (the model sees the targets anyway)"
            )
        self.table, self.name = table, table.name
        self.window, self.horizon = int(window), int(horizon)
        self.target_columns, self.input_columns, self.future_columns = (
            [table.columns[k] for k in part] for part in (targets, others, ahead)
        )
        if self.window < 1 or self.horizon < 1:
            raise DataError(f"a window of {window} rows and a horizon of {horizon}; at least 1 expected")
        self.lags = self._checked_lags(lags)
        self._take_values()
        self.scaler = Scaler.identity(len(self.columns)) if scaler is None else scaler
        self.calendar = calendar and (table.step is not None or table.times is not None)
        self.output_size = self.horizon * len(targets)
        self._index: type[np.signedinteger[Any]] = np.int32 if len(self.values) < 2**31 else np.int64
        longest = len(self.values) + 1  # a window of a billion rows has no example, and needs no memory
        self._back = np.arange(-min(self.window, longest), 0, dtype=self._index)
        self._ahead = np.arange(min(self.horizon, longest), dtype=self._index)
        self._use(base)

    def _checked_lags(self, lags: Sequence[int]) -> tuple[int, ...]:
        for lag in lags:
            if lag < self.horizon:
                raise DataError(
                    f"the lag {lag} is smaller than the horizon {self.horizon}: its value is not known yet; at least "
                    f"{self.horizon} expected"
                )
        return tuple(dict.fromkeys(int(lag) for lag in lags))

    def _take_values(self) -> None:
        """Take the columns from the table, with what was missing filled from the past alone."""
        values, filled = self.table.values, self.table.filled
        whole = self.columns == list(range(values.shape[1]))
        self.values = values if whole else values[:, self.columns]
        self.filled, self.latest, lead = None, "", 0
        if filled is not None and filled[:, self.columns].any():
            filled = filled[:, self.columns]
            self.values = np.array(self.values)
            for k in range(len(self.columns)):
                fill_column(self.values[:, k], filled[:, k], "past")
            self.filled = filled[:, : len(self.target_columns)]
            starts = np.argmin(filled, axis=0)  # a column holds its first value before it, so that must be past
            self.latest = self.column_names[int(starts.argmax())]
            lead = int(starts.max()) + (starts.max() > 0)
        self._lead = lead

    def _use(self, base: BaseModels | None) -> None:
        """Lay out the columns of x with this base, and compute its forecasts of all rows."""
        self.base, O, h = base, len(self.target_columns), self.horizon
        seen = O + len(self.input_columns)
        self.half_day = base is not None
        terms = len(features.CALENDAR) + 2 * self.half_day
        sizes = {
            "values": seen,
            "errors": O * (1 + len(base.lags)) if base else 0,
            "forecasts": self.output_size if base else 0,
            "calendar": terms * self.calendar,
            "future": h * len(self.future_columns),
            "lags": len(self.lags) * self.output_size,
        }
        ends = np.cumsum(list(sizes.values()))
        self.columns_of = {name: slice(int(end) - size, int(end)) for (name, size), end in zip(sizes.items(), ends)}
        self.input_size = int(ends[-1])
        order, reach = (base.order, base.reach) if base else (0, 0)
        self.first = max(self.window + max(max(self.lags, default=1) - 1, reach), self._lead)
        self._calendar: np.ndarray | None = None
        self._windows: np.ndarray | None = None  # the inputs of all examples, views of each other
        if self.calendar and self.table.start is not None and self.table.step is not None:
            # repeats after the least common multiple of week and step
            rows = min(features.WEEK // gcd(features.WEEK, self.table.step), len(self.values))
            times = self.table.start + np.arange(1, rows + 1) * np.timedelta64(self.table.step, "s")
            self._calendar = features.calendar(times, self.half_day)
        if base is None and self.filled is not None and max(self.lags, default=1) > 1:
            between = base_model.from_season(max(self.lags))
            for k in range(O):
                base_model.impute(between, self.values[:, k], np.zeros(len(self.values)), self.filled[:, k])
        if base is not None:
            n = len(self.values)
            self._z = np.ascontiguousarray(self.target_scaler.standardise(self.values[:, :O]).T)  # (O, n)
            self._drive = self._drives(n)
            if self.filled is not None:
                self._impute()
            self._forecasts = np.zeros((n + 1, h, O))
            self.refresh(np.arange(order, n + 1))

    def _impute(self) -> None:
        """Put the base's forecast from the rows before wherever a target's value was missing, one row after another."""
        assert self.base is not None and self.filled is not None
        for k, part in enumerate(self.base.parts):
            base_model.impute(part, self._z[k], self._drive[k], self.filled[:, k])
        O = len(self._z)
        self.values[:, :O] = np.where(self.filled, self.target_scaler.to_units(self._z.T), self.values[:, :O])

    def _drives(self, n: int) -> list[np.ndarray]:
        """(O of (…, n + horizon)) what the bases add to the weighted values, of each row and those after the end."""
        assert self.base is not None
        rows, known = n + self.horizon, None
        if self.future_columns:
            known = self._known(np.arange(rows))
        times = None
        if self.base.needs_times:
            try:
                times = row_times(self.table, 0, rows)
            except DataError:  # unknown after the end: examples that need them are refused where the calendar is made
                times = self.table.times
        return [part.drive_at(times, rows, known) for part in self.base.parts]

    def _known(self, rows: np.ndarray) -> np.ndarray:
        """(…, F) the standardised values known ahead; after the end of the table the last ones."""
        start = len(self.columns) - len(self.future_columns)
        scaler = Scaler(self.scaler.mean[start:], self.scaler.scale[start:])
        return scaler.standardise(self.values[np.minimum(rows, len(self.values) - 1), start:])

    def refresh(self, rows: np.ndarray) -> None:
        """Compute the base's forecasts that start at the ``rows`` again, after values before them have changed."""
        assert self.base is not None
        self._windows = None
        before = rows[rows > 0] - 1
        self._z[:, before] = self.target_scaler.standardise(self.values[before, : len(self.target_columns)]).T
        for k, part in enumerate(self.base.parts):
            self._forecasts[rows, :, k] = part.forecasts(self._z[k], self._drive[k], rows, self.horizon)

    @classmethod
    def from_recipe(cls, recipe: Recipe | Mapping[str, Any], table: Table) -> Self:
        """Return the examples of another table, prepared in the same way.

        Args:
            recipe: of a task, or as it is in ``model.metadata["recipe"]``.

        Raises:
            DataError: for a table without the columns, the time column or the time step of the training data, or a
                recipe of another task.
        """
        recipe = of_forecast(recipe if isinstance(recipe, Recipe) else from_json(recipe))
        if recipe.calendar and table.times is None:
            raise DataError(f"{table.name} has no time column; the model was trained with one")
        known = recipe.step is not None and table.start is not None
        if recipe.calendar and known and recipe.step != table.step:
            raise DataError(
                f"the rows of {table.name} are {table.step:,} s apart; the model was trained on rows {recipe.step:,} s "
                "apart and can only be used with the same step"
            )
        names = "target", "inputs", "window", "horizon", "lags", "scaler", "calendar", "future", "base"
        return cls(table, **{name: getattr(recipe, name) for name in names})

    @property
    def target_scaler(self) -> Scaler:
        """The scaler of the target columns."""
        return self.scaler.first(len(self.target_columns))

    def inputs(self, rows: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
        """Return x (B, window, I), standardised, of the examples ``rows``: only earlier rows are read."""
        rows, last = np.asarray(rows, self._index), len(self.values) - 1
        # the example after the end alone needs the last row, and the time of the row after it
        if not self.fits_cache or rows.size == 0 or rows.max() > last:
            return self.inputs_at(rows[:, None] + self._back, dtype)
        if self._windows is None or self._windows.dtype != dtype:
            seen = np.arange(self.first - self.window, last, dtype=self._index)
            self._windows = sliding_window_view(self.inputs_at(seen[None], dtype)[0], self.window, 0).swapaxes(1, 2)
        x: np.ndarray = self._windows[rows - self.first]
        return x

    @property
    def fits_cache(self) -> bool:
        """True if the inputs and targets of all rows are kept."""
        return len(self.values) * (self.input_size + self.output_size) <= LARGEST_CACHE

    def inputs_at(self, seen: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
        """Return x (B, T, I), standardised, at the rows ``seen`` (B, T)."""
        x, at = np.empty(seen.shape + (self.input_size,), dtype), self.columns_of
        O, values = len(self.target_columns), at["values"].stop
        x[:, :, :values] = self.scaler.first(values).standardise(self.values[seen][:, :, :values])
        if self.base is not None:
            spread = self.base.spread
            for k, lag in enumerate((1, *self.base.lags)):
                rows, start = seen + (1 - lag), at["errors"].start + k * O
                x[:, :, start : start + O] = (self._z.T[rows] - self._forecasts[rows, 0]) / spread[:O]
            x[:, :, at["forecasts"]] = self._forecasts[seen + 1].reshape(*seen.shape, -1)
        if self._calendar is not None:
            x[:, :, at["calendar"]] = self._calendar[seen % len(self._calendar)]
        elif self.calendar:
            times = row_times(self.table, 0, int(seen.max(initial=0)) + 2)
            assert times is not None
            x[:, :, at["calendar"]] = features.calendar(times[seen + 1], self.half_day)
        if self.future_columns:
            x[:, :, at["future"]] = self._known(seen[:, :, None] + (1 + self._ahead)).reshape(*seen.shape, -1)
        start, scaler = at["lags"].start, self.target_scaler
        for lag in self.lags:
            for step in self._ahead:
                x[:, :, start : start + O] = scaler.standardise(self.values[seen + (step + 1 - lag), :O])
                start += O
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

    def actual(self, rows: np.ndarray) -> np.ndarray:
        """Return the predicted values (B, horizon · targets) in data units: row by row, column by column."""
        predicted = np.asarray(rows, self._index)[:, None] + self._ahead
        return self.values[predicted, : len(self.target_columns)].reshape(len(predicted), self.output_size)

    def observed(self, rows: np.ndarray) -> np.ndarray:
        """Return (B, horizon · targets), True where the predicted value was in the data, False where it was filled."""
        if self.filled is None:
            return np.ones((len(rows), self.output_size), bool)
        filled: np.ndarray = self.filled[np.asarray(rows, self._index)[:, None] + self._ahead]
        return ~filled.reshape(len(rows), self.output_size)

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """Return what the outputs are fitted to, (B, horizon · targets): the predicted values, standardised; with a
        base its errors in units of their spread.
        """
        z = self.target_scaler.repeat(self.horizon).standardise(self.actual(rows))
        if self.base is None:
            return z
        return np.where(self.base.exact, 0.0, (z - self._forecasts[rows].reshape(z.shape)) / self.base.spread)

    def base_ahead(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """Return the base's forecasts (B, steps, targets) of the rows r … r + steps − 1, standardised, fed back."""
        assert self.base is not None
        drive = self._drives(max(len(self.values), int(rows.max()) + steps) if len(rows) else len(self.values))
        parts = [part.forecasts(z, g, rows, steps) for part, z, g in zip(self.base.parts, self._z, drive)]
        return np.stack(parts, axis=2)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns of ``values``: targets, other inputs, those known ahead."""
        return self.target_columns + self.input_columns + self.future_columns

    @property
    def needs_times(self) -> bool:
        """True if forecasts depend on the times of the rows."""
        return self.calendar or self.base is not None and self.base.needs_times

    def base_forecast(self, rows: np.ndarray) -> np.ndarray:
        """Return the base's forecasts (B, horizon · targets) in data units."""
        return self.target_scaler.repeat(self.horizon).to_units(
            self._forecasts[rows].reshape(len(rows), self.output_size)
        )

    def to_units(self, y: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the outputs y (B, horizon · targets) of the examples ``rows`` in data units, float64.

        Without a base the rows are not needed.
        """
        if self.base is None:
            return self.target_scaler.repeat(self.horizon).to_units(y)
        if rows is None:
            raise TypeError("with a base, the rows of the outputs are needed: to_units(y, rows)")
        whole: np.ndarray = self.scaling().outputs.to_units(y) + self.base_forecast(rows)
        return whole

    def metrics(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        """Return root mean squared error and mean absolute error, in data units, over the predicted values that were
        in the data; with a horizon also the error of each step.

        With several targets, whose units may differ, the scores of each are under ``targets``.
        """
        shape = len(rows), self.horizon, len(self.target_columns)
        y, found = predictions.reshape(shape), {}
        actual = np.where(self.observed(rows), self.actual(rows), np.nan).reshape(shape)
        for k, name in enumerate(self.target_columns):
            found[name] = errors(y[:, :, k], actual[:, :, k])
            if self.horizon > 1:
                steps = range(self.horizon)
                found[name]["rmse_by_output"] = [errors(y[:, h, k], actual[:, h, k])["rmse"] for h in steps]
        return found[self.target_columns[0]] if len(found) == 1 else {"targets": found}

    def scaling(self) -> Scaling:
        """Return the scaling of ``Model.predict``; the calendar is not scaled."""
        targets, values = self.target_scaler, self.columns_of["values"].stop
        outputs, base, skip = targets.repeat(self.horizon), [], None
        if self.base is not None:
            O, spread = len(targets), self.base.spread
            base = [Scaler(np.zeros(O), spread[:O] * targets.scale).repeat(1 + len(self.base.lags)), outputs]
            outputs = Scaler(np.zeros(self.output_size), spread * outputs.scale)
            skip = list(range(self.columns_of["forecasts"].start, self.columns_of["forecasts"].stop))
        calendar = self.columns_of["calendar"]
        known = Scaler(self.scaler.mean[values:], self.scaler.scale[values:]).repeat(self.horizon)
        lagged = targets.repeat(len(self.lags) * self.horizon)
        parts = [self.scaler.first(values), *base, Scaler.identity(calendar.stop - calendar.start), known, lagged]
        return Scaling(Scaler.join(parts), outputs, skip)
