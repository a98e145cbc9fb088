"""Prediction intervals from the residuals of the validation part.

An interval is the forecast plus two quantiles of the residuals (actual − forecast) on the validation part, to which the
model was not fitted: split conformal prediction without its correction for small samples (Papadopoulos et al.,
"Inductive confidence machines for regression", ECML 2002). The weights file keeps the quantiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.errors import DataError
from .forecast import Forecast
from .multistep import recursive_residuals
from .recipe import Trained
from .scoring import outputs

LEVELS = np.linspace(0, 1, 201)  # quantiles kept of the residuals of each value of the horizon
RECURSIVE_LEVELS = np.linspace(0, 1, 41)  # quantiles kept of the residuals of recursive forecasts
DIGITS = 6  # significant digits of a quantile in the file


def residual_quantiles(model: Any, task: Forecast) -> dict[str, np.ndarray]:
    """Return the quantiles of the validation residuals, as a weights file keeps them (``recipe.Trained``)."""
    rows, recipe = task.parts["validation"], task.recipe()
    residuals = task.to_units(task.targets(rows)) - outputs(model, task, rows)
    ahead = recursive_residuals(model, recipe, task.table, rows[0], rows[-1] + task.horizon)
    return {
        "residual_quantiles": _quantiles(residuals, LEVELS),
        "ahead_quantiles": _quantiles(ahead, RECURSIVE_LEVELS),
    }


def _quantiles(residuals, levels):
    """(levels, N) quantiles over the first axis, rounded to ``DIGITS``."""
    quantiles = np.quantile(residuals, levels, axis=0).reshape(len(levels), -1)
    return np.array([[float(f"{value:.{DIGITS}g}") for value in row] for row in quantiles])


def interval(trained: Trained, coverage: float, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return what to add to a forecast for the bounds of an interval that holds ``coverage`` of the values.

    Args:
        trained: of the weights file.
        coverage: nominal coverage, between 0 and 1.
        steps: None for the values of one horizon; else the number of steps of a recursive forecast.

    Returns:
        low and high, (horizon · targets,) each; with ``steps`` (steps, targets), NaN where the residuals of so many
        steps were not measured.

    Raises:
        DataError: if the file has no residuals: its training was interrupted.
    """
    if trained.residual_quantiles is None:
        raise DataError(
            "the weights file has no residuals to make an interval from: its training was interrupted; train again, "
            "or leave out the interval"
        )
    tails = (1 - coverage) / 2, (1 + coverage) / 2
    bounds = _at(trained.residual_quantiles, tails)
    if steps is None:
        return bounds[0], bounds[1]
    h, O = trained.recipe.horizon, len(trained.recipe.target)
    result = np.full((2, max(steps, h), O), np.nan)
    if trained.ahead_quantiles is not None:
        ahead = _at(trained.ahead_quantiles, tails).reshape(2, -1, O)[:, :steps]
        result[:, : ahead.shape[1]] = ahead
    result[:, :h] = bounds.reshape(2, h, O)  # not recursive: measured on every row of the validation part
    return result[0, :steps], result[1, :steps]


def _at(quantiles, tails):
    """(levels, N) quantiles at equally spaced levels, interpolated at the two tails: (2, N)."""
    levels = np.linspace(0, 1, len(quantiles))
    return np.array([[np.interp(tail, levels, column) for column in quantiles.T] for tail in tails])
