"""Commands run in this process, as from a terminal, with what they print and change."""

import contextlib
import io
import os
import sys
import traceback
import warnings
from pathlib import Path

import pytest

from npseq.cli import main


class Ended:
    """How a command ended: ``status``, what it printed, and the traceback of an exception that it let through.

    Args:
        argv: the command. standard_input: text or bytes.
    """

    def __init__(self, argv, standard_input=""):
        self.argv, self.trace = argv, ""
        out, err = io.StringIO(), io.StringIO()
        given = standard_input.encode() if isinstance(standard_input, str) else standard_input
        before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(given), "utf-8")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("default")  # as outside of tests
            try:
                self.status = main(argv)
            except SystemExit as end:
                self.status = end.code
            except BaseException:
                self.status, self.trace = 1, traceback.format_exc()
            finally:
                sys.stdin = before
        self.out, self.err = out.getvalue(), err.getvalue()

    def fault(self, statuses=(0, 2, 3, 130)):
        """What is wrong with the end, or None: a traceback, another status, more or less than one line."""
        lines = self.err.count("\n")
        if self.trace:
            return self.trace
        if self.status not in statuses:
            return f"status {self.status}: {self.err}"
        if "Traceback" in self.err or "\x1b" in self.err + self.out:
            return f"{self.err} {self.out!r}"
        if self.status in (2, 3) and (lines != 1 or len(self.err) > 2000):
            return f"{lines} lines: {self.err}"
        return None


class Called(Ended):
    """How a call of the library ended: as of a command, where an error that a program can expect is one line."""

    def __init__(self, function, *args):
        self.argv, self.trace, self.status, self.out, self.err = args, "", 0, "", ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function(*args)
            except (ValueError, OSError) as error:
                self.status, self.err = 2, f"{error}\n"
            except BaseException:
                self.status, self.trace = 1, traceback.format_exc()


def files_below(folder):
    """path -> bytes of all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def scaled(count):
    """A number of trials, times ``NPSEQ_FUZZ`` (default: 1)."""
    return max(1, round(count * float(os.environ.get("NPSEQ_FUZZ", "1"))))


def seeded(own):
    """A seed for trials: ``own``, plus ``NPSEQ_FUZZ_SEED`` (default: 0). A failure shows it."""
    seed = own + int(os.environ.get("NPSEQ_FUZZ_SEED", "0"))
    print(f"seed {seed}")
    return seed


@contextlib.contextmanager
def file_size_limit(size):
    """Writing beyond ``size`` bytes fails, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
