"""Tasks: what a model is trained on, as batches of examples in three parts, and how its answers are judged.

Every task has ``kind``, ``name``, ``loss``, ``input_size``, ``output_size``, ``parts`` (the examples for training,
validation and test), ``batch(rows, dtype)``, ``to_units``, ``metrics``, ``baselines``, ``describe`` (lines for the
header), ``scaling`` (of ``Model.predict``), ``recipe`` (what a weights file must remember to use the model on new data)
and ``fingerprint``.
"""

import hashlib
import json
from math import ceil, gcd
from typing import NamedTuple

import numpy as np

from ..data.table import DataError
from . import baselines, features

CHUNK = 1 << 16  # examples whose errors are in memory at a time
LARGEST_Z = 1e15  # its square, summed over a batch, is finite in float32


class Batch(NamedTuple):
    """x (B, T, I); target (B, O) of numbers or (B,) of labels; lengths (B,) or None."""

    x: np.ndarray
    target: np.ndarray
    lengths: np.ndarray | None = None


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
        self.input_columns = [table.columns[k] for k in self.columns[len(targets):]]
        if self.window < 1 or self.horizon < 1:
            raise DataError(f"a window of {window} rows and a horizon of {horizon}; at least 1 expected")
        for lag in self.lags:
            if lag < self.horizon:
                raise DataError(f"the lag {lag} is smaller than the horizon {self.horizon}: its value is not known "
                                f"yet; at least {self.horizon} expected")
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
            raise DataError(f"the rows of {table.name} are {table.step:,} s apart; the model was trained on rows "
                            f"{recipe['step']:,} s apart, and only fits such")
        names = "target", "inputs", "window", "horizon", "lags", "mean", "spread", "calendar"
        return cls(table, **{name: recipe[name] for name in names})

    def inputs(self, rows, dtype=np.float32):
        """x (B, window, I), standardised, from rows before ``rows`` alone."""
        seen = np.asarray(rows, self._index)[:, None] + self._back
        x = np.empty(seen.shape + (self.input_size,), dtype)
        x[:, :, :len(self.columns)] = (self.values[seen] - self.mean) / self.spread
        if self._calendar is not None:
            x[:, :, self._from_calendar:self._from_lags] = self._calendar[seen % len(self._calendar)]
        elif self.calendar:
            times, last = self.table.irregular, len(self.values) - 1
            after = times[np.minimum(seen + 1, last)] + (seen == last) * np.timedelta64(self.table.step, "s")
            x[:, :, self._from_calendar:self._from_lags] = features.calendar(after)
        O, at = len(self.target_columns), self._from_lags
        for lag in self.lags:
            for step in self._ahead:
                x[:, :, at:at + O] = (self.values[seen + (step + 1 - lag), :O] - self.mean[:O]) / self.spread[:O]
                at += O
        return x

    def windows(self, rows):
        """x (B, window, I) in the data's own units: what ``Model.predict`` takes.

        Raises:
            DataError: for rows that have no whole window before them.
        """
        rows = np.atleast_1d(rows)
        if len(rows) and not self.first <= rows.min() <= rows.max() <= len(self.values):
            raise DataError(f"windows before the rows {rows.min()} … {rows.max()} asked for; rows from {self.first} to "
                            f"{len(self.values)} have one")
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
        return {"input_mean": [*self.mean, *np.zeros(others), *np.tile(self.mean[:O], lagged)],
                "input_scale": [*self.spread, *np.ones(others), *np.tile(self.spread[:O], lagged)],
                "output_mean": [*np.tile(self.mean[:O], self.horizon)],
                "output_scale": [*np.tile(self.spread[:O], self.horizon)]}


class Forecast(Windows):
    """Predict the next ``horizon`` values of one or more columns from the last ``window`` rows (see ``Windows``).

    The rows are split in time at int(0.70 n) and int(0.85 n): an example belongs to the part in which all its predicted
    rows lie; its window may reach back across the border. Columns are standardised by the training rows, or not at all
    (``scale="none"``), unless ``mean`` and ``spread`` are given.

    Raises:
        DataError: as ``Windows``, and for too few rows, or a value that is out of all proportion to the training rows.
    """

    kind, loss = "forecast", "mse"

    def __init__(self, table, target=None, inputs=None, window=24, horizon=1, lags=(), scale="standard", *, mean=None,
                 spread=None, calendar=True):
        if scale not in ("standard", "none"):
            raise DataError(f"scale {scale!r} given; standard or none expected")
        super().__init__(table, target, inputs, window, horizon, lags, mean=0.0 if mean is None else mean,
                         spread=1.0 if spread is None else spread, calendar=calendar)
        n, C = self.values.shape
        a, b, first = int(0.70 * n), int(0.85 * n), self.first
        ends = {"train": (first, a), "validation": (max(a, first), b), "test": (max(b, first), n)}
        self.parts = {part: np.arange(start, end - self.horizon + 1, dtype=self._index)
                      for part, (start, end) in ends.items()}
        if any(len(rows) == 0 for rows in self.parts.values()):
            needed = max(ceil((first + self.horizon) / 0.7), ceil(self.horizon / 0.15)) + 2
            raise DataError(f"{self.name} has {n:,} rows: too few for a window of {self.window}, a horizon of "
                            f"{self.horizon} and lags {list(self.lags)}; about {needed:,} are needed")
        self.train_end, self.scale = a, scale
        if mean is None:
            self.mean, self.spread = (features.moments(self.values[:a]) if scale == "standard"
                                      else (np.zeros(C), np.ones(C)))
        for k, name in enumerate(self.target_columns + self.input_columns):
            column = self.values[:, k]
            if max(column.max() - self.mean[k], self.mean[k] - column.min()) > LARGEST_Z * self.spread[k]:
                row = int(np.abs(column - self.mean[k]).argmax())
                raise DataError(f"{self.name}: row {row} of {name!r} holds {self.values[row, k]:.3g}, out of all "
                                f"proportion to the training rows (mean {self.mean[k]:.3g}, deviation "
                                f"{self.spread[k]:.3g}); mend it, or leave the cell empty")
        self.season = features.season(self.values[:a, 0], table.step)

    def batch(self, rows, dtype=np.float32):
        """The examples whose first predicted rows are ``rows`` -> x (B, window, I), target (B, horizon · targets)."""
        return Batch(self.inputs(rows, dtype), self.targets(rows).astype(dtype))

    def baselines(self):
        """name -> metrics of the baselines on the test rows (``baselines.forecasts``), each target column by itself."""
        rows, columns = self.parts["test"], range(len(self.target_columns))
        by_column = [baselines.forecasts(self.values[:, k], self.table, self.season, self.train_end, rows, self.horizon)
                     for k in columns]
        results = {}
        for name in list(by_column[0]):
            forecast = np.stack([column.pop(name) for column in by_column], axis=2)  # let go of one after the other
            results[name] = self.metrics(forecast.reshape(len(rows), -1), rows)
        return results

    def describe(self):
        """Lines for the header."""
        n = len(self.values)
        lines = [f"data        {self.name}: {n:,} rows, predicting {', '.join(self.target_columns)}"
                 + (f" {self.horizon} rows ahead" if self.horizon > 1 else "") + f" from the last {self.window}"
                 + (f" and those {', '.join(map(str, self.lags))} rows before" if self.lags else "")
                 + (f" and {len(self.input_columns)} other columns" if self.input_columns else "")]
        lines += [f"            {note}" for note in self.table.notes]
        columns = zip(self.target_columns + self.input_columns, self.values[:self.train_end].T)
        constant = [name for name, column in columns if column.min() == column.max()]
        if constant:
            lines.append(f"            constant in the training rows: {', '.join(constant)}")
        if self.season and self.season not in self.lags and self.season >= self.horizon:
            lines.append(f"            a season of {self.season} rows was found: --lags {self.season} gives it to the "
                         "model")
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return lines + [f"split       {sizes} examples, in time order"]

    def recipe(self):
        """What a weights file remembers of the task, for JSON."""
        return {"task": self.kind, "data": self.name, "target": self.target_columns, "inputs": self.input_columns,
                "window": self.window, "horizon": self.horizon, "lags": list(self.lags), "scale": self.scale,
                "step": None if self.table.start is None else self.table.step,  # of irregular times it says nothing
                "calendar": self.calendar,
                "mean": self.mean.tolist(), "spread": self.spread.tolist()}

    def fingerprint(self):
        return _fingerprint(self.table.fingerprint(), self.recipe())


class Classification:
    """Name the class of a sequence; sequences have different lengths.

    The input is the frame, standardised by the frames of the training part; the target the class. ``train`` and
    ``test`` are ``data.Sequences``. Without ``test``, 15 in 100 sequences are kept for the test, and of the others (or
    of ``train``) 15 in 100 for validation: drawn by ``seed``, from each class its share.

    Raises:
        DataError: for fewer than two classes, or a class with too few sequences to be in each part.
    """

    kind, loss = "classify", "cross_entropy"

    def __init__(self, train, test=None, seed=0):
        self.name, self.classes, self.columns = train.name, train.classes, train.columns
        if test is not None and (test.columns, test.classes) != (train.columns, train.classes):
            raise DataError(f"{train.name}: the training and the test part have different columns or classes")
        if len(self.classes) < 2:
            raise DataError(f"{train.name} has one class, {self.classes[0]!r}; at least two expected")
        rng, n = np.random.default_rng(seed), len(train.labels)
        if test is None:
            rest, tested = self._draw(np.arange(n), train.labels, rng)
        else:
            rest, tested = np.arange(n), np.arange(n, n + len(test.labels))
        kept, validation = self._draw(rest, train.labels, rng)
        self.parts = {"train": kept, "validation": validation, "test": tested}
        self.sequences, self.published = train if test is None else train.followed_by(test), test is not None
        self.labels = self.sequences.labels
        starts = self.sequences.starts
        frames = np.concatenate([np.arange(starts[s], starts[s + 1]) for s in kept])
        self.mean, self.spread = features.moments(self.sequences.frames[frames])
        self.input_size, self.output_size = len(self.columns), len(self.classes)

    def _draw(self, rows, labels, rng, share=0.15):
        """Of each class its share of ``rows``, at least one -> the others, those drawn, both in order."""
        drawn = []
        for label, name in enumerate(self.classes):
            own = rows[labels[rows] == label]
            if len(own) < 2:
                raise DataError(f"{self.name} has too few sequences of the class {name!r} for a training, a validation "
                                "and a test part; at least 3 expected")
            drawn.append(rng.permutation(own)[:max(1, round(share * len(own)))])
        drawn = np.sort(np.concatenate(drawn))
        return np.setdiff1d(rows, drawn), drawn

    def batch(self, rows, dtype=np.float32):
        """The sequences ``rows`` -> x (B, T, I) padded to the longest of them, labels (B,), lengths (B,)."""
        x, lengths = self.sequences.batch(rows, self.mean, self.spread, dtype)
        return Batch(x, self.labels[rows], lengths)

    def to_units(self, y):
        """Logits stay as they are."""
        return y

    def metrics(self, logits, rows):
        """Share of right answers, the same for each class (None for one that is not there), and the table of answers:
        one line for each true class, one column for each answer."""
        return class_metrics(self.labels[rows], np.argmax(logits, axis=1), self.output_size)

    def baselines(self):
        """name -> metrics on the test part: always the most frequent class; the class whose mean frame is nearest to
        the sequence's mean frame (standardised, Euclidean), both from the training part."""
        train, test = self.parts["train"], self.parts["test"]
        counts = np.bincount(self.labels[train], minlength=self.output_size)
        most = np.broadcast_to(counts, (len(test), len(counts)))
        centres = np.stack([self._mean_frames(train[self.labels[train] == k]).mean(axis=0)
                            for k in range(self.output_size)])
        distances = ((self._mean_frames(test)[:, None] - centres) ** 2).sum(axis=2)
        return {"most frequent class": self.metrics(most, test), "nearest mean frame": self.metrics(-distances, test)}

    def _mean_frames(self, rows):
        x, _, lengths = self.batch(rows, np.float64)
        return x.sum(axis=1) / lengths[:, None]

    def describe(self):
        """Lines for the header."""
        lengths = np.diff(self.sequences.starts)
        lines = [f"data        {self.name}: {len(lengths):,} sequences of {lengths.min()} to {lengths.max()} frames, "
                 f"{self.input_size} columns, {self.output_size} classes"]
        lines += [f"            {note}" for note in self.sequences.notes]
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return lines + [f"split       {sizes} sequences" + (", the test part as published" if self.published else "")]

    def scaling(self):
        """Of ``Model.predict``: frames in their own units; the answers are logits."""
        return {"input_mean": self.mean.tolist(), "input_scale": self.spread.tolist(),
                "output_mean": [0.0] * self.output_size, "output_scale": [1.0] * self.output_size}

    def recipe(self):
        """What a weights file remembers of the task, for JSON."""
        return {"task": self.kind, "data": self.name, "inputs": self.columns, "classes": self.classes,
                "mean": self.mean.tolist(), "spread": self.spread.tolist()}

    def fingerprint(self):
        parts = {part: rows.tolist() for part, rows in self.parts.items()}
        return _fingerprint(self.sequences.fingerprint(), parts, self.recipe())


def class_metrics(truth, answer, classes):
    """The labels (n,) and the answers (n,), numbers below ``classes`` -> as ``Classification.metrics``."""
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, answer), 1)
    counts = confusion.sum(axis=1)
    return {"accuracy": float((truth == answer).mean()), "confusion": confusion.tolist(),
            "recall": [int(confusion[k, k]) / int(n) if n else None for k, n in enumerate(counts)]}


class Adding:
    """The adding problem (Hochreiter & Schmidhuber 1997, Neural Computation 9(8), 1735–1780; here with values from 0):
    the sum of the two marked values of a sequence, which asks for a memory of up to ``length`` steps.

    The input at step t is (u_t, m_t), u_t uniform in [0, 1), m_t 1 at one step of each half and 0 elsewhere; the target
    Σ_t m_t u_t. Always answering 1 has the mean squared error 2 · 1/12 = 1/6. All sequences are made from ``seed``.

    Raises:
        DataError: for a length below 2, or no sequences.
    """

    kind, loss, name, input_size, output_size = "adding", "mse", "adding", 2, 1

    def __init__(self, length=50, count=10_000, seed=0, held_out=1_000):
        if length < 2 or count < 1 or held_out < 1:
            raise DataError(f"the adding problem with sequences of {length} steps, {count} of them and {held_out} held "
                            "out; at least 2, 1 and 1 expected")
        self.length, self.seed = length, seed
        rng = np.random.default_rng(seed)
        n = count + 2 * held_out
        self.values = rng.random((n, length))
        self.marked = np.stack([rng.integers(0, length // 2, n), rng.integers(length // 2, length, n)], axis=1)
        self.sums = np.take_along_axis(self.values, self.marked, axis=1).sum(axis=1, keepdims=True)
        rows = np.arange(n)
        self.parts = {"train": rows[:count], "validation": rows[count:-held_out], "test": rows[-held_out:]}

    def batch(self, rows, dtype=np.float32):
        """The sequences ``rows`` -> x (B, length, 2), sums (B, 1)."""
        x = np.zeros((len(rows), self.length, 2), dtype)
        x[:, :, 0] = self.values[rows]
        x[np.arange(len(rows))[:, None], self.marked[rows], 1] = 1
        return Batch(x, self.sums[rows].astype(dtype))

    def to_units(self, y):
        """Sums are learned as they are."""
        return y

    def metrics(self, predictions, rows):
        """The mean squared error."""
        return {"mse": float(((predictions - self.sums[rows]) ** 2).mean())}

    def baselines(self):
        """The answer that needs no memory at all."""
        rows = self.parts["test"]
        return {"always 1": self.metrics(np.ones((len(rows), 1)), rows)}

    def describe(self):
        """Lines for the header."""
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.parts.items())
        return [f"data        adding problem: the sum of two marked values among {self.length}, from seed {self.seed}; "
                "chance is mse 0.167", f"split       {sizes} sequences"]

    def scaling(self):
        """Of ``Model.predict``: nothing is scaled."""
        return None

    def recipe(self):
        """What a weights file remembers of the task, for JSON."""
        return {"task": self.kind, "data": self.name, "length": self.length, "count": len(self.parts["train"]),
                "held_out": len(self.parts["test"]), "seed": self.seed}

    def fingerprint(self):
        return _fingerprint(self.recipe())


def _fingerprint(*parts):
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
