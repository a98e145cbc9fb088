"""Intervals around forecasts.

An interval is the forecast plus two quantiles of the residuals (actual − forecast) on the validation part, which the
model was not fitted to: split conformal prediction without its correction for small samples (Papadopoulos et al.,
"Inductive confidence machines for regression", ECML 2002). The weights file keeps the quantiles.
"""

import numpy as np

from ..data.errors import DataError
from .multistep import outputs, residuals_ahead

LEVELS = np.linspace(0, 1, 201)  # quantiles kept of the residuals of each value of the horizon
AHEAD_LEVELS = np.linspace(0, 1, 41)  # quantiles kept for forecasts that are fed back
DIGITS = 6  # of a kept quantile: an interval needs no more


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
        raise DataError(
            "the weights file has no residuals to make an interval from: its training did not come to its "
            "end; train again, or leave out the interval"
        )
    tails = (1 - share) / 2, (1 + share) / 2
    low_high = _at(metadata["residual_quantiles"], tails)
    if steps is None:
        return tuple(low_high)
    h, O = metadata["recipe"]["horizon"], len(metadata["recipe"]["target"])
    whole = np.full((2, max(steps, h), O), np.nan)
    ahead = _at(metadata.get("ahead_quantiles", []), tails).reshape(2, -1, O)[:, :steps]
    whole[:, : ahead.shape[1]] = ahead
    whole[:, :h] = low_high.reshape(2, h, O)  # not fed back: measured on every row of the validation part
    return tuple(whole[:, :steps])


def _at(quantiles, tails):
    """(levels, N) quantiles at equally spaced levels -> (2, N), those at the two tails."""
    columns = np.transpose(quantiles)
    return np.array([[np.interp(tail, np.linspace(0, 1, len(column)), column) for column in columns] for tail in tails])
