"""Ctrl-C while a command is still loading its modules: one line and status 130, as later.

A program of the user's that imports npseq is not affected: only what starts a command calls ``watch``.
"""

from __future__ import annotations

import os
import signal

from ..status import INTERRUPTED


def end(number: int, frame: object) -> None:
    """End the process at once. Nothing has been written yet."""
    try:
        os.write(2, b"npseq: interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def watch() -> None:
    """End on Ctrl-C, until ``hand_over``."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        try:
            signal.signal(signal.SIGINT, end)
        except ValueError:  # not the main thread
            pass


def hand_over() -> None:
    """Raise KeyboardInterrupt on Ctrl-C again: from here on the command handles it."""
    if signal.getsignal(signal.SIGINT) is end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
