"""One or several trained forecasters over a table: their mean forecast, and its interval.

Several files, such as those of different seeds, are averaged: each forecasts, and is fed back, by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.errors import DataError
from ..data.table import Table
from ..nn.model import Model
from . import intervals, multistep
from .recipe import Trained
from .scoring import Progress, outputs
from .windows import Windows


class Forecasts(NamedTuple):
    """values (n, steps, targets) in data units; low, high: of the interval whose width follows the state;
    constant_low, constant_high: of the constant width. Each bound may be None, or NaN where it was not measured.
    """

    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    constant_low: np.ndarray | None = None
    constant_high: np.ndarray | None = None


class Forecaster:
    """The mean of trained forecasters.

    Args:
        members: (model, trained) of each weights file.
        table: to forecast.
        coverage: of the interval, or None for no interval.

    Raises:
        DataError: as ``Windows``, or if the files do not forecast the same columns by the same steps.
    """

    def __init__(self, members: Sequence[tuple[Model, Trained]], table: Table, coverage: float | None = None):
        self.members, self.table, self.coverage = list(members), table, coverage
        recipes = [trained.recipe for _, trained in members]
        for recipe in recipes[1:]:
            for name in ("target", "horizon", "step"):
                own, other = getattr(recipes[0], name), getattr(recipe, name)
                if own != other:
                    raise DataError(
                        f"the files have different {name}s, {own} and {other}: only forecasts of the same rows can be "
                        "averaged"
                    )
        self.windows = [Windows.from_recipe(recipe, table) for recipe in recipes]
        self.first = max(windows.first for windows in self.windows)
        self.horizon, self.targets = self.windows[0].horizon, self.windows[0].target_columns
        self.blended = any(trained.blend is not None for _, trained in members)

    def direct(self, rows: np.ndarray, progress: Progress = iter) -> Forecasts:
        """Return the forecasts of the rows r … r + horizon − 1, for each r of ``rows``."""
        parts = []
        for (model, trained), windows in zip(self.members, self.windows):
            y = outputs(model, windows, rows, progress=progress).reshape(len(rows), self.horizon, -1)
            scale = None
            if self.coverage is not None and trained.width is not None:
                scale = intervals.scales(model, windows, rows, trained.width)
            parts.append(self._with_bounds(trained, y, scale, None))
        return _mean(parts)

    def ahead(self, origins: np.ndarray, steps: int, progress: Progress = iter) -> Forecasts:
        """Return the forecasts of the rows r … r + steps − 1, fed back, for each r of ``origins``."""
        parts = []
        for (model, trained), windows in zip(self.members, self.windows):
            width, head = trained.width if self.coverage is not None else None, None
            if width is not None:
                head = width.weight, width.bias
            found = multistep.forecast_ahead(
                model, trained.recipe, self.table, origins, steps, progress, trained.blend, head
            )
            scale = None
            if width is not None:
                scale = intervals.ahead_scales(model, windows, origins, found.log_scale, width)
            parts.append(self._with_bounds(trained, found.values, scale, steps))
        return _mean(parts)

    def _with_bounds(self, trained, y, scale, steps):
        if self.coverage is None:
            return Forecasts(y)
        low, high = (bound.reshape(1, -1, y.shape[2]) for bound in intervals.interval(trained, self.coverage, steps))
        constant = y + low, y + high
        if scale is None:
            return Forecasts(y, *constant, *constant)
        return Forecasts(y, *trained.width.bounds(y, scale, self.coverage), *constant)


def _mean(parts: Sequence[Any]) -> Forecasts:
    """The mean of each array."""
    if len(parts) == 1:
        return parts[0]
    return Forecasts(*(None if same[0] is None else np.mean(same, axis=0) for same in zip(*parts)))
