"""Scores of the last rows of each series, beside those of simple forecasts.

    MASE = mean |e| / mean |y_t − y_{t−s}|,    RMSSE² = mean e² / mean (y_t − y_{t−s})²,
    sMAPE = 200 mean |e| / (|y| + |ŷ|),        wQL = 2 Σ max(τ e, (τ − 1) e) / Σ |y|, mean over the levels τ

e = y − ŷ. The denominators of MASE and RMSSE come from the rows before the forecasts (Hyndman & Koehler 2006,
International Journal of Forecasting 22; Makridakis et al. 2022, ibid. 38); where one is 0 the score is None.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data.errors import DataError
from ...data.panel import Panel
from ..asked import coverage_of, steps_of
from .ensemble import Member, PanelEnsemble
from .series import observed

LEVELS = 0.8, 0.6, 0.4, 0.2  # of intervals whose bounds are the quantiles 0.1, 0.2, …, 0.9, with the forecast
MODEL = "npseq"
NAIVE, SEASONAL, CLOSED, NETWORK = "naive", "seasonal naive", "closed forms", "network"
WORST = 5
ROWS = {
    "new": "are new to the model",
    "held_out": "were held out of the network's training, and chose shares and intervals",
    "trained": "are rows that the network was trained on",
}
METRICS = {"mase": ("MASE", ".3f"), "smape": ("sMAPE", ".2f"), "rmsse": ("RMSSE", ".3f"), "wql": ("wQL", ".4f"),
           "coverage": ("covers", ".1%")}  # fmt: skip


def evaluate(
    members: list[Member],
    panel: Panel,
    steps: int | None = None,
    coverage: float = 0.9,
    jobs: int = 1,
    seen_too: bool = False,
) -> dict[str, Any]:
    """Forecast the last ``steps`` rows of each series from the rows before them, and score the forecasts.

    Args:
        members: as ``PanelEnsemble``. steps: by default the horizon. coverage: of the interval. jobs: processes.
        seen_too: score every series; by default, if the last rows of some are new to the model, only these, and
            otherwise only those whose last rows were held out of the network's training, if there are such series.

    Returns:
        steps; rows: the number of series whose last rows are new, held_out, trained; notes: lines on these; scores:
        name of a forecast -> its metrics, means over the series; share_better: of the series than the seasonal naive,
        by MASE; worst: the names of the series with the greatest MASE; series: the scores of each. It can be written
        as JSON.

    Raises:
        DataError: if no series has more rows than steps.
    """
    steps, coverage = steps_of(steps) or members[0][1].recipe.horizon, coverage_of(coverage)
    whole = observed(panel, members[0][1].recipe.target)
    whole = whole.take(np.flatnonzero(whole.lengths > steps))
    if not len(whole):
        raise DataError(f"{panel.name}: no series has more than {steps:,} rows, as many as are forecast")
    seen = _seen(members, whole, steps)
    if not seen_too:
        whole = whole.take(np.flatnonzero(seen == seen.min()))
    ensemble = PanelEnsemble(members, whole, jobs, held_out=steps)
    found = ensemble.predict(steps, (coverage, *LEVELS))
    column, s = whole.column(found.target), ensemble.many.season.s
    every: dict[str, list[dict[str, Any]]] = {name: [] for name in (MODEL, CLOSED, NETWORK, SEASONAL, NAIVE)}
    for k, place in enumerate(found.places):
        rows = whole.rows(place)
        values = whole.values[rows, column].copy()
        if whole.filled is not None:
            values[-steps:][whole.filled[rows, column][-steps:]] = np.nan
        past, actual = values[:-steps], values[-steps:]
        lag = min(s, len(past))
        forecasts = {
            MODEL: found.mean[k],
            CLOSED: found.closed[k],
            NETWORK: found.network[k],
            SEASONAL: past[len(past) - lag + np.arange(steps) % lag],
            NAIVE: np.full(steps, past[-1]),
        }
        bounds = {p: (found.low[p][k], found.high[p][k]) for p in (coverage, *LEVELS)}
        for name, forecast in forecasts.items():
            every[name].append(_scores(actual, forecast, past, s, bounds if name == MODEL else {}, coverage))
    series = [
        {"unique_id": one, **own, "mase_seasonal_naive": other["mase"]}
        for one, own, other in zip(found.ids, every[MODEL], every[SEASONAL])
    ]
    known = [one for one in series if one["mase"] is not None]
    better = [one["mase"] < one["mase_seasonal_naive"] for one in known]
    worst = sorted(known, key=lambda one: -one["mase"])[:WORST]
    return {
        "steps": steps,
        "rows": {name: int(np.sum(seen == kind)) for kind, name in enumerate(ROWS)},
        "notes": [
            f"the last {steps:,} rows of {np.sum(seen == kind):,} series {words}"
            + ("" if seen_too or kind == seen.min() else "; left out")
            for kind, words in enumerate(ROWS.values())
            if kind in seen
        ],
        "coverage": coverage,
        "scores": {name: means(each) for name, each in every.items()},
        "share_better": float(np.mean(better)) if better else None,
        "worst": [one["unique_id"] for one in worst],
        "series": series,
    }


def _seen(members: list[Member], panel: Panel, steps: int) -> np.ndarray:
    """(S,) of each series what its last rows are to the models: the number of an entry of ``ROWS``."""
    known = np.zeros((len(panel), 2), np.int64)
    for _, kept in members:
        if kept.seen is not None:
            known = np.maximum(known, kept.seen.find(panel, panel.column(kept.recipe.target)))
    return np.asarray((known > (panel.lengths - steps)[:, None]).sum(axis=1))


def _scores(
    y: np.ndarray,
    forecast: np.ndarray,
    past: np.ndarray,
    s: int,
    bounds: dict[float, tuple[np.ndarray, np.ndarray]],
    coverage: float,
) -> dict[str, Any]:
    """The scores of one forecast (h,); a metric that is not known is None."""
    there = np.isfinite(y)
    y, f = y[there], forecast[there]
    scores: dict[str, Any] = dict.fromkeys(METRICS)
    if not len(y):
        return scores
    e, change = y - f, past[s:] - past[:-s] if len(past) > s else np.diff(past)
    change = change[np.isfinite(change)]
    size = np.abs(y) + np.abs(f)
    scores["smape"] = float(np.mean(200 * np.abs(e) / np.where(size > 0, size, 1)))
    if len(change) and change.any():
        scores["mase"] = float(np.abs(e).mean() / np.abs(change).mean())
        scores["rmsse"] = float(np.sqrt((e**2).mean() / (change**2).mean()))
    quantiles = [(0.5, f)]
    for p, (low, high) in bounds.items():
        if p in LEVELS:
            quantiles += [((1 - p) / 2, low[there]), ((1 + p) / 2, high[there])]
    if (total := np.abs(y).sum()) > 0:
        losses = [np.maximum(tau * (y - q), (tau - 1) * (y - q)).sum() for tau, q in quantiles]
        scores["wql"] = float(2 * np.mean(losses) / total)
    if bounds:
        low, high = (bound[there] for bound in bounds[coverage])
        scores["coverage"] = float(np.mean((low <= y) & (y <= high)))
    return scores


def means(every: list[dict[str, Any]]) -> dict[str, float | None]:
    """Return the mean of each metric over those of which it is known."""
    known = {name: [one[name] for one in every if one[name] is not None] for name in METRICS}
    return {name: float(np.mean(values)) if values else None for name, values in known.items()}
