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


def test_persistence_repeats_the_last_value():
    values = np.arange(10.0)
    assert np.array_equal(baselines.persistence(values, np.array([3, 7]), 2), [[2, 2], [6, 6]])


def test_the_season_before_uses_nothing_at_or_after_the_first_predicted_row():
    values = np.arange(100.0)
    assert np.array_equal(baselines.seasonal(values, np.array([50]), 3, 7), [[47, 48, 49, 47, 48, 49, 47]])


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("slot_count", [None, 7])
def test_the_autoregression_is_the_least_squares_fit(horizon, slot_count):
    rng = np.random.default_rng(0)
    values = 1e4 + 30 * np.cumsum(rng.normal(size=600))
    slots = None if slot_count is None else (np.arange(600) % slot_count).astype(np.int16)
    order, end = 9, 450
    rows, tested = np.arange(order, end - horizon + 1), np.arange(end, 600 - horizon)

    def design(r):
        dummies = np.ones((len(r), 1)) if slots is None else np.eye(slot_count)[slots[r]]
        return np.concatenate([values[r[:, None] - np.arange(1, order + 1)], dummies], axis=1)

    target = values[rows[:, None] + np.arange(horizon)]
    expected = design(tested) @ np.linalg.lstsq(design(rows), target, rcond=None)[0]
    found = baselines.Autoregression(values, order, end, horizon, slots).predict(values, tested, slots)
    assert np.allclose(found, expected, rtol=1e-8)


def test_an_autoregression_finds_the_coefficients_that_made_the_series():
    rng = np.random.default_rng(1)
    y = np.zeros(20_000)
    for t in range(2, len(y)):
        y[t] = 3 + 0.5 * y[t - 1] - 0.3 * y[t - 2] + rng.normal()
    model = baselines.Autoregression(y, 2, len(y))
    assert np.allclose(model.lagged[::-1, 0], [0.5, -0.3], atol=0.02)


def test_a_constant_series_is_predicted_by_its_constant():
    values = np.full(100, 5.0)
    assert np.allclose(baselines.Autoregression(values, 4, 80).predict(values, np.arange(80, 100)), 5)


def test_an_order_longer_than_the_training_rows_is_refused():
    values = np.arange(50.0) ** 2
    assert baselines.Autoregression(values, 39, 40).lagged.shape == (39, 1)
    with pytest.raises(ValueError, match="40 training rows given; an order of 40 and a horizon of 1 need 41"):
        baselines.Autoregression(values, 40, 40)


def test_the_chunk_in_which_rows_are_predicted_changes_nothing(metro, monkeypatch):
    values, rows = metro.values[:, 0], metro.parts["test"]
    model = baselines.Autoregression(values, 24, metro.train_end)
    whole = model.predict(values, rows)
    monkeypatch.setattr(linear, "CHUNK", 100)
    assert np.allclose(model.predict(values, rows), whole, rtol=1e-14)


def test_slots_of_the_week_are_the_same_from_regular_and_from_single_times():
    times = np.datetime64("2024-03-06T05:00:00") + np.arange(1000) * np.timedelta64(3600, "s")
    values = np.zeros((1000, 1))
    regular = data.Table("a", values, ["x"], step=3600, start=times[0])
    single = data.Table("b", values, ["x"], step=3600, irregular=times)
    assert np.array_equal(baselines.week_slots(regular), baselines.week_slots(single))
    assert baselines.week_slots(regular)[0] == 2 * 24 + 5
    assert np.array_equal(regular.times, times)


@pytest.mark.parametrize(
    "step, count", [(None, None), (60, None), (86_400, 7), (1800, 336), (2_678_400, None), (100_000, None)]
)
def test_slots_of_the_week_exist_where_the_step_is_part_of_a_week(step, count):
    table = data.Table("a", np.zeros((2000, 1)), ["x"], step=step, start=np.datetime64("2024-03-04", "s"))
    slots = baselines.week_slots(table)
    assert slots is None if count is None else len(np.unique(slots)) == count


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
