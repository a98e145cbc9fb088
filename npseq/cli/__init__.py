"""The commands: one module each, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence

from . import interrupt

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named command, as ``npseq`` does. Returns its exit status."""
    interrupt.watch()
    try:
        from .commands import main

        return main(argv)
    finally:
        interrupt.hand_over()
