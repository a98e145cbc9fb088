"""Tables through the commands: what is read, told and asked for; runs that are resumed or started from weights."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq.cli.commands import main

pytest.importorskip("pandas")
CASES = Path(__file__).parent.parent / "data" / "cases"
SMALL = ["--epochs", "1", "--hidden-size", "4"]
ALONE = [*SMALL, "--base", "none"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A function that runs a command in an empty folder. Returns exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        try:
            status = main([str(word) for word in words])
        except SystemExit as exit:
            status = exit.code
        out, err = capsys.readouterr()
        return status, out, err

    return run


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.wide
@pytest.mark.parametrize("name, dates", [
    ("monthly", ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01", "2020-06-01"]),
    ("weekdays", ["2022-02-28", "2022-03-01", "2022-03-02", "2022-03-03", "2022-03-04", "2022-03-07"]),
])  # fmt: skip
def test_forecasts_are_dated_by_the_calendar(run, name, dates):
    data = CASES / "calendar-steps" / f"{name}.csv"
    status, out, _ = run("train", "--data", data, *SMALL)
    assert status == 0 and "irregular" not in out
    for horizon in ([], ["--horizon", "6", "--lags", "none"]):
        run("train", "--data", data, *SMALL, *horizon, "--quiet")
        assert run("predict", "rnn_lstm_best.pth", "--data", data, "--output", "f.csv", "--steps", "6")[0] == 0
        assert [row[0][:10] for row in rows_of("f.csv")[1:]] == dates
    run("predict", "rnn_lstm_best.pth", "--data", data, "--output", "f.csv")
    assert rows_of("f.csv")[-1][0][:10] == dates[-1]  # six rows ahead of the last


@pytest.mark.wide
def test_what_was_decided_is_told_and_what_is_said_is_used(run):
    status, out, _ = run("train", "--data", CASES / "quoted-decimal-comma" / "kurs.csv", *ALONE)
    assert status == 0 and "predicting Zuletzt" in out
    assert "read as: ',' between fields, decimal comma, header, day first, 2 columns, 300 rows" in out
    Path("t.csv").write_text("a:b\n" + "".join(f"{k % 7}:{-9999 if k % 9 == 4 else k % 5}\n" for k in range(90)))
    status, out, _ = run("train", "--data", "t.csv", "--sep", ":", "--target", "b", "--force", *ALONE)
    assert status == 0 and "b holds -9999 10 times" in out and "--na -9999" in out
    status, out, _ = run("train", "--data", "t.csv", "--sep=:", "--na", "-9999", "--target", "b", "--force", *ALONE)
    assert status == 0 and "10 gaps in b filled" in out
    assert run("evaluate", "rnn_lstm_best.pth", "--data", "t.csv", "--sep", ":", "--na=-9999")[0] == 0
    options = ["--sep", ":", "--na", "-9999", "--output", "f.csv", "--steps", "2"]
    assert run("predict", "rnn_lstm_best.pth", "--data", "t.csv", *options)[0] == 0 and len(rows_of("f.csv")) == 3


def test_two_readings_end_in_one_line_that_names_both(run):
    Path("t.csv").write_text("a;b\n" + "".join(f"{k % 8 + 1},{k % 9}50;{k}\n" for k in range(60)))
    status, _, err = run("train", "--data", "t.csv", *ALONE)
    assert status == 2 and err.count("\n") == 1 and "--decimal ','" in err and "--thousands ','" in err
    assert run("train", "--data", "t.csv", "--decimal", ",", *ALONE)[0] == 0
    for options in (["--header", "--no-header"], ["--sep", "ab"], ["--decimal", ""]):
        status, _, err = run("train", "--data", "t.csv", *options)
        assert status == 2 and err.count("\n") == 1
    assert not list(Path().glob("*.pth")) or run("train", "--data", "t.csv", "--decimal", ",", *ALONE)[0] == 0


def test_a_row_for_each_sequence(run):
    data = CASES / "one-row-a-sequence" / "ramps_TRAIN.tsv"
    status, out, _ = run("train", "--data", data, "--label", "0", "--model", "gru", "--epochs", "3", "--lr", "0.01")
    assert status == 0 and "60 sequences of 30 to 30 frames, 1 columns, 2 classes" in out
    assert run("evaluate", "rnn_gru_best.pth", "--data", data)[0] == 0
    assert run("predict", "rnn_gru_best.pth", "--data", data, "--output", "o.csv")[0] == 0
    answers = [row[1] for row in rows_of("o.csv")[1:]]
    Path("bare.tsv").write_text("".join(line.split("\t", 1)[1] for line in data.read_text().splitlines(True)))
    assert run("predict", "rnn_gru_best.pth", "--data", "bare.tsv", "--label", "none", "--output", "o.csv")[0] == 0
    assert [row[1] for row in rows_of("o.csv")[1:]] == answers and len(answers) == 60


def test_the_order_of_the_rows_changes_nothing_where_there_is_a_time(run):
    for name in ("mixed", "sorted"):
        data = CASES / "frames-in-time-order" / f"{name}.csv"
        options = ["--sequence", "seq", "--label", "label", "--time", "when", *SMALL, "--out-dir", name]
        status, out, _ = run("train", "--data", data, *options)
        assert status == 0 and ("rows were not in time order: sorted" in out) == (name == "mixed")
    first, second = (npseq.load(f"{name}/rnn_lstm_best.pth") for name in ("mixed", "sorted"))
    assert np.array_equal(first.theta, second.theta)


def test_sequences_without_a_label_are_left_out(run):
    data = CASES / "missing-label" / "labels.csv"
    status, out, _ = run("train", "--data", data, "--sequence", "seq", "--label", "label", *SMALL)
    assert (
        status == 0 and "20 sequences have no label: left out" in out and "60 sequences" in out and "2 classes" in out
    )
    run("predict", "rnn_lstm_best.pth", "--data", data, "--output", "o.csv")
    assert rows_of("o.csv")[0] == ["sequence", "answer", "p_down", "p_up"] and len(rows_of("o.csv")) == 81


def test_a_number_for_each_sequence(run):
    rng = np.random.default_rng(0)
    rows = ["y,a,b,c"] + [",".join(map(str, [x.sum() * 2 + 5, *x])) for x in rng.normal(size=(60, 3))]
    Path("t.csv").write_text("\n".join(rows))
    status, out, _ = run("train", "--data", "t.csv", "--label", "y", "--regress", "--epochs", "30", "--lr", "0.02")
    assert status == 0 and "R²" in out and "linear in simple statistics" in out and "mean" in out
    assert run("predict", "rnn_lstm_best.pth", "--data", "t.csv", "--output", "o.csv")[0] == 0
    found = np.array([float(row[1]) for row in rows_of("o.csv")[1:]])
    truth = np.array([float(row.split(",")[0]) for row in rows[1:]])
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    assert "R²" in run("evaluate", "rnn_lstm_best.pth", "--data", "t.csv")[1]
    for words, expected in (
        (["--label", "y"], "say --regress"),
        (["--regress"], "--label"),
        (["--sequence", "y"], "--label COLUMN"),
    ):
        status, _, err = run("train", "--data", "t.csv", *words)
        assert status == 2 and err.count("\n") == 1 and expected in err


@pytest.mark.wide
def test_a_resumed_run_finds_its_data_by_content(run):
    shutil.copy(CASES / "resume-data-moved" / "load.csv", "load.csv")
    whole = ["--hidden-size", "4", "--schedule", "constant", "--quiet"]
    run("train", "--data", "load.csv", "--epochs", "4", *whole, "--out-dir", "whole")
    assert run("train", "--data", "load.csv", "--epochs", "2", "--checkpoint", *whole)[0] == 0
    Path("new").mkdir()
    Path("load.csv").rename("new/other.csv")
    status, _, err = run("train", "--resume", "rnn_lstm_last.pth", "--epochs", "4")
    assert status == 2 and "no file load.csv" in err and "--data" in err
    assert run("train", "--resume", "rnn_lstm_last.pth", "--epochs", "4", "--data", "new/other.csv")[0] == 0
    assert np.array_equal(npseq.load("rnn_lstm_best.pth").theta, npseq.load("whole/rnn_lstm_best.pth").theta)
    Path("new/other.csv").write_text(Path("new/other.csv").read_text().replace("103.15", "103.16"))
    status, _, err = run("train", "--resume", "rnn_lstm_last.pth", "--epochs", "5", "--data", "new/other.csv")
    assert status == 2 and "data have changed" in err
    shutil.copy(CASES / "resume-data-moved" / "load.csv", "load.csv")
    assert run("train", "--data", "load.csv", "--epochs", "1", "--checkpoint", "--hidden-size", "4", "--force")[0] == 0
    Path("load.csv").rename("new/load.csv")  # with the default schedule, whose rates depend on the number of epochs
    status, out, _ = run("train", "--resume", "rnn_lstm_last.pth", "--epochs", "2", "--data", "new/load.csv")
    assert status == 0 and "begun with 1 epochs: the learning rates are now those of 2 epochs" in out
    assert (
        run("train", "--data", "new/load.csv", "--epochs", "1", "--checkpoint", *whole, "--schedule", "onecycle")[0]
        == 0
    )
    status, _, err = run("train", "--resume", "rnn_lstm_last.pth", "--epochs", "2")
    assert status == 2 and "the schedule onecycle depends on their number" in err
    settings = ["--sep", ",", "--na", "x", "--no-header"]  # options of tables are kept
    Path("plain.csv").write_text("".join(f"{k % 7},{k % 3}\n" for k in range(90)))
    assert run("train", "--data", "plain.csv", "--epochs", "1", "--checkpoint", "--force", *whole, *settings)[0] == 0
    assert run("train", "--resume", "rnn_lstm_last.pth", "--epochs", "2")[0] == 0


@pytest.mark.wide
def test_a_run_may_start_from_weights(run):
    torch = pytest.importorskip("torch")
    data = CASES / "resume-data-moved" / "load.csv"
    small = ["--data", data, "--hidden-size", "4", "--schedule", "constant", "--quiet"]
    assert run("train", *small, "--epochs", "3", "--out-dir", "a")[0] == 0
    torch.save(torch.load("a/rnn_lstm_best.pth", weights_only=True), "torch.pth")
    for file in ("a/rnn_lstm_best.pth", "torch.pth"):
        assert run("train", *small, "--epochs", "1", "--init", file, "--lr", "1e-12")[0] == 0
        assert np.allclose(npseq.load("rnn_lstm_best.pth").theta, npseq.load("a/rnn_lstm_best.pth").theta, atol=1e-6)
    for options, words in (
        (["--hidden-size", "8"], ["rnn.weight_ih_l0", "(16, 11)", "(32, 11)"]),
        (["--model", "gru"], ["(16, 11)", "(12, 11)"]),
        (["--num-layers", "2"], ["rnn.weight_ih_l1", "none"]),
    ):
        status, _, err = run("train", *small, "--epochs", "1", "--init", "torch.pth", *options)
        assert status == 2 and err.count("\n") == 1 and all(word in err for word in words)
    run("train", *small, "--epochs", "1", "--checkpoint", "--init", "torch.pth")
    Path("torch.pth").unlink()
    assert run("train", "--resume", "rnn_lstm_last.pth", "--epochs", "2", "--quiet")[0] == 0
