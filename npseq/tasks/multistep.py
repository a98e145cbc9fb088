"""Forecasts beyond a model's horizon: forecasts stand in for the values that are not known yet."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.errors import DataError
from ..data.table import Table
from .recipe import ForecastRecipe
from .scoring import Progress, outputs
from .windows import Windows

STEPS = 48  # rows for which the errors of recursive forecasts are measured
ORIGINS, PASSES = 256, 16  # forecast origins used to measure multi-step errors, and the maximum number of passes


def recursive_forecast(
    model: Any,
    recipe: ForecastRecipe,
    table: Table,
    origins: np.ndarray,
    steps: int,
    progress: Progress = iter,
) -> np.ndarray:
    """Forecast the rows r … r + steps − 1 for each r of ``origins``, from the rows before r alone.

    Unknown values are replaced by their forecasts; the other inputs keep their last known value.

    Args:
        model, recipe: of a weights file.
        table: the data.
        origins: rows, in increasing order, each with the model's whole window before it; len(table.values) is the row
            after the end.
        steps: rows to forecast.
        progress: as in ``scoring.outputs``.

    Returns:
        (len(origins), steps, targets) in data units.

    Raises:
        DataError: as ``Windows``, and if times after the end are needed of a table with irregular ones.
    """
    h, O = recipe.horizon, len(recipe.target)
    last_call = (steps - 1) // h * h  # the last forecast has the origin r + last_call
    passes = next(
        p
        for p in range(1, len(origins) + 1)  # within one pass the rows of different origins do not overlap
        if p == len(origins) or (origins[p:] - origins[:-p]).min() >= recipe.first + steps
    )
    forecast = np.empty((len(origins), last_call + h, O))
    for k in range(passes):
        at = origins[k::passes]
        start = at[0] - recipe.first
        windows = Windows.from_recipe(recipe, _rows(table, start, at[-1] + last_call, recipe.calendar))
        at = at - start
        for step in range(last_call):  # the last forecast needs no later row
            windows.values[at + step, O:] = windows.values[at - 1, O:]
        for step in range(0, last_call + h, h):
            found = outputs(model, windows, at + step, progress=progress)
            forecast[k::passes, step : step + h] = found.reshape(len(at), h, O)
            if step < last_call:
                for ahead in range(step, step + h):
                    windows.values[at + ahead, :O] = forecast[k::passes, ahead]
    return forecast[:, :steps]


def _rows(table, start, stop, calendar):
    """A copy of the rows start … stop − 1; after the end of the table the last row is repeated."""
    rows = np.minimum(np.arange(start, stop), len(table.values) - 1)
    times, n = table.irregular, len(table.values)
    if times is not None and stop > n and (after := table.times_after(stop - n)) is not None:
        times = np.append(times, after)
    elif stop > n and times is not None and calendar:
        raise DataError(
            f"{table.name} has irregular times, so the times after its end are not known: only the rows of "
            "one horizon can be forecast there"
        )
    return Table(
        table.name,
        table.values[rows],
        table.columns,
        table.step,
        None if table.start is None else table.start + start * np.timedelta64(table.step, "s"),
        None if times is None else times[start:stop] if len(times) >= stop else times[rows],
        all_columns=table.all_columns,
        refused=table.refused,
    )


def recursive_residuals(
    model: Any, recipe: ForecastRecipe, table: Table, start: int, stop: int, steps: int = STEPS
) -> np.ndarray:
    """Return actual − forecast of recursive forecasts, from origins spread over the newest rows of start … stop − 1.

    Returns:
        (origins, steps, targets), with fewer steps if there are few rows.
    """
    steps = min(steps, max(1, (stop - start) // 4))
    spacing = recipe.first + steps
    last = stop - steps
    stride = int(np.clip((last - start) // ORIGINS, -(-spacing // PASSES), spacing))
    origins = np.arange(last, start - 1, -stride)[:ORIGINS][::-1]
    columns = [table.column(name) for name in recipe.target]
    actual = table.values[origins[:, None] + np.arange(steps)][:, :, columns]
    return actual - recursive_forecast(model, recipe, table, origins, steps)
