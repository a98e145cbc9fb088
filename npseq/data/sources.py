"""The shipped files; where a source of data is, and how it is opened."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, BinaryIO

from ..formats import schema
from .errors import DataError, listed
from .limits import Counted, undamaged

SHIPPED = {"metro_traffic": "metro_traffic_hourly.csv"}
SHIPPED_TEXTS = {"tiny_shakespeare": "tiny_shakespeare.txt"}
SHIPPED_SEQUENCES = {"japanese_vowels": ("japanese_vowels_train.csv", "japanese_vowels_test.csv")}
GENERATED = "many"  # series (``generated.py``)
NAMES = (*SHIPPED, *SHIPPED_SEQUENCES, *SHIPPED_TEXTS, GENERATED)
PACKED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
IN_MEMORY = 1 << 26  # bytes of a pipe that are kept in memory; more go to a temporary file


_SIGN = schema.Field(lambda value: isinstance(value, str) and len(value) == 1, "one character")
_TEXTS = schema.listed(schema.TEXT)


@dataclass(frozen=True)
class TableOptions(schema.Record):
    """What the user says about a table, so that it is not decided: the options of the same names.

    sep: between fields (" " for runs of blanks); decimal, thousands: signs in numbers; header: False if there is none;
    encoding; na: further marks of a missing value ("inf": infinite numbers, too); strip: signs to remove from numbers,
    such as "%"; date_format: of strptime; sheet: of an .xlsx file; max_memory: GiB that a compressed file may open to
    (``limits.py``), which decides nothing about the table, so that no file keeps it; id: the column that names the
    series, or several with commas between; wide: each column is a series; wide_rows: each row is a series, its name
    first; active: series that have stopped are left out.
    """

    sep: Annotated[str | None, _SIGN] = None
    decimal: Annotated[str | None, _SIGN] = None
    thousands: Annotated[str | None, _SIGN] = None
    header: Annotated[bool | None, schema.BOOLEAN] = None
    encoding: Annotated[str | None, schema.TEXT] = None
    na: Annotated[tuple[str, ...], _TEXTS] = ()
    strip: Annotated[tuple[str, ...], _TEXTS] = ()
    date_format: Annotated[str | None, schema.TEXT] = None
    sheet: Annotated[str | None, schema.TEXT] = None
    max_memory: float | None = field(default=None, compare=False)
    id: Annotated[str | None, schema.TEXT] = None
    wide: Annotated[bool | None, schema.BOOLEAN] = None
    wide_rows: Annotated[bool | None, schema.BOOLEAN] = None
    active: Annotated[bool | None, schema.BOOLEAN] = None

    def to_json(self) -> dict[str, Any]:
        """Return what was said, as a weights file keeps it."""
        values = {name: getattr(self, name) for name in self.FIELDS}
        said = {name: value for name, value in values.items() if value not in (None, ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> TableOptions:
        """Return the options of a mapping that fits ``SAID``."""
        values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in mapping.items()}
        return cls(**values)


SAID = schema.some_of(TableOptions.FIELDS, "options of tables by their names")


def shipped(file: str) -> str:
    """Return the path of a file in ``npseq/data/datasets``."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "datasets", file)


def shipped_files(name: str) -> list[str]:
    """Return the paths of a shipped data set's files; none if there is no data set of that name."""
    files = SHIPPED_SEQUENCES.get(name) or (SHIPPED.get(name) or SHIPPED_TEXTS.get(name),)
    return [shipped(file) for file in files if file]


def existing(source: str) -> str:
    """Return ``source`` if it is a file, a pipe or "-". Raises DataError otherwise."""
    known = ", ".join([*NAMES, "adding"])
    if os.path.isdir(source):
        raise DataError(f"{source} is a folder; a file, or one of {known}, expected")
    if source != "-" and not os.path.exists(source):
        raise DataError(
            f"there is no file {source}; a table (.csv, .npy, .npz, …), a text, or one of {known}, expected"
        )
    return source


def ending(path: str) -> str:
    """Return the ending of a file name in lower case, of a compressed file that of its content: ".csv" of a.csv.gz."""
    stem, end = os.path.splitext(path.lower())
    return (os.path.splitext(stem)[1] or ".csv") if end in PACKED or end == ".zip" else end


def open_binary(path: str, max_memory: float | None = None) -> tuple[BinaryIO, BinaryIO, int]:
    """Open a file, "-" (standard input) or a pipe, and decompress it.

    Returns:
        The content, which can be read again from its start; the file underneath, whose ``tell`` shows how much of it
        has been read; and its size in bytes. Reading raises DataError once a compressed file has opened to more than
        ``max_memory`` allows.

    Raises:
        DataError: for a .zip that does not hold exactly one file. OSError: as ``open``.
    """
    raw = sys.stdin.buffer if path == "-" else open(path, "rb")
    if path == "-" or not raw.seekable():
        head = raw.read(IN_MEMORY + 1)
        spool = io.BytesIO(head) if len(head) <= IN_MEMORY else tempfile.TemporaryFile()
        if len(head) > IN_MEMORY:
            spool.write(head)
            shutil.copyfileobj(raw, spool)
        raw = spool
    size = raw.seek(0, os.SEEK_END)
    raw.seek(0)
    end = os.path.splitext(path.lower())[1]

    def limited(stream: Any) -> BinaryIO:
        return io.BufferedReader(Counted(stream, size, path, max_memory))

    if end == ".zip":
        archive = undamaged(path, zipfile.ZipFile, raw)
        inside = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        if len(inside) != 1:
            raise DataError(f"{path} holds {len(inside)} files ({listed(inside)}); one expected: unpack it")
        return limited(undamaged(path, archive.open, inside[0])), raw, size
    return (limited(PACKED[end](raw)) if end in PACKED else raw), raw, size
