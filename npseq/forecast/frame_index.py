"""The index of forecasts: that of a DataFrame or a Series, continued."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.grid import DAY
from ..data.table import Table
from .calendar_slots import row_times


class FrameIndex:
    """The kind of a DataFrame's index, kept to continue it when rows were added.

    Args:
        frame: its times may be the index or a column; their time zone is kept. table: that was loaded from it.
    """

    def __init__(self, frame: Any, table: Table):
        import pandas as pd

        index, self.whole = frame.index, len(frame.index) == len(table.values)
        self.name, self.periods = index.name, index.freq if isinstance(index, pd.PeriodIndex) else None
        self.counted = counting(index) if self.whole else None
        self.start: Any = None
        self.zone: Any = None
        self.clock: Any = None
        self.unit: Any = None
        if not isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
            column = next((one for one in getattr(frame, "columns", ()) if frame[one].dtype.kind == "M"), None)
            if column is None:
                return
            index, self.name = pd.DatetimeIndex(frame[column].dropna(), name=column), column
        elif self.whole and self.periods is None and index.freq is not None and index[0] <= index[-1]:
            self.start = index[0], index.freq
        if self.periods is None:
            self.zone, self.unit, local = index.tz, index.unit, index.tz_localize(None)
            self.clock = (local - local.normalize()).unique()
        self.named = self.whole and isinstance(frame.index, pd.DatetimeIndex)

    def at(self, table: Table, rows: np.ndarray) -> Any:
        """Return the index of consecutive rows of ``table``, those after its end too.

        Returns:
            Times, or periods where the index has periods. Without times an index that counts is continued, and any
            other is replaced by the numbers of the rows.
        """
        import pandas as pd

        times = row_times(table, int(rows[0]), int(rows[-1]) + 1)
        if times is None:
            start, step = (0, 1) if self.counted is None else (self.counted.start, self.counted.step)
            return pd.RangeIndex(start + step * rows[0], start + step * (rows[-1] + 1), step, name=self.name)
        found = pd.DatetimeIndex(times[rows - rows[0]], name=self.name)
        if self.periods is not None:
            return found.to_period(self.periods)
        if self.start is not None:
            first, freq = self.start
            return pd.date_range(first, periods=rows[-1] + 1, freq=freq, unit=self.unit, name=self.name)[rows[0] :]
        if self.unit is None:
            return found
        found = self._in_zone(found, table)
        if self.named and table.offset is not None and len(rows) > 1:
            try:
                found.freq = pd.tseries.frequencies.to_offset(table.offset)
            except ValueError:  # the step has this name in UTC, not in the time zone
                pass
        return found

    def _in_zone(self, found: Any, table: Table) -> Any:
        """Times, in UTC if the index has a zone, in that zone. Days, weeks and months keep the time of day of their
        zone, which in UTC changes with the clocks.
        """
        if self.zone is not None:
            found = found.tz_localize("UTC").tz_convert(self.zone)
            if len(self.clock) == 1 and (table.step is None or table.step >= DAY):
                local = (found.tz_localize(None) - self.clock[0]).round("D") + self.clock[0]
                found = local.tz_localize(self.zone, ambiguous=np.ones(len(local), bool), nonexistent="shift_forward")
        return found.as_unit(self.unit)


def counting(index: Any) -> Any:
    """Return an index of whole numbers with equal steps as a ``RangeIndex``, None for any other index."""
    import pandas as pd

    if isinstance(index, pd.RangeIndex):
        return index
    if index.dtype.kind not in "iu" or len(index) < 2:
        return None
    start, step = int(index[0]), int(index[1]) - int(index[0])
    found = pd.RangeIndex(start, start + step * len(index), step, name=index.name) if step else None
    return found if found is not None and found.equals(index) else None
