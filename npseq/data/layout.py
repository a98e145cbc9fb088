"""What a table of text looks like: encoding, separator, numbers, header; decided from its first rows, or said."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from typing import BinaryIO, NamedTuple

from ..formats.messages import argument
from .archives import label_of
from .encodings import UTF_8, decode, utf_16_of
from .errors import DataError, listed
from .numbers import AMOUNT, CONVENTIONS, NUMBER, TRUTH, number_form
from .numbers import MARKS as MARKS
from .numbers import MISSING as MISSING
from .sources import TableOptions, ending, open_binary
from .time_forms import CLOCK_TIME, is_time

MOST_ROWS = 1000  # that decisions are made from
SAMPLE = 1 << 16  # bytes, or as many as LINES lines take, that decisions are made from; at most MOST bytes
LINES, MOST = 50, 1 << 23
ENOUGH = 10_000  # cells that the signs in numbers are decided from
SEPARATORS = {"\t": "tabs", ";": "';'", "|": "'|'", ",": "','", " ": "blanks"}
MOSTLY = 0.9  # of the rows of a .txt file: it is a table
TYPED = ("number", "time")
APOSTROPHES = re.compile(r"(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|\r]|$)", re.M)
NOTHING_SAID = TableOptions()
FOOTER = re.compile(r"(?:grand )?totals?:?|sum:?|average:?|mean:?|(?:data )?sources?:.*|notes?:.*", re.I)
COMMENTS = ("#", "%", "//")
COMMENT = re.compile(r"(?:#|%|//)[^\r\n]*(?:\r\n|\r|\n)")


def kind_of_cell(cell: str, options: TableOptions = NOTHING_SAID) -> str:
    """Return what a cell looks like: "missing", "number", "time" or "text"."""
    for mark in options.strip:
        cell = cell.replace(mark, "").strip()
    if cell.lower() in MISSING or cell in options.na:
        return "missing"
    if AMOUNT.fullmatch(cell) or cell.lower() in TRUTH:
        return "number"
    return "time" if CLOCK_TIME.fullmatch(cell) or is_time(cell) else "text"


def footers(cells: Iterable[str]) -> list[str]:
    """Return the first cells of the rows at the end that are no data, but a total, a mean, a source or a note; ``cells``
    are the first cells of all rows, from the last row on."""
    return list(takewhile(FOOTER.fullmatch, cells))


class Row(NamedTuple):
    """A record of the file: its number from 0 (quoted line ends are no end), the line it ends in, its cells."""

    at: int
    line: int
    cells: list[str]


def records(lines: Iterable[str], sep: str, quote: str = '"') -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each record; no cells for a blank line."""
    if sep == " ":
        lines = (" ".join(line.split()) for line in lines)
    reader = csv.reader(lines, delimiter=sep, quotechar=quote, skipinitialspace=True)
    for cells in reader:
        yield reader.line_num, cells


def read_sample(file: BinaryIO) -> tuple[bytes, bool]:
    """Return the first bytes of a file, and True if they are all."""
    sample = file.read(SAMPLE)
    while sample.count(b"\n") < LINES and len(sample) < MOST and (more := file.read(SAMPLE)):
        sample += more
    return sample, not file.read(1)


def kind_of(path: str, options: TableOptions | None = None, named: bool = False) -> str:
    """Return "table", "text", "sequences" or "unclear" for a file.

    A file of labelled sequences says so (``archives.py``). Only a .txt can be a text: it is a table if a table option (or
    a column, ``named``) is given, or if nearly all rows split into the same two or more fields, of which one has numbers;
    it is unclear if more than half of them do.
    """
    if label_of(path):
        return "sequences"
    if ending(path) != ".txt" or named or options not in (None, NOTHING_SAID):
        return "table"
    file, _, _ = open_binary(path, options.max_memory if options else None)
    with file:
        sample, whole = read_sample(file)
    try:
        text = decode(sample, whole, path, None if utf_16_of(sample) else "latin-1")[1]  # other letters change nothing
    except DataError:  # no table is read from it, as it holds zero bytes
        return "text"
    fit = max(_fraction_of_rows(text, sep, whole) for sep in SEPARATORS)
    return "table" if fit >= MOSTLY else "unclear" if fit > 0.5 else "text"


def _fraction_of_rows(text: str, sep: str, whole: bool) -> float:
    """The fraction of the rows that have as many fields as most of them, and a number in a column of numbers; the first is
    the header."""
    try:
        rows = [row.cells for row in _rows(text, sep, '"', whole) if not row.cells[0].startswith(COMMENTS)]
    except csv.Error:  # a field that is longer than any of a table: a line of megabytes, or a quote without end
        return 0.0
    width = _width(rows) if rows else 0
    alike = [cells for cells in rows[1:] or rows if len(cells) == width]
    if width < 2 or not alike:
        return 0.0
    typed = [sum(bool(NUMBER.fullmatch(cell)) for cell in column) for column in zip(*alike)]
    fits = len(alike) if 2 * max(typed) >= len(alike) else 0
    return (fits + (len(rows) > 1 and fits > 0)) / len(rows)


class Layout:
    """How a table of text is read, decided from its first bytes; what ``options`` says is not decided.

    Args:
        sample: bytes. whole: True if they are all. source: its name, for messages.
        encoding: of the file, if it is known.
        more: cells from further down that the first decision could not read as numbers.
        ragged: True if rows may end early.

    Attributes:
        encoding; sep: between fields; quote: around them; decimal, thousands: signs in numbers.
        skip: records before the first row; names: of the columns; trailing: how many fields at the end of each row are empty.
        words: what was decided, for the user; rows: the first rows, as cells.

    Raises:
        DataError: for an empty file, one that is no text, or two readings that fit equally; both are named.
    """

    def __init__(self, sample: bytes, whole: bool, source: str, options: TableOptions,
                 encoding: str | None = None, more: Sequence[str] = (), ragged: bool = False) -> None:  # fmt: skip
        self.source, self.options = source, options
        self.encoding, text = decode(sample, whole, source, encoding or options.encoding)
        self.sep, self.quote, rows = _split(text, whole, options.sep)
        if not rows:
            raise DataError(f"{source} is empty; a table with a header line and rows of numbers expected")
        width = max(len(row.cells) for row in rows) if ragged else _width([row.cells for row in rows])
        if ragged:
            rows = [row._replace(cells=row.cells + [""] * (width - len(row.cells))) for row in rows]
        if whole:
            rows = rows[: len(rows) - len(footers(next(filter(None, row.cells)) for row in rows[:0:-1]))]
        full = [row for row in rows if len(row.cells) == width]
        tail = full[(len(full) + 1) // 2 :][:100] or full[-1:]
        self.kinds = [self._kind_of_column(column) for column in zip(*(row.cells for row in tail))]
        self.trailing = next((n for n in range(width) if any(row.cells[-1 - n] for row in tail)), 0)
        self.header = self._find_header(rows, width)
        self.rows = [row.cells for row in full if row.at >= self.skip]
        self.decimal, self.thousands = self._signs(more)
        self.words = [self.encoding] if self.encoding not in (UTF_8, options.encoding) else []
        self.words += [f"{SEPARATORS.get(self.sep, repr(self.sep))} between fields"] if width > 1 else []
        self.words += ["fields in apostrophes"] if self.quote == "'" else []
        self.words += [{".": "decimal point", ",": "decimal comma"}.get(self.decimal, f"decimal {self.decimal!r}")]
        self.words += [f"{self.thousands!r} between thousands"] if self.thousands else []
        self.words += self.header

    def _signs(self, more: Sequence[str]) -> tuple[str, str | None]:
        """The decimal and thousands signs that most numbers fit. Raises DataError if 1,234 can be two numbers."""
        said = self.options
        fitting = [one for one in CONVENTIONS if said.decimal in (None, one[0]) and said.thousands in (None, one[1])]
        if not fitting or said.decimal and said.thousands:
            return said.decimal or ".", said.thousands
        columns = [[cell for cell in column if NUMBER.fullmatch(cell)] for column in zip(*self.rows)]
        cells = [cell for column in columns for cell in column]
        cells = [*cells[:: 1 + len(cells) // ENOUGH], *more]
        fits = {one: sum(map(bool, map(number_form(*one).fullmatch, cells))) for one in fitting}
        best = max(fitting, key=fits.__getitem__)
        sign, twin = best[0], (",."[best[0] == ","], best[0])
        if best[1] or fits.get(twin) != fits[best]:
            return best
        column = next((column for column in [*columns, [*more]] if any(sign in cell for cell in column)), [])
        whole = [cell.lstrip("-+") for cell in column if cell.lstrip("-+").isdigit() and cell != "0"]
        hundreds = sum(len(cell) == 3 and cell[0] != "0" for cell in whole)
        thousand = any(len(cell) > 3 or cell[0] == "0" for cell in whole)  # without a sign: the sign is a decimal one
        if not column or thousand or sign == "." and (self.sep == "," or hundreds < 2):
            return best
        if sign == "," and hundreds:
            return twin
        one = next(cell for cell in column if sign in cell)
        raise DataError(
            f"{self.source}: {one!r} can be {one.replace(sign, '.')} or {one.replace(sign, '')}; say which with "
            f"{argument('decimal', sign)} or {argument('thousands', sign)}"
        )

    def _kind_of_column(self, cells: Iterable[str]) -> str:
        """What most of the cells are: number, time, text, or missing if all are."""
        counts = Counter(kind_of_cell(cell, self.options) for cell in cells)
        del counts["missing"]
        return max(("number", "time", "text"), key=counts.__getitem__) if counts else "missing"

    def _fitting(self, cells: list[str]) -> tuple[int, int]:
        """How many cells of a row are of the kind of their column, and how many are not, in columns of numbers and times."""
        typed = [(kind, kind_of_cell(cell, self.options)) for kind, cell in zip(self.kinds, cells) if kind in TYPED]
        return sum(one == kind for kind, one in typed), sum(one not in (kind, "missing") for kind, one in typed)

    def _is_above(self, cells: list[str]) -> bool:
        """True for what no row of data can be: text where times are expected, or in most columns of numbers."""
        fit, misfit = self._fitting(cells)
        if ("time", "text") in zip(self.kinds, (kind_of_cell(cell, self.options) for cell in cells)):
            return True
        return misfit > fit if len(cells) == len(self.kinds) else fit == 0

    def _is_header(self, cells: list[str], below: list[Row]) -> bool:
        """True if the first row has other kinds of cells, or another decimal sign, than the rows below it, or if none of
        them has numbers."""
        counts = self._counts(cells) and not any(self._counts(row.cells) for row in below[:5])
        here = {cell.strip("0123456789+-") for cell in cells} & {".", ","}
        signs = {
            sign for row in below[:100] for cell in row.cells if NUMBER.fullmatch(cell) for sign in ",." if sign in cell
        }
        other = bool(here and signs) and not here & signs
        index = cells[:2] == ["", "0"] and all(row.cells[0] for row in below[:100]) and self.kinds[:1] != ["text"]
        counts |= index and cells[1:] == [str(k) for k in range(len(cells) - 1)]  # of a Series or frame without names
        return counts or other or self._fitting(cells)[1] > 0 or not {*TYPED} & {*self.kinds}

    def _find_header(self, rows: list[Row], width: int) -> list[str]:
        """Set ``skip`` and ``names``. Returns what is told."""
        first = next(i for i, row in enumerate(rows) if len(row.cells) == width)
        if first and rows[first - 1].cells[0] in ("#", "%") and len(rows[first - 1].cells) == width + 1:
            first -= 1
            rows[first] = rows[first]._replace(cells=rows[first].cells[1:])
        start, head, names, said = first, None, None, self.options.header
        if said is not False and first and not self._is_above(rows[first].cells):
            names = self._names_of_another_width(rows[first - 1].cells, rows[first:])
            head = None if names is None else first - 1
        if said is not False and names is None and (said or self._is_header(rows[first].cells, rows[first + 1 :])):
            start = first + 1
            while start < len(rows) - 1 and self._is_above(rows[start].cells):
                start += 1
            full = (i for i in range(first, start) if len(rows[i].cells) == width)
            head = max(full, key=lambda i: (*_as_header(rows[i].cells), -i))
            names = [rows[head].cells[0].lstrip("#%/ "), *rows[head].cells[1:]]
        if start >= len(rows):
            raise DataError(f"{self.source} has a header line and no rows")
        if (fields := len(rows[start].cells)) > width:
            line = f"{self.source} line {rows[start].line}"
            raise DataError(f"{line} has {fields} fields; {width} expected, as in the rows below it")
        above, what = (first, "no header") if head is None else (head, "header")
        words = [what] + [f"{above} lines above the {'rows' if head is None else what} skipped"] * bool(above)
        for row in rows[start if head is None else head + 1 : start]:
            words.append(f"the line {self.sep.join(row.cells)[:40]!r} under the header skipped")
        if names and 0 < width - len(names) <= self.trailing:
            words.append("an empty field at the end of each row left out")
            names += [""] * (width - len(names))
        self.skip = rows[start].at if start else 0
        self.names = [name or f"Unnamed: {k}" for k, name in enumerate(names or [f"c{k}" for k in range(width)])]
        if repeated := [name for name, count in Counter(self.names).items() if count > 1]:
            raise DataError(f"{self.source} has two columns {listed(repeated)!r}; give each a separate name")
        return words

    def _names_of_another_width(self, names: list[str], body: list[Row]) -> list[str] | None:
        """The names of the columns from a line with more, or with one less, than the rows below it; None if it is no header."""
        width = len(self.kinds)
        said = f"{self.source} line {body[0].line} has {width} fields; {len(names)} expected"
        if 0 < width - len(names) <= self.trailing:
            return names
        rows = sum(map(bool, names)) > 1 and "text" not in (
            kind_of_cell(cell, self.options) for cell in names
        )  # no names
        if rows or any(names[width:]):
            raise DataError(
                f"{said}, as in the line above it; {argument('header', False)} reads the rows without names"
            )
        if len(names) > width:
            return names[:width]
        if len(names) != width - 1 or self._fitting(names)[0]:
            return None
        columns = list(zip(*(row.cells for row in body if len(row.cells) == width)))
        clocks = (k for k in range(1, width) if self.kinds[k] == "time" and all(":" in cell for cell in columns[k]))
        if self.sep == " " and (clock := next(clocks, None)):
            return [*names[:clock], f"{names[clock - 1]} (clock)", *names[clock:]]
        first = columns[0]
        counts = all(cell.isdigit() for cell in first) and {int(b) - int(a) for a, b in zip(first, first[1:])} <= {1}
        if counts or self.kinds[0] == "text" and len(set(first)) == len(first):
            return ["", *names]  # R writes the names of rows so
        raise DataError(
            f"{said}, as in the header line; a decimal comma in a table with commas between fields needs quotes, or "
            "another separator"
        )

    def _counts(self, cells: list[str]) -> bool:
        """True for whole numbers that count on: years, or pandas' 0, 1, 2 (its index has no name)."""
        numbers = [cell for cell, kind in zip(cells, self.kinds) if kind == "number" and cell]
        if len(numbers) < 2 or not all(cell.isdigit() for cell in numbers):
            return False
        first, steps = int(numbers[0]), {int(b) - int(a) for a, b in zip(numbers, numbers[1:])}
        return steps == {1} and first == 0 or len(steps) == 1 and steps != {0} and 1500 < first < 2200


def _rows(text: str, sep: str, quote: str, whole: bool) -> list[Row]:
    """The first rows, without blank lines. Comments above them are left out, except for the last three, which may be the
    header and its units."""
    ends = [0]
    while comment := COMMENT.match(text, ends[-1]):
        ends.append(comment.end())
    above = max(0, len(ends) - 4)
    found = enumerate(islice(records(io.StringIO(text[ends[above] :], newline=""), sep, quote), MOST_ROWS), above)
    rows = [Row(at, line + above, [cell.strip() for cell in cells]) for at, (line, cells) in found]
    rows = rows if whole or len(rows) in (1, MOST_ROWS) else rows[:-1]  # the last one may be cut
    return [row for row in rows if any(row.cells)]


def _split(text: str, whole: bool, said: str | None) -> tuple[str, str, list[Row]]:
    """The separator that fits best, the quotes around fields, and the rows."""
    quote = "'" if 2 * len(APOSTROPHES.findall(text)) > text.count("\n") else '"'
    absent = [sep for sep in SEPARATORS if sep != " " and sep not in text]  # the rows are the same for all of them
    tried = [said] if said else [sep for sep in SEPARATORS if sep not in absent[1:]]
    found = {sep: _rows(text, sep, quote, whole) for sep in tried}
    fits = {sep: _fit([row.cells for row in rows], sep) for sep, rows in found.items()}
    best = max(fits, key=fits.__getitem__)
    if best in " ,":  # they are often part of a cell: another sign that splits the rows is taken
        others = (sep for sep in "\t;|" if sep in fits and fits[sep][1] and fits[sep][0] > 0.7 * fits[best][0])
        best = next(others, best)
    return best, quote, found[best]


def _width(rows: list[list[str]]) -> int:
    return Counter(len(cells) for cells in rows[len(rows) // 2 :]).most_common(1)[0][0]


def _fit(rows: list[list[str]], sep: str) -> tuple[float, bool]:
    """(how well the rows fit this separator, True for several columns): the greatest is taken."""
    if not rows:
        return 0.0, False
    width, tail = _width(rows), rows[len(rows) // 2 :][:40]
    cells = [cell for row in tail for cell in row[:200]]
    text = [cell for cell in cells if kind_of_cell(cell) == "text"]
    score = sum(len(row) == width for row in tail) / len(tail) * (1 - len(text) / len(cells))
    if sep == " " and any(re.search(r"[,;|]", cell) for cell in text):
        score *= 0.5
    if width == 1:  # a header of several names is not one name
        between = re.compile(r"[,;|\t ]" if all(" " in row[0] for row in tail) else r"[,;|\t]")
        several = any(between.search(row[0]) and kind_of_cell(row[0]) == "text" for row in rows[:40])
        return score * (0.5 if several else 1.0), False
    return score * (0.8 if len(rows[0]) < width - 1 or width == 2 > len(rows[0]) else 1.0), True


def _as_header(cells: list[str]) -> tuple[bool, int, int]:
    """The key that is greatest for the header among the rows above the data: it is no comment, and has many names and
    few numbers (unless most names are numbers)."""
    numbers, names = (
        sum(bool(NUMBER.fullmatch(cell)) for cell in cells),
        {cell for cell in cells if cell.lower() not in MISSING},
    )
    return not cells[0].startswith(COMMENTS), len(names), -numbers * (2 * numbers <= len(cells))
