"""Spreadsheets and columnar files that open to more than there is memory for.

What they hold is known from their metadata, or counted by parts: a column of equal texts is kept once in the file, and
a single cell in the last corner of a sheet makes a table of 17 billion cells.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from .errors import DataError
from .limits import check

CELL = 8  # bytes of a number, and of a reference to a text
_PLACE = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]{0,3})([0-9]{1,9})["']""")  # of a row or a cell in a sheet
_PIECE = 1 << 20
_LONGEST_PLACE = 40


def check_columns(path: str, max_memory: float | None = None) -> None:
    """Compare what a .parquet, .feather or .xlsx file opens to with the limit. Damaged files are left to their readers.

    Raises:
        DataError: naming both sizes and what to do.
    """
    size = os.path.getsize(path)
    sizes = {".parquet": _of_parquet, ".feather": _of_feather}.get(os.path.splitext(path)[1].lower(), _of_sheets)
    try:
        for opened in sizes(path):
            check(opened, size, path, max_memory)
    except DataError:
        raise
    except Exception:  # a damaged file can raise nearly anything
        return


def _of_parquet(path: str) -> Iterator[int]:
    """Yield sizes of growing accuracy: the numbers, the pages, and the texts, each as long as it is."""
    from pyarrow import compute, parquet

    found = parquet.read_metadata(path)
    yield CELL * found.num_rows * found.num_columns
    yield sum(found.row_group(k).total_byte_size for k in range(found.num_row_groups))
    columns = [found.schema.column(k) for k in range(found.num_columns)]
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY" and "." not in column.path]
    total = CELL * found.num_rows * found.num_columns
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(columns=texts) if texts else ():
            for column in batch.columns:
                lengths = compute.binary_length(column.dictionary)
                total += compute.sum(lengths.take(column.indices)).as_py() or 0
            yield total


def _of_feather(path: str) -> Iterator[int]:
    """Yield the size so far, part by part: first of the rows alone, by the first column, then of everything."""
    from pyarrow import ipc

    total = 0
    with ipc.open_file(path, options=ipc.IpcReadOptions(included_fields=[0])) as file:
        for k in range(file.num_record_batches):
            total += CELL * file.get_batch(k).num_rows * len(file.schema)
            yield total
    total = 0
    with ipc.open_file(path) as file:
        for k in range(file.num_record_batches):
            total += file.get_batch(k).nbytes
            yield total


def _of_sheets(path: str) -> Iterator[int]:
    """Yield what the archive unpacks to, then the cells of each sheet: rows times columns, filled or not."""
    with zipfile.ZipFile(path) as archive:
        yield sum(info.file_size for info in archive.infolist())
        for info in archive.infolist():
            if info.filename != "xl/sharedStrings.xml":  # a sheet may have any name
                with archive.open(info) as sheet:
                    yield CELL * _cells(sheet)


def _cells(sheet: Any) -> int:
    """Return rows times columns of a sheet, by the largest row and the largest column that it names."""
    rows, columns, rest = 0, set(), b""
    while piece := sheet.read(_PIECE):
        for letters, number in _PLACE.findall(rest + piece):
            columns.add(letters.upper())
            rows = max(rows, int(number))
        rest = piece[-_LONGEST_PLACE:]
    return rows * max(map(_column, columns), default=0)


def _column(letters: bytes) -> int:
    """The number of a column: A is 1, Z 26, AA 27."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number
