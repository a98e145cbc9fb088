"""One or several trained forecasters over a table: their mean forecast, and its interval.

Several files, such as those of different seeds, are averaged: each forecasts, and is fed back, by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.errors import DataError
from ..data.table import Table
from ..formats.messages import Message, argument
from ..nn.model import Model
from ..tasks.base import Progress
from ..tasks.scoring import outputs
from . import adaptive, intervals, recursive
from .asked import coverages_of, steps_of
from .baselines import Baselines
from .metadata import ForecastMetadata
from .recipe import ForecastRecipe, of_forecast
from .windows import WindowDataset

STRIDE = 10  # rows between the origins of forecasts fed back before the last one, from whose errors the level adapts
OFF = 0.07  # between measured and nominal coverage, from which on ``doubts`` tells


class Forecasts(NamedTuple):
    """values (n, steps, targets) in data units. bounds (n, steps, targets, 2 L): low and high of each of L intervals
    whose width follows the state; constant, likewise: of the constant width. Each may be None, and NaN where it was not
    measured.
    """

    values: np.ndarray
    bounds: np.ndarray | None = None
    constant: np.ndarray | None = None

    def at(self, *rows: Any) -> Forecasts:
        """Return those of some rows, steps and targets."""
        return Forecasts._make(None if part is None else part[rows] for part in self)


class Prediction(NamedTuple):
    """Forecasts of rows: rows (n,), how many rows ahead each is (1, 2, …), values (n, targets), bounds
    (n, targets, 2 L) of the intervals, as in ``Forecasts``, or None. ``after``: how many of them are forecast from the
    last row with a value; None if each is forecast from the rows before it.
    """

    rows: np.ndarray
    ahead: np.ndarray
    values: np.ndarray
    bounds: np.ndarray | None
    after: int | None
    coverages: tuple[float, ...] = ()

    def array(self) -> np.ndarray:
        """Return the values (n, targets), with L intervals (n, targets, 1 + 2 L); of one target without its axis."""
        values = self.values
        if self.bounds is not None:
            values = np.concatenate([values[..., None], self.bounds], axis=2)
        return values[:, 0] if values.shape[1] == 1 else values

    def columns(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the columns of a table: NAME of each target, NAME_low and NAME_high; of several intervals NAME_low_80,
        with the coverage in per cent.
        """
        several, found = len(self.coverages) > 1, {}
        ends = [
            f"_{side}" + f"_{100 * coverage:g}" * several for coverage in self.coverages for side in ("low", "high")
        ]
        for k, name in enumerate(names):
            found[name] = self.values[:, k]
            if self.bounds is not None:
                found |= {name + end: self.bounds[:, k, at] for at, end in enumerate(ends)}
        return found


class NewRows(NamedTuple):
    """Which rows of a table are new to the models. seen (n,): True for each row that one of them was trained or
    validated on, None if there is none; part: ``"test"`` if such rows are left out, otherwise ``"all"``; notes: lines
    for the table of scores.
    """

    seen: np.ndarray | None
    part: str
    notes: list[str]


class Ensemble:
    """The mean of trained forecasters.

    What one of them needs, all need: input_columns and future_columns are those that any of them reads.

    Args:
        members: (model, trained) of each weights file.
        table: to forecast.
        coverage: of the interval, or of several, or None for no interval.
        in_use: forecast with what the files keep for rows after those of the training (``ForecastMetadata.in_use``).

    Raises:
        DataError: as ``WindowDataset``, for a file that does not forecast, if the files do not forecast the same
            columns by the same steps, or for a coverage that is not between 0 and 1.
    """

    def __init__(
        self,
        members: Sequence[tuple[Model, ForecastMetadata]],
        table: Table,
        coverage: float | Sequence[float] | None = None,
        in_use: bool = False,
    ):
        self.given, self.table = list(members), table
        members = [trained.in_use(model) for model, trained in members] if in_use else self.given
        self.members = members
        self.coverages = coverages_of(coverage)
        recipes = [of_forecast(trained.recipe) for _, trained in members]
        for recipe in recipes[1:]:
            for name in ("target", "horizon", "step"):
                own, other = getattr(recipes[0], name), getattr(recipe, name)
                if own != other:
                    raise DataError(
                        f"the files have different {name}s, {own} and {other}: only forecasts of the same rows can be "
                        "averaged"
                    )
        self.windows = [WindowDataset.from_recipe(recipe, table) for recipe in recipes]
        self.first = max(windows.first for windows in self.windows)
        self.horizon, self.targets = self.windows[0].horizon, self.windows[0].target_columns
        self.input_columns, self.future_columns = needed(recipes)
        self._since = [_new_from(trained, windows, in_use) for (_, trained), windows in zip(self.given, self.windows)]

    def new_rows(self) -> NewRows:
        """Return which rows are new to every one of the models."""
        seen, notes, unknown, name = np.zeros(len(self.table.values), bool), [], False, self.table.name
        for (_, trained), windows in zip(self.members, self.windows):
            found = None if trained.seen is None else trained.seen.find(self.table, windows.columns)
            unknown |= found is None
            seen |= False if found is None else found
            if trained.seen is not None and trained.seen.differ(self.table, windows.columns):
                notes = [f"{name} has other values at most times of the training: it looks like another series"]
        if seen.any():
            until = max((trained.seen.until or "" for _, trained in self.members if trained.seen), default="")
            told = f"{int(seen.sum()):,} rows that the model was trained or validated on are left out"
            notes.insert(0, told + (f": those up to {until.replace('T', ' ')}" if until else ""))
        if unknown:
            notes.append(
                f"whether the {'other ' if seen.any() else ''}rows of {name} are new cannot be known: they have no "
                "times, and no run of rows of the training is among them"
            )
        return NewRows(seen, "test", notes) if seen.any() else NewRows(None, "all", notes)

    @property
    def measured(self) -> int:
        """The number of steps whose errors every file has measured."""
        return min((trained.width.steps for _, trained in self.members if trained.width is not None), default=0)

    def doubts(self, ahead: np.ndarray) -> list[str]:
        """Return a line for each interval whose coverage on the test part, so many rows ``ahead``, was further than
        ``OFF`` from the nominal one."""
        lines, steps = [], np.unique(ahead)
        for nominal in self.coverages:
            shares = [trained.coverage_at(nominal, steps) for _, trained in self.members]
            known = [share for share in shares if share is not None]
            for name, share in zip(self.targets, np.mean(known, axis=0) if known else ()):
                if abs(share - nominal) > OFF:
                    what = f"the {100 * nominal:g}% interval of {name} held {share:.1%} of the values"
                    lines.append(f"{what} of the test part at these steps")
        return lines

    def in_use(self) -> Ensemble:
        """Return what forecasts rows after those of the training: itself, if the files keep nothing else for them."""
        if all(trained.final is None for _, trained in self.given):
            return self
        return Ensemble(self.given, self.table, self.coverages, in_use=True)

    def later(self) -> np.ndarray:
        """Return (n,) True for the rows after all those that a base was fitted to again."""
        later, some = np.ones(len(self.table.values), bool), False
        for (_, trained), windows in zip(self.members, self.windows):
            if trained.final is not None:
                seen = None if trained.seen is None else trained.seen.find(self.table, windows.columns)
                found = trained.final.after(self.table, seen)
                later &= False if found is None else found
                some = True
        return later & some

    def seen(self) -> np.ndarray | None:
        """Return ``new_rows().seen``."""
        return self.new_rows().seen

    def baselines(self) -> Baselines:
        """Return the baselines of the model that was trained on the most rows."""
        pairs = [(windows, trained) for (_, trained), windows in zip(self.members, self.windows)]
        windows, trained = max(pairs, key=lambda pair: pair[1].seen.count if pair[1].seen else 0)
        return Baselines(windows, trained.baselines)

    def direct(self, rows: np.ndarray, progress: Progress = iter) -> Forecasts:
        """Return the forecasts of the rows r … r + horizon − 1, for each r of ``rows``."""
        parts = []
        for k, ((model, trained), windows) in enumerate(zip(self.members, self.windows)):
            asked, width = rows, trained.width if self.coverages else None
            if width is not None:  # the rows before them, too, from whose errors the level adapts
                rows = np.union1d(asked, self._history(k, windows, asked, adaptive.ERRORS[1]))
            y = outputs(model, windows, rows, progress=progress).reshape(len(rows), self.horizon, -1)
            scale = None if width is None else intervals.scales(model, windows, rows, width)
            parts.append(self._with_bounds(k, rows, y, scale, None).at(np.searchsorted(rows, asked)))
            rows = asked
        return _mean(parts)

    def ahead(self, origins: np.ndarray, steps: int, progress: Progress = iter) -> Forecasts:
        """Return the forecasts of the rows r … r + steps − 1, fed back, for each r of ``origins``."""
        parts = []
        for k, ((model, trained), windows) in enumerate(zip(self.members, self.windows)):
            rows, width, head = origins, trained.width if self.coverages else None, None
            if width is not None:
                head = width.weight, width.bias
                if len(origins) == 1:
                    rows = np.union1d(origins, self._history(k, windows, origins, adaptive.ERRORS[1])[::-STRIDE])
            found = recursive.forecast_ahead(
                model, trained.recipe, self.table, rows, steps, progress, trained.blend, head
            )
            scale = None
            if width is not None and found.log_scale is not None:
                scale = intervals.ahead_scales(model, windows, rows, found.log_scale, width)
            parts.append(self._with_bounds(k, rows, found.values, scale, steps).at(np.searchsorted(rows, origins)))
        return _mean(parts)

    def _of_known(self, rows: np.ndarray, progress: Progress) -> Forecasts:
        """Return the forecasts of rows that the table holds, and of the one after. Rows that a base was fitted to again
        are forecast with the base before that, as they are scored: with the later one they would not be forecasts."""
        if self.members is self.given:
            return self.direct(rows, progress)
        scored = Ensemble(self.given, self.table, self.coverages)
        later = np.append(scored.later(), True)[rows]
        halves = (scored, rows[~later]), (self, rows[later])
        parts = [forecaster.direct(some, progress) for forecaster, some in halves if len(some)]
        return Forecasts._make(None if same[0] is None else np.concatenate(same) for same in zip(*parts))

    def _history(self, k: int, windows: WindowDataset, rows: np.ndarray, most: int) -> np.ndarray:
        """The rows, at most so many, before the first of the ``rows``, that are new to model k."""
        if not len(rows):
            return rows
        first = int(rows.min())
        return np.arange(max(windows.first, self._since[k], first - most), first)

    def _with_bounds(
        self, k: int, rows: np.ndarray, y: np.ndarray, scale: np.ndarray | None, steps: int | None
    ) -> Forecasts:
        trained, windows = self.members[k][1], self.windows[k]
        y = y if trained.width is None else trained.width.not_below(y)
        if not self.coverages:
            return Forecasts(y)
        constant = []
        for coverage in self.coverages:
            constant += [y + bound.reshape(1, -1, y.shape[2]) for bound in intervals.interval(trained, coverage, steps)]
        around = np.stack(constant, axis=-1)
        if scale is None or trained.width is None:
            return Forecasts(y, around, around)
        n, K = len(windows.values), min(y.shape[1], trained.width.steps)
        ahead = rows[:, None] + np.arange(K)
        values = np.where((ahead < n)[..., None], _values(windows, np.minimum(ahead, n - 1)), np.nan)
        scaled, bounds = (values - y[:, :K]) / scale[:, :K], np.empty((*y.shape, 2 * len(self.coverages)))
        low = high = y
        for at in np.argsort(self.coverages):  # the narrowest first: those around it hold it
            offsets = trained.width.adapted(scaled, rows, self.coverages[at], self._since[k])
            sides = trained.width.bounds(y, scale, self.coverages[at], offsets)
            low, high = np.minimum(low, sides[0]), np.maximum(high, sides[1])
            bounds[..., 2 * at], bounds[..., 2 * at + 1] = low, high
        return Forecasts(y, bounds, around)

    def predict(self, steps: int | None = None, progress: Progress = iter) -> Prediction:
        """Forecast what the table does not hold.

        Args:
            steps: to forecast after the last row with a value; by default the rows at the end whose targets are empty,
                or, if there are none, every row from the rows before it, and the first one after the end.
            progress: wraps the loop over the batches of rows.

        Raises:
            DataError: for too few rows, steps for which the model needs values that are not given, or steps that are
                not a whole number from 1.
        """
        end, after = self._end(steps_of(steps))
        if end < self.first:
            raise DataError(f"{self.table.name} has {end:,} rows: too few for a model that sees {self.first}")
        h, O = self.horizon, len(self.targets)
        if after:
            rows, ahead = end + np.arange(after), np.arange(after)
            found = self.ahead(np.array([end]), after)
        else:
            first = np.arange(self.first, end + 1 if not self.future_columns else end - h + 1)
            rows, ahead = (first[:, None] + np.arange(h)).reshape(-1), np.tile(np.arange(h), len(first))
            found = self._of_known(first, progress)
        bounds = None if found.bounds is None else found.bounds.reshape(-1, O, 2 * len(self.coverages))
        return Prediction(rows, ahead + 1, found.values.reshape(-1, O), bounds, after, self.coverages)

    def _end(self, steps: int | None) -> tuple[int, int | None]:
        """The row after the last one with a value, and the number of rows to forecast from there, or None for a
        forecast of every row."""
        windows, filled = self.windows[0], self.table.filled
        n = end = len(windows.values)
        if windows.filled is not None:
            end = int(np.flatnonzero(~windows.filled.all(axis=1))[-1]) + 1
        steps = steps or (n - end or None)
        if steps is None:
            return end, None
        if self.input_columns and steps > self.horizon:
            raise DataError(unknown_ahead(self.input_columns))
        if self.future_columns:
            columns = [self.table.column(name) for name in self.future_columns]
            known = n - end if filled is None else int(np.argmax(np.append(filled[end:, columns].any(axis=1), True)))
            if steps > known:
                raise DataError(
                    f"{steps:,} rows after the last value of {', '.join(windows.target_columns)} asked for, but "
                    f"{', '.join(self.future_columns)} are given for {known:,}: add rows with their values and an "
                    "empty target"
                )
        return end, steps


def _new_from(trained: ForecastMetadata, windows: WindowDataset, in_use: bool) -> int:
    """The first row after those that the model, or in use its base, was fitted to."""
    n, table = len(windows.values), windows.table
    if trained.seen is None:
        return n
    seen = trained.seen.find(table, windows.columns)
    fitted = seen
    if in_use and trained.final is not None:
        later = trained.final.after(table, seen)
        fitted = None if later is None else ~later
    return 0 if fitted is None or not fitted.any() else int(np.flatnonzero(fitted)[-1]) + 1


def _values(windows: WindowDataset, rows: np.ndarray) -> np.ndarray:
    """The targets' values at the rows (…), NaN where they were missing: (…, O)."""
    values: np.ndarray = windows.values[rows][..., : len(windows.target_columns)]
    return values if windows.filled is None else np.where(windows.filled[rows], np.nan, values)


def _mean(parts: Sequence[Forecasts]) -> Forecasts:
    """The mean of each array."""
    if len(parts) == 1:
        return parts[0]
    return Forecasts._make(None if same[0] is None else np.mean(same, axis=0) for same in zip(*parts))


def needed(recipes: Sequence[ForecastRecipe]) -> tuple[list[str], list[str]]:
    """Return the columns that any of the recipes reads besides the targets: inputs, and those known ahead."""
    inputs, future = (
        list(dict.fromkeys(name for recipe in recipes for name in getattr(recipe, which)))
        for which in ("inputs", "future")
    )
    return inputs, future


def unknown_ahead(inputs: list[str]) -> Message:
    """Return what to say when forecasts are fed back, but other inputs are not known ahead."""
    names = ", ".join(inputs)
    return Message(
        f"the model reads {names}, whose values after the last row are not known, so its forecasts cannot be fed back: "
        f"train with {argument('future', inputs)} and give their values ahead, or train without {argument('inputs')}"
    )
