"""Tasks: what each example is made of, how parts are split, and that nothing looks ahead."""

import json
import tracemalloc

import numpy as np
import pytest

from npseq import baselines, data, features
from npseq.data import DataError
from npseq.fit import fit
from npseq.forecast import ForecastTask, WindowDataset
from npseq.nn.model import Model
from npseq.optim import Adam
from npseq.tasks import Adding, SequenceTask


def hourly(n=2000, columns=2, seed=0):
    """A table with a daily rhythm, hour by hour."""
    rng = np.random.default_rng(seed)
    rhythm = np.sin(2 * np.pi * np.arange(n)[:, None] / 24 + np.arange(columns))
    return data.Table(
        "hourly",
        50 + 10 * rhythm + rng.normal(size=(n, columns)),
        [f"x{k}" for k in range(columns)],
        step=3600,
        start=np.datetime64("2024-03-05T10", "s"),
    )


@pytest.fixture(scope="module")
def metro():
    return ForecastTask(data.load("metro_traffic"))


# ---- forecast: the default ----


def test_the_default_task_is_split_in_time_and_every_row_is_predicted_once(metro):
    n = 24_096
    missing = np.flatnonzero(metro.table.filled[:, 0])
    for part, start, end in (
        ("train", 24, 0.70 * n),
        ("validation", int(0.70 * n), 0.85 * n),
        ("test", int(0.85 * n), n),
    ):
        assert np.array_equal(metro.parts[part], np.setdiff1d(np.arange(start, int(end)), missing))
    assert (metro.input_size, metro.output_size) == (6, 1)


def test_an_example_is_the_window_with_the_calendar_of_the_next_hour_and_the_hour_after_it(metro):
    mean, scale = metro.values[:16_867].mean(), metro.values[:16_867].std()
    rows = np.array([25, 20_000, 24_095])
    x, target, lengths = metro.batch(rows, np.float64)
    assert x.shape == (3, 24, 6) and target.shape == (3, 1) and lengths is None
    for b, r in enumerate(rows):
        assert np.allclose(x[b, :, 0], (metro.values[r - 24 : r, 0] - mean) / scale, rtol=1e-12)
        assert np.array_equal(x[b, :, 1:], features.calendar(metro.table.times[r - 23 : r + 1]))
        assert np.allclose(target[b], (metro.values[r] - mean) / scale, rtol=1e-12)
    assert np.allclose(metro.to_units(target), metro.values[rows], rtol=1e-12)


def test_batches_come_in_the_dtype_asked_for(metro):
    for dtype in (np.float32, np.float64):
        batch = metro.batch([100, 200], dtype)
        assert batch.x.dtype == batch.target.dtype == dtype


def test_the_header_counts_rows_gaps_and_parts_and_offers_the_season(metro):
    text = "\n".join(metro.describe())
    for words in (
        "24,096 rows",
        "traffic_volume",
        "1,012 gaps",
        "15,860 train, 3,597 validation, 3,609 test",
        "lags=[168]",
    ):
        assert words in text


# ---- forecast: options ----


def test_every_input_and_target_stands_where_the_docstring_says():
    table = hourly(400, 3)
    task = ForecastTask(table, target=["x2", "x0"], inputs=["x1"], window=5, horizon=2, lags=(3, 24))
    z = task.scaler.standardise(table.values[:, [2, 0, 1]])
    r = 100
    x, target, _ = task.batch([r], np.float64)
    assert x.shape == (1, 5, 3 + 5 + 2 * 2 * 2) and (task.input_size, task.output_size) == (16, 4)
    for k, t in enumerate(range(r - 5, r)):
        expected = [*z[t], *features.calendar(table.times[t + 1])]
        for lag in (3, 24):
            expected += [*z[t + 1 - lag, :2], *z[t + 2 - lag, :2]]
        assert np.allclose(x[0, k], expected, rtol=1e-13)
    assert np.allclose(target[0], [*z[r, :2], *z[r + 1, :2]], rtol=1e-13)
    assert np.allclose(task.to_units(target)[0], [*table.values[r, [2, 0]], *table.values[r + 1, [2, 0]]], rtol=1e-13)


def test_with_a_horizon_all_predicted_rows_lie_in_one_part():
    task = ForecastTask(hourly(), window=24, horizon=7)
    for part, end in (("train", 1400), ("validation", 1700), ("test", 2000)):
        assert task.parts[part][-1] + 7 == end


@pytest.mark.parametrize("step", [60, 3600, 5 * 3600, 86_400, 7 * 86_400, 97])
def test_the_calendar_is_right_for_every_time_step(step):
    table = hourly(1500)
    table.step = step
    task = ForecastTask(table, window=3)
    rows = np.array([3, 700, 1499])
    for row, x in zip(rows, task.inputs(rows, np.float64)):
        assert np.array_equal(x[:, 2 - 1 :], features.calendar(table.times[row - 2 : row + 1]))


def test_irregular_times_have_their_own_calendar():
    regular, table = hourly(), hourly()
    table.irregular, table.start = regular.times, None
    rows = [30, 1999, 2000]
    assert np.array_equal(ForecastTask(table).inputs(rows), ForecastTask(regular).inputs(rows))


def test_without_a_time_column_there_is_no_calendar():
    table = data.Table("t", hourly().values, ["a", "b"])
    assert ForecastTask(table).input_size == 1 and ForecastTask(table, inputs=["b"]).input_size == 2


def test_unscaled_values_are_left_alone():
    task = ForecastTask(hourly(), scale="none")
    assert np.array_equal(task.batch([50], np.float64).target[0], task.table.values[50, :1])


def test_a_constant_column_has_the_scale_1_and_is_named():
    table = hourly()
    table.values[:, 1] = 7
    task = ForecastTask(table, inputs=["x1"])
    assert task.scaler.scale[1] == 1 and (task.inputs([100])[0, :, 1] == 0).all()
    assert any("constant in the training rows: x1" in line for line in task.describe())


@pytest.mark.parametrize("row", [100, 1500, 1900])
def test_one_huge_value_does_no_harm(row):
    table = hourly(columns=1)
    table.values[row] = 1e12
    task = ForecastTask(table)
    assert all(np.isfinite(task.batch(rows).x).all() for rows in task.parts.values())
    assert all(np.isfinite(error["rmse"]) for error in task.baselines().values())


def test_metrics_are_in_the_datas_units_by_row_and_column():
    task = ForecastTask(hourly(), target=["x0", "x1"], horizon=2)
    rows = task.parts["test"]
    off = task.to_units(task.targets(rows)) + np.array([3, -3, 4, 4])
    result = task.metrics(off, rows)["targets"]
    for name, parts in (("x0", [3, 4]), ("x1", [3, 4])):  # units of columns differ: nothing is pooled over them
        assert np.allclose([result[name]["rmse"], result[name]["mae"]], [np.sqrt(12.5), 3.5])
        assert np.allclose(result[name]["rmse_by_output"], parts)


def test_baselines_cover_every_horizon_and_target():
    task = ForecastTask(hourly(3000), target=["x0", "x1"], horizon=30)
    results = task.baselines()
    assert list(results) == ["mean", "persistence", "seasonal_day", "seasonal_week", "ar", "ar_slot"]
    for result in results.values():
        assert [len(result["targets"][name]["rmse_by_output"]) for name in ("x0", "x1")] == [30, 30]
    persistence = results["persistence"]["targets"]["x1"]["rmse_by_output"]
    rows = task.parts["test"]
    expected = table_rmse(task.table.values[rows - 1, 1], task.table.values[rows + 29, 1])
    assert np.isclose(persistence[-1], expected)


def table_rmse(a, b):
    return np.sqrt(((a - b) ** 2).mean())


@pytest.mark.parametrize(
    "options, words",
    [
        ({"window": 3000}, ["2,000 rows", "window of 3000", "needed"]),
        ({"window": 0}, ["window of 0"]),
        ({"horizon": 0}, ["horizon of 0"]),
        ({"horizon": 400}, ["horizon of 400", "needed"]),
        ({"horizon": 3, "lags": (2,)}, ["lag 2", "horizon 3"]),
        ({"lags": (1999,)}, ["[1999]"]),
        ({"target": ["load"]}, ["'load'", "x0, x1"]),
        ({"inputs": ["load"]}, ["'load'"]),
        ({"scale": "log"}, ["'log'", "standard"]),
    ],
)
def test_options_that_do_not_fit_the_series_are_refused(options, words):
    with pytest.raises(DataError) as error:
        ForecastTask(hourly(), **options)
    for word in words:
        assert word in str(error.value)


def test_as_many_rows_as_the_message_asks_for_are_enough():
    for options in ({"window": 30}, {"horizon": 9}, {"window": 3, "lags": (50,)}):
        with pytest.raises(DataError) as error:
            ForecastTask(hourly(12), **options)
        needed = int(str(error.value).split("about ")[1].split(" ")[0])
        assert all(len(rows) for rows in ForecastTask(hourly(needed), **options).parts.values())


def test_a_value_out_of_all_proportion_is_named():
    table = hourly(columns=1)
    table.values[1600] = 1e30
    with pytest.raises(DataError, match="row 1600 of 'x0' holds 1e\\+30"):
        ForecastTask(table)


def test_a_long_series_is_not_cut_into_windows_in_memory():
    table = hourly(300_000, 1)
    tracemalloc.start()
    task = ForecastTask(table, window=500, lags=(168,))
    task.batch(task.parts["train"][:32])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * table.values.nbytes  # the windows would take 500 times as much


# ---- use on new data ----


def test_a_recipe_goes_through_json_and_gives_the_same_inputs_on_new_data():
    task = ForecastTask(hourly(), target=["x1"], inputs=["x0"], window=6, horizon=2, lags=(24,))
    windows = WindowDataset.from_recipe(json.loads(json.dumps(task.recipe().to_json())), hourly())
    rows = task.parts["test"][:5]
    assert np.array_equal(windows.inputs(rows), task.inputs(rows)) and windows.first == task.parts["train"][0]
    y = np.ones((1, 2))
    assert np.array_equal(windows.to_units(y), task.to_units(y))
    again = ForecastTask.from_recipe(task.recipe(), hourly())
    assert again.scaler == task.scaler and again.recipe() == task.recipe()


def test_the_row_after_the_last_one_has_inputs():
    task = ForecastTask(hourly(), window=6, horizon=2, lags=(2, 24))
    longer = hourly(2001)
    longer.values[:2000] = task.values
    longer.values[2000:] = np.nan
    windows = WindowDataset.from_recipe(task.recipe(), longer)
    assert np.array_equal(task.inputs([2000]), windows.inputs([2000])) and np.isfinite(task.inputs([2000])).all()


def test_new_data_may_be_shorter_than_a_split_needs():
    short = WindowDataset.from_recipe(ForecastTask(hourly(), window=6).recipe(), hourly(6))
    assert short.inputs([6]).shape == (1, 6, 6)


def test_new_data_of_another_kind_are_refused():
    recipe = ForecastTask(hourly()).recipe()
    other, timeless, renamed = hourly(), data.Table("t", hourly().values, ["x0", "x1"]), hourly()
    other.step, renamed.columns = 900, ["a", "b"]
    for table, words in ((other, "900 s apart"), (timeless, "no time column"), (renamed, "no column 'x0'")):
        with pytest.raises(DataError, match=words):
            WindowDataset.from_recipe(recipe, table)
    adding = Adding(length=4, count=3, held_out=1).recipe()
    for recipe in (adding, adding.to_json()):
        with pytest.raises(DataError, match="a model of the task 'adding' given"):
            WindowDataset.from_recipe(recipe, hourly())


def test_the_scaling_of_a_model_is_that_of_its_task():
    task = ForecastTask(hourly(), target=["x0", "x1"], window=4, horizon=2, lags=(24,))
    scaling = task.scaling()
    assert len(scaling.inputs.mean) == len(scaling.inputs.scale) == task.input_size
    x, target, _ = task.batch([100], np.float64)
    raw = x * scaling.inputs.scale + scaling.inputs.mean
    assert np.allclose(raw[0, :, :2], task.table.values[96:100]) and np.allclose(raw[0, :, 2:7], x[0, :, 2:7])
    assert np.allclose(raw[0, -1, 7:], task.table.values[76:78].ravel())
    assert np.allclose(target * scaling.outputs.scale + scaling.outputs.mean, task.to_units(target))


@pytest.mark.parametrize(
    "options", [{"window": 25}, {"horizon": 2}, {"lags": (24,)}, {"target": ["x1"]}, {"inputs": ["x1"]}]
)
def test_the_fingerprint_changes_with_the_options_and_the_data(options):
    tasks = ForecastTask(hourly()), ForecastTask(hourly(), **options), ForecastTask(hourly(seed=1))
    prints = {task.fingerprint() for task in tasks}
    assert len(prints) == 3 and ForecastTask(hourly()).fingerprint() in prints


# ---- nothing looks ahead ----

OPTIONS = {"window": 24, "horizon": 3, "lags": (24, 168)}


@pytest.fixture(scope="module")
def lines():
    return open(data.shipped(data.SHIPPED["metro_traffic"])).read().splitlines()


def corrupted(lines, row, path):
    """The shipped file with every value from ``row`` on replaced, and as a table."""
    rng = np.random.default_rng(row)
    false = [f"{line.split(',')[0]},{rng.integers(0, 10**6)}" for line in lines[row + 1 :]]
    path.write_text("\n".join(lines[: row + 1] + false))
    return str(path)


@pytest.mark.wide
@pytest.mark.parametrize("part", ["validation", "test"])
def test_values_after_the_split_change_nothing_before_it(lines, tmp_path, part):
    true = ForecastTask(data.load("metro_traffic"), **OPTIONS)
    cut = int(true.parts[part][0])
    false = ForecastTask(data.load(corrupted(lines, cut, tmp_path / "c.csv")), **OPTIONS)
    for name in ("scaler", "season"):
        assert getattr(true, name) == getattr(false, name)
    early = np.arange(true.first, cut + 1)
    early = np.concatenate([early[::11], early[-200:]])
    assert np.array_equal(true.inputs(early), false.inputs(early))
    early = early[early + OPTIONS["horizon"] <= cut]
    assert np.array_equal(true.targets(early), false.targets(early))
    for name, (fitted,) in true.fitted_baselines().items():
        (other,) = false.fitted_baselines()[name]
        same = np.array_equal(fitted.weights, other.weights) and np.array_equal(fitted.intercepts, other.intercepts)
        assert same or part == "validation"  # which chooses the penalty


@pytest.mark.wide
@pytest.mark.parametrize("base", ["none", "auto"])
def test_values_after_the_split_change_no_bit_of_what_is_learned_or_predicted_before_it(lines, tmp_path, base):
    true = ForecastTask(data.load("metro_traffic"), base=base)
    cut = int(0.85 * len(true.values))
    false = ForecastTask(data.load(corrupted(lines, cut, tmp_path / "c.csv")), base=base)
    results = []
    for task in (true, false):
        model = Model("gru", task.input_size, 4, rng=0)
        progress = fit(model, task, Adam(model.theta), epochs=1, batch_size=256, rng=0)
        rows = np.arange(cut - 500, cut + 1)
        results.append((model.theta, progress.best_loss, task.to_units(model.outputs(task.inputs(rows)), rows)))
    for a, b in zip(*results):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("place", [0, *(pytest.param(place, marks=pytest.mark.wide) for place in (100, 3000))])
def test_values_from_a_predicted_hour_on_change_neither_its_inputs_nor_any_forecast_of_it(metro, place):
    true = ForecastTask(metro.table, **OPTIONS)
    row = int(true.parts["test"][place])
    table = data.load("metro_traffic")
    table.values[row:] = np.random.default_rng(place).normal(size=table.values[row:].shape) * 1e5
    false = ForecastTask(table, **OPTIONS)
    upto = np.arange(row - 50, row + 1)
    assert np.array_equal(true.inputs(upto), false.inputs(upto))
    found = [baselines.Baselines(task, true.fitted_baselines()) for task in (true, false)]
    assert len(found[0].names) == 6
    for name in found[0].names:
        assert np.array_equal(*(each.forecast(name, upto, 3) for each in found))


@pytest.mark.parametrize(
    "row", [pytest.param(3, marks=pytest.mark.wide), 20_000, pytest.param(22_222, marks=pytest.mark.wide)]
)
def test_filled_from_the_past_alone_no_value_before_the_cut_changes(lines, tmp_path, row):
    true = data.load("metro_traffic", fill="past")
    gaps = np.flatnonzero(true.filled[:, 0])
    cut = int(gaps[gaps >= row][0]) + 1  # in the middle of a gap, or right after it
    false = data.load(corrupted(lines, cut, tmp_path / "c.csv"), fill="past")
    assert np.array_equal(true.values[:cut], false.values[:cut])


# ---- classification ----


@pytest.fixture(scope="module")
def vowels():
    return SequenceTask(*data.load_sequences("japanese_vowels"), seed=0)


def test_validation_is_drawn_from_the_training_part_alone_in_equal_shares(vowels):
    parts = vowels.parts
    assert [len(parts[part]) for part in ("train", "validation", "test")] == [234, 36, 370]
    assert sorted([*parts["train"], *parts["validation"]]) == list(range(270))
    assert parts["test"].tolist() == list(range(270, 640))
    assert np.bincount(vowels.labels[parts["validation"]]).tolist() == [4] * 9


def test_sequences_are_standardised_by_the_training_frames(vowels):
    x, labels, lengths = vowels.batch(vowels.parts["train"], np.float64)
    frames = x[np.arange(x.shape[1]) < lengths[:, None]]
    assert np.allclose(frames.mean(axis=0), 0, atol=1e-12) and np.allclose(frames.std(axis=0), 1)
    assert x.shape == (234, lengths.max(), 12) and labels.dtype.kind == "i"
    assert (x[np.arange(x.shape[1]) >= lengths[:, None]] == 0).all()


def test_the_numbers_of_the_test_part_change_no_input_of_the_training(vowels):
    train, test = data.load_sequences("japanese_vowels")
    test.frames[:] = 1e6
    other = SequenceTask(train, test, seed=0)
    for part in ("train", "validation"):
        for a, b in zip(other.batch(other.parts[part]), vowels.batch(vowels.parts[part])):
            assert np.array_equal(a, b)


def test_the_seed_draws_the_parts(vowels):
    same, other = (SequenceTask(*data.load_sequences("japanese_vowels"), seed=seed) for seed in (0, 1))
    assert np.array_equal(same.parts["validation"], vowels.parts["validation"])
    assert same.fingerprint() == vowels.fingerprint()
    assert not np.array_equal(other.parts["validation"], vowels.parts["validation"])
    assert other.fingerprint() != vowels.fingerprint()


def test_without_a_published_test_part_every_class_is_in_every_part(vowels):
    train, _ = data.load_sequences("japanese_vowels")
    parts = SequenceTask(train, seed=3).parts
    assert sorted(np.concatenate(list(parts.values()))) == list(range(270))
    for rows in parts.values():
        assert (np.bincount(train.labels[rows], minlength=9) > 0).all()


def test_accuracy_recall_and_confusion(vowels):
    rows = vowels.parts["test"]
    truth = vowels.labels[rows]
    logits = np.eye(9)[truth]
    logits[truth == 2] = np.eye(9)[4]
    result = vowels.metrics(logits, rows)
    assert result["recall"] == [1, 1, 0, 1, 1, 1, 1, 1, 1] and np.isclose(result["accuracy"], 1 - 88 / 370)
    confusion = np.array(result["confusion"])
    assert confusion[2, 4] == 88 and confusion.sum(axis=1).tolist() == np.bincount(truth).tolist()
    assert vowels.metrics(logits[truth == 0], rows[truth == 0])["recall"][1:] == [None] * 8
    json.dumps(result)


def test_the_baselines_of_a_classification(vowels):
    results = vowels.baselines()
    assert results["most frequent class"]["accuracy"] == 31 / 370  # all classes are as frequent: the first
    assert 0.85 < results["nearest mean frame"]["accuracy"] < 0.95


@pytest.mark.parametrize("labels, words", [([0] * 6, "one class"), ([0] * 5 + [1], "'b'")])
def test_too_few_sequences_or_classes_are_refused(labels, words):
    classes = ["a", "b"][: max(labels) + 1]
    sequences = data.Sequences("s", np.zeros((6, 1)), ["x"], np.arange(7), np.array(labels), classes)
    with pytest.raises(DataError, match=words):
        SequenceTask(sequences)


# ---- the adding problem ----


def test_the_target_is_the_sum_of_the_two_marked_values():
    task = Adding(length=11, count=300, seed=4, held_out=50)
    assert [len(rows) for rows in task.parts.values()] == [300, 50, 50]
    x, target, lengths = task.batch(np.arange(400), np.float64)
    assert x.shape == (400, 11, 2) and lengths is None and (0 <= x[:, :, 0]).all() and (x[:, :, 0] < 1).all()
    assert (x[:, :5, 1].sum(axis=1) == 1).all() and (x[:, 5:, 1].sum(axis=1) == 1).all()
    assert np.allclose((x[:, :, 0] * x[:, :, 1]).sum(axis=1, keepdims=True), target, rtol=1e-15)


def test_chance_is_a_sixth():
    task = Adding(held_out=20_000, count=1)
    assert np.isclose(task.baselines()["always 1"]["mse"], 1 / 6, rtol=0.03)
    assert task.metrics(task.sums[task.parts["test"]], task.parts["test"])["mse"] == 0


def test_the_seed_makes_the_sequences():
    tasks = [Adding(length=10, count=20, seed=seed, held_out=5) for seed in (0, 0, 1)]
    x = [task.batch(np.arange(30)).x for task in tasks]
    assert np.array_equal(x[0], x[1]) and not np.array_equal(x[0], x[2])
    assert tasks[0].fingerprint() == tasks[1].fingerprint() != tasks[2].fingerprint()
    assert Adding.from_recipe(tasks[2].recipe()).fingerprint() == tasks[2].fingerprint()


@pytest.mark.parametrize("options", [{"length": 1}, {"count": 0}, {"held_out": 0}])
def test_no_adding_problem_without_sequences(options):
    with pytest.raises(DataError, match="adding problem"):
        Adding(**options)


# ---- all tasks ----


@pytest.mark.parametrize(
    "make",
    [
        lambda: ForecastTask(hourly(), lags=(24,)),
        lambda: Adding(length=8, count=40, held_out=9),
        lambda: SequenceTask(*data.load_sequences("japanese_vowels")),
    ],
    ids=["forecast", "adding", "classify"],
)
def test_a_task_has_all_that_a_training_run_and_a_weights_file_need(make):
    task = make()
    assert set(task.parts) == {"train", "validation", "test"}
    assert len(np.unique(np.concatenate(list(task.parts.values())))) == sum(len(rows) for rows in task.parts.values())
    rows = task.parts["test"][:4]
    x, target, lengths = task.batch(rows, np.float32)
    assert x.shape[0] == len(target) == 4 and x.shape[2] == task.input_size and x.dtype == np.float32
    outputs = np.zeros((4, task.output_size), np.float32)
    assert json.dumps(
        [
            task.recipe().to_json(),
            task.scaling() and task.scaling().to_json(),
            task.metrics(task.to_units(outputs), rows),
            task.baselines(),
            task.kept() and sorted(task.kept()),
            task.settings(),
        ]
    )
    settings = {"window": 24, "lags": [24], "base": "none"} if task.kind == "forecast" else {}
    assert isinstance(task.kept(), dict) and task.settings() == settings
    assert (
        task.recipe().needs()[:2] == (task.input_size, task.output_size) and task.loss in task.recipe().needs().losses
    )
    assert all(isinstance(line, str) for line in task.describe()) and len(task.fingerprint()) == 16
    assert task.recipe().task == task.kind and task.loss in ("mse", "cross_entropy")


def test_windows_are_given_only_where_there_are_whole_ones():
    table = data.Table("t", np.arange(60.0)[:, None], ["y"], None, None)
    task = ForecastTask(table, "y", window=4)  # a name alone is a list of one
    assert task.windows([4]).shape == (1, 4, task.input_size) and len(task.windows([60])) == 1
    for row in 3, 61, -1:
        with pytest.raises(DataError, match="rows from 4 to 60"):
            task.windows([row])


def test_of_irregular_times_the_usual_step_is_not_asked_of_newer_data(tmp_path):
    rng = np.random.default_rng(0)

    def table(name, longer):
        steps = rng.integers(1000, 5000 + longer, 120)
        times = np.datetime64("2024-01-01") + np.cumsum(steps).astype("timedelta64[s]")
        lines = "\n".join(f"{t},{v:.3f}" for t, v in zip(times, rng.normal(size=120)))
        (tmp_path / name).write_text("time,y\n" + lines + "\n")
        return data.load(tmp_path / name)

    task = ForecastTask(table("a.csv", 0), window=4)
    again = WindowDataset.from_recipe(task.recipe(), table("b.csv", 9))
    assert again.input_size == task.input_size


@pytest.mark.parametrize("target", ["class", "number", "row"])
@pytest.mark.parametrize("published", [False, True])
def test_the_fewest_sequences_are_three_or_two_beside_a_published_test_part(target, published):
    def sequences(each):
        n = 2 * each if target == "class" else each
        labels = np.arange(n) % 2 if target == "class" else np.zeros(n, int)
        more = {"targets": np.arange(n) + 0.0} if target == "number" else {}
        more |= {"row_labels": np.arange(2 * n) % 2} if target == "row" and not published else {}
        classes = [] if target == "number" else ["a", "b"]
        frames = np.arange(2.0 * n)[:, None]
        return data.Sequences("s", frames, ["x"], np.arange(n + 1) * 2, labels, classes, names=[""] * n, **more)

    if published and target == "row":
        return  # no published test part has a class for each row
    least, test = (2, sequences(1)) if published else (3, None)
    assert len(SequenceTask(sequences(least), test, target).parts["validation"]) == (2 if target == "class" else 1)
    with pytest.raises(DataError, match="too few"):
        SequenceTask(sequences(least - 1), test, target)
