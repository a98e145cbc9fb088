"""Forecasts through the commands: honest scores, known values ahead, several files, gaps, backtests."""

import csv
import json

import numpy as np
import pytest
from running import status

import npseq
from npseq import data
from npseq.cli import evaluate, predict

START, HOUR = np.datetime64("2024-03-04T00"), np.timedelta64(1, "h")
HOURS = 700
NAMES = ["mean", "persistence", "seasonal_day", "seasonal_week", "ar", "ar_slot"]


def write(path, columns, hours=HOURS):
    """A CSV of these columns, a NaN as an empty cell."""
    lines = [",".join(["time", *columns])]
    for k in range(hours):
        cells = ["" if np.isnan(values[k]) else f"{values[k]:.4f}" for values in columns.values()]
        lines.append(",".join([str(START + k * HOUR).replace("T", " ") + ":00", *cells]))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def load_and_price(hours=HOURS, seed=0):
    """A load that depends on the price of its hour, which jumps and is known ahead."""
    rng, t = np.random.default_rng(seed), np.arange(hours)
    price = rng.choice([10.0, 30.0], hours)
    load = 100 + 10 * np.sin(2 * np.pi * t / 24) + price + rng.normal(size=hours)
    return {"load": load, "price": price}


def train(folder, file, *options):
    argv = "--model optimized_gru --epochs 2 --hidden-size 4 --quiet".split()
    assert status([*argv, "--data", file, "--out-dir", str(folder), *options]) == 0
    return str(folder / "rnn_optimized_gru_best.pth")


def scores(capsys, *argv):
    capsys.readouterr()
    assert evaluate.main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, main, *argv):
    with pytest.raises(SystemExit) as end:
        main(list(argv))
    message = capsys.readouterr().err
    assert end.value.code == 2 and message.count("\n") == 1
    return message


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A file with a price known ahead, and a model trained with it."""
    folder = tmp_path_factory.mktemp("known")
    return (
        folder,
        write(folder / "k.csv", load_and_price()),
        train(folder, write(folder / "k.csv", load_and_price()), "--target", "load", "--future", "price"),
    )


@pytest.mark.wide
def test_every_score_stands_beside_every_baselines_on_the_same_rows(tmp_path, capsys):
    file = write(tmp_path / "a.csv", {"load": load_and_price()["load"]})
    best = train(tmp_path, file, "--horizon", "3", "--base", "seasonal")
    found = scores(capsys, best, "--data", file, "--steps", "30")
    assert list(found["baselines"]) == NAMES and set(found["model"]) == {"rmse", "mae"}
    assert [row["step"] for row in found["by_step"]] == list(range(1, 31))
    for row in found["by_step"]:
        assert list(row["baselines"]) == NAMES and row["model"]["rmse"] > 0
    best_rmse = min(each["rmse"] for each in found["baselines"].values())
    assert np.isclose(found["skill"], 1 - found["model"]["rmse"] / best_rmse)
    # persistence by hand, on the rows that are not of training or validation
    load = data.load(file).values[:, 0]
    origins = np.arange(int(0.85 * HOURS), HOURS - 30 + 1)
    expected = np.sqrt(np.mean((load[origins + 29] - load[origins - 1]) ** 2))
    assert np.isclose(found["by_step"][29]["baselines"]["persistence"]["rmse"], expected)


def test_the_last_line_says_in_words_which_baseline_wins(tmp_path, capsys):
    file = write(tmp_path / "a.csv", {"load": np.cumsum(np.random.default_rng(0).normal(size=HOURS))})
    best = train(tmp_path, file, "--base", "mean", "--lr", "1e-9")
    assert evaluate.main([best, "--data", file]) == 0
    last = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert "better than optimized_gru" in last and "fed back" in last


@pytest.mark.wide
def test_targets_of_different_units_are_never_pooled(tmp_path, capsys):
    columns = load_and_price()
    file = write(tmp_path / "a.csv", {"load": columns["load"], "watts": 1e6 * columns["price"]})
    best = train(tmp_path, file, "--target", "load,watts")
    found = scores(capsys, best, "--data", file)["targets"]
    assert list(found) == ["load", "watts"] and found["watts"]["model"]["rmse"] > 1e5 > found["load"]["model"]["rmse"]
    assert evaluate.main([best, "--data", file]) == 0
    shown = capsys.readouterr().out
    assert "load, one row ahead" in shown and "watts, one row ahead" in shown


@pytest.mark.wide
@pytest.mark.parametrize("count", [10, 11])
def test_ten_targets_have_a_table_each_and_more_a_summary(tmp_path, capsys, count):
    rng = np.random.default_rng(0)
    names = [f"s{k}" for k in range(count)]
    file = write(tmp_path / "a.csv", {name: rng.normal(size=150) for name in names}, 150)
    best = train(tmp_path, file, "--target", ",".join(names), "--base", "last", "--window", "4")
    capsys.readouterr()
    assert evaluate.main([best, "--data", file]) == 0
    shown = capsys.readouterr().out
    assert [f"{name}, one row ahead" in shown for name in names] == [count == 10] * count
    assert ("--json has each target" in shown) == (count == 11)


# ---- what is known ahead ----


@pytest.mark.wide
def test_values_known_ahead_are_used_by_the_base_and_the_network(known, capsys):
    _, file, best = known
    found = scores(capsys, best, "--data", file)
    least = min(each["rmse"] for each in found["baselines"].values())
    assert found["model"]["rmse"] < 0.3 * least and found["fed_back"]["model"]["rmse"] < 0.3 * least
    assert npseq.load(best).metadata["recipe"]["future"] == ["price"]


@pytest.mark.wide
def test_rows_at_the_end_without_a_target_are_forecast_from_their_known_values(known, tmp_path, capsys):
    _, _, best = known
    columns = load_and_price()
    truth, columns["load"] = columns["load"].copy(), np.where(np.arange(HOURS) < HOURS - 10, columns["load"], np.nan)
    file, out = write(tmp_path / "f.csv", columns), tmp_path / "out.csv"
    assert predict.main([best, "--data", file, "--output", str(out), "--interval", "0.9"]) == 0
    rows = list(csv.DictReader(out.open()))
    assert [row["time"] for row in rows] == [
        str(START + k * HOUR).replace("T", " ") + ":00:00" for k in range(690, 700)
    ]
    found = np.array([[float(row[name]) for name in ("load_low", "load", "load_high")] for row in rows])
    assert np.abs(found[:, 1] - truth[-10:]).max() < 6 and (np.diff(found) > 0).all()
    assert predict.main([best, "--data", file, "--output", str(out), "--whole"]) == 0
    assert all(row["load"].isdigit() for row in csv.DictReader(out.open()))
    message = refused(capsys, predict.main, best, "--data", file, "--output", str(out), "--steps", "11")
    assert "price" in message and "10" in message


@pytest.mark.wide
def test_inputs_that_are_not_known_ahead_are_refused_with_the_two_ways_out(tmp_path, capsys):
    file, out = write(tmp_path / "k.csv", load_and_price()), tmp_path / "out.csv"
    best = train(tmp_path, file, "--target", "load", "--inputs", "price")
    message = refused(capsys, predict.main, best, "--data", file, "--output", str(out), "--steps", "5")
    assert "price" in message and "--future price" in message and "without --inputs" in message and not out.exists()
    assert predict.main([best, "--data", file, "--output", str(out), "--steps", "1"]) == 0


# ---- new data ----


def test_values_far_outside_the_range_of_the_training_are_told(tmp_path, capsys):
    columns = {"load": load_and_price()["load"]}
    best, out = train(tmp_path, write(tmp_path / "a.csv", columns), "--base", "none"), str(tmp_path / "out.csv")
    columns["load"][650:652] = 1e4
    file = write(tmp_path / "b.csv", columns)
    assert predict.main([best, "--data", file, "--output", out]) == 0
    assert "2 values of load lie far outside" in capsys.readouterr().out


@pytest.mark.wide
def test_several_files_are_averaged(tmp_path):
    file, forecasts = write(tmp_path / "a.csv", {"load": load_and_price()["load"]}), []
    bests = []
    for seed in ("0", "1"):
        (tmp_path / seed).mkdir()
        bests.append(train(tmp_path / seed, file, "--seed", seed, "--base", "none"))
    for files in ([bests[0]], [bests[1]], bests):
        out = tmp_path / "out.csv"
        assert predict.main([*files, "--data", file, "--output", str(out), "--steps", "12"]) == 0
        forecasts.append([float(row["load"]) for row in csv.DictReader(out.open())])
    assert np.allclose(forecasts[2], np.mean(forecasts[:2], axis=0), rtol=1e-8)
    assert not np.allclose(forecasts[0], forecasts[1], rtol=1e-6)


@pytest.mark.wide
def test_part_of_the_training_rows_in_a_longer_or_later_table_is_left_out(tmp_path, capsys):
    columns = {"load": load_and_price(2600)["load"]}
    best = train(tmp_path, write(tmp_path / "a.csv", columns, 2600))
    lines = (tmp_path / "a.csv").read_text().splitlines(keepends=True)
    (tmp_path / "later.csv").write_text("".join(lines[:1] + lines[501:]))  # the first 500 rows are missing
    assert evaluate.main([best, "--data", str(tmp_path / "later.csv")]) == 0
    shown = capsys.readouterr().out
    left_out = int(shown.split(" rows that the model was trained")[0].split("\n")[-1].replace(",", ""))
    assert 2600 - 500 >= left_out >= int(0.85 * 2600) - 1024 and "the test part" in shown


# ---- gaps ----


@pytest.mark.wide
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_what_is_reported_with_gaps_is_what_a_user_measures_on_the_values_that_were_there(tmp_path, capsys, share):
    load = load_and_price(1500)["load"]
    gone = np.random.default_rng(1).random(1500) < share
    gone[:24] = gone[-1] = False
    file, out = write(tmp_path / "g.csv", {"load": np.where(gone, np.nan, load)}, 1500), tmp_path / "out.csv"
    report = tmp_path / "r.json"
    best = train(tmp_path, file, "--report", str(report))
    found = scores(capsys, best, "--data", file)
    assert predict.main([best, "--data", file, "--output", str(out)]) == 0
    forecast = {row["time"]: float(row["load"]) for row in csv.DictReader(out.open())}
    names = [str(START + k * HOUR).replace("T", " ") + ":00:00" for k in range(1500)]
    errors = [forecast[names[k]] - load[k] for k in range(int(0.85 * 1500), 1500) if not gone[k]]
    measured = np.sqrt(np.mean(np.square(errors)))
    assert np.isclose(found["model"]["rmse"], measured, rtol=0.01)
    assert np.isclose(json.loads(report.read_text())["test"]["rmse"], measured, rtol=0.01)
    assert measured < 1.2 * min(each["rmse"] for each in found["baselines"].values())


# ---- rolling origins ----


@pytest.mark.wide
def test_a_backtest_trains_at_each_origin_and_keeps_no_file(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / "a.csv", {"load": load_and_price()["load"]})
    argv = ["--data", file, "--model", "optimized_gru", "--epochs", "1", "--hidden-size", "4"]
    assert status([*argv, "--backtest", "3"]) == 0
    shown = capsys.readouterr().out.splitlines()
    rows = [int(line.split()[0].replace(",", "")) for line in shown[1:4]]
    assert rows == [round(HOURS * 0.85**2), round(HOURS * 0.85), HOURS] and "of 3" in shown[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert status([*argv, "--epochs", "1", "--out-dir", "out", "--report", "r.json", "--quiet"]) == 0
    assert f"{json.loads((tmp_path / 'r.json').read_text())['test']['rmse']:.4g}" in shown[3]
    for wrong, words in ((["--backtest", "3", "--checkpoint"], "--checkpoint"), (["--backtest", "99"], "99")):
        assert status([*argv, *wrong]) == 2
        assert words in capsys.readouterr().err
