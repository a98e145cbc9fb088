"""What a table of text looks like: encoding, separator, numbers, header; decided from its first rows, or said."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from .errors import DataError, listed
from .sources import TableOptions, ending, open_binary

MOST_ROWS = 1000  # that decisions are made from
SAMPLE = 1 << 16  # bytes, or as many as LINES lines take, that decisions are made from; at most MOST bytes
LINES, MOST = 50, 1 << 23
SEPARATORS = {"\t": "tabs", ";": "';'", "|": "'|'", ",": "','", " ": "blanks"}
MARKS = ("", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "Null", "null", "None", "none", "<NA>", "#NA",
         "#N/A", "#N/A N/A", "#DIV/0!", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", ".", "..", "...", "--", "---", "-",
         "?", "n/e", "na", "Na", "N/E")  # fmt: skip
MISSING = {mark.lower() for mark in MARKS}
TRUTH = {"true": "1", "false": "0"}
CONVENTIONS = ((".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
LOOSE = re.compile(r"[-+−]?[\d.,'’ \u00a0\u202f]*\d[\d.,]*(?:[eE][-+]?\d+)?")
UNIT = "[%€$£¥]?"
AMOUNT = re.compile(rf"{UNIT}\s?(?:{LOOSE.pattern}|[-+]?inf)\s?{UNIT}", re.I)
TIMELIKE = re.compile(
    r"(?:\d{1,4}([-/. ])\d{1,2}\1 ?\d{1,4}|\d{1,4}[-/. ]?[A-Za-z]{3,9}\.?[-/. ]?,? ?\d{1,4}"
    r"|[A-Za-z]{3,9}\.?,?[- ]\d{1,2}[, ]+\d{1,4}|\d{4}[-/.]\d{1,2}|\d{1,2}[-/.]\d{4}|\d{4}[- ]?[QWqw]\d+|[Qq]\d[-/ ]?\d{4}|[A-Za-z]{3}[- ]\d{2,4}|\d{1,2}:\d\d)\b[^,;|\t]*"
)


@dataclass
class Layout:
    """How a table of text is read.

    skip: records (lines, quoted line ends aside) before the first row; names: of the columns; trailing: True if each
    row ends in an empty field; words: what was decided, for the user; rows: the first rows, as cells.
    """

    encoding: str
    sep: str
    decimal: str
    thousands: str | None
    skip: int
    names: list[str]
    trailing: bool
    words: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    separators_skipped: int = 0


def number_pattern(decimal: str, thousands: str | None) -> str:
    """Return the regular expression of a number, digits grouped by threes where ``thousands`` is given."""
    mark = {" ": "[ \u00a0\u202f\u2009]", "'": "['’]"}.get(thousands or "", re.escape(thousands or ""))
    whole = rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|\d+)" if thousands else r"\d+"
    point = re.escape(decimal)
    return rf"[-+−]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][-+]?\d+)?|[-+]?inf(?:inity)?"


def records(lines: Iterable[str], sep: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the stripped cells of each record; no cells for a blank line."""
    if sep == " ":
        lines = (" ".join(line.split()) for line in lines)
    reader = csv.reader(lines, delimiter=sep, skipinitialspace=True)
    for cells in reader:
        yield reader.line_num, [cell.strip() for cell in cells]


def decide(
    sample: bytes,
    whole: bool,
    source: str,
    options: TableOptions,
    encodings: Sequence[str],
    more: Sequence[str] = (),
    ragged: bool = False,
) -> Layout:
    """Decide from the first bytes; what ``options`` says is not decided.

    Args:
        sample: bytes. whole: True if they are all. source: its name, for messages.
        encodings: to try, one after the other.
        more: cells from further down that the first decision could not read as numbers.
        ragged: True if rows may end early.

    Raises:
        DataError: for an empty file, one that is no text, or two readings that fit equally; both are named.
    """
    encoding, text = _decode(sample, whole, source, encodings)
    found = {sep: _rows(text, sep, whole) for sep in ([options.sep] if options.sep else SEPARATORS)}
    sep = max(found, key=lambda sep: _fit([cells for _, _, cells in found[sep]]))
    rows = found[sep]
    if not rows:
        raise DataError(f"{source} is empty; a table with a header line and rows of numbers expected")
    width = _width([cells for _, _, cells in rows], ragged)
    full = [(at, cells) for at, _, cells in rows if len(cells) == width or ragged]
    decimal, thousands = _convention([cells for _, cells in full], sep, source, options, more)
    number = re.compile(number_pattern(decimal, thousands), re.I)
    kinds = _kinds([cells for _, cells in full], width, number, options)
    layout = Layout(encoding, sep, decimal, thousands, 0, [], False)
    if encoding not in ("utf-8-sig", options.encoding):
        layout.words.append(encoding)
    layout.words += [f"{SEPARATORS.get(sep, repr(sep))} between fields"] if width > 1 else []
    layout.words.append({".": "decimal point", ",": "decimal comma"}.get(decimal, f"decimal {decimal!r}"))
    layout.words += [f"{thousands!r} between thousands"] if thousands else []
    _find_header(layout, rows, width, kinds, number, source, options)
    layout.rows = [cells for at, cells in full if at >= layout.skip]
    layout.separators_skipped = sum(max(0, len(cells) - 1) for at, _, cells in rows if at < layout.skip)
    return layout


def kind_of(path: str, options: TableOptions | None = None, named: bool = False) -> str:
    """Return "table" or "text" for a file.

    Only a .txt can be either: it is a table if a table option (or a column, ``named``) is given, or if every row splits
    into the same two or more fields and at least one of them is a number below the first row.
    """
    if ending(path) != ".txt" or named or options not in (None, TableOptions()):
        return "table"
    file, _, _ = open_binary(path, options and options.max_memory)
    with file:
        sample, whole = read_sample(file)
    try:
        _, text = _decode(sample, whole, path, ["utf-8-sig", "cp1252", "latin-1"])
    except DataError:  # no table is read from it, for example as it holds zero bytes
        return "text"
    for sep in SEPARATORS:
        try:
            cells = [cells for _, _, cells in _rows(text, sep, whole)]
        except csv.Error:  # a field that is longer than any of a table: a line of megabytes, or a quote without end
            continue
        if len({len(row) for row in cells}) == 1 and len(cells[0]) > 1:
            if all(any(LOOSE.fullmatch(cell) for cell in row) for row in cells[1:] or cells):
                return "table"
    return "text"


def read_sample(file: io.BufferedIOBase) -> tuple[bytes, bool]:
    """Return the first bytes of a file, and True if they are all."""
    sample = file.read(SAMPLE)
    while sample.count(b"\n") < LINES and len(sample) < MOST and (more := file.read(SAMPLE)):
        sample += more
    return sample, not file.read(1)


def _decode(sample, whole, source, encodings):
    """The encoding that fits, and the text."""
    utf_16 = utf_16_of(sample)
    for name in encodings if utf_16 is None else [utf_16]:
        try:
            text = codecs.getincrementaldecoder(name)().decode(sample, whole)
        except UnicodeDecodeError:
            continue
        except LookupError:
            break
        if "\0" in text:
            raise DataError(f"{source} is not text: it holds zero bytes")
        return name, text
    raise DataError(f"{source} cannot be read as {utf_16 or encodings[0]}: name its encoding with --encoding")


def utf_16_of(sample: bytes) -> str | None:
    """Return the encoding of the first bytes of a file in UTF-16: with its mark, or with every second byte zero."""
    if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    odd, even = any(sample[1:40:2]), any(sample[:40:2])
    if len(sample) > 3 and odd != even:
        return "utf-16-be" if odd else "utf-16-le"
    return None


def _rows(text, sep, whole):
    """(number of the record, its line, its cells), without blank lines."""
    found = enumerate(islice(records(io.StringIO(text, newline=""), sep), MOST_ROWS))
    rows = [(at, line, cells) for at, (line, cells) in found]
    rows = rows if whole or len(rows) in (1, MOST_ROWS) else rows[:-1]  # the last one may be cut
    return [row for row in rows if any(row[2])]


def _width(rows, ragged=False):
    tail = [len(cells) for cells in rows[len(rows) // 2 :]]
    return max(map(len, rows)) if ragged else Counter(tail).most_common(1)[0][0]


def _is_typed(cell):
    """True for a number, a time, or a mark of a missing value."""
    return bool(AMOUNT.fullmatch(cell) or TIMELIKE.fullmatch(cell)) or cell.lower() in MISSING | set(TRUTH)


def _fit(rows):
    """(how well the rows fit this separator, True for several columns): the greatest is taken."""
    if not rows:
        return 0.0, False
    width, tail = _width(rows), rows[len(rows) // 2 :][:40]
    cells = [cell for row in tail for cell in row[:200]]
    typed = sum(map(_is_typed, cells))
    regular = sum(len(row) == width for row in tail) / len(tail)
    score = regular * typed / len(cells)
    if width == 1:  # a header of several names is not one name
        several = any(re.search(r"[,;|\t]", row[0]) and not _is_typed(row[0]) for row in rows[:40])
        return score * (0.5 if several else 1.0), False
    return score * (0.8 if len(rows[0]) < width - 1 or width == 2 > len(rows[0]) else 1.0), True


def _convention(rows, sep, source, options, more):
    """The decimal and thousands signs that most numbers fit; DataError if 1,234 can be two numbers."""
    columns = [[cell for cell in column if LOOSE.fullmatch(cell)] for column in zip(*rows)]
    cells = [cell for column in columns for cell in column] + [*more]
    fitting = [
        (decimal, thousands)
        for decimal, thousands in CONVENTIONS
        if options.decimal in (None, decimal) and options.thousands in (None, thousands)
    ]
    if not fitting or options.decimal and options.thousands:
        return options.decimal or ".", options.thousands
    patterns = {one: re.compile(number_pattern(*one)) for one in fitting}
    fits = {one: sum(bool(pattern.fullmatch(cell)) for cell in cells) for one, pattern in patterns.items()}
    best = max(fitting, key=fits.get)
    sign, twin = best[0], (",."[best[0] == ","], best[0])
    if best[1] or fits.get(twin) != fits[best]:
        return best
    column = next((column for column in [*columns, [*more]] if any(sign in cell for cell in column)), ())
    whole = [cell.lstrip("-+") for cell in column if cell.lstrip("-+").isdigit() and cell != "0"]
    hundreds = sum(len(cell) == 3 and cell[0] != "0" for cell in whole)
    if (
        not column
        or any(len(cell) > 3 or cell[0] == "0" for cell in whole)
        or sign == "."
        and (sep == "," or hundreds < 2)
    ):
        return best  # 1000 without a sign, or no number from 100 to 999: the sign is no thousands sign
    if sign == "," and hundreds:
        return twin
    one = next(cell for cell in column if sign in cell)
    raise DataError(
        f"{source}: {one!r} can be {one.replace(sign, '.')} or {one.replace(sign, '')}; say which with "
        f"--decimal '{sign}' or --thousands '{sign}'"
    )


def _kind(cell, number, options):
    for mark in options.strip:
        cell = cell.replace(mark, "").strip()
    if cell.lower() in MISSING or cell in options.na:
        return "missing"
    if number.fullmatch(cell) or cell.lower() in TRUTH:
        return "number"
    return "time" if TIMELIKE.fullmatch(cell) else "text"


def _kinds(rows, width, number, options):
    """What each column holds below the first rows: number, time, text or missing."""
    tail = rows[(len(rows) + 1) // 2 :][:100] or rows[-1:]
    kinds = []
    for k in range(width):
        counts = Counter(_kind(row[k], number, options) for row in tail if k < len(row))
        counts.pop("missing", 0)
        kinds.append(
            "number"
            if counts["number"] >= max(counts["text"], counts["time"], 1)
            else counts.most_common(1)[0][0]
            if counts
            else "missing"
        )
    return kinds


def _find_header(layout, rows, width, kinds, number, source, options):
    """Set ``skip``, ``names`` and ``trailing``, and say what was skipped."""

    def misfits(cells):
        """(cells that are of their column's kind, cells that are not) in columns of numbers and times."""
        typed = [(kind, _kind(cell, number, options)) for kind, cell in zip(kinds, cells) if kind in ("number", "time")]
        return [
            sum(found == kind for kind, found in typed),
            sum(found not in (kind, "missing") for kind, found in typed),
        ]

    def is_above(cells):
        """True for what no row of data can be: text where times or numbers are expected, and nothing that fits."""
        fit, misfit = misfits(cells)
        time = any(kind == "time" and _kind(cell, number, options) == "text" for kind, cell in zip(kinds, cells))
        return misfit > 0 and (fit == 0 or time)

    layout.trailing = (
        width > 1
        and kinds[-1] == "missing"
        and all(not cells[-1] for _, _, cells in rows[len(rows) // 2 :] if len(cells) == width)
    )
    first = next(i for i, (_, _, cells) in enumerate(rows) if len(cells) == width)
    if first and rows[0][2][0] in ("#", "%") and len(rows[first - 1][2]) == width + 1:
        rows[first - 1] = (*rows[first - 1][:2], rows[first - 1][2][1:])
        first -= 1
    above = first
    while above < len(rows) - 1 and (len(rows[above][2]) != width or is_above(rows[above][2])):
        above += 1
    names = None
    short = first and len(rows[first - 1][2]) == width - 1 and (not misfits(rows[first - 1][2])[0] or layout.trailing)
    if options.header is False:
        above = first
    elif short and above == first:  # a header of one field less
        names = _widened(rows[first - 1][2], kinds, rows[first:], layout, source, rows[first][1])
        above, head = first, first - 1
    elif (
        above > first
        or options.header
        or misfits(rows[first][2])[1]
        or not {"number", "time"} & set(kinds)
        or _is_row_of_years(rows[first][2], rows[first + 1 :], kinds)
    ):
        above = max(above, first + 1)
        head = max(range(first, above), key=lambda i: _as_header(rows[i][2], i))
        names = [rows[head][2][0].lstrip("#%/ "), *rows[head][2][1:]]
    if above >= len(rows):
        raise DataError(f"{source} has a header line and no rows")
    _tell_skipped(layout, rows, first, above, None if names is None else head)
    layout.skip = rows[above][0] if above else 0
    layout.names = (
        [f"c{k}" for k in range(width)] if names is None else [name or f"Unnamed: {k}" for k, name in enumerate(names)]
    )
    repeated = [name for name, count in Counter(layout.names).items() if count > 1]
    if repeated:
        raise DataError(f"{source} has two columns {listed(repeated)!r}; give each a separate name")


def _tell_skipped(layout, rows, first, above, head):
    """Say which lines above the row ``above`` are skipped; ``head`` is the header, or None."""
    layout.words.append("no header" if head is None else "header")
    if head:
        layout.words.append(f"{head} lines above the header skipped")
    elif head is None and first:
        layout.words.append(f"{first} lines above the rows skipped")
    for _, _, cells in rows[above if head is None else head + 1 : above]:
        layout.words.append(f"the line {layout.sep.join(cells)[:40]!r} under the header skipped")


def _as_header(cells, i):
    """The key by which the header is the greatest of the rows above the data: no comment, many names, the first."""
    return not cells[0].startswith(("#", "%", "//")), len({cell for cell in cells if cell}), -i


def _widened(names, kinds, body, layout, source, line):
    """The names of a header that has one field less than the rows."""
    columns = list(zip(*(cells for _, _, cells in body if len(cells) == len(kinds))))
    clock = next(
        (k + 1 for k, column in enumerate(columns[1:]) if kinds[k] == "time" and all(":" in cell for cell in column)),
        None,
    )
    if layout.trailing:
        layout.words.append("an empty field at the end of each row left out")
        return [*names, ""]
    if layout.sep == " " and clock:
        return [*names[:clock], f"{names[clock - 1]} (clock)", *names[clock:]]
    first = columns[0]
    if kinds[0] == "text":
        row_names = len(set(first)) == len(first)
    else:
        row_names = all(cell.isdigit() for cell in first) and {int(b) - int(a) for a, b in zip(first, first[1:])} <= {1}
    if row_names:  # as R writes them
        return ["", *names]
    raise DataError(
        f"{source} line {line} has {len(kinds)} fields; {len(names)} expected, as in the header line; a decimal comma "
        "in a table with commas between fields needs quotes, or another separator"
    )


def _is_row_of_years(cells, body, kinds):
    """True if the first row is whole numbers that count on (years, say) where the rows below do not."""

    def counts(row):
        numbers = [cell for cell, kind in zip(row, kinds) if kind == "number"]
        if len(numbers) < 2 or not all(cell.isdigit() for cell in numbers):
            return False
        steps = {int(b) - int(a) for a, b in zip(numbers, numbers[1:])}
        return len(steps) == 1 and steps != {0} and 1500 < int(numbers[0]) < 2200

    return counts(cells) and not any(counts(row) for _, _, row in body[:5])
