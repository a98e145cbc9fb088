"""Files that the commands write."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from ..formats import atomic


def check_file(path: str) -> None:
    """Check that a file can be written there, before anything is computed for it.

    Raises:
        OSError: naming the file or its folder.
    """
    try:
        os.stat(path)
    except FileNotFoundError:
        pass  # it is created, and perhaps its folder, too
    except OSError as error:  # such as a name that is too long, or a link that leads to itself
        raise OSError(f"{path} cannot be written: {error.strerror}") from None
    if os.path.isdir(path):
        raise OSError(f"{path} is a folder; the name of a file expected")
    if os.path.exists(path):
        if not os.access(path, os.W_OK):
            raise OSError(f"{path} cannot be written: there is a file that may not be changed")
        if not os.path.isfile(path):
            return  # a device or a pipe
    check_folder(os.path.dirname(os.path.realpath(path)))


def check_folder(folder: str) -> None:
    """Create ``folder`` if it is missing, and check that a file can be written there.

    Raises:
        OSError: naming the folder.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"cannot write into the folder {folder!r}: {error.strerror or error}") from None


@contextmanager
def csv_writer(path: str) -> Iterator[Any]:
    """A ``csv.writer`` in UTF-8, to a file that appears when all of it is written. Raises OSError as ``replacing``."""
    with atomic.replacing(path) as file:
        yield csv.writer(_Utf8(file))


def write_series(path: str, ids: Sequence[str], times: Sequence[np.ndarray], columns: Mapping[str, np.ndarray]) -> None:
    """Write forecasts of series as a long table: unique_id, ds and ``columns``, as utilsforecast reads them.

    Args:
        times: (h,) of each series. columns: name -> (S, h).
    """
    with csv_writer(path) as writer:
        writer.writerow(["unique_id", "ds", *columns])
        for k, one in enumerate(ids):
            for when, *cells in zip(written(times[k]), *(column[k] for column in columns.values())):
                writer.writerow([one, when, *(f"{value:.10g}" for value in cells)])


def written(times: np.ndarray, every: np.ndarray | None = None) -> list[str]:
    """Return times as text: without a clock where all, or ``every`` one, are midnights; whole numbers as they are."""
    if times.dtype.kind != "M":
        return [str(time) for time in times]
    every = times if every is None else every
    days = bool((every == every.astype("M8[D]")).all())
    return [str(time)[: 10 if days else None].replace("T", " ") for time in times]


def write_json(path: str, value: object) -> None:
    """Write ``value`` as a JSON file. Raises OSError as ``replacing``."""
    with atomic.replacing(path) as file:
        file.write(json.dumps(value, indent=1).encode())


class _Utf8:
    """Text to a binary file. It keeps no buffer, so an interrupted write leaves nothing to flush."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def write(self, text: str) -> int:
        return self.file.write(text.encode("utf-8", "surrogateescape"))
