"""``load``: a table from any source.

Any problem with a source raises a ``DataError`` with a one-line message: what was found, what was expected, what to do.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..formats.paths import name_of
from .arrays import read_arrays
from .content import Content
from .errors import DataError, listed
from .limits import load_arrays
from .missing import fill as fill_missing
from .missing import stands_apart
from .sources import SHIPPED, TableOptions, ending, existing, shipped
from .strict_reader import read_strict
from .table import Table
from .time_axis import put_in_time_order

LARGEST = 1e140  # sums of squares of smaller values do not overflow
ELAPSED = re.compile(
    r"t|times?|timestamps?|time.?steps?|steps?|sec(ond)?s?|elapsed.*|time ?[(\[].*|dates?|unix.*|epoch|ds|ts|year|yr",
    re.I,
)
COUNTERS = re.compile(r"unnamed: \d+|(.*[_ -])?id|index|idx|row|rownum|nr|no|number|#|n|obs|record|seq|key", re.I)


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
    content, name = read(source, time, (), options, on_progress)
    table = Table(
        name,
        content.values,
        content.columns,
        all_columns=content.all_columns,
        refused=content.refused,
        notes=list(content.notes),
    )
    if content.refused:
        table.notes.append(f"non-numeric columns ignored: {listed(content.refused)}")
    check_size(table.name, table.values, table.columns)  # first: differences of such values overflow
    counters = [name for k, name in enumerate(table.columns) if counts_rows(name, table.values[:, k])]
    table.counters = counters if len(counters) < len(table.columns) else []
    if table.counters:
        table.notes.append(f"columns that count the rows are no target: {listed(table.counters)}")
    if content.times is not None:
        times = content.times
        del content  # so that no second copy is held while rows move
        put_in_time_order(table, times)
        del times
    for k, column in enumerate(table.columns):
        if (mark := stands_apart(table.values[:, k])) is not None:
            table.notes.append(
                f"{column} holds {mark[0]:g} {mark[1]:,} times, far from all other values; if it marks a missing value, say --na {mark[0]:g}"
            )
    fill_missing(table, fill)
    return table


def read(
    source: Any,
    time: str | None = None,
    labels: Sequence[str] = (),
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
    source: Any, time: str | None, labels: Sequence[str], options: TableOptions | None
) -> tuple[Content, str]:
    module = type(source).__module__.partition(".")[0]
    if (
        isinstance(source, Mapping)
        and not labels
        and all(np.asarray(array).dtype.kind in "fiubM" for array in source.values())
    ):
        return read_arrays(source, "the data", time), "the data"
    if isinstance(source, Mapping) or module == "pandas":
        import pandas as pd

        from .table_reader import read_table

        if isinstance(source, pd.Series):
            source = source.to_frame(source.name if source.name is not None else "value")
        return read_table(pd.DataFrame(source), "the data", time, labels, options), "the data"
    array = np.asanyarray(source)
    return read_arrays(
        {key: array[key] for key in array.dtype.names or ()} or {"": array}, "the data", time
    ), "the data"


def _without_pandas(source: str, time: str | None, labels: Sequence[str], options: TableOptions | None) -> Content:
    """The strict reader's result, or the way to the other reader."""
    try:
        if ending(source) not in (".csv", ".txt") or options not in (None, TableOptions()) or source == "-":
            raise DataError(f"{source} needs pandas")
        return read_strict(source, source, time, labels)
    except (DataError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{error}; without pandas only plain tables are read: pip install 'pandas>=2.2'") from None


def counts_rows(name: str, column: np.ndarray) -> bool:
    """True if a column only counts its rows, or increases under the name of an index (whole numbers) or a time, or as
    years with a fraction do."""
    if len(column) < 3 or len(column) > 1000 and not counts_rows(name, column[:1000]):
        return False
    steps, whole, counter = np.diff(column), (column % 1 == 0).all(), COUNTERS.fullmatch(name)
    if whole and (steps == steps[0]).all() and (steps[0] == 1 or counter):
        return True
    years = 1500 < column[0] and column[-1] < 2200 and np.ptp(steps) < 0.2 * steps[0] and not whole
    return bool((steps > 0).all() and (years or whole and counter or ELAPSED.fullmatch(name)))


def check_size(name: str, values: np.ndarray, columns: Sequence[str]) -> None:
    """Raise DataError for a value that is infinite or too large to compute with."""
    for k, column in enumerate(columns):
        most = max(np.fmax.reduce(values[:, k]), -np.fmin.reduce(values[:, k]))  # missing values are left out
        if most > LARGEST:
            row = int(np.nanargmax(np.abs(values[:, k])))
            value = values[row, k]
            way = "--na inf takes it for a missing value" if np.isinf(value) else "correct it, or leave the cell empty"
            raise DataError(f"{name}: row {row} of {column!r} holds {value:.3g}, too large to compute with; {way}")
