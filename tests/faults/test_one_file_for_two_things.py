"""One file named for two things is refused by every command, before anything is read or written."""

import importlib
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import npseq
from npseq.cli import arguments, files
from npseq.cli.commands import COMMANDS
from npseq.data import corpus, sources

# command -> options that take a file, with {} for each; the first of those that are read exist
FORMS = {
    "train": ["--data {}.csv", "--resume {}.pth", "--history {}.csv", "--report {}.json", "--plot {}.svg"],
    "predict": ["{}.pth", "--data {}.csv", "--output {}.csv", "--plot {}.svg"],
    "compare": ["--data {}.csv", "--output {}.json", "--plot {}.svg"],
    "flow": ["--data {}.csv", "--output {}.csv", "--plot {}.svg"],
    "evaluate": ["{}.pth", "--data {}.csv", "--plot {}.svg"],
    "export": ["{}.pth", "--to {}.onnx"],
    "stream": ["{}.pth", "--state {}.pth"],
    "neurons": ["{}.pth", "--data {}.txt", "--output {}.html"],
    "explain": ["--cell {}.py", "--html {}.html"],
}
WRITTEN = ["--history", "--report", "--plot", "--output", "--to", "--state", "--html"]
NEEDED = {
    "predict": ["{}.pth", "--data {}.csv", "--output {}.csv"],
    "evaluate": ["{}.pth"],
    "export": ["{}.pth", "--to {}.onnx"],
    "stream": ["{}.pth"],
    "neurons": ["{}.pth", "--output {}.html"],
}
PAIRS = [
    (command, first, second)
    for command, forms in FORMS.items()
    for first, second in itertools.combinations(forms, 2)
    if first.split()[0] in WRITTEN or second.split()[0] in WRITTEN
]
SPELLINGS = ["the same", "relative", "absolute", "link", "hard link", "link to a folder"]


def ended(command, argv, capsys):
    """Status and standard error of a command."""
    capsys.readouterr()
    try:
        status = importlib.import_module(COMMANDS[command][0]).main(argv)
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().err


def spelled(path, how):
    """Another name of the file ``path``."""
    name = os.path.basename(path)
    if how == "relative":
        return os.path.join("..", os.path.basename(os.getcwd()), ".", name)
    if how == "absolute":
        return os.path.abspath(path)
    if how == "link":
        os.symlink(path, "a link")
        return "a link"
    if how == "hard link":
        if not os.path.exists(path):
            return path
        os.link(path, "a hard link")
        return "a hard link"
    if how == "link to a folder":
        os.symlink(".", "folder")
        return os.path.join("folder", name)
    return path


def everything(folder):
    return {
        os.path.join(place, name): open(os.path.join(place, name), "rb").read()
        for place, _, names in os.walk(folder)
        for name in names
        if os.path.isfile(os.path.join(place, name))
    }


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("command, first, second", PAIRS, ids=str)
def test_a_pair_is_refused_and_nothing_is_changed(
    tmp_path, small_csv, monkeypatch, capsys, command, first, second, how
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(small_csv, "x.csv")
    (tmp_path / "x.pth").write_bytes(b"weights")
    (tmp_path / "x.txt").write_text("a text")
    (tmp_path / "x.py").write_text("from npseq.cells import GRUCell\n\n\nclass Own(GRUCell):\n    pass\n")
    name = "x" if first.split()[0] not in WRITTEN else "new"  # an existing file where one of the two is read
    path, argv = first.split()[-1].format(name), []
    for form in FORMS[command]:
        if form == first:
            argv += form.format(name).split()
        elif form == second:
            argv += [*form.split()[:-1], spelled(path, how)]
        elif form in NEEDED.get(command, []):
            argv += form.format(f"other{len(argv)}").split()
    before = everything(tmp_path)
    status, message = ended(command, argv, capsys)
    assert status == 2 and message.count("\n") == 1, message
    assert "the same file" in message and path in message
    assert everything(tmp_path) == before


@pytest.mark.parametrize("option", ["--history", "--report", "--plot"])
@pytest.mark.parametrize("which", ["best", "last"])
def test_the_weights_files_of_a_training_are_not_overwritten_by_its_other_files(
    tmp_path, small_csv, monkeypatch, capsys, option, which
):
    monkeypatch.chdir(tmp_path)
    more = ["--checkpoint"] if which == "last" else []
    argv = ["--data", small_csv, "--model", "gru", "--out-dir", "out", option, f"./out/rnn_gru_{which}.pth"]
    status, message = ended("train", [*argv, *more], capsys)
    assert status == 2 and message.count("\n") == 1 and f"the {which} file" in message and os.listdir() == []


def test_data_that_are_the_weights_file_are_refused(tmp_path, small_csv, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(small_csv, "rnn_lstm_best.pth")
    before = everything(tmp_path)
    status, message = ended("train", ["--data", "rnn_lstm_best.pth"], capsys)
    assert status == 2 and message.count("\n") == 1 and "same file" in message and everything(tmp_path) == before


SHIPPED = [*sources.SHIPPED, *sources.SHIPPED_TEXTS, *sources.SHIPPED_SEQUENCES]


@pytest.fixture
def shipped_elsewhere(tmp_path, monkeypatch):
    """Copies of the shipped files: a test that fails must not lose the files themselves."""
    for file in itertools.chain.from_iterable(map(sources.shipped_files, SHIPPED)):
        shutil.copy(file, tmp_path)
    for module in (sources, corpus, importlib.import_module("npseq.data.load")):
        monkeypatch.setattr(module, "shipped", lambda file: str(tmp_path / file))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_data_are_a_file_too(shipped_elsewhere, capsys, name):
    for file in sources.shipped_files(name):
        status, message = ended("train", ["--data", name, "--history", file], capsys)
        assert status == 2 and message.count("\n") == 1 and "same file" in message


@pytest.mark.wide
@pytest.mark.parametrize("command, option", [("neurons", "--output"), ("evaluate", "--plot")])
def test_data_that_are_read_without_being_named_are_a_file_too(shipped_elsewhere, capsys, command, option):
    (file,) = sources.shipped_files("tiny_shakespeare")
    Path(file).write_text(Path(file).read_text(encoding="utf-8")[:5000], encoding="utf-8")
    argv = ["--data", "tiny_shakespeare", "--hidden-size", "2", "--epochs", "1", "--quiet"]
    assert ended("train", argv, capsys)[0] == 0
    before = everything(shipped_elsewhere)
    status, message = ended(command, ["rnn_lstm_best.pth", option, file], capsys)
    assert status == 2 and message.count("\n") == 1 and "same file" in message
    assert everything(shipped_elsewhere) == before


@pytest.mark.wide
def test_a_file_from_which_standard_input_is_redirected_is_a_file_too(tmp_path, small_csv):
    shutil.copy(small_csv, tmp_path / "x.csv")
    before = everything(tmp_path)
    for argv in (
        ["predict", "no.pth", "--data", "-", "--output", "x.csv"],
        ["train", "--data", "-", "--history", "x.csv"],
    ):
        with open(tmp_path / "x.csv", "rb") as redirected:
            run = subprocess.run(
                [sys.executable, "-m", "npseq", *argv],
                stdin=redirected,
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(npseq.__file__))},
            )
        assert run.returncode == 2 and run.stderr.count("\n") == 1 and "same file" in run.stderr, run.stderr
        assert everything(tmp_path) == before


@pytest.mark.parametrize("weights, header", [("main.c", "x.h"), ("x.pth", "main.h")])
def test_the_program_beside_a_header_is_a_file_too(tmp_path, monkeypatch, capsys, weights, header):
    monkeypatch.chdir(tmp_path)
    (tmp_path / weights).write_bytes(b"weights")
    if weights != "main.c":
        os.symlink(header, "main.c")
    status, message = ended("export", [weights, "--to", header, "--example"], capsys)
    assert status == 2 and message.count("\n") == 1 and "same file" in message
    assert (tmp_path / weights).read_bytes() == b"weights" and not os.path.exists(header)


def test_a_file_that_would_be_the_folder_of_another_is_refused(tmp_path, small_csv, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, message = ended("train", ["--data", small_csv, "--history", "a", "--report", "a/b.json"], capsys)
    assert status == 2 and message.count("\n") == 1 and "folder" in message and os.listdir() == []


def test_standard_input_is_the_file_that_it_is_redirected_from():
    parser = importlib.import_module(COMMANDS["train"][0]).parser()
    found = files.named(parser, parser.parse_args(["--data", "-", "--report", "r.json"]))
    assert found == [files.File("--data", "/dev/stdin", False), files.File("--report", "r.json", True)]


def test_letters_that_the_file_system_does_not_tell_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cased = not os.path.exists(str(tmp_path).upper())
    assert files.same("new/A.csv", "new/a.csv") == (not cased)
    monkeypatch.setattr(files, "ignores_case", lambda folder: True)
    assert files.same("new/A.csv", "new/a.csv") and files.same("Größe", "GRÖSSE") and not files.same("a", "b")


def test_what_is_different_is_not_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("same content")
    (tmp_path / "b").write_text("same content")
    assert not files.same("a", "b") and not files.same("a", "new") and not files.same("new", "newer")
    assert not files.same("/dev/null", "/dev/null")  # may be written twice


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_takes_a_file_is_known(name, monkeypatch, capsys):
    """A new option with FILE in its place is in one of the two lists."""
    parsers = []
    monkeypatch.setattr(arguments.Parser, "parse_known_args", lambda self, *args: parsers.append(self) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        importlib.import_module(COMMANDS[name][0]).main([])
    for action in parsers[0]._actions:
        if "FILE" in str(action.metavar):
            assert action.dest in files.READ + files.WRITTEN, action


@pytest.mark.parametrize(
    "options, word",
    [
        (["--target", "load,load"], "load"),
        (["--target", "load", "--inputs", "load"], "load"),
        (["--inputs", "temp,temp"], "temp"),
    ],
)
def test_a_column_that_is_named_twice_is_refused(tmp_path, monkeypatch, capsys, options, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("load,temp\n" + "".join(f"{k % 7},{k % 5}\n" for k in range(200)))
    status, message = ended("train", ["--data", "a.csv", *options], capsys)
    assert status == 2 and message.count("\n") == 1 and f"'{word}' is named twice" in message
    assert os.listdir() == ["a.csv"]
