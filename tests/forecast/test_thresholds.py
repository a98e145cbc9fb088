"""Each constant and choice that a page or a docstring names, on both sides of it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import npseq
from npseq import data
from npseq.cli import evaluate_forecast, tables
from npseq.forecast import (
    ForecastTask,
    adaptive,
    base_model,
    baselines,
    calendar_slots,
    candidates,
    combination,
    evaluation,
    features,
    intervals,
    recursive,
)
from npseq.forecast.base_model import BaseModel
from npseq.forecast.bases import BaseModels
from npseq.forecast.interval_scale import LEVELS, Width, rounded
from npseq.forecast.metadata import ForecastMetadata
from npseq.forecast.origins import backtest_rows
from npseq.forecast.task import default_window, seasonal_lags, split_rows
from npseq.tasks.scoring import shrunk_factor

HOUR = 3600


def width(count, deviation=0.0, **changed):
    """An interval of one step and target whose quantile of level p is p itself, but for what is changed."""
    one = np.ones(1)
    fields = {"weight": np.zeros((1, 1)), "bias": np.zeros(1), "quantiles": LEVELS[:, None], "mean": 0.5 * one,
              "deviation": deviation * one, "count": count * one, "rows": 4, "reference": one,
              "floor": np.nan * one}  # fmt: skip
    return Width(**{**fields, **changed})


# ---- intervals ----


@pytest.mark.parametrize("n", [60, 99, 399])
@pytest.mark.parametrize("p", [0.02, 0.05, 0.1])
def test_bounds_have_the_conformal_level(n, p):
    """Of n exchangeable errors the one of rank (n + 1) p, counted from 1; level 0 is the outermost error, 1 the other."""
    level = max(0.0, ((n + 1) * p - 1) / (n - 1))
    expected = np.interp(level, LEVELS, LEVELS)
    assert np.isclose(width(n).quantile(p)[0], expected) and np.isclose(width(n).quantile(1 - p)[0], 1 - expected)


def test_with_fewer_than_60_errors_students_t_may_widen_them_and_never_narrows():
    wide = 50.0 * np.sqrt(1 + 1 / 59)
    low, high = width(59, 50.0).quantile(0.05)[0], width(59, 50.0).quantile(0.95)[0]
    assert np.isclose(high, 0.5 + 1.6716 * wide, rtol=1e-4) and np.isclose(low, 0.5 - 1.6716 * wide, rtol=1e-4)
    assert np.array_equal(width(60, 50.0).quantile(0.95), width(60).quantile(0.95))
    assert np.array_equal(width(59, 1e-9).quantile(0.95), width(59).quantile(0.95))
    assert width(2, 1.0).quantile(0.95)[0] > 6 and width(0, 1.0).quantile(0.95)[0] > 6  # t of one degree of freedom


def test_the_scale_is_cut_at_e5_and_numbers_have_six_digits():
    found = width(99, weight=np.ones((1, 1))).log_scale(np.array([[-6.0], [4.9], [6.0]]))
    assert found[:, 0].tolist() == [-5.0, 4.9, 5.0]
    assert rounded([1.23456749, 123456.749])[0] == 1.23457 and rounded([123456.749])[0] == 123457


def test_no_bound_is_below_a_floor_and_steps_that_were_not_measured_widen_with_their_root():
    forecast, scale = np.zeros((1, 4, 1)), np.ones((1, 4, 1))
    low, high = width(99, floor=np.zeros(1), quantiles=LEVELS[:, None] - 1).bounds(forecast, scale, 0.9)
    assert (low == 0).all() and (high == 0).all()
    low, high = width(99, quantiles=LEVELS[:, None] - 0.5).bounds(forecast, scale, 0.9)
    assert np.allclose(high[0, :, 0], high[0, 0, 0] * np.sqrt([1, 2, 3, 4])) and np.allclose(low, -high)
    low, _ = width(99, quantiles=LEVELS[:, None] - 1).bounds(forecast, scale, 0.9)
    assert low[0, 0, 0] < -0.9


@pytest.mark.parametrize("share, reaches", [(0.24, False), (0.25, True)])
def test_a_floor_that_is_common_is_the_lower_bound(share, reaches):
    forecast, scale = np.full((1, 1, 1), 3.0), np.ones((1, 1, 1))
    found = width(99, floor=np.zeros(1), quantiles=LEVELS[:, None] - 0.5, resting=np.array([share]))
    low, high = found.bounds(forecast, scale, 0.9)
    assert (low[0, 0, 0] == 0) == reaches and (high[0, 0, 0] < 3 + found.quantile(0.95)[0]) == reaches


@pytest.mark.parametrize("known, share", [(True, 0), (False, 0.5)])
def test_a_floor_is_common_if_values_end_there_although_the_forecast_is_above_its_median(known, share):
    """Half of the values are 0: in a known season, or whatever is forecast."""
    t = np.arange(600)
    y = np.where(t % 6 < 3, 20.0, 0.0) if known else 9.0 * (np.random.default_rng(0).random(600) < 0.5)
    base = "seasonal" if known else "mean"
    [(_, trained)] = npseq.Forecaster("rnn", epochs=1, hidden_size=2, window=6, base=base).fit(y).members
    found = trained.width
    assert np.isclose(found.resting[0], share, atol=0.1) and found.rests[0] == (share > 0)


def test_the_forecast_is_between_its_bounds_and_not_below_the_floor():
    forecast, scale = np.full((1, 1, 1), 2.0), np.ones((1, 1, 1))
    low, high = width(99, quantiles=LEVELS[:, None] + 5).bounds(forecast, scale, 0.9)
    assert low[0, 0, 0] == 2 and high[0, 0, 0] > 7
    low, high = width(99, quantiles=LEVELS[:, None] - 5).bounds(forecast, scale, 0.9)
    assert high[0, 0, 0] == 2 and low[0, 0, 0] < -2
    assert (
        width(99, floor=np.zeros(1)).not_below(np.array([-1.0]))[0] == 0
        and width(99).not_below(np.array([-1.0]))[0] == -1
    )


def test_of_few_errors_the_width_does_not_shrink_with_the_step():
    quantiles = np.stack([LEVELS - 0.5, (LEVELS - 0.5) / 3], axis=1)
    two = {"quantiles": quantiles, "mean": np.zeros(2), "deviation": np.zeros(2)}
    for count, shrinks in ((59, False), (60, True)):
        found = dataclasses.replace(width(count), **two, count=count * np.ones(2))
        low, high = found.bounds(np.zeros((1, 2, 1)), np.ones((1, 2, 1)), 0.9)
        assert (high[0, 1, 0] < high[0, 0, 0]) == shrinks == (low[0, 1, 0] > low[0, 0, 0])


def test_a_few_misses_widen_a_bound_and_what_is_held_narrows_it():
    level = adaptive.Level(np.linspace(-1, 1, 999), 0.9, 1)
    low, high = level.offsets()
    assert np.isclose(high, 0.9, atol=0.005) and np.isclose(low, -high)
    level.observe(high + 1, (low, high))
    assert np.isclose(level.levels[1], 0.05 - 0.01 * 0.95) and np.isclose(level.levels[0], 0.05 + 0.01 * 0.05)
    for _ in range(2000):
        level.observe(5.0, (-9.0, 4.0))
    assert level.levels == [0.30, 0.0005]
    far = adaptive.Level(np.zeros(99), 0.9, 2)
    far.observe(1.0, (-0.5, 0.5))
    assert np.isclose(far.levels[1], 0.05 - 0.001 * 0.95)
    for step, wanted in ((1, 0.08), (2, 0.06), (48, 0.06)):
        assert np.isclose(adaptive.Level(np.zeros(9), 0.9, step, rests=True).wanted[1], wanted)


def test_bounds_are_errors_of_the_conformal_rank_and_few_errors_follow_student():
    assert np.allclose(adaptive.Level(np.arange(1.0, 100.0), 0.9, 1).offsets(), (5, 95))  # ⌈100 · 0.05⌉ from either end
    few, enough = (adaptive.Level(np.linspace(-1, 1, n), 0.9, 1).offsets()[1] for n in (59, 60))
    assert few > 0.95 > enough
    assert adaptive.Level(np.zeros(0), 0.9, 1).offsets() == (0.0, 0.0)


def test_a_spread_below_a_millionth_leaves_nothing_to_correct():
    found = BaseModels.of((BaseModel("mean", np.zeros(0), np.zeros(1)),), np.array([0.9e-6, 1.1e-6, np.nan]))
    assert found.exact.tolist() == [True, False, True] and found.spread.tolist() == [1.0, 1.1e-6, 1.0]


def test_what_fills_gaps_without_a_base_is_the_season_and_seven_tenths_of_the_last_deviation():
    assert np.allclose(base_model.from_season(4).weights, [0.7, 0, 0, 1, -0.7])


@pytest.mark.parametrize(("step", "left_out", "found"), [(24, (5, 6), {"week": 5}), (24, (3,), {}), (1, (5, 6), {})])
def test_of_irregular_times_only_working_days_have_a_week(step, left_out, found):
    times = np.datetime64("2024-01-01T00", "h") + step * np.arange(70)  # from a Monday on
    days = np.arange(70) * step // 24 % 7 if step == 24 else np.arange(70) % 7
    kept = times[~np.isin(days, left_out)].astype("datetime64[s]")
    table = data.Table("t", np.zeros((len(kept), 1)), ["y"], step=3600 * step, irregular=kept)
    assert calendar_slots.periods(table) == found


def test_of_irregular_times_the_usual_step_leads_to_more_within_the_first_day():
    times = np.array([0, 1, 2, 3, 7, 8], "datetime64[h]").astype("datetime64[s]")
    table = data.Table("t", np.zeros((6, 1)), ["y"], step=3600, irregular=times)
    hours = calendar_slots.row_times(table, 5, 8).astype("M8[h]").astype(int)
    assert hours.tolist() == [8, 9, 10]


def test_of_irregular_times_of_some_days_the_last_day_s_come_again():
    days = np.array([480, 540, 720, 1860, 1985], "M8[m]").astype("M8[s]")
    table = data.Table("t", np.zeros((5, 1)), ["y"], step=3600, irregular=days)
    minutes = calendar_slots.row_times(table, 4, 9).astype("M8[m]").astype(int) - 1440
    assert minutes.tolist() == [545, 720, 1860, 1985, 2160]
    late = np.append(days, np.datetime64(2155, "m"))  # five minutes earlier in the day than the day before
    longer = dataclasses.replace(table, irregular=late, values=np.zeros((6, 1)))
    assert calendar_slots.row_times(longer, 6, 7) == days[3] + np.timedelta64(1, "D")


@pytest.mark.parametrize("step", [1, 5])
def test_only_errors_that_are_known_at_the_origin_count_and_those_of_the_training_never(step):
    rng = np.random.default_rng(0)
    scaled, rows, start = 3 * rng.normal(size=300), np.arange(50, 350), rng.normal(size=200)
    found = adaptive.offsets(scaled, rows, start, 0.9, step)
    for cut in (1, 100, 299):
        changed = scaled.copy()
        changed[cut:] = 1e6
        other = adaptive.offsets(changed, rows, start, 0.9, step)
        assert np.array_equal(other[: cut + step], found[: cut + step])
        assert cut + step >= 300 or (other[cut + step] != found[cut + step]).any()
    assert (adaptive.offsets(scaled, rows, start, 0.9, step, since=350) == found[0]).all()
    held = (scaled >= found[:, 0]) & (scaled <= found[:, 1])
    assert held[150:].mean() > 0.8 > ((scaled >= found[0, 0]) & (scaled <= found[0, 1])).mean()


@pytest.mark.parametrize("kind", ["state", "recent"])
def test_a_scale_that_changes_must_be_better_than_a_constant(kind):
    rng = np.random.default_rng(0)
    truth = np.exp(np.sin(np.arange(400) / 9))[:, None, None]
    residuals, scales = rng.normal(size=(400, 1, 1)) * truth, {kind: truth, "constant": np.ones((400, 1, 1))}

    def best(scales, residuals, **told):
        m = len(residuals)
        return intervals._best_scale(scales, residuals, np.zeros((m, 1, 1)), np.arange(m), [0], width(99, **told))

    assert best(scales, residuals) == kind
    assert best({**scales, kind: 2 * scales["constant"]}, residuals) == "constant"
    assert best(scales, residuals[:118]) == "constant"  # too few to tell
    below = np.where(residuals < 0, residuals, 0.1 * np.abs(residuals) / truth)  # it changes below the forecast alone
    resting = {"floor": np.full(1, -1.0), "resting": np.ones(1)}
    assert best(scales, below) == kind and best(scales, below, **resting) == "constant"


def test_volatility_is_that_of_the_rows_before_relative_to_the_validation_part():
    errors = np.array([[3.0], [1.0], [np.nan], [1.0], [1.0], [2.0]])
    found = intervals.volatility_of(errors, np.arange(7), width(99, reference=2 * np.ones(1)))[:, 0]
    roots = [1, 1.5, np.sqrt(5) / 2, np.sqrt(5) / 2, np.sqrt(11 / 3) / 2, 0.5, np.sqrt(2) / 2]
    assert np.allclose(found, roots)  # of four rows, those that are known; 1 without any


def test_the_interval_score_is_the_width_and_40_times_the_distance_outside_at_95_percent():
    score = intervals.interval_score(np.zeros(3), np.ones(3), np.array([0.5, 1.5, -2.0]), 0.95)
    assert np.allclose(score, [1, 21, 81])


def test_the_loss_of_a_quantile_is_of_the_values_that_are_known():
    gone = np.nan
    found = evaluation._quantile(np.array([1.0, 2, gone, 4]), np.array([3.0, gone, 5, 4]), 0.9)
    assert np.isclose(found["loss"], 0.9 * 2 / 2) and found["below"] == 0.5
    assert set(evaluation._quantile(np.array([gone]), np.array([1.0]), 0.9).values()) == {None}


def test_the_gradient_of_the_scale_counts_no_error_as_more_than_its_bound():
    h, e, zero = np.ones((1, 1)), np.array([[10.0]]), np.zeros((1, 1))
    loss, dV, dc = intervals.head_loss(zero, np.zeros(1), h, e)
    assert (loss, dV[0, 0], dc[0]) == (50, -99, -99)
    assert intervals.head_loss(zero, np.zeros(1), h, e, intervals.MOST_ERRORS)[2][0] == 1 - 10


# ---- scores ----


@pytest.mark.parametrize(
    ("skill", "words"),
    [(0.0006, "better than every baseline by 0.1%"), (0.0004, "as good as AR"), (-0.0004, "as good as AR"),
     (-0.0006, "AR is 0.1% better than net: use that baseline there")],
)  # fmt: skip
def test_skills_that_round_to_nothing_are_called_as_good(skill, words):
    found = {"skill": skill, "best_baseline": "ar"}
    assert words in evaluate_forecast.verdict("net", found, {"ar": "AR"})[0]
    far = {**found, "skill": 0.5, "fed_back": found}
    text = evaluate_forecast.verdict("net", far, {"ar": "AR"})[0]
    assert ("fed back AR is" in text) == (skill < -0.0005) and ("50.0%" in text) == (skill >= -0.0005)


def test_the_table_has_the_best_last_whether_more_or_less_is_better():
    errors = tables.comparison("net", {"rmse": 12.0, "mae": 1.0},
                               {"a": {"rmse": 30.0, "mae": 1.0}, "b": {"rmse": 15.0, "mae": 1.0}})  # fmt: skip
    assert [line.split()[0] for line in errors.splitlines()[1:]] == ["a", "b", "net"]
    assert errors.splitlines()[-1].endswith("20.0%  <")  # of the best baseline, 15
    shares = tables.comparison("net", {"accuracy": 0.5}, {"a": {"accuracy": 0.9}, "b": {"accuracy": 0.1}})
    assert [line.split()[0] for line in shares.splitlines()[1:]] == ["b", "net", "a"]


@pytest.mark.parametrize(("rmse", "best", "skill"), [(0, 0, 0), (1, 0, -1), (0.5, 1, 0.5), (2, 1, -1)])
def test_the_skill_is_one_minus_the_ratio(rmse, best, skill):
    assert evaluation.skill(rmse, best) == skill


def origins(rows, steps=None, inputs=(), seen=None, horizon=1):
    forecaster = SimpleNamespace(input_columns=list(inputs), horizon=horizon, windows=[])
    return evaluation._origins(forecaster, np.asarray(rows), steps, seen)


def test_origins_are_thinned_over_all_rows_and_not_cut():
    found, steps = origins(np.arange(100, 4147))  # 4,000 origins of 48 steps
    assert steps == 48 and len(found) == 4000 and found[0] == 100 and found[-1] == 4147 - 48
    found, _ = origins(np.arange(100, 4148))
    assert len(found) == 2001 and set(np.diff(found)) == {2} and found[-1] == 4100
    found, _ = origins(np.arange(0, 30_047))
    assert len(found) == 3750 and found[-1] > 29_900


@pytest.mark.parametrize(
    ("rows", "options", "steps"),
    [
        (191, {}, 47),
        (192, {}, 48),
        (400, {}, 48),
        (40, {"steps": 7}, 7),
        (8, {"horizon": 5}, 5),
        (400, {"inputs": "x"}, 1),
    ],
)
def test_as_many_steps_are_fed_back_as_fit_four_times(rows, options, steps):
    assert origins(np.arange(rows), **options)[1] == steps


def test_no_origin_reaches_a_row_that_was_seen_and_too_many_steps_are_told():
    seen = np.zeros(40, bool)
    seen[20] = True
    assert origins(np.arange(40), 5, seen=seen)[0].tolist() == [*range(16), *range(21, 36)]
    assert origins(np.arange(40), 40)[0].tolist() == [0]
    with pytest.raises(data.DataError, match="41 steps asked for, but there are 40 rows to score"):
        origins(np.arange(40), 41)
    with pytest.raises(data.DataError, match="cannot be fed back"):
        origins(np.arange(40), 2, inputs="x")


def test_errors_are_measured_from_up_to_800_origins_that_end_with_the_rows():
    recipe = SimpleNamespace(inputs=[], horizon=1)
    for stop, stride in ((847, 1), (848, 2), (2000, 3)):
        found, steps = recursive.origins_of(recipe, 0, stop)
        assert steps == 48 and found[-1] == stop - 48 and set(np.diff(found)) == {stride} and len(found) <= 800
    assert recursive.origins_of(recipe, 100, 140)[1] == 10
    assert recursive.origins_of(SimpleNamespace(inputs=["x"], horizon=3), 0, 400)[1] == 3


# ---- several steps ----


def test_beyond_the_measured_steps_the_last_blend_holds():
    t = np.arange(300)
    table = data.load(np.sin(t) + np.random.default_rng(0).normal(0, 0.2, 300))
    task = ForecastTask(table, window=4, base="linear")
    model = npseq.Model("rnn", task.input_size, 3, task.output_size, scaling=task.scaling(), rng=0)
    at, recipe = np.array([260, 270]), task.recipe()
    gamma = np.array([[1.0], [0.5], [0.25]])
    alone = recursive.base_alone(task, at, 6)
    together = recursive.forecast_ahead(model, recipe, table, at, 6).values
    found = recursive.forecast_ahead(model, recipe, table, at, 6, blend=gamma).values
    expected = alone + gamma[[0, 1, 2, 2, 2, 2]] * (together - alone)
    assert np.allclose(found, expected) and not np.allclose(together, alone)


def test_a_factor_within_two_squared_standard_errors_is_chance():
    c = np.ones((100, 1))
    for mean, kept in ((0.1, False), (0.2, True)):  # standard error 0.1, so 2 s² / γ² is 2 and 0.5
        e = mean + np.tile([[-1.0], [1.0]], (50, 1))
        factor = float(shrunk_factor(c, e)[0])
        assert (factor > 0) == kept and (not kept or np.isclose(factor, mean * 0.5))
        assert np.isclose(shrunk_factor(c, e, 4.0)[0], 0)
    assert shrunk_factor(c, 3 * c)[0] == 1 and shrunk_factor(c, -c)[0] == 0 and shrunk_factor(0 * c, c)[0] == 0


# ---- seasons, windows, splits ----


def two_rhythms(second, n=168 * 60):
    """A rhythm of half a week, and one of 80 hours, which makes a whole week less like itself."""
    t = np.arange(n)
    return np.sin(2 * np.pi * t / 84) + second * np.sin(2 * np.pi * t / 80 + 1)


def gap(values):
    """By how much the autocorrelation at half a week exceeds that at a week."""
    z, n = (values - values.mean()) / values.std(), len(values)
    at = [np.dot(z[:-k], z[k:]) / (n - k) for k in (84, 168)]
    return at[0] - at[1]


@pytest.mark.parametrize(("second", "week"), [(0.15, True), (0.23, True), (0.28, False), (0.35, False)])
def test_a_week_is_the_season_where_it_is_within_a_hundredth_of_the_highest(second, week):
    values = two_rhythms(second)
    assert (gap(values) <= 0.01) == week
    assert features.season(values, HOUR, 300) == (168 if week else 84) and features.season(values, None, 300) == 84


def test_a_season_fits_three_times_is_no_ripple_and_is_looked_for_in_the_newest_rows():
    assert features.season(np.sin(2 * np.pi * np.arange(80) / 20)) == 20
    assert features.season(np.random.default_rng(0).normal(size=2000)) is None
    assert features.season(np.arange(8.0)) is None
    noise = np.random.default_rng(0).normal(size=3000)
    assert features.season(np.sin(np.arange(3000) * 2 * np.pi / 30) + noise) == 30  # correlation 0.33
    assert features.season(0.5 * np.sin(np.arange(3000) * 2 * np.pi / 30) + noise, longest=300) is None  # 0.11
    old = np.random.default_rng(1).normal(size=1000)
    new = np.sin(np.arange(features.SEASON_ROWS) * 2 * np.pi / 30)
    assert features.season(np.concatenate([1e3 * old, new])) == 30


@pytest.mark.parametrize(
    ("season", "step", "horizon", "rows", "lags"),
    [(168, HOUR, 1, 1680, (24, 168)), (168, HOUR, 1, 1679, ()), (168, HOUR, 25, 1680, (168,)), (24, HOUR, 1, 240, (24,)),
     (7, None, 1, 70, (7,)), (7, None, 8, 70, ()), (30, HOUR, 1, 3000, (30,)), (None, HOUR, 1, 3000, ())],
)  # fmt: skip
def test_the_default_lags_cost_no_more_than_a_tenth_of_the_training_rows(season, step, horizon, rows, lags):
    assert seasonal_lags(season, step, horizon, rows) == lags


@pytest.mark.parametrize(("rows", "window"), [(1, 1), (6, 1), (100, 17), (138, 24), (136, 23), (10_000, 24)])
def test_the_default_window_is_24_or_a_quarter_of_the_training_rows(rows, window):
    assert default_window(rows) == window


def test_the_parts_are_70_15_and_15_percent_and_each_origin_has_85_percent_of_the_next():
    assert split_rows(1000) == (700, 850) and split_rows(1007) == (704, 855)
    assert backtest_rows(1000, 3) == [722, 850, 1000] and backtest_rows(999, 1) == [999]


@pytest.mark.parametrize(("value", "refused"), [(0.9e15, False), (1.2e15, True), (-1.2e15, True)])
def test_a_value_beyond_1e15_deviations_of_the_training_rows_is_refused(value, refused):
    values = np.tile([1.0, -1.0], 100)
    values[-1] = value
    if refused:
        with pytest.raises(data.DataError, match="row 199 of 'value'"):
            ForecastTask(data.load(values), window=4, base="none")
    else:
        ForecastTask(data.load(values), window=4, base="none")


# ---- names and levels ----


@pytest.mark.parametrize(
    ("period", "step", "name"),
    [(24, HOUR, "same hour yesterday"), (168, HOUR, "same hour last week"), (25, HOUR, "25 hours before"), (48, HOUR, "2 days before"),
     (24, 1800, "12 hours before"), (48, 1800, "same time yesterday"), (1, HOUR, "1 hour before"), (7, 86_400, "same time last week"), (336, 1800, "same time last week"),
     (168, 1800, "84 hours before"), (12, None, "12 rows before")],
)  # fmt: skip
def test_the_names_of_seasons(period, step, name):
    assert baselines.season_name(period, step) == name


def test_the_levels_of_an_interval_are_dense_in_the_tails_and_the_same_on_both_sides():
    assert (np.diff(LEVELS) > 0).all() and np.allclose(LEVELS + LEVELS[::-1], 1) and LEVELS[0] == 0
    assert {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5} <= set(LEVELS) and np.diff(LEVELS)[:4].max() <= 0.005


@pytest.mark.parametrize(
    ("of", "value", "far"),
    [((0, 10), 15, False), ((0, 10), 15.1, True), ((0, 10), -5, False), ((0, 10), -5.1, True), ((4, 4), 6, False),
     ((4, 4), 6.1, True), ((-4, -4), -6.1, True), ((0, 0), 0.5, False), ((0, 0), 0.6, True)],
)  # fmt: skip
def test_a_value_further_outside_than_half_the_range_of_the_training_is_told(of, value, far):
    trained = ForecastMetadata(None, range=[list(of)])
    assert trained.far_outside(np.array([[value]])).tolist() == [[far]]
    assert not ForecastMetadata(None).far_outside(np.array([[value]])).any()


@pytest.mark.parametrize(("lowest", "floor"), [(0.0, 0.0), (0.5, 0.0), (-1e-9, np.nan)])
def test_what_was_never_negative_has_no_negative_bound(lowest, floor):
    values = np.abs(np.random.default_rng(0).normal(size=200)) + 1
    values[50] = lowest
    found = intervals._floor(ForecastTask(data.load(values), window=4, base="none"))
    assert np.array_equal(found, [floor], equal_nan=True)


@pytest.mark.parametrize(("step", "rows"), [(HOUR, 168), (1800, 336), (86_400, 7), (None, 168)])
def test_the_volatility_is_that_of_a_week_or_of_168_rows(step, rows):
    start = None if step is None else np.datetime64("2024-01-01", "s")
    table = data.Table("t", np.random.default_rng(0).normal(size=(100, 1)), ["y"], step, start)
    assert intervals._rows_before(SimpleNamespace(table=table)) == rows


@pytest.mark.parametrize(("rows", "lengths"), [(79, []), (80, [40])])
def test_a_detected_season_is_a_length_if_the_rows_hold_it_twice(rows, lengths):
    table = data.Table("t", np.zeros((rows, 1)), ["y"])
    assert candidates.seasons(table, 40, rows).lengths == lengths


@pytest.mark.parametrize(
    ("rows", "step", "many"),
    [(2500, HOUR, False), (2501, HOUR, True), (2501, 86_399, True), (2501, 86_400, False), (2501, None, False)],
)
def test_rows_are_many_from_2501_on_of_less_than_a_day_each(monkeypatch, rows, step, many):
    class Asked(Exception):
        pass

    def designs(found, rows, many, logs, ahead):
        raise Asked(rows, many)

    monkeypatch.setattr(combination, "designs", designs)
    choice = combination.Choice("auto", data.Table("t", np.zeros((3000, 1)), ["y"], step), rows, 3000)
    with pytest.raises(Asked) as told:
        choice._chosen(candidates.Series(np.arange(3000.0)), None)
    assert told.value.args == (rows, many)


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_spread_is_that_of_the_errors_whose_rows_are_all_training_rows(horizon):
    values = np.random.default_rng(0).normal(size=200)
    values[140:] *= 100  # not of the training rows
    task = ForecastTask(data.load(values), window=4, base="last", horizon=horizon)
    z = task.target_scaler.standardise(values[:140, None])[:, 0]
    rows = np.arange(1, 140 - horizon + 1)
    errors = z[rows[:, None] + np.arange(horizon)] - z[rows - 1][:, None]
    assert np.allclose(task.base.spread, np.sqrt((errors**2).mean(axis=0)))


@pytest.mark.parametrize("floor", [0.0, np.nan])
def test_a_floor_goes_through_a_file(floor):
    kept = width(99, floor=np.array([floor]))
    assert np.array_equal(Width.from_json(kept.to_json(), 1, 1).floor, kept.floor, equal_nan=True)
