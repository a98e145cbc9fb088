"""The task of a panel: its seasons, the windows of its network, and the base that is fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from ...data.errors import DataError
from ...data.panel import Panel
from .closed_forms import Season
from .covariates import scales_of
from .recipe import PanelRecipe
from .series import Many
from .windows import FARTHEST, HEAVIEST, PanelTask, Windows

PATCH = 60  # rows of a step, at most
STEPS = 14  # of the network, by default, without a longer season
SEASONS = 2  # that a window holds, at least
LONGEST_WINDOW = 64  # steps
TRIED = 4000  # windows to which the base is fitted
PENALTY = 0.001  # of its squared weights, for each window


def panel_task(
    panel: Panel,
    target: str | int | None = None,
    horizon: int | None = None,
    window: int | None = None,
    inputs: Sequence[str] | None = None,
    future: Sequence[str] | None = None,
) -> PanelTask:
    """Return the task of forecasting a column of a panel.

    Args:
        target: as ``Panel.column``. horizon: rows to forecast at once, by default a season. window: steps of the
            network, each of a season or a part of one; by default one more than the longest season has, or else 14, or
            two seasons.
        inputs: other columns that the network reads. future: columns whose values are known ahead.

    Raises:
        DataError: for an unknown column, no series with values, or too few rows for a horizon.
    """
    past, ahead = ([panel.columns[panel.column(one)] for one in names or ()] for names in (inputs, future))
    many = Many.of(panel, target, None, past, ahead)
    name = panel.columns[panel.column(target)]
    horizon = horizon or many.season.s
    recipe = _recipe(many, panel.name, name, horizon, window, past, ahead)
    task = PanelTask(many, recipe, panel)
    if not len(task.parts["train"]):
        longest = max(map(len, many.values))
        raise DataError(
            f"{panel.name} has series of at most {longest:,} rows; to forecast {horizon} a network needs "
            f"{recipe.patch + 2 * horizon} or more"
        )
    return task


def _recipe(many: Many, data: str, target: str, horizon: int, window: int | None, *others: list[str]) -> PanelRecipe:
    s, longer = many.season
    parts = next(k for k in range(1, s + 1) if s % k == 0 and s // k <= PATCH)
    patch = s // parts
    if patch == 1 < s:  # a prime
        patch = PATCH // 2
    enough = max(ceil(longer[-1] / patch) + 1 if longer else STEPS, ceil(SEASONS * s / patch))
    steps = window or min(enough, LONGEST_WINDOW)
    log = any(y.min() > 0 for y in many.values)
    lags = [s, *(longer or ([2 * s] if s > 1 else []))]
    alone = [1.0] + [0.0] * (len(lags) - 1)
    recipe = PanelRecipe(data, target, horizon, s, list(longer), patch, steps, log, lags, alone)
    if any(others):
        past = many.before_cuts(horizon)
        scales = scales_of([other[: len(y)] for other, y in zip(past.others, past.values)])
        recipe = replace(recipe, inputs=others[0], future=others[1], scales=scales)
    return replace(recipe, weights=_weights(many, recipe))


def _weights(many: Many, recipe: PanelRecipe) -> list[float]:
    """Fit the base: the weights of its lags, which add up to 1, by least squares over windows of all series before
    their rolling origins."""
    many = many.before_cuts(recipe.horizon)
    windows, least = Windows(many, recipe), max(recipe.patch * recipe.window, *recipe.lags)
    j: list[np.ndarray] = []
    origin: list[np.ndarray] = []
    each = max(1, TRIED // len(windows.series))
    for at, k in enumerate(windows.series):
        last = len(many.values[k]) - recipe.horizon
        if last > recipe.patch:
            origin.append(np.unique(np.linspace(min(least, last), last, each).astype(int)))
            j.append(np.full(len(origin[-1]), at))
    if not j or len(recipe.lags) == 1:
        return recipe.weights
    some = slice(None, None, max(1, sum(map(len, j)) // TRIED))
    rows, starts = np.concatenate(j)[some], np.concatenate(origin)[some]
    _, _, mean, scale, _ = windows.inputs(rows, starts)
    heavy = np.minimum(scale / windows.scale[rows], HEAVIEST)[:, None]
    lagged = windows.lagged(rows, starts, mean, scale)
    first = lagged[:, :, 0]
    t = heavy * np.clip((windows.ahead(rows, starts) - mean[:, None]) / scale[:, None] - first, -FARTHEST, FARTHEST)
    x = (heavy[:, :, None] * (lagged[:, :, 1:] - first[:, :, None])).reshape(t.size, -1)
    others = np.linalg.solve(x.T @ x + PENALTY * t.size * np.eye(x.shape[1]), x.T @ t.ravel()).clip(0, 1)
    weights = np.append(max(1 - others.sum(), 0.0), others)
    return [float(weight) for weight in weights / weights.sum()]


def season_of(recipe: PanelRecipe) -> Season:
    """Return the seasons that a recipe keeps."""
    return Season(recipe.season, tuple(recipe.longer))
