"""Ctrl-C while a command is still loading its modules: one line and status 130, as later.

``npseq/__init__.py`` imports this first. A program of the user's that imports npseq is not affected.
"""

from __future__ import annotations

import os
import signal
import sys

from .status import INTERRUPTED


def is_command() -> bool:
    """True if this process runs a command of npseq: ``npseq``, ``python -m npseq…`` or ``npseq/train.py``."""
    words = sys.orig_argv
    if "--multiprocessing-fork" in words:  # a child of npseq compare, whose parent reports
        return False
    first = sys.argv[0] if sys.argv else ""
    if first == "-m":  # as long as Python looks for the module
        return any(a == "-m" and b.split(".")[0] == "npseq" for a, b in zip(words, words[1:]))
    if os.path.basename(first) in ("npseq", "npseq.exe", "npseq-script.py"):
        return True
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "train.py")
    return os.path.basename(first) == "train.py" and os.path.realpath(first) == os.path.realpath(script)


def end(number: int, frame: object) -> None:
    """End the process at once. Nothing has been written yet."""
    try:
        os.write(2, b"npseq: interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def watch() -> None:
    """End on Ctrl-C, until ``hand_over``, if this process runs a command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler and is_command():
        try:
            signal.signal(signal.SIGINT, end)
        except ValueError:  # not the main thread
            pass


def hand_over() -> None:
    """Raise KeyboardInterrupt on Ctrl-C again: from here on the command handles it."""
    if signal.getsignal(signal.SIGINT) is end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


watch()
