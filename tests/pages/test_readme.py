"""The README and the first page: their commands run, their Python runs, and the output shown is the output."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from running import typed

import npseq
from npseq.data.sources import shipped

REPO = Path(__file__).resolve().parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")
START = (REPO / "docs" / "start.md").read_text(encoding="utf-8")
TEXTS = (REPO / "docs" / "text.md").read_text(encoding="utf-8")
CHECKER = (REPO / "docs" / "gradcheck.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table of the reader's own and the file of the documented command; and what this printed."""
    folder = tmp_path_factory.mktemp("trained")
    write_table(folder)
    command = [sys.executable, str(REPO / "npseq" / "train.py")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def write_table(folder):
    """The reader's own table."""
    hours = np.datetime64("2024-01-01T00") + np.arange(2000)
    lines = [f"{str(hour).replace('T', ' ')}:00,{100 + k % 24},{k % 5}" for k, hour in enumerate(hours)]
    (folder / "yours.csv").write_text("hour,load,temperature\n" + "\n".join(lines) + "\n")


@pytest.mark.wide
def test_the_python_blocks_run_in_order(trained, monkeypatch, capsys):
    """Those of the README need a table of the reader's, those of the first page the file of the documented command."""
    for module in ("torch", "pandas", "matplotlib"):
        pytest.importorskip(module)
    monkeypatch.chdir(trained[0])
    blocks = re.findall(r"```python\n(.*?)```", README + START, re.S)
    assert len(blocks) >= 5
    exec("\n".join(blocks), {})
    assert len(re.findall(r"\[\s*\d+\.\d+\s*\]", capsys.readouterr().out)) == 3  # three forecasts, in vehicles an hour
    assert Path("forecast.png").stat().st_size > 5000 and npseq.load("gru.pth").kind == "optimized_gru"


@pytest.mark.wide
def test_the_checkers_commands_end_as_it_says():
    commands = re.findall(r"^python -m npseq\.gradcheck .*$", CHECKER, re.M)
    assert [typed(command, *"--layers 1 --directions 1".split())[0] for command in commands] == [0, 1]


@pytest.mark.wide
def test_every_npseq_command_of_the_first_page_runs(trained, monkeypatch):
    """A training runs for one epoch: the last word counts."""
    monkeypatch.chdir(trained[0])
    commands = re.findall(r"^npseq .*$", "".join(re.findall(r"```sh\n(.*?)```", START, re.S)), re.M)
    assert len(commands) >= 10
    for command in commands:
        status, _, errors = typed(command, *["--epochs", "1"] * command.startswith("npseq train"))
        assert status == 0, (command, errors)


@pytest.mark.wide
def test_the_first_commands_about_texts_run(tmp_path, monkeypatch):
    """A small network trains for one epoch on the first 20,000 characters."""
    monkeypatch.chdir(tmp_path)
    start = Path(shipped("tiny_shakespeare.txt")).read_text(encoding="utf-8")[:20_000]
    for name in ("short.txt", "book.txt", "program.bin"):
        Path(name).write_text(start, encoding="utf-8")
    commands = re.findall(r"^npseq .*$", re.search(r"```sh\n(.*?)```", TEXTS, re.S)[1], re.M)
    assert len(commands) == 6
    for command in commands:
        what, more = command.split()[1], []
        if what == "train":
            more += ["--epochs", "1", "--hidden-size", "16"]
        if "tiny_shakespeare" in command.split() or what in ("evaluate", "neurons"):
            more += ["--data", "short.txt"]
        status, _, errors = typed(command, *more)
        assert status == 0, (command, errors)


def test_the_readme_is_short():
    assert README.count("\n") <= 100


def test_every_file_it_links_to_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (REPO / target).exists(), target


@pytest.mark.wide
def test_the_output_shown_is_the_output(trained):
    shown = re.search(r"<!-- output of: python npseq/train.py -->\n```text\n(.*?)```", START, re.S)[1]
    times = re.compile(r"\d+\.\d+ s")
    lines = [[times.sub("", line) for line in text.strip().splitlines()] for text in (shown, trained[1])]
    assert len(lines[0]) == len(lines[1])
    for a, b in zip(*lines):
        if a.startswith("epoch") or a.startswith("lstm"):  # last digits differ between machines
            numbers = [[float(n) for n in re.findall(r"\d+\.\d+", line)] for line in (a, b)]
            assert all(abs(m - n) <= 0.05 * abs(m) for m, n in zip(*numbers)), (a, b)
        elif not a.startswith("best epoch"):
            assert a == b
