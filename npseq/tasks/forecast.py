"""Forecasts of a table's columns."""

from math import ceil

import numpy as np

from ..data.errors import DataError
from . import baselines, features
from .base import Batch, fingerprint
from .windows import Windows

LARGEST_Z = 1e15  # its square, summed over a batch, is finite in float32


class Forecast(Windows):
    """Predict the next ``horizon`` values of one or more columns from the last ``window`` rows (see ``Windows``).

    The rows are split in time at int(0.70 n) and int(0.85 n): an example belongs to the part in which all its predicted
    rows lie; its window may reach back across the border. Columns are standardised by the training rows, or not at all
    (``scale="none"``), unless ``mean`` and ``spread`` are given.

    Raises:
        DataError: as ``Windows``, and for too few rows, or a value that is out of all proportion to the training rows.
    """

    kind, loss = "forecast", "mse"

    def __init__(
        self,
        table,
        target=None,
        inputs=None,
        window=24,
        horizon=1,
        lags=(),
        scale="standard",
        *,
        mean=None,
        spread=None,
        calendar=True,
    ):
        if scale not in ("standard", "none"):
            raise DataError(f"scale {scale!r} given; standard or none expected")
        super().__init__(
            table,
            target,
            inputs,
            window,
            horizon,
            lags,
            mean=0.0 if mean is None else mean,
            spread=1.0 if spread is None else spread,
            calendar=calendar,
        )
        n, C = self.values.shape
        a, b, first = int(0.70 * n), int(0.85 * n), self.first
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
        if mean is None:
            self.mean, self.spread = (
                features.moments(self.values[:a]) if scale == "standard" else (np.zeros(C), np.ones(C))
            )
        for k, name in enumerate(self.target_columns + self.input_columns):
            column = self.values[:, k]
            if max(column.max() - self.mean[k], self.mean[k] - column.min()) > LARGEST_Z * self.spread[k]:
                row = int(np.abs(column - self.mean[k]).argmax())
                raise DataError(
                    f"{self.name}: row {row} of {name!r} holds {self.values[row, k]:.3g}, out of all "
                    f"proportion to the training rows (mean {self.mean[k]:.3g}, deviation "
                    f"{self.spread[k]:.3g}); mend it, or leave the cell empty"
                )
        self.season = features.season(self.values[:a, 0], table.step)

    def batch(self, rows, dtype=np.float32):
        """The examples whose first predicted rows are ``rows`` -> x (B, window, I), target (B, horizon · targets)."""
        return Batch(self.inputs(rows, dtype), self.targets(rows).astype(dtype))

    def baselines(self):
        """name -> metrics of the baselines on the test rows (``baselines.forecasts``), each target column by itself."""
        rows, columns = self.parts["test"], range(len(self.target_columns))
        by_column = [
            baselines.forecasts(self.values[:, k], self.table, self.season, self.train_end, rows, self.horizon)
            for k in columns
        ]
        results = {}
        for name in list(by_column[0]):
            forecast = np.stack([column.pop(name) for column in by_column], axis=2)  # let go of one after the other
            results[name] = self.metrics(forecast.reshape(len(rows), -1), rows)
        return results

    def describe(self):
        """Lines for the header."""
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

    def recipe(self):
        """What a weights file remembers of the task, for JSON."""
        return {
            "task": self.kind,
            "data": self.name,
            "target": self.target_columns,
            "inputs": self.input_columns,
            "window": self.window,
            "horizon": self.horizon,
            "lags": list(self.lags),
            "scale": self.scale,
            "step": None if self.table.start is None else self.table.step,  # of irregular times it says nothing
            "calendar": self.calendar,
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
        }

    def fingerprint(self):
        return fingerprint(self.table.fingerprint(), self.recipe())
