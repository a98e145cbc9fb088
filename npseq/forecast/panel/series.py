"""The series of a panel as its models take them: one column, without gaps, sorted by name, with the panel's seasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...data.errors import DataError
from ...data.panel import Panel
from .. import features
from ..calendar_slots import periods
from ..combination import fill_by_season
from .closed_forms import LONGEST, Season

SAMPLE = 200  # series in which a season is looked for
WEEK_OF_DAYS = 7
LEAST_OF_A_DAY = 12  # rows of a season that may be a day, so that a week of them is tried
VALIDATED = 0.15  # of the rows of a series, at most, for its rolling origins
ORIGINS = 8  # rolling origins of a series, at most
LIMIT = 1e100  # of a value: its square is finite


@dataclass
class Many:
    """Series to forecast, sorted by name, so that their order in the table changes nothing.

    ids; values: (n_k,) each, without missing values; missing: (n_k,) bool each, True where a value was missing;
    places: (K,) the number of each in the panel; season: of the panel; others: (n_k + m_k, C + F) each, other columns
    that the model reads, of which the last F are known ahead; given: (K,) of how many of the m_k rows ahead these are
    given; ends: (K,) the row of each in the panel's series from which on it is forecast; left_out: name -> why; scale
    (K,): the mean absolute difference from one season to the next, or a smaller unit where that is 0.
    """

    ids: list[str]
    values: list[np.ndarray]
    missing: list[np.ndarray]
    places: list[int]
    season: Season
    others: list[np.ndarray] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        panel: Panel,
        target: str | int | None = None,
        season: Season | None = None,
        inputs: Sequence[str] = (),
        future: Sequence[str] = (),
        held_out: int | None = None,
    ) -> Many:
        """Return the series of a column.

        Args:
            target, inputs, future: as ``Panel.column``. season: of a model; by default that of these series. held_out:
                the rows at the end of each series that are to be forecast; by default those without a target.

        Raises:
            DataError: for an unknown column, one that is named twice, or if no series has a value.
        """
        column, found, left_out = panel.column(target), [], {}
        others = [panel.column(name) for name in (*inputs, *future)]
        if twice := [k for k in others if [column, *others].count(k) > 1]:
            raise DataError(f"the column {panel.columns[twice[0]]!r} is named twice; each one once expected")
        ahead = others[len(inputs) :]
        for k in sorted(range(len(panel)), key=lambda k: (panel.ids[k], k)):
            rows = panel.rows(k)
            y = panel.values[rows, column].astype(float)
            gone = np.zeros(len(y), bool) if panel.filled is None else panel.filled[rows, column].copy()
            gone |= ~np.isfinite(y)
            end = len(y) - (_empty(gone) if held_out is None else held_out)
            start = int(np.argmin(np.append(gone[:end], False)))  # before its first value there is no series
            given = len(y) - end
            if panel.filled is not None:
                given = int(np.argmax(np.append(panel.filled[rows, ahead][end:].any(axis=1), True)))
            y, gone, read = y[start:end], gone[start:end], panel.values[rows, others][start:]
            if not len(y) or np.abs(y[~gone]).max() > LIMIT:
                left_out[panel.ids[k]] = f"holds a value above {LIMIT:g}" if len(y) else "holds no value"
                continue
            found.append((panel.ids[k], y, gone, k, read, given, end))
        if not found:
            raise DataError(f"no series of {panel.name} has a value of {panel.columns[column]}")
        if season is None:
            season = _season(panel, [y for _, y, *_ in found])
        for _, y, gone, *_ in found:
            if gone.any():
                y[gone] = y[np.maximum.accumulate(np.where(gone, 0, np.arange(len(y))))][gone]
                fill_by_season(y, gone, season.s if season.s > 1 else None)
        ids, values, missing, places, columns, rows_ahead, ends = (list(each) for each in zip(*found))
        return cls(ids, values, missing, places, season, columns, rows_ahead, ends, left_out)

    def __len__(self) -> int:
        return len(self.ids)

    def before_cuts(self, h: int) -> Many:
        """Return the rows before the first rolling origin of each series."""
        return self.first([int(cuts[0]) if len(cuts) else len(y) for y, cuts in zip(self.values, self.cuts(h))])

    def first(self, rows: list[int]) -> Many:
        """Return the series with their first rows, ``rows[k]`` of each, which may be views."""
        values = [y[:n] for y, n in zip(self.values, rows)]
        missing = [gone[:n] for gone, n in zip(self.missing, rows)]
        return replace(self, values=values, missing=missing)

    @property
    def scale(self) -> np.ndarray:
        """(K,) the unit of the errors of each series: the denominator of MASE."""
        return np.array([unit(y, self.season.s) for y in self.values])

    def cuts(self, h: int) -> list[np.ndarray]:
        """Return the rolling origins (O_k,) of each series, whose h rows lie before its end: in the last ``VALIDATED``
        of its rows, a season apart; none for a series with too few rows."""
        s = self.season.s
        stride, found = min(s, h) if s > 1 else max(1, h // 2), []
        for y in self.values:
            room = len(y) - h - max(2 * s, h, 8)  # rows that closed forms need
            count = min(int((VALIDATED * len(y) - h) // stride) + 1, room // stride + 1, ORIGINS)
            found.append(len(y) - h - stride * np.arange(max(count, int(room >= 0)))[::-1])
        return found


def observed(panel: Panel, target: str | int | None) -> Panel:
    """Return a panel of the rows up to the last value of a column in each series, of those that have one."""
    column, filled = panel.column(target), panel.filled
    if filled is None:
        return panel
    empty = np.array([_empty(filled[panel.rows(k), column]) for k in range(len(panel))])
    kept = np.flatnonzero(empty < panel.lengths)
    return panel.take(kept).without_last(empty[kept]) if empty.any() else panel


def _empty(gone: np.ndarray) -> int:
    return int(np.argmin(np.append(gone[::-1], False)))


def unit(y: np.ndarray, s: int) -> float:
    """Return the mean of |y_t − y_{t−s}|; where that is 0 or not known the mean step, the size of y, or 1."""
    for k in (s, 1):
        if len(y) > k and (size := float(np.abs(y[k:] - y[:-k]).mean())) > 0:
            return size
    return float(np.abs(y).max(initial=0.0)) or 1.0


def _season(panel: Panel, series: list[np.ndarray]) -> Season:
    """The seasons of the calendar, or the rows of a day where times are irregular, or else the one that most show."""
    lengths = sorted(rows for rows in periods(panel.series(0)).values() if 1 < rows <= LONGEST)
    if lengths:
        return Season(lengths[0], tuple(lengths[1:]))
    s = _rows_of_a_day(panel)
    if not 1 < s <= LONGEST:
        count = Counter(features.season(y, None, LONGEST) or 1 for y in series[:: max(1, len(series) // SAMPLE)])
        s = min(count, key=lambda p: (-count[p], p))
    return Season(s, (WEEK_OF_DAYS * s,) * (s >= LEAST_OF_A_DAY and WEEK_OF_DAYS * s <= LONGEST))


def _rows_of_a_day(panel: Panel) -> int:
    """The median number of rows of a day of a panel with irregular times; 0 for other panels."""
    if panel.irregular is None:
        return 0
    days = [np.unique(panel.times(k).astype("M8[D]"), return_counts=True)[1] for k in range(len(panel))]
    return int(np.median(np.concatenate(days)))
