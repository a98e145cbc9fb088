"""One file named for two things, in any command: refused before anything is read.

Two paths are the same file by what they point to: through links, relative paths, and letters that the file system does
not tell apart.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import unicodedata
from typing import NamedTuple

from ..data.sources import GENERATED, shipped_files

READ = ("file", "files", "data", "init", "resume", "cell")  # names of options (argparse's dest) that name files to read
WRITTEN = ("history", "report", "plot", "output", "html", "to", "state", "scores")  # a state is read, too
CONTINUED = {"--resume", "the last file"}  # one thing: a run is resumed from its last file, and writes it again


class File(NamedTuple):
    """A path on the command line: what it is given for, the path, and whether the command writes it."""

    purpose: str
    path: str
    written: bool


def check(files: list[File]) -> None:
    """Refuse one file that is named for two things, if one of them is written.

    Raises:
        ValueError: naming both purposes and both paths.
    """
    for k, second in enumerate(files):
        for first in files[:k]:
            if not (first.written or second.written) or {first.purpose, second.purpose} == CONTINUED:
                continue
            both = f"{first.purpose} {first.path} and {second.purpose} {second.path}"
            if same(first.path, second.path):
                raise ValueError(f"{both} are the same file: name two different files")
            if first.written and second.written and _nested(first.path, second.path):
                raise ValueError(f"{both}: one of them would be a folder of the other; name two different files")


def named(parser: argparse.ArgumentParser, args: argparse.Namespace) -> list[File]:
    """Return the files that the options name."""
    files = []
    for action in parser._actions:
        if action.dest not in READ + WRITTEN:
            continue
        purpose = action.option_strings[-1] if action.option_strings else action.metavar or action.dest
        given = getattr(args, action.dest, None)
        for path in given if isinstance(given, (list, tuple)) else [given]:
            if isinstance(path, (str, os.PathLike)):
                place = getattr(path, "path", os.fspath(path))  # of FILE.py:Class the file
                written = action.dest in WRITTEN
                files += [File(str(purpose), place, written) for place in ([place] if written else _read(place))]
    return files


def own(args: argparse.Namespace) -> list[File]:
    """Return the weights files that a training with these options writes: best, and with ``--checkpoint`` last."""
    stem = args.name or f"rnn_{args.model}"
    files = {"best": f"{args.name or stem + '_best'}.pth", "last": f"{stem}_last.pth"}
    names = ["best", "last"] if args.checkpoint or args.resume else ["best"]
    paths = [os.path.normpath(os.path.join(args.out_dir, files[name])) for name in names]
    return [File(f"the {name} file", path, True) for name, path in zip(names, paths)]


def same(first: str, second: str) -> bool:
    """True if both paths lead to one regular file, whether or not it exists yet."""
    if os.path.exists(first) or os.path.exists(second):  # a device can be written twice
        return os.path.isfile(first) and os.path.isfile(second) and os.path.samefile(first, second)
    places = [os.path.realpath(path) for path in (first, second)]
    folded = [unicodedata.normalize("NFC", place).casefold() for place in places]
    return places[0] == places[1] or folded[0] == folded[1] and ignores_case(os.path.dirname(places[0]))


def _nested(first: str, second: str) -> bool:
    """True if one of two paths would be in the other, as in a new folder."""
    paths = sorted(map(os.path.realpath, (first, second)), key=len)
    return paths[1].startswith(paths[0] + os.sep) and not os.path.isdir(paths[0])


def ignores_case(folder: str) -> bool:
    """True if the file system of ``folder`` does not tell upper from lower case."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="npseq-case-") as file:
            return os.path.exists(os.path.join(folder, os.path.basename(file.name).upper()))
    except OSError:
        return False


def _read(given: str) -> list[str]:
    """Return the path of a file to read, the paths of a shipped data set, or that of standard input."""
    if given == "-":
        return ["/dev/stdin"]  # leads to the file if the shell has redirected one
    return shipped_files(given) or ([] if given in ("adding", GENERATED) else [given])
