"""Names of files and columns that a locale, a font or a formula does not take: no command fails for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import Ended

import npseq
from npseq.cli import plots
from npseq.formats import paths

SMALL = ["--epochs", "1", "--hidden-size", "2", "--quiet"]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}  # file names are surrogates there


def run(argv, folder, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONIO", "LC_", "LANG"))}
    kept |= {"PYTHONPATH": str(Path(npseq.__file__).parent.parent), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, "-m", "npseq", *argv], cwd=folder, env=kept, capture_output=True, timeout=120
    )


@pytest.mark.wide
@pytest.mark.parametrize(
    "first, second", [({}, ASCII), (ASCII, {})], ids=["from UTF-8 to ASCII", "from ASCII to UTF-8"]
)
def test_a_run_is_resumed_under_another_locale(tmp_path, small_csv, first, second):
    (tmp_path / "größe.csv").write_bytes(Path(small_csv).read_bytes())
    for argv, more in (
        (["train", "--data", "größe.csv", "--base", "linear", "--checkpoint", *SMALL], first),
        (["train", "--resume", "rnn_lstm_last.pth", "--epochs", "2", "--quiet"], second),
        (["export", "rnn_lstm_best.pth", "--to", "ö.h", "--with-scaler", "--example"], second),
    ):
        end = run(argv, tmp_path, **more)
        assert end.returncode == 0 and end.stderr == b"", end.stderr


@pytest.mark.wide
@pytest.mark.parametrize("name", ["a$b$_{.csv", "größe.csv", os.fsdecode(b"l\xf6.csv"), "a\nb.csv", "漢字 \u202e.csv"])
def test_any_name_can_be_drawn(tmp_path, small_csv, monkeypatch, name):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    column = "$x_{$ 漢" if "\n" in name else "load"
    Path(name).write_text(Path(small_csv).read_text().replace("load", column), "utf-8")
    for argv in (
        ["train", "--data", name, *SMALL, "--plot", "a.svg"],
        ["evaluate", "rnn_lstm_best.pth", "--data", name, "--plot", "b.svg"],
        ["predict", "rnn_lstm_best.pth", "--data", name, "--plot", "c.svg", "--output", "c.csv"],
    ):
        end = Ended(argv)
        assert end.status == 0 and not end.fault(), (end.err, end.trace)


@pytest.mark.wide
def test_classes_are_no_formulas(tmp_path):
    pytest.importorskip("matplotlib")
    plots.confusion(str(tmp_path / "a.svg"), [[1, 0], [0, 1]], ["$_{$", "\udcf6\x00"], "a$b$^{")


def test_a_path_as_text_and_back():
    assert paths.text_of("gr\udcc3\udcb6.csv") == "grö.csv" and paths.text_of("\udcf6") == "\udcf6"
    assert paths.path_of("grö.csv") == "grö.csv" and paths.name_of("a/gr\udcc3\udcb6") == "grö"
