"""Steps that are equal in the calendar: seconds, days of the week, or months."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAY, WEEK = 86_400, 604_800  # seconds
SECOND, MONTH = np.timedelta64(1, "s"), np.timedelta64(1, "M")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Grid:
    """Equal steps in the calendar: time k is ``at(k)``.

    start: time 0, datetime64[s]. One of: step, in seconds; months, a number of months from ``start``, at its place
    after the start of the month or, with ``end``, before its end; week, the days of the week that occur ("1111100").
    """

    start: np.datetime64
    step: int | None = None
    months: int = 0
    end: bool = False
    week: str | None = None

    def at(self, k: np.ndarray) -> np.ndarray:
        """Return the times (n,) datetime64[s] of the steps k (n,)."""
        if self.step:
            return self.start + np.asarray(k) * (self.step * SECOND)
        if self.week:
            day = self.start.astype("M8[D]")
            return np.asarray(np.busday_offset(day, k, weekmask=self.week) + (self.start - day))
        month = self.start.astype("M8[M]")
        first, after = ((month + (np.asarray(k) * self.months + more) * MONTH).astype("M8[s]") for more in (0, 1))
        into = self.start - month.astype("M8[s]")
        if self.end:
            return np.asarray(after - ((month + MONTH).astype("M8[s]") - self.start))
        last = after - DAY * SECOND + into % (DAY * SECOND)
        return np.asarray(np.minimum(first + into, last))  # there is no 31st of June

    def index(self, times: np.ndarray) -> np.ndarray:
        """Return the step (n,) that is nearest to each of the times (of weekdays: the step of that day)."""
        if self.step:
            unit = int(self.step * SECOND / np.timedelta64(1, np.datetime_data(times.dtype)[0]))  # type: ignore[call-overload]  # any unit
            return ((times - self.start).astype(np.int64) + unit // 2) // unit
        if self.week:
            return np.busday_count(self.start.astype("M8[D]"), times.astype("M8[D]"), weekmask=self.week)
        months: np.ndarray = (times.astype("M8[M]") - self.start.astype("M8[M]")).astype(np.int64)
        return months // self.months

    @property
    def name(self) -> str | None:
        """pandas' name of the step, such as "h", "B", "MS" or "QE-DEC"; None if it has none."""
        if self.step == WEEK:
            return f"W-{self.start.item():%a}".upper()
        if self.step:
            size, unit = next(
                (size, unit) for size, unit in ((DAY, "D"), (3600, "h"), (60, "min"), (1, "s")) if self.step % size == 0
            )
            return f"{self.step // size if self.step > size else ''}{unit}"
        if self.week:
            return "B" if self.week == "1111100" else None
        month, edge = int(self.start.astype("M8[M]").astype(int)) % 12, "E" if self.end else "S"
        day = (self.start + DAY * SECOND * self.end).astype("M8[D]")
        if day != day.astype("M8[M]"):
            return None
        if self.months % 12 == 0:
            return f"{self.months // 12 if self.months > 12 else ''}Y{edge}-{MONTHS[month]}"
        if self.months == 3:
            return f"Q{edge}-{MONTHS[month % 3 + 9 * self.end]}"
        return f"{self.months if self.months > 1 else ''}M{edge}"
