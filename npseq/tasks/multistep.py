"""Forecasts of a trained model on any table, also further ahead than its horizon, and intervals around them.

An interval is the forecast plus two quantiles of the residuals (actual − forecast) on the validation part, which the
model was not fitted to: split conformal prediction without its correction for small samples (Papadopoulos et al.,
"Inductive confidence machines for regression", ECML 2002). The weights file keeps the quantiles.
"""

import numpy as np

from ..cli import arguments
from ..data.table import DataError, Table
from .windows import Windows

LEVELS = np.linspace(0, 1, 201)  # quantiles kept of the residuals of each value of the horizon
AHEAD, AHEAD_LEVELS = 48, np.linspace(0, 1, 41)  # rows and quantiles kept for forecasts that are fed back
ORIGINS, PASSES = 256, 16  # about so many forecasts are fed back to measure that, in at most so many passes
DIGITS = 6  # of a kept quantile: an interval needs no more


def outputs(model, windows, rows, batch_size=512):
    """The model's forecasts whose first predicted rows are ``rows``: (B, horizon · targets) in the data's own units."""
    batches = [rows[start:start + batch_size] for start in range(0, len(rows), batch_size)]
    parts = [model.outputs(windows.inputs(batch, model.dtype)) for batch in arguments.progress(batches, "forecasting")]
    return windows.to_units(np.concatenate(parts))


def feed_back(model, recipe, table, origins, steps):
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
    passes = next(p for p in range(1, len(origins) + 1)  # in one pass no origin's rows touch another's
                  if p == len(origins) or (origins[p:] - origins[:-p]).min() >= first + steps)
    forecast = np.empty((len(origins), last_call + h, O))
    for k in range(passes):
        at = origins[k::passes]
        start = at[0] - first
        windows = Windows.from_recipe(recipe, _rows(table, start, at[-1] + last_call, recipe["calendar"]))
        at = at - start
        for step in range(last_call):  # the table ends where the last call needs no more
            windows.values[at + step, O:] = windows.values[at - 1, O:]
        for step in range(0, last_call + h, h):
            forecast[k::passes, step:step + h] = outputs(model, windows, at + step).reshape(len(at), h, O)
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
        raise DataError(f"{table.name} has irregular times, so the times after its end are not known: only the rows of "
                        "one horizon can be forecast there")
    return Table(table.name, table.values[rows], table.columns, table.step,
                 None if table.start is None else table.start + start * np.timedelta64(table.step, "s"),
                 None if table.irregular is None else table.irregular[rows], all_columns=table.all_columns,
                 refused=table.refused)


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
    return actual - feed_back(model, recipe, table, origins, steps)


def residual_quantiles(model, task):
    """What a weights file remembers of the validation part's residuals, for JSON and ``interval``."""
    rows, recipe = task.parts["validation"], task.recipe()
    residuals = task.to_units(task.targets(rows)) - outputs(model, task, rows)
    ahead = residuals_ahead(model, recipe, task.table, rows[0], rows[-1] + task.horizon)
    return {"residual_quantiles": _kept(residuals, LEVELS), "ahead_quantiles": _kept(ahead, AHEAD_LEVELS)}


def _kept(residuals, levels):
    quantiles = np.quantile(residuals, levels, axis=0)
    return [[float(f"{value:.{DIGITS}g}") for value in row] for row in quantiles.reshape(len(levels), -1)]


def interval(model, share, steps=None):
    """What to add to a forecast for an interval that holds ``share`` of the values: low and high.

    Both are (horizon · targets,); with ``steps`` (steps, targets), for forecasts that are fed back after the first
    horizon, and NaN where the residuals of so many steps were not measured.

    Raises:
        DataError: when the file has no residuals: its training was cut off before its end.
    """
    metadata = model.metadata or {}
    if "residual_quantiles" not in metadata:
        raise DataError("the weights file has no residuals to make an interval from: its training did not come to its "
                        "end; train again, or leave out the interval")
    tails = (1 - share) / 2, (1 + share) / 2
    low_high = _at(metadata["residual_quantiles"], tails)
    if steps is None:
        return tuple(low_high)
    h, O = metadata["recipe"]["horizon"], len(metadata["recipe"]["target"])
    whole = np.full((2, max(steps, h), O), np.nan)
    ahead = _at(metadata.get("ahead_quantiles", []), tails).reshape(2, -1, O)[:, :steps]
    whole[:, :ahead.shape[1]] = ahead
    whole[:, :h] = low_high.reshape(2, h, O)  # not fed back: measured on every row of the validation part
    return tuple(whole[:, :steps])


def _at(quantiles, tails):
    """(levels, N) quantiles at equally spaced levels -> (2, N), those at the two tails."""
    columns = np.transpose(quantiles)
    return np.array([[np.interp(tail, np.linspace(0, 1, len(column)), column) for column in columns] for tail in tails])
