"""SIGTERM and SIGKILL: a command leaves no temporary files and no child processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import npseq
import npseq.cli

if not hasattr(os, "fork"):
    pytest.skip("POSIX", allow_module_level=True)
LONG = ["--epochs", "100000", "--hidden-size", "2"]


def started(argv, folder):
    environment = {**os.environ, "PYTHONPATH": str(Path(npseq.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    environment["TMPDIR"] = str(folder / "temporary")
    (folder / "temporary").mkdir()
    command = [sys.executable, "-m", "npseq", *argv]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env=environment, **pipes)


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.wide
def test_a_terminated_training_leaves_whole_files_and_nothing_else(tmp_path, small_csv):
    run = started(["train", "--data", small_csv, "--checkpoint", "--history", "h.csv", *LONG], tmp_path)
    wait_for((tmp_path / "h.csv").exists)  # the last file of an epoch
    run.send_signal(signal.SIGTERM)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGTERM and errors == b""
    left = {"h.csv", "rnn_lstm_best.pth", "rnn_lstm_last.pth", "temporary"}
    assert set(os.listdir(tmp_path)) == left and not os.listdir(tmp_path / "temporary")
    npseq.load(tmp_path / "rnn_lstm_best.pth")


@pytest.mark.wide
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_runs_of_npseq_compare_end_with_it(tmp_path, small_csv, number):
    run = started(["compare", "--data", small_csv, "--models", "rnn,gru", "--jobs", "2", *LONG], tmp_path)
    wait_for(lambda: any((tmp_path / "temporary").rglob("*_best.pth")))
    run.send_signal(number)
    run.communicate(timeout=60)  # until the last process that holds its output has ended
    assert number == signal.SIGKILL or not any((tmp_path / "temporary").iterdir())


def test_a_programs_own_handler_stays(capsys):
    def own(*_):
        """Of the program."""

    before = signal.signal(signal.SIGTERM, own)
    try:
        assert npseq.cli.main(["--version"]) == 0 and signal.getsignal(signal.SIGTERM) is own
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        assert npseq.cli.main(["--version"]) == 0 and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
