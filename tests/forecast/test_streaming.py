"""A forecaster streamed row by row gives what it gives for windows: every calendar, lag, horizon and missing value."""

import numpy as np
import pytest

from npseq import data, forecast
from npseq.data.table import Table
from npseq.forecast import ForecastStream
from npseq.forecast.ensemble import Ensemble
from npseq.forecast.interval_scale import LEVELS, Width
from npseq.forecast.metadata import ForecastMetadata
from npseq.gradcheck import relative_error
from npseq.nn.model import Model
from npseq.nn.scaling import Scaler
from npseq.tasks.scoring import outputs

HOUR = np.timedelta64(3600, "s")
START = np.datetime64("2024-03-01T05", "s")
CASES = [
    dict(target=["a"], window=4),
    dict(target=["a"], window=1, lags=[1]),
    dict(target=["b", "a"], inputs=["c"], window=5, horizon=3, lags=[7, 3, 24]),
    dict(target=["c"], inputs=["a"], window=3, horizon=2, calendar=False),
]


def table_of(values, start=START):
    table = Table("made", np.array(values, float), ["a", "b", "c"], all_columns=["a", "b", "c"])
    table.step, table.start = 3600, start
    return table


def drawn(n=60):
    return np.random.default_rng(0).normal(100, 20, (n, 3))


def made(options, dtype=np.float64, kind="lstm", **more):
    """A model, and the windows of a table that it could have been trained on."""
    windows = forecast.WindowDataset(table_of(drawn()), scaler=None, **options)
    windows.scaler = Scaler.fit(windows.values)
    model = Model(kind, windows.input_size, 5, windows.output_size, dtype=dtype, rng=0, **more)
    recipe = forecast.recipe.ForecastRecipe(
        data="made",
        target=windows.target_columns,
        inputs=windows.input_columns,
        future=windows.future_columns,
        window=windows.window,
        horizon=windows.horizon,
        lags=list(windows.lags),
        scale="standard",
        step=3600,
        calendar=windows.calendar,
        scaler=windows.scaler,
    )
    return model, windows, recipe


def rows_of(windows):
    return zip(windows.values, windows.table.times)


@pytest.mark.parametrize(
    ("options", "last"),
    [({}, 60), ({"horizon": 3}, 62), ({"future": ["b"]}, 59), ({"future": ["b"], "horizon": 3}, 59)],
)
def test_every_row_is_forecast_and_the_one_after_the_end_unless_columns_are_known_ahead(options, last):
    model, windows, recipe = made({"target": ["a"], "window": 4, **options})
    found = Ensemble([(model, ForecastMetadata(recipe))], windows.table).predict()
    h = windows.horizon
    assert (found.rows[0], found.rows[-1]) == (4, last) and found.after is None
    assert found.ahead.tolist() == [*range(1, h + 1)] * (last - h + 1 - 3)
    assert np.allclose(found.values[0], outputs(model, windows, np.array([4]))[0, 0])


@pytest.mark.parametrize("kind", ["state", "recent", "product", "constant"])
@pytest.mark.parametrize("fitted", [0, 40])
def test_the_interval_of_each_row_is_that_of_the_table(kind, fitted):
    """The scale and the level follow the errors of the rows after the first ``fitted``."""
    model, windows, recipe = made(CASES[2])
    rng, steps = np.random.default_rng(1), 3 * 2
    width = Width(
        rng.normal(size=(steps, 5)), rng.normal(size=steps), np.outer(LEVELS - 0.4, 1 + rng.random(steps)),
        np.zeros(steps), np.ones(steps), np.array([70] * steps), 7, np.array([0.5, 2.0]), np.array([95.0, np.nan]),
        kinds=(kind, kind), resting=np.zeros(2),
    )  # fmt: skip
    kept = ForecastMetadata(recipe, width=width, residual_quantiles=np.zeros((3, steps)))
    ensemble = Ensemble([(model, kept)], windows.table, 0.8)
    ensemble._since = [fitted]
    rows = np.arange(windows.first, len(windows.values) + 1)
    found = ensemble.direct(rows)
    stream = ForecastStream(model, recipe, width, str(windows.table.times[fitted - 1]) if fitted else None)
    for values, time in rows_of(windows):
        forecast = stream.step(values, time)
        assert np.isfinite(stream.bounds(0.8)).all() == (stream.seen >= windows.first)
        if stream.seen >= windows.first:
            k = stream.seen - windows.first
            assert np.allclose(forecast, found.values[k]) and np.allclose(
                stream.bounds(0.8)[0], found.bounds[k, ..., 0]
            )
            assert np.allclose(stream.bounds(0.8)[1], found.bounds[k, ..., 1])
    assert found.values[..., 0].min() == 95


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_each_row_gives_what_its_window_gives(options, kind):
    model, windows, recipe = made(options, kind=kind)
    stream = ForecastStream(model, recipe)
    n = len(windows.values)
    expected = outputs(model, windows, np.arange(windows.first, n + 1)).reshape(-1, windows.horizon, len(recipe.target))
    found = [stream.step(values, time) for values, time in rows_of(windows)]
    assert all(y is None for y in found[: windows.first - 1])
    assert relative_error(np.array(found[windows.first - 1 :]), expected) <= 1e-13
    assert stream.seen == n and stream.next_time == windows.table.times[-1] + HOUR


def test_streamed_over_the_test_part_the_error_is_that_of_evaluate(small_csv):
    task = forecast.ForecastTask(data.load(small_csv), window=12, horizon=2, lags=[24])
    model = Model("optimized_gru", task.input_size, 8, task.output_size, rng=0)
    stream = ForecastStream(model, task.recipe())
    forecasts = [stream.step(values, time) for values, time in zip(task.values, task.table.times)]
    rows = task.parts["test"]
    streamed = task.metrics(np.array([forecasts[row - 1].reshape(-1) for row in rows]), rows)
    whole = task.metrics(outputs(model, task, rows), rows)
    for name in ("rmse", "mae"):
        assert f"{streamed[name]:.6g}" == f"{whole[name]:.6g}"


def test_missing_times_and_values_are_filled_as_predict_fills_them():
    model, windows, recipe = made(CASES[2])
    values, times = windows.values.copy(), windows.table.times
    gone = [20, 21, 30]
    values[25, 1] = values[41, 0] = np.nan
    stream, found = ForecastStream(model, recipe), {}
    for row in range(60):
        if row not in gone:
            found[row] = stream.step(values[row], times[row])
            assert stream.inserted == {22: 2, 31: 1}.get(row, 0)
    filled = values.copy()
    for row in range(1, 60):
        absent, new = np.full(3, True) if row in gone else np.isnan(filled[row]), filled[row - 1].copy()
        if row > 24:  # targets by the season, which is the longest lag
            new[:2] = filled[row - 24, :2] + 0.7 * (filled[row - 1, :2] - filled[row - 25, :2])
        filled[row, absent] = new[absent]
    order = [recipe.target.index("a"), recipe.target.index("b"), 2]
    same = forecast.WindowDataset.from_recipe(recipe, table_of(filled[:, order]))
    for row in range(windows.first - 1, 60):
        if row not in gone:
            assert relative_error(found[row].reshape(-1), outputs(model, same, np.array([row + 1]))[0]) <= 1e-13


def test_a_gap_longer_than_the_model_looks_back_is_refused_or_starts_again():
    model, windows, recipe = made(CASES[2])
    rows = list(rows_of(windows))
    stream, fresh = ForecastStream(model, recipe), ForecastStream(model, recipe)
    for row in rows[:45]:
        stream.step(*row)
    before = stream.state()
    first = rows[44][1] + (recipe.first + 2) * HOUR  # one row too many is missing
    with pytest.raises(ValueError, match=f"is {recipe.first + 2} rows after .*reset_on_gap=True"):
        stream.step(rows[45][0], first)
    with pytest.raises(ValueError, match="'b' is missing"):  # the first row of a new beginning is complete
        stream.step([np.nan, 1, 1], first, reset_on_gap=True)
    assert all(np.array_equal(part, before[name], equal_nan=True) for name, part in stream.state().items())
    assert stream.copy().step(rows[45][0], first - HOUR) is not None
    for k, (values, _) in enumerate(rows):
        y = stream.step(values, first + k * HOUR, reset_on_gap=True)
        expected = fresh.step(values, first + k * HOUR)
        assert (y is None) == (expected is None) and (y is None or np.array_equal(y, expected))
    for wrong in np.inf, -np.inf:
        with pytest.raises(ValueError, match="'b' is -?inf, too large"):
            stream.step([wrong, 1, 1], first + len(rows) * HOUR)


def test_states_copies_and_resets_go_on_exactly():
    model, windows, recipe = made(CASES[2], np.float32)
    rows = list(rows_of(windows))
    stream = ForecastStream(model, recipe)
    whole = [stream.step(*row) for row in rows]
    stream.reset()
    for row in rows[:40]:
        stream.step(*row)
    copied, restored = stream.copy(), ForecastStream(model, recipe)
    restored.restore(stream.state())
    for other in (stream, copied, restored):
        assert all(np.array_equal(other.step(*row), y) for row, y in zip(rows[40:], whole[40:]))
    for wrong in ({}, {**stream.state(), "past": np.zeros((3, 3))}, ForecastStream(*made(CASES[0])[::2]).state()):
        with pytest.raises(ValueError, match="of another model"):
            restored.restore(wrong)
    assert restored.seen == 60


def test_rows_are_taken_by_name_or_in_order_and_bad_ones_change_nothing():
    model, windows, recipe = made(CASES[2])
    rows = list(rows_of(windows))
    stream = ForecastStream(model, recipe)
    with pytest.raises(ValueError, match="'b' is missing, and there is no value before it"):
        stream.step([np.nan, 1, 1], START)
    for row in rows[:50]:
        stream.step(*row)
    values, time = rows[50]
    expected = stream.copy().step(values, time)
    before = stream.state()
    for wrong, when, message in [
        (values[:2], time, "a row of 2 values; 3 expected: b, a, c"),
        ({"a": 1, "b": 2}, time, "no 'c'"),
        ([1, "x", 2], time, "the row must hold real numbers; <U"),
        ([1, 1e200, 2], time, "'a' is 1e\\+200"),
        (values, None, "no time"),
        (values, "NaT", "missing"),
        (values, rows[49][1], "2024-03-03 06:00:00 does not follow"),
        (values, time + np.timedelta64(60, "s"), "not a multiple of 3,600 s"),
    ]:
        with pytest.raises(ValueError, match=message):
            stream.step(wrong, when)
    assert all(np.array_equal(part, before[name], equal_nan=True) for name, part in stream.state().items())
    named = dict(zip(stream.columns, values.tolist()))
    assert np.array_equal(stream.step(named, str(time)), expected)


def test_what_a_stream_cannot_know_is_refused_by_name():
    model, _, recipe = made(CASES[0])
    irregular = forecast.recipe.ForecastRecipe(**{**vars(recipe), "step": None})
    with pytest.raises(ValueError, match="irregular times"):
        ForecastStream(model, irregular)
    with pytest.raises(ValueError, match="made without width"):
        ForecastStream(model, recipe).bounds(0.9)
    with pytest.raises(ValueError, match="looks back over 1,000,000,000 rows"):
        ForecastStream(model, forecast.recipe.ForecastRecipe(**{**vars(recipe), "window": 10**9}))
    with pytest.raises(ValueError, match="bidirectional"):
        ForecastStream(made(CASES[0], bidirectional=True)[0], recipe)
    with pytest.raises(ValueError, match="6 inputs; its recipe needs 8"):
        ForecastStream(model, made(CASES[3])[2].__class__(**{**vars(recipe), "lags": [3, 5]}))


def test_of_irregular_times_a_row_far_ahead_is_refused():
    model, _, recipe = made(CASES[3])
    stream = ForecastStream(model, forecast.recipe.ForecastRecipe(**{**vars(recipe), "step": None}))
    for hours in (0, 1, 4, 6):  # the longest step is 3 hours
        stream.step([1.0, 2.0], START + hours * HOUR)
    far, before = START + (6 + 3 * recipe.first) * HOUR, stream.state()
    with pytest.raises(
        ValueError, match=f"is {recipe.first + 2} of the longest steps so far after .*reset_on_gap=True"
    ):
        stream.step([1.0, 2.0], far + 3 * HOUR + np.timedelta64(1, "s"))
    assert all(np.array_equal(part, before[name], equal_nan=True) for name, part in stream.state().items())
    other = stream.copy()
    other.restore(before)
    with pytest.raises(ValueError, match="longest steps"):
        other.step([1.0, 2.0], far + 4 * HOUR)
    stream.copy().step([1.0, 2.0], far + 3 * HOUR)
    stream.step([1.0, 2.0], far + 4 * HOUR, reset_on_gap=True)
    assert (stream.seen, stream.inserted) == (1, 0)
