"""The interval of a trained forecaster adapts to rows after the training, alike in every way to forecast."""

import numpy as np
import pytest

import npseq
from npseq.forecast.ensemble import Ensemble

N = 700


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


def test_the_level_follows_the_rows_after_the_training_and_a_stream_gives_the_same(forecaster):
    other = npseq.Forecaster()
    other.members = forecaster.members
    other.update(until(N + 200))
    used = Ensemble(other.members, other._table, 0.9, in_use=True)
    rows = np.arange(used.first, N + 200)
    found = used.direct(rows)
    low, high = found.low[:, 0, 0], found.high[:, 0, 0]
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
    assert np.allclose(used.direct(np.array([N + 40])).low, used.direct(np.arange(used.first, N + 41)).low[-1:])


def test_every_step_asked_for_has_bounds(forecaster):
    found = forecaster.predict(150, interval=0.9)
    assert found.shape == (150, 3) and np.isfinite(found).all()
    assert (found[:, 1] <= found[:, 0]).all() and (found[:, 0] <= found[:, 2]).all()
    width = found[:, 2] - found[:, 1]
    assert width[149] > width[60] > 0
