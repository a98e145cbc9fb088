"""Users' tables, read by pandas in chunks: text files, spreadsheets, columnar files and DataFrames."""

from __future__ import annotations

import codecs
import csv
import io
import lzma
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from datetime import time as time_of_day
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from ..formats.messages import argument
from . import archives, column_limits, encodings, layout, limits
from .columns import Collector, Known, has_times, text_of
from .content import Content, name_of_column
from .dates import NUMBER, looks_like_times
from .errors import DataError, listed
from .numbers import MARKS
from .sources import TableOptions, ending, open_binary

LEAST = 200  # rows at one time, of a wide table
MIDNIGHT = time_of_day()
DAMAGED = (OSError, EOFError, csv.Error, zipfile.BadZipFile, zlib.error, lzma.LZMAError, pd.errors.ParserError)
PLAIN = bytes(range(128)) + b"".join({0xA0: b" ", 0x92: b"'"}.get(byte, b"?") for byte in range(128, 256))
FOREIGN = 1 << 16  # bytes in other encodings that are looked at
CHECKED = 1 << 18  # characters that are read at one time
CELLS = 300_000  # cells in memory as text at one time
EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) > (3, 0) else {"float_precision": "round_trip"}  # fmt: skip


def read_table(
    source: Any,
    name: str,
    time: str | None = None,
    labels: Sequence[str] | None = (),
    options: TableOptions | None = None,
    on_progress: Callable[[float], None] | None = None,
    ragged: bool = False,
) -> Content:
    """Read a table.

    Args:
        source: a path, "-" for standard input, or a DataFrame. name: of it, for messages.
        time: the time column, or several with commas between; by default the first one that holds times.
        labels: columns to keep as text, None: those that name series. options: what need not be decided.
        on_progress: called periodically with the fraction of the file read so far.
        ragged: True if rows may end early.

    Raises:
        DataError: for a table that cannot be read, with the line, or that can be read in two ways, naming both.
    """
    known = Known(time, labels, options or TableOptions(), ragged)
    end, max_memory = "" if isinstance(source, pd.DataFrame) else ending(source), known.options.max_memory
    if end in (".parquet", ".feather", ".xlsx", ".xlsm"):
        column_limits.check_columns(source, max_memory)
    if end in (".parquet", ".feather"):  # what is damaged in a column shows only when its cells are read
        found: Content = _opened(name, end, lambda: read_table(_columns(source, end), name, time, labels, options))
        return found
    if isinstance(source, pd.DataFrame):
        return _in_two_passes(known, lambda known: _read_frame(source, name, known))
    try:
        file, raw, size = open_binary(source, max_memory)
        with raw, file:
            if end in (".xlsx", ".xlsm"):
                sheet = known.options.sheet
                file = _opened(name, end, lambda: _sheet(pd.ExcelFile(file, engine="openpyxl"), name, sheet))

            def told(cells: int) -> None:
                limits.check(column_limits.CELL * cells, size, name, max_memory)  # the numbers that are kept
                if on_progress is not None:
                    on_progress(min(1.0, raw.tell() / max(size, 1)))

            return _read_text(file, name, known, told)
    except UnicodeDecodeError as error:
        raise DataError(f"{name} cannot be read as {error.encoding}: name its {argument('encoding')}") from None
    except DAMAGED as error:
        if "field limit" in str(error):
            raise DataError(
                f"{name} cannot be read as a table: a line, or a field after a quote that is not closed, has more than "
                f"{csv.field_size_limit():,} characters; .npy, .npz and .parquet files may have as many columns"
            ) from None
        raise DataError(f"{name} cannot be read as a table: {' '.join(str(error).split())[:200]}") from None


def _opened(name: str, end: str, read: Callable[[], Any]) -> Any:
    """What ``read`` returns; a damaged file can raise nearly anything."""
    try:
        return read()
    except ImportError as error:
        raise DataError(f"{name}: {end} files need {error.name}: pip install {error.name}") from None
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{name} cannot be read as {end}: {' '.join(str(error).split())[:200]}") from None


def _columns(path: str, end: str) -> pd.DataFrame:
    """The table of a columnar file. It is validated: where the file is damaged, Arrow reads memory that is not its own."""
    from pyarrow import feather, parquet

    table = (parquet if end == ".parquet" else feather).read_table(path)
    table.validate(full=True)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _sheet(book: pd.ExcelFile, name: str, sheet: str | None) -> io.BytesIO:
    """A sheet of a spreadsheet as text, so that titles, units and marks are treated as in text."""
    if sheet is None:
        heads = pd.read_excel(book, sheet_name=None, header=None, nrows=2)
        filled = [one for one, head in heads.items() if not head.empty]
        if len(filled) > 1:
            raise DataError(f"{name} has the sheets {listed(filled)}; say which with {argument('sheet')}")
        sheet = (filled or book.sheet_names)[0]
    elif sheet not in book.sheet_names:
        raise DataError(f"{name} has no sheet {sheet!r}; it has {listed(book.sheet_names)}")
    cells = pd.read_excel(book, sheet_name=sheet, header=None, dtype=object).dropna(axis=1, how="all")
    days = cells.map(lambda cell: cell.date() if isinstance(cell, datetime) and cell.time() == MIDNIGHT else cell)
    return io.BytesIO(days.to_csv(header=False, index=False).encode())


class _Watched(io.RawIOBase):
    """The bytes of a file. From the first block on that is not UTF-8, lines with other letters are kept in ``foreign``, and
    the letters are replaced, so that the pass comes to its end; the next one reads them."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.foreign = file, b""
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self.file.read(len(buffer))
        if len(self.foreign) < FOREIGN and not (block.isascii() and not self.decoder.getstate()[0]):
            try:
                self.decoder.decode(block)
            except UnicodeDecodeError:
                self.decoder.reset()
                self.foreign += b"\n".join(line for line in block.split(b"\n") if not line.isascii())
        block = block.translate(PLAIN) if self.foreign else block
        buffer[: len(block)] = block
        return len(block)


class _Rows:
    """The rows of a text file as pairs (line, cells), read from its start once more, to name a line in a message."""

    def __init__(self, file: BinaryIO, name: str, decided: layout.Layout, ragged: bool) -> None:
        self.file, self.name, self.decided, self.most = file, name, decided, len(decided.names)
        self.least = 0 if ragged else self.most - decided.trailing

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        self.file.seek(0)
        text = io.TextIOWrapper(self.file, self.decided.encoding, "replace", newline="")
        try:
            yield from self.of(text)
        finally:
            text.detach()

    def of(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows in these lines, of which the first is that of the file."""
        for at, (line, cells) in enumerate(layout.records(lines, self.decided.sep, self.decided.quote)):
            if at >= self.decided.skip and cells:
                yield line, cells

    def check(self, line: int, cells: list[str]) -> None:
        """Raise DataError for a row with another number of fields."""
        if not self.least <= len(cells) <= self.most:
            raise DataError(
                f"{self.name} line {line} has {len(cells)} fields; {self.most} expected, as in the rows above it"
            )

    def check_lengths(self, rows: int | None = None) -> None:
        """Raise DataError for the first of the rows with another number of fields."""
        for line, cells in islice(self, rows):
            self.check(line, cells)

    def places(self, rows: Collection[int]) -> dict[int, str]:
        """Return the words for these rows, which are numbered from 0."""
        found = islice(self, max(rows, default=-1) + 1)
        lines = {row: f"{self.name} line {line}" for row, (line, _) in enumerate(found) if row in rows}
        return {**dict.fromkeys(rows, self.name), **lines}  # the file may have become shorter since


class _Checked(io.TextIOBase):
    """The text of a file whose rows are checked, and their lines noted, as it is read: a second pass needs no third."""

    def __init__(self, rows: _Rows) -> None:
        rows.file.seek(0)
        self.text = io.TextIOWrapper(rows.file, rows.decided.encoding, "replace", newline="")
        self.rows, self.taken, self.length, self.lines = rows, list[str](), 0, array("q")
        self.records = rows.of(self._lines())

    def _lines(self) -> Iterator[str]:
        for line in self.text:
            self.taken.append(line)
            self.length += len(line)
            yield line

    def read(self, size: int | None = -1) -> str:
        """Return the text of whole rows, of about ``size`` characters; "" at the end."""
        while self.length < (size if size and size > 0 else CHECKED) and (row := next(self.records, None)):
            if not layout.footers([next(filter(None, row[1]), "")]):
                self.rows.check(*row)
            self.lines.append(row[0])
        text, self.taken[:], self.length = "".join(self.taken), [], 0
        return text

    def places(self, rows: Collection[int]) -> dict[int, str]:
        """Return the words for these rows, as ``_Rows.places``."""
        return {row: f"{self.rows.name} line {self.lines[row]}" for row in rows}


def _chunks(file: Any, decided: layout.Layout, na: Any, as_text: Sequence[int]) -> Any:
    """Start to read a text file as it was decided. ``as_text``: columns whose cells stay as they are written; ``na``: marks
    of missing values, or those of each column."""
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
        na_values=na,
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


def _read_text(file: BinaryIO, name: str, known: Known, told: Callable[[int], None]) -> Content:
    """Read a text file in one pass, or in two if the first has shown what the first rows did not."""
    file.seek(0)
    sample, whole = layout.read_sample(file)
    kind = archives.kind_of_archive(sample)
    if kind == "arff":
        file = archives.as_table(file, name)
        known.options = replace(known.options, sep=",", header=True, encoding="utf-8")
        sample, whole = layout.read_sample(file)
    elif kind == "tsf" and known.labels is None:
        return archives.read_tsf(file, name)
    elif kind:
        raise DataError(archives.refusal(kind, file, name))
    archives.refuse_other_formats(sample, name)
    return _in_two_passes(known, lambda known: _read_once(file, sample, whole, name, known, told))


def _in_two_passes(known: Known, read: Callable[[Known], Content | None]) -> Content:
    """Read, and once more if that was in vain."""
    content = read(known)
    content = read(replace(known, second=True, again=False)) if content is None else content
    assert content is not None
    return content


def _read_once(
    file: BinaryIO, sample: bytes, whole: bool, name: str, known: Known, told: Callable[[int], None]
) -> Content | None:
    """Read a text file once. Returns None if the pass was in vain, and ``known`` has what it has shown. Raises DataError."""
    decided = layout.Layout(sample, whole, name, known.options, known.encoding, known.cells, known.ragged)
    rows = _Rows(file, name, decided, known.ragged)
    file.seek(0)
    watched = _Watched(file)
    source: Any = (
        _Checked(rows)
        if known.second
        else io.BufferedReader(watched, CHECKED)
        if decided.encoding == encodings.UTF_8
        else file
    )
    places = source.places if known.second else rows.places
    signs = decided.decimal, decided.thousands
    collector = Collector(name, decided.names, decided.rows, known, places, signs)
    numeric = [k for k in collector.time if any(NUMBER.fullmatch(row[k]) for row in decided.rows)]  # 0100, 20240331
    last = len(decided.names) - 1 - decided.trailing
    marks: Any = [*MARKS, *known.options.na]
    if known.names and collector.labels:  # a series may have the name NA
        marks = {k: marks for k in range(len(decided.names)) if k not in collector.label_columns}
    short, words, footers = False, decided.words, []  # short: True if a row may be, as its last cell is missing
    as_text, said = [*numeric, *collector.label_columns], known.options.encoding is not None
    problem: DataError | None = None
    cells = 0
    try:
        with _chunks(source, decided, marks, as_text) as chunks:
            frame = next(chunks)
            while len(frame):
                following = next(chunks, frame.iloc[:0])
                if not len(following) and not known.labels:
                    footers = _footers(frame)
                frame = frame.iloc[: len(frame) - len(footers)]
                cells += frame.size
                told(cells)
                collector.add(frame)
                short = short or frame.iloc[:, last].isna().any()
                frame = following
    except DataError as error:
        problem = error
    except UnicodeDecodeError:
        if said or known.second:
            raise
        known.encoding, known.again = "latin-1", True  # of Western letters, with bytes that cp1252 does not have
    except pd.errors.ParserError:
        rows.check_lengths()
        raise
    if watched.foreign and not said:
        known.encoding, known.again = encodings.told(watched.foreign, name), True
    if known.again:
        return None
    if problem:
        raise problem
    if short and not known.ragged and not known.second:
        rows.check_lengths(collector.done)
    if footers:
        lines = "line" if len(footers) == 1 else f"{len(footers)} lines"
        words.append(f"the last {lines} left out ({footers[-1][:40]!r})")
    return collector.content(words)


def _read_frame(frame: pd.DataFrame, name: str, known: Known) -> Content | None:
    """Read a DataFrame once, as ``_read_once``. Raises DataError."""
    if not len(frame):
        raise DataError(f"{name} has no rows")
    index = frame.index
    named = index.name is not None or isinstance(index, pd.MultiIndex) or has_times(index)
    if named or looks_like_times("index", index[:200].map(str).tolist()):
        frame = frame.reset_index(names=[one or "index" for one in index.names], allow_duplicates=True)
    columns = [name_of_column(one) for one in frame.columns]
    if repeated := [one for one, count in Counter(columns).items() if count > 1]:
        raise DataError(f"{name} has two columns {listed(repeated)!r}; give each a separate name")
    if nested := [one for k, one in enumerate(columns) if np.ndim(frame.iat[0, k])]:
        raise DataError(f"{name}: the column {nested[0]!r} holds arrays; a number or a time in each cell expected")
    times = [k for k in range(len(columns)) if has_times(frame.iloc[:, k])]
    if known.time is None and times:
        known.time = columns[times[0]]
    rows = zip(*(text_of(frame.iloc[:200, k]).str.strip().fillna("") for k in range(len(columns))))
    collector = Collector(name, columns, rows, known, lambda rows: {row: f"{name} row {row}" for row in rows})
    collector.add(frame)
    if known.again:
        return None
    content = collector.content([])
    return content._replace(notes=content.notes[content.notes[0].startswith("read as: ") :])
