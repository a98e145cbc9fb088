"""``load``: a table from any source.

Any problem with a source raises a ``DataError`` with a one-line message: what was found, what was expected, what to do.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..formats.messages import Message, argument, marked
from ..formats.paths import name_of
from . import generated, panel_reader, roles
from .arrays import read_arrays
from .content import FIELD_IDS, Content
from .errors import DataError, listed
from .grid import Numbers
from .limits import load_arrays
from .missing import fill_column, stands_apart
from .panel import Panel, of_table
from .sources import GENERATED, SHIPPED, TableOptions, ending, existing, shipped
from .strict_reader import read_strict
from .table import NEVER, Table
from .time_axis import put_in_time_order

HOURS = 24  # rows of one time: it may be a day, whose hours are in another column
LARGEST = 1e140  # sums of squares of smaller values do not overflow


def load(
    source: Any,
    time: str | None = None,
    fill: str = "linear",
    on_progress: Callable[[float], None] | None = None,
    options: TableOptions | None = None,
) -> Table:
    """Read a table.

    Args:
        source: a name of ``SHIPPED``; the path of a file (.csv, .tsv, .txt or .dat, also compressed; .parquet, .feather,
            .xlsx, .npy, .npz) or pipe; "-" for standard input; a DataFrame, a Series, a dict of arrays, or an array.
            A .npy file of float64 without missing values is not read but mapped into memory.
        time: the time column, or several with commas between; by default the first one that holds times.
        fill: ``"linear"`` fills missing values on a line between their neighbours, which looks ahead; ``"past"``
            repeats the value before, so that nothing looks ahead. At the two ends the nearest value is held.
        on_progress: called periodically with the fraction of a text file read so far.
        options: what is said about a table of text, and not decided from its rows.

    Raises:
        DataError.
    """
    table = load_series(source, time, fill, on_progress, options)
    if isinstance(table, Panel):
        raise DataError(f"{table.name} holds {len(table):,} series ({listed(table.ids)}); one expected")
    return table


def load_series(
    source: Any,
    time: str | None = None,
    fill: str = "past",
    on_progress: Callable[[float], None] | None = None,
    options: TableOptions | None = None,
) -> Table | Panel:
    """Read a table, or the panel of a source that holds several series.

    Args:
        source, time, fill, on_progress: as ``load``; also ``"many"``, a .tsf file, a dict or a list of arrays of different
            lengths, a list of Series, a list or a dict of DataFrames, a ``Panel``. A table with the columns unique_id and
            ds, or item_id and timestamp, is a long one.
        options: ``id``, ``wide`` and ``wide_rows`` say how the series are told apart. A time may be a whole number.

    Raises:
        DataError: as ``load``; for several series in a form that was not said.
    """
    return _loaded(source, time, fill, on_progress, options or TableOptions(), 2)


def read_panel(
    source: Any,
    time: str | None = None,
    on_progress: Callable[[float], None] | None = None,
    options: TableOptions | None = None,
) -> Panel:
    """Read a panel, also of one series. Arguments and errors as ``load_series``."""
    found = _loaded(source, time, "past", on_progress, options or TableOptions(), 1)
    return found if isinstance(found, Panel) else of_table(found)


def _loaded(
    source: Any, time: str | None, fill: str, on_progress: Any, said: TableOptions, least: int
) -> Table | Panel:
    """A table, or a panel from ``least`` series on."""
    if isinstance(source, Panel):
        return source
    source = _one_frame(source)
    found = _other_panel(source, fill) or _table_or_panel(source, time, fill, on_progress, said, least)
    if isinstance(found, Table):
        return found
    panel = panel_reader.active(found, said.active)
    return panel if len(panel) >= least else replace(panel.series(0), notes=panel.notes)


def _table_or_panel(
    source: Any, time: str | None, fill: str, on_progress: Any, said: TableOptions, least: int
) -> Table | Panel:
    try:
        content, name = read(source, time, None, said, on_progress, bool(said.wide_rows))
    except DataError:  # the time may be a column of whole numbers
        if time is None:
            raise
        content, name = read(source, None, None, said, on_progress)
        if not content.labels or time not in content.columns:
            raise
    check_size(name, content.values, content.columns)  # first: differences of such values overflow
    if said.wide_rows:
        return panel_reader.of_rows(content, name, fill)
    ids: list[str] = []
    if content.labels:
        codes, ids = panel_reader.names_of(content)
        if len(ids) >= least:
            return panel_reader.of_long(content, name, fill, time)
        if (codes < 0).any():
            times = None if content.times is None else content.times[codes == 0]
            notes = [*content.notes, f"{np.count_nonzero(codes < 0):,} rows name no series: left out"]
            content = content._replace(values=content.values[codes == 0], times=times, notes=notes)
    table = _in_time_order(content, name, said.wide)
    if said.wide:
        return panel_reader.of_columns(table, fill)
    if ids:
        table.ids = ids
        table.kinds |= dict.fromkeys(content.labels, "series")
        panel_reader.put_target_first(table)
    return _filled(table, fill)


def _one_frame(source: Any) -> Any:
    """One long frame of a list of Series or DataFrames, or of a dict of them by name; any other source as it is."""
    listed_ones = isinstance(source, (list, tuple))
    named = dict(enumerate(source)) if listed_ones else source if isinstance(source, Mapping) else {}
    pandas = all(type(one).__module__.partition(".")[0] == "pandas" for one in named.values())
    if not named or not pandas or not listed_ones and any(one.ndim == 1 for one in named.values()):
        return source  # a dict of Series holds columns
    import pandas as pd

    parts = []
    for name, one in named.items():
        frame = one.to_frame("y") if one.ndim == 1 else one
        if one.ndim == 1 or isinstance(one.index, (pd.DatetimeIndex, pd.PeriodIndex)):
            frame = frame.rename_axis("ds").reset_index()
        own = name if one.ndim > 1 or one.name is None else one.name
        parts.append(frame if {*FIELD_IDS} & {*frame.columns} else frame.assign(unique_id=str(own)))
    return pd.concat(parts, ignore_index=True)


def _other_panel(source: Any, fill: str) -> Panel | None:
    """The panel of a source that is no table; None for any other source."""
    if isinstance(source, (str, os.PathLike)):
        return generated.many() if os.fspath(source) == GENERATED else None
    if isinstance(source, Mapping):
        sized = (array for array in source.values() if hasattr(array, "__len__") and not isinstance(array, str))
        several = len(set(map(len, sized))) > 1
    elif several := isinstance(source, (list, tuple)) and all(
        isinstance(one, np.ndarray) and one.ndim for one in source
    ):
        source = dict(enumerate(source))
    if not several or not len(source):
        return None
    panel = panel_reader.of_arrays("the data", source, fill, [Numbers(1)] * len(source))
    check_size(panel.name, panel.values, panel.columns)
    return panel


def _in_time_order(content: Content, name: str, wide: bool | None = None) -> Table:
    """The table with its rows in time order, and its missing values."""
    table = Table(name, content.values, content.columns, refused=content.refused, notes=list(content.notes))
    table.all_columns = content.all_columns
    _take_roles(table, content, wide)
    if content.times is not None:
        times = content.times
        del content  # so that no second copy is held while rows move
        put_in_time_order(table, times)
    return table


def _filled(table: Table, fill: str) -> Table:
    """The table with its missing values filled."""
    for k, column in enumerate(table.columns):
        if (mark := stands_apart(table.values[:, k])) is not None:
            seen = f"{column} holds {mark[0]:g} {mark[1]:,} times, far from all other values"
            way = f"if it marks a missing value, say {argument('na', f'{mark[0]:g}')}"
            table.notes.append(Message(f"{seen}; {way}"))
    table.filled = np.isnan(table.values)
    if not table.filled.any():
        return table
    if not table.values.flags.writeable:
        table.values = np.array(table.values)
    for k, name in enumerate(table.columns):
        count = fill_column(table.values[:, k], table.filled[:, k], fill)
        if count is None:
            raise DataError(f"{table.name}: the column {name!r} has no number in it")
        if count:
            how = "from the values before them" if fill == "past" else "by linear interpolation"
            table.notes.append(f"{count:,} gaps in {name} filled {how}")
    return table


def _take_roles(table: Table, content: Content, wide: bool | None = None) -> None:
    """Say what each column is, and refuse a table of several series."""
    if not wide and (names := roles.times_in_names(content)):
        raise DataError(
            f"{table.name}: the names of {len(names)} columns, {names[0]} … {names[-1]}, are times in order, so a row is a "
            f"series; {argument('wide_rows', True)} reads rows that begin with the name of their series, or turn the table: "
            "a row for each time, and a column for each series, expected"
        )
    table.kinds, series, why = roles.decide(content)
    if series:
        n = len(content.values)
        different = n if content.times is None else len(np.unique(content.times))
        few = f"its {n:,} rows have only {different:,} different times: " if different < n else ""
        hour = f"; if the hour is in another column, say {argument('time', 'DATE,HOUR')}" * (n >= HOURS * different)
        raise DataError(
            f"{table.name}: {few}{why}: several series, one after the other or mixed; {argument('id', ','.join(series))} reads them, "
            f"or keep the rows of one of them, or classify them with {argument('sequence', series[0])} and {argument('label', 'COLUMN')}{hour}"
        )
    if why and not series:
        table.notes.append(
            Message(f"{why}: read as one series; if they are several, name the column with {argument('id')}")
        )
    if text := [name for name in content.refused if name not in content.unread]:
        table.notes.append(f"non-numeric columns ignored: {listed(text)}")
    table.notes += [Message(f"left out: {content.refused[name]}") for name in content.unread]
    of_kind = {kind: [one for one in table.columns if table.kinds[one] == kind] for kind in NEVER}
    told = [f"{listed(names)} ({NEVER[kind]})" for kind, names in of_kind.items() if names]
    if told and len(table.counters) < len(table.columns):
        which = "columns that count the rows, do not change or are parts of a time"
        table.notes.append(f"{which} are no target unless they are named: {', '.join(told)}")


def read(
    source: Any,
    time: str | None = None,
    labels: Sequence[str] | None = (),
    options: TableOptions | None = None,
    on_progress: Callable[[float], None] | None = None,
    ragged: bool = False,
) -> tuple[Content, str]:
    """Return what any source holds, before rows are ordered and missing values filled, and the name of the source."""
    if not isinstance(source, (str, os.PathLike)):
        return _from_memory(source, time, labels, options)
    source = os.fspath(source)
    name = name_of(source) if source != "-" else "standard input"
    if source in SHIPPED:
        return read_strict(shipped(SHIPPED[source]), name, time, labels), name
    existing(source)
    if source.endswith((".npy", ".npz")):
        return read_arrays(load_arrays(source, options.max_memory if options else None), source, time), name
    try:
        from .table_reader import read_table
    except ImportError:
        return _without_pandas(source, time, labels, options), name
    return read_table(source, source, time, labels, options, on_progress, ragged), name


def _from_memory(
    source: Any, time: str | None, labels: Sequence[str] | None, options: TableOptions | None
) -> tuple[Content, str]:
    name, given = "the data", isinstance(source, Mapping)
    try:
        if given and not labels and all(np.asarray(array).dtype.kind in "fiubM" for array in source.values()):
            return read_arrays(source, name, time), name
        if given or type(source).__module__.partition(".")[0] == "pandas":
            import pandas as pd

            from .table_reader import read_table

            if isinstance(source, pd.Series):
                source = source.to_frame(source.name if source.name is not None else "value")
            return read_table(pd.DataFrame(source), name, time, labels, options), name
    except (TypeError, ValueError) as error:  # of columns that make no table
        raise error if isinstance(error, DataError) else DataError(f"{name} are no table: {error}") from None
    array = np.asanyarray(source)
    return read_arrays({key: array[key] for key in array.dtype.names or ()} or {"": array}, name, time), name


def _without_pandas(
    source: str, time: str | None, labels: Sequence[str] | None, options: TableOptions | None
) -> Content:
    """The strict reader's result, or the way to the other reader."""
    try:
        if ending(source) not in (".csv", ".txt") or options not in (None, TableOptions()) or source == "-":
            raise DataError(f"{source} needs pandas")
        return read_strict(source, source, time, labels)
    except (DataError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{marked(error)}; without pandas only plain tables are read: pip install 'pandas>=2.2'"
        ) from None


def check_size(name: str, values: np.ndarray, columns: Sequence[str]) -> None:
    """Raise DataError for a value that is infinite or too large to compute with."""
    for k, column in enumerate(columns):
        most = max(np.fmax.reduce(values[:, k]), -np.fmin.reduce(values[:, k]))  # missing values are left out
        if most > LARGEST:
            row = int(np.nanargmax(np.abs(values[:, k])))
            value = values[row, k]
            way = "correct it, or leave the cell empty"
            if np.isinf(value):
                way = f"{argument('na', 'inf')} takes it for a missing value"
            raise DataError(f"{name}: row {row} of {column!r} holds {value:.3g}, too large to compute with; {way}")
