"""Standard output that is closed, full, or in an encoding that lacks a character; Ctrl-C; for each way to start."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sandbox import scaled

import npseq
from npseq.cli import commands, streams

PACKAGE = Path(npseq.__file__).parent
STARTS = {
    "npseq": [sys.executable, "-c", "import sys; sys.argv[0] = 'npseq'; from npseq.cli import main; sys.exit(main())"],
    "python -m npseq": [sys.executable, "-m", "npseq"],
    "python npseq/train.py": [sys.executable, str(PACKAGE / "train.py")],
    "python -m npseq.gradcheck": [sys.executable, "-m", "npseq.gradcheck"],
}
# a command for each way to start that ends in a moment and writes to standard output
QUICK = {
    "npseq": ["explain", "--only", "dc"],
    "python -m npseq": ["explain", "--only", "dc"],
    "python npseq/train.py": ["-h"],
    "python -m npseq.gradcheck": ["--list-bugs"],
}
each_start = pytest.mark.parametrize("start", STARTS)
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONIO", "LC_", "LANG"))}
    paths = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    return {**kept, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}


def shell(start, redirect, *argv, cwd=None, **more):
    """Run a command with a redirection of the shell's."""
    words = [*STARTS[start], *(argv or QUICK[start])]
    line = 'exec "$@" ' + redirect
    return subprocess.run(
        ["sh", "-c", line, "sh", *words], env=environment(**more), capture_output=True, cwd=cwd, timeout=120
    )


@pytest.mark.wide
@each_start
def test_a_closed_standard_output_is_no_error(start):
    run = shell(start, ">&-")
    assert run.returncode == 0 and run.stderr == b""


@pytest.mark.wide
@each_start
def test_a_reader_that_leaves_at_once_is_no_error(start):
    receive, send = os.pipe()
    os.close(receive)
    run = subprocess.run(
        [*STARTS[start], *QUICK[start]], stdout=send, stderr=subprocess.PIPE, env=environment(), timeout=120
    )
    os.close(send)
    assert run.returncode == 0 and run.stderr == b""


@pytest.mark.wide
@full
@each_start
def test_a_full_standard_output_is_one_line_and_status_1(start):
    run = shell(start, ">/dev/full")
    assert run.returncode == 1
    assert run.stderr.count(b"\n") == 1 and b"standard output cannot be written: No space left" in run.stderr


@pytest.mark.wide
@each_start
def test_a_closed_standard_error_changes_no_status(start):
    assert shell(start, "2>&-", "--no-such-option").returncode == 2
    run = shell(start, "2>&- <&-")
    assert run.returncode == 0 and run.stdout


@pytest.mark.wide
@pytest.mark.parametrize("redirect", [">&-", pytest.param(">/dev/full", marks=full), "| true", "<&- >&- 2>&-"])
def test_a_training_continues_without_its_output(tmp_path, small_csv, redirect):
    """Its weights are what it is run for."""
    run = shell("python npseq/train.py", redirect, "--data", small_csv, "--epochs", "2", cwd=tmp_path)
    assert run.returncode == (1 if "full" in redirect else 0)
    assert os.listdir(tmp_path) == ["rnn_lstm_best.pth"]
    npseq.load(tmp_path / "rnn_lstm_best.pth")
    assert Path(small_csv).read_text().startswith("hour,load")


@pytest.mark.wide
def test_the_files_of_a_command_are_written_before_its_reader_leaves(tmp_path, small_csv):
    argv = ["flow", "--data", small_csv, "--models", "rnn", "--epochs", "1", "--hidden-size", "2", "--output", "f.csv"]
    run = shell("npseq", "| true", *argv, cwd=tmp_path)
    assert run.stderr == b"" and os.listdir(tmp_path) == ["f.csv"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_control_characters_are_escaped_in_a_terminal_and_nowhere_else(monkeypatch):
    text, bar = "a\x1b[2Jb\rc\u202ed\te\u3000f\x9bg\n", "\r50%"
    for place, name in (Terminal(), "stdout"), (Terminal(), "stderr"), (io.StringIO(), "stdout"):
        monkeypatch.setattr(sys, name, place)
        with streams.guarded("npseq", False):
            print(text, end="", file=getattr(sys, name))
            getattr(sys, name).write(bar)
        escaped = "a\\x1b[2Jb\\rc\\u202ed\te\u3000f\\x9bg\n" if place.isatty() else text
        ended = "\\r50%" if place.isatty() and name == "stdout" else bar
        assert place.getvalue() == escaped + ended


@pytest.mark.wide
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_what_a_terminal_lacks_is_spelled_in_ascii(encoding):
    utf8 = shell("npseq", "", "explain", PYTHONIOENCODING="utf-8")
    run = shell("npseq", "", "explain", PYTHONIOENCODING=encoding)
    assert run.returncode == utf8.returncode == 0 and run.stderr == b""
    expected = utf8.stdout.decode()
    for character in sorted(set(expected)):
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            expected = expected.replace(character, streams.spelled(character))
    assert run.stdout.decode(encoding) == expected and "tanh" in expected
    assert "?" not in expected


@pytest.mark.wide
def test_the_c_locale_is_no_error(tmp_path, small_csv):
    table = tmp_path / "größe.csv"
    table.write_text(Path(small_csv).read_text().replace("load", "Größe −"), "utf-8")
    argv = ["--data", "größe.csv", "--target", "Größe −", "--epochs", "1", "--history", "h.csv", "--out-dir", "ö"]
    argv += ["--model", "optimized_lstm"]  # lstm tells of it on standard error
    for more in {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}:
        run = shell("python npseq/train.py", "", *argv, cwd=tmp_path, **more)
        assert run.returncode == 0 and run.stderr == b"", run.stderr
        assert (tmp_path / "ö" / "rnn_optimized_lstm_best.pth").exists()


def test_every_character_has_an_ascii_spelling():
    assert streams.spelled("σ") == "sigma" and streams.spelled("é") == "e" and streams.spelled("…") == "..."
    assert streams.spelled("漢") == "?"
    assert all(streams.spelled(chr(code)).isascii() for code in range(0x80, 0x3000))


def test_the_programs_own_streams_come_back(capsys):
    from npseq.cli import main

    before = sys.stdin, sys.stdout, sys.stderr, sys.stdout.errors
    assert main(["--version"]) == 0
    assert (sys.stdin, sys.stdout, sys.stderr, sys.stdout.errors) == before


# ---- Ctrl-C ----


def interrupted(argv, moment, times=1):
    """Start a command, send it and its children SIGINT once ``moment`` (pid) is true. Returns its status and standard
    error."""
    # a shell starts background commands with SIGINT ignored, and so may whatever runs the tests
    child = subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not moment(child.pid) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    for _ in range(times):
        os.killpg(child.pid, signal.SIGINT)
        time.sleep(0.01 * (times - 1))
    errors = child.communicate(timeout=60)[1]
    return child.returncode, errors.decode()


def has_loaded(word):
    """True of a process once a library of that name is mapped into it."""

    def moment(pid):
        try:
            return word in Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            return False

    return moment


LONG = {
    "npseq": ["train", "--epochs", "100"],
    "python -m npseq": ["compare"],
    "python npseq/train.py": ["--epochs", "100"],
    "python -m npseq.gradcheck": [],
}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux")
@each_start
@pytest.mark.parametrize("library", ["_multiarray_umath", pytest.param("scipy", marks=pytest.mark.wide)])
def test_ctrl_c_during_the_imports_is_one_line_and_status_130(tmp_path, start, library):
    status, errors = interrupted([*STARTS[start], *LONG[start]], has_loaded(library))
    assert status == 130 and errors.count("\n") == 1 and "interrupted" in errors, (status, errors)


@pytest.mark.wide
@pytest.mark.parametrize("start", [*STARTS, "npseq compare --jobs"])
def test_ctrl_c_at_any_moment_after_the_first_line_of_ours(tmp_path, start):
    """At 80 moments with NPSEQ_FUZZ=10; once, or several times as by an impatient user."""
    argv = [*STARTS["npseq"], "compare", "--jobs", "2"] if start not in STARTS else [*STARTS[start], *LONG[start]]
    for k, delay in enumerate(np.linspace(0, 0.6, scaled(8))):
        begun = []

        def moment(pid, delay=delay, begun=begun):
            if not begun and has_loaded("_multiarray_umath")(pid):
                begun.append(time.monotonic())
            return bool(begun) and time.monotonic() - begun[0] >= delay

        status, errors = interrupted(argv, moment, times=1 + 2 * (k % 2))
        assert status == 130 and "Traceback" not in errors and errors.count("interrupted") <= 1, (delay, status, errors)


@pytest.mark.wide
def test_ctrl_c_while_text_is_executed_is_status_130():
    """Python itself ends by the signal then, whatever a program does with the exception."""
    text = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"
    code = (
        "import sys\nfrom npseq.cli import commands, interrupt\n"
        f"def command(argv):\n    interrupt.hand_over()\n    exec({text!r})\n"
        "commands._dispatch = command\nfrom npseq.cli import main\nsys.exit(main())"
    )
    run = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, timeout=60)
    assert run.returncode == 130 and run.stderr == b"npseq: interrupted\n", run


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, lambda: SystemExit(143)])
def test_a_signal_in_a_destructor_is_not_lost(capsys, monkeypatch, error, early):
    """Python drops exceptions of destructors, and those of the function that it tells of them: ``early``, the signal
    comes again while that function starts the thread that sends it."""
    start, raised = threading.Timer.start, []

    def started(timer):
        if early and not raised:
            raised.append(True)
            raise error()
        start(timer)

    monkeypatch.setattr(threading.Timer, "start", started)

    class Last:
        def __del__(self):
            raise error()

    def command():
        Last()
        time.sleep(9)

    if error is KeyboardInterrupt:
        assert commands.run(command, "npseq") == 130
        assert capsys.readouterr().err == "npseq: interrupted\n"
    else:
        with pytest.raises(SystemExit, match="143"):
            commands.run(command, "npseq")


def test_ctrl_c_while_a_users_program_imports_npseq_is_the_programs_own():
    code = (
        "import signal; before = signal.getsignal(signal.SIGINT); import npseq; "
        "assert signal.getsignal(signal.SIGINT) is before"
    )
    run = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
