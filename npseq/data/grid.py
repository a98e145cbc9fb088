"""Steps that are equal in the calendar: seconds, days of the week, or months."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAY, WEEK = 86_400, 604_800  # seconds
JITTER = 0.1  # of a step: times that are off by less are moved onto the step
MOST_ROWS = 1.25  # if inserting the missing times would make a table longer than this factor, they are no steps of it
SECOND, MONTH = np.timedelta64(1, "s"), np.timedelta64(1, "M")
ONE_DAY = np.timedelta64(1, "D")
WEEKDAYS = "1111100"
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Grid:
    """Equal steps in the calendar: time k is ``at(k)``.

    start: time 0, datetime64[s]. Either step, in seconds; or months, a number of months from ``start``, at its place
    after the start of the month or, with ``end``, before its end; or week, the days of the week that occur ("1111100").
    With months and week it is the first, or with ``end`` the last, such day of the month.
    """

    start: np.datetime64
    step: int | None = None
    months: int = 0
    end: bool = False
    week: str = ""

    def at(self, k: np.ndarray) -> np.ndarray:
        """Return the times (n,) datetime64[s] of the steps k (n,)."""
        if self.step:
            return self.start + np.asarray(k) * (self.step * SECOND)
        day, month = self.start.astype("M8[D]"), self.start.astype("M8[M]")
        if not self.months:
            return np.asarray(np.busday_offset(day, k, weekmask=self.week) + (self.start - day))
        months = month + np.asarray(k) * self.months * MONTH
        first, last = months.astype("M8[D]"), (months + MONTH).astype("M8[D]") - ONE_DAY
        if self.week:
            days = np.busday_offset(last if self.end else first, 0, "backward" if self.end else "forward", self.week)
        elif self.end:
            days = last - ((month + MONTH).astype("M8[D]") - ONE_DAY - day)
        else:
            days = np.minimum(first + (day - month.astype("M8[D]")), last)  # there is no 31st of June
        return np.asarray(days + (self.start - day))

    def index(self, times: np.ndarray) -> np.ndarray:
        """Return the step (n,) that is nearest to each of the times (of days and months: the step of that day or month)."""
        if self.step:
            unit = int(self.step * SECOND / np.timedelta64(1, np.datetime_data(times.dtype)[0]))  # type: ignore[call-overload]  # any unit
            return ((times - self.start).astype(np.int64) + unit // 2) // unit
        if not self.months:
            return np.busday_count(self.start.astype("M8[D]"), times.astype("M8[D]"), weekmask=self.week)
        months: np.ndarray = (times.astype("M8[M]") - self.start.astype("M8[M]")).astype(np.int64)
        return months // self.months

    def holds(self, times: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Return (n,) True for each of the times that is off the step k by less than ``JITTER`` of a step."""
        size = (self.step or 28 * DAY * self.months or DAY) * JITTER * 1e6
        return np.asarray(np.abs(times - self.at(k)) < np.timedelta64(int(size), "us"))

    @property
    def name(self) -> str | None:
        """pandas' name of the step, such as "h", "B", "MS" or "QE-DEC"; None if it has none."""
        if self.step == WEEK:
            return f"W-{self.start.item():%a}".upper()
        if self.step:
            size, unit = next(
                one for one in ((DAY, "D"), (3600, "h"), (60, "min"), (1, "s")) if self.step % one[0] == 0
            )
            return f"{self.step // size if self.step > size else ''}{unit}"
        if self.week not in ("", WEEKDAYS) or not self.months:
            return "B" if self.week == WEEKDAYS else None
        day = (self.start + DAY * SECOND * self.end).astype("M8[D]")
        if day != day.astype("M8[M]") and not self.week:
            return None
        edge, month = "B" * bool(self.week) + "SE"[self.end], int(self.start.astype("M8[M]").astype(int)) % 12
        if self.months % 12 == 0:
            return f"{self.months // 12 if self.months > 12 else ''}{edge[:-1]}Y{edge[-1]}-{MONTHS[month]}"
        if self.months == 3:
            return f"{edge[:-1]}Q{edge[-1]}-{MONTHS[month % 3 + 9 * self.end]}"
        return f"{self.months if self.months > 1 else ''}{edge[:-1]}M{edge[-1]}"


def after(times: np.ndarray, n: int, step: int | None) -> np.ndarray:
    """Return the times (n,) datetime64[s] after irregular ones (m,): those of the last day, a day later each time; or, if
    that day has one row or there is no earlier one, a step later each time.

    Args:
        step: in seconds; by default the last one.
    """
    last = times[times > times[-1] - ONE_DAY + (step or 0) * SECOND // 2]  # yesterday's last row may have come later
    if 1 < len(last) < len(times):
        days, place = np.divmod(np.arange(n), len(last))
        return np.asarray(last[place] + (days + 1) * ONE_DAY)
    size = step * SECOND if step else max(times[-1] - times[-2:][0], SECOND)
    return np.asarray(times[-1] + np.arange(1, n + 1) * size)


@dataclass(frozen=True)
class Numbers:
    """Whole numbers as times: time k is ``first + k * step``."""

    first: int
    step: int = 1

    @classmethod
    def of(cls, column: np.ndarray) -> Numbers | None:
        """Return the whole numbers of a column (n,) that rises by equal steps, else None."""
        steps = np.diff(column)
        if len(steps) and steps[0] >= 1 and (steps == steps[0]).all() and column[0] % 1 == 0 and steps[0] % 1 == 0:
            return cls(int(column[0]), int(steps[0]))
        return None

    def at(self, k: np.ndarray) -> np.ndarray:
        """Return the times (n,) int64 of the steps k (n,)."""
        return self.first + np.asarray(k, np.int64) * self.step
