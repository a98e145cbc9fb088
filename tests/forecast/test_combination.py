"""The base as a combination: what is tried, how it is weighed, and that it reads whatever one linear base reads."""

import json

import numpy as np
import pytest

from npseq import data
from npseq.data import DataError
from npseq.forecast import ForecastStream, ForecastTask, baselines, candidates, combination
from npseq.forecast.base_model import BaseModel, Combination, Log, base_from_json, shown
from npseq.forecast.bases import describe
from npseq.forecast.calendar_slots import YEAR, Slots, Waves
from npseq.nn.model import Model
from npseq.tasks.scoring import outputs

MONTHS = np.arange("2000-01", "2060-01", dtype="datetime64[M]").astype("datetime64[s]")
DAYS = np.arange("2015-01-01", "2022-01-01", dtype="datetime64[D]").astype("datetime64[s]")


def monthly(values):
    return data.Table("m", np.asarray(values, float)[:, None], ["y"], irregular=MONTHS[: len(values)])


def daily(values, names=("y",)):
    values = np.asarray(values, float).reshape(len(values), -1)
    return data.Table("d", values, list(names), step=86_400, start=DAYS[0])


def growing(n=150, seed=0, noise=0.03):
    """A season that grows with the level: its logarithm is a line and a season."""
    t = np.arange(n)
    return np.exp(3 + 0.012 * t + 0.3 * np.sin(2 * np.pi * t / 12) + np.random.default_rng(seed).normal(0, noise, n))


def far(table, base="auto", steps=12, **options):
    """RMSE of the base fed back ``steps`` rows, from all origins of the test part."""
    task = ForecastTask(table, window=4, base=base, **options)
    n = len(table.values)
    rows = np.arange(int(0.85 * n), n - steps + 1)
    found = task.target_scaler.to_units(task.base_ahead(rows, steps))[:, :, 0]
    return float(np.sqrt(((found - table.values[rows[:, None] + np.arange(steps), 0]) ** 2).mean())), task


# ---- closed forms ----


def test_a_regression_of_differences_is_the_recursion_of_differences():
    rng = np.random.default_rng(0)
    z, u = rng.normal(size=200).cumsum(), rng.normal(size=(210, 1))
    series = candidates.Series(z, known=u[:200])
    [(_, model)] = candidates.regressions(series, [candidates.Design(2, candidates.Terms(), False, True, 0.1)])
    found = model.forecasts(z, model.drive_at(None, 210, u), np.array([150]), 6)[0]
    change, before = np.diff(z)[:149], list(z[:150])
    phi = np.array([model.weights[0] - 1, -model.weights[2]])
    assert np.isclose(model.weights[1], phi[1] - phi[0]) and model.known.shape == (1,)
    for step in range(6):
        du = u[150 + step, 0] - u[149 + step, 0]
        change = np.append(change, model.intercepts[0] + phi @ change[-1:-3:-1] + model.known[0] * du)
        before.append(before[-1] + change[-1])
    assert np.allclose(found, before[150:], rtol=1e-10)


def test_of_many_rows_smaller_regressions_are_parts_of_the_largest(monkeypatch):
    rng = np.random.default_rng(0)
    series = candidates.Series(rng.normal(size=300), times=DAYS[:300], known=rng.normal(size=(300, 1)))
    week, month, wave = Slots("clock", 7, 86_400), Slots("month", 12), (Waves(YEAR, 2),)
    terms = [candidates.Terms(*each) for each in [(week, wave), (week,), (Slots(),), (month,)]]
    asked = [candidates.Design(p, each, False, d, 0.5) for p in (5, 2) for each in terms for d in (False, True)]
    calls, whole = [], candidates.linear.equations
    monkeypatch.setattr(candidates.linear, "equations", lambda *given: calls.append(given) or whole(*given))
    alone = dict(candidates.regressions(series, asked))
    assert len(calls) == len(asked)
    monkeypatch.setattr(candidates, "MANY", 299)
    shared = dict(candidates.regressions(series, asked))
    assert len(calls) == len(asked) + 4  # for each kind of slots, with and without differences
    for design, model in shared.items():  # of smaller orders over three rows less
        for name in ("weights", "intercepts", "known", "of_waves"):
            ours, others = getattr(model, name), getattr(alone[design], name)
            assert np.allclose(ours, others, atol=1e-12 if design.order == 5 else 0.1), (design, name)


def test_a_combination_is_the_mean_of_parts_that_are_fed_back_by_themselves():
    z, rows = np.random.default_rng(1).normal(size=80), np.array([30, 80])
    log = Log(10.0, 2.0, np.log(2.0), np.log(30.0))
    parts = BaseModel("linear", np.array([0.5, 0.2]), np.array([0.3])), BaseModel("drift", np.ones(1), np.array([0.01]), log=log)  # fmt: skip
    both = Combination(parts, np.array([0.75, 0.25]), 9)
    found = both.forecasts(z, both.drive_at(None, 90), rows, 5)
    first, second = (part.forecasts(z, part.drive_at(None, 90), rows, 5) for part in parts)
    assert np.allclose(found, 0.75 * first + 0.25 * second, rtol=1e-12)
    assert np.allclose(10 + 2 * second[0], (10 + 2 * z[29]) * np.exp(0.01 * np.arange(1, 6)))


def test_waves_are_added_to_the_drive():
    wave = (Waves(YEAR, 1),)
    model = BaseModel("linear", np.zeros(0), np.array([2.0]), waves=wave, of_waves=np.array([3.0, -1.0]))
    expected = 2 + Waves.all_of(wave, DAYS[:4]) @ [3.0, -1.0]
    assert np.allclose(model.drive_at(DAYS[:4], 4), expected) and np.ptp(expected) > 0.01
    assert np.allclose(model.drive_at(DAYS[:4], 6)[4:], expected[3])


def test_the_waves_of_a_year_return_after_365_and_a_quarter_days():
    q = Waves.all_of((Waves(YEAR, 2),), DAYS[[0, 1461, 731]])
    assert np.allclose(q[0], q[1]) and not np.allclose(q[0], q[2], atol=1e-3)
    assert np.allclose(q[:, :2] ** 2 + q[:, 2:] ** 2, 1)


@pytest.mark.parametrize(
    "rows, lengths, slots, waves",
    [
        (729, [7], {"one", "clock"}, False),
        (731, [7], {"one", "clock"}, True),
        (1095, [7, 365], {"one", "clock"}, True),
        (13, [], {"one"}, False),
    ],
)
def test_a_season_is_looked_at_from_two_periods_on(rows, lengths, slots, waves):
    found = candidates.seasons(daily(np.zeros(rows)), None, rows)
    assert found.lengths == (lengths if rows > 13 else []) and {each.slots.kind for each in found.terms} == slots
    assert any(each.waves for each in found.terms) == waves


def test_waves_are_beside_no_slots_and_those_of_the_longest_season():
    hours = data.Table("h", np.zeros((17_600, 1)), ["y"], step=3600, start=DAYS[0])
    found = candidates.seasons(hours, None, 17_600)
    assert [(each.slots.count, len(each.waves)) for each in found.terms] == [
        (1, 0),
        (24, 0),
        (168, 0),
        (1, 1),
        (168, 1),
    ]


def test_long_seasons_without_a_slot_for_each_row_are_waves():
    minutes = data.Table("m", np.zeros((30_000, 1)), ["y"], step=60, start=DAYS[0])
    found = candidates.seasons(minutes, None, 30_000)
    assert found.lengths == [] and [each.seconds for each in found.terms[-1].waves] == [86_400, 604_800]


# ---- the choice ----


def errors_of(one, several, overlap=1.0, n=100):
    return combination.Errors(np.zeros(n) + one, np.zeros(n) + several, overlap)


def test_weights_are_the_inverse_fourth_power_of_the_error_and_penalties_count_once():
    design = candidates.Design(3, candidates.Terms())
    errors = {
        design: errors_of(4, 4),
        design._replace(penalty=3.0): errors_of(4, 4.1),
        ("seasonal",): errors_of(16, 16),
    }
    assert combination._combined(errors, None, 8) == [(design, 16 / 17), (("seasonal",), 1 / 17)]
    assert combination._combined(errors, None, 1) == [(design, 1.0)]
    assert combination._combined({**errors, ("seasonal", 2): errors_of(0, 0)}, None, 8) == [(("seasonal", 2), 1.0)]
    assert np.isclose(errors_of(1, 9).size, 3.0)
    still = np.where(np.arange(24) < 16, 99.0, 0.0)  # a series that has stopped
    assert combination._combined({**errors, ("seasonal", 3): errors_of(still, 99, n=24)}, None, 8) == [
        (("seasonal", 3), 1.0)
    ]
    assert len(combination._combined({**errors, ("seasonal", 3): errors_of(still[3:], 99, n=21)}, None, 8)) == 3


@pytest.mark.parametrize("gain, taken", [(0.9, False), (1.1, True)])
def test_what_is_better_by_less_than_a_standard_error_does_not_count(gain, taken):
    noise = np.random.default_rng(0).normal(size=100)
    better = 50 + (noise - noise.mean()) / noise.std() - gain / 10
    prior, other = (candidates.Design(p, candidates.Terms()) for p in (168, 24))

    def chosen(simple, one, several, overlap=1.0):
        errors = {simple: errors_of(50, 50, overlap), other: errors_of(one, several, overlap)}
        return dict(combination._combined(errors, simple if simple is prior else None, 4))

    def is_taken(*given):
        return other in chosen(*given)

    assert is_taken(prior, 50, better) == taken and not is_taken(prior, better, 50)
    assert is_taken(("seasonal",), better, 50)
    for simple, errors in ((("last",), (better - 0.05, 50)), (("mean",), (50, better - 0.05))):  # 1.4 and 1.6
        assert is_taken(simple, *errors) == taken
        if taken:
            alone = chosen(("seasonal",), *errors)[other]
            assert np.isclose(chosen(simple, *errors)[other], 0.1 * alone, rtol=1e-6)
            assert np.isclose(sum(chosen(simple, *errors).values()), 1.0)
            less = [each - 0.1 if each is errors[1 - (simple == ("last",))] else each for each in errors]  # 2.6
            assert np.isclose(chosen(simple, *less)[other], chosen(("seasonal",), *less)[other])
    for one, clear in ((34.9, True), (35.1, False)):  # 0.7 of 50
        unsure = one + (better - better.mean()) * (50 - one) / 0.12  # 1.2 standard errors
        assert is_taken(("last",), unsure, 50) == clear
    assert not is_taken(prior, 50, better, 4)  # of origins side by side, errors four steps ahead count for a fourth
    assert not is_taken(prior, 50, 1.0, 13) and is_taken(prior, 50, 1.0, 12)  # of 100 / 13 nothing can be said


@pytest.mark.parametrize("gain, penalty", [(0.9, 0.1), (1.1, 3.0)])
def test_a_larger_penalty_of_a_whole_season_must_be_better_by_a_standard_error(gain, penalty):
    noise = np.random.default_rng(0).normal(size=100)
    better = 50 + (noise - noise.mean()) / noise.std() - gain / 10
    week = candidates.Design(168, candidates.Terms(Slots("clock", 168, 3600)))
    larger, logs, short = week._replace(penalty=3.0), week._replace(log=True), week._replace(order=24)
    errors = {("last",): errors_of(1, 1), larger: errors_of(50, better), week: errors_of(50, 50)}
    errors |= {logs: errors_of(1, 1), short: errors_of(1, 1)}
    assert combination._prior(errors, 168) == week._replace(penalty=penalty)
    plain = week._replace(terms=candidates.Terms())
    assert combination._prior({**errors, plain: errors_of(40, 40)}, 168) == plain
    assert combination._prior(errors, 336) is None


@pytest.mark.wide
def test_what_wins_by_chance_on_a_random_walk_is_not_taken():
    lost = 0
    for seed in [*range(10), *range(240, 250)]:
        walk = 100 + np.random.default_rng(seed).normal(size=150).cumsum()
        error, task = far(data.Table("w", walk[:, None], ["y"]))
        rows = np.arange(127, 139)
        last = walk[rows[:, None] + np.arange(12)] - walk[rows - 1, None]
        lost += error > 1.05 * np.sqrt((last**2).mean())
    assert lost <= 1


def test_a_line_is_taken_alone_only_where_the_last_value_is_not():
    noise = np.random.default_rng(0).normal(size=100)
    worse = 50.2 + (noise - noise.mean()) / noise.std()
    best, line, last = candidates.Design(24, candidates.Terms()), ("drift", 1), ("last", 1)
    errors = {best: errors_of(worse, 40, 50), line: errors_of(50, 50, 50), last: errors_of(53, 51, 50)}
    assert combination._combined(errors, None, 8) == [(line, 1.0)]
    assert combination._combined({**errors, last: errors_of(worse, 51, 50)}, None, 8) == [(last, 1.0)]


@pytest.mark.wide
@pytest.mark.parametrize("height, slots", [(0, 1), (20, 168)])
def test_slots_of_a_long_season_are_kept_only_if_they_help(height, slots):
    t, rng = np.arange(4000), np.random.default_rng(2)
    values = 100 + 0.05 * t + 10 * np.sin(np.pi * t / 12) + 3 * rng.normal(size=4000)
    values += height * rng.normal(size=168)[t % 168]
    part = ForecastTask(
        data.Table("h", values[:, None], ["y"], step=3600, start=DAYS[0]), window=4, base="auto"
    ).base.parts[0]
    assert [(each.order, each.slots.count) for _, each in part.members] == [(168, slots)]


def test_a_growing_season_is_forecast_by_its_logarithm():
    auto, task = far(monthly(growing()))
    without, _ = far(monthly(growing()), log="no")
    assert auto < 0.9 * without
    assert sum(share for share, part in task.base.parts[0].members if part.log) > 0.7
    _, logs = far(monthly(growing()), log="yes")
    assert all(part.log for _, part in logs.base.parts[0].members)
    with pytest.raises(DataError, match="of the logarithm"):
        far(monthly(growing() - 100), log="yes")


def test_the_line_says_what_was_chosen():
    task = ForecastTask(monthly(growing()), window=4, base="auto")
    [line] = describe(task.base, ["y"])
    part = task.base.parts[0]
    assert line.startswith(f"base        y: {len(part.parts)} of {part.tried}, log: AR(") and line.endswith(", …")
    assert "month" in " ".join(shown(part))
    quarters = data.Table("q", growing(80)[:, None], ["y"], irregular=MONTHS[::3][:80])
    assert "quarter" in " ".join(shown(ForecastTask(quarters, window=4, base="auto").base.parts[0]))


# ---- it reads what one linear base reads ----


def kinds():
    rng = np.random.default_rng(7)
    t = np.arange(900)
    price, holiday = rng.normal(size=900), (rng.random(900) < 0.05).astype(float)
    y = 50 + 8 * np.sin(2 * np.pi * t / 7) + 15 * np.sin(2 * np.pi * t / 365.25) - 3 * price + 9 * holiday
    y = y + rng.normal(0, 2, 900)
    gaps = daily(y)
    gaps.filled = (rng.random(900) < 0.1)[:, None]
    gaps.filled[:60] = False
    gaps.values = np.where(gaps.filled, 1e6, gaps.values)
    return {
        "known ahead": (daily(np.stack([y, price, holiday], axis=1), ["y", "price", "holiday"]), {"future": ["price", "holiday"]}),
        "a horizon": (daily(y), {"horizon": 5}),
        "two targets": (daily(np.stack([y, y[::-1]], axis=1), ["y", "z"]), {"target": ["y", "z"]}),
        "gaps": (gaps, {}),
        "no times": (data.Table("n", y[:, None], ["y"]), {}),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "known ahead",
        "a horizon",
        *(pytest.param(name, marks=pytest.mark.wide) for name in ("two targets", "gaps")),
        "no times",
    ],
)
def test_the_combination_is_no_worse_than_one_linear_base(name):
    table, options = kinds()[name]
    errors = []
    for base in ("linear", "auto"):
        task = ForecastTask(table, window=4, base=base, **options)
        rows = task.parts["test"]
        errors.append(task.metrics(task.base_forecast(rows), rows))
        if base == "auto" and "future" in options:
            linear = [part for _, part in task.base.parts[0].members if part.kind == "linear"]
            assert linear and all(part.known.shape == (2,) for part in linear)
    one, both = (error["rmse"] if "rmse" in error else error["targets"]["y"]["rmse"] for error in errors)
    assert both <= 1.01 * one


@pytest.mark.wide
def test_a_file_keeps_the_combination_and_a_stream_gives_what_windows_give():
    table, _ = kinds()["gaps"]
    table.values = np.where(table.filled, 1e6, np.exp(table.values / 30 * ~table.filled))
    task = ForecastTask(table, window=4, base="auto", horizon=2)
    part = task.base.parts[0]
    assert isinstance(part, Combination) and any(each.log for each in part.parts)
    again = base_from_json(json.loads(json.dumps(part.to_json())))
    z, rows = np.random.default_rng(0).normal(size=800), np.array([700])
    assert again.tried == part.tried
    assert np.allclose(
        again.forecasts(z, again.drive_at(DAYS[:810], 810), rows, 9), part.forecasts(z, part.drive_at(DAYS[:810], 810), rows, 9),
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip
    model = Model("gru", task.input_size, 3, task.output_size, rng=0, dtype=np.float64, scaling=task.scaling())
    stream, expected = ForecastStream(model, task.recipe()), outputs(model, task, np.arange(task.first, 901))
    for row, (value, filled) in enumerate(zip(table.values[:, 0], table.filled[:, 0]), 1):
        found = stream.step([np.nan if filled else value], table.times[row - 1])
        if found is not None:
            assert np.allclose(found[:, 0], expected[row - task.first], rtol=1e-8)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda base: base.update(shares=[0.5]), "shares"),
        (lambda base: base.update(parts=[]), "parts"),
        (lambda base: base["parts"][0].update(log=[0.0, -1.0, 0.0, 1.0]), "log"),
        (lambda base: base["parts"][0].update(waves=[[0.0, 2]]), "waves"),
        (lambda base: base["parts"][0].update(waves=[[5.0, 2]]), "of_waves"),
    ],
)
def test_an_invalid_combination_is_refused(change, words):
    parts = BaseModel("mean", np.zeros(0), np.zeros(1)), BaseModel("last", np.ones(1), np.zeros(1))
    mapping = Combination(parts, np.array([0.5, 0.5]), 3).to_json()
    change(mapping)
    with pytest.raises(ValueError, match=words):
        base_from_json(mapping)


@pytest.mark.wide
def test_slots_are_those_of_the_fitted_table_and_baselines_keep_their_orders():
    t = np.arange(1200)
    hours = data.Table("h", (50 + 9 * np.sin(t * np.pi / 12) + np.random.default_rng(0).normal(size=1200))[:, None], ["y"],
                       step=3600, start=DAYS[0])  # fmt: skip
    task = ForecastTask(hours, window=4, base="linear")
    found = baselines.fit(task, 840, 1020, 24)
    assert found["ar_slot"][0].slots in (Slots("clock", 24, 3600), Slots("clock", 168, 3600))
    assert found["ar"][0].slots == Slots()
