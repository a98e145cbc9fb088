"""What the commands say in words of a base alone, of the start of a training, and of a baseline that wins."""

import json

import numpy as np
import pytest

import npseq
from npseq.cli import evaluate, inspect_file, tables, training_run
from npseq.data import Table
from npseq.forecast import baselines
from npseq.formats import model_file


def trained(tmp_path, values, *more):
    path = tmp_path / "t.csv"
    path.write_text("y\n" + "".join(f"{float(value)!r}\n" for value in values))
    options = ["--model", "gru", "--epochs", "1", "--hidden-size", "3", "--window", "4", "--data", str(path), *more]
    assert training_run.main([*options, "--out-dir", str(tmp_path), "--force"]) == 0
    return [str(tmp_path / "rnn_gru_best.pth"), "--data", str(path)]


ADDS_NOTHING = "the network adds nothing here: the forecast is the base alone"


def test_a_base_alone_is_called_so_where_it_was_trained_and_scored(tmp_path, capsys):
    files = trained(tmp_path, np.tile([1.0, 2.0, 4.0], 70))
    shown = capsys.readouterr().out
    assert "epoch 0, the base: validation 0.00000" in shown and shown.index("epoch 0, the base") < shown.index(
        "epoch 1/1"
    )
    assert ADDS_NOTHING in shown
    assert evaluate.main(files) == 0 and ADDS_NOTHING in capsys.readouterr().out
    assert inspect_file.main(files[:1]) == 0 and capsys.readouterr().out.endswith(f"{ADDS_NOTHING}\n")
    assert evaluate.main([*files, "--json"]) == 0 and json.loads(capsys.readouterr().out)["base_alone"]


def test_a_training_that_makes_it_worse_proposes_a_smaller_rate_and_shows_no_minus_zero(tmp_path, capsys):
    values = np.random.default_rng(0).normal(size=200)
    files = trained(tmp_path, values, "--base", "mean", "--lr", "100", "--report", str(tmp_path / "r.json"))
    shown = capsys.readouterr().out
    assert ADDS_NOTHING in shown and "try a smaller --lr (now 100)" in shown and "-0.0%" not in shown
    assert json.loads((tmp_path / "r.json").read_text())["base_alone"] is True
    model = npseq.load(files[0])
    model.fc.theta[0] = 1.0
    model_file.save_model(files[0], model, {**model.metadata})
    capsys.readouterr()
    assert inspect_file.main(files[:1]) == 0 and ADDS_NOTHING not in capsys.readouterr().out


def test_a_network_alone_has_no_epoch_0_and_a_baseline_that_wins_is_named_in_training(tmp_path, capsys):
    trained(tmp_path, np.random.default_rng(0).normal(size=200).cumsum(), "--base", "none", "--lr", "3")
    assert "the base" not in capsys.readouterr().out
    trained(tmp_path, np.random.default_rng(1).normal(size=200).cumsum(), "--base", "mean", "--epochs", "1")
    assert "use that baseline there" in capsys.readouterr().out


@pytest.mark.parametrize("skill, shown", [(-50.0, -9.99), (9.98, 9.98), (0.5, 0.5), (99.0, 9.99), (-0.0004, 0.0)])
def test_a_skill_is_cut_at_999_percent(skill, shown):
    assert tables.cut(skill) == shown and f"{tables.cut(-0.0004):.1%}" == "0.0%"
    assert "-999.0%" in tables.comparison("m", {"rmse": 100.0, "mae": 1.0}, {"b": {"rmse": 1.0, "mae": 1.0}})


def test_the_season_of_a_year_is_last_year_in_words():
    months = np.arange("2000-01", "2010-01", dtype="datetime64[M]").astype("datetime64[s]")
    table = Table("m", np.arange(120.0)[:, None], ["y"], irregular=months)
    from npseq.forecast import ForecastTask
    from npseq.forecast.bases import describe

    task = ForecastTask(table, window=4, base="linear")
    assert baselines.Baselines(task, {}).label("seasonal_year") == "same time last year"
    (line,) = describe(ForecastTask(table, window=4, base="seasonal").base, ["y"], table)
    assert line == "base        y: same time last year and the trend"
