"""Ctrl-C in a process that is a command: status 130 and at most one line, at whatever moment it comes.

A program of the user's that imports npseq, or calls ``npseq.cli.main`` with words of its own, is not affected.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from ..status import INTERRUPTED

_came: list[int] = []  # the signals that were raised


def came() -> bool:
    """True if Ctrl-C has come: whatever is raised after it, as by a library that was being loaded, is its end."""
    return bool(_came)


def _at_once(number: int, frame: object) -> None:
    """End the process while it loads its modules. Nothing has been written yet."""
    signal.signal(number, signal.SIG_IGN)
    try:
        os.write(2, b"npseq: interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def _raised(number: int, frame: object) -> None:
    _came.append(number)
    raise KeyboardInterrupt


TOO_LITTLE = "this machine's memory does not suffice"
_WORDS = "failed to map segment", "annot allocate memory", "can't start new thread"


def lacks_memory(error: BaseException) -> bool:
    """True if an error says that there is no more memory, as those of a library do that cannot be loaded."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _WORDS)


def hand_over() -> None:
    """Raise KeyboardInterrupt on Ctrl-C: from here on the command handles it."""
    if signal.getsignal(signal.SIGINT) is _at_once:
        signal.signal(signal.SIGINT, _raised)


def process(command: Callable[[], int]) -> int:
    """Return the status of ``command()``, for which this process was started: 130 after Ctrl-C, however it ends."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as by nohup
        return command()
    try:
        signal.signal(signal.SIGINT, _at_once)
    except ValueError:  # not the main thread
        return command()
    try:
        try:
            status = command()
        finally:  # the command is done; one that runs under MPI has a handler of its own
            if signal.getsignal(signal.SIGINT) in (_at_once, _raised):
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BaseException:
        if not came():
            raise
    if not came():
        return status
    exec("")  # Ctrl-C while text is executed, as named tuples are, lets Python end by the signal until more text is
    return INTERRUPTED
