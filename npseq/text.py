"""Reading tables of text: separators, headers, decimal commas, gaps, dates in the usual forms."""

import csv
import re

import numpy as np

MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?"}  # cells that stand for a gap, in lower case
CHUNK = 50_000  # rows that are in memory as text at a time

DATE = re.compile(r"\s*(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?:(?:\s+|T)(\d{1,2})(?::(\d{2})(?::(\d{2})(?:\.\d*)?)?)?"
                  r"\s*([AaPp][Mm])?)?\s*(Z|[+-]00:?00)?\s*$")


class DataError(ValueError):
    """Something is wrong with the data that were given; the message is one line."""


def read_csv(path, time=None, text=()):
    """A text table with any usual separator, quoted fields, decimal commas, a byte-order mark, with or without a header.

    Args:
        path: of the file.
        time: name or number of the time column; by default the first column, when its first cell is a date.
        text: names or numbers of columns to keep as strings.

    Returns:
        values (n, C) float64 with NaN for gaps, their column names, times (n,) datetime64[s] or None; with ``text`` also
        a dict name -> array of strings.

    Raises:
        DataError: for an empty or ragged file, text where numbers are needed, or a time column that is none, naming the
            line and what stands there.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            sample = file.read(65536)
            if not sample.strip():
                raise DataError(f"{path} is empty; a table with a header line and rows of numbers expected")
            lines = sample.splitlines()
            separator = _separator(lines[:-1] if len(lines) > 1 else lines)
            file.seek(0)
            return _Reader(path, separator, time, text).read(csv.reader(file, delimiter=separator))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _separator(lines):
    """The separator that splits most of the first lines into one number of fields, the more fields the better."""
    lines = [line for line in lines[:50] if line.strip()]
    best, best_score = ",", (0.0, 0)
    for separator in "\t;|,":
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        usual = max(set(counts), key=counts.count) if counts else 1
        score = (counts.count(usual) / len(counts), usual) if usual > 1 else (0.0, 0)
        if score > best_score:
            best, best_score = separator, score
    return best


class _Reader:
    def __init__(self, path, separator, time, text):
        self.path, self.time, self.text = path, time, text
        self.decimal_comma = separator != ","

    def read(self, reader):
        rows = ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
        first = next(rows)
        if any(self.is_text(cell) for cell in first[1]):
            columns = [cell.strip() or f"c{k}" for k, cell in enumerate(first[1])]
            first = next(rows, None)
            if first is None:
                raise DataError(f"{self.path} has a header line and no rows")
        else:
            columns = [f"c{k}" for k in range(len(first[1]))]
        repeated = [name for k, name in enumerate(columns) if name in columns[:k]]
        if repeated:
            raise DataError(f"{self.path} has two columns {repeated[0]!r}; give each a name of its own")
        time = self.time_column(columns, first[1])
        kept = [self.index(columns, name) for name in self.text]
        numeric = [k for k in range(len(columns)) if k != time and k not in kept]
        if not numeric:
            raise DataError(f"{self.path} has no column of numbers beside {', '.join(columns)}")

        values, times, strings, chunk = [], [], [[] for _ in kept], [first]
        while chunk:
            for line, row in chunk:
                if len(row) != len(columns):
                    raise DataError(f"{self.path} line {line} has {len(row)} fields; {len(columns)} expected, as in the first line")
            values.append(self.numbers(chunk, numeric, columns))
            if time is not None:
                times.append(self.time_parts(chunk, time, columns))
            for part, k in zip(strings, kept):
                part.extend(row[k].strip() for _, row in chunk)
            chunk = [row for _, row in zip(range(CHUNK), rows)]
        names = [columns[k] for k in numeric]
        if times:  # the order of day and month may be plain only from all rows together
            times = np.concatenate(times)
            times = self.times(times) if times.ndim == 2 else times
        result = np.concatenate(values), names, times if len(times) else None
        return result + ({columns[k]: np.array(part) for k, part in zip(kept, strings)},) if self.text else result

    def index(self, columns, name):
        if name in columns:
            return columns.index(name)
        if str(name).isdigit() and int(name) < len(columns):
            return int(name)
        shown = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
        raise DataError(f"{self.path} has no column {name!r}; it has {shown}")

    def number(self, cell):
        """ValueError for what is no number, NaN for a gap."""
        cell = cell.strip()
        if cell.lower() in MISSING:
            return np.nan
        if "_" in cell:
            raise ValueError
        return float(cell.replace(",", ".") if self.decimal_comma else cell)

    def is_text(self, cell):
        try:
            self.number(cell)
        except ValueError:
            return not DATE.match(cell)
        return False

    def numbers(self, chunk, numeric, columns):
        number = self.number
        values = np.empty((len(chunk), len(numeric)))
        for row, (line, cells) in enumerate(chunk):
            try:
                values[row] = [number(cells[k]) for k in numeric]
            except ValueError:
                wrong = next(k for k in numeric if self.is_text(cells[k]) or DATE.match(cells[k]))
                hint = "; is there a second header line?" if line <= 3 else ""
                raise DataError(f"{self.path} line {line}, column {columns[wrong]!r} holds {cells[wrong][:40]!r}, a number "
                                f"expected{hint}") from None
        values[np.isinf(values)] = np.nan
        return values

    # ---- times ----

    def time_column(self, columns, first):
        if self.time is not None:
            return self.index(columns, self.time)
        return 0 if DATE.match(first[0]) and len(first) > 1 else None

    def time_parts(self, chunk, column, columns):
        """(n,) times; or, where day and month could be either way round, (n, 7) integers: the three numbers of the date in
        the order of the text, hour, minute, second, and whether the year comes first."""
        parts = np.zeros((len(chunk), 7), np.int16)
        for row, (line, cells) in enumerate(chunk):
            found = DATE.match(cells[column])
            if found is None:
                raise DataError(f"{self.path} line {line}, time column {columns[column]!r} holds {cells[column][:40]!r}; a date "
                                "such as 2024-03-31 14:00, 31.03.2024 14:00 or 2024/03/31 expected (no time zone)")
            a, separator, b, c, hour, minute, second, half, _ = found.groups()
            hour = int(hour or 0)
            if half:
                hour = hour % 12 + 12 * (half in ("PM", "pm", "Pm"))
            parts[row] = int(a), int(b), int(c), hour, int(minute or 0), int(second or 0), len(a) == 4
            self.dotted = separator == "."
        return self.times(parts) if parts[:, 6].all() or self.dotted else parts

    def times(self, parts):
        a, b, c = parts[:, :3].T.astype(np.int64)
        if parts[:, 6].all():
            year, month, day = a, b, c
        elif (b > 12).any() and (a <= 12).all():
            year, month, day = c, a, b
        elif (a > 12).any() or self.dotted:
            year, month, day = c, b, a
        else:
            raise DataError(f"{self.path}: dates such as {a[0]}/{b[0]}/{c[0]} can be day/month or month/day; write them as "
                            f"{c[0]}-{b[0]:02}-{a[0]:02}")
        year = np.where(year < 100, year + 2000, year)
        wrong = (month < 1) | (month > 12) | (day < 1) | (day > 31) | (parts[:, 3] > 24) | (parts[:, 4] > 59)
        if wrong.any():
            raise DataError(f"{self.path}: a date that is none: {' '.join(map(str, parts[wrong.argmax(), :6]))}")
        dates = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
        days = dates.astype("datetime64[D]") + (day - 1)
        if (days.astype("datetime64[M]") != dates).any():
            raise DataError(f"{self.path}: a day that its month does not have, "
                            f"{' '.join(map(str, parts[(days.astype('datetime64[M]') != dates).argmax(), :3]))}")
        hour, minute, second = parts[:, 3:6].T.astype(np.int64)
        seconds = hour * 3600 + minute * 60 + second
        return days.astype("datetime64[s]") + seconds.astype("timedelta64[s]")
