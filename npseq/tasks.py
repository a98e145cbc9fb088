"""Tasks: what a model is trained on, as batches of examples in three parts, and how its answers are judged.

Every task has ``parts`` (the examples for training, validation and test), ``batch(rows, dtype)``, ``to_units``,
``metrics``, ``baselines``, ``describe`` (lines for the header), ``recipe`` (what a weights file must remember to use
the model on new data) and ``fingerprint``.
"""

import hashlib
import json
from typing import NamedTuple

import numpy as np

from . import baselines, features
from .data import DataError


class Batch(NamedTuple):
    """x (B, T, I); target (B, O) of numbers or (B,) of labels; lengths (B,) or None."""

    x: np.ndarray
    target: np.ndarray
    lengths: np.ndarray | None = None


class Forecast:
    """Predict the next ``horizon`` values of one or more columns from the last ``window`` rows.

    An example is the row r of the first predicted value; it sees the rows r − window … r − 1. At each of these rows t
    the input is, all standardised by the training rows: the targets' values, the other inputs' values, the calendar of
    row t + 1 (``features.calendar``, where there is a time column), and for each lag L the targets' values of the rows
    t + 1 − L … t + horizon − L. The target is the values of the rows r … r + horizon − 1, step by step, column by column.

    The rows are split in time at int(0.70 n) and int(0.85 n): an example belongs to the part in which all its predicted
    rows lie; its window may reach back across the border.

    Raises:
        DataError: for a column that is not there, a lag smaller than the horizon, or too few rows.
    """

    kind, loss = "forecast", "mse"

    def __init__(self, table, target=None, inputs=None, window=24, horizon=1, lags=(), scale="standard"):
        self.table, self.name = table, table.name
        n = len(table.values)
        targets = [table.column(name) for name in target] if target else [0]
        others = [table.column(name) for name in inputs] if inputs is not None else []
        self.columns = targets + [k for k in others if k not in targets]
        self.window, self.horizon, self.lags, self.scale = window, horizon, tuple(lags), scale
        self.target_columns = [table.columns[k] for k in targets]
        self.input_columns = [table.columns[k] for k in self.columns[len(targets):]]
        for lag in self.lags:
            if lag < horizon:
                raise DataError(f"the lag {lag} is smaller than the horizon {horizon}: that value is not known yet")
        first = window + max(self.lags, default=1) - 1
        a, b = int(0.70 * n), int(0.85 * n)
        self.train_end = a
        self.parts = {"train": np.arange(first, a - horizon + 1), "validation": np.arange(max(a, first), b - horizon + 1),
                      "test": np.arange(max(b, first), n - horizon + 1)}
        if any(len(rows) == 0 for rows in self.parts.values()):
            needed = int(np.ceil(max((first + horizon) / 0.7, horizon / 0.15))) + 1
            raise DataError(f"{self.name} has {n:,} rows: too few for a window of {window}, a horizon of {horizon} and lags "
                            f"{list(self.lags)}; about {needed:,} are needed")
        self.values = table.values if self.columns == list(range(table.values.shape[1])) else table.values[:, self.columns]
        if scale == "standard":
            self.mean, self.spread = features.moments(self.values[:a])
        else:
            self.mean, self.spread = np.zeros(len(self.columns)), np.ones(len(self.columns))
        self.calendar = self.slot = None
        if table.times is not None and table.step:
            # there are few different times of a week, so a row keeps the number of its own in a table of them
            second = features.second_of_week(features.next_times(table.times, table.step))
            kinds, slot = np.unique(second, return_inverse=True)
            self.slot = slot.astype(np.int32)
            self.calendar = features.calendar(features.MONDAY + kinds.astype("timedelta64[s]"))
        self.season = features.season(table.values[:a, targets[0]], table.step)
        self.output_size = horizon * len(targets)
        widths = [len(self.columns), 0 if self.calendar is None else self.calendar.shape[1], len(self.lags) * self.output_size]
        self.input_size = sum(widths)
        self._from_calendar, self._from_lags = np.cumsum(widths[:2])
        self._back = np.arange(-window, 0, dtype=np.int32)
        self._ahead = np.arange(horizon, dtype=np.int32)

    def batch(self, rows, dtype=np.float32):
        """The examples whose first predicted rows are ``rows`` -> x (B, window, I), target (B, horizon · targets)."""
        return Batch(self.inputs(rows, dtype), self.targets(rows).astype(dtype))

    def inputs(self, rows, dtype=np.float32):
        """x (B, window, I), standardised, from rows before ``rows`` alone."""
        seen = np.asarray(rows)[:, None] + self._back
        x = np.empty(seen.shape + (self.input_size,), dtype)
        x[:, :, :len(self.columns)] = (self.values[seen] - self.mean) / self.spread
        if self.calendar is not None:
            x[:, :, self._from_calendar:self._from_lags] = self.calendar[self.slot[seen]]
        O, at = len(self.target_columns), self._from_lags
        for lag in self.lags:
            for step in self._ahead:
                x[:, :, at:at + O] = (self.values[seen + (step + 1 - lag), :O] - self.mean[:O]) / self.spread[:O]
                at += O
        return x

    def windows(self, rows):
        """x (B, window, I) in the data's own units: what ``Model.predict`` takes."""
        scaling = self.scaling()
        return self.inputs(rows, np.float64) * scaling["input_scale"] + scaling["input_mean"]

    def targets(self, rows):
        """(B, horizon · targets), standardised: row by row, column by column."""
        O = len(self.target_columns)
        predicted = np.asarray(rows)[:, None] + self._ahead
        z = (self.values[predicted, :O] - self.mean[:O]) / self.spread[:O]
        return z.reshape(len(predicted), -1)

    def to_units(self, y):
        """Standardised (B, horizon · targets) -> the data's own units, float64."""
        O = len(self.target_columns)
        return np.asarray(y, np.float64) * np.tile(self.spread[:O], self.horizon) + np.tile(self.mean[:O], self.horizon)

    def metrics(self, predictions, rows):
        """Root mean square and mean absolute error in the data's own units, over all predicted values."""
        errors = predictions - self.to_units(self.targets(rows))
        result = {"rmse": float(np.sqrt((errors * errors).mean())), "mae": float(np.abs(errors).mean())}
        if self.output_size > 1:
            result["rmse_by_output"] = [float(e) for e in np.sqrt((errors * errors).mean(axis=0))]
        return result

    def baselines(self):
        """name -> metrics of the baselines on the test rows (``baselines.forecasts``), each target column by itself."""
        rows, columns = self.parts["test"], range(len(self.target_columns))
        by_column = [baselines.forecasts(self.values[:, k], self.table.times, self.table.step, self.season, self.train_end,
                                         rows, self.horizon) for k in columns]
        return {name: self.metrics(np.stack([forecast[name] for forecast in by_column], axis=2).reshape(len(rows), -1), rows)
                for name in by_column[0] if all(name in forecast for forecast in by_column)}

    def describe(self):
        """Lines for the header."""
        n, parts = len(self.values), {name: len(rows) for name, rows in self.parts.items()}
        lines = [f"data        {self.name}: {n:,} rows, predicting {', '.join(self.target_columns)}"
                 + (f" {self.horizon} rows ahead" if self.horizon > 1 else "") + f" from the last {self.window}"]
        lines += [f"            {note}" for note in self.table.notes]
        constant = [name for name, column in zip(self.target_columns + self.input_columns, self.values[:self.train_end].T)
                    if (column == column[0]).all()]
        if constant:
            lines.append(f"            constant in the training rows: {', '.join(constant)}")
        if self.season and self.season not in self.lags and self.season >= self.horizon:
            lines.append(f"            a season of {self.season} rows was found: --lags {self.season} gives it to the model")
        lines.append("split       " + ", ".join(f"{count:,} {name}" for name, count in parts.items()) + " examples, in time order")
        return lines

    def scaling(self):
        """Of ``Model.predict``: how inputs and outputs in the data's own units are scaled; the calendar is left as it is."""
        O, others = len(self.target_columns), self._from_lags - self._from_calendar
        lagged = len(self.lags) * self.horizon
        return {"input_mean": [*self.mean, *np.zeros(others), *np.tile(self.mean[:O], lagged)],
                "input_scale": [*self.spread, *np.ones(others), *np.tile(self.spread[:O], lagged)],
                "output_mean": [*np.tile(self.mean[:O], self.horizon)],
                "output_scale": [*np.tile(self.spread[:O], self.horizon)]}

    def recipe(self):
        """What a weights file remembers of the task, for JSON."""
        return {"task": self.kind, "data": self.name, "target": self.target_columns, "inputs": self.input_columns,
                "window": self.window, "horizon": self.horizon, "lags": list(self.lags), "scale": self.scale,
                "step": self.table.step, "calendar": self.calendar is not None,
                "mean": self.mean.tolist(), "spread": self.spread.tolist()}

    def fingerprint(self):
        return _fingerprint(self.table.fingerprint(), self.recipe())


def _fingerprint(*parts):
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
