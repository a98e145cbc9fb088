"""Weights files of npseq 0.1.0 load, predict, evaluate, export and resume; a newer format is refused by its number."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from running import status

import npseq
from npseq import checkpoint
from npseq.cli import commands

FILES = Path(__file__).parents[1] / "files"
BEST, LAST, CLASSIFIER = (FILES / f"0.1.0_{name}.pth" for name in ("lstm_best", "lstm_last", "gru_best"))


def test_a_forecast_is_that_of_0_1_0(tmp_path, small_csv):
    out = tmp_path / "f.csv"
    argv = ["predict", str(BEST), "--data", small_csv, "--output", str(out), "--steps", "3", "--interval", "0.9"]
    assert commands.main(argv) == 0
    rows = list(csv.DictReader(out.open()))
    shown = [[float(row[name]) for name in ("load", "load_low", "load_high")] for row in rows]
    expected = [[111.8559, 67.1456, 144.1332], [109.3144, 55.1985, 128.4406], [115.0195, 68.9383, 145.3367]]
    assert np.allclose(shown, expected, rtol=1e-5)
    assert [row["time"] for row in rows] == [f"2024-03-25 0{h}:00:00" for h in range(3)]


def test_an_evaluation_is_that_of_0_1_0(small_csv, capsys):
    assert commands.main(["evaluate", str(BEST), "--data", small_csv]) == 0
    shown = capsys.readouterr().out
    assert "75 examples, the test part" in shown and "holds 88.7% of the values" in shown
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("lstm ")][:1] == ["29.3"]


def test_a_classifier_is_evaluated(capsys):
    assert commands.main(["evaluate", str(CLASSIFIER)]) == 0
    assert "370 sequences, the test part" in capsys.readouterr().out


def test_a_file_exports(tmp_path):
    assert commands.main(["export", str(BEST), "--to", str(tmp_path / "m.onnx"), "--with-scaler"]) == 0
    assert (tmp_path / "m.onnx").stat().st_size > 1000


def test_a_resumed_run_gives_the_weights_of_one_that_was_never_interrupted(tmp_path, small_csv):
    last = tmp_path / "rnn_lstm_last.pth"
    shutil.copy(LAST, last)
    assert status(["--resume", str(last), "--data", small_csv, "--epochs", "4", "--quiet"]) == 0
    options = ["--base", "none", "--hidden-size", "3", "--horizon", "2", "--window", "6", "--epochs", "4", "--quiet"]
    assert status(["--data", small_csv, *options, "--out-dir", str(tmp_path / "whole")]) == 0
    resumed, whole = (npseq.load(folder / "rnn_lstm_best.pth") for folder in (tmp_path, tmp_path / "whole"))
    # to rounding: 0.1.0 summed the gradients of the biases in another order
    assert np.abs(resumed.theta - whole.theta).max() < 1e-6


@pytest.mark.parametrize("path, argv", [(BEST, ["evaluate"]), (LAST, ["train", "--resume"])])
@pytest.mark.parametrize("version, words", [(99, "format 99"), ("1", "format '1'"), (True, "format True")])
def test_a_newer_or_unknown_format_is_refused_by_its_number(tmp_path, capsys, path, argv, version, words):
    file = checkpoint.load(path)
    file.metadata["npseq"] = version
    checkpoint.save(tmp_path / "new.pth", file.content, file.metadata)
    with pytest.raises(SystemExit) as end:
        commands.main([*argv, str(tmp_path / "new.pth")])
    message = capsys.readouterr().err
    assert end.value.code == 2 and message.count("\n") == 1 and words in message
    assert "up to 2" in message or "from 1 to 2" in message
