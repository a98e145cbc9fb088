"""Users' tables, read by pandas in chunks: text files, spreadsheets, columnar files and DataFrames."""

from __future__ import annotations

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import BinaryIO

import pandas as pd

from . import column_limits, layout
from .columns import Again, Collector, Known, text_of
from .content import Content
from .errors import DataError, listed
from .layout import MARKS
from .sources import TableOptions, ending, open_binary

CELLS = 300_000  # cells in memory as text at one time
EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) > (3, 0) else {"float_precision": "round_trip"}  # fmt: skip


def read_table(
    source: object,
    name: str,
    time: str | None = None,
    labels: Sequence[str] = (),
    options: TableOptions | None = None,
    on_progress: Callable[[float], None] | None = None,
    ragged: bool = False,
) -> Content:
    """Read a table.

    Args:
        source: a path, "-" for standard input, or a DataFrame. name: of it, for messages.
        time: the time column, or several with commas between; by default the first one that holds times.
        labels: columns to keep as text. options: what need not be decided.
        on_progress: called periodically with the fraction of the file read so far.
        ragged: True if rows may end early.

    Raises:
        DataError: for a table that cannot be read, with the line, or that can be read in two ways, naming both.
    """
    options = options or TableOptions()
    known = Known(time, labels, options, ragged)
    if options.encoding:
        known.encodings = [options.encoding]
    if isinstance(source, pd.DataFrame):
        return _repeated(lambda: _Frame(source, name, known), known)
    end = ending(source)
    if end in (".parquet", ".feather", ".xlsx", ".xlsm"):
        column_limits.check_columns(source, options.max_memory)
    if end in (".parquet", ".feather"):
        frame = _opened(name, end, lambda: (pd.read_parquet if end == ".parquet" else pd.read_feather)(source))
        return _repeated(lambda: _Frame(frame, name, known), known)
    try:
        file, raw, size = open_binary(source, options.max_memory)
        with raw, file:
            if end in (".xlsx", ".xlsm"):
                file = _sheet(_opened(name, end, lambda: pd.ExcelFile(file, engine="openpyxl")), name, options.sheet)
            told = on_progress and (lambda: on_progress(min(1.0, raw.tell() / max(size, 1))))
            return _repeated(lambda: _Text(file, name, known, told), known)
    except UnicodeDecodeError as error:
        raise DataError(f"{name} cannot be read as {error.encoding}: name its encoding with --encoding") from None
    except (
        OSError,
        EOFError,
        csv.Error,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        pd.errors.ParserError,
    ) as error:
        raise DataError(f"{name} cannot be read as a table: {' '.join(str(error).split())[:200]}") from None


def _opened(name, end, read):
    """What ``read`` returns; a damaged file can raise nearly anything."""
    try:
        return read()
    except ImportError as error:
        raise DataError(f"{name}: {end} files need {error.name}: pip install {error.name}") from None
    except Exception as error:
        raise DataError(f"{name} cannot be read as {end}: {' '.join(str(error).split())[:200]}") from None


def _repeated(collector, known):
    """Read, and read again while the rows show that a first decision was wrong."""
    while True:
        try:
            return collector().read()
        except Again:
            continue
        except UnicodeDecodeError:
            if len(known.encodings) == 1:
                raise
            del known.encodings[0]


def _sheet(book, name, sheet):
    """A sheet of a spreadsheet as text, so that titles, units and marks are treated as in text."""
    if sheet is None:
        filled = [
            one for one in book.sheet_names if not pd.read_excel(book, sheet_name=one, header=None, nrows=2).empty
        ]
        if len(filled) > 1:
            raise DataError(f"{name} has the sheets {listed(filled)}; say which with --sheet")
        sheet = (filled or book.sheet_names)[0]
    elif sheet not in book.sheet_names:
        raise DataError(f"{name} has no sheet {sheet!r}; it has {listed(book.sheet_names)}")
    cells = pd.read_excel(book, sheet_name=sheet, header=None, dtype=object).dropna(axis=1, how="all")
    return io.BytesIO(cells.to_csv(header=False, index=False).encode())


class _Text(Collector):
    """One pass over a text file."""

    strings = True

    def __init__(self, file, name, known, told):
        self.file, self.told = file, told
        file.seek(0)
        sample, whole = layout.read_sample(file)
        self.layout = decided = layout.decide(
            sample, whole, name, known.options, known.encodings, known.cells, known.ragged
        )
        self.redecides = not (known.options.decimal and known.options.thousands) and len(known.cells) < 10_000
        super().__init__(name, decided.names, decided.rows, known, decided.decimal, decided.thousands)

    def read(self):
        """Read the rows."""
        decided, options, width = self.layout, self.options, len(self.columns)
        self.file.seek(0)
        self.counter = _Counter(self.file, decided.sep)
        as_text = range(width) if decided.thousands else [*self.time, *self.label_columns]
        rows = pd.read_csv(
            io.BufferedReader(self.counter),
            sep=r"\s+" if decided.sep == " " else decided.sep,
            header=None,
            names=range(width),
            index_col=False,
            skiprows=decided.skip,
            encoding=decided.encoding,
            decimal=decided.decimal,
            dtype=dict.fromkeys(as_text, object),
            na_values=[*MARKS, *options.na],
            keep_default_na=False,
            skipinitialspace=True,
            chunksize=max(1, CELLS // width),
            low_memory=False,
            **EXACT,
        )
        try:
            with rows:
                for frame in rows:
                    self.add(frame)
                    if self.told:
                        self.told()
        except pd.errors.ParserError:
            self._check_lengths()
            raise
        expected = decided.separators_skipped + self.done * (width - 1)
        if decided.sep == " " or self.counter.count != expected:
            self._check_lengths()
        return self.content(decided.words)

    def place(self, row):
        return f"{self.name} line {next(line for k, (line, _) in enumerate(self._records()) if k == self.done + row)}"

    def _records(self):
        """(line, cells) of the rows, from the start of the file once more."""
        self.file.seek(0)
        text = io.TextIOWrapper(_Counter(self.file, ","), self.layout.encoding, newline="")
        for at, (line, cells) in enumerate(layout.records(text, self.layout.sep)):
            if at >= self.layout.skip and cells:
                yield line, cells

    def _check_lengths(self):
        """Raise DataError for the first row with another number of fields."""
        width = len(self.columns)
        for line, cells in self._records():
            if len(cells) > width or len(cells) < width - self.layout.trailing and not self.known.ragged:
                raise DataError(
                    f"{self.name} line {line} has {len(cells)} fields; {width} expected, as in the rows above it"
                )


class _Frame(Collector):
    """A DataFrame."""

    def __init__(self, frame, name, known):
        if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex | pd.MultiIndex) or frame.index.name is not None:
            frame = frame.reset_index(names=[one or "index" for one in frame.index.names])
        self.frame = frame
        head = [text_of(frame.iloc[:200, k]).fillna("") for k in range(frame.shape[1])]
        columns = [", ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in frame.columns]
        if len(set(columns)) < len(columns):
            raise DataError(
                f"{name} has two columns {listed({one for one in columns if columns.count(one) > 1})!r}; give each a separate name"
            )
        super().__init__(name, columns, list(zip(*head)), known)

    def _time_columns(self, time, rows):
        kinds = [
            column.dtype.kind == "M" or isinstance(column.dtype, pd.PeriodDtype) for _, column in self.frame.items()
        ]
        if time is None and True in kinds:
            return [kinds.index(True)]
        return super()._time_columns(time, rows)

    def read(self):
        if not len(self.frame):
            raise DataError(f"{self.name} has no rows")
        self.add(self.frame)
        content = self.content([])
        return content._replace(notes=content.notes[1:] if content.notes[0].startswith("read as: ") else content.notes)


class _Counter(io.RawIOBase):
    """A file that counts a separator while it is read, to find rows that are too short without a second pass."""

    def __init__(self, file: BinaryIO, sep: str) -> None:
        self.file, self.sep, self.count = file, sep.encode(), 0

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.file.read(len(buffer))
        self.count += data.count(self.sep)
        buffer[: len(data)] = data
        return len(data)
