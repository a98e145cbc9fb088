"""Forecasts of a trained model on any table, also further ahead than its horizon."""

import numpy as np

from ..data.errors import DataError
from ..data.table import Table
from .windows import Windows

AHEAD = 48  # rows for which forecasts that are fed back are measured
ORIGINS, PASSES = 256, 16  # about so many forecasts are fed back to measure that, in at most so many passes


def outputs(model, windows, rows, batch_size=512, progress=iter):
    """The model's forecasts whose first predicted rows are ``rows``: (B, horizon · targets) in the data's own units.

    ``progress`` is called with the batches and gives them back one after the other.
    """
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    parts = [model.outputs(windows.inputs(batch, model.dtype)) for batch in progress(batches)]
    return windows.to_units(np.concatenate(parts))


def recursive_forecast(model, recipe, table, origins, steps):
    """Forecasts of the rows r … r + steps − 1 for each r of ``origins``, from the rows before r alone.

    A forecast stands in for the values that are not known yet, and the other inputs keep their last known value.

    Args:
        model, recipe: of a weights file. table: a ``data.Table``. origins: rows, in increasing order, each with the
            model's whole window before it; len(table.values) is the row after the end.

    Returns:
        (len(origins), steps, targets) in the data's own units.

    Raises:
        DataError: as ``Windows``, and when times after the end are needed of a table with irregular ones.
    """
    h, O = recipe["horizon"], len(recipe["target"])
    first = _first(recipe)
    last_call = (steps - 1) // h * h  # the last forecast is asked for at r + last_call
    passes = next(
        p
        for p in range(1, len(origins) + 1)  # in one pass no origin's rows touch another's
        if p == len(origins) or (origins[p:] - origins[:-p]).min() >= first + steps
    )
    forecast = np.empty((len(origins), last_call + h, O))
    for k in range(passes):
        at = origins[k::passes]
        start = at[0] - first
        windows = Windows.from_recipe(recipe, _rows(table, start, at[-1] + last_call, recipe["calendar"]))
        at = at - start
        for step in range(last_call):  # the table ends where the last call needs no more
            windows.values[at + step, O:] = windows.values[at - 1, O:]
        for step in range(0, last_call + h, h):
            forecast[k::passes, step : step + h] = outputs(model, windows, at + step).reshape(len(at), h, O)
            if step < last_call:
                for ahead in range(step, step + h):
                    windows.values[at + ahead, :O] = forecast[k::passes, ahead]
    return forecast[:, :steps]


def _first(recipe):
    """How many rows a forecast needs before it: ``Windows.first``, without a table."""
    return recipe["window"] + max(recipe["lags"], default=1) - 1


def _rows(table, start, stop, calendar):
    """A copy of the rows start … stop − 1; after the end of the table the last row is repeated."""
    rows = np.minimum(np.arange(start, stop), len(table.values) - 1)
    if stop > len(table.values) and table.irregular is not None and calendar:
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
        None if table.irregular is None else table.irregular[rows],
        all_columns=table.all_columns,
        refused=table.refused,
    )


def residuals_ahead(model, recipe, table, start, stop, steps=AHEAD):
    """Actual − forecast of forecasts fed back, from origins spread over the newest of the rows start … stop − 1:
    (origins, steps, targets), with fewer steps where there are few rows."""
    steps = min(steps, max(1, (stop - start) // 4))
    spacing = _first(recipe) + steps
    last = stop - steps
    stride = int(np.clip((last - start) // ORIGINS, -(-spacing // PASSES), spacing))
    origins = np.arange(last, start - 1, -stride)[:ORIGINS][::-1]
    columns = [table.column(name) for name in recipe["target"]]
    actual = table.values[origins[:, None] + np.arange(steps)][:, :, columns]
    return actual - recursive_forecast(model, recipe, table, origins, steps)
