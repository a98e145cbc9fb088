"""``npseq SUBCOMMAND``."""

import importlib
import io
import re
import shlex
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from npseq import __version__, train
from npseq.cli import commands
from npseq.data.sources import shipped


def test_help_names_every_command(capsys):
    assert commands.main(["-h"]) == 0
    shown = capsys.readouterr().out
    for name in commands.COMMANDS:
        assert name in shown


@pytest.mark.parametrize("argv", [[], ["trian"], ["--model", "lstm"]])
def test_an_unknown_command_gives_one_line_and_status_2(argv, capsys):
    assert commands.main(argv) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "train" in message and (not argv or argv[0] in message)


@pytest.mark.parametrize("name", sorted(commands.COMMANDS))
def test_every_command_exists_and_shows_an_example_in_its_help(name, capsys):
    main = importlib.import_module(commands.COMMANDS[name][0]).main
    with pytest.raises(SystemExit) as end:
        main(["-h"])
    assert end.value.code == 0
    assert "example" in capsys.readouterr().out


def shown_by(name, capsys, *argv):
    """The options that the help of a command lists."""
    with pytest.raises(SystemExit):
        importlib.import_module(commands.COMMANDS[name][0]).main(["-h", *argv])
    return set(re.findall(r"^  (?:-h \S+ )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))


def test_the_help_of_train_shows_fifteen_options_and_that_of_all_every_one(capsys):
    every = {name for name in train.parser()._option_string_actions if name.startswith("--")}
    usual = shown_by("train", capsys) - {"--help"}
    assert len(usual) == 15 and {"--data", "--target", "--plot", "--resume", "--lr"} <= usual
    assert {"--no-refit", "--num-layers", "--sep", "--weight-decay"} <= shown_by("train", capsys, "all") <= every
    assert shown_by("train", capsys, "all") > usual


@pytest.mark.parametrize("name", ["train", "evaluate", "predict", "flow"])
def test_options_of_tables_are_in_the_help_of_all_alone(name, capsys):
    tables = {"--sep", "--decimal", "--encoding", "--max-memory"}
    assert not tables & shown_by(name, capsys) and tables <= shown_by(name, capsys, "all")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert train.main(["--epochs", "1", "--quiet", "--out-dir", str(folder)]) == 0
    return folder


@pytest.mark.wide
@pytest.mark.parametrize("name", sorted(commands.COMMANDS))
def test_the_example_in_each_commands_help_runs(name, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    main = importlib.import_module(commands.COMMANDS[name][0]).main
    with pytest.raises(SystemExit):
        main(["-h"])
    example = shlex.split(re.search(r"example:\s+(?:tail [^|]*\| )?npseq ([^;]*)", capsys.readouterr().out)[1])
    assert example[0] == name
    if name in ("sample", "neurons"):  # of a model of a text
        monkeypatch.chdir(tmp_path)
        Path("some.txt").write_text(Path(shipped("tiny_shakespeare.txt")).read_text(encoding="utf-8")[:50_000])
        assert train.main(["--data", "some.txt", "--hidden-size", "16", "--epochs", "1", "--quiet"]) == 0
    if name == "stream":
        hours = np.datetime64("2018-01-01T00") + np.arange(400)
        rows = "hour,traffic_volume\n" + "".join(f"{hour},{1000 + k}\n" for k, hour in enumerate(hours))
        monkeypatch.setattr(sys, "stdin", io.StringIO(rows))
    status = commands.main(example + ["--epochs", "1"] * (name in ("train", "compare")))
    assert status == (1 if "--break" in example else 0)  # a planted bug is found
    assert capsys.readouterr().out


@pytest.mark.parametrize("error", [OSError("no\nspace"), MemoryError(), commands.DataError("give lags")])
def test_what_fails_in_any_command_is_one_line_and_status_1(error, capsys):
    def main():
        raise error

    assert commands.run(main, "npseq x") == 1
    shown = capsys.readouterr().err
    assert shown.startswith("npseq x: error: ") and shown.count("\n") == 1


def test_a_warning_is_told_once_after_the_output_and_not_beside_an_error(capsys):
    def main(status):
        for _ in range(2):
            warnings.warn("slow", UserWarning, stacklevel=1)
        print("done")
        return status

    assert commands.run(main, "npseq x", 0) == 0 and capsys.readouterr() == ("done\n", "npseq x: slow\n")
    assert commands.run(main, "npseq x", 2) == 2 and capsys.readouterr() == ("done\n", "")


def test_the_version_names_numpy_its_blas_and_the_threads(capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert commands.main(["--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"npseq {__version__}" and second.startswith(f"NumPy {np.__version__}, ")
    assert second.endswith(", 1 thread")


@pytest.mark.parametrize(
    "argv, end",
    [
        (["train", "--hidden", "64"], "--hidden 64; the nearest option is --hidden-size"),
        (["train", "--learning-rate", "1"], "--learning-rate 1; the nearest option is --lr"),
        (["train", "--lookback", "3"], "--lookback 3; the nearest option is --window"),
        (["evaluate", "x.pth", "--model", "lstm"], "--model lstm; npseq evaluate -h lists the options"),
        (["train", "--epoch=3"], "--epoch=3; the nearest option is --epochs"),
        (["train", "--gpu"], "--gpu; npseq computes on the CPU"),
        (["compare", "--cuda"], "--cuda; npseq computes on the CPU"),
        (["train", "rows.csv"], "rows.csv; data are given with --data rows.csv"),
        (["inspect", "x.pth", "rows.csv"], "rows.csv"),
        (["train", "--qqqqq"], "--qqqqq; npseq train -h lists the options"),
        (["evaluate", "missing.pth"], "there is no file missing.pth"),
        (["stream", "missing.pth"], "there is no file missing.pth"),
        (["train", "--resume", "missing.pth"], "there is no file missing.pth"),
    ],
)
def test_what_is_unknown_or_missing_is_named_with_what_may_be_meant(capsys, argv, end):
    with pytest.raises(SystemExit) as left:
        commands.main(argv)
    err = capsys.readouterr().err
    assert left.value.code == 2 and err.count("\n") == 1 and err.endswith(f"{end}\n")
