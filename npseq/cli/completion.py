"""``npseq --print-completion SHELL``: a script that lets the shell complete commands, options, choices and files."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping

from . import files

EXTRA = "pip install shtab"


def script(shell: str, commands: Mapping[str, tuple[str, str]]) -> str:
    """Return the script for a shell, which shtab writes.

    Args:
        commands: name -> module with ``parser()``, and what the command does.

    Raises:
        ValueError: for a shell that shtab does not know, or without shtab.
    """
    try:
        import shtab
    except ImportError:
        raise ValueError(f"completion needs the package shtab: {EXTRA}") from None
    if shell not in shtab.SUPPORTED_SHELLS:
        raise ValueError(
            f"{shell!r} given; one of {', '.join(shtab.SUPPORTED_SHELLS)} expected after --print-completion"
        )
    root = argparse.ArgumentParser("npseq")
    root.add_argument("--version", action="store_true", help="print the version")
    parsers = root.add_subparsers()
    for name, (module, text) in commands.items():
        own = importlib.import_module(module).parser()
        for action in own._actions:
            if action.dest in files.READ + files.WRITTEN:
                action.complete = shtab.FILE
            elif action.dest == "out_dir":
                action.complete = shtab.DIRECTORY
        parsers.add_parser(name, parents=[own], add_help=False, help=text)
    return str(shtab.complete(root, shell))
