"""Forecasts beyond a model's horizon: forecasts stand in for the values that are not known yet.

With a base the network's state is carried on over the rows that are fed back, and its correction is blended with the
base's own forecast, step by step:

    ŷ_k = a_k + γ_k (d_k − a_k)

a is the base fed back alone, d base and network fed back together, γ_k from 0 to 1 by least squares over validation
origins (``scoring.shrunk_factor``), so that far ahead, where the network adds nothing, the forecast is the base's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.table import Table
from ..nn.model import Model, State
from ..tasks.base import BATCH_ROWS, Progress, batches
from ..tasks.scoring import shrunk_factor
from .calendar_slots import row_times
from .recipe import ForecastRecipe
from .windows import WindowDataset

STEPS = 48  # rows for which the errors of recursive forecasts are measured
ORIGINS = 800  # forecast origins used to measure multi-step errors, at most
ROWS = 1 << 18  # rows of all origins together in memory at a time


class Ahead(NamedTuple):
    """Forecasts fed back: values (origins, steps, targets) in data units, and log s of the same shape, or None."""

    values: np.ndarray
    log_scale: np.ndarray | None


def forecast_ahead(
    model: Model,
    recipe: ForecastRecipe,
    table: Table,
    origins: np.ndarray,
    steps: int,
    progress: Progress = iter,
    blend: np.ndarray | None = None,
    head: tuple[np.ndarray, np.ndarray] | None = None,
) -> Ahead:
    """Forecast the rows r … r + steps − 1 for each r of ``origins``, from the rows before r alone.

    Unknown values are replaced by their forecasts; the other inputs keep their last known value, those known ahead are
    read from the table.

    Args:
        model, recipe: of a weights file.
        table: the data.
        origins: rows, each with the model's whole window before it; len(table.values) is the row after the end.
        steps: rows to forecast.
        progress: as in ``scoring.outputs``.
        blend: (K, targets) γ, the last of which holds for later steps too; None for the network's own forecasts.
        head: weight (horizon · targets, R) and bias of log s (``intervals.py``), or None.

    Raises:
        DataError: as ``WindowDataset``.
    """
    whole = WindowDataset.from_recipe(recipe, table)
    size = max(1, ROWS // (whole.first + steps + recipe.horizon))
    slices = progress(list(batches(np.arange(len(origins)), size)))
    parts = [_together(model, recipe, whole, origins[rows], steps, head) for rows in slices]
    forecast = np.concatenate([part[0] for part in parts])
    log_scale = None if head is None else np.concatenate([part[1] for part in parts])
    if blend is not None and recipe.base is not None:
        alone = base_alone(whole, origins, steps)
        gamma = blend[np.minimum(np.arange(steps), len(blend) - 1)]
        forecast = alone + gamma * (forecast - alone)
    return Ahead(forecast, log_scale)


def base_alone(windows: WindowDataset, origins: np.ndarray, steps: int) -> np.ndarray:
    """Return the base's own forecasts (len(origins), steps, targets), fed back, in data units."""
    z = windows.base_ahead(origins, steps)
    return windows.target_scaler.to_units(z)


def _together(
    model: Model,
    recipe: ForecastRecipe,
    whole: WindowDataset,
    origins: np.ndarray,
    steps: int,
    head: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """All origins at once: the rows that each needs stand one after another in one table."""
    h, O, first = recipe.horizon, len(recipe.target), whole.first
    last_call = (steps - 1) // h * h  # the last forecast has the origin r + last_call
    length = first + last_call + h
    rows = (origins[:, None] - first + np.arange(length)).reshape(-1)
    windows = WindowDataset.from_recipe(recipe, _rows(whole, rows))
    at = np.arange(len(origins)) * length + first
    for step in range(last_call + h):  # values that are not known ahead keep their last value
        known = O + len(windows.input_columns)
        windows.values[at + step, :known] = windows.values[at - 1, :known]
    forecast, state = np.empty((len(origins), last_call + h, O)), None
    log_s = None if head is None else np.empty_like(forecast)
    carried = recipe.base is not None and model.rnn.num_directions == 1
    for step in range(0, last_call + h, h):
        seen = np.arange(-h if step and carried else -recipe.window, 0)
        hidden, state = _hidden(model, windows, (at + step)[:, None] + seen, state if carried else None)
        y = model.fc(hidden)
        forecast[:, step : step + h] = windows.to_units(y, at + step).reshape(len(at), h, O)
        if head is not None and log_s is not None:
            log_s[:, step : step + h] = (hidden @ head[0].T + head[1]).reshape(len(at), h, O)
        if step < last_call:
            for ahead in range(step, step + h):
                windows.values[at + ahead, :O] = forecast[:, ahead]
            if recipe.base is not None:
                windows.refresh((at[:, None] + step + 1 + np.arange(h)).reshape(-1))
    return forecast[:, :steps], None if log_s is None else log_s[:, :steps]


def _hidden(model: Model, windows: WindowDataset, seen: np.ndarray, state: State | None) -> tuple[np.ndarray, State]:
    """What the head reads, and the final states, for the rows ``seen`` (m, T), in batches."""
    hidden, states = [], []
    for part in batches(np.arange(len(seen)), BATCH_ROWS):
        before = None
        if state is not None:
            before = tuple(each[:, part] for each in state) if isinstance(state, tuple) else state[:, part]
        h, after = model.hidden(windows.inputs_at(seen[part], model.dtype), before)
        hidden.append(h)
        states.append(after)
    if isinstance(states[0], tuple):
        return np.concatenate(hidden), tuple(np.concatenate(each, axis=1) for each in zip(*states))
    return np.concatenate(hidden), np.concatenate(states, axis=1)


def _rows(whole: WindowDataset, rows: np.ndarray) -> Table:
    """A table of these rows of the windows' values; after the end of the table the last row is repeated."""
    table, times = whole.table, None
    if table.times is not None and whole.needs_times:
        start = int(rows.min())
        times = row_times(table, start, int(rows.max()) + 1)
        times = None if times is None else times[rows - start]
    columns = whole.target_columns + whole.input_columns + whole.future_columns
    values = whole.values[np.minimum(rows, len(whole.values) - 1)]
    return Table(table.name, values, columns, table.step, None, times)


def origins_of(recipe: ForecastRecipe, start: int, stop: int, steps: int = STEPS) -> tuple[np.ndarray, int]:
    """Return origins spread over the rows start … stop − 1, and how many steps can be measured from each: fewer than
    ``steps`` if there are few rows, one horizon if other inputs are not known ahead.
    """
    steps = recipe.horizon if recipe.inputs else max(recipe.horizon, min(steps, (stop - start) // 4))
    last = stop - steps
    stride = max(1, -(-(last - start + 1) // ORIGINS))
    return np.arange(last, start - 1, -stride)[::-1], steps


def actual(windows: WindowDataset, origins: np.ndarray, steps: int) -> np.ndarray:
    """Return the values (len(origins), steps, targets) that forecasts are measured by; NaN where they were missing."""
    rows, O = origins[:, None] + np.arange(steps), len(windows.target_columns)
    values = windows.values[rows][:, :, :O].copy()
    if windows.filled is not None:
        values[windows.filled[rows]] = np.nan
    return values


def measure_blend(alone: np.ndarray, together: np.ndarray, values: np.ndarray, spacing: int = 1) -> np.ndarray:
    """Return γ (steps, targets) by ``shrunk_factor``: base fed back ``alone``, base and network ``together``, the true
    ``values``, each (origins, steps, targets); NaN values do not count. ``spacing``: rows between two origins.
    """
    repeats = np.maximum(1, np.arange(1, alone.shape[1] + 1)[:, None] / spacing)
    return shrunk_factor(together - alone, values - alone, repeats)
