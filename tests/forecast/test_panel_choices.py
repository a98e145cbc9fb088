"""Each constant, choice and formula of forecasts of many series that a docstring names, on both sides of it."""

import numpy as np
import pytest

from npseq.data.grid import Grid
from npseq.data.panel import Panel
from npseq.forecast.panel import closed_forms, combination, scores, series, task, windows
from npseq.forecast.panel.closed_forms import Forms, Season
from npseq.forecast.panel.combination import LEVELS, Errors, Parts
from npseq.forecast.panel.recipe import PanelRecipe
from npseq.forecast.panel.series import Many

YEAR = Season(12)


def many(*values, season=YEAR):
    values = [np.asarray(y, float) for y in values]
    ids = [f"s{k}" for k in range(len(values))]
    return Many(ids, values, [np.zeros(len(y), bool) for y in values], list(range(len(values))), season)


def panel_of(*values, grid=None, irregular=None, step=None):
    starts = np.append(0, np.cumsum([len(y) for y in values]))
    data = np.concatenate(values)[:, None].astype(float)
    ids = [f"s{k}" for k in range(len(values))]
    return Panel("made", ids, data, ["y"], starts, [grid] * len(ids), irregular, step, all_columns=["y"])


# ---- the series ----


@pytest.mark.parametrize(
    ("y", "s", "size"),
    [([1, 1, 3, 3], 2, 2), ([1, 2, 1, 2], 2, 1), ([1, 4], 2, 3), ([-5, -5, -5], 2, 5), ([0, 0], 1, 1), ([7], 1, 7)],
)
def test_the_unit_is_the_mean_change_over_a_season_then_of_a_row_then_the_size(y, s, size):
    assert series.unit(np.array(y, float), s) == size


@pytest.mark.parametrize(
    ("rows", "s", "h", "origins"),
    [
        (29, 12, 6, []),
        (30, 12, 6, [24]),  # two seasons before the first
        (36, 12, 6, [30]),
        (150, 12, 6, [132, 138, 144]),  # of the last 15 %
        (1000, 12, 24, [*range(892, 988, 12)]),  # a season apart, eight
        (12, 1, 5, []),
        (13, 1, 5, [8]),  # eight rows before the first
        (39, 1, 20, []),
        (40, 1, 20, [20]),  # a horizon before the first
        (100, 1, 5, [*range(85, 96, 2)]),
        (100, 1, 1, [*range(92, 100)]),
    ],
)
def test_the_rolling_origins_of_a_series(rows, s, h, origins):
    assert many(np.zeros(rows), season=Season(s)).cuts(h)[0].tolist() == origins


@pytest.mark.parametrize(
    ("s", "longer"), [(11, ()), (12, (84,)), (48, (336,)), (50, ())]
)  # a week of days, of 12 rows or more, of up to 336 rows
def test_a_season_that_was_found_may_be_a_day_of_a_week(s, longer):
    y = np.sin(2 * np.pi * np.arange(6 * s) / s)
    assert series._season(panel_of(y), [y]) == (s, longer)


def test_the_season_is_that_of_the_calendar_of_irregular_days_or_of_most_series():
    y = np.sin(2 * np.pi * np.arange(60) / 12)
    hourly = panel_of(y, grid=Grid(np.datetime64("2024-01-01", "s"), 3600), step=3600)
    assert series._season(hourly, [y]) == (24, (168,))
    halves = panel_of(y, grid=Grid(np.datetime64("2024-01-01", "s"), 43_200), step=43_200)
    assert series._season(halves, [y]) == (2, (14,))
    days = np.repeat(np.datetime64("2024-01-01", "s") + 86_400 * np.arange(20), 3) + np.tile([0, 4000, 9000], 20)
    assert series._season(panel_of(y, irregular=days), [y]) == (3, ())
    other, none = np.sin(2 * np.pi * np.arange(60) / 15), np.arange(60.0)
    assert series._season(panel_of(y), [other, y, none, y]).s == 12
    assert series._season(panel_of(y), [other, y]).s == 12  # of as many the shorter one
    assert series._season(panel_of(y), [none]) == (1, ())
    assert series._season(panel_of(y), [none, other, *[y, other] * 199]).s == 12  # every second of 400 is looked at


def test_a_series_begins_at_its_first_value_and_a_large_one_is_left_out():
    panel = panel_of([np.nan, 2, np.nan, 4], [1.1e100, 1], [0.9e100, 1])
    found = Many.of(panel, season=Season(1))
    assert found.ids == ["s0", "s2"] and list(found.left_out) == ["s1"] and found.places == [0, 2]
    assert found.values[0].tolist() == [2, 2, 4] and found.missing[0].tolist() == [False, True, False]


def test_rows_after_the_last_value_of_a_series_are_cut_and_a_series_without_one_left_out():
    panel = panel_of([1.0, 2, 2, 2], [0.0, 0, 0], [5.0, 6])
    assert series.observed(panel, "y") is panel
    panel.filled = np.zeros((9, 1), bool)
    assert series.observed(panel, "y") is panel
    panel.filled[[0, 2, 3, 4, 5, 6], 0] = True
    found = series.observed(panel, "y")
    assert found.ids == ["s0", "s2"] and found.values[:, 0].tolist() == [1, 2, 5, 6] and found.filled[0, 0]


# ---- the network's windows ----


@pytest.mark.parametrize(
    ("s", "patch", "steps"),
    [(1, 1, 14), (12, 12, 14), (60, 60, 14), (120, 60, 14), (168, 56, 14), (61, 30, 14), (74, 37, 14), (2, 2, 14),
     (122, 2, 64), (34, 34, 14)],
)  # fmt: skip
def test_a_patch_is_a_season_or_a_part_of_one_of_up_to_60_rows(s, patch, steps):
    found = task._recipe(many(np.ones(5), season=Season(s)), "d", "y", 3, None)
    assert (found.patch, found.window) == (patch, steps) and found.log
    assert found.lags == ([s, 2 * s] if s > 1 else [1]) and found.weights == [1.0] + [0.0] * (s > 1)
    assert task._recipe(many(np.ones(5), season=Season(s)), "d", "y", 3, 9).window == 9


def test_lags_are_the_longer_seasons_and_logarithms_those_of_positive_series():
    found = task._recipe(many(np.arange(5), season=Season(12, (84,))), "d", "y", 3, None)
    assert found.lags == [12, 84] and not found.log and found.window == 8  # the longer season and a step
    assert task._recipe(many(np.arange(5), np.ones(5)), "d", "y", 3, None).log


def test_the_base_has_the_weights_of_the_lags_that_make_the_series():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 12))
    turns = np.tile(np.concatenate([first, second]), 12)  # each season is that of two before
    found = task._weights(many(turns, turns[::-1]), PanelRecipe("d", "y", 6, 12, [], 12, 4, False, [12, 24], [1.0, 0]))
    assert np.allclose(found, [0, 1], atol=0.01)
    noise = 10 + rng.normal(size=288) + np.tile(3 * first, 24)  # the mean of both lags is the best
    found = task._weights(many(noise), PanelRecipe("d", "y", 6, 12, [], 12, 4, False, [12, 24], [1.0, 0]))
    assert np.isclose(sum(found), 1) and 0.35 < found[1] < 0.65


def recipe(patch=2, window=3, horizon=2, log=False, lags=(2, 4), weights=(1.0, 0.0)):
    return PanelRecipe("d", "y", horizon, lags[0], [], patch, window, log, list(lags), list(weights))


def panel_task(*values, **changed):
    some = many(*values, season=Season(2))
    return windows.PanelTask(some, recipe(**changed), panel_of(*values))


def test_examples_are_all_whole_windows_and_one_short_one_in_fifty_before_the_origins():
    made = panel_task(np.arange(300.0), np.arange(9.0), patch=2, window=60)
    ends = [int(cuts[0]) for cuts in made.cuts if len(cuts)]
    whole, short = [*range(120, ends[0] - 1)], [2, 52]  # patch … 119, thinned
    alone = [2, 3, 4, 5, 6, 7]  # no rolling origin, no whole window: each one
    assert len(made.cuts[1]) == 0
    j, origin = made._places(np.arange(len(whole) + len(short) + len(alone)))
    assert j.tolist() == [0] * (len(whole) + 2) + [1] * 6 and origin.tolist() == whole + short + alone
    total = len(j)
    assert len(made.parts["train"]) == 4 * total and made.parts["train"].max() == total - 1
    j, origin = made._places(made.parts["validation"])
    assert j.tolist() == [0] * len(made.cuts[0]) and origin.tolist() == made.cuts[0].tolist()


def test_a_window_is_standardised_by_itself_and_reads_no_row_before_its_series():
    y = np.array([100.0, 1, 3, 5, 1, 4, 7, 2, 8])
    made = panel_task(np.arange(4.0), y)
    x, base, mean, scale, lengths = made.windows.inputs(np.array([1, 1, 0]), np.array([7, 4, 3]))
    past = y[1:7]
    assert x.shape == (3, 3, 3) and lengths.tolist() == [3, 2, 2] and (x[:, :, 2] == 0).all()
    assert np.isclose(mean[0], past.mean()) and np.isclose(scale[0], past.std())
    assert np.allclose(x[0, :, :2].ravel(), (past - past.mean()) / past.std())
    assert np.allclose(base[0], ((y[[5, 6]]) - past.mean()) / past.std())
    assert np.isclose(mean[1], y[:4].mean()) and (x[1, 2] == 0).all()
    z = (np.arange(3) - 1) / np.std(np.arange(3))
    assert np.allclose(x[2, :2, :2].ravel(), [0, *z])  # a part of a patch before the series
    lagged = made.windows.lagged(np.array([1]), np.array([3]), np.array([0.0]), np.array([1.0]))[0]
    assert lagged.tolist() == [[1, 0], [3, 0]]  # 2 rows before; 4 rows are not there
    batch = made.batch(np.array([0]))
    j, origin = made._places(np.array([0]))
    _, base, mean, scale, _ = made.windows.inputs(j, origin)
    expected = (made.windows.ahead(j, origin) - mean[:, None]) / scale[:, None] - base
    assert np.allclose(batch.target, expected)
    assert np.allclose(batch.weights, np.minimum(scale / made.windows.scale[j], 5))


def test_a_flat_window_has_a_twentieth_of_the_scale_and_far_targets_are_cut():
    y = np.append(np.full(20, 5.0), [1e3, 5, 1e3, 5, 1e3, 5, 5, 5, 5])
    made = panel_task(y)
    _, _, mean, scale, _ = made.windows.inputs(np.array([0, 0]), np.array([8, 24]))
    assert np.isclose(scale[0], 0.05 * made.windows.scale[0]) and scale[1] > made.windows.scale[0]
    constant = panel_task(np.full(20, 5.0))
    assert np.isclose(constant.windows.inputs(np.array([0]), np.array([8]))[3][0], 5e-9)
    assert np.abs(made.batch(np.arange(made.parts["train"].max() + 1)).target).max() == 20


def test_logarithms_count_twice_and_are_of_positive_series():
    made = panel_task(np.arange(30.0), 1 + np.arange(30.0), log=True)
    assert made.windows.series.tolist() == [0, 1, 1] and made.windows.logs.tolist() == [False, False, True]
    assert made.windows.inputs(np.array([2]), np.array([20]))[0][0, 0, 2] == 1
    seen = windows.Windows(made.many, made.recipe())
    seen.forecasts = lambda models, j, origin: 10.0 * j[:, None] + origin[:, None] + np.zeros(2)
    first, second = windows.by_series(seen, [], [np.array([20, 22]), np.array([25])])
    assert first.tolist() == [[20, 20], [22, 22]] and np.allclose(second, [[(35 + 2 * 45) / 3] * 2])


# ---- closed forms ----


def test_simple_forms_are_the_last_value_the_mean_the_line_and_the_seasons():
    y = np.array([4.0, 1, 2, 3, 8, 6, 9])
    found = closed_forms._simple(y, 6, Season(2, (3,)), np.array([6, 7]), 3)
    assert np.allclose(found[0], [[6] * 3, [4] * 3, [6.4, 6.8, 7.2], [8, 6, 8], [3, 8, 6], [5.5, 7, 7]])
    assert np.allclose(found[1][2], [9 + 5 / 6, 9 + 10 / 6, 9 + 15 / 6])
    assert closed_forms._simple(y, 2, Season(2, (3,)), np.array([6]), 3).shape == (1, 4, 3)  # one season fits
    assert closed_forms._simple(y, 1, Season(2, (3,)), np.array([6]), 3).shape == (1, 3, 3)


@pytest.mark.parametrize(("zeros", "forms"), [(5, 3), (6, 4)])
def test_more_than_a_quarter_of_zeros_bring_a_form_for_counts(zeros, forms):
    y = np.append(np.zeros(zeros), np.ones(20 - zeros))
    assert closed_forms._simple(y, 20, Season(), np.array([20]), 1).shape[1] == forms
    assert closed_forms._simple(y - 1, 20, Season(), np.array([20]), 1).shape[1] == 3  # negative: no counts


def test_the_form_for_counts_is_that_of_teunter_syntetos_and_babai():
    p, z = 0.5, 3.0  # shares and sizes of the whole; then a row at a time
    for value in (0.0, 2.0, 4.0, 0.0):
        p, z = p + 0.1 * ((value > 0) - p), z + 0.1 * (value - z) * (value > 0)
    assert np.isclose(closed_forms._tsb(np.array([0.0, 2, 4, 0])), p * z) and closed_forms._tsb(np.zeros(3)) == 0


def test_shares_of_closed_forms_are_errors_to_the_minus_fourth_without_the_origin():
    actual = np.zeros((2, 3))
    past = np.stack([np.stack([actual[0] + 1, actual[0] + 2]), np.stack([actual[0] + 2, actual[0] - 1])])
    found = Forms(past, np.array([[1.0], [3.0]]), actual)
    assert np.allclose(found.shares(), [0.5, 0.5]) and np.allclose(found.shares(1), [16 / 17, 1 / 17])
    rolled, ahead = found.combined()
    assert np.allclose(rolled[0], (33 / 17 + 2) / 2)  # the first origin with the second's shares, and their median
    assert np.allclose(ahead, 2)
    one = Forms(past[:1], found.ahead, actual[:1])
    assert np.allclose(one.shares(0), [16 / 17, 1 / 17])  # a single origin is not left out
    assert np.allclose(Forms(past[:0], found.ahead, actual[:0]).shares(), [0.5, 0.5])
    exact = Forms(past * np.array([0, 1])[:, None], found.ahead, actual)
    assert exact.shares().tolist() == [1, 0]


def test_more_forms_of_a_short_series_and_of_a_positive_one():
    rng = np.random.default_rng(0)
    y = rng.normal(size=400) + np.tile(rng.normal(size=4), 100)

    def count(y):
        return closed_forms.forms(y, Season(4), np.array([len(y)])[:0], 2, 2).ahead.shape[0]

    simple = 4
    regressions = 4 * 2  # orders 1, 3, 4, 9, with and without slots
    assert count(y) == simple + regressions and count(y[:399]) == simple + 2 * regressions
    assert count(y - y.min() + 1) == simple + 2 * regressions and count(np.full(50, 3.0)) == simple


# ---- combination and intervals ----


def test_errors_of_a_series_are_in_units_of_its_scale_and_far_ones_are_cut():
    actual = np.array([[0.0, np.nan], [np.nan, np.nan], [1.0, 1.0]])
    part = Parts(np.stack([np.full((3, 2), 3.0), np.full((3, 2), 1.0)]), np.zeros((2, 2)), actual, 2.0)
    assert np.allclose(part.errors, [[1.5, np.nan, 1], [0.5, np.nan, 0]], equal_nan=True)
    far = part._replace(past=part.past + 100)
    empty = part._replace(past=part.past[:, :0], actual=actual[:0])
    assert np.allclose(combination.typical([part, empty]), [1.25, 0.25])
    assert np.allclose(combination.typical([part, far]), [(1.25 + 5) / 2, (0.25 + 5) / 2])
    assert combination.typical([empty]).tolist() == [1, 1] and combination.mean_error([empty], None) == 1


def test_the_spread_is_the_mean_error_shrunk_by_half_an_origin():
    actual = np.zeros((2, 3))
    past = np.stack([actual, actual])
    past[:, 0], past[:, 1] = 2.0, 4.0  # both forecasts alike, so any shares
    part, known = Parts(past, np.zeros((2, 3)), actual, 2.0), Errors(np.ones(2), 1.5)
    assert np.isclose(combination.spread(part, known), 2 * (1 + 2 + 0.5 * 1.5) / 2.5)
    assert np.isclose(combination.spread(part, known, 0), 2 * (2 + 0.5 * 1.5) / 1.5)
    assert np.isclose(combination.mean_error([part], known), 1.5)
    assert np.isclose(combination.mean_error([part, part._replace(past=past + 100)], known), (1.5 + 5) / 2)
    assert np.isclose(combination.unseen(part), np.sqrt(1.5))
    assert np.isclose(combination.shares(part._replace(past=past * 0), Errors(np.array([1.0, 2])))[0], 0.8)


def test_quantiles_have_the_conformal_level_and_few_errors_take_the_steps_around():
    e = np.arange(1.0, 100)
    found = combination._of_sample(e)
    assert np.isclose(found[LEVELS.tolist().index(0.05)], 5) and found[-1] == 99 and found[0] == 1
    rng = np.random.default_rng(0)
    for origins, alike in ((200, False), (199, True)):
        actual = rng.normal(size=(origins, 3)) * [1, 1, 50]
        parts = [Parts(np.zeros((2, 1, 3)), np.zeros((2, 3)), one[None], 1.0) for one in actual]
        table = combination.quantiles(parts, Errors(np.ones(2)))
        assert (table[-1, 1] > 0.5 * table[-1, 2]) == alike and table[-1, 0] < 0.1 * table[-1, 2]
    assert (combination.quantiles([parts[0]._replace(past=np.zeros((2, 0, 3)), actual=actual[:0])], None) == 0).all()


def test_beyond_the_horizon_an_interval_grows_with_the_root_of_the_step():
    table = np.stack([LEVELS, 2 * LEVELS], axis=1)
    assert np.allclose(combination.offsets(table, 0.9, 4), [0.9, 1.8, 1.8 * np.sqrt(1.5), 1.8 * np.sqrt(2)])
    assert np.allclose(combination.offsets(table, 0.9, 1), [0.9])


# ---- scores ----


def test_scores_are_those_of_their_formulas():
    past, y, f = np.array([1.0, 2, 4, 2]), np.array([4.0, np.nan, 0.0]), np.array([6.0, 9.0, 0.0])
    bounds = {p: (f - 3 * p, f + 3 * p) for p in (0.9, 0.8, 0.6, 0.4, 0.2)}
    found = scores._scores(y, f, past, 2, bounds, 0.9)
    e = np.array([-2.0, 0.0])
    assert np.isclose(found["mase"], 1 / 1.5) and np.isclose(found["rmsse"], np.sqrt(2 / 4.5))
    assert np.isclose(found["smape"], np.mean([200 * 2 / 10, 0])) and found["coverage"] == 1
    quantiles = [(0.5, 0.0)] + [(0.5 + s * p / 2, 3 * s * p) for p in (0.8, 0.6, 0.4, 0.2) for s in (-1, 1)]
    losses = [np.maximum(tau * (e - q), (tau - 1) * (e - q)).sum() for tau, q in quantiles]
    assert np.isclose(found["wql"], 2 * np.mean(losses) / 4)
    narrow = {p: (f - 0.1, f + 0.1) for p in bounds}
    assert scores._scores(y, f, past, 2, narrow, 0.9)["coverage"] == 0.5
    assert scores._scores(y, f, past[:2], 2, {}, 0.9)["mase"] == 1  # too short for a season: the last step
    unknown = scores._scores(y, f, np.ones(4), 2, {}, 0.9)
    assert unknown["mase"] is unknown["rmsse"] is unknown["coverage"] is None and unknown["smape"] > 0
    assert set(scores._scores(y * np.nan, f, past, 2, bounds, 0.9).values()) == {None}
    assert scores._scores(np.zeros(3), f, past, 2, {}, 0.9)["wql"] is None
    assert scores.means([found, unknown])["mase"] == found["mase"]
