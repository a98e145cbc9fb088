"""A forecaster scored beside every baseline on the same rows: one horizon, each step, and its intervals.

Only values that were in the data count; what was filled is never scored.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np

from ..data.errors import DataError
from ..data.table import Table
from ..nn.model import Model
from ..tasks.base import Progress
from ..tasks.metadata import with_scores
from ..tasks.metrics import errors
from . import recursive
from .asked import steps_of
from .baselines import Baselines
from .ensemble import Ensemble, Forecasts, NewRows, unknown_ahead
from .intervals import interval_score
from .metadata import ForecastMetadata, adds_nothing

MOST_ORIGINS = 4000  # forecast origins from which several steps are scored

Scores = dict[str, Any]


class OneHorizon(NamedTuple):
    """The forecasts of one horizon on the rows that are new to a model: rows (n,) of the first predicted values,
    predictions (n, horizon · targets); results: their metrics (``WindowDataset.metrics``); baselines: name to theirs;
    labels: name to the text that tables show.
    """

    rows: np.ndarray
    predictions: np.ndarray
    results: Scores
    baselines: dict[str, Scores]
    labels: dict[str, str]


def on_new_rows(
    forecaster: Ensemble, steps: int | None = None, all_rows: bool = False, progress: Progress = iter
) -> tuple[Scores, NewRows, np.ndarray, Baselines]:
    """Score the forecaster on the rows that are new to it, or on all.

    Rows after the last one of the training are forecast with the base that was fitted again to all rows, where a file
    has one. They are scored by themselves, under "later"; in place of all else if there are no others.

    Returns:
        What ``score`` returns, with "part" (``"test"`` or ``"all"``) and "notes", lines on which rows are scored; the
        rows that are new; those that were scored; the baselines. "base_alone" is True if the network adds nothing.

    Raises:
        DataError: as ``score``, or if there are no such rows.
    """
    table, steps = forecaster.table, steps_of(steps)
    new = NewRows(None, "all", []) if all_rows else forecaster.new_rows()
    later = np.zeros(len(table.values), bool) if all_rows else forecaster.later()
    among = later | (False if new.seen is None else new.seen) if later.any() else new.seen
    rows, after = scored_rows(forecaster, among), None
    if later.any():
        used = forecaster.in_use()
        last = scored_rows(used, ~later)
        if len(last) and len(rows):
            after = one_horizon(used, last)
        elif len(last):
            forecaster, rows, among = used, last, ~later
            new = new._replace(
                notes=[*new.notes, "the base is the one that was fitted again to all rows of the training"]
            )
    if not len(rows):
        if new.seen is not None and new.seen.all():
            why = f"{table.name}: the model was trained or validated on every row: nothing to test on"
        else:
            why = (
                f"{table.name} has {len(table.values):,} rows: too few for a model that sees {forecaster.first} and "
                f"forecasts {forecaster.horizon}"
            )
        raise DataError("; ".join([why, *new.notes]))
    baselines = forecaster.baselines()
    found = score(forecaster, rows, baselines, steps, among, progress)
    if all(adds_nothing(model, trained.recipe) for model, trained in forecaster.members):
        found["base_alone"] = True
    if after is not None:
        found["later"] = {"rows": len(after.rows), "model": after.results, "baselines": after.baselines}
    return {**found, "part": new.part, "notes": new.notes}, new, rows, baselines


def one_horizon(forecaster: Ensemble, rows: np.ndarray | None = None) -> OneHorizon:
    """Forecast the ``rows``, by default those that are new to the model, one horizon from the rows before each, as
    ``score`` does."""
    rows = scored_rows(forecaster, forecaster.seen()) if rows is None else rows
    windows = forecaster.windows[0]
    baselines = forecaster.baselines()
    predictions = forecaster.direct(rows).values.reshape(len(rows), -1)
    found = {name: baselines.forecast(name, rows, forecaster.horizon) for name in baselines.before(int(rows[0]))}
    return OneHorizon(
        rows,
        predictions,
        windows.metrics(predictions, rows),
        {name: windows.metrics(forecast, rows) for name, forecast in found.items()},
        {name: baselines.label(name) for name in found},
    )


def with_own_scores(model: Model, kept: ForecastMetadata, table: Table) -> ForecastMetadata:
    """Return what a weights file keeps with the scores of the test part; without, if that has no value."""
    try:
        found = one_horizon(Ensemble([(model, kept)], table))
    except DataError:
        return kept
    return cast("ForecastMetadata", with_scores(kept, found.results, found.baselines))


def scored_rows(forecaster: Ensemble, seen: np.ndarray | None = None) -> np.ndarray:
    """Return the rows r from which a whole horizon can be scored: none of its rows is ``seen`` (n,), and some of its
    values are observed.
    """
    windows = forecaster.windows[0]
    h, n = forecaster.horizon, len(windows.values)
    rows = np.arange(forecaster.first, n - h + 1)
    if seen is not None:
        rows = rows[~_any_ahead(seen, rows, h)]
    return rows[windows.observed(rows).any(axis=1)] if len(rows) else rows


def _any_ahead(mask: np.ndarray, rows: np.ndarray, steps: int) -> np.ndarray:
    """(len(rows),) True if the mask (n,) holds for one of the rows r … r + steps − 1."""
    sums = np.append(0, np.cumsum(mask))
    return np.asarray(sums[rows + steps] > sums[rows])


def score(
    forecaster: Ensemble,
    rows: np.ndarray,
    baselines: Baselines,
    steps: int | None = None,
    seen: np.ndarray | None = None,
    progress: Progress = iter,
) -> dict[str, Any]:
    """Score the forecaster and the baselines.

    Args:
        rows: from ``scored_rows``. steps: to feed back; by default ``recursive.STEPS``, or as many as the rows allow.
        seen: (n,) rows that may not be scored.

    Returns:
        For one target ``{"model": …, "baselines": {name: …}, "skill", "best_baseline", "by_step": […], "fed_back": …,
        "interval": …}``; for several ``{"targets": {column: that}}``. A score has ``rmse`` and ``mae``.

    Raises:
        DataError: for more steps than the rows hold, or fewer than one, or a target without a value in them.
    """
    steps = steps_of(steps)
    names = baselines.before(int(rows[0]))
    direct = forecaster.direct(rows, progress)
    actual = recursive.actual(forecaster.windows[0], rows, forecaster.horizon)
    others = {name: baselines.forecast(name, rows, forecaster.horizon) for name in names}
    origins, K = _origins(forecaster, rows, steps, seen)
    far = far_actual = None
    far_others: dict[str, np.ndarray] = {}
    if K > 1:
        far, far_actual = forecaster.ahead(origins, K, progress), recursive.actual(forecaster.windows[0], origins, K)
        far_others = {name: baselines.forecast(name, origins, K) for name in names}
    results = {}
    for k, column in enumerate(forecaster.targets):
        if np.isnan(actual[:, :, k]).all() or far_actual is not None and np.isnan(far_actual[:, :, k]).all():
            raise DataError(f"{column!r} has no value in the rows to score")
        result = _scores(direct, actual, others, k)
        if forecaster.coverages:
            result |= _intervals(forecaster, direct, actual, rows, k)
        if far is not None and far_actual is not None:
            result["fed_back"] = {"steps": K, "origins": len(origins), **_scores(far, far_actual, far_others, k)}
            if forecaster.coverages:
                result["fed_back"] |= _intervals(forecaster, far, far_actual, origins, k)
            result["by_step"] = [_step(forecaster, far, far_actual, far_others, k, step) for step in range(K)]
        else:
            result["by_step"] = [_step(forecaster, direct, actual, others, k, 0)]
        results[column] = result
    return results[forecaster.targets[0]] if len(results) == 1 else {"targets": results}


def _origins(
    forecaster: Ensemble, rows: np.ndarray, steps: int | None, seen: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """The origins of forecasts fed back, and how many steps can be scored."""
    inputs = forecaster.input_columns
    stop = int(rows[-1]) + forecaster.horizon
    if inputs and steps is not None and steps > forecaster.horizon:
        raise DataError(unknown_ahead(inputs))
    if inputs:
        K = forecaster.horizon
    else:
        K = steps or max(forecaster.horizon, min(recursive.STEPS, (stop - int(rows[0])) // 4))
    origins = np.arange(int(rows[0]), stop - K + 1)
    if seen is not None and len(origins):
        origins = origins[~_any_ahead(seen, origins, K)]
    if not len(origins):
        raise DataError(f"{K} steps asked for, but there are {stop - int(rows[0]):,} rows to score; fewer expected")
    return origins[:: -(-len(origins) // MOST_ORIGINS)], K


def _scores(forecasts: Forecasts, actual: np.ndarray, others: dict[str, np.ndarray], k: int) -> Scores:
    """Model, baselines and skill for target k, over all steps."""
    result: Scores = {
        "model": errors(forecasts.values[:, :, k], actual[:, :, k]),
        "baselines": {name: errors(values[:, :, k], actual[:, :, k]) for name, values in others.items()},
    }
    best = min(result["baselines"], key=lambda name: result["baselines"][name]["rmse"])
    result["best_baseline"] = best
    result["skill"] = skill(result["model"]["rmse"], result["baselines"][best]["rmse"])
    return result


def skill(rmse: float, best: float) -> float:
    """Return 1 − RMSE / the best baseline's; 0 where both are 0."""
    if best == 0:
        return 0.0 if rmse == 0 else -1.0
    return 1 - rmse / best


def _step(
    forecaster: Ensemble, forecasts: Forecasts, actual: np.ndarray, others: dict[str, np.ndarray], k: int, step: int
) -> Scores:
    result: Scores = {
        "step": step + 1,
        "model": errors(forecasts.values[:, step, k], actual[:, step, k]),
        "baselines": {name: errors(values[:, step, k], actual[:, step, k]) for name, values in others.items()},
    }
    if forecaster.coverages:
        result["interval"] = _coverage(forecasts.at(slice(None), step, k), actual[:, step, k], forecaster.coverages[0])
    return result


def _coverage(forecasts: Forecasts, actual: np.ndarray, nominal: float) -> Scores:
    """Share of the values within the first interval and its mean score, of both widths; None where nothing was
    measured."""
    found: Scores = {}
    for name, bounds in (("", forecasts.bounds), ("constant_", forecasts.constant)):
        assert bounds is not None
        low, high = bounds[..., 0], bounds[..., 1]
        there = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
        inside, a = (low[there] <= actual[there]) & (actual[there] <= high[there]), actual[there]
        found[f"{name}coverage"] = float(inside.mean()) if a.size else None
        found[f"{name}score"] = float(interval_score(low[there], high[there], a, nominal).mean()) if a.size else None
    return found


def _intervals(forecaster: Ensemble, forecasts: Forecasts, actual: np.ndarray, rows: np.ndarray, k: int) -> Scores:
    """The first interval over all steps, and by the hour of the day of the predicted row; the quantiles that are bounds
    of the intervals: the share of the values that are no greater, and the mean of the quantile loss."""
    nominal, windows = forecaster.coverages[0], forecaster.windows[0]
    one, values = forecasts.at(slice(None), slice(None), k), actual[:, :, k]
    interval: Scores = {"nominal": nominal, **_coverage(one, values, nominal)}
    found: Scores = {"interval": interval}
    if one.bounds is not None:
        sides = zip(forecaster.coverages, one.bounds[..., ::2].T, one.bounds[..., 1::2].T)
        quantiles = {0.5: one.values} | {
            round(p, 9): bound.T for c, low, high in sides for p, bound in (((1 - c) / 2, low), ((1 + c) / 2, high))
        }
        found["quantiles"] = {f"{p:g}": _quantile(quantiles[p], values, p) for p in sorted(quantiles)}
    times = windows.table.times
    if times is None or windows.table.step is None or windows.table.step >= 86_400:
        return found
    hours = (times[rows[:, None] + np.arange(actual.shape[1])].astype("datetime64[h]").astype(np.int64)) % 24
    interval["by_hour"] = [
        {"hour": int(hour), **_coverage(one.at(hours == hour), values[hours == hour], nominal)}
        for hour in np.unique(hours)
    ]
    return found


def _quantile(quantile: np.ndarray, actual: np.ndarray, p: float) -> Scores:
    there = np.isfinite(actual) & np.isfinite(quantile)
    if not there.any():
        return {"below": None, "loss": None}
    above = actual[there] - quantile[there]
    return {"below": float((above <= 0).mean()), "loss": float(np.maximum(p * above, (p - 1) * above).mean())}
