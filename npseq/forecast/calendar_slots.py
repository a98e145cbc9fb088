"""Times of rows, before and after the end of a table, and their places in a period of the calendar."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.grid import after
from ..data.table import Table
from .features import DAY, MONDAY, WEEK

MONTHS = 12
UNITS = (WEEK, "week"), (DAY, "day"), (3600, "hour"), (60, "minute"), (1, "second")
YEAR = 365.25 * DAY  # seconds


class Slots(NamedTuple):
    """How rows are numbered by their time.

    kind: "one" (every row has the number 0), "clock" (the number of ``seconds`` since a Monday, modulo ``count``),
    or "month" (the month of the year; ``seconds`` is then the number of months between two rows).
    """

    kind: str = "one"
    count: int = 1  # type: ignore[assignment]  # hides tuple.count
    seconds: int = 1

    def of(self, times: np.ndarray | None, rows: int) -> np.ndarray:
        """Return the slot (rows,) of each of the ``times``, which may be None for the kind "one"."""
        if self.kind == "one" or times is None:
            return np.zeros(rows, np.intp)
        if self.kind == "month":
            return times.astype("datetime64[M]").astype(np.int64) % MONTHS
        return ((times.astype("datetime64[s]") - MONDAY).astype(np.int64) // self.seconds) % self.count


class Waves(NamedTuple):
    """Sines and cosines of a period of so many seconds: ``pairs`` of them, of the period and its fractions."""

    seconds: float
    pairs: int

    @property
    def name(self) -> str:
        """The name of the period."""
        return {YEAR: "time of the year", WEEK: "time of the week", DAY: "time of the day"}.get(
            self.seconds, f"a season of {self.seconds:,.0f} s"
        )

    @staticmethod
    def all_of(waves: tuple[Waves, ...], times: np.ndarray) -> np.ndarray:
        """Return q (n, Q) at the ``times``, of all ``waves``."""
        seconds = (times.astype("datetime64[s]") - MONDAY).astype(float)
        angles = [seconds[:, None] / each.seconds % 1.0 * (2 * np.pi * np.arange(1, each.pairs + 1)) for each in waves]
        return np.concatenate([wave(angle) for angle in angles for wave in (np.sin, np.cos)], axis=1)


def row_times(table: Table, start: int, stop: int) -> np.ndarray | None:
    """Return the times (stop − start,) of rows, which may lie after the end; None for a table without times. Where they
    are irregular those after the end are as ``data.grid.after`` has them.
    """
    n = len(table.values)
    if table.start is not None and table.step:
        return table.start + np.arange(start, stop) * np.timedelta64(table.step, "s")
    if table.irregular is None:
        return None
    if stop <= n:
        return table.irregular[start:stop]
    if (later := table.times_after(stop - n)) is None:
        later = after(table.irregular, stop - n, table.step)
    return np.concatenate([table.irregular[min(start, n) :], later])[max(0, start - n) :]


def time_before(rows: int, step: int | None) -> str:
    """Return how long so many rows are, such as "36 hours"; in rows where the seconds of one are unknown."""
    whole = rows * step if step else 0
    count, unit = next(
        ((whole // seconds, unit) for seconds, unit in UNITS if whole and whole % seconds == 0), (rows, "row")
    )
    return f"{count:,} {unit}{'s' * (count > 1)}"


def step_in_months(table: Table) -> int | None:
    """Return the number of months between two rows; None if the rows are not whole months apart."""
    if table.irregular is None or len(table.irregular) < 3:
        return None
    months = np.diff(table.irregular.astype("datetime64[M]").astype(np.int64))
    return int(months[0]) if months[0] > 0 and (months == months[0]).all() else None


def periods(table: Table) -> dict[str, int]:
    """Return name -> rows of each period of the calendar that these rows have: day, week and year."""
    months = step_in_months(table)
    if months is not None:
        return {"year": MONTHS // months} if months < MONTHS and MONTHS % months == 0 else {}
    step = table.step
    if not step or table.irregular is not None and not (step == DAY and _weekdays_only(table)):
        return {}
    found = {name: seconds // step for name, seconds in (("day", DAY), ("week", WEEK)) if seconds % step == 0}
    found = {name: rows for name, rows in found.items() if rows >= 2}
    if table.irregular is not None:
        return {"week": 5}
    if step == WEEK:
        found["year"] = 52
    if step == DAY:
        found["year"] = 365
    return found


def _weekdays_only(table: Table) -> bool:
    assert table.irregular is not None
    days = np.unique(Slots("clock", 7, DAY).of(table.irregular, len(table.irregular)))
    return len(days) == 5


def slots_of(table: Table, period: int | None) -> Slots:
    """Return the slots of a period of so many rows, if the calendar has it; else ``Slots("one")``."""
    if period is None or period < 2:
        return Slots()
    if step_in_months(table) is not None:
        return Slots("month", MONTHS, step_in_months(table) or 1) if periods(table).get("year") == period else Slots()
    found = periods(table)
    if table.step and period in (found.get("week"), found.get("day")):
        if table.step == DAY and period == 5:
            return Slots("clock", 7, DAY)
        return Slots("clock", period, table.step)
    return Slots()
