"""Users' tables, read by pandas in chunks: text files, spreadsheets, columnar files and DataFrames."""

from __future__ import annotations

import csv
import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from datetime import time as time_of_day
from itertools import islice
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
    known = Known(time, labels, options or TableOptions(), ragged)
    end, max_memory = "" if isinstance(source, pd.DataFrame) else ending(source), known.options.max_memory
    if end in (".parquet", ".feather", ".xlsx", ".xlsm"):
        column_limits.check_columns(source, max_memory)
    if end in (".parquet", ".feather"):
        source = _opened(name, end, lambda: (pd.read_parquet if end == ".parquet" else pd.read_feather)(source))
    if isinstance(source, pd.DataFrame):
        return _repeated(lambda encodings: _read_frame(source, name, known))
    try:
        file, raw, size = open_binary(source, max_memory)
        with raw, file:
            if end in (".xlsx", ".xlsm"):
                book = _opened(name, end, lambda: pd.ExcelFile(file, engine="openpyxl"))
                file = _sheet(book, name, known.options.sheet)

            def told() -> None:
                if on_progress is not None:
                    on_progress(min(1.0, raw.tell() / max(size, 1)))

            return _repeated(lambda encodings: _read_text(file, name, known, encodings, told), known.options.encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{name} cannot be read as {error.encoding}: name its encoding with --encoding") from None
    except DAMAGED as error:
        raise DataError(f"{name} cannot be read as a table: {' '.join(str(error).split())[:200]}") from None


def _repeated(read: Callable[[list[str]], Content], encoding: str | None = None) -> Content:
    """Read, and read again while the rows show that a first decision was wrong; ``read`` is given the encodings left."""
    encodings = [encoding] if encoding else [*layout.ENCODINGS]
    while True:
        try:
            return read(encodings)
        except Again:
            continue
        except UnicodeDecodeError:
            if len(encodings) == 1:
                raise
            del encodings[0]


def _opened(name: str, end: str, read: Callable[[], Any]) -> Any:
    """What ``read`` returns; a damaged file can raise nearly anything."""
    try:
        return read()
    except ImportError as error:
        raise DataError(f"{name}: {end} files need {error.name}: pip install {error.name}") from None
    except Exception as error:
        raise DataError(f"{name} cannot be read as {end}: {' '.join(str(error).split())[:200]}") from None


def _sheet(book: pd.ExcelFile, name: str, sheet: str | None) -> io.BytesIO:
    """A sheet of a spreadsheet as text, so that titles, units and marks are treated as in text."""
    if sheet is None:
        heads = pd.read_excel(book, sheet_name=None, header=None, nrows=2)
        filled = [one for one, head in heads.items() if not head.empty]
        if len(filled) > 1:
            raise DataError(f"{name} has the sheets {listed(filled)}; say which with --sheet")
        sheet = (filled or book.sheet_names)[0]
    elif sheet not in book.sheet_names:
        raise DataError(f"{name} has no sheet {sheet!r}; it has {listed(book.sheet_names)}")
    cells = pd.read_excel(book, sheet_name=sheet, header=None, dtype=object).dropna(axis=1, how="all")
    days = cells.map(lambda cell: cell.date() if isinstance(cell, datetime) and cell.time() == MIDNIGHT else cell)
    return io.BytesIO(days.to_csv(header=False, index=False).encode())


class _Rows:
    """The rows of a text file as pairs (line, cells), read from its start once more, to name a line in a message."""

    def __init__(self, file: BinaryIO, name: str, decided: layout.Layout, ragged: bool) -> None:
        self.file, self.name, self.decided, self.most = file, name, decided, len(decided.names)
        self.least = 0 if ragged else self.most - decided.trailing

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        self.file.seek(0)
        text = io.TextIOWrapper(self.file, self.decided.encoding, newline="")
        try:
            for at, (line, cells) in enumerate(layout.records(text, self.decided.sep, self.decided.quote)):
                if at >= self.decided.skip and cells:
                    yield line, cells
        finally:
            text.detach()

    def check_lengths(self, rows: int | None = None) -> None:
        """Raise DataError for the first of the rows with another number of fields."""
        for line, cells in islice(self, rows):
            if not self.least <= len(cells) <= self.most:
                raise DataError(
                    f"{self.name} line {line} has {len(cells)} fields; {self.most} expected, as in the rows above it"
                )

    def place(self, row: int) -> str:
        return f"{self.name} line {next(islice(self, row, None))[0]}"


def _chunks(file: BinaryIO, decided: layout.Layout, na: Sequence[str], as_text: Sequence[int]) -> Any:
    """Start to read a text file as it was decided. ``as_text``: columns whose cells stay as they are written."""
    file.seek(0)
    width = len(decided.names)
    return pd.read_csv(
        file,
        sep=r"\s+" if decided.sep == " " else decided.sep,
        quotechar=decided.quote,
        header=None,
        names=range(width),
        index_col=False,
        skiprows=decided.skip,
        encoding=decided.encoding,
        decimal=decided.decimal,
        dtype=dict.fromkeys(as_text, object),
        na_values=[*MARKS, *na],
        keep_default_na=False,
        skipinitialspace=True,
        chunksize=max(CELLS // width, min(LEAST, CELLS // 4), 1),
        low_memory=False,
        **EXACT,
    )


def _footers(frame: pd.DataFrame) -> list[str]:
    """The first cells of the rows at the end of the last chunk that are no data, from the last row on."""
    rows = ((frame.iat[row, k] for k in range(frame.shape[1])) for row in reversed(range(len(frame))))
    return layout.footers(next((str(cell) for cell in row if pd.notna(cell)), "") for row in rows)


def _read_text(file: BinaryIO, name: str, known: Known, encodings: list[str], told: Callable[[], None]) -> Content:
    """Read a text file once. Raises DataError, Again or UnicodeDecodeError."""
    file.seek(0)
    decided = layout.Layout(*layout.read_sample(file), name, known.options, encodings, known.cells, known.ragged)
    rows = _Rows(file, name, decided, known.ragged)
    signs = decided.decimal, decided.thousands
    collector = Collector(name, decided.names, decided.rows, known, rows.place, signs)
    numeric = [k for k in collector.time if any(NUMBER.fullmatch(row[k]) for row in decided.rows)]  # 0100, 20240331
    last = len(decided.names) - 1 - decided.trailing
    short, words, footers = False, decided.words, []  # short: True if a row may be, as its last cell is missing
    try:
        with _chunks(file, decided, known.options.na, [*numeric, *collector.label_columns]) as chunks:
            frame = next(chunks)
            while len(frame):
                following = next(chunks, frame.iloc[:0])
                if not len(following) and not known.labels:
                    footers = _footers(frame)
                frame = frame.iloc[: len(frame) - len(footers)]
                collector.add(frame)
                short = short or frame.iloc[:, last].isna().any()
                frame = following
                told()
    except pd.errors.ParserError:
        rows.check_lengths()
        raise
    if short and not known.ragged:
        rows.check_lengths(collector.done)
    if footers:
        lines = "line" if len(footers) == 1 else f"{len(footers)} lines"
        words.append(f"the last {lines} left out ({footers[-1][:40]!r})")
    return collector.content(words)


def _read_frame(frame: pd.DataFrame, name: str, known: Known) -> Content:
    """Read a DataFrame once. Raises DataError or Again."""
    if not len(frame):
        raise DataError(f"{name} has no rows")
    index = frame.index
    named = index.name is not None or isinstance(index, pd.MultiIndex) or has_times(index)
    if named or looks_like_times("index", index[:200].map(str).tolist()):
        frame = frame.reset_index(names=[one or "index" for one in index.names], allow_duplicates=True)
    columns = [", ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in frame.columns]
    if repeated := [one for one, count in Counter(columns).items() if count > 1]:
        raise DataError(f"{name} has two columns {listed(repeated)!r}; give each a separate name")
    times = [k for k in range(len(columns)) if has_times(frame.iloc[:, k])]
    if known.time is None and times:
        known.time = columns[times[0]]
    rows = zip(*(text_of(frame.iloc[:200, k]).str.strip().fillna("") for k in range(len(columns))))
    collector = Collector(name, columns, rows, known, lambda row: f"{name} row {row}")
    collector.add(frame)
    content = collector.content([])
    return content._replace(notes=content.notes[content.notes[0].startswith("read as: ") :])
