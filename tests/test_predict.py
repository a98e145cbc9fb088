"""``npseq evaluate`` and ``npseq predict``: a weights file alone is enough to judge and to use a model."""

import csv

import numpy as np
import pytest

import npseq
from npseq import checkpoint, data, predict, tasks
from npseq.evaluate import main as evaluate_main
from npseq.model import Model
from test_train import small_csv, status  # noqa: F401

HORIZON = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_csv):  # noqa: F811
    folder = tmp_path_factory.mktemp("trained")
    assert status(["--model", "optimized_gru", "--data", small_csv, "--epochs", "5", "--lr", "0.01", "--horizon", str(HORIZON),
                   "--lags", "24", "--quiet", "--out-dir", str(folder)]) == 0
    return str(folder / "rnn_optimized_gru_best.pth")


def rows_of(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def ended(main, argv):
    try:
        return main(argv)
    except SystemExit as end:
        return end.code


def test_predictions_are_the_models_own_in_the_datas_units(trained, small_csv, tmp_path):  # noqa: F811
    out = tmp_path / "forecast.csv"
    assert predict.main([trained, "--data", small_csv, "--output", str(out)]) == 0
    rows = rows_of(out)
    model, task = npseq.load(trained), tasks.Forecast(data.load(small_csv), horizon=HORIZON, lags=[24])
    n = len(task.values)
    assert len(rows) == (n + 1 - task.first) * HORIZON
    expected = model.predict(task.windows(np.arange(task.first, n + 1))).reshape(-1)
    assert np.allclose([float(row["load"]) for row in rows], expected, rtol=1e-5)
    assert rows[0]["time"] == str(task.table.times[task.first]).replace("T", " ") and rows[0]["steps_ahead"] == "1"


def test_steps_go_beyond_the_end_of_the_data_feeding_forecasts_back(trained, small_csv, tmp_path):  # noqa: F811
    out = tmp_path / "forecast.csv"
    assert predict.main([trained, "--data", small_csv, "--output", str(out), "--steps", "8", "--interval", "0.8"]) == 0
    rows = rows_of(out)
    table = data.load(small_csv)
    n = len(table.values)
    assert [row["steps_ahead"] for row in rows] == [str(k) for k in range(1, 9)]
    assert rows[0]["time"] == str(table.times[-1] + np.timedelta64(1, "h")).replace("T", " ")
    # by hand: the first forecast appended to the data, and the model asked again
    model = npseq.load(trained)
    longer = data.Table(table.name, np.concatenate([table.values, np.array([[float(r["load"])] for r in rows[:HORIZON]])]),
                        table.columns, table.step, table.start)
    windows = tasks.Windows.from_recipe(model.metadata["recipe"], longer)
    again = predict.outputs(model, windows, np.array([n + HORIZON]))[0]
    assert np.allclose(again, [float(row["load"]) for row in rows[HORIZON:2 * HORIZON]], rtol=1e-5)
    assert all(float(r["load_low"]) < float(r["load"]) < float(r["load_high"]) for r in rows[:HORIZON])
    assert all(r["load_low"] == r["load_high"] == "" for r in rows[HORIZON:])  # no interval was measured there


def test_the_interval_holds_its_share_of_the_validation_part(trained, small_csv):  # noqa: F811
    model, task = npseq.load(trained), tasks.Forecast(data.load(small_csv), horizon=HORIZON, lags=[24])
    rows = task.parts["validation"]
    forecast, actual = model.predict(task.windows(rows)), task.to_units(task.targets(rows))
    for share in (0.5, 0.9):
        low, high = predict.interval(model, share)
        inside = ((forecast + low <= actual) & (actual <= forecast + high)).mean(axis=0)
        assert np.abs(inside - share).max() < 0.04


def test_predictions_do_not_look_ahead_not_even_into_gaps(trained, small_csv, tmp_path):  # noqa: F811
    lines = open(small_csv).read().splitlines()
    hour = [line.split(",")[0] for line in lines]
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    gap = lines[:300] + [f"{h}," for h in hour[300:305]]
    first.write_text("\n".join(gap + lines[305:]) + "\n")
    second.write_text("\n".join(gap + [f"{h},9999" for h in hour[305:]]) + "\n")
    out = []
    for path in (first, second):
        assert predict.main([trained, "--data", str(path), "--output", str(tmp_path / "out.csv")]) == 0
        out.append([row for row in rows_of(tmp_path / "out.csv") if row["time"] <= hour[304].replace("T", " ")])
    origins = [k for k in range(0, len(out[0]), HORIZON) if out[0][k]["time"] <= hour[304].replace("T", " ")]
    assert all(out[0][k] == out[1][k] for k in origins) and len(origins) > 200


def test_evaluate_tells_the_test_error_of_training(trained, small_csv, tmp_path, capsys):  # noqa: F811
    import json
    report = tmp_path / "r.json"
    assert status(["--model", "optimized_rnn", "--epochs", "1", "--quiet", "--out-dir", str(tmp_path), "--report", str(report)]) == 0
    assert evaluate_main([str(tmp_path / "rnn_optimized_rnn_best.pth")]) == 0
    shown = capsys.readouterr().out
    assert f"{json.loads(report.read_text())['test']['rmse']:.1f}" in shown and "805.7" in shown and "interval" in shown
    assert evaluate_main([trained, "--data", small_csv]) == 0
    assert "all of small.csv" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--data", "japanese_vowels", "--batch-size", "8"], ["--data", "adding", "--length", "6"]])
def test_evaluate_judges_the_other_tasks_as_training_did(options, tmp_path, capsys):
    import json
    report = tmp_path / "r.json"
    assert status(["--model", "optimized_gru", "--epochs", "1", "--quiet", "--out-dir", str(tmp_path), "--report", str(report), *options]) == 0
    assert evaluate_main([str(tmp_path / "rnn_optimized_gru_best.pth")]) == 0
    test = json.loads(report.read_text())["test"]
    assert (f"{test['accuracy']:.1%}" if "accuracy" in test else f"{test['mse']:.5f}") in capsys.readouterr().out


def test_sequences_without_labels_are_classified(tmp_path):
    assert status(["--model", "optimized_gru", "--epochs", "3", "--quiet", "--out-dir", str(tmp_path), "--data", "japanese_vowels",
                   "--batch-size", "8"]) == 0
    with open(data.shipped("japanese_vowels_test.csv")) as file:
        unlabelled = [",".join(cells[:1] + cells[2:]) for cells in (line.split(",") for line in file)]
    (tmp_path / "new.csv").write_text("".join(unlabelled))
    file, out = str(tmp_path / "rnn_optimized_gru_best.pth"), tmp_path / "answers.csv"
    assert predict.main([file, "--data", str(tmp_path / "new.csv"), "--output", str(out)]) == 0
    model = npseq.load(file)
    task = tasks.Classification(*data.load_sequences("japanese_vowels"))
    batch = task.batch(task.parts["test"][:20])
    answers = [task.classes[k] for k in model.outputs(batch.x, batch.lengths).argmax(axis=1)]
    assert [row["answer"] for row in rows_of(out)[:20]] == answers


@pytest.mark.parametrize("argv, words", [
    (["absent.pth", "--data", "metro_traffic"], ["absent.pth"]),
    (["FILE", "--data", "absent.csv"], ["absent.csv"]),
    (["FILE", "--data", "japanese_vowels"], ["japanese_vowels"]),
    (["FILE", "--data", "SHORT"], ["short.csv"]),
    (["FILE", "--data", "metro_traffic", "--interval", "1.5"], ["--interval", "1.5"]),
    (["OTHER", "--data", "metro_traffic"], ["other.pth", "npseq train"]),
])
def test_what_cannot_be_predicted_ends_in_one_line(trained, tmp_path, capsys, argv, words):
    checkpoint.save_model(tmp_path / "other.pth", Model("rnn", 2, 3, rng=0))
    (tmp_path / "short.csv").write_text("hour,load\n2024-01-01 00,1\n2024-01-01 01,2\n")
    names = {"FILE": trained, "OTHER": str(tmp_path / "other.pth"), "SHORT": str(tmp_path / "short.csv")}
    out = tmp_path / "out.csv"
    assert ended(predict.main, [names.get(word, word) for word in argv] + ["--output", str(out)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and all(word in message for word in words) and not out.exists()
