"""One test part has one error, whoever scores it: train, evaluate, backtest, compare and ``Forecaster.score``."""

import json

import numpy as np
import pytest
from running import status

import npseq
from npseq.cli import compare, evaluate
from npseq.forecast import finish

OPTIONS = "--model gru --epochs 1 --hidden-size 3 --quiet".split()


def series(n=420, share=0.03, seed=0):
    """A rhythm of seven rows with noise, some of whose values are missing."""
    rng = np.random.default_rng(seed)
    y = 10 + np.sin(np.arange(n) * 2 * np.pi / 7) + rng.normal(0, 0.3, n)
    return np.where(rng.random(n) < share, np.nan, y)


def written(path, y, times=True):
    """A CSV of the values, day by day."""
    day = np.datetime64("2024-01-01")
    cells = ["" if np.isnan(value) else f"{value:.4f}" for value in y]
    lines = [f"{day + k},{cell}" if times else cell for k, cell in enumerate(cells)]
    path.write_text("\n".join(["time,y" if times else "y", *lines]) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("times", "horizon", "base"),
    [
        (False, 2, "last"),
        *(pytest.param(*case, "auto", marks=pytest.mark.wide) for case in ((True, 6), (False, 1), (False, 3))),
    ],
)
def test_everyone_gives_the_same_figures_to_the_last_digit(tmp_path, capsys, times, horizon, base):
    if not times:
        pytest.importorskip("pandas")  # a line of a table of one column may be empty
    file, report = written(tmp_path / "s.csv", series(), times), tmp_path / "r.json"
    options = [*OPTIONS, "--data", file, "--base", base, "--horizon", str(horizon), "--out-dir", str(tmp_path)]
    assert status([*options, "--report", str(report)]) == 0
    trained = json.loads(report.read_text())
    best = str(tmp_path / "rnn_gru_best.pth")
    capsys.readouterr()
    assert evaluate.main([best, "--data", file, "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    ours = {name: trained["test"][name] for name in ("rmse", "mae")}
    others = {name: {key: each[key] for key in ("rmse", "mae")} for name, each in trained["baselines"].items()}
    assert evaluated["model"] == ours and evaluated["baselines"] == others and len(others) >= 4
    forecaster = npseq.Forecaster("gru", epochs=1, hidden_size=3, base=base).fit(file, horizon=horizon)
    assert forecaster.score()["model"] == ours and forecaster.score()["baselines"] == others
    if horizon == 6:
        fold = forecaster.backtest(2)[1]
        assert fold["model"] == ours and fold["baselines"] == others
        argv = ["--models", "gru", "--seeds", "1", *OPTIONS[2:], "--json", "--data", file, "--horizon", "6"]
        assert compare.main(argv) == 0
        compared = json.loads(capsys.readouterr().out)["gru"][0]
        assert compared["test"] == trained["test"] and compared["baselines"] == trained["baselines"]
        assert status([*options, "--backtest", "1"]) == 0 and capsys.readouterr().out == ""
        assert status([*(word for word in options if word != "--quiet"), "--backtest", "1"]) == 0
        assert f"{ours['rmse']:10.4g}" in capsys.readouterr().out
    assert evaluate.main([best, "--data", file]) == 0
    shown = capsys.readouterr().out
    assert all(label in shown for label in trained["labels"].values())


def test_half_missing_examples_leave_the_training_and_none_the_test_part():
    """Examples with a missing value are not learned, unless that were more than half; one observed value is scored."""
    y = series(400, 0.0)
    y[3:400:4] = np.nan  # of two rows ahead half are whole
    task = npseq.forecast.ForecastTask(npseq.data.load(y, fill="past"), horizon=2, window=4, base="none", lags=())
    counted = {part: task.observed(rows).sum(axis=1) for part, rows in task.parts.items()}
    assert (counted["train"] == 2).all() and (counted["validation"] == 2).all() and set(counted["test"]) == {1, 2}
    y[2:280:40] = np.nan  # now fewer than half of the training part
    task = npseq.forecast.ForecastTask(npseq.data.load(y, fill="past"), horizon=2, window=4, base="none", lags=())
    counted = {part: task.observed(rows).sum(axis=1) for part, rows in task.parts.items()}
    assert all(set(counts) == {1, 2} for counts in counted.values())


def test_a_file_of_a_training_that_was_killed_is_scored_without_intervals(tmp_path, capsys):
    """It was written after an epoch: its errors were not measured, but it has the baselines and the rows it has seen."""
    table = npseq.data.load(series(share=0.0))
    task = npseq.forecast.ForecastTask(table, window=4, base="linear")
    model = npseq.Model("rnn", task.input_size, 2, task.output_size, scaling=task.scaling(), rng=0)
    npseq.save(str(tmp_path / "m.pth"), model, finish.begin(task).to_json())
    np.savetxt(tmp_path / "s.csv", table.values, header="value", comments="")
    forecaster = npseq.Forecaster.load(tmp_path / "m.pth").update(str(tmp_path / "s.csv"))
    found = forecaster.score()
    assert found["part"] == "test" and "ar" in found["baselines"] and "interval" not in found
    assert evaluate.main([str(tmp_path / "m.pth"), "--data", str(tmp_path / "s.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found))
    with pytest.raises(npseq.data.DataError, match="its training was interrupted"):
        forecaster.predict(2, interval=0.9)
