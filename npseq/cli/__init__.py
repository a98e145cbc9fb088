"""The commands, one module each (``commands.py`` lists them); what each does with a task is in ``kinds.py``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..status import UNEXPECTED
from . import interrupt

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named command, as ``npseq`` does. Returns its exit status.

    Args:
        argv: the words after ``npseq``; by default those of this process, which then ends with 130 after Ctrl-C.
    """

    def command() -> int:
        try:
            from .commands import main
        except (ImportError, MemoryError) as error:
            if not interrupt.lacks_memory(error):
                raise
            print(f"npseq: error: {interrupt.TOO_LITTLE}", file=sys.stderr)
            return UNEXPECTED
        return main(argv)

    return interrupt.process(command) if argv is None else command()
