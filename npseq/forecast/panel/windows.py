"""What the network of a panel learns from: windows of all series, each standardised by itself.

A window is T patches of p rows, a season or a part of one; a step of the network reads a patch. With the window's mean
m and deviation σ, its rows are z = (w − m) / σ, w = y or log y, and the network corrects the base d in one go:

    ŵ_{t+i} = m + σ (d_i + r_i),  i = 0 … h − 1,    d_i = Σ_l β_l z_{t+i−l}

The lags l are whole seasons; where t + i − l is not before t, as many more as are needed. The loss is |error| in
units of each series' own scale: |d + r − z| times σ / scale, at most ``HEAVIEST``. A window that begins before its
series is shorter (``lengths``); z is 0 there.

Source of windows scaled by themselves: Smyl 2020, International Journal of Forecasting 36, 75–85; of direct forecasts
of the whole horizon: Wen et al. 2017, arXiv 1711.11053v2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ...data.panel import Panel, summed
from ...formats.messages import Message, marked
from ...nn.model import Model
from ...tasks.base import Batch, Task, WeightedBatch, batches, fingerprint
from ...tasks.seen import SeenSeries
from ..candidates import ROOM
from .covariates import Read, explained
from .recipe import PanelRecipe
from .series import Many, unit

EXAMPLES = 64_000  # of an epoch, at most
AGAIN = 4  # times that an epoch sees a window, at most
SHORT = 50  # one in so many windows that begin before their series is an example
HEAVIEST = 5.0  # weight of an example
FLATTEST = 0.05  # deviation of a window, in units of the series' scale, at least
STILL = 1e-9  # deviation of a window, in units of its mean, at least
OF_LOG = 2.0  # weight of the forecast of log y, beside that of y
FARTHEST = 20.0  # target, in deviations of the window


class PanelTask(Task):
    """Predict the next ``horizon`` values of each series from its last windows.

    Args:
        many: the series. recipe: how windows are made. panel: that they are of.

    Attributes:
        cuts: the rolling origins of each series, which are the part ``"validation"``; rows from the first of them on
            are no target of the part ``"train"``.
    """

    kind, loss, scored = "panel", "mae", "validation"
    corrects = True

    def __init__(self, many: Many, recipe: PanelRecipe, panel: Panel):
        self.many, self._recipe, self.name, self.panel = many, recipe, recipe.data, panel
        self.input_size, self.output_size = recipe.needs().input_size, recipe.horizon
        self.cuts = many.cuts(recipe.horizon)
        self.windows = Windows(many, recipe)
        p, full, h = recipe.patch, recipe.patch * recipe.window, recipe.horizon
        ends = [int(cuts[0]) if len(cuts) else len(y) for y, cuts in zip(many.values, self.cuts)]
        last = np.array([ends[k] - h for k in self.windows.series])
        whole = np.maximum(last - full + 1, 0)
        short = np.clip(np.minimum(last + 1, full) - p, 0, None)
        self._thin = np.where(whole > 0, SHORT, 1)
        self._whole, self._ends = whole, np.cumsum(whole + short // self._thin)
        self.window = recipe.window
        total = int(self._ends[-1])
        own = [(j, c) for j, k in enumerate(self.windows.series) for c in self.cuts[k]]
        self._past = np.array(own, np.int64).reshape(-1, 2)
        self.parts = {
            "train": np.arange(min(EXAMPLES, AGAIN * total)) % max(total, 1),
            "validation": total + np.arange(len(own)),
        }

    def prepare(self, model: Any) -> None:
        """Begin at the base: the head answers 0."""
        model.fc.theta[...] = 0

    def streams(self, rows: Any, batch_size: int, rng: np.random.Generator | None = None) -> Iterable[np.ndarray]:
        """Yield the examples of each batch of one pass; of the training part new ones are drawn in each."""
        if rng is not None:
            rows = rng.permutation(rows) if len(rows) < EXAMPLES else rng.choice(int(self._ends[-1]), len(rows))
        return batches(rows, batch_size)

    def _places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The series of windows, and the origins in them, of examples."""
        total, p, full = int(self._ends[-1]), self._recipe.patch, self._recipe.patch * self._recipe.window
        j = np.minimum(np.searchsorted(self._ends, rows, side="right"), len(self._ends) - 1)
        at = rows - np.append(0, self._ends)[j]
        origin = np.where(at < self._whole[j], full + at, p + (at - self._whole[j]) * self._thin[j])
        if (late := rows >= total).any():
            j[late], origin[late] = self._past[rows[late] - total].T
        return j, origin

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the inputs of the examples ``rows``; the target is None."""
        x, _, _, _, lengths = self.windows.inputs(*self._places(rows))
        return Batch(x.astype(dtype), None, lengths)

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> WeightedBatch:
        """Return the examples ``rows`` with their targets and weights."""
        j, origin = self._places(rows)
        x, base, mean, scale, lengths = self.windows.inputs(j, origin)
        target = (self.windows.ahead(j, origin) - mean[:, None]) / scale[:, None] - base
        weights = np.minimum(scale / self.windows.scale[j], HEAVIEST)
        target = np.clip(target, -FARTHEST, FARTHEST)
        return WeightedBatch(x.astype(dtype), target.astype(dtype), lengths, weights.astype(dtype))

    def recipe(self) -> PanelRecipe:
        """Return what a weights file must keep to prepare new data in the same way."""
        return self._recipe

    def seen_rows(self) -> SeenSeries:
        """Return what tells the rows of the training, which a weights file keeps."""
        rows, many = {}, self.many
        for place, y, end, cuts in zip(many.places, many.values, many.ends, self.cuts):
            rows[place] = end - len(y) + int(cuts[0]) if len(cuts) else end, end
        return SeenSeries.of(self.panel, self.panel.column(self._recipe.target), rows)

    def fingerprint(self) -> str:
        """Return a hash of the data and of how they are prepared."""
        return fingerprint(self._recipe.to_json(), self.panel.fingerprint())

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        recipe = self._recipe
        base = ", ".join(map(str, recipe.lags))
        lines = [
            f"data        {recipe.data}: {len(self.many):,} series, predicting {recipe.target} "
            f"{recipe.horizon} rows ahead; season {recipe.season} rows",
            f"            windows of {recipe.window} × {recipe.patch} rows, {recipe.horizon} ahead; "
            f"base: the values {base} rows before",
        ]
        without = [name for name, cuts in zip(self.many.ids, self.cuts) if not len(cuts)]
        told = self.many.left_out | dict.fromkeys(without, "has too few rows to be validated on")
        notes = [*self.panel.notes, *summed(told.items())]
        return lines + [Message(f"            {marked(note)}") for note in notes]


class Windows:
    """Windows of the series and of their logarithms, where all values are positive.

    series (J,): the number of each one's series; logs (J,) True for a logarithm; scale (J,): the unit of the errors.
    What columns known ahead explain of a series (``covariates``) is no part of its windows; forecasts have it again.
    """

    def __init__(self, many: Many, recipe: PanelRecipe):
        self.recipe, kept, series, logs = recipe, [], [], []
        self._effects: list[np.ndarray] = []
        self._read = Read(many.others, recipe) if recipe.scales else None
        cuts = many.cuts(recipe.horizon) if recipe.future else []
        for log in (False, True)[: 1 + recipe.log]:
            for k, y in enumerate(many.values):
                if not log or y.min() > 1e-9 * y.max():
                    w = np.log(y) if log else y
                    if recipe.future:
                        rows = int(cuts[k][0]) if len(cuts[k]) else len(y)
                        known = many.others[k][:, len(recipe.inputs) :]
                        self._effects.append(explained(w, known, rows, recipe.season))
                        w = w - self._effects[-1][: len(y)]
                    kept.append(w)
                    series.append(k)
                    logs.append(log)
        self.series, self.logs = np.array(series), np.array(logs)
        self.scale = np.array([unit(w, recipe.season) for w in kept])
        self._flattest = np.array([FLATTEST * size * (np.ptp(w) > 0) for w, size in zip(kept, self.scale)])
        self._flat, self._starts = np.concatenate(kept), np.append(0, np.cumsum([len(w) for w in kept]))

    def ahead(self, j: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """Return the h values (B, h) from each origin on."""
        return np.asarray(self._flat[(self._starts[j] + origin)[:, None] + np.arange(self.recipe.horizon)])

    def inputs(self, j: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return x (B, T, I), the base d (B, h), mean m (B,), deviation σ (B,), and lengths (B,) of the windows before
        the origins."""
        recipe = self.recipe
        p, T = recipe.patch, recipe.window
        lengths = np.clip(-(-origin // p), 1, T)
        rows = (origin - lengths * p)[:, None] + np.arange(T * p)
        there = (rows >= 0) & (rows < origin[:, None])
        at = self._starts[j][:, None]
        w = self._flat[at + np.clip(rows, 0, origin[:, None] - 1)]
        count = there.sum(axis=1)
        mean = np.sum(w, axis=1, where=there) / count
        w -= mean[:, None]
        w *= there
        scale = np.sqrt((w * w).sum(axis=1) / count)
        scale = np.maximum(scale, np.maximum(self._flattest[j], STILL * np.abs(mean)) + 1e-300)
        x = w / scale[:, None]
        base = self.lagged(j, origin, mean, scale) @ np.array(recipe.weights)
        parts = [x.reshape(len(j), T, p), np.broadcast_to(self.logs[j, None, None], (len(j), T, 1))]
        if self._read is not None:
            parts.append(self._read.inputs(self.series[j], origin, lengths))
        x = np.concatenate(parts, axis=2)
        return x, base, mean, scale, lengths

    def lagged(self, j: np.ndarray, origin: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return z (B, h, lags) some whole lags before each row to forecast; 0 before the series begins."""
        steps, found = np.arange(self.recipe.horizon), []
        for lag in self.recipe.lags:
            values = self._flat[self._starts[j][:, None] + np.maximum(origin[:, None] - lag + steps % lag, 0)]
            found.append(np.where((origin >= lag)[:, None], (values - mean[:, None]) / scale[:, None], 0.0))
        return np.stack(found, axis=2)

    def forecasts(self, models: list[Model], j: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """Return the mean forecast (B, h), in units of the data, of several networks."""
        found = np.empty((len(j), self.recipe.horizon))
        for rows in batches(np.arange(len(j))):
            x, base, mean, scale, lengths = self.inputs(j[rows], origin[rows])
            y = np.mean([model.outputs(x.astype(model.dtype), lengths) for model in models], axis=0)
            found[rows] = mean[:, None] + scale[:, None] * (base + y)
        logs, steps = self.logs[j], np.arange(self.recipe.horizon)
        for row in np.flatnonzero(logs):
            start = self._starts[j[row]]
            past = self._flat[start : start + origin[row]]
            low, high = past.min(), past.max()
            room = max(ROOM, high - low)
            found[row] = np.clip(found[row], low - room, high + room)
        for at in range(len(j) if self._effects else 0):
            effect = self._effects[j[at]]
            found[at] += effect[np.minimum(origin[at] + steps, len(effect) - 1)]
        found[logs] = np.exp(found[logs].clip(-690, 690))
        return found


def by_series(windows: Windows, models: list[Model], cuts: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the forecasts (O_k, h) of each series from its origins: the mean over y and log y, which counts
    ``OF_LOG`` times as much."""
    j = np.concatenate([np.full(len(cuts[k]), at) for at, k in enumerate(windows.series)])
    origin = np.concatenate([cuts[k] for k in windows.series])
    found = windows.forecasts(models, j.astype(np.int64), origin.astype(np.int64))
    ends = np.append(0, np.cumsum([len(cuts[k]) for k in windows.series]))
    for k in range(len(cuts)):
        at = np.flatnonzero(windows.series == k)
        parts, counts = [found[ends[one] : ends[one + 1]] for one in at], np.where(windows.logs[at], OF_LOG, 1.0)
        yield np.average(parts, axis=0, weights=counts)
