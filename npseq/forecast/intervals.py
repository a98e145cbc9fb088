"""Prediction intervals from the residuals of the validation part.

The constant width is the forecast plus two quantiles of the residuals (actual − forecast) on the validation part, to
which the model was not fitted: split conformal prediction (Papadopoulos et al., "Inductive confidence machines for
regression", ECML 2002). The other one (``Width``) takes the residuals in units of a scale that is known before the
value is, and its level adapts (``adaptive.py``). The scale is a constant, a moving average of the last one-step errors,

    scale = spread · s · √v,    log s = V h + c

or the square root of the product of these two: the one with the least interval score on the second half of the
validation part.

h is the hidden state that the model's head reads, v the root mean square of the last week's one-step errors relative to
that of the validation part. V and c have the largest Gaussian likelihood on training rows, whose loss and gradient are,
for the error e in units of the spread,

    L = log s + e² / (2 s²),    dL/d(log s) = 1 − e² / s²

The quantiles are those of a sample of n exchangeable errors with the correction for its size: of level
⌈(n + 1) p⌉ / n. Where n is too small for that, Student's t distribution widens the interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.errors import DataError
from ..nn.model import Model
from ..optim import Adam
from ..tasks.base import batches
from ..tasks.scoring import outputs
from . import recursive
from .adaptive import FEW, offsets
from .calendar_slots import periods
from .interval_scale import HELD, LARGEST_LOG, LEVELS, SCALES, WINDOW, Width, recent, rounded
from .metadata import ForecastMetadata
from .task import ForecastTask
from .windows import WindowDataset

CONSTANT_LEVELS = np.linspace(0, 1, 41)  # quantiles of the constant width in a weights file
HEAD_ROWS, HEAD_STEPS, HEAD_BATCH, HEAD_LR = 8760, 1000, 256, 0.01  # rows: the hours of a year, so every season
MOST_ERRORS = 10.0  # e² / s² counts as no more than this in the gradient
SCORED = 1200  # rows, at most, on which scales are compared
NOMINAL, NEAR = 0.9, 0.03  # coverage for which the scale is chosen, and how far from it is near
HELD_ORIGINS, FEWEST = 100, 20  # of forecasts of the test part, at most and at least
MARGIN = 1.03  # by which the score of a scale that changes must be less than that of a constant
ROWS_BEFORE = 168  # rows whose errors count, where the time step does not say how long a week is


# ---- in the training ----


def measure(model: Model, task: ForecastTask, hidden: np.ndarray | None = None) -> dict[str, Any]:
    """Return what a weights file keeps of the errors on the validation part: ``residual_quantiles``,
    ``ahead_quantiles``, ``blend`` and ``width`` (``ForecastMetadata``). ``hidden``: what the head reads there.
    """
    rows, recipe, O = task.parts["validation"], task.recipe(), len(task.target_columns)
    hidden = hidden_states(model, task, rows) if hidden is None else hidden
    y = task.to_units(model.fc(hidden), rows)
    residuals = np.where(task.observed(rows), task.actual(rows) - y, np.nan)
    origins, steps = recursive.origins_of(recipe, int(rows[0]), int(rows[-1]) + task.horizon)
    values = recursive.actual(task, origins, steps)
    V, c = fit_head(model, task)
    ahead = recursive.forecast_ahead(model, recipe, task.table, origins, steps, head=(V, c))
    forecast, blend = ahead.values, None
    if recipe.base is not None:
        alone = recursive.base_alone(task, origins, steps)
        blend = recursive.measure_blend(alone, forecast, values, int(np.diff(origins[:2]).max(initial=1)))
        blend[: task.horizon] = 1.0  # the head itself was shrunk
        forecast = alone + blend * (forecast - alone)
    errors = residuals[:, :O] / _units(task, 1)[0]
    reference = np.sqrt(np.nanmean(errors * errors, axis=0))
    reference = np.where(reference > 0, reference, 1.0)
    none = np.zeros(0)  # until the errors are scaled
    upper = task.observed(rows)[:, :O] & (y[:, :O] >= np.median(y[:, :O], axis=0))  # low forecasts may end at any floor
    resting = (upper & (task.actual(rows)[:, :O] == 0)).sum(axis=0) / np.maximum(upper.sum(axis=0), 1)
    width = Width(V, c, none, none, none, none, _rows_before(task), reference, _floor(task), resting)
    by_row = np.full((rows[-1] + 1 - rows[0], O), np.nan)
    by_row[rows - rows[0]] = errors
    log_s = width.log_scale(hidden.astype(float)).reshape(len(rows), task.horizon, O)
    units = _units(task, task.horizon)
    near = {kind: units * factor(kind, log_s, by_row, rows - rows[0], width) for kind in SCALES}
    kind = _best_scale(near, residuals.reshape(-1, task.horizon, O), y.reshape(-1, task.horizon, O), rows, [0], width)
    kinds, scaled = (kind, kind), [residuals / near[kind].reshape(residuals.shape)]
    if steps > task.horizon and ahead.log_scale is not None:
        units, at = _units(task, steps), origins - rows[0]
        far = {kind: units * factor(kind, ahead.log_scale, by_row, at, width) for kind in SCALES}
        kinds = kind, _best_scale(far, values - forecast, forecast, origins, [steps // 2, steps - 1], width)
        scaled.append(((values - forecast) / far[kinds[1]])[:, task.horizon :].reshape(len(origins), -1))
    return {
        "residual_quantiles": _quantiles(residuals, CONSTANT_LEVELS),
        "ahead_quantiles": _quantiles((values - forecast).reshape(len(origins), -1), CONSTANT_LEVELS),
        "blend": blend,
        "width": Width(**{**vars(width), **_summary(scaled), "kinds": kinds}),
    }


def held(model: Model, task: ForecastTask, kept: ForecastMetadata) -> np.ndarray | None:
    """Return the share (len(HELD), steps · O) of the values of the test part that intervals of these coverages hold,
    forecasts fed back, measured at the steps 1, 2, 4, … and the last one; None for fewer than ``FEWEST`` origins, or
    ``FEW`` errors on the validation part.
    """
    recipe, width, rows = kept.recipe, kept.width, task.parts["test"]
    assert width is not None
    origins, K = recursive.origins_of(recipe, int(rows[0]), int(rows[-1]) + task.horizon, width.steps)
    origins = origins[:: -(-len(origins) // HELD_ORIGINS) or 1]
    if len(origins) < FEWEST or width.count.min() < FEW:
        return None
    head = width.weight, width.bias
    ahead = recursive.forecast_ahead(model, recipe, task.table, origins, K, blend=kept.blend, head=head)
    assert ahead.log_scale is not None
    scale = ahead_scales(model, task, origins, ahead.log_scale, width)
    e = (recursive.actual(task, origins, K) - width.not_below(ahead.values)) / scale
    steps = np.unique([*(1 << np.arange(K.bit_length())), K]) - 1
    found = np.empty((len(HELD), K, e.shape[2]))
    for k in range(e.shape[2]):
        for row, coverage in enumerate(HELD):
            shares = []
            for step in steps:
                rests, start = bool(width.rests[k]), width.start(step, k)
                low, high = offsets(e[:, step, k], origins, start, coverage, step + 1, rests=rests).T
                inside = ((np.minimum(low, 0) <= e[:, step, k]) | rests) & (e[:, step, k] <= np.maximum(high, 0))
                shares.append(inside[np.isfinite(e[:, step, k])].mean())
            found[row, :, k] = np.interp(np.arange(K), steps, shares)
    return found.reshape(len(HELD), -1).round(4) if np.isfinite(found).all() else None


def factor(kind: str, log_s: np.ndarray, errors: np.ndarray, rows: np.ndarray, width: Width) -> np.ndarray:
    """Return the scale (len(rows), steps, O) of one of the kinds, in units of the base's errors.

    Args:
        log_s: (len(rows), steps, O). errors: (n, O) one step ahead, in these units. rows: of ``errors``, before which
            errors count.
    """
    if kind == "constant":
        return np.ones(log_s.shape)
    v = volatility_of(errors, rows, width)
    state = np.exp(np.clip(log_s, -LARGEST_LOG, LARGEST_LOG)) * np.sqrt(v)[:, None]
    if kind == "state":
        return np.asarray(state)
    average = np.broadcast_to(recent(errors, rows, width.reference)[:, None], log_s.shape)
    return average if kind == "recent" else np.sqrt(state * average)


def _best_scale(
    scales: dict[str, np.ndarray],
    residuals: np.ndarray,
    forecast: np.ndarray,
    rows: np.ndarray,
    steps: list[int],
    width: Width,
) -> str:
    """The scale with the least interval score on the second half of the rows, from the errors of the first half on,
    among those that hold ``NOMINAL`` of the values within ``NEAR``; if none does, among the nearest.

    A scale that changes must be better than a constant by ``MARGIN``.

    Args:
        scales: kind to (m, K, O). residuals, forecast: (m, K, O). rows: (m,) origins. steps: from 0, that count. width:
            of which the floor is known.
    """
    half, found = len(rows) // 2, {}
    if half < FEW:
        return "constant"
    second = slice(half, None, -(-half // SCORED))
    for kind, scale in scales.items():
        scores, held = [], []
        for step in steps:
            for k in range(residuals.shape[2]):
                e, unit, rests = residuals[:, step, k], scale[:, step, k], bool(width.rests[k])
                scaled = e / unit
                start = scaled[:half][np.isfinite(scaled[:half])]
                pairs = offsets(scaled[second], rows[second], start, NOMINAL, step + 1, rests=rests)
                low, high = (unit[second] * side for side in pairs.T)
                floor, actual = width.floor[k] - forecast[second, step, k], e[second]
                low = floor if rests else np.fmax(low, floor)
                there = np.isfinite(actual)
                size = np.nanmean(np.abs(e)) or 1.0
                scores.append(float(interval_score(low, high, actual, NOMINAL)[there].mean() / size))
                held.append(float(((low <= actual) & (actual <= high))[there].mean()))
        score = float(np.mean(scores)) * (1 if kind == "constant" else MARGIN)
        found[kind] = (max(abs(float(np.mean(held)) - NOMINAL) - NEAR, 0.0), score)
    return min(found, key=lambda kind: found[kind])


def _summary(scaled: list[np.ndarray]) -> dict[str, np.ndarray]:
    parts = [(_quantiles(e, LEVELS), np.nanmean(e, 0), np.nanstd(e, 0), np.isfinite(e).sum(axis=0)) for e in scaled]
    quantiles, mean, deviation, count = (np.concatenate(same, axis=-1) for same in zip(*parts))
    few = np.maximum(count, 2)
    return {"quantiles": quantiles, "mean": mean, "deviation": deviation * np.sqrt(few / (few - 1)), "count": count}


def _quantiles(residuals: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(levels, N) quantiles over the first axis, without NaN, rounded."""
    return rounded(np.nan_to_num(np.nanquantile(residuals, levels, axis=0)).reshape(len(levels), -1))


def _rows_before(task: ForecastTask) -> int:
    return periods(task.table).get("week", ROWS_BEFORE)


def _floor(task: ForecastTask) -> np.ndarray:
    """0 for each target that is never negative in the observed training rows, otherwise NaN."""
    values = task.values[: task.train_end, : len(task.target_columns)]
    values = values if task.filled is None else np.where(task.filled[: task.train_end], np.nan, values)
    return np.where(np.nanmin(values, axis=0) >= 0, 0.0, np.nan)


def head_loss(
    V: np.ndarray, c: np.ndarray, h: np.ndarray, e: np.ndarray, most: float = np.inf
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the mean of L = log s + e² / (2 s²) over all elements, log s = V h + c, and its gradients dV and dc.

    Args:
        V (N, R), c (N,); h (B, R) hidden states; e (B, N) errors. most: the largest e² / s² in the gradient.
    """
    log_s = h @ V.T + c
    square = e * e * np.exp(-2 * log_s)
    d = (1 - (square if most == np.inf else np.minimum(square, most))) / e.size
    return (log_s + square / 2).mean(), d.T @ h, d.sum(axis=0)


def fit_head(model: Model, task: ForecastTask) -> tuple[np.ndarray, np.ndarray]:
    """Return V (h · O, R) and c (h · O,) by Adam on the newest training rows, with the hidden states as they are."""
    rows = task.parts["train"][-HEAD_ROWS:]
    hidden = hidden_states(model, task, rows)
    y, h = task.to_units(model.fc(hidden), rows), hidden.astype(float)
    e = np.where(task.observed(rows), task.actual(rows) - y, 0.0) / _units(task, task.horizon).reshape(-1)
    size = np.sqrt((e * e).mean(axis=0))
    if not (size > 1e-9).all():  # nothing to scale
        return np.zeros((task.output_size, h.shape[1])), np.zeros(task.output_size)
    theta = np.concatenate([np.zeros((task.output_size, h.shape[1])), np.log(size)[:, None]], axis=1)
    optimizer, rng = Adam(theta.reshape(-1)), np.random.default_rng(0)
    for step in range(HEAD_STEPS):
        some = rng.integers(0, len(rows), min(HEAD_BATCH, len(rows)))
        _, dV, dc = head_loss(theta[:, :-1], theta[:, -1], h[some], e[some], MOST_ERRORS)
        optimizer.lr = HEAD_LR * (1 - step / HEAD_STEPS)
        optimizer.step(np.concatenate([dV, dc[:, None]], axis=1).reshape(-1) * task.output_size)
    return theta[:, :-1].copy(), theta[:, -1].copy()


# ---- in use ----


def hidden_states(model: Model, windows: WindowDataset, rows: np.ndarray) -> np.ndarray:
    """Return what the head reads, (len(rows), R), for the examples ``rows``."""
    return np.concatenate([model.hidden(windows.inputs(some, model.dtype))[0] for some in batches(rows)])


def _units(windows: WindowDataset, steps: int) -> np.ndarray:
    """(steps, O) the unit of s in data units: the spread of the base's errors, or the standard deviation."""
    O, h = len(windows.target_columns), windows.horizon
    spread = np.ones((h, O)) if windows.base is None else windows.base.spread.reshape(h, O)
    return spread[np.arange(steps) % h] * windows.target_scaler.scale


def errors_before(model: Model, windows: WindowDataset, rows: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Return the one-step errors (n, O) from ``count`` rows before the first of the ``rows`` to the last, in units of
    their spread, NaN where they are not known; and their first row.
    """
    n, O = len(windows.values), len(windows.target_columns)
    start, stop = max(windows.first, int(rows.min()) - count), min(int(rows.max()), n)
    if stop <= start:
        return np.zeros((0, O)), start
    before = np.arange(start, stop)
    residuals = recursive.actual(windows, before, 1)[:, 0] - outputs(model, windows, before)[:, :O]
    return residuals / _units(windows, 1)[0], start


def volatility_of(errors: np.ndarray, rows: np.ndarray, width: Width) -> np.ndarray:
    """Return v (len(rows), O) from the one-step errors (n, O) of all rows, NaN where they are not known, in units of
    their spread: only those of the ``width.rows`` rows before each of the ``rows`` count.
    """
    squares = np.stack([np.nan_to_num(errors * errors), np.isfinite(errors)], axis=1)
    sums = np.concatenate([np.zeros((1, *squares.shape[1:])), squares.cumsum(axis=0)])
    last = np.clip(rows, 0, len(errors))
    total, count = np.moveaxis(sums[last] - sums[np.clip(rows - width.rows, 0, last)], 1, 0)
    v = np.sqrt(total / np.maximum(count, 1)) / width.reference
    return np.where((count > 0) & (v > 0), v, 1.0)


def scales(model: Model, windows: WindowDataset, rows: np.ndarray, width: Width) -> np.ndarray:
    """Return the scale (len(rows), horizon, O) of the examples ``rows``, in data units."""
    hidden = hidden_states(model, windows, rows).astype(float)
    log_s = width.log_scale(hidden).reshape(len(rows), windows.horizon, -1)
    return ahead_scales(model, windows, rows, log_s, width)


def ahead_scales(
    model: Model, windows: WindowDataset, origins: np.ndarray, log_s: np.ndarray, width: Width
) -> np.ndarray:
    """Return the scale (len(origins), steps, O) of forecasts fed back, given their log s of the same shape."""
    h = windows.horizon
    if set(width.kinds[: 1 + (log_s.shape[1] > h)]) == {"constant"}:
        found = np.ones(log_s.shape)
    else:
        errors, start = errors_before(model, windows, origins, max(width.rows, WINDOW))
        parts = zip(width.kinds, (log_s[:, :h], log_s[:, h:]))
        found = np.concatenate([factor(kind, part, errors, origins - start, width) for kind, part in parts], axis=1)
    return np.asarray(found * _units(windows, log_s.shape[1]))


def interval_score(low: np.ndarray, high: np.ndarray, actual: np.ndarray, coverage: float) -> np.ndarray:
    """Return width + 2 / α · the distance outside, elementwise, α = 1 − ``coverage``: less is better.

    Source: Gneiting & Raftery 2007, Journal of the American Statistical Association 102, 359–378, equation 43.
    """
    outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    return np.asarray(high - low + 2 / (1 - coverage) * outside)


def interval(trained: ForecastMetadata, coverage: float, steps: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return what to add to a forecast for the bounds of an interval of constant width.

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
    recipe = trained.recipe
    h, O = recipe.horizon, len(recipe.target)
    result = np.full((2, max(steps, h), O), np.nan)
    if trained.ahead_quantiles is not None:
        ahead = _at(trained.ahead_quantiles, tails).reshape(2, -1, O)[:, :steps]
        result[:, : ahead.shape[1]] = ahead
    result[:, :h] = bounds.reshape(2, h, O)  # not recursive: measured on every row of the validation part
    return result[0, :steps], result[1, :steps]


def _at(quantiles: np.ndarray, tails: tuple[float, float]) -> np.ndarray:
    """(levels, N) quantiles at equally spaced levels, interpolated at the two tails: (2, N)."""
    levels = np.linspace(0, 1, len(quantiles))
    return np.array([[np.interp(tail, levels, column) for column in quantiles.T] for tail in tails])
