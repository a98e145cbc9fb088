"""Data as they were given, and the rows after them: a DataFrame, a Series, a dict of arrays, an array."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data.content import name_of_column
from ..data.errors import DataError, no_column
from ..data.load import check_size, read
from ..data.sources import TableOptions
from ..data.table import Table
from ..nn.validation import OBJECTS, REAL, as_array
from .frame_index import FrameIndex, counting

SAMPLE = 500  # rows of text that are kept, to read further ones as they were read
FEW = 3  # rows that are kept of data without text


def is_pandas(data: Any) -> bool:
    """True for a DataFrame or a Series."""
    return type(data).__module__.partition(".")[0] == "pandas"


def kept(data: Any) -> Any:
    """Return data as they are kept: arrays are copied, so that the caller may change them; an array of records becomes
    a dict, a Series a DataFrame, masked values NaN.
    """
    if is_pandas(data):
        return data.to_frame("value" if data.name is None else data.name) if data.ndim == 1 else data
    if isinstance(data, Mapping):
        return {name: values if is_pandas(values) else _copied(values) for name, values in data.items()}
    if isinstance(data, (str, os.PathLike, np.memmap)):
        return data
    array = _copied(data)
    return {name: array[name] for name in array.dtype.names} if array.dtype.names else array


class Given:
    """The form in which data were given: what is kept of them beside their table, to read further rows.

    Args:
        data: as ``kept``. table: that was loaded from them. time: the time column, if it was named. options: what was
            said about the table.

    Attributes:
        sample: some of the rows, in the form of the data; a file by its name. index: of a DataFrame, or None.
    """

    def __init__(self, data: Any, table: Table, time: str | None, options: TableOptions | None = None):
        self.time, self.said = time, dict[str, Any](options=options) if options else {}
        self.index = FrameIndex(data, table) if is_pandas(data) else None
        if self.index is not None and self.index.counted is not None and table.times is None:
            table.notes.append("no times: the index counts rows, and so does that of the forecasts")
        self.sample, self.size = data, 0
        if not isinstance(data, (str, os.PathLike)):
            some = np.unique(np.linspace(0, count(data) - 1, SAMPLE if _has_text(data) else FEW).astype(int))
            self.sample = _taken(data, some)
            self.size = len(read(self.sample, time, **self.said)[0].values)

    def read(self, joined: Any, table: Table, needed: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the values (m, C) and times (m,) of the rows after the sample in ``joined``, for ``Table.append``.

        Raises:
            DataError: for rows that cannot be read, or a value that is too large.
        """
        content, _ = read(joined, self.time, **self.said)
        new = content.values[self.size :]
        if len(new):
            check_size("the rows", new, content.columns)
        values = np.full((len(new), len(table.columns)), np.nan)
        for k, name in enumerate(table.columns):
            if name in content.columns:
                values[:, k] = new[:, content.columns.index(name)]
            elif name in needed and name in content.refused:
                raise DataError(content.refused[name])
        return values, None if content.times is None else content.times[self.size :]


def _has_text(data: Any) -> bool:
    if is_pandas(data):
        return any(dtype.kind not in "fiubM" for dtype in (*data.dtypes, data.index.dtype))
    columns = data.values() if isinstance(data, Mapping) else [data]
    return any(np.asarray(values).dtype.kind not in "fiubM" for values in columns)


def _taken(data: Any, rows: np.ndarray) -> Any:
    if isinstance(data, Mapping):
        return {name: _taken(values, rows) for name, values in data.items()}
    return data.iloc[rows] if is_pandas(data) else np.array(data[rows])


def _copied(values: Any) -> np.ndarray:
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "fiub":
        return np.where(np.ma.getmaskarray(values), np.nan, values.data)
    return np.array(values)


def count(data: Any) -> int:
    """Return the number of rows."""
    return len(next(iter(data.values()))) if isinstance(data, Mapping) else len(data)


def followed(data: Any, rows: Any, needed: Sequence[str] = ()) -> Any:
    """Return ``data`` (as ``kept``) and the rows after them.

    Args:
        rows: in the form of the data. Columns that they leave out are missing values.
        needed: names of columns that they may not leave out.

    Raises:
        DataError: for rows of another form, columns that the data do not have, or needed ones that are left out.
    """
    if isinstance(data, (str, os.PathLike)):
        raise DataError("the data are a file: read it into a DataFrame, a dict or an array to append rows")
    if is_pandas(data):
        return _frame_followed(data, rows, needed)
    rows = kept(rows)
    if isinstance(data, Mapping):
        return _dict_followed(data, rows, needed)
    try:
        rows = as_array("rows", rows, REAL).astype(float, copy=False)
    except (TypeError, ValueError) as error:
        raise DataError(str(error)) from None
    if rows.shape[1:] != data.shape[1:] or rows.ndim != data.ndim:
        raise DataError(f"rows of shape {rows.shape} given; {('n', *data.shape[1:])} expected".replace("'", ""))
    return np.concatenate([data, rows])


def _dict_followed(data: Mapping[str, np.ndarray], rows: Any, needed: Sequence[str]) -> dict[str, np.ndarray]:
    if not isinstance(rows, Mapping):
        raise DataError(f"rows of the data's form expected: a dict of {', '.join(data)}")
    new = {name: np.atleast_1d(values) for name, values in rows.items()}
    times = [name for name, values in data.items() if values.dtype.kind == "M"]  # no time can be a missing value
    _check_columns(list(data), list(new), [*needed, *times])
    if len({len(values) for values in new.values()}) > 1:
        raise DataError(f"the columns have different lengths: {', '.join(f'{k} {len(new[k]):,}' for k in new)}")
    for name, values in new.items():
        _check_kind(name, data[name].dtype, values, REAL, "MUO")
    blank = np.full(count(new), np.nan)
    return {name: np.concatenate([np.asarray(values), new.get(name, blank)]) for name, values in data.items()}


def _frame_followed(data: Any, rows: Any, needed: Sequence[str]) -> Any:
    import pandas as pd

    if not is_pandas(rows):
        raise DataError(f"rows of {type(rows).__name__} given; a DataFrame expected, as the data are")
    if rows.ndim == 1:
        rows = rows.to_frame(data.columns[0] if rows.name is None and data.shape[1] == 1 else rows.name)
    labels = dict(zip(column_names(data), data.columns))
    _check_columns(list(labels), column_names(rows), needed)
    rows = rows.set_axis([labels[name] for name in column_names(rows)], axis=1)
    for name, label in labels.items():
        if label in rows.columns:
            _check_kind(name, data[label].dtype, rows[label])
    joined = pd.concat([data.reset_index(drop=True), rows.reset_index(drop=True)], ignore_index=True)
    return joined.set_axis(_joined_index(data.index, rows.index))


def _check_kind(name: str, own: Any, values: Any, numbers: str = OBJECTS, times: str = "MUO") -> None:
    """Refuse values of another kind than those of a column of numbers or times: text is not read as numbers there.

    Args:
        own: dtype of the column. numbers, times: kinds that are taken; of objects only those that are numbers, or None.
    """
    kind, given, taken = own.kind, values.dtype.kind, {"M": times}.get(own.kind, numbers)
    text = kind in REAL and given == "O" and any(isinstance(value, str) for value in values)
    if kind in REAL + "M" and (given not in taken or text):
        raise DataError(f"the column {name!r} holds {'text' if text else values.dtype}; {own} expected, as in the data")


def _joined_index(index: Any, other: Any) -> Any:
    """The index of the data, followed by that of the rows, in the time zone of the data."""
    import pandas as pd

    if (own := counting(index)) is not None and not isinstance(other, (pd.DatetimeIndex, pd.PeriodIndex)):
        return pd.RangeIndex(own.start, own.stop + own.step * len(other), own.step, name=own.name)
    zoned = isinstance(index, pd.DatetimeIndex) and index.tz is not None
    same = isinstance(other, type(index)) if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)) else True
    if not same or zoned != (getattr(other, "tz", None) is not None):
        raise DataError(f"the rows have an index of {other.dtype}; {index.dtype} expected, as the data have")
    if zoned:
        other = other.tz_convert(index.tz)
    return index.append(other.rename(index.name))


def column_names(frame: Any) -> list[str]:
    """Return the names of a DataFrame's columns as those of its ``Table``."""
    return [name_of_column(one) for one in frame.columns]


def _check_columns(known: list[str], given: list[str], needed: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise no_column("the data", name, known)
    for name in needed:
        if name in known and name not in given:
            raise DataError(f"the rows have no column {name!r}; {', '.join(dict.fromkeys(needed))} expected")


def without_values(table: Table, targets: Sequence[str]) -> int:
    """Return the number of rows at the end of ``table`` in which every target is missing."""
    if table.filled is None:
        return 0
    missing = np.asarray(table.filled[:, [table.column(name) for name in targets]].all(axis=1))
    return int(np.argmin(np.append(missing[::-1], False)))


def with_known_ahead(data: Any, future: Any, table: Table, names: Sequence[str], others: Sequence[str]) -> Any:
    """Return ``data`` and the rows after them whose values of the columns ``names`` are known ahead.

    Args:
        future: a DataFrame or a Series; or, if the data are arrays, a dict, or an array (n,) or (n, columns).
        table: of the data.
        names: columns whose values are known ahead. others: those of the model that are not: they are left out, as are
            columns that the data do not have.

    Raises:
        DataError: for values that are missing, or of another form.
    """
    if is_pandas(data) or is_pandas(future):
        if is_pandas(data) and is_pandas(future) and future.ndim == 2:
            known = set(column_names(data)) - set(others)
            future = future.loc[:, [name in known for name in column_names(future)]]
        return followed(data, future, names)
    if not isinstance(future, Mapping):
        values = np.asarray(future)
        columns = values[:, None] if values.ndim == 1 and len(names) == 1 else values
        if columns.ndim != 2 or columns.shape[1] != len(names) or columns.dtype.kind not in "fiub":
            raise DataError(
                f"future is {values.dtype} of shape {values.shape}; numbers of shape (n, {len(names)}) expected, for "
                f"{', '.join(names)}"
            )
        future = dict(zip(names, columns.T))
    known = set(data if isinstance(data, Mapping) else table.columns) - set(others)
    future = {name: np.atleast_1d(values) for name, values in future.items() if name in known}
    if isinstance(data, Mapping):
        times = table.times_after(max(map(len, future.values()), default=0))
        if times is not None:
            future = {**{name: times for name in data if data[name].dtype.kind == "M"}, **future}
        return followed(data, future, names)
    rows = _dict_followed({name: np.zeros(0) for name in table.columns}, future, names)
    return followed(data, np.stack([rows[name] for name in table.columns], axis=1).reshape(-1, *data.shape[1:]))
