"""The index of forecasts: that of a DataFrame or a Series, continued."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.grid import DAY
from ..data.table import Table


def continued(frame: Any, table: Table, rows: np.ndarray) -> Any:
    """Return the index of consecutive rows of ``table``, those after its end too.

    Args:
        frame: from which ``table`` was loaded. Its times may be the index or a column; their time zone is kept.
        rows: numbers of the rows.

    Returns:
        Times, or periods where the index has periods. Without times an index that counts is continued, and any other is
        replaced by the numbers of the rows.
    """
    import pandas as pd

    index, whole = frame.index, len(frame.index) == len(table.values)
    if table.grid is not None:
        times = table.grid.at(rows)
    elif table.irregular is not None and rows.max() < len(table.irregular):
        times = table.irregular[rows]
    else:
        count = counting(index) if whole else None
        start, step = (0, 1) if count is None else (count.start, count.step)
        return pd.RangeIndex(start + step * rows[0], start + step * (rows[-1] + 1), step, name=index.name)
    if isinstance(index, pd.PeriodIndex):
        return pd.DatetimeIndex(times, name=index.name).to_period(index.freq)
    if not isinstance(index, pd.DatetimeIndex):
        column = next((one for one in getattr(frame, "columns", ()) if frame[one].dtype.kind == "M"), None)
        if column is None:
            return pd.DatetimeIndex(times, name=index.name)
        return _in_zone_of(pd.DatetimeIndex(frame[column].dropna(), name=column), times, table)
    if whole and index.freq is not None and index[0] <= index[-1]:
        found = pd.date_range(index[0], periods=rows[-1] + 1, freq=index.freq, unit=index.unit, name=index.name)
        return found[rows[0] :]
    found = _in_zone_of(index, times, table)
    if whole and table.offset is not None and len(rows) > 1:
        try:
            found.freq = pd.tseries.frequencies.to_offset(table.offset)
        except ValueError:  # the step has this name in UTC, not in the time zone
            pass
    return found


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


def _in_zone_of(index: Any, times: np.ndarray, table: Table) -> Any:
    """``times`` (n,), in UTC if the times ``index`` have a zone, as times like those of ``index``. Days, weeks and
    months keep the time of day of their zone, which in UTC changes with the clocks.
    """
    import pandas as pd

    found = pd.DatetimeIndex(times, name=index.name)
    if index.tz is not None:
        found = found.tz_localize("UTC").tz_convert(index.tz)
        clock = index.tz_localize(None)
        into = (clock - clock.normalize()).unique()
        if len(into) == 1 and (table.step is None or table.step >= DAY):
            local = (found.tz_localize(None) - into[0]).round("D") + into[0]
            found = local.tz_localize(index.tz, ambiguous=np.ones(len(local), bool), nonexistent="shift_forward")
    return found.as_unit(index.unit)
