"""Which columns of a table are its time, decided from the values of the first rows; names only break ties."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence, Set

import numpy as np
import pandas as pd

from . import dates
from .time_forms import CLOCK_TIME, YEARS

HOURS = re.compile(r"(hour|hr|hh|time|clock|stunde|uhrzeit|zeit|hora|heure)s?", re.I)
PARTS = ("year|yr|y{1,4}|jahr", "month|mon|mo|mm?|monat|quarter|qtr|q", "day|dy|dd?|tag", "hour|hr|hh?|stunde",
         "minute|min|mn|mm", "second|sec|ss?")  # fmt: skip  # the names of columns that are a time together
DAY_OF_YEAR = re.compile(r"doy|day.?of.?(the.?)?year|yday|jday|julian.?(day)?|jd", re.I)
HOUR = re.compile(r"\d|([01]\d|2[0-4])([0-5]\d)?")
DAY_HOURS, DAY_MINUTES = 24, 1440


class TimeColumns:
    """The search for the time among the columns of the first rows.

    Args:
        names: of all columns. rows: their cells. free: the columns that may be the time. missing: marks, in small letters.
    """

    def __init__(
        self, names: Sequence[str], rows: Sequence[Sequence[str]], free: Sequence[int], missing: Set[str]
    ) -> None:
        self.names, self.rows, self.missing = names, rows, missing
        columns = list(zip(*rows)) or [()] * len(names)
        self.cells = {k: [cell for cell in columns[k] if cell.lower() not in missing] for k in free}
        self.free = [k for k in free if self.cells[k]]

    def _aligned(self, places: Sequence[int]) -> list[list[str]]:
        """The cells of these columns, in the rows in which none of them is missing."""
        rows = [[row[k] for k in places] for row in self.rows]
        kept = [cells for cells in rows if not any(cell.lower() in self.missing for cell in cells)]
        return [list(column) for column in zip(*kept)] or [[] for _ in places]

    def of_form(self, form: str) -> list[int]:
        """The first column whose times all have this format of strptime, or else whose first one has."""
        wrong = {k: dates.parse(pd.Series(self.cells[k], dtype=object), form)[1] for k in self.free}
        return sorted((k for k in wrong if wrong[k] != 0), key=lambda k: wrong[k] is not None)[:1]

    def find(self, numbers: bool = True) -> list[int]:
        """The columns that together are the time: those with the most different times; [] if there are none.

        Of equals a column of written times comes first, then a date and its clock, then the year, the month and so on,
        then numbers. ``numbers``: False if times that are numbers are none.
        """
        written = [k for k in self.free if not self.cells[k][0].isdigit() and self._looks(k)]
        if len(written) > 1:
            written.sort(key=lambda k: not self._is_regular(k))
        found = [[k] for k in written] + [[k, j] for k in written for j in self._clocks(k)]
        if numbers:
            found += [parts] if (parts := self._parts()) else []
            digits = [k for k in self.free if self.cells[k][0].isdigit() and (self._looks(k) or self._are_days(k))]
            found += [[k, j] for k in digits for j in self._clocks(k)]
            found += [[k] for k in digits if self._looks(k)]
        count = [len(set(zip(*self._aligned(places)))) for places in found]
        return found[int(np.argmax(count))] if found else []

    def _looks(self, k: int) -> bool:
        return dates.looks_like_times(self.names[k], self.cells[k])

    def _is_regular(self, k: int) -> bool:
        """True if each row has its own time, and the times have equal steps in the calendar."""
        cells = self.cells[k]
        if len(set(cells)) < len(cells):
            return False
        read = (dates.parse(pd.Series(cells, dtype=object), order) for order in dates.ORDERS)
        return any(wrong is None and dates.have_equal_steps(times) for times, wrong in read)

    def _are_days(self, k: int) -> bool:
        """True for dates of six or eight digits in order, of which some stand in several rows."""
        days = list(dict.fromkeys(self.cells[k]))
        if not 1 < len(days) < len(self.cells[k]) or {len(day) for day in days} not in ({8}, {6}):
            return False
        times, wrong = dates.parse(pd.Series(days, dtype=object), "ymd")
        return wrong is None and dates.are_plausible(times) and dates.have_one_direction(times)

    def _clocks(self, k: int) -> list[int]:
        """The columns of the clock times or hours of the dates in column k, the nearest ones first."""
        near = [j for j in (k + 1, k - 1, *self.free) if j in self.free and j != k]
        return [j for j in dict.fromkeys(near) if self._is_clock(k, j)][:1]

    def _is_clock(self, k: int, j: int) -> bool:
        if any(":" in day for day in self.cells[k]):
            return False
        if all(map(CLOCK_TIME.fullmatch, self.cells[j])):
            return True
        days, hours = self._aligned([k, j])
        if len(set(days)) == len(days) or not all(map(HOUR.fullmatch, hours)):
            return False
        return bool(HOURS.fullmatch(self.names[j])) or _divide_days(days, hours)

    def _parts(self) -> list[int]:
        """The columns of the year, the month (or quarter), the day and so on; [] without a month.

        In a table without names they are the first columns, if their times are in order with equal steps.
        """
        parts: list[int] = []
        of_year = any(DAY_OF_YEAR.fullmatch(self.names[k]) for k in self.free)
        for names in (PARTS[0], DAY_OF_YEAR.pattern, *PARTS[3:]) if of_year else PARTS:
            rest = (k for k in self.free if k not in parts)
            k = next((k for k in rest if re.fullmatch(f"{names}|c{len(parts)}", self.names[k], re.I)), None)
            if k is None or not parts and not all(map(YEARS.fullmatch, self.cells[k])):
                break
            parts.append(k)
        while len(parts) > 1:
            text = joined(
                [pd.Series(cells, dtype=object) for cells in self._aligned(parts)], [self.names[k] for k in parts]
            )
            if self.names[parts[0]] != "c0":
                fits = len(text) > 0 and dates.looks_like_times("", text.tolist())
            else:
                read = [dates.parse(text, order) for order in ("ymd", "ym")]
                fits = len(text) > 3 and any(wrong is None and dates.have_equal_steps(times) for times, wrong in read)
            if fits:
                return parts
            parts.pop()
        return []


def _divide_days(days: Sequence[str], hours: Sequence[str]) -> bool:
    """True if these whole hours, or hours and minutes such as 0130, divide most days into equal parts: 1 … 24, or 0, 6, 12, 18."""
    clock = any(len(hour) > 2 for hour in hours)
    minutes = [int(hour) % 100 + 60 * (int(hour) // 100) if clock else int(hour) for hour in hours]
    of_day: dict[str, list[int]] = {}
    for day, minute in zip(days, minutes):
        of_day.setdefault(day, []).append(minute)
    usual, count = Counter(map(tuple, of_day.values())).most_common(1)[0]
    steps = set(np.diff(usual).tolist())
    whole = DAY_MINUTES if clock else DAY_HOURS
    return len(steps) == 1 and abs(steps.pop()) * len(usual) == whole and count > 1


def joined(columns: Sequence[pd.Series], names: Sequence[str]) -> pd.Series:
    """Return the parts of each time in one cell, such as 2024-2-13 14:05 or 1990-Q1."""
    cells = columns[0]
    first = next((cell for cell in cells if isinstance(cell, str)), "")
    signs = "-- ::" if first.isdigit() and len(first) <= 4 else " " * len(columns)
    if len(names) > 1 and DAY_OF_YEAR.fullmatch(names[1]):
        signs, columns = "- ::", [columns[0], columns[1].str.zfill(3), *columns[2:]]
    for sign, name, column in zip(signs, names[1:], columns[1:]):
        quarter = name[:1] in "Qq" and not column.astype(str).str.contains("Q", case=False).any()
        cells = cells + (sign + "Q" * quarter) + column
    return cells
