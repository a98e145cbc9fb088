"""The interval of a trained forecaster adapts to rows after the training, alike in every way to forecast."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import npseq
from npseq.forecast.ensemble import Ensemble
from npseq.forecast.interval_scale import HELD

N = 540


def shifting(times=True):
    """Noise that grows threefold where the training ends."""
    rng, t = np.random.default_rng(0), np.arange(N + 200)
    y = 50 + 10 * np.sin(2 * np.pi * t / 24) + rng.normal(size=N + 200) * np.where(t < N, 1.0, 3.0)
    return {"time": np.datetime64("2024-03-04T00") + t, "y": y} if times else {"y": y}


def until(stop, start=0):
    return {name: values[start:stop] for name, values in shifting().items()}


@pytest.fixture(scope="module")
def forecaster():
    return npseq.Forecaster("gru", epochs=1, hidden_size=3, window=6, base="linear").fit(until(N), "y", time="time")


@pytest.mark.wide
def test_the_level_follows_the_rows_after_the_training_and_a_stream_gives_the_same(forecaster):
    other = npseq.Forecaster()
    other.members = forecaster.members
    other.update(until(N + 200))
    used = Ensemble(other.members, other._table, 0.9, in_use=True)
    rows = np.arange(used.first, N + 200)
    found = used.direct(rows)
    low, high = found.bounds[:, 0, 0].T
    assert (low <= found.values[:, 0, 0]).all() and (found.values[:, 0, 0] <= high).all()
    after = rows >= N + 100
    y = shifting()["y"][rows]
    assert ((low <= y) & (y <= high))[after].mean() > 0.8
    stream, data = forecaster.stream(), shifting()
    for row, (time, value) in enumerate(zip(data["time"], data["y"])):
        stream.step(value, time)
        if used.first <= row + 1 < N + 200:
            bounds = stream.bounds(0.9)
            at = row + 1 - used.first
            assert np.allclose([bounds[0][0, 0], bounds[1][0, 0]], [low[at], high[at]], rtol=1e-6)


def test_each_row_appended_gives_the_bounds_of_all_at_once(forecaster):
    other = npseq.Forecaster()
    other.members = forecaster.members
    other.update(until(N + 40))
    whole = npseq.Forecaster()
    whole.members = forecaster.members
    whole.update(until(N + 30)).update(until(N + 40, N + 30))
    assert np.array_equal(other.predict(3, interval=0.9), whole.predict(3, interval=0.9))
    used = Ensemble(other.members, other._table, 0.9, in_use=True)
    assert np.allclose(used.direct(np.array([N + 40])).bounds, used.direct(np.arange(used.first, N + 41)).bounds[-1:])


def test_several_intervals_hold_each_other_in_whatever_order_they_are_asked_for(forecaster):
    other = npseq.Forecaster()
    other.members = forecaster.members
    other.update(until(N + 200))
    found = other.predict(60, interval=[0.8, 0.95, 0.5])
    assert np.array_equal(found[:, [0, 5, 6]], other.predict(60, interval=0.5))  # the narrowest is as it is alone
    order = found[:, [3, 1, 5, 0, 6, 2, 4]]  # low of 95, 80, 50 %, the forecast, high of 50, 80, 95 %
    assert (np.diff(order, axis=1) >= 0).all() and (np.diff(order, axis=1) > 0).mean() > 0.9
    rows = np.arange(150, N + 200)
    bounds = Ensemble(other.members, other._table, [0.8, 0.9]).direct(rows).bounds[:, 0, 0]
    assert (bounds[:, 2] <= bounds[:, 0]).all() and (bounds[:, 1] <= bounds[:, 3]).all()


def test_the_score_of_several_intervals_has_their_quantiles(forecaster):
    found = forecaster.score(steps=4, interval=[0.8, 0.9])
    assert found["interval"] == forecaster.score(steps=4, interval=0.8)["interval"] and "quantiles" in found["fed_back"]
    assert list(found["quantiles"]) == ["0.05", "0.1", "0.5", "0.9", "0.95"]
    below = [each["below"] for each in found["quantiles"].values()]
    assert below == sorted(below) and abs(below[-1] - below[0] - 0.9) < 0.1
    table, rows = forecaster._table, np.arange(int(0.85 * N), N)
    ensemble = Ensemble(forecaster.members, table, 0.9)
    high = ensemble.direct(rows).bounds[:, 0, 0, 1]
    e = until(N)["y"][rows] - high
    assert np.isclose(found["quantiles"]["0.95"]["loss"], np.where(e > 0, 0.95 * e, -0.05 * e).mean(), rtol=1e-9)
    assert np.isclose(found["quantiles"]["0.95"]["below"], (e <= 0).mean())


def test_every_step_asked_for_has_bounds(forecaster):
    found = forecaster.predict(150, interval=0.9)
    assert found.shape == (150, 3) and np.isfinite(found).all()
    assert (found[:, 1] <= found[:, 0]).all() and (found[:, 0] <= found[:, 2]).all()
    width = found[:, 2] - found[:, 1]
    assert width[149] > width[60] > 0


def test_what_the_file_keeps_of_the_test_part_is_what_the_score_finds(forecaster):
    [(_, trained)] = forecaster.members
    for row, coverage in enumerate(HELD):
        found = [each["interval"]["coverage"] for each in forecaster.score(interval=coverage)["by_step"]]
        assert trained.held.shape == (4, len(found))
        measured = [0, 1, 3, 7, 15, len(found) - 1]
        assert np.allclose(trained.held[row, measured], np.array(found)[measured], atol=6e-5)
    assert np.isclose(trained.held[0, 2], trained.held[0, [1, 3]].mean(), atol=1e-4)


@pytest.mark.parametrize("share, told", [(0.828, True), (0.832, False), (0.968, False), (0.972, True)])
def test_a_measured_coverage_far_from_the_nominal_one_is_told(forecaster, share, told):
    [(model, trained)] = forecaster.members
    held = np.array([[0.5], [0.8], [share], [0.985]]) + np.array([0.01, -0.01] + [0.0] * 24)  # of steps 1 and 2
    other = npseq.Forecaster()
    other.members = [(model, replace(trained, held=held))]
    other.update(until(N))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        other.predict(2, interval=[0.8, 0.9])
        other.predict(2, interval=0.5)
    assert [str(each.message) for each in caught] == told * [
        f"the 90% interval of y held {share:.1%} of the values of the test part at these steps"
    ]
    assert all(each.filename == __file__ for each in caught)
    assert np.allclose(other.members[0][1].coverage_at(0.85, np.array([1])), (0.8 + share) / 2 + 0.01)
    assert other.members[0][1].coverage_at(0.9, np.array([27])) is None
