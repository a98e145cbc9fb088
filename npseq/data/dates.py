"""Times written as text: the readings that a column allows, and the one that puts its rows in order."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .content import Growing
from .errors import DataError
from .time_axis import find_grid

ORDERS = {"ymd": "year first", "dmy": "day first", "mdy": "month first", "ym": "", "my": "", "quarter": "quarters",
          "week": "ISO weeks", "unix": "Unix time"}  # fmt: skip
COMPACT = {"ymd": {8: "%Y%m%d", 6: "%y%m%d", 7: "%Y%j", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"},
           "ym": {6: "%Y%m", 4: "%Y"}, "dmy": {8: "%d%m%Y", 6: "%d%m%y"}, "mdy": {8: "%m%d%Y", 6: "%m%d%y"}}  # fmt: skip
QUARTER = re.compile(r"\d{4}(?:[-/ :.]?Q|[-/:])[1-4]|(?:Q[1-4][-/ ]|[1-4]Q[-/ ]?)\d{4}", re.I)
ISO_WEEK = re.compile(r"(\d{4})[- ]?W(\d{1,2})(?:-?([1-7]))?", re.I)
UNIX = {10: -6, 13: -3, 16: 0, 19: 3}  # digits: the power of ten that makes a microsecond of a tick
INTERVAL = re.compile(r"\s+(?:-|–|—|to|bis)\s+|(?<=\d)/(?=\d{4}-\d\d-\d\d)")
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
NUMERIC_TIMES = (4, 6, 7, 8, 10, 12, 13, 14, 16, 19)  # digits of years, compact dates and Unix times
ZONE = re.compile(r"%z|(Z|UTC|GMT)$", re.I)
TOKENS = re.compile(r"\d+|[^\W\d_]+|[\W_]+")
CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?|\d{1,2}\.\d\d\.\d\d")
EARLY = re.compile(r"\d{1,2}:\d\d(?!\d)")  # a clock before the date, or before the year
MIDNIGHT = re.compile(r"(?<=[T ])24(?=(?::00)*$)")  # the end of the day
NAMES = "january february march april may june july august september october november december".split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
HINT = re.compile(
    r"(^|[^a-z])(date|time|datetime|timestamp|when|day|month|year|quarter|week|hour|period|epoch|unix|ds|ts|yr|datum|zeit|"
    r"jahr|monat|tag|fecha|ano|año|mes)([^a-z]|$)|(date|time|datum)$",
    re.I,
)
EARLIEST, LATEST = (int(np.datetime64(year, "us").astype(np.int64)) for year in ("1500", "2200"))  # of numbers
MISSING_TIME = np.iinfo(np.int64).min


def format_of(cell: str, order: str) -> str | None:
    """Return the strptime format of a date in this order of day, month and year, or None if it cannot be one."""
    if set(order) - set("ymd") or not cell.strip()[:1].isalnum():
        return None
    left, clock = list(order), ["%H", "%M", "%S", "%f"]
    parts: list[str] = []
    part: str | None
    tokens = TOKENS.findall(cell.strip())
    for i, token in enumerate(tokens):
        word, before = token.lower(), tokens[i - 1] if i else ""
        early = len(clock) == 4 and (not i or before.isspace()) and EARLY.match("".join(tokens[i:]))
        if token.isdigit() and token.isascii() and (early or before == ":" and 2 <= len(clock) < 4):
            part = clock.pop(0)
        elif token.isdigit() and token.isascii():
            if (
                len(left) == len(order)
                and len(token) in COMPACT.get(order, ())
                and (len(token) > 4 or len(tokens) == 1)
            ):
                part, left = COMPACT[order][len(token)], []
                clock = clock[part.count("%H") + part.count("%M") + part.count("%S") :]
            elif len(token) == 3 and left == ["m", "d"] and before in ("-", "/"):  # the day of the year
                part, left = "%j", []
            elif left:
                letter = left.pop(0)
                short = {1: "" if letter == "y" else f"%{letter}", 2: f"%{letter}", 4: "%Y" if letter == "y" else ""}
                part = short.get(len(token)) or None
            elif len(clock) == 4 and (before.isspace() or before in ("T", "t", ", ", "-", "_")) and "d" in order:
                part = {4: "%H%M", 6: "%H%M%S", 1: "%H", 2: "%H"}.get(len(token))
                clock = clock[(part or "").count("%") :]
            elif re.fullmatch(r"\s*[+-]", before) and len(clock) < 4:
                rest = "".join(tokens[i:])
                zone = re.fullmatch(r"\d\d:?\d\d( UTC| GMT)?", rest)
                return "".join([*parts[:-1], before[:-1], "%z", zone[1] or ""]) if zone else None
            else:
                sign = "." if ":" not in cell and clock[:1] in (["%M"], ["%S"]) else ":h"  # 18.00.00
                part = clock.pop(0) if clock and before and before in (".," if clock[0] == "%f" else sign) else None
        elif word in NAMES or word in {name[:3] for name in NAMES}:
            part = None if "m" not in left else "%b" if len(word) == 3 else "%B"
            left = [letter for letter in left if letter != "m"]
        elif word in DAYS or word in {day[:3] for day in DAYS}:
            part = "%a" if len(word) == 3 else "%A"
        elif word in ("am", "pm"):
            part, parts = "%p", [part.replace("%H", "%I") for part in parts]
        else:
            is_zone = word in ("z", "utc", "gmt") and i == len(tokens) - 1
            is_mark = word in ("t", "h") or word == "m" and order == "ym" or len(word) == 1 and not word.isascii()
            is_sign = not word.isalpha() and (token != "," or clock == ["%f"])  # 2021,05 is a number
            part = token.replace("%", "%%") if is_sign or is_zone or is_mark else None
        if part is None:
            return None
        parts.append(part)
    form = "".join(parts)
    if order == "mdy" and re.search(r"%m\.%d", form) or order == "ymd" and re.match("%y.?%b", form):
        return None  # nobody writes 12.31.2024 or 24-Dec-31
    return None if left or len(order) == 2 and not re.search("%[YbB]", form) else form


def parse(cells: pd.Series, order: str) -> tuple[np.ndarray, int | None]:
    """Read cells in one order, or by one strptime format.

    Returns:
        (n,) microseconds since 1970, and the place of the first cell that cannot be read, or None.
    """
    times, todo, zones = np.full(len(cells), MISSING_TIME), np.arange(len(cells)), set()
    if INTERVAL.search(cells.iloc[0]) and "%" not in order:
        cells = cells.str.split(INTERVAL, regex=True).str[0]
    while len(todo):  # the cells that have the form of the first, then of the first of the others, and so on
        group = cells.iloc[todo] if len(todo) < len(cells) else cells
        if group.iloc[0] != group.iloc[0].strip():
            cells = cells.str.strip()
            continue
        found, zone = _of_one_form(group, order)
        zones.add(zone)
        if (
            found is None or found[0] == MISSING_TIME or len(zones) > 1
        ):  # times with a zone cannot be compared to others
            return times, int(todo[0])
        fits = found != MISSING_TIME
        times[todo[fits]] = found[fits]
        todo = todo[~fits]
    return times, None


def _of_one_form(cells: pd.Series, order: str) -> tuple[np.ndarray | None, bool]:
    """(n,) microseconds of the cells that have the form of the first one, or None; True if the form has a zone."""
    cell, late = cells.iloc[0], 0
    form: str | None
    if order == "unix":
        digits = cell.split(".")[0]
        if len(digits) not in UNIX or not re.fullmatch(r"\d+(\.\d*)?", cell):
            return None, False
        fits = cells.str.fullmatch(r"\d{%d}(\.\d*)?" % len(digits)).to_numpy(bool)
        parts = cells[fits].str.partition(".")
        ticks, fraction = parts[0].astype(np.int64).to_numpy(), ("0." + parts[2]).astype(float).to_numpy()
        scale = 10.0 ** -UNIX[len(digits)]  # microseconds of a tick
        times = np.full(len(cells), MISSING_TIME)
        times[fits] = ticks * int(scale) + np.rint(fraction * scale).astype(np.int64) if scale >= 1 else ticks // 1000
        return times, False
    if order == "quarter" and QUARTER.fullmatch(cell):
        quarter = cells.str.replace(r"\d{4}", "", n=1, regex=True).str.extract(r"(\d)")[0].astype(float)
        months = cells.str.extract(r"(\d{4})")[0] + (3 * quarter - 2).map("-{:02.0f}".format)
        cells, form = months.where(cells.str.fullmatch(QUARTER)), "%Y-%m"
    elif order == "week" and ISO_WEEK.fullmatch(cell):
        year, week, day = (part for _, part in cells.str.extract(ISO_WEEK).items())
        cells, form = year + "-" + week + "-" + day.fillna("1"), "%G-%V-%u"
    else:
        form = order if "%" in order else format_of(cell, order)
    if form and MIDNIGHT.search(cell):
        late = 86_400 * 10**6
        cells = cells.where(cells.str.contains(MIDNIGHT)).str.replace(MIDNIGHT, "00", regex=True)
    if form is None:
        return None, False
    times = pd.to_datetime(cells, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    times = times.to_numpy().astype("M8[us]").astype(np.int64)
    return np.where(times == MISSING_TIME, times, times + late) if late else times, bool(ZONE.search(form))


def looks_like_times(name: str, cells: Sequence[str]) -> bool:
    """True if most of these cells, which are not missing, are times; numbers must be in order or have a fitting name."""
    head, length, hinted = cells[:50], len(cells[0].split(".")[0]), HINT.search(name)
    if hinted and all(re.fullmatch(r"\d\d\.\d{4}|\d{4}\.\d\d", cell) for cell in head):  # 01.2005
        return any(parse(pd.Series(head, dtype=object), order)[1] is None for order in ("ym", "my"))
    if not NUMBER.fullmatch(head[0]):
        starts = [INTERVAL.split(cell)[0] for cell in head]
        known = [QUARTER.fullmatch(one) or ISO_WEEK.fullmatch(one) or any(format_of(one, order) for order in ORDERS)
                 for one in starts]  # fmt: skip
        return sum(map(bool, known)) >= len(known) / 2
    if length not in (UNIX if "." in head[0] else NUMERIC_TIMES) or not hinted and (length < 8 or len(cells) < 3):
        return False
    if not all(re.fullmatch(r"\d{%d}(\.\d*)?" % length, cell) for cell in head):
        return False
    for order in ("ymd", "dmy", "mdy", "ym", "unix"):
        times, wrong = parse(pd.Series(list(cells[:200]), dtype=object), order)
        if wrong is None and EARLIEST <= times.min() and times.max() < LATEST:
            if hinted and (length > 4 or (np.diff(times) > 0).all()) or have_equal_steps(times):
                return True
    return False


def have_equal_steps(times: np.ndarray) -> bool:
    """True if times (n,), in microseconds, increase by equal steps in the calendar."""
    return bool((np.diff(times) > 0).all()) and find_grid(times.view("M8[us]").astype("M8[s]"))[0] is not None


class TimeReader:
    """A time column, chunk by chunk, in every order that its cells allow."""

    def __init__(self, source: str, name: str, date_format: str | None = None) -> None:
        self.source, self.name, self.zones, self.plain, self.stamps = source, name, False, False, Growing(1, np.int64)
        self.live = {order: Growing(1, np.int64) for order in ([date_format] if date_format else ORDERS)}

    def add(self, cells: pd.Series) -> tuple[int, str] | None:
        """Append cells, NaN where a time is missing. Returns the place of a cell that is no time, and the cell."""
        if isinstance(cells.dtype, pd.PeriodDtype):
            cells = cells.dt.to_timestamp()
        if cells.dtype.kind == "M":  # a DataFrame's times
            cells = cells.dt.tz_convert(None) if cells.dt.tz is not None else cells
            self.stamps.add(cells.to_numpy().astype("M8[us]").astype(np.int64)[:, None])
            return None
        missing = cells.isna().to_numpy()
        there, read, furthest = cells[~missing].astype(object), {}, -1
        for order in self.live:
            times = np.full(len(cells), MISSING_TIME)
            if len(there):
                times[~missing], wrong = parse(there, order)
                if wrong is not None:
                    furthest = max(furthest, wrong)
                    continue
            read[order] = times
        if not read:
            return int(np.flatnonzero(~missing)[furthest]), str(there.iloc[furthest])
        self.live = {order: self.live[order] for order in read}
        for order, times in read.items():
            self.live[order].add(times[:, None])
        first = there.iloc[0] if len(there) else ""
        self.plain = self.plain or bool(re.match(r"\d{4}-\d\d-\d\d|.*[a-z]{3}", first))
        self.zones = self.zones or bool(re.search(r"\d[+-]\d\d:?\d\d$", first))
        return None

    def done(self) -> tuple[np.ndarray, str]:
        """Return the times (n,) datetime64[us], NaT where missing, and how they were read.

        Raises:
            DataError: if two readings that differ fit equally well; both are named.
        """
        if self.stamps.n:
            return self.stamps.done()[:, 0].view("M8[us]"), ""
        read: dict[str, np.ndarray] = {}
        for order, column in self.live.items():
            times = column.done()[:, 0].view("M8[us]")
            if not any(np.array_equal(times, other, equal_nan=True) for other in read.values()):
                read[order] = times
        best = [*read]
        if len(read) > 1:
            scores = {order: self._score(times[~np.isnat(times)]) for order, times in read.items()}
            best = [order for order, score in scores.items() if score == max(scores.values())]
        if len(best) > 1:
            k = int(np.flatnonzero(read[best[0]] != read[best[1]])[0])
            first, second = (f"{str(read[one][k])[:10]} ({ORDERS[one] or one})" for one in best[:2])
            raise DataError(
                f"{self.source}: a time in {self.name!r} can be {first} or {second}, and both put the rows in order "
                "equally well; say which with --date-format, such as %d/%m/%Y"
            )
        return read[best[0]], "times in UTC" if self.zones else "" if self.plain else ORDERS.get(best[0], "")

    @staticmethod
    def _score(times: np.ndarray) -> tuple[bool, int]:
        """(in order, 2 for equal steps or 1 with some missing)."""
        steps = np.diff(times).astype(np.int64)
        ordered = bool((steps >= 0).all() or (steps <= 0).all())
        times = np.unique(times.astype("M8[s]"))
        grid = find_grid(times)[0] if len(times) > 1 else None
        return ordered, 0 if grid is None else 1 + (grid.index(times[-1:])[0] + 1 == len(times))
