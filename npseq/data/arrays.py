"""Tables of NumPy arrays: .npy and .npz files, dicts, arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .content import Content
from .errors import DataError


def of_nested(frame: Any) -> list[np.ndarray] | None:
    """Return the sequences (T_i, F) of a DataFrame with a row for each, a column for each feature, and a Series or an array
    in each cell; None for any other DataFrame.

    Raises:
        DataError: for a row whose cells have different lengths, or in which one holds no array.
    """
    if not len(frame) or not any(np.ndim(frame.iat[0, k]) for k in range(frame.shape[1])):
        return None
    arrays = []
    for row in range(len(frame)):
        cells = [np.asarray(frame.iat[row, k]) for k in range(frame.shape[1])]
        if any(cell.ndim != 1 for cell in cells) or len({len(cell) for cell in cells}) > 1:
            shapes = ", ".join(f"{name}: {cell.shape}" for name, cell in zip(frame.columns, cells))
            raise DataError(
                f"row {row} holds {shapes}; a Series or an array in every cell, of one length in a row, expected"
            )
        arrays.append(np.stack(cells, axis=1))
    return arrays


def read_arrays(arrays: Mapping[str, np.ndarray], source: str, time: str | None = None) -> Content:
    """Return arrays of rows, or of rows and columns, side by side; one of datetime64 is the time column.

    Raises:
        DataError: for arrays that are no numbers, or of different lengths.
    """
    arrays = {str(name): np.asanyarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray):
            gap = np.datetime64("NaT") if array.dtype.kind == "M" else np.nan
            arrays[name] = np.ma.filled(array if array.dtype.kind == "M" else array.astype(float), gap)
    if time is None:
        time = next((name for name, array in arrays.items() if array.dtype.kind == "M"), None)
    elif time not in arrays or arrays[time].dtype.kind != "M":
        raise DataError(f"{source} has no array {time!r} of datetime64, a time column")
    times = arrays.pop(time, None) if time is not None else None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or 0 in array.shape:
            raise DataError(
                f"{source}: the array {name or 'in it'} is {array.dtype} of shape {array.shape}; numbers in "
                "one or two dimensions (rows, columns) expected"
            )
    everything = [*arrays.values()] + ([] if times is None else [times])
    if not arrays or len({len(array) for array in everything}) != 1 or times is not None and times.ndim != 1:
        shapes = ", ".join(f"{array.dtype} {array.shape}" for array in everything)
        raise DataError(f"{source} holds no numbers, or arrays of different numbers of rows: {shapes}")
    if times is not None and np.isnat(times).any():
        raise DataError(f"{source}: the time column {time!r} has empty times")
    columns: list[str] = []
    for name, array in arrays.items():
        width = 1 if array.ndim == 1 else array.shape[1]
        columns += [name or "value"] if width == 1 else [f"{name or 'c'}{k}" for k in range(width)]
    values = [array[:, None] if array.ndim == 1 else array for array in arrays.values()]
    # one array of float64 is used as it is: a mapped file is not read into memory
    together = values[0].astype(np.float64, copy=False) if len(values) == 1 else np.concatenate(values, 1, dtype=float)
    together = together.view()
    together.flags.writeable = False  # the caller's arrays are never changed
    return Content(together, columns, columns, None if times is None else times.astype("M8[us]"))
