"""Calendar, scaling and seasons."""

import numpy as np
import pytest

from npseq import features
from npseq.nn import scaling


def test_midnight_on_monday_is_the_start_of_the_week_and_the_calendar_comes_again_after_it():
    monday = np.datetime64("2024-03-04T00:00:00")
    assert features.second_of_week(monday) == 0
    assert np.array_equal(features.calendar(monday), [0, 1, 0, 1, 0])
    hours = monday + np.arange(400) * np.timedelta64(3600, "s")
    calendar = features.calendar(hours)
    assert np.array_equal(calendar[:168], calendar[168:336])
    assert len(np.unique(calendar[:168].round(9), axis=0)) == 168  # no two hours of a week look the same


@pytest.mark.parametrize(
    "time, hour, day, weekend",
    [
        ("2024-03-09T06:00", (1, 0), 5, 1),
        ("2024-03-10T23:59:59", None, 6, 1),
        ("2024-03-08T12:00", (0, -1), 4, 0),
        ("1969-12-29T18:00", (-1, 0), 0, 0),
    ],
)
def test_the_calendar_of_known_days(time, hour, day, weekend):
    values = features.calendar(np.datetime64(time))
    if hour is not None:
        assert np.allclose(values[:2], hour, atol=1e-15)
    assert np.allclose(values[2:4], [np.sin(2 * np.pi * day / 7), np.cos(2 * np.pi * day / 7)])
    assert values[4] == weekend


def test_moments_of_weighted_rows_are_those_of_repeated_rows(monkeypatch):
    monkeypatch.setattr("npseq.nn.scaling.CHUNK_ROWS", 7)
    rng = np.random.default_rng(0)
    values, weights = rng.normal(3, 2, (20, 2)), rng.integers(0, 4, 20)
    for own, repeated in zip(features.moments(values, weights), features.moments(values.repeat(weights, axis=0))):
        np.testing.assert_allclose(own, repeated, rtol=1e-13)


def test_moments_are_the_mean_and_the_standard_deviation_however_the_rows_are_chunked(monkeypatch):
    values = np.random.default_rng(0).normal(50, 7, size=(1000, 3))
    monkeypatch.setattr(scaling, "CHUNK_ROWS", 64)
    mean, scale = features.moments(values)
    assert np.allclose(mean, values.mean(axis=0), rtol=1e-13) and np.allclose(scale, values.std(axis=0), rtol=1e-13)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9])
def test_a_constant_column_has_the_scale_1(constant):
    mean, scale = features.moments(np.full((777, 1), constant))
    assert np.allclose(mean, constant, rtol=1e-12) and scale == 1


def series(period, n=3000, noise=0.3):
    rng = np.random.default_rng(3)
    return np.tile(rng.normal(size=period), n // period + 1)[:n] + noise * rng.normal(size=n)


@pytest.mark.parametrize("period", [5, 24, 168, 365])
def test_a_season_is_found_and_not_a_multiple_of_it(period):
    assert features.season(series(period)) == period


def test_a_week_wins_over_a_day_that_is_as_good_when_the_time_step_is_known():
    assert features.season(series(24), step=3600) == 168
    assert features.season(series(24), step=None) == 24


def test_noise_on_a_smooth_season_does_not_move_it():
    rows = np.arange(30_000)
    values = 10 * np.sin(2 * np.pi * rows / 1440) + np.random.default_rng(0).normal(size=len(rows))
    assert abs(features.season(values) - 1440) <= 6
    assert features.season(values, step=60) == 1440


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=2000),
        np.ones(500),
        np.arange(300.0),
        np.arange(4.0),
        np.cumsum(np.random.default_rng(1).normal(size=3000)) + np.linspace(0, 500, 3000),
    ],
    ids=["noise", "constant", "straight line", "four rows", "noisy slope"],
)
def test_where_there_is_no_season_none_is_found(values):
    assert features.season(values) is None
