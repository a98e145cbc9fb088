"""The README and the first page: their commands run, their Python runs, and the output shown is the output."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq.data.sources import shipped

REPO = Path(__file__).resolve().parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")
START = (REPO / "docs" / "start.md").read_text(encoding="utf-8")
TEXTS = (REPO / "docs" / "text.md").read_text(encoding="utf-8")
CHECKER = (REPO / "docs" / "gradcheck.md").read_text(encoding="utf-8")


def run(*command, cwd):
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=1200,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )


def write_table(folder):
    """The reader's own table."""
    hours = np.datetime64("2024-01-01T00") + np.arange(2000)
    lines = [f"{str(hour).replace('T', ' ')}:00,{100 + k % 24},{k % 5}" for k, hour in enumerate(hours)]
    (folder / "yours.csv").write_text("hour,load,temperature\n" + "\n".join(lines) + "\n")


@pytest.mark.wide
def test_the_python_blocks_run_in_order(tmp_path):
    """Those of the README need a table of the reader's, those of the first page the file of the documented command."""
    for module in ("torch", "pandas", "matplotlib"):
        pytest.importorskip(module)
    write_table(tmp_path)
    trained = run(str(REPO / "npseq" / "train.py"), "--model", "lstm", "--epochs", "1", "--quiet", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    blocks = re.findall(r"```python\n(.*?)```", README + START, re.S)
    assert len(blocks) >= 5
    done = run("-c", "\n".join(blocks), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"\[\s*\d+\.\d+\s*\]", done.stdout)) == 3  # three forecasts, in vehicles an hour
    assert (tmp_path / "forecast.png").stat().st_size > 5000 and npseq.load(
        tmp_path / "gru.pth"
    ).kind == "optimized_gru"


@pytest.mark.wide
def test_the_checkers_commands_end_as_it_says(tmp_path):
    commands = re.findall(r"^python -m npseq\.gradcheck (.*)$", CHECKER, re.M)
    few = ["--layers", "1", "--directions", "1"]
    ends = [run("-m", "npseq.gradcheck", *command.split(), *few, cwd=tmp_path).returncode for command in commands]
    assert ends == [0, 1]


@pytest.mark.wide
def test_every_npseq_command_of_the_first_page_runs(tmp_path):
    """A training runs for one epoch: the last word counts."""
    write_table(tmp_path)
    assert run(str(REPO / "npseq" / "train.py"), "--epochs", "2", "--quiet", cwd=tmp_path).returncode == 0
    commands = re.findall(r"^npseq (.*)$", "".join(re.findall(r"```sh\n(.*?)```", START, re.S)), re.M)
    assert len(commands) >= 10
    for command in commands:
        words = shlex.split(command)
        done = run("-m", "npseq", *words, *["--epochs", "1"] * (words[0] == "train"), cwd=tmp_path)
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.wide
def test_the_first_commands_about_texts_run(tmp_path):
    """A small network trains for one epoch on the first 20,000 characters."""
    start = Path(shipped("tiny_shakespeare.txt")).read_text(encoding="utf-8")[:20_000]
    for name in ("short.txt", "book.txt", "program.bin"):
        (tmp_path / name).write_text(start, encoding="utf-8")
    commands = re.findall(r"^npseq (.*)$", re.search(r"```sh\n(.*?)```", TEXTS, re.S)[1], re.M)
    assert len(commands) == 6
    for command in commands:
        words = shlex.split(command, comments=True)
        if words[0] == "train":
            words += ["--epochs", "1", "--hidden-size", "16"]
        if "tiny_shakespeare" in words or words[0] in ("evaluate", "neurons"):
            words += ["--data", "short.txt"]
        done = run("-m", "npseq", *words, cwd=tmp_path)
        assert done.returncode == 0, (command, done.stderr)


def test_the_readme_is_short():
    assert README.count("\n") <= 100


def test_every_file_it_links_to_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (REPO / target).exists(), target


@pytest.mark.wide
def test_the_output_shown_is_the_output(tmp_path):
    shown = re.search(r"<!-- output of: python npseq/train.py -->\n```text\n(.*?)```", START, re.S)[1]
    real = run(str(REPO / "npseq" / "train.py"), cwd=tmp_path).stdout
    times = re.compile(r"\d+\.\d+ s")
    lines = [[times.sub("", line) for line in text.strip().splitlines()] for text in (shown, real)]
    assert len(lines[0]) == len(lines[1])
    for a, b in zip(*lines):
        if a.startswith("epoch") or a.startswith("lstm"):  # last digits differ between machines
            numbers = [[float(n) for n in re.findall(r"\d+\.\d+", line)] for line in (a, b)]
            assert all(abs(m - n) <= 0.05 * abs(m) for m, n in zip(*numbers)), (a, b)
        elif not a.startswith("best epoch"):
            assert a == b
