"""Times written as text: the readings that a column allows, and the one that puts its rows in order."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..formats.messages import argument
from .content import Growing
from .errors import DataError
from .local_words import in_english
from .time_axis import find_grid
from .time_forms import INTERVAL, ISO_WEEK, NAMED_ZONE, QUARTER, ZONE, format_of, is_time, start_of

ORDERS = {"ymd": "year first", "dmy": "day first", "mdy": "month first", "ym": "", "my": "", "quarter": "quarters",
          "week": "ISO weeks", "unix": "Unix time"}  # fmt: skip
UNIX = {10: 1e6, 13: 1e3, 16: 1.0, 19: 1e-3}  # digits: the microseconds of a tick
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
NUMERIC = re.compile(  # years, compact dates, Unix times, and months such as 01.2005
    r"\d{4}|\d{6,8}|\d{12}|\d{14}|(?:\d{10}|\d{13}|\d{16}|\d{19})(?:\.\d*)?|\d\d\.\d{4}|\d{4}\.\d\d|\d{4}\.0"
)
YEARS = r"(?P<year>1[5-9]\d\d|2[01]\d\d)\.0"  # such as 1871.0, as programs write whole numbers of a column of floats
MIDNIGHT = re.compile(r"(?<=[T ])24(?=(?::00)*$)")  # the end of the day
HINT = re.compile(
    r"(^|[^a-z])(date|time|datetime|timestamp|when|day|month|year|quarter|week|hour|period|epoch|unix|ds|ts|yr|datum|zeit|"
    r"jahr|monat|tag|fecha|ano|año|mes)([^a-z]|$)|(date|time|datum)$",
    re.I,
)
EARLIEST, LATEST = (int(np.datetime64(year, "us").astype(np.int64)) for year in ("1500", "2200"))  # of numbers
MISSING_TIME = np.iinfo(np.int64).min


def parse(cells: pd.Series, order: str) -> tuple[np.ndarray, int | None]:
    """Read cells in one order, or by one strptime format.

    Returns:
        (n,) microseconds since 1970, and the place of the first cell that cannot be read, or None.
    """
    times, todo, zones = np.full(len(cells), MISSING_TIME), np.arange(len(cells)), set()
    if cells.str.fullmatch(YEARS).all():
        cells = cells.str[:4]
    if "%" not in order and start_of(cells.iloc[0]) != cells.iloc[0]:
        cells = cells.str.split(INTERVAL, regex=True).str[0]
    while len(todo):  # the cells that have the form of the first, then of the first of the others, and so on
        group = cells.iloc[todo] if len(todo) < len(cells) else cells
        if group.iloc[0] != group.iloc[0].strip():
            cells = cells.str.strip()
            continue
        found, zone = _of_one_form(group, order)
        if found[0] == MISSING_TIME and group.iloc[0] != in_english(group.iloc[0]):
            cells = cells.map(in_english)
            continue
        zones.add(zone)
        if found[0] == MISSING_TIME or len(zones) > 1:  # times with a zone cannot be compared to others
            return times, int(todo[0])
        fits = found != MISSING_TIME
        times[todo[fits]] = found[fits]
        todo = todo[~fits]
    return times, None


def _of_one_form(cells: pd.Series, order: str) -> tuple[np.ndarray, bool]:
    """(n,) microseconds of the cells that have the form of the first one; True if the form has a zone."""
    cell, times, late = cells.iloc[0], np.full(len(cells), MISSING_TIME), 0
    form = order if "%" in order else format_of(cell, order)
    if order == "unix" and (digits := len(cell.partition(".")[0])) in UNIX:
        fits = cells.str.fullmatch(r"\d{%d}(\.\d*)?" % digits).to_numpy(bool)
        times[fits] = np.rint(cells[fits].astype(float) * UNIX[digits])
    elif order == "quarter" and QUARTER.fullmatch(cell):
        cells = cells.where(cells.str.fullmatch(QUARTER))
        quarter = cells.str.replace(r"\d{4}", "", n=1, regex=True).str.extract(r"(\d)")[0].astype(float)
        cells, form = cells.str.extract(r"(\d{4})")[0] + (3 * quarter - 2).map("-{:02.0f}".format), "%Y-%m"
    elif order == "week" and ISO_WEEK.fullmatch(cell):
        year, week, day = (part for _, part in cells.str.extract(ISO_WEEK).items())
        cells, form = year + "-" + week + "-" + day.fillna("1"), "%G-%V-%u"
    if form is None:
        return times, False
    if MIDNIGHT.search(cell):
        late = 86_400 * 10**6
        cells = cells.where(cells.str.contains(MIDNIGHT)).str.replace(MIDNIGHT, "00", regex=True)
    read = pd.to_datetime(cells, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    times = read.to_numpy().astype("M8[us]").astype(np.int64)
    return np.where(times == MISSING_TIME, times, times + late) if late else times, bool(ZONE.search(form))


def looks_like_times(name: str, cells: Sequence[str]) -> bool:
    """True if most of these cells, which are not missing, are times; numbers must be in order or have a fitting name."""
    head, hinted = cells[:50], bool(HINT.search(name))
    if not NUMBER.fullmatch(head[0]):
        return sum(map(is_time, head)) >= len(head) / 2
    digits = {len(cell.partition(".")[0]) for cell in head}
    if len(digits) > 1 or not all(map(NUMERIC.fullmatch, head)) or not hinted and (min(digits) < 8 or len(cells) < 3):
        return False
    years = digits == {4} and ("." not in head[0] or bool(re.fullmatch(YEARS, head[0])))
    for order in ORDERS:
        times, wrong = parse(pd.Series(list(cells[:200]), dtype=object), order)
        if wrong is None and are_plausible(times):
            if hinted and (not years or have_one_direction(times)) or have_equal_steps(times):
                return True
    return False


def are_plausible(times: np.ndarray) -> bool:
    """True if numbers that were read as these times, in microseconds, can have been meant so."""
    return bool(EARLIEST <= times.min() and times.max() < LATEST)


def have_one_direction(times: np.ndarray) -> bool:
    """True if times (n,) always increase, or always decrease, as in a table with its newest row first."""
    steps = np.diff(times)
    return bool((steps > 0).all() or (steps < 0).all())


def have_equal_steps(times: np.ndarray) -> bool:
    """True if times (n,), in microseconds, follow each other in one direction by equal steps in the calendar."""
    return have_one_direction(times) and find_grid(np.sort(times).view("M8[us]").astype("M8[s]"))[0] is not None


class TimeReader:
    """A time column, chunk by chunk, in every order that its cells allow."""

    def __init__(self, source: str, name: str, date_format: str | None = None) -> None:
        self.source, self.name, self.first = source, name, ""
        self.live = {order: Growing(1, np.int64) for order in ([date_format] if date_format else ORDERS)}

    def add(self, cells: pd.Series) -> tuple[int, str] | None:
        """Append cells, NaN where a time is missing. Returns the place of a cell that is no time, and the cell."""
        if isinstance(cells.dtype, pd.PeriodDtype):
            cells = cells.dt.to_timestamp()
        if cells.dtype.kind == "M":  # a DataFrame's times
            cells = cells.dt.tz_convert(None) if cells.dt.tz is not None else cells
            self.live = {"": Growing(1, np.int64)}
            self.live[""].add(cells.to_numpy().astype("M8[us]").astype(np.int64)[:, None])
            return None
        there = cells.notna().to_numpy()
        written, read, furthest = cells[there].astype(object), {}, -1
        if len(written) and not self.first:
            self.first = written.iloc[0]
            forms = filter(None, (format_of(start_of(self.first), order) for order in self.live))
            if (form := next(forms, None)) and (zone := NAMED_ZONE.search(form)):
                raise DataError(
                    f"{self.source}: the times in {self.name!r} are in {zone[1]}, a zone without a number; "
                    f"{argument('date_format', form)} reads them as they are"
                )
        codes, different = pd.factorize(written)  # the times of many series are the same ones
        if 2 * len(different) > len(written):
            codes, different = np.arange(len(written)), written
        for order in self.live:
            times, wrong = np.full(len(cells), MISSING_TIME), None
            if len(written):
                read_once, wrong = parse(pd.Series(different, dtype=object), order)
                times[there], wrong = read_once[codes], None if wrong is None else int(np.argmax(codes == wrong))
            if wrong is None:
                read[order] = times
            else:
                furthest = max(furthest, wrong)
        if not read:
            return int(np.flatnonzero(there)[furthest]), str(written.iloc[furthest])
        self.live = {order: self.live[order] for order in read}
        for order, times in read.items():
            self.live[order].add(times[:, None])
        return None

    def done(self) -> tuple[np.ndarray, str]:
        """Return the times (n,) datetime64[us], NaT where missing, and how they were read.

        Raises:
            DataError: if two readings that differ fit equally well; both are named.
        """
        read: dict[str, np.ndarray] = {}
        for order, column in self.live.items():
            times = column.done()[:, 0].view("M8[us]")
            if not any(np.array_equal(times, other, equal_nan=True) for other in read.values()):
                read[order] = times
        best = [*read]
        if len(read) > 1:
            scores = {order: _score(times[~np.isnat(times)]) for order, times in read.items()}
            best = [order for order, score in scores.items() if score == max(scores.values())]
        if len(best) > 1:
            one, other = (read[order] for order in best[:2])
            k = int(np.flatnonzero((one != other) & ~np.isnat(one))[0])
            first, second = (f"{str(read[order][k])[:10]} ({ORDERS[order] or order})" for order in best[:2])
            raise DataError(
                f"{self.source}: a time in {self.name!r} can be {first} or {second}, and both put the rows in order "
                f"equally well; say which with {argument('date_format')}, such as %d/%m/%Y"
            )
        plain = re.match(r"\d{4}-\d\d-\d\d|.*[a-z]{3}", self.first)
        offset = re.search(r"\d[+-]\d\d:?\d\d$", self.first)
        return read[best[0]], "times in UTC" if offset else "" if plain else ORDERS.get(best[0], "")


def _score(times: np.ndarray) -> tuple[bool, bool, bool]:
    """(in order, with equal steps, with none missing)."""
    steps = np.diff(times).astype(np.int64)
    ordered = bool((steps >= 0).all() or (steps <= 0).all())
    times = np.unique(times.astype("M8[s]"))
    grid, k = find_grid(times)
    return ordered, grid is not None, grid is not None and (k is None or int(k[-1]) + 1 == len(times))
