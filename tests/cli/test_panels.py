"""Many series on the command line: found by their form, trained together, forecast in the field's own form."""

import csv
import json

import numpy as np
import pytest
from running import ended, status

import npseq
from npseq import data
from npseq.cli.compare import main as compare
from npseq.cli.evaluate import main as evaluate
from npseq.cli.gradient_flow import main as flow
from npseq.cli.inspect_file import main as inspect
from npseq.cli.output import written
from npseq.cli.predict import main as predict
from npseq.cli.stream import main as stream
from npseq.forecast.panel import drawing
from npseq.formats.model_file import load_model
from npseq.tasks import pictures

pytest.importorskip("pandas")

H = 12
TRAIN = f"--model optimized_gru --epochs 1 --hidden-size 4 --horizon {H} --quiet"


def table_of(panel, times=None):
    lines = ["unique_id,ds,y"]
    for k, one in enumerate(panel.ids):
        own = written(panel.times(k) if times is None else np.arange(len(panel.times(k))) + 1)
        lines += [f"{one},{when},{value!r}" for when, value in zip(own, panel.values[panel.rows(k), 0].tolist())]
    return "\n".join(lines) + "\n"


def rows_of(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Twelve series in a long table, and the file of a model of them."""
    folder = tmp_path_factory.mktemp("many")
    panel = data.many(12)
    panel = panel.take(range(12)).without_last(200)
    (folder / "sales.csv").write_text(table_of(panel))
    assert status([*f"{TRAIN} --data {folder / 'sales.csv'} --out-dir {folder}".split()]) == 0
    return folder, panel


@pytest.mark.wide
def test_forecasts_are_a_long_table_of_every_series(few, tmp_path, capsys):
    folder, panel = few
    out = tmp_path / "f.csv"
    command = [str(folder / "rnn_optimized_gru_best.pth"), "--data", str(folder / "sales.csv"), "--steps", "30"]
    assert predict([*command, "--output", str(out)]) == 0
    rows = rows_of(out)
    assert list(rows[0]) == ["unique_id", "ds", "npseq", "npseq-lo-90", "npseq-hi-90"] and len(rows) == 12 * 30
    assert [row["unique_id"] for row in rows[::30]] == panel.ids
    assert rows[0]["ds"] == written(panel.times_after(0, 1))[0]
    values = np.array([[float(row[name]) for name in list(row)[2:]] for row in rows])
    assert (values[:, 1] <= values[:, 0]).all() and (values[:, 0] <= values[:, 2]).all()
    assert "30 forecasts of each of 12 series" in capsys.readouterr().out
    again = tmp_path / "q.csv"
    assert predict([*command, "--output", str(again), "--quantiles", "0.05,0.5"]) == 0
    assert [[row["npseq_q0.05"], row["npseq_q0.5"]] for row in rows_of(again)] == [
        [row["npseq-lo-90"], row["npseq"]] for row in rows
    ]
    assert ended(predict, [*command, "--output", str(again), "--quantiles", "0.05", "--interval", "0.9"]) == 2


@pytest.mark.wide
def test_the_order_of_the_series_and_the_form_of_the_table_change_no_forecast(few, tmp_path):
    folder, panel = few
    turned = panel.take(range(11, -1, -1))
    (tmp_path / "turned.csv").write_text(table_of(turned).replace("unique_id,ds,y", "shop,day,y"))
    for name, more in ((folder / "sales.csv", []), (tmp_path / "turned.csv", ["--id", "shop"])):
        command = [str(folder / "rnn_optimized_gru_best.pth"), "--data", str(name), *more]
        assert predict([*command, "--output", str(tmp_path / f"{name.stem}.out")]) == 0
    found = [
        {(row["unique_id"], row["ds"]): row["npseq"] for row in rows_of(tmp_path / f"{name}.out")}
        for name in ("sales", "turned")
    ]
    assert found[0] == found[1] and len(found[0]) == 12 * H


@pytest.mark.wide
def test_the_scores_are_told_for_all_and_for_each(few, tmp_path, capsys):
    folder, panel = few
    command = [str(folder / "rnn_optimized_gru_best.pth"), "--data", str(folder / "sales.csv")]
    assert evaluate([*command, "--scores", str(tmp_path / "s.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    title = next(line for line in lines if line.startswith("12 series, the last 12 rows of each"))
    assert title.split()[-5:] == ["MASE", "sMAPE", "RMSSE", "wQL", "covers"]
    for name in ("npseq", "closed forms", "network", "seasonal naive", "naive"):
        assert any(line.startswith(name) for line in lines)
    assert any(line.startswith("better than the seasonal naive: ") for line in lines)
    assert any(line.startswith("the 5 worst") for line in lines)
    rows = rows_of(tmp_path / "s.csv")
    assert [row["unique_id"] for row in rows] == panel.ids
    assert evaluate([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    k, s = 3, 24
    y = panel.values[panel.rows(k), 0]
    naive = np.abs(y[-H:] - y[-H - s : -s]).mean() / np.abs(y[s:-H] - y[: -s - H]).mean()
    assert found["series"][k]["mase_seasonal_naive"] == pytest.approx(naive)
    assert float(rows[k]["mase"]) == found["series"][k]["mase"]
    means = np.mean([one["mase_seasonal_naive"] for one in found["series"]])
    assert found["scores"]["seasonal naive"]["mase"] == pytest.approx(means)


@pytest.mark.wide
def test_few_series_are_told_one_by_one_and_new_ones_are_forecast(few, tmp_path, capsys):
    folder, panel = few
    new = panel.take([3, 1])
    new.ids = ["x", "short"]
    new = new.take([0, 1]).without_last(new.lengths[1] - 30) if new.lengths[0] > new.lengths[1] else new
    (tmp_path / "new.csv").write_text(table_of(new))
    model = str(folder / "rnn_optimized_gru_best.pth")
    assert predict([model, "--data", str(tmp_path / "new.csv"), "--output", str(tmp_path / "f.csv")]) == 0
    assert {row["unique_id"] for row in rows_of(tmp_path / "f.csv")} == {"x", "short"}
    assert all(np.isfinite(float(row["npseq"])) for row in rows_of(tmp_path / "f.csv"))
    capsys.readouterr()
    assert evaluate([model, "--data", str(tmp_path / "new.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("each series") for line in lines)
    assert f"the last {H} rows of 2 series are new to the model" in lines
    assert inspect([model]) == 0
    card = capsys.readouterr().out.split("\n\n")[0]
    for title in ("task        panel", "data        sales.csv, hash ", "target      y; 12 rows ahead", "base        ",
                  "trained on  12 series of ", "split       ", "settings    model optimized_gru, ", "held out    ",
                  "            the model: mase "):  # fmt: skip
        assert f"\n{title}" in f"\n{card}"


@pytest.mark.wide
@pytest.mark.parametrize("times", ["days", "counted"])
def test_one_series_in_long_form_is_forecast_as_in_a_plain_table_to_the_last_bit(tmp_path, times):
    panel = data.many(1).without_last(600)
    text = table_of(panel, None if times == "days" else "counted")
    (tmp_path / "long.csv").write_text(text)
    (tmp_path / "plain.csv").write_text(text.replace("unique_id,", "").replace("s000,", ""))
    for name in ("long", "plain"):
        source = str(tmp_path / f"{name}.csv")
        assert status([*f"{TRAIN} --data {source} --target y --name {name} --out-dir {tmp_path}".split()]) == 0
        command = [str(tmp_path / f"{name}.pth"), "--data", source, "--steps", "5", "--interval", "0.9"]
        assert predict([*command, "--output", str(tmp_path / f"{name}.out")]) == 0
    long, plain = (rows_of(tmp_path / f"{name}.out") for name in ("long", "plain"))
    assert [row["npseq"] for row in long] == [row["y"] for row in plain]
    assert [row["npseq-lo-90"] for row in long] == [row["y_low"] for row in plain]
    if times == "days":
        assert [row["ds"] for row in long] == [next(iter(row.values())) for row in plain]
    else:
        assert [int(row["ds"]) for row in long] == [len(panel.values) + 1 + k for k in range(5)]


@pytest.mark.wide
def test_the_picture_of_many_series_is_a_grid(few, tmp_path):
    pytest.importorskip("matplotlib")
    folder, _ = few
    command = [str(folder / "rnn_optimized_gru_best.pth"), "--data", str(folder / "sales.csv")]
    assert evaluate([*command, "--plot", str(tmp_path / "e.svg")]) == 0
    svg = (tmp_path / "e.svg").read_text()
    assert svg.count('id="axes_') == drawing.GRID and pictures.COLOURS[0] in svg


@pytest.mark.wide
def test_a_training_of_many_series_is_resumed_and_compared(few, tmp_path, capsys):
    folder, _ = few
    command = f"{TRAIN} --schedule constant --data {folder / 'sales.csv'} --out-dir {tmp_path}"
    assert status([*command.split(), "--checkpoint"]) == 0
    last = str(tmp_path / "rnn_optimized_gru_last.pth")
    assert status(["--resume", last, "--epochs", "2", "--quiet"]) == 0
    assert status([*command.replace("--epochs 1", "--epochs 2").split(), "--name", "whole"]) == 0
    resumed, whole = (load_model(str(tmp_path / name)) for name in ("rnn_optimized_gru_best.pth", "whole.pth"))
    assert (resumed.theta == whole.theta).all()
    capsys.readouterr()
    rest = command.replace("--model optimized_gru", "").replace(f"--out-dir {tmp_path}", "").replace("--quiet", "")
    assert compare(["--models", "optimized_gru", "--seeds", "1", *rest.split()]) == 0
    assert "test MASE" in capsys.readouterr().out


@pytest.mark.wide
def test_a_backtest_of_many_series_scores_the_windows_of_cross_validation(tmp_path, capsys):
    panel = data.many(4).without_last(560)
    (tmp_path / "t.csv").write_text(table_of(panel))
    argv = [*TRAIN.replace(" --quiet", "").split(), "--data", str(tmp_path / "t.csv"), "--out-dir", str(tmp_path)]
    assert status([*argv, "--backtest", "2"]) == 0 and not list(tmp_path.glob("*.pth"))
    *windows, mean = (part.splitlines() for part in capsys.readouterr().out.strip().split("\n\n"))
    assert [lines[0].split("  ")[0] for lines in windows] == [
        f"4 series, {H} rows, {back} before the end" for back in (2 * H, H)
    ]
    assert mean[0].startswith("the mean of 2 ")
    found, (first, second) = mean[1].split(), (lines[1].split() for lines in windows)
    assert found[0] == "npseq" and float(found[1]) == pytest.approx((float(first[1]) + float(second[1])) / 2, abs=1e-3)
    frame = npseq.Forecaster("optimized_gru", epochs=1, hidden_size=4).cross_validation(panel, h=H)
    y, f = frame.y.to_numpy().reshape(4, H), frame.npseq.to_numpy().reshape(4, H)
    smape = np.mean(200 * np.abs(y - f) / (np.abs(y) + np.abs(f) + (y + f == 0)))
    assert float(second[2]) == pytest.approx(smape, abs=0.01)


@pytest.mark.wide
def test_commands_of_one_series_refuse_many_by_name(few, tmp_path, capsys):
    folder, _ = few
    source, model = str(folder / "sales.csv"), str(folder / "rnn_optimized_gru_best.pth")
    assert ended(stream, [model]) == 2
    assert "forecasts many series (npseq predict)" in capsys.readouterr().err
    assert flow(["--models", "gru", "--data", source, "--epochs", "1", "--hidden-size", "2"]) == 0


def test_bad_options_of_many_series_end_in_one_line(tmp_path, capsys):
    (tmp_path / "t.csv").write_text(table_of(data.many(2).without_last(800)))
    (tmp_path / "other.csv").write_text((tmp_path / "t.csv").read_text().replace("unique_id,ds", "shop,day"))
    source, other = f"--data {tmp_path / 't.csv'}", f"--data {tmp_path / 'other.csv'}"
    for options, words in (
        (f"{source} --lags 3", "--lags is for one series; t.csv holds 2"),
        (f"{source} --backtest 2 --lags 3", "--lags is for one series; t.csv holds 2"),
        (f"{source} --backtest 9 --horizon 90", "no series has more than 810 rows"),
        (f"{source} --target a,b", "2 targets given"),
        (f"{source} --target z", "no column 'z'"),
        (f"{source} --id nobody", "no column 'nobody'"),
        (f"{source} --horizon 9000", "rows; to forecast 9000"),
        (f"{source} --wide --id y", "not allowed with"),
        (other, "--id shop"),
    ):
        assert status([*options.split(), "--out-dir", str(tmp_path)]) == 2, options
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1, err
    assert not list(tmp_path.glob("*.pth"))
