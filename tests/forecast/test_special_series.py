"""Series on which forecasters fail: nothing is worse than the best simple baseline, one step ahead and fed back."""

import sys
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq import data
from npseq.fit import fit
from npseq.forecast import ForecastTask, baselines, evaluation, intervals
from npseq.forecast.ensemble import Ensemble
from npseq.forecast.metadata import ForecastMetadata
from npseq.forecast.task import default_window
from npseq.nn.model import Model
from npseq.optim import Adam, make_schedule

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import known_ahead

WORSE = 1.05  # times the best baseline's error, or …
TINY = 1e-4  # … of the standard deviation


def hours(values):
    return data.Table("made", values[:, None], ["y"], step=3600, start=np.datetime64("2024-01-01", "s"))


def trend(n, seed=0):
    t = np.arange(n)
    seasons = 10 * np.sin(2 * np.pi * t / 24) + 5 * np.sin(2 * np.pi * t / 168)
    return hours(100 + 0.05 * t + seasons + 3 * np.random.default_rng(seed).normal(size=n))


def weekly():
    t = np.arange(156)
    values = 200 + 30 * np.sin(2 * np.pi * t / 52.18) + 0.2 * t + 8 * np.random.default_rng(7).normal(size=156)
    return data.Table("w", values[:, None], ["y"], step=604_800, start=np.datetime64("2021-01-04", "s"))


def monthly():
    t, times = np.arange(144), np.arange("2010-01", "2022-01", dtype="datetime64[M]").astype("datetime64[s]")
    values = (100 + 0.5 * t) * (1 + 0.2 * np.sin(2 * np.pi * t / 12)) + 4 * np.random.default_rng(7).normal(size=144)
    return data.Table("m", values[:, None], ["y"], irregular=times)


def days(values):
    return data.Table("d", values[:, None], ["y"], step=86_400, start=np.datetime64("2024-01-01", "s"))


def noise(n, seed=7):
    return np.random.default_rng(seed).normal(size=n)


SERIES = {
    "a trend with seasons": lambda n: trend(n),
    "a random walk": lambda n: hours(100 + np.cumsum(noise(n))),
    "a pure sine": lambda n: hours(np.sin(2 * np.pi * np.arange(n) / 37.3)),
    "white noise": lambda n: hours(noise(n)),
    "a constant": lambda n: hours(np.full(n, 7.25)),
    "60 rows of a walk": lambda n: days(20 + np.cumsum(noise(60))),
    "60 rows of noise": lambda n: days(20 + noise(60)),
    "weeks of 3 years": lambda n: weekly(),
    "months of 12 years": lambda n: monthly(),
}


def scores(table, hidden, epochs, seed=0):
    """What ``npseq evaluate --json`` gives for a model trained as ``npseq train`` does."""
    task = ForecastTask(table, window=default_window(len(table.values)), base="auto")
    rng = np.random.default_rng(seed)
    model = Model("optimized_lstm", task.input_size, hidden, task.output_size, rng=rng, scaling=task.scaling())
    task.prepare(model)
    steps = -(-len(task.parts["train"]) // 32)
    schedule = make_schedule("onecycle", 3e-3, epochs * steps, steps)
    fit(model, task, Adam(model.theta), epochs=epochs, rng=rng, schedule=schedule, count_start=True)
    task.shrink(model)
    fitted = task.fitted_baselines()
    trained = ForecastMetadata(task.recipe(), baselines=fitted, **intervals.measure(model, task))
    forecaster = Ensemble([(model, trained)], table, 0.9)
    seen = np.arange(len(table.values)) < int(0.85 * len(table.values))
    rows = evaluation.scored_rows(forecaster, seen)
    return evaluation.score(forecaster, rows, baselines.Baselines(forecaster.windows[0], fitted), None, seen)


def check(table, found):
    for part in (found, found["fed_back"]):
        best = min(scores["rmse"] for scores in part["baselines"].values())
        assert part["model"]["rmse"] <= max(WORSE * best, TINY * table.values.std())
    assert found["interval"]["coverage"] >= 0.75  # of few rows; several steps of one path tell less


@pytest.mark.wide
@pytest.mark.parametrize("name", SERIES)
def test_no_baseline_is_better_on_a_short_series(name):
    table = SERIES[name](1000)
    found = scores(table, 8, 3)
    check(table, found)
    if name == "a constant":
        assert found["model"]["rmse"] == found["fed_back"]["model"]["rmse"] == 0


@pytest.mark.wide
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SERIES)
def test_no_baseline_is_better(name, seed):
    table = SERIES[name](3000)
    check(table, scores(table, 32, 10, seed))


@pytest.mark.wide
@pytest.mark.parametrize("seed", range(3))
def test_a_trend_with_seasons_is_forecast_to_its_noise(seed):
    """The noise has the deviation 3; that of the rows scored is what no forecast can do better than."""
    table = trend(10_000, seed)
    found = scores(table, 32, 10, seed)
    least = np.sqrt(np.mean((3 * np.random.default_rng(seed).normal(size=10_000)[8500:]) ** 2))
    for part in (found, found["fed_back"]):
        assert part["model"]["rmse"] <= 3.1 * max(1, least / 3)


def test_a_target_without_a_value_to_score_is_named():
    values = np.stack([noise(300), noise(300, 8)], axis=1)
    table = data.Table("two", values, ["y", "z"], step=3600, start=np.datetime64("2024-01-01", "s"))
    task = ForecastTask(table, ["y", "z"], window=6)
    model = Model("gru", task.input_size, 2, task.output_size, rng=0)
    table.filled = np.zeros((300, 2), bool)
    table.filled[250:, 1] = True
    forecaster = Ensemble([(model, ForecastMetadata(task.recipe()))], table)
    rows = evaluation.scored_rows(forecaster, np.arange(300) < 255)
    for steps in 0, -3:
        with pytest.raises(data.DataError, match=f"steps {steps} given; a whole number from 1 expected"):
            evaluation.score(forecaster, rows, baselines.Baselines(forecaster.windows[0], {}), steps)
        with pytest.raises(data.DataError, match=f"steps {steps} given; a whole number from 1 expected"):
            forecaster.predict(steps)
    with pytest.raises(data.DataError, match="'z' has no value in the rows to score"):
        evaluation.score(forecaster, rows, baselines.Baselines(forecaster.windows[0], {}))


@pytest.mark.wide
@pytest.mark.parametrize("kind", known_ahead.KINDS)
def test_columns_known_ahead_are_worth_more_than_a_linear_regression_makes_of_them(kind):
    columns = known_ahead.made(kind)
    own, others = known_ahead.ours(columns, known_ahead.STEPS), known_ahead.regression(columns, known_ahead.STEPS)
    assert own[0] <= 0.85 * others[0] and own[1] <= 1.0 * others[1]


@pytest.mark.wide
def test_rows_at_irregular_times_can_be_trained_for_several_rows():
    days = np.datetime64("2024-01-01", "s") + np.repeat(np.arange(70), 18) * np.timedelta64(86_400, "s")
    seconds = 28_800 + np.tile(np.arange(18) * 1800, 70) + np.random.default_rng(0).integers(0, 90, 1260)
    values = 100 + 50 * np.sin(np.arange(1260) / 18 * 2 * np.pi)
    table = {"t": days + seconds.astype("m8[s]"), "y": values + np.random.default_rng(1).normal(size=1260)}
    assert npseq.Forecaster("gru", epochs=1).fit(table, "y", horizon=18).members
