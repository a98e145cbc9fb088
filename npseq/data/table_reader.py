"""Users' tables, read by pandas in chunks: text files, spreadsheets, columnar files and DataFrames."""

from __future__ import annotations

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from datetime import time as time_of_day
from typing import Any, BinaryIO

import pandas as pd

from . import column_limits, layout
from .columns import Again, Collector, Known, has_times, text_of
from .content import Content
from .dates import NUMBER, looks_like_times
from .errors import DataError, listed
from .layout import MARKS
from .sources import TableOptions, ending, open_binary

LEAST = 200  # rows at one time, of a wide table
MIDNIGHT = time_of_day()
DAMAGED = (OSError, EOFError, csv.Error, zipfile.BadZipFile, zlib.error, lzma.LZMAError, pd.errors.ParserError)
CELLS = 300_000  # cells in memory as text at one time
EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) > (3, 0) else {"float_precision": "round_trip"}  # fmt: skip


def read_table(
    source: Any,
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

            def told() -> None:
                if on_progress is not None:
                    on_progress(min(1.0, raw.tell() / max(size, 1)))

            return _repeated(lambda: _Text(file, name, known, told), known)
    except UnicodeDecodeError as error:
        raise DataError(f"{name} cannot be read as {error.encoding}: name its encoding with --encoding") from None
    except DAMAGED as error:
        raise DataError(f"{name} cannot be read as a table: {' '.join(str(error).split())[:200]}") from None


def _opened(name: str, end: str, read: Callable[[], Any]) -> Any:
    """What ``read`` returns; a damaged file can raise nearly anything."""
    try:
        return read()
    except ImportError as error:
        raise DataError(f"{name}: {end} files need {error.name}: pip install {error.name}") from None
    except Exception as error:
        raise DataError(f"{name} cannot be read as {end}: {' '.join(str(error).split())[:200]}") from None


def _repeated(collector: Callable[[], _Text | _Frame], known: Known) -> Content:
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


def _sheet(book: pd.ExcelFile, name: str, sheet: str | None) -> io.BytesIO:
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
    days = cells.map(lambda cell: cell.date() if isinstance(cell, datetime) and cell.time() == MIDNIGHT else cell)
    return io.BytesIO(days.to_csv(header=False, index=False).encode())


class _Text(Collector):
    """One pass over a text file."""

    strings = True

    def __init__(self, file: BinaryIO, name: str, known: Known, told: Callable[[], None]) -> None:
        self.file, self.told = file, told
        file.seek(0)
        sample, whole = layout.read_sample(file)
        decided = layout.Layout(sample, whole, name, known.options, known.encodings, known.cells, known.ragged)
        self.layout = decided
        signs = decided.decimal, decided.thousands
        self.redecides = not (known.options.decimal and known.options.thousands) and signs not in known.tried
        known.tried.add(signs)
        super().__init__(name, decided.names, decided.rows, known, decided.decimal, decided.thousands)

    def read(self) -> Content:
        """Read the rows."""
        decided, options, width = self.layout, self.options, len(self.columns)
        self.file.seek(0)
        as_text = [k for k in self.time if any(NUMBER.fullmatch(row[k]) for row in decided.rows)]  # 0100, 20240331
        rows = pd.read_csv(
            self.file,
            sep=r"\s+" if decided.sep == " " else decided.sep,
            header=None,
            names=range(width),
            index_col=False,
            skiprows=decided.skip,
            encoding=decided.encoding,
            decimal=decided.decimal,
            dtype=dict.fromkeys([*as_text, *self.label_columns], object),
            na_values=[*MARKS, *options.na],
            keep_default_na=False,
            skipinitialspace=True,
            chunksize=max(CELLS // width, min(LEAST, CELLS // 4), 1),
            low_memory=False,
            **EXACT,
        )
        short = False  # True if a row may be: its last cell is missing
        try:
            with rows:
                for frame in rows:
                    self.add(frame)
                    short = short or frame.iloc[:, width - 1 - decided.trailing].isna().any()
                    self.told()
        except pd.errors.ParserError:
            self._check_lengths()
            raise
        if short and not self.known.ragged:
            self._check_lengths()
        return self.content(decided.words)

    def place(self, row: int) -> str:
        return f"{self.name} line {next(line for k, (line, _) in enumerate(self._records()) if k == self.done + row)}"

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of the rows, from the start of the file once more."""
        self.file.seek(0)
        text = io.TextIOWrapper(self.file, self.layout.encoding, newline="")
        try:
            for at, (line, cells) in enumerate(layout.records(text, self.layout.sep)):
                if at >= self.layout.skip and cells:
                    yield line, cells
        finally:
            text.detach()

    def _check_lengths(self) -> None:
        """Raise DataError for the first row with another number of fields."""
        width = len(self.columns)
        for line, cells in self._records():
            if len(cells) > width or len(cells) < width - self.layout.trailing and not self.known.ragged:
                raise DataError(
                    f"{self.name} line {line} has {len(cells)} fields; {width} expected, as in the rows above it"
                )


class _Frame(Collector):
    """A DataFrame."""

    def __init__(self, frame: pd.DataFrame, name: str, known: Known) -> None:
        index = frame.index
        if (
            isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.MultiIndex)
            or index.name is not None
            or index.dtype.kind == "O"
            and len(index)
            and looks_like_times("index", index[:200].map(str))
        ):
            frame = frame.reset_index(names=[one or "index" for one in index.names], allow_duplicates=True)
        self.frame = frame
        head = [text_of(frame.iloc[:200, k]).fillna("") for k in range(frame.shape[1])]
        columns = [", ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in frame.columns]
        if len(set(columns)) < len(columns):
            raise DataError(
                f"{name} has two columns {listed({one for one in columns if columns.count(one) > 1})!r}; give each a separate name"
            )
        super().__init__(name, columns, list(zip(*head)), known)

    def _time_columns(self, time: str | None, rows: Iterable[Sequence[str]]) -> list[int]:
        kinds = [has_times(column) for _, column in self.frame.items()]
        if time is None and True in kinds:
            return [kinds.index(True)]
        return super()._time_columns(time, rows)

    def read(self) -> Content:
        if not len(self.frame):
            raise DataError(f"{self.name} has no rows")
        self.add(self.frame)
        content = self.content([])
        return content._replace(notes=content.notes[1:] if content.notes[0].startswith("read as: ") else content.notes)
