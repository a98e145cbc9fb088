"""kill −9 at any moment of a run with ``--checkpoint``: the best file is whole, the resumed run gives the same bytes, and
nothing is left over."""

import contextlib
import io
import os
import random
import signal
import time

import pytest
from sandbox import scaled

import npseq
from npseq.cli import training_run

pytestmark = pytest.mark.wide

if not hasattr(os, "fork"):
    pytest.skip("POSIX", allow_module_level=True)
OPTIONS = ["--model", "gru", "--hidden-size", "3", "--window", "4", "--lags", "24", "--epochs", "5", "--dropout", "0.1"]
OPTIONS += ["--num-layers", "2", "--checkpoint", "--history", "history.csv", "--quiet"]
WRITTEN = ["history.csv", "rnn_gru_best.pth", "rnn_gru_last.pth"]


def train(argv, prepare=lambda: None):
    """Run a training in a child process. Returns its pid."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            prepare()
            status = training_run.main(argv)
    finally:
        os._exit(status)


def end_of(child):
    """The status of a child process, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killing_at(moment):
    """Let this process kill itself before or after its ``moment``-th call of a function that touches a file."""
    count = 0
    for name in "open", "fsync", "replace", "write":
        real = getattr(os, name)

        def counted(*args, real=real, **options):
            nonlocal count
            if (count := count + 1) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **options)
            if (count := count + 1) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(os, name, counted)
    return lambda: count


@pytest.fixture(scope="module")
def reference(tmp_path_factory, small_csv):
    """The files of a run that nobody interrupts, and the number of moments at which it touches a file."""
    folder, argv = tmp_path_factory.mktemp("whole"), ["--data", small_csv, *OPTIONS]
    receive, send = os.pipe()

    def prepare():
        moments, leave = killing_at(-1), os._exit
        os._exit = lambda status: (os.write(send, str(moments()).encode()), leave(status))

    before = os.getcwd()
    os.chdir(folder)
    assert end_of(train(argv, prepare)) == 0
    os.chdir(before)
    assert sorted(os.listdir(folder)) == WRITTEN
    return argv, {name: (folder / name).read_bytes() for name in WRITTEN}, int(os.read(receive, 20))


def recovered(argv, files, folder):
    """What is wrong after a kill and a second run, or None."""
    if os.path.exists("rnn_gru_best.pth"):
        npseq.load("rnn_gru_best.pth")
    again = [*argv, "--resume", "rnn_gru_last.pth"] if os.path.exists("rnn_gru_last.pth") else argv
    if (status := end_of(train(again))) != 0:
        return f"the next run ends with {status}"
    if sorted(os.listdir()) != WRITTEN:
        return f"left over: {os.listdir()}"
    different = [name for name in WRITTEN if name.endswith(".pth") and (folder / name).read_bytes() != files[name]]
    return f"other bytes in {different}" if different else None


def killed_and_recovered(reference, tmp_path, monkeypatch, kills):
    argv, files, _ = reference
    for kill in kills:
        folder = tmp_path / str(kill)
        folder.mkdir()
        monkeypatch.chdir(folder)
        if isinstance(kill, int):
            child = train(argv, lambda kill=kill: killing_at(kill))
        else:
            child = train(argv)
            time.sleep(kill)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        assert end_of(child) == -signal.SIGKILL or not isinstance(kill, int)
        problem = recovered(argv, files, folder)
        assert problem is None, f"killed at {kill}: {problem}"


def test_killed_at_a_moment_at_which_a_file_is_touched(reference, tmp_path, monkeypatch):
    moments = reference[2]
    assert moments > 60
    kills = sorted({1 + k * (moments - 1) // max(1, scaled(8) - 1) for k in range(scaled(8))})
    killed_and_recovered(reference, tmp_path, monkeypatch, [kill for kill in kills if kill <= moments - 1])


def test_killed_at_any_moment(reference, tmp_path, monkeypatch):
    """With NPSEQ_FUZZ=10: 100 moments of the clock, and every moment at which a file is touched."""
    rng = random.Random(0)
    killed_and_recovered(reference, tmp_path, monkeypatch, [rng.uniform(0, 0.6) for _ in range(scaled(10))])
    step = max(1, round(10 / scaled(1)))
    killed_and_recovered(reference, tmp_path, monkeypatch, list(range(1, reference[2], step)))
