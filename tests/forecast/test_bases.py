"""Base forecasts: how they are fitted, chosen and fed back, and that a model with a base predicts from x alone."""

import json
from dataclasses import replace

import numpy as np
import pytest

import npseq
from npseq import data
from npseq.data import DataError
from npseq.fit import fit
from npseq.forecast import ForecastStream, ForecastTask, WindowDataset, base_model, intervals, linear, recursive
from npseq.forecast.base_model import BaseModel, Log, base_from_json
from npseq.forecast.bases import BaseModels, describe
from npseq.forecast.calendar_slots import Slots, Waves, periods, row_times
from npseq.forecast.finish import finish
from npseq.nn.model import Model
from npseq.optim import Adam
from npseq.tasks.metadata import Metadata
from npseq.tasks.recipe import from_json
from npseq.tasks.scoring import outputs


def hourly(n=1500, columns=2, seed=0, noise=1.0):
    """A table with a rhythm of days and weeks, hour by hour."""
    rng = np.random.default_rng(seed)
    rows = np.arange(n)[:, None] + 3 * np.arange(columns)
    values = 50 + 10 * np.sin(2 * np.pi * rows / 24) + 5 * np.sin(2 * np.pi * rows / 168)
    return data.Table(
        "hourly",
        values + noise * rng.normal(size=(n, columns)),
        [f"x{k}" for k in range(columns)],
        step=3600,
        start=np.datetime64("2024-03-05T10", "s"),
    )


def with_gaps(table, share, seed=1):
    """The same table with a share of its cells missing, filled so that looking at them would be noticed."""
    table.filled = np.random.default_rng(seed).random(table.values.shape) < share
    table.filled[:200] = False
    table.values = np.where(table.filled, 1e6, table.values)
    return table


def model_of(task, kind="gru", seed=0, dtype=np.float64, **options):
    """A model whose head is not zero, so that its correction shows."""
    model = Model(kind, task.input_size, 4, task.output_size, rng=seed, dtype=dtype, scaling=task.scaling(), **options)
    model.fc.theta[...] = np.random.default_rng(seed).normal(0, 0.3, model.fc.theta.shape)
    return model


# ---- linear forecasts ----


@pytest.mark.parametrize("order, steps", [(1, 6), (4, 3), (3, 9), (0, 3)])
def test_forecasts_fed_back_are_those_of_a_loop(order, steps):
    rng = np.random.default_rng(order)
    z, drive = rng.normal(size=60), rng.normal(size=70)
    base = base_model.BaseModel("linear", rng.normal(0, 0.4, order), np.zeros(1))
    rows = np.array([order, 20, 60])
    found = base.forecasts(z, drive, rows, steps)
    for row, forecast in zip(rows, found):
        values = list(z[:row])
        for step in range(steps):
            past = sum(base.weights[k] * values[-1 - k] for k in range(order))
            values.append(past + drive[row + step])
        assert np.allclose(forecast, values[row:], rtol=1e-12)


@pytest.mark.parametrize("turning", [True, False])
def test_the_normal_equations_are_those_of_the_design_matrix_with_slots_known_values_and_gaps(turning):
    rng = np.random.default_rng(0)
    n, order, count = 400, 5, 7
    z, known, filled = rng.normal(size=n), rng.normal(size=(n, 2)), rng.random(n) < 0.2
    slots = np.arange(n) % count if turning else rng.integers(0, count, n)
    e = linear.equations(z, order, 1, slots, count, known, filled)
    rows = np.arange(order, n)
    rows = rows[~filled[rows]]
    x = np.concatenate([z[rows[:, None] - np.arange(1, order + 1)], np.eye(count)[slots[rows]], known[rows]], axis=1)
    assert e.count == len(rows)
    assert np.allclose(e.gram, x.T @ x, atol=1e-9) and np.allclose(e.right[:, 0], x.T @ z[rows], atol=1e-9)
    part = e.part(2, 1, 1)
    fewer = np.concatenate([x[:, :2], np.ones((len(rows), 1)), x[:, order + count : order + count + 1]], axis=1)
    assert np.allclose(part.gram, fewer.T @ fewer, atol=1e-9) and part[2:] == (len(rows), 2, 1)
    assert np.allclose(part.right[:, 0], fewer.T @ z[rows], atol=1e-9) and e.part(order, count) is e
    lagged, intercepts, c = linear.solve(e, 0.01)
    expected = np.linalg.solve(x.T @ x + 0.01 * len(rows) * np.eye(x.shape[1]), x.T @ z[rows])
    assert np.allclose(np.concatenate([lagged, intercepts, c])[:, 0], expected, rtol=1e-9)


@pytest.mark.parametrize(
    "kind, values",
    [
        ("last", lambda rng, n: np.cumsum(rng.normal(size=n))),
        ("mean", lambda rng, n: rng.normal(size=n)),
        ("drift", lambda rng, n: np.cumsum(5 + 0.1 * rng.normal(size=n))),
        ("seasonal", lambda rng, n: np.tile(rng.normal(size=24), n // 24 + 1)[:n] + 1e-3 * rng.normal(size=n)),
    ],
)
def test_the_base_that_made_the_series_or_one_as_good_is_chosen(kind, values):
    table = hourly(600, 1)
    table.values = values(np.random.default_rng(2), 600)[:, None]
    own, auto = (ForecastTask(table, base=which) for which in (kind, "auto"))
    errors = [task.metrics(task.base_forecast(rows), rows)["rmse"] for task in (own, auto)
              for rows in [own.parts["test"]]]  # fmt: skip
    assert own.base.parts[0].kind == kind and errors[1] <= 1.05 * errors[0]


def test_a_base_that_the_rows_do_not_allow_is_refused():
    with pytest.raises(DataError, match="a base 'seasonal'"):
        ForecastTask(data.Table("t", np.arange(80.0)[:, None], ["a"]), window=4, base="seasonal")
    with pytest.raises(DataError, match="one of auto"):
        ForecastTask(hourly(), base="best")


# ---- the calendar ----


def test_slots_and_times_after_the_end():
    table = hourly(50)
    times = row_times(table, 48, 53)
    assert np.array_equal(times, table.start + np.arange(48, 53) * np.timedelta64(3600, "s"))
    slots = Slots("clock", 168, 3600).of(times, 5)
    assert np.array_equal(np.diff(slots), np.ones(4)) and slots[0] == (24 + 10 + 48) % 168
    months = np.datetime64("2020-11-01", "s") + np.zeros(1, "timedelta64[s]")
    assert Slots("month", 12).of(months, 1)[0] == 10


@pytest.mark.parametrize(
    "step, expected",
    [(3600, {"day": 24, "week": 168}), (900, {"day": 96, "week": 672}), (86_400, {"week": 7, "year": 365}), (97, {})],
)
def test_the_periods_of_a_time_step(step, expected):
    table = hourly(50)
    table.step = step
    assert periods(table) == expected


def test_monthly_rows_have_a_year_of_twelve():
    months = np.arange("2010-01", "2022-01", dtype="datetime64[M]").astype("datetime64[s]")
    table = data.Table("m", np.zeros((144, 1)), ["a"], step=None, irregular=months)
    assert periods(table) == {"year": 12}


# ---- examples ----


@pytest.mark.wide
def test_an_example_holds_the_errors_and_forecasts_of_its_base():
    table = hourly()
    task = ForecastTask(table, target=["x1", "x0"], inputs=[], window=5, horizon=3, base="linear")
    z = task.scaler.standardise(table.values[:, [1, 0]])
    r = int(task.parts["test"][7])
    x, target, _ = task.batch(np.array([r]), np.float64)
    assert task.base.lags == (24,)  # a week is more than a twentieth of the training rows
    assert x.shape == (1, 5, 2 + 4 + 6 + 7) == (1, 5, task.input_size)
    for k, t in enumerate(range(r - 5, r)):
        for column, part in enumerate(task.base.parts):
            slots = part.slots.of(row_times(table, 0, 1510), 1510)
            ahead = part.forecasts(z[:, column], part.drive(slots), np.array([t, t + 1, t + 1 - 24]), 3)
            assert np.isclose(x[0, k, 2 + column], (z[t, column] - ahead[0, 0]) / task.base.spread[column])
            assert np.isclose(x[0, k, 4 + column], (z[t - 23, column] - ahead[2, 0]) / task.base.spread[column])
            assert np.allclose(x[0, k, 6 + column : 12 : 2], ahead[1])
            if t == r - 1:
                assert np.allclose(
                    target[0, column::2] * task.base.spread[column::2], z[r : r + 3, column] - ahead[1], atol=1e-12
                )
    assert np.allclose(task.to_units(target, np.array([r]))[0], table.values[r : r + 3, [1, 0]].ravel())


@pytest.mark.parametrize("horizon, targets", [(1, ["x0"]), pytest.param(3, ["x1", "x0"], marks=pytest.mark.wide)])
def test_predict_torch_and_the_onnx_graph_forecast_from_x_alone(tmp_path, horizon, targets):
    torch = pytest.importorskip("torch")
    task = ForecastTask(hourly(), target=targets, window=6, horizon=horizon, base="auto")
    model = model_of(task, dtype=np.float32)
    rows = task.parts["test"][:9]
    x, expected = task.windows(rows), outputs(model, task, rows)
    assert np.allclose(model.predict(x), expected, rtol=1e-6)
    assert np.allclose(model.predict(x[0]), expected[0], rtol=1e-6)
    npseq.save(tmp_path / "m.pth", model)
    again = npseq.load(tmp_path / "m.pth")
    assert np.array_equal(again.predict(x), model.predict(x))

    gru, head = torch.nn.GRU(task.input_size, 4, batch_first=True), torch.nn.Linear(4, task.output_size)
    state = torch.load(tmp_path / "m.pth", weights_only=True)
    torch.nn.ModuleDict({"rnn": gru, "fc": head}).load_state_dict(state)
    s = model.scaling
    with torch.no_grad():
        z = torch.tensor((x - s.inputs.mean) / s.inputs.scale, dtype=torch.float32)
        y = head(gru(z)[0][:, -1]).double().numpy() * s.outputs.scale + s.outputs.mean + x[:, -1, s.skip]
    assert np.allclose(y, expected, rtol=1e-5)

    onnxruntime = pytest.importorskip("onnxruntime")
    from npseq import onnx

    lengths = np.array([6, 2, 1, 6, 5, 4, 3, 6, 2])
    for name, more in (("a", {}), ("b", {"with_lengths": True})):
        onnx.export(model, tmp_path / f"{name}.onnx", with_scaler=True, **more)
        session = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx", providers=["CPUExecutionProvider"])
        feed = {"x": x.astype(np.float32)} | ({"lengths": lengths.astype(np.int32)} if more else {})
        (y,) = session.run(None, feed)
        wanted = model.predict(x.astype(np.float32), lengths if more else None)
        assert np.allclose(y, wanted, rtol=1e-5)


@pytest.mark.wide
def test_the_recipe_goes_through_json_and_files_have_the_format_2(tmp_path):
    task = ForecastTask(hourly(), target=["x0"], inputs=["x1"], window=6, base="linear")
    model = model_of(task)
    text = json.dumps(task.recipe().to_json())
    again = WindowDataset.from_recipe(from_json(json.loads(text)), hourly())
    rows = task.parts["test"]
    assert np.allclose(again.inputs(rows, np.float64), task.inputs(rows, np.float64), atol=1e-6)
    npseq.save(tmp_path / "m.pth", model, Metadata(task.recipe()).to_json())
    assert npseq.load(tmp_path / "m.pth").metadata["npseq"] == 2


def test_every_field_of_a_base_goes_through_json():
    waves = (Waves(86_400.0 * 365.25, 2), Waves(86_400.0, 1))
    base = BaseModel("linear", np.array([0.5, 0.25]), np.arange(12.0), Slots("month", 12, 3), np.array([2.0]), waves,
                     np.arange(6.0), Log(1.5, 2.5, -3.0, 4.0), True)  # fmt: skip
    again = base_from_json(json.loads(json.dumps(base.to_json())))
    assert type(again) is BaseModel and vars(again).keys() == vars(base).keys()
    for name, value in vars(base).items():
        found = getattr(again, name)
        assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value, name
    with pytest.raises(ValueError, match="of_waves"):
        base_from_json({**base.to_json(), "of_waves": [0.0] * 5})


def test_a_trained_head_is_shrunk_before_its_errors_are_measured(monkeypatch):
    task, measured = ForecastTask(hourly(200), target=["x0"], window=4, base="last"), []
    model, other = model_of(task), model_of(task)
    monkeypatch.setattr(intervals, "measure", lambda model, task, hidden: measured.append(model.theta.copy()) or {})
    monkeypatch.setattr(intervals, "held", lambda *given: None)
    finish(model, task, seed=3)
    before = other.theta.copy()
    task.shrink(other)
    assert np.array_equal(measured[0], other.theta) and not np.array_equal(before, other.theta)


def test_of_more_than_ten_targets_three_are_described():
    for count, lines in ((10, 10), (11, 4)):
        bases = BaseModels.of((BaseModel("last", np.ones(1), np.zeros(1)),) * count, np.ones(count))
        assert (bases.order, bases.reach, replace(bases, lags=(7, 24)).reach) == (1, 1, 24)
        found = describe(bases, [f"c{k}" for k in range(count)])
        assert len(found) == lines and found[0] == "base        c0: the last value"
        assert (found[-1] == "            and 8 more targets") == (count == 11)


def test_outputs_with_a_base_need_their_rows():
    task = ForecastTask(hourly(), target=["x0"], window=6, base="last")
    with pytest.raises(TypeError, match="the rows of the outputs are needed"):
        task.to_units(np.zeros((1, 1)))


@pytest.fixture(scope="module")
def linear_recipe():
    return json.dumps(ForecastTask(hourly(), target=["x0"], window=6, base="linear").recipe().to_json())


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda base: base.update(spread=[-1.0]), "spread"),
        (lambda base: base.update(parts=[]), "parts"),
        (lambda base: base["parts"][0].update(kind="own"), "kind"),
        (lambda base: base["parts"][0].update(weights=["a"]), "weights"),
        (lambda base: base["parts"][0].update(intercepts=[]), "intercepts"),
        (lambda base: base["parts"][0].update(slots=["month", 1]), "intercepts"),
        (lambda base: base["parts"][0].update(known=[1.0]), "known ahead"),
    ],
)
def test_an_invalid_base_is_refused(linear_recipe, change, words):
    recipe = json.loads(linear_recipe)
    change(recipe["base"])
    with pytest.raises(ValueError, match=words):
        from_json(recipe)


# ---- learning ----


def test_the_gradient_of_the_corrections_loss_is_right_to_the_last_digits():
    task = ForecastTask(hourly(), target=["x0", "x1"], window=5, horizon=2, base="seasonal")
    model = model_of(task, "lstm")
    batch = task.batch(task.parts["train"][:6], np.float64)
    _, grad = model.loss_and_grad(batch)
    model, step = model.astype(np.complex128), 1e-30
    for direction in np.random.default_rng(0).normal(size=(5, len(grad))):
        theta = model.theta.copy()
        model.theta[...] = theta + 1j * step * direction
        loss, _ = model.loss_and_grad(batch._replace(x=batch.x.astype(complex), target=batch.target.astype(complex)))
        model.theta[...] = theta
        assert abs(loss.imag / step - grad @ direction) <= 1e-13 * abs(grad @ direction) + 1e-13 * np.abs(grad).max()


def test_the_untrained_model_is_the_base_and_is_kept_if_no_epoch_is_better():
    task = ForecastTask(hourly(), target=["x0"], window=6, base="seasonal")
    model = Model("gru", task.input_size, 4, task.output_size, rng=0)
    task.prepare(model)
    rows = task.parts["test"]
    assert np.array_equal(outputs(model, task, rows), task.base_forecast(rows))
    progress = fit(model, task, Adam(model.theta, lr=3.0), epochs=2, rng=0, clip=None, count_start=True)
    assert progress.best_epoch == 0 and progress.epoch == 2
    assert np.array_equal(outputs(model, task, rows), task.base_forecast(rows))


def test_on_the_validation_part_no_output_is_worse_than_its_base():
    task = ForecastTask(hourly(noise=4.0), target=["x0"], window=6, horizon=6, base="seasonal")
    model = Model("gru", task.input_size, 8, task.output_size, rng=0)
    task.prepare(model)
    fit(model, task, Adam(model.theta, lr=0.03), epochs=2, rng=0, count_start=True)
    task.shrink(model)
    rows = task.parts["validation"]
    found, base = (
        task.metrics(y, rows)["rmse_by_output"] for y in (outputs(model, task, rows), task.base_forecast(rows))
    )
    assert all(a <= b * (1 + 1e-6) for a, b in zip(found, base))


def test_a_constant_is_forecast_exactly():
    table = hourly(400, 1)
    table.values[:] = 7.25
    task = ForecastTask(table, window=6, base="auto")
    model = Model("gru", task.input_size, 4, task.output_size, rng=0)
    task.prepare(model)
    progress = fit(model, task, Adam(model.theta), epochs=2, rng=0, count_start=True)
    assert progress.best_epoch == 0
    assert (outputs(model, task, task.parts["test"]) == 7.25).all()
    assert (recursive.forecast_ahead(model, task.recipe(), table, np.array([400]), 30).values == 7.25).all()


# ---- several steps ----


@pytest.mark.parametrize(
    "kind, horizon",
    [("lstm", 1), ("gru", 2), *(pytest.param(*each, marks=pytest.mark.wide) for each in (("lstm", 2), ("gru", 1)))],
)
def test_fed_back_forecasts_are_those_of_longer_and_longer_tables_with_the_state_carried_on(kind, horizon):
    table = hourly(600)
    task = ForecastTask(table, target=["x0"], inputs=["x1"], window=6, horizon=horizon, base="linear")
    model, recipe = model_of(task, kind), task.recipe()
    found = recursive.forecast_ahead(model, recipe, table, np.array([450, 500]), 5).values
    for origin, forecast in zip((450, 500), found):
        values, state = table.values[:origin].copy(), None
        for start in range(0, 5, horizon):
            longer = data.Table("l", values, table.columns, 3600, table.start)
            windows = WindowDataset.from_recipe(recipe, longer)
            n = len(values)
            seen = np.arange(n - (horizon if start else 6), n)[None]
            y, state = model(windows.inputs_at(seen, np.float64), state)
            y = windows.to_units(y, np.array([n]))[0]
            assert np.allclose(y[: 5 - start], forecast[start : start + horizon, 0], rtol=1e-9)
            values = np.concatenate([values, np.stack([y, np.full(horizon, values[-1, 1])], axis=1)])


def test_the_blend_is_the_clipped_least_squares_factor_of_the_correction():
    rng = np.random.default_rng(0)
    alone, correction = rng.normal(size=(500, 3, 1)), rng.normal(size=(500, 3, 1))
    values = alone + np.array([0.4, -0.5, 2.0])[:, None] * correction + 0.1 * rng.normal(size=(500, 3, 1))
    values[::7] = np.nan
    blend = recursive.measure_blend(alone, alone + correction, values)
    assert np.allclose(blend[:, 0], [0.4, 0, 1], atol=0.02)


def test_a_correction_that_helps_by_chance_is_left_out():
    rng = np.random.default_rng(0)
    factors = [recursive.measure_blend(np.zeros((40, 8, 1)), *rng.normal(size=(2, 40, 8, 1))) for _ in range(200)]
    clipped = np.clip(rng.normal(size=(200, 8)) / np.sqrt(40), 0, 1)  # what least squares alone would give
    assert np.mean(factors) < 0.4 * clipped.mean() and (np.array(factors) == 0).mean() > 0.85


@pytest.mark.parametrize("base", ["auto", "linear"])
def test_values_after_the_origin_change_no_forecast(base):
    table = hourly(600)
    task = ForecastTask(table, target=["x0"], window=6, base=base)
    model, recipe = model_of(task), task.recipe()
    before = recursive.forecast_ahead(model, recipe, table, np.array([450]), 12).values
    table.values[450:] = 1e6
    assert np.array_equal(before, recursive.forecast_ahead(model, recipe, table, np.array([450]), 12).values)


# ---- gaps ----


@pytest.mark.parametrize("base", ["none", "seasonal", pytest.param("auto", marks=pytest.mark.wide)])
def test_what_was_missing_is_filled_from_the_past_and_never_scored(base):
    table, cut = with_gaps(hourly(900, 1), 0.3), 800
    task = ForecastTask(table, window=6, base=base)
    assert not table.filled[np.concatenate(list(task.parts.values())), 0].any()
    false = with_gaps(hourly(900, 1), 0.3)
    false.values[cut:] = -1e6
    other = WindowDataset.from_recipe(task.recipe(), false)
    upto = np.arange(task.first, cut + 1)
    assert np.array_equal(other.inputs(upto), task.inputs(upto))
    assert task.values[:, 0].max() < 100
    actual, observed = task.actual(upto), task.observed(upto)
    metrics = task.metrics(np.where(observed, actual + 2, 1e9), upto)
    assert np.isclose(metrics["rmse"], 2) and np.isclose(metrics["mae"], 2)


@pytest.mark.wide
def test_a_base_fills_gaps_better_than_the_value_before():
    whole, table = hourly(3000, 1), with_gaps(hourly(3000, 1), 0.3)
    errors = []
    for base in ("none", "auto"):
        task = ForecastTask(table, window=6, base=base)
        errors.append(np.sqrt(((task.values - whole.values)[table.filled] ** 2).mean()))
    assert errors[1] < 0.6 * errors[0]


# ---- row by row ----


@pytest.mark.parametrize("horizon, lags", [(1, []), pytest.param(3, [5, 30], marks=pytest.mark.wide)])
def test_a_stream_gives_what_windows_give_with_gaps_too(horizon, lags):
    table = with_gaps(hourly(700), 0.1)
    task = ForecastTask(table, target=["x0"], inputs=["x1"], window=6, horizon=horizon, lags=lags, base="linear")
    model = model_of(task)
    stream, rows = ForecastStream(model, task.recipe()), np.arange(task.first, 701)
    expected = outputs(model, task, rows)
    for row, (values, filled) in enumerate(zip(table.values, table.filled), 1):
        found = stream.step(np.where(filled, np.nan, values), table.times[row - 1])
        assert (found is None) == (row < task.first)
        if found is not None:
            assert np.allclose(found.reshape(-1), expected[row - task.first], rtol=1e-9)


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_batch_is_the_same_whether_the_inputs_of_all_rows_are_kept_or_made_for_it(horizon, monkeypatch):
    table = data.Table("a", np.random.default_rng(0).normal(size=(90, 2)), ["x", "y"])
    task = ForecastTask(table, "x", "y", window=5, horizon=horizon, base="last")
    rows = [int(task.parts["test"][-1]), *task.parts["train"][:3].tolist()]
    kept = task.batch(rows)
    assert task.inputs(np.array([task.first]), np.float64).dtype == np.float64
    monkeypatch.setattr("npseq.forecast.windows.LARGEST_CACHE", 0)
    made = task.batch(rows)
    assert np.array_equal(kept.x, made.x) and np.array_equal(kept.target, made.target)
