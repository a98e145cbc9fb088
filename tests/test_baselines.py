"""The baselines: the measured figures on the shipped series, least squares as it should be, and no look-ahead."""

import numpy as np
import pytest

from npseq import baselines, data
from npseq.tasks import Forecast


@pytest.fixture(scope="module")
def metro():
    return Forecast(data.load("metro_traffic"))


def test_the_four_baselines_of_the_shipped_series_have_the_measured_errors(metro):
    errors = {name: metrics["rmse"] for name, metrics in metro.baselines().items()}
    expected = {"persistence": 805.7, "same hour last week": 538.6, "AR(168)": 280.1, "AR(168) + hour of week": 232.6}
    assert list(errors) == list(expected)
    for name in expected:
        assert abs(errors[name] - expected[name]) <= 0.5, name


@pytest.mark.parametrize("slots", [None, np.arange(300) % 4])
@pytest.mark.parametrize("horizon", [1, 3])
def test_autoregression_is_the_least_squares_solution(slots, horizon):
    rng = np.random.default_rng(0)
    y = np.cumsum(rng.normal(size=300)) + (0 if slots is None else 5 * slots)
    model = baselines.Autoregression(y, 5, 200, horizon, slots)
    rows = np.arange(5, 200 - horizon + 1)
    lags = y[rows[:, None] - np.arange(1, 6)]
    levels = np.ones((len(rows), 1)) if slots is None else np.eye(4)[slots[rows]]
    X = np.concatenate([lags, levels], axis=1)
    targets = y[rows[:, None] + np.arange(horizon)]
    expected = X @ np.linalg.lstsq(X, targets, rcond=None)[0]
    assert np.allclose(model.predict(y, rows, slots), expected, rtol=1e-7)


def test_a_series_that_obeys_an_autoregression_is_predicted_exactly():
    y = np.zeros(400)
    y[:2] = 1.0, 0.5
    for t in range(2, 400):
        y[t] = 1.6 * y[t - 1] - 0.9 * y[t - 2] + 0.1 + (np.sin(t) if t < 150 else 0)
    rows = np.arange(320, 400)
    fitted = baselines.Autoregression(y[150:], 2, 100).predict(y[150:], rows - 150)
    assert np.allclose(fitted[:, 0], y[rows], atol=1e-6)


@pytest.mark.parametrize("horizon", [1, 5])
def test_nothing_at_or_after_the_first_predicted_row_is_used(metro, horizon):
    values, rows = metro.values[:, 0].copy(), np.array([22_000])
    args = metro.table.times, metro.table.step, 168, metro.train_end
    before = baselines.forecasts(values, *args, rows, horizon)
    values[22_000:] = 1e9
    after = baselines.forecasts(values, *args, rows, horizon)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_autoregressions_are_fitted_on_training_rows_alone(metro):
    values = metro.values[:, 0].copy()
    fitted = baselines.Autoregression(values, 24, metro.train_end, 2).coefficients
    values[metro.train_end:] = -1e9
    assert np.array_equal(baselines.Autoregression(values, 24, metro.train_end, 2).coefficients, fitted)


def test_the_season_before_is_taken_whole_periods_back():
    y = np.arange(100.0)
    assert baselines.seasonal(y, np.array([50]), 3, horizon=7).tolist() == [[47, 48, 49, 47, 48, 49, 47]]
