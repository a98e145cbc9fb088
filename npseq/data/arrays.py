"""Tables in NumPy's own files, .npy and .npz."""

import numpy as np

from .errors import DataError
from .text_table import Text


def read_arrays(path, time):
    """A .npy or .npz file as ``Text``: arrays of rows, or of rows and columns, side by side."""
    try:
        content = np.load(path, mmap_mode="r" if path.endswith(".npy") else None, allow_pickle=False)
        if isinstance(content, np.ndarray):
            arrays = {"": content}
        else:
            with content:
                arrays = {name: content[name] for name in content.files}
    except Exception as error:  # a damaged file can raise nearly anything
        raise DataError(f"{path} cannot be read as a NumPy file: {' '.join(str(error).split())[:200]}") from None
    if time is None:
        time = next((name for name, array in arrays.items() if array.dtype.kind == "M"), None)
    elif time not in arrays or arrays[time].dtype.kind != "M":
        raise DataError(f"{path} has no array {time!r} of datetime64, a time column")
    times = arrays.pop(time, None)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or 0 in array.shape:
            raise DataError(
                f"{path}: the array {name or 'in it'} is {array.dtype} of shape {array.shape}; numbers in "
                "one or two dimensions (rows, columns) expected"
            )
    everything = [*arrays.values()] + ([] if times is None else [times])
    if not arrays or len({len(array) for array in everything}) != 1 or times is not None and times.ndim != 1:
        raise DataError(
            f"{path} holds no numbers, or arrays of different numbers of rows: "
            + ", ".join(f"{array.dtype} {array.shape}" for array in everything)
        )
    if times is not None and np.isnat(times).any():
        raise DataError(f"{path}: the time column {time!r} has empty times")
    columns = []
    for name, array in arrays.items():
        width = 1 if array.ndim == 1 else array.shape[1]
        columns += [name or "value"] if width == 1 else [f"{name or 'c'}{k}" for k in range(width)]
    values = [array[:, None] if array.ndim == 1 else array for array in arrays.values()]
    # one array of float64 is used as it is: a mapped file is not read into memory
    together = values[0].astype(np.float64, copy=False) if len(values) == 1 else np.concatenate(values, 1, dtype=float)
    return Text(together, columns, columns, None if times is None else times.astype("datetime64[s]"), {}, {}, [])
