"""Tasks: what a model is trained on, as batches of examples in three parts, and how its answers are judged.

Every task has ``kind``, ``name``, ``loss``, ``input_size``, ``output_size``, ``parts`` (the examples for training,
validation and test), ``batch(rows, dtype)``, ``to_units``, ``metrics``, ``baselines``, ``describe`` (lines for the
header), ``scaling`` (of ``Model.predict``), ``recipe`` (what a weights file must remember to use the model on new data)
and ``fingerprint``.
"""

from math import gcd

import numpy as np

from ..data.errors import DataError
from . import features

CHUNK = 1 << 16  # examples whose errors are in memory at a time


class Windows:
    """The examples of a forecast, in any table and with any scaler: what training and later use have in common.

    An example is the row r of the first predicted value; it sees the rows r − window … r − 1. At each of these rows t
    the input is, standardised: the targets' values, the other inputs' values, the calendar of row t + 1
    (``features.calendar``, where there is a time column), and for each lag L the targets' values of the rows
    t + 1 − L … t + horizon − L. The target is the values of the rows r … r + horizon − 1, step by step, column by
    column.

    r is at least ``first``, and at most n: the example of the row after the last one has inputs and no target.

    Args:
        table: a ``data.Table``.
        target, inputs: lists of columns; by default the first column of the file, and no others.
        window, horizon, lags: in rows.
        mean, spread: of the columns, the targets first.
        calendar: leave out the calendar with False.

    Raises:
        DataError: for a column that is not there, or a lag smaller than the horizon, whose value is not known yet.
    """

    def __init__(self, table, target=None, inputs=None, window=24, horizon=1, lags=(), *, mean, spread, calendar=True):
        target, inputs = ([names] if isinstance(names, str) else names for names in (target, inputs))
        targets = list(dict.fromkeys(table.column(name) for name in target or [None]))
        others = [table.column(name) for name in inputs or ()]
        self.columns = list(dict.fromkeys(targets + others))
        self.table, self.name = table, table.name
        self.window, self.horizon, self.lags = int(window), int(horizon), tuple(dict.fromkeys(int(lag) for lag in lags))
        self.target_columns = [table.columns[k] for k in targets]
        self.input_columns = [table.columns[k] for k in self.columns[len(targets) :]]
        if self.window < 1 or self.horizon < 1:
            raise DataError(f"a window of {window} rows and a horizon of {horizon}; at least 1 expected")
        for lag in self.lags:
            if lag < self.horizon:
                raise DataError(
                    f"the lag {lag} is smaller than the horizon {self.horizon}: its value is not known "
                    f"yet; at least {self.horizon} expected"
                )
        self.first = self.window + max(self.lags, default=1) - 1
        whole = self.columns == list(range(table.values.shape[1]))
        self.values = table.values if whole else table.values[:, self.columns]
        self.mean, self.spread = np.asarray(mean, np.float64), np.asarray(spread, np.float64)
        self.calendar, self._calendar = calendar and table.step is not None, None
        if self.calendar and table.start is not None:  # it repeats after the fewest weeks that are whole steps
            rows = min(features.WEEK // gcd(features.WEEK, table.step), len(self.values))
            self._calendar = features.calendar(table.start + np.arange(1, rows + 1) * np.timedelta64(table.step, "s"))
        self.output_size = self.horizon * len(targets)
        widths = [len(self.columns), len(features.CALENDAR) * self.calendar, len(self.lags) * self.output_size]
        self.input_size = sum(widths)
        self._from_calendar, self._from_lags = np.cumsum(widths[:2])
        self._index = np.int32 if len(self.values) < 2**31 else np.int64
        self._back = np.arange(-self.window, 0, dtype=self._index)
        self._ahead = np.arange(self.horizon, dtype=self._index)

    @classmethod
    def from_recipe(cls, recipe, table):
        """The same examples, scaled the same way, of another table.

        Raises:
            DataError: for a table without the columns, the time column or the time step of the training.
        """
        if recipe["calendar"] and table.step is None:
            raise DataError(f"{table.name} has no time column; the model was trained with one")
        if recipe["calendar"] and None not in (recipe["step"], table.start) and recipe["step"] != table.step:
            raise DataError(
                f"the rows of {table.name} are {table.step:,} s apart; the model was trained on rows "
                f"{recipe['step']:,} s apart, and only fits such"
            )
        names = "target", "inputs", "window", "horizon", "lags", "mean", "spread", "calendar"
        return cls(table, **{name: recipe[name] for name in names})

    def inputs(self, rows, dtype=np.float32):
        """x (B, window, I), standardised, from rows before ``rows`` alone."""
        seen = np.asarray(rows, self._index)[:, None] + self._back
        x = np.empty(seen.shape + (self.input_size,), dtype)
        x[:, :, : len(self.columns)] = (self.values[seen] - self.mean) / self.spread
        if self._calendar is not None:
            x[:, :, self._from_calendar : self._from_lags] = self._calendar[seen % len(self._calendar)]
        elif self.calendar:
            times, last = self.table.irregular, len(self.values) - 1
            after = times[np.minimum(seen + 1, last)] + (seen == last) * np.timedelta64(self.table.step, "s")
            x[:, :, self._from_calendar : self._from_lags] = features.calendar(after)
        O, at = len(self.target_columns), self._from_lags
        for lag in self.lags:
            for step in self._ahead:
                x[:, :, at : at + O] = (self.values[seen + (step + 1 - lag), :O] - self.mean[:O]) / self.spread[:O]
                at += O
        return x

    def windows(self, rows):
        """x (B, window, I) in the data's own units: what ``Model.predict`` takes.

        Raises:
            DataError: for rows that have no whole window before them.
        """
        rows = np.atleast_1d(rows)
        if len(rows) and not self.first <= rows.min() <= rows.max() <= len(self.values):
            raise DataError(
                f"windows before the rows {rows.min()} … {rows.max()} asked for; rows from {self.first} to "
                f"{len(self.values)} have one"
            )
        scaling = self.scaling()
        return self.inputs(rows, np.float64) * scaling["input_scale"] + scaling["input_mean"]

    def targets(self, rows):
        """(B, horizon · targets), standardised: row by row, column by column."""
        O = len(self.target_columns)
        predicted = np.asarray(rows, self._index)[:, None] + self._ahead
        z = (self.values[predicted, :O] - self.mean[:O]) / self.spread[:O]
        return z.reshape(len(predicted), -1)

    def to_units(self, y):
        """Standardised (B, horizon · targets) -> the data's own units, float64."""
        O = len(self.target_columns)
        return np.asarray(y, np.float64) * np.tile(self.spread[:O], self.horizon) + np.tile(self.mean[:O], self.horizon)

    def metrics(self, predictions, rows):
        """Root mean square and mean absolute error in the data's own units, over all predicted values."""
        squares, sizes = np.zeros(self.output_size), np.zeros(self.output_size)
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            errors = predictions[part] - self.to_units(self.targets(rows[part]))
            squares += (errors * errors).sum(axis=0)
            sizes += np.abs(errors).sum(axis=0)
        squares, sizes = squares / len(rows), sizes / len(rows)
        result = {"rmse": float(np.sqrt(squares.mean())), "mae": float(sizes.mean())}
        if self.output_size > 1:
            result["rmse_by_output"] = np.sqrt(squares).tolist()
        return result

    def scaling(self):
        """Of ``Model.predict``: how inputs and outputs in the data's own units are scaled; the calendar is not."""
        O, others = len(self.target_columns), self._from_lags - self._from_calendar
        lagged = len(self.lags) * self.horizon
        return {
            "input_mean": [*self.mean, *np.zeros(others), *np.tile(self.mean[:O], lagged)],
            "input_scale": [*self.spread, *np.ones(others), *np.tile(self.spread[:O], lagged)],
            "output_mean": [*np.tile(self.mean[:O], self.horizon)],
            "output_scale": [*np.tile(self.spread[:O], self.horizon)],
        }
