"""The opponents: what they predict, that the fast normal equations are least squares, and the published figures."""

import tracemalloc

import numpy as np
import pytest

from npseq import baselines, data, forecast, tasks
from npseq.forecast import linear
from npseq.tasks.metadata import Metadata


@pytest.fixture(scope="module")
def metro():
    return forecast.ForecastTask(data.load("metro_traffic"))


@pytest.mark.wide
def test_the_figures_of_the_shipped_series(metro):
    results = metro.baselines()
    expected = {"mean": 1950.1, "persistence": 806.7, "seasonal_day": 988.9, "seasonal_week": 538.5}
    expected |= {"ar": 279.4, "ar_slot": 232.9}
    assert list(results) == list(expected)
    named = baselines.Baselines(metro, metro.fitted_baselines())
    shown = ["mean", "persistence", "same hour yesterday", "same hour last week", "AR(168)", "AR(168) + hour of week"]
    assert [named.label(name) for name in results] == shown
    for name, rmse in expected.items():
        assert abs(results[name]["rmse"] - rmse) < 0.5
        assert 0 < results[name]["mae"] < results[name]["rmse"]


def repeated(task, name, rows, steps):
    return baselines.Baselines(task, task.fitted_baselines()).forecast(name, np.asarray(rows), steps)[:, :, 0]


def test_persistence_and_the_season_before_use_nothing_at_or_after_the_first_predicted_row():
    """Further than a season ahead the value the fewest seasons before that lies before the forecast's first row."""
    start = np.datetime64("2024-01-01", "s")
    task = forecast.ForecastTask(data.Table("a", np.arange(200.0)[:, None], ["x"], step=86_400, start=start), window=4)
    assert np.allclose(repeated(task, "persistence", [13, 17], 2), [[12, 12], [16, 16]])
    assert np.allclose(repeated(task, "seasonal_week", [50], 9), [[43, 44, 45, 46, 47, 48, 49, 43, 44]])


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("slot_count", [None, 7])
def test_the_autoregression_is_the_least_squares_fit(horizon, slot_count):
    rng = np.random.default_rng(0)
    z = np.cumsum(rng.normal(size=600))
    slots = None if slot_count is None else (np.arange(600) % slot_count).astype(np.int16)
    order, end = 9, 450
    rows = np.arange(order, end - horizon + 1)
    dummies = np.ones((len(rows), 1)) if slots is None else np.eye(slot_count)[slots[rows]]
    design = np.concatenate([z[rows[:, None] - np.arange(1, order + 1)], dummies], axis=1)
    expected = np.linalg.lstsq(design, z[rows[:, None] + np.arange(horizon)], rcond=None)[0]
    found = linear.solve(linear.equations(z[:end], order, horizon, slots, slot_count or 1))
    assert np.allclose(np.concatenate(found[:2]), expected, rtol=1e-7, atol=1e-9)


def test_its_penalty_is_one_of_those_tried_for_each_training_row():
    """On this noise the strongest one wins: ridge regression of centred values, the intercept is not penalised."""
    table = data.Table("a", np.random.default_rng(2).normal(size=(120, 1)), ["x"])
    task = forecast.ForecastTask(table, window=4)
    (model,) = task.fitted_baselines()["ar"]
    z, p, end = task.target_scaler.standardise(task.values[:, :1])[:, 0], model.order, task.train_end
    X = np.stack([z[p - k : end - k] for k in range(1, p + 1)], axis=1)
    X, y = X - X.mean(axis=0), z[p:end] - z[p:end].mean()
    found = [np.linalg.solve(X.T @ X + ridge * end * np.eye(p), X.T @ y) for ridge in baselines.SMALL_RIDGES]
    assert [np.allclose(model.weights, weights, atol=1e-8) for weights in found] == [False, False, False, True]


def test_an_autoregression_finds_the_coefficients_that_made_the_series():
    rng = np.random.default_rng(1)
    y = np.zeros(20_000)
    for t in range(2, len(y)):
        y[t] = 3 + 0.5 * y[t - 1] - 0.3 * y[t - 2] + rng.normal()
    lagged, intercepts, _ = linear.solve(linear.equations(y, 2))
    assert np.allclose(lagged[:, 0], [0.5, -0.3], atol=0.02) and np.allclose(intercepts, 3, atol=0.2)


def test_a_constant_series_is_predicted_by_its_constant():
    task = forecast.ForecastTask(data.Table("a", np.full((100, 1), 5.0), ["x"]), window=4)
    for name in task.fitted_baselines():
        assert np.allclose(repeated(task, name, np.arange(85, 100), 2), 5)


@pytest.mark.wide
def test_the_chunk_in_which_rows_are_predicted_changes_nothing(metro, monkeypatch):
    rows = metro.parts["test"]
    whole = repeated(metro, "ar_slot", rows, 2)
    monkeypatch.setattr(linear, "CHUNK", 100)
    assert np.allclose(repeated(metro, "ar_slot", rows, 2), whole, rtol=1e-14)


def test_every_series_has_a_baseline_and_those_that_need_more_rows_wait_for_them():
    table = data.Table("a", np.random.default_rng(0).normal(size=(40, 1)), ["x"])
    task = forecast.ForecastTask(table, window=4)
    names = list(task.baselines())
    assert names == ["mean", "persistence", "ar"]
    label = baselines.Baselines(task, task.fitted_baselines()).label("ar")
    assert label in ("AR(1)", "AR(2)", "AR(3)")


def test_a_long_season_is_computed_from_its_one_lag():
    rng = np.random.default_rng(0)
    z, rows = rng.normal(size=300), np.arange(100, 300)
    for lags in ([99], [3, 40], list(range(100))):
        weights = np.zeros((100, 2))
        weights[lags] = rng.normal(size=(len(lags), 2))
        expected = [[sum(weights[k, j] * z[row - 1 - k] for k in range(100)) for j in range(2)] for row in rows]
        np.testing.assert_allclose(linear.lagged_products(z, rows, weights), expected, rtol=1e-12, atol=1e-12)
    tracemalloc.start()
    weights = np.eye(1, 20_000, 19_999).T
    found = linear.lagged_products(np.arange(40_000.0), np.arange(20_000, 40_000), weights)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(found[:, 0], np.arange(20_000.0)) and peak < 10 * found.nbytes


def test_a_file_of_a_model_that_does_not_forecast_has_no_baselines():
    task = tasks.Adding(2, count=1, held_out=1)
    metadata = {"npseq": 1, "config": {}, **Metadata(task.recipe()).to_json()}
    assert Metadata.from_json(metadata).recipe == task.recipe()
    with pytest.raises(ValueError, match="unknown entry 'baselines'"):
        Metadata.from_json({**metadata, "baselines": {"ar": []}})


def test_of_many_rows_the_longest_season_of_the_calendar_counts_whatever_season_was_found():
    hours = data.Table("a", np.zeros((9000, 1)), ["x"], step=3600, start=np.datetime64("2024-01-01", "s"))
    for season in (336, 12, None):
        found = forecast.baselines._designs(hours, season, 6300)
        assert {(d.order, d.terms.slots.count) for d in found["ar_slot"]} == {(168, 168)}
        assert {d.order for d in found["ar"]} == {168}
    plain = forecast.baselines._designs(data.Table("a", np.zeros((9000, 1)), ["x"]), 12, 6300)
    assert {d.order for d in plain["ar"]} == {12} and not plain["ar_slot"]
