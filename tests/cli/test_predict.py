"""``npseq evaluate`` and ``npseq predict``: a weights file alone is enough to judge and to use a model."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from running import ended, status

import npseq
from npseq import checkpoint, cli, data, forecast, tasks
from npseq.cli import evaluate, predict
from npseq.cli.evaluate import main as evaluate_main
from npseq.forecast import intervals, recursive
from npseq.nn.model import Model
from npseq.tasks.metadata import Metadata
from npseq.tasks.recipe import from_json
from npseq.tasks.scoring import outputs

HORIZON = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_csv):
    folder = tmp_path_factory.mktemp("trained")
    words = f"--model optimized_gru --data {small_csv} --base none --epochs 5 --lr 0.01 --horizon"
    assert status(f"{words} {HORIZON} --lags 24 --quiet --out-dir {folder}") == 0
    return str(folder / "rnn_optimized_gru_best.pth")


def task_of(path):
    return forecast.ForecastTask(data.load(path), window=12, horizon=HORIZON, lags=[24])


def rows_of(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_predictions_are_the_models_own_in_the_datas_units(trained, small_csv, tmp_path):
    out = tmp_path / "forecast.csv"
    assert predict.main([trained, "--data", small_csv, "--output", str(out)]) == 0
    rows = rows_of(out)
    model, task = npseq.load(trained), task_of(small_csv)
    n = len(task.values)
    assert len(rows) == (n + 1 - task.first) * HORIZON
    expected = model.predict(task.windows(np.arange(task.first, n + 1))).reshape(-1)
    assert np.allclose([float(row["load"]) for row in rows], expected, rtol=1e-5)
    assert rows[0]["hour"] == str(task.table.times[task.first]).replace("T", " ") and rows[0]["steps_ahead"] == "1"


def test_steps_go_beyond_the_end_of_the_data_feeding_forecasts_back(trained, small_csv, tmp_path):
    out = tmp_path / "forecast.csv"
    assert predict.main([trained, "--data", small_csv, "--output", str(out), "--steps", "8", "--interval", "0.8"]) == 0
    rows = rows_of(out)
    table = data.load(small_csv)
    n = len(table.values)
    assert [row["steps_ahead"] for row in rows] == [str(k) for k in range(1, 9)]
    assert rows[0]["hour"] == str(table.times[-1] + np.timedelta64(1, "h")).replace("T", " ")
    # by hand: the first forecast appended to the data, and the model asked again
    model = npseq.load(trained)
    first = np.array([[float(row["load"])] for row in rows[:HORIZON]])
    longer = data.Table(table.name, np.concatenate([table.values, first]), table.columns, table.step, table.start)
    windows = forecast.WindowDataset.from_recipe(model.metadata["recipe"], longer)
    again = outputs(model, windows, np.array([n + HORIZON]))[0]
    assert np.allclose(again, [float(row["load"]) for row in rows[HORIZON : 2 * HORIZON]], rtol=1e-5)
    assert all(float(r["load_low"]) < float(r["load"]) < float(r["load_high"]) for r in rows)


def test_whole_numbers_are_rounded_and_their_interval_outwards(trained, small_csv, tmp_path):
    out, found = tmp_path / "forecast.csv", []
    for more in ([], ["--whole"]):
        argv = [trained, "--data", small_csv, "--output", str(out), "--steps", "4", "--interval", "0.8", *more]
        assert predict.main(argv) == 0
        found.append(np.array([[float(row[f"load{end}"]) for end in ("", "_low", "_high")] for row in rows_of(out)]))
    exact, whole = found
    expected = np.stack([np.rint(exact[:, 0]), np.floor(exact[:, 1]), np.ceil(exact[:, 2])], axis=1)
    assert np.array_equal(whole, expected) and predict.main([*argv[:7], "--whole"]) == 0  # without an interval
    assert [row["load"] for row in rows_of(out)] == [f"{value:.0f}" for value in whole[:, 0]]


def test_it_is_said_from_which_step_on_the_interval_was_not_measured(trained, small_csv, tmp_path, capsys):
    out = tmp_path / "forecast.csv"
    assert predict.main([trained, "--data", small_csv, "--output", str(out), "--steps", "60", "--interval", "0.8"]) == 0
    rows, measured = rows_of(out), (len(task_of(small_csv).parts["validation"]) + HORIZON - 1) // 4
    assert all(float(row["load_low"]) <= float(row["load"]) <= float(row["load_high"]) for row in rows)
    assert (
        f"from {measured + 1} rows ahead on ({60 - measured} of 60 rows) the interval widens" in capsys.readouterr().out
    )


def test_feeding_back_from_many_rows_is_feeding_back_from_each(trained, small_csv):
    model, table = npseq.load(trained), data.load(small_csv)
    recipe, origins = from_json(model.metadata["recipe"]), np.array([60, 61, 75, 160, 300, len(table.values)])
    together = recursive.forecast_ahead(model, recipe, table, origins, 7).values
    for k, origin in enumerate(origins):
        alone = recursive.forecast_ahead(model, recipe, table, origins[k : k + 1], 7).values
        assert np.allclose(together[k], alone[0], rtol=1e-6)
        windows = forecast.WindowDataset.from_recipe(recipe, table)
        assert np.allclose(alone[0, :HORIZON, 0], outputs(model, windows, np.array([origin]))[0], rtol=1e-6)


def test_forecasts_fed_back_use_nothing_after_their_origin(trained, small_csv):
    model, table = npseq.load(trained), data.load(small_csv)
    before = recursive.forecast_ahead(model, from_json(model.metadata["recipe"]), table, np.array([200]), 12).values
    table.values[200:] = 1e6
    assert np.array_equal(
        before, recursive.forecast_ahead(model, from_json(model.metadata["recipe"]), table, np.array([200]), 12).values
    )


def test_other_inputs_keep_their_last_value_when_forecasts_are_fed_back(tmp_path):
    rng = np.random.default_rng(0)
    csv_file = tmp_path / "two.csv"
    csv_file.write_text("a,b\n" + "".join(f"{a:.3f},{b:.3f}\n" for a, b in rng.normal(size=(200, 2))))
    words = f"--model gru --data {csv_file} --inputs b --base none --window 5 --epochs 1 --quiet"
    assert status(f"{words} --out-dir {tmp_path}") == 0
    model, table = npseq.load(tmp_path / "rnn_gru_best.pth"), data.load(str(csv_file))
    values = [*map(list, table.values)]
    for _ in range(4):
        values.append([float(model.predict(np.array(values[-5:]))[0]), table.values[-1, 1]])
    forecast = recursive.forecast_ahead(model, from_json(model.metadata["recipe"]), table, np.array([200]), 4).values
    assert np.allclose(forecast[0, :, 0], np.array(values)[200:, 0], rtol=1e-4)


def test_the_interval_holds_its_share_of_the_validation_part(trained, small_csv):
    model, task = npseq.load(trained), task_of(small_csv)
    rows = task.parts["validation"]
    forecast, actual = model.predict(task.windows(rows)), task.to_units(task.targets(rows))
    trained_by_npseq = Metadata.from_json(model.metadata)
    for share in (0.5, 0.9):
        low, high = intervals.interval(trained_by_npseq, share)
        inside = ((forecast + low <= actual) & (actual <= forecast + high)).mean(axis=0)
        assert np.abs(inside - share).max() < 0.04


def test_predictions_do_not_look_ahead_not_even_into_gaps(trained, small_csv, tmp_path):
    lines = open(small_csv).read().splitlines()
    hour = [line.split(",")[0] for line in lines]
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    gap = lines[:300] + [f"{h}," for h in hour[300:305]]
    first.write_text("\n".join(gap + lines[305:]) + "\n")
    second.write_text("\n".join(gap + [f"{h},9999" for h in hour[305:]]) + "\n")
    out = []
    for path in (first, second):
        assert predict.main([trained, "--data", str(path), "--output", str(tmp_path / "out.csv")]) == 0
        out.append([row for row in rows_of(tmp_path / "out.csv") if row["hour"] <= hour[304].replace("T", " ")])
    origins = [k for k in range(0, len(out[0]), HORIZON) if out[0][k]["hour"] <= hour[304].replace("T", " ")]
    assert all(out[0][k] == out[1][k] for k in origins) and len(origins) > 200


@pytest.mark.wide
def test_evaluate_tells_the_test_error_of_training(trained, small_csv, tmp_path, capsys):
    report = tmp_path / "r.json"
    assert status(f"--model optimized_rnn --epochs 1 --quiet --out-dir {tmp_path} --report {report}") == 0
    assert evaluate_main([str(tmp_path / "rnn_optimized_rnn_best.pth")]) == 0
    shown = capsys.readouterr().out
    assert f"{json.loads(report.read_text())['test']['rmse']:.1f}" in shown and "806.4" in shown and "interval" in shown


@pytest.mark.wide
def test_evaluate_knows_the_rows_of_the_training_by_their_content(trained, small_csv, tmp_path, capsys):
    task = task_of(small_csv)
    rows, model = task.parts["test"], npseq.load(trained)
    error = task.metrics(model.predict(task.windows(rows)), rows)["rmse"]
    assert evaluate_main([trained, "--data", small_csv]) == 0
    shown = capsys.readouterr().out
    assert f"{len(rows)} examples, the test part" in shown and f"{error:.1f}" in shown and "fed back for" in shown
    other, lines = tmp_path / "other.csv", open(small_csv).read().splitlines(keepends=True)
    other.write_text("".join(lines))
    assert evaluate_main([trained, "--data", str(other)]) == 0
    assert shown.split("\n", 2)[2] == capsys.readouterr().out.split("\n", 2)[2]  # but for the name of the file
    n = len(task.values) - task.first - HORIZON + 1
    assert evaluate_main([trained, "--data", small_csv, "--part", "all"]) == 0
    assert f"{n} examples, all of" in capsys.readouterr().out
    other.write_text("".join(lines[:429]))  # training and validation part
    assert ended(evaluate_main, [trained, "--data", str(other)]) == 2
    assert "every row" in capsys.readouterr().err
    new = [line.split(",")[0] + f",{100 + k % 7}\n" for k, line in enumerate(lines[1:])]
    other.write_text("".join(lines[:1] + new))
    assert evaluate_main([trained, "--data", str(other)]) == 0
    shown = capsys.readouterr().out
    assert f"{len(rows)} examples, the test part" in shown and "looks like another series" in shown
    assert evaluate_main([trained, "--data", str(other), "--part", "all"]) == 0
    shown = capsys.readouterr().out
    assert f"{n} examples, all of other.csv" in shown and "on the test part" not in shown


@pytest.mark.wide
def test_the_interval_covers_about_its_share_of_the_test_part_fed_back_too(tmp_path, capsys):
    words = "--model optimized_gru --epochs 1 --lr 0.01 --quiet --window 24 --batch-size 32 --lags"
    assert status(f"{words} none --base none --out-dir {tmp_path}") == 0
    assert evaluate_main([str(tmp_path / "rnn_optimized_gru_best.pth"), "--interval", "0.8"]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if "the 80% interval" in line]
    shares = [float(line.split("holds ")[1].split("%")[0]) for line in shown]
    assert len(shares) == 2 and all(72 < share < 88 for share in shares)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--data", "japanese_vowels", "--batch-size", "8"], marks=pytest.mark.wide),
        ["--data", "adding", "--length", "6", "--batch-size", "256"],
    ],
)
def test_evaluate_judges_the_other_tasks_as_training_did(options, tmp_path, capsys):
    report = tmp_path / "r.json"
    assert (
        status([*f"--model optimized_gru --epochs 1 --quiet --out-dir {tmp_path} --report {report}".split(), *options])
        == 0
    )
    assert evaluate_main([str(tmp_path / "rnn_optimized_gru_best.pth")]) == 0
    test = json.loads(report.read_text())["test"]
    assert (f"{test['accuracy']:.1%}" if "accuracy" in test else f"{test['mse']:.5f}") in capsys.readouterr().out


@pytest.mark.wide
def test_sequences_without_labels_are_classified(tmp_path):
    typed = f"--model optimized_gru --epochs 3 --quiet --out-dir {tmp_path} --data japanese_vowels"
    assert status(f"{typed} --batch-size 8") == 0
    with open(data.shipped("japanese_vowels_test.csv")) as file:
        unlabelled = [",".join(cells[:1] + cells[2:]) for cells in (line.split(",") for line in file)]
    (tmp_path / "new.csv").write_text("".join(unlabelled))
    file, out = str(tmp_path / "rnn_optimized_gru_best.pth"), tmp_path / "answers.csv"
    assert predict.main([file, "--data", str(tmp_path / "new.csv"), "--output", str(out)]) == 0
    model = npseq.load(file)
    task = tasks.SequenceTask(*data.load_sequences("japanese_vowels"))
    batch = task.batch(task.parts["test"][:20])
    answers = [task.classes[k] for k in model.outputs(batch.x, batch.lengths).argmax(axis=1)]
    assert [row["answer"] for row in rows_of(out)[:20]] == answers


@pytest.mark.parametrize(
    "argv, words",
    [
        (["absent.pth", "--data", "metro_traffic"], ["absent.pth"]),
        (["FILE", "--data", "absent.csv"], ["absent.csv"]),
        (["FILE", "--data", "japanese_vowels"], ["japanese_vowels"]),
        (["FILE", "--data", "SHORT"], ["short.csv"]),
        (["FILE", "--data", "metro_traffic", "--interval", "1.5"], ["--interval", "1.5"]),
        (["OTHER", "--data", "metro_traffic"], ["other.pth", "npseq train"]),
    ],
)
def test_what_cannot_be_predicted_ends_in_one_line(trained, tmp_path, capsys, argv, words):
    npseq.save(tmp_path / "other.pth", Model("rnn", 2, 3, rng=0))
    (tmp_path / "short.csv").write_text("hour,load\n2024-01-01 00,1\n2024-01-01 01,2\n")
    names = {"FILE": trained, "OTHER": str(tmp_path / "other.pth"), "SHORT": str(tmp_path / "short.csv")}
    out = tmp_path / "out.csv"
    assert ended(predict.main, [names.get(word, word) for word in argv] + ["--output", str(out)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and all(word in message for word in words) and not out.exists()


@pytest.mark.wide
def test_the_file_remembers_the_names_of_its_columns(tmp_path, capsys):
    lines = open(data.shipped("japanese_vowels_train.csv")).read().splitlines(keepends=True)
    renamed, folder = tmp_path / "renamed.csv", tmp_path / "o"
    renamed.write_text(lines[0].replace("utterance", "recording").replace("speaker", "who") + "".join(lines[1:]))
    words = f"--model optimized_rnn --epochs 1 --hidden-size 4 --data {renamed} --sequence recording"
    assert status(f"{words} --label who --quiet --out-dir {folder} --report {tmp_path / 'r.json'}") == 0
    file, out = str(folder / "rnn_optimized_rnn_best.pth"), tmp_path / "answers.csv"
    assert evaluate_main([file, "--data", str(renamed)]) == 0
    assert f"{json.loads((tmp_path / 'r.json').read_text())['test']['accuracy']:.1%}" in capsys.readouterr().out
    assert predict.main([file, "--data", str(renamed), "--output", str(out)]) == 0
    assert [row["sequence"] for row in rows_of(out)] == list(dict.fromkeys(line.split(",")[0] for line in lines[1:]))


@pytest.mark.wide
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_the_example_in_the_help_runs(command, tmp_path, monkeypatch, capsys):
    parser = {"predict": predict.parser, "evaluate": evaluate.parser}[command]()
    argv = parser.epilog.split()
    assert argv[:3] == ["example:", "npseq", command]
    monkeypatch.chdir(tmp_path)
    assert status(["--epochs", "1", "--hidden-size", "4", "--quiet"]) == 0
    assert cli.main(argv[2:]) == 0
    assert command == "evaluate" or len(rows_of("forecast.csv")) == 24


BROKEN = [
    (("recipe", "window"), "a"),
    (("recipe", "window"), None),
    (("recipe", "lags"), [10**12]),
    (("columns",), 5),
    (("recipe", "mean"), [0.0, 1.0]),
    (("recipe", "target"), "y"),
    (("scaling",), [1]),
    (("scaling", "input_mean"), [1.0]),
    (("config", "hidden_size"), 10**9),
    (("config",), [1]),
]


@pytest.mark.wide
@pytest.mark.parametrize("path, value", BROKEN, ids=str)
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_file_whose_metadata_were_tampered_with_ends_in_one_line(tmp_path, small_csv, capsys, command, path, value):
    assert status(f"--model rnn --hidden-size 3 --epochs 1 --data {small_csv} --quiet --out-dir {tmp_path}") == 0
    file = checkpoint.load(tmp_path / "rnn_rnn_best.pth")
    inner = file.metadata
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    checkpoint.save(tmp_path / "bad.pth", file.content, file.metadata)
    more = ["--output", str(tmp_path / "out.csv")] if command == "predict" else []
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main([command, str(tmp_path / "bad.pth"), "--data", small_csv, *more])
    message = capsys.readouterr().err
    assert end.value.code == 2 and message.count("\n") == 1 and "bad.pth" in message


@pytest.mark.parametrize("name, clock, first", [("Datum", "", "Datum"), ("at", " 06:00:00", "at"), (None, "", "time")])
def test_the_time_column_has_its_own_name_and_days_have_no_clock(tmp_path, monkeypatch, name, clock, first):
    if name is None:
        pytest.importorskip("pandas")  # a table without names
    monkeypatch.chdir(tmp_path)
    days = np.datetime64("2024-01-01") + np.arange(120)
    rows = "".join(f"{day}{clock},{10 + k % 7 + k / 100:.2f}\n" for k, day in enumerate(days))
    Path("d.csv").write_text((f"{name},load\n" if name else "") + rows)
    assert status("--data d.csv --base last --epochs 1 --hidden-size 2 --window 7 --quiet".split()) == 0
    assert predict.main("rnn_lstm_best.pth --data d.csv --output p.csv --steps 2".split()) == 0
    assert [row[first] for row in rows_of("p.csv")] == [f"2024-04-30{clock}", f"2024-05-01{clock}"]
