"""Formats that say what they are: .ts (sktime, aeon), .arff (Weka), .tsf (Monash); and files that are no text at all.

.ts     @classLabel true down up     then a sequence in each line: 0.1,0.2:0.5,0.7:up   (dimensions, then the class)
.arff   @attribute t0 numeric, …, @attribute target {1,2}      then a row in each line
.tsf    @attribute series_name string, @frequency daily        then a series in each line
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO, NamedTuple

import numpy as np

from ..formats.messages import argument
from .content import Content
from .errors import DataError
from .grid import DAY, WEEK, Grid
from .numbers import MISSING
from .sources import ending, open_binary

ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(.+)", re.I)
OUTSIDE = re.compile(r":(?![^()]*\))")  # a colon that is not in a time within brackets
STAMPED = re.compile(r"\(([^()]*),([^(),]*)\)")
NUMERIC = re.compile(r"numeric|real|integer|relational", re.I)
OF_TS = {b"problemname", b"classlabel", b"targetlabel", b"univariate", b"timestamps", b"equallength"}
HEAD = 1 << 12  # bytes that show the kind
FREQUENCIES = {"second": 1, "minute": 60, "hour": 3600, "dai": DAY, "day": DAY, "week": WEEK, "month": -1, "quarter": -3,
               "year": -12}  # fmt: skip  # beginnings of their names: seconds, or months below 0
LABEL = "class"  # the name of the label of a .ts file
SIGNATURES = {b"%PDF": "a PDF", b"\x89HDF": "HDF5", b"CDF": "netCDF", b"SQLite format 3": "an SQLite database",
              b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls)", b"PK\x03\x04": "a zip archive or a spreadsheet",
              b"PAR1": "Parquet", b"ARROW1": "Feather", b"\x1f\x8b": "compressed by gzip", b"BZh": "compressed by bzip2",
              b"\xfd7zXZ": "compressed by xz", b"\x93NUMPY": "a NumPy array", b"MATLAB 5.0": "a MATLAB file",
              b"RDX": "an R file", b"{\\rtf": "RTF"}  # fmt: skip
MARKUP = re.compile(rb"\s*(?:<(?:\?xml|!doctype|html|table|[a-z]+[ >])|(\{\s*\"|\[\s*[\[{]))", re.I)


class Archive(NamedTuple):
    """Labelled sequences: arrays (T_i, F) with NaN where a value is missing, their labels or None, and whether these are
    numbers to predict and no classes."""

    arrays: list[np.ndarray]
    labels: list[str] | None
    numbers: bool


def kind_of_archive(sample: bytes) -> str | None:
    """Return "ts", "tsf" or "arff" for the first bytes of such a file, else None."""
    lines = (line.strip().lower() for line in sample.splitlines())
    first = next((line for line in lines if line and not line.startswith((b"#", b"%"))), b"")
    if not first.startswith(b"@"):
        return None
    words = {word.lower() for word in re.findall(rb"^\s*@(\w+)", sample, re.M)}
    if words & {b"frequency", b"horizon", b"equallength"} and b"attribute" in words:
        return "tsf"
    return "arff" if words & {b"relation", b"attribute"} else "ts" if words & OF_TS else None


def refusal(kind: str, file: BinaryIO, name: str) -> str:
    """Return why an archive is no table."""
    file.seek(0)
    lines = [text.lower() for _, text in _lines(file)]
    count = len(lines) - lines.index("@data") - 1 if "@data" in lines else 0
    if kind == "tsf":
        return f"{name} holds {count:,} series (.tsf, Monash), no labelled sequences"
    return (
        f"{name} holds {count:,} sequences (.ts, sktime and aeon), no table of one series: "
        f"{argument('task', 'classify')} reads them"
    )


def refuse_other_formats(sample: bytes, name: str) -> None:
    """Raise DataError for the first bytes of a file that is another format than its name says."""
    kind = next((kind for start, kind in SIGNATURES.items() if sample.startswith(start)), None)
    if sample.isascii() and b"\0" not in sample and not sample.startswith((b"%PDF", b"{")):
        kind = None  # a column may be called PAR1 or CDF
    if kind is None and (found := MARKUP.match(sample)):
        kind = "JSON" if found[1] else "HTML or XML"
    if kind:
        raise DataError(f"{name} is {kind}, no table of text; give it the ending of its format, or write it as .csv")


def label_of(source: str, max_memory: float | None = None) -> str | None:
    """Return the name of the label of the sequences in a .ts or .arff file; None for any other file, also an .arff whose
    last attribute is no class, or whose others are not all numbers."""
    if not os.path.isfile(source) or ending(source) in (".npy", ".npz", ".parquet", ".feather", ".xlsx", ".xlsm"):
        return None
    file, _, _ = open_binary(source, max_memory)
    with file:
        kind = kind_of_archive(file.read(HEAD))
        if kind == "ts":
            return LABEL
        if kind != "arff":
            return None
        file.seek(0)
        *inputs, (name, of) = _head(_lines(file), source)[0]
    return name if inputs and of.startswith("{") and all(NUMERIC.match(kind) for _, kind in inputs) else None


def read_archive(source: str, max_memory: float | None = None) -> Archive | None:
    """Return the sequences of a .ts file, or of an .arff file with a relation in each row; None for any other .arff.

    Raises:
        DataError: for a damaged line, naming it.
    """
    file, _, _ = open_binary(source, max_memory)
    with file:
        lines = _lines(file)
        if kind_of_archive(file.read(HEAD)) == "ts":
            file.seek(0)
            return _of_ts(lines, source)
        file.seek(0)
        attributes, rows = _head(lines, source)
        if not any(of.lower().startswith("relational") for _, of in attributes):
            return None
        arrays, labels = [], []
        for line, cells in rows:
            dimensions = [part for part in cells[0].replace("\\n", "\n").split("\n") if part.strip()]
            arrays.append(_columns([part.split(",") for part in dimensions], source, line))
            labels.append(cells[-1])
    return Archive(arrays, labels, not attributes[-1][1].startswith("{"))


def as_table(file: BinaryIO, name: str) -> BinaryIO:
    """Return the rows of an .arff file as a table of text with commas and a header. Raises DataError for what is none."""
    file.seek(0)
    attributes, rows = _head(_lines(file), name)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([one for one, _ in attributes])
    writer.writerows(cells for _, cells in rows)
    return io.BytesIO(text.getvalue().encode())


def read_tsf(file: BinaryIO, name: str) -> Content:
    """Return the series of a .tsf file as a long table of series_name, ds and y; ds counts from 1 if no start is given.

    Raises:
        DataError: for a frequency that is not known, or a damaged line, naming it.
    """
    file.seek(0)
    names, values, times, lines = list[str](), list[np.ndarray](), list[np.ndarray](), _lines(file)
    head = [(key, value.lower()) for key, value in _said(lines)]
    attributes = ["".join(value.split()[:1]) for key, value in head if key == "attribute"]
    grid = next((_grid_of(value, name) for key, value in head if key == "frequency"), None)
    for line, text in lines:
        *cells, last = text.split(":")
        if len(cells) != len(attributes):
            raise DataError(
                f"{name} line {line} has {len(cells)} attributes before its values; {len(attributes)} expected"
            )
        values.append(_columns([last.split(",")], name, line)[:, 0])
        said = dict(zip(attributes, cells))
        names.append(said.get("series_name", str(len(names) + 1)))
        steps = np.arange(len(values[-1]))
        if grid is not None and "start_timestamp" in said:
            day, _, clock = said["start_timestamp"].strip().partition(" ")
            try:
                start = np.datetime64(f"{day} {clock.replace('-', ':')}".strip(), "s")
            except ValueError:
                raise DataError(
                    f"{name} line {line}: {said['start_timestamp'][:40]!r} is no time such as 1990-01-01 00-00-00"
                ) from None
            times.append(replace(grid, start=start).at(steps).astype("M8[us]"))
        else:
            values[-1] = np.stack([steps + 1.0, values[-1]], axis=1)
    if not names or times and len(times) < len(names):
        raise DataError(f"{name}: {'a series without a start' if names else 'no line after @data'}")
    codes = np.repeat(np.arange(len(names), dtype=np.int32), [len(one) for one in values])
    columns, together = (["y"] if times else ["ds", "y"]), np.concatenate(values).reshape(len(codes), -1)
    when = np.concatenate(times) if times else None
    return Content(
        together, columns, ["series_name", *columns], when, {"series_name": (codes, names)}, time=["ds"] * bool(times)
    )


def _grid_of(frequency: str, name: str) -> Grid:
    """The steps of a frequency such as hourly or 10_minutes."""
    count, _, unit = frequency.rpartition("_")
    count = {"": "1", "half": "0.5"}.get(count, count)
    size = next((size for word, size in FREQUENCIES.items() if unit.startswith(word)), None)
    if size is None or not re.fullmatch(r"\d+|0\.5", count):
        raise DataError(f"{name} has the frequency {frequency!r}; one such as hourly, 10_minutes or monthly expected")
    start = np.datetime64("2000-01-01", "s")
    return Grid(start, months=-size * int(count)) if size < 0 else Grid(start, int(size * float(count)))


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """The lines that are neither blank nor comments, with their numbers."""
    for number, line in enumerate(file, 1):
        text = line.decode("utf-8", "replace").strip().lstrip("\ufeff")
        if text and not text.startswith(("#", "%")):
            yield number, text


def _head(lines: Iterator[tuple[int, str]], name: str) -> tuple[list[tuple[str, str]], Iterator[tuple[int, list[str]]]]:
    """The attributes of an .arff file as (name, type), without those inside a relation, and its rows."""
    attributes, inside = [], False
    for _, text in lines:
        if text.lower().startswith("@end"):
            inside = False
        elif (found := ATTRIBUTE.match(text)) and not inside:
            attributes.append((found[1].strip("'\""), found[2].strip()))
            inside = found[2].lower().startswith("relational")
        elif text.lower().startswith("@data"):
            break
    if not attributes:
        raise DataError(f"{name} has @ lines as an .arff file, but no @attribute")

    def rows() -> Iterator[tuple[int, list[str]]]:
        for line, text in lines:
            if text.startswith("{"):
                raise DataError(f"{name} line {line} is a sparse row of .arff, which is not read: write all its values")
            cells = next(csv.reader([text], quotechar="'", skipinitialspace=True))
            if len(cells) != len(attributes):
                raise DataError(f"{name} line {line} has {len(cells)} values; {len(attributes)} attributes expected")
            yield line, cells

    return attributes, rows()


def _said(lines: Iterator[tuple[int, str]]) -> list[tuple[str, str]]:
    """The key, in small letters, and the value of each line before @data."""
    said = []
    for _, text in lines:
        key, _, value = text.lstrip("@").partition(" ")
        if key.lower() == "data":
            break
        said.append((key.lower(), value.strip()))
    return said


def _of_ts(lines: Iterator[tuple[int, str]], name: str) -> Archive:
    said = dict(_said(lines))
    numbers = said.get("targetlabel", "").lower().startswith("true")
    labelled = numbers or said.get("classlabel", "").lower().startswith("true")
    arrays, labels = [], []
    for line, text in lines:
        *dimensions, last = OUTSIDE.split(text)
        if labelled and not dimensions:
            raise DataError(f"{name} line {line} has no label after a colon, which @classLabel announces")
        dimensions += [] if labelled else [last]
        cells = [
            [value for _, value in STAMPED.findall(one)] if one.lstrip().startswith("(") else one.split(",")
            for one in dimensions
        ]
        arrays.append(_columns(cells, name, line))
        labels.append(last.strip())
        if arrays[-1].shape[1] != arrays[0].shape[1]:
            raise DataError(f"{name} line {line} has {arrays[-1].shape[1]} dimensions; {arrays[0].shape[1]} expected")
    if not arrays:
        raise DataError(f"{name} has no line after @data")
    return Archive(arrays, labels if labelled else None, numbers)


def _columns(dimensions: Iterable[list[str]], name: str, line: int) -> np.ndarray:
    """(T, F) the dimensions side by side."""
    try:
        columns = [[np.nan if one.strip().lower() in MISSING else float(one) for one in cells] for cells in dimensions]
    except ValueError as error:
        raise DataError(f"{name} line {line}: {str(error)[-60:]}; numbers with commas between expected") from None
    if len({len(column) for column in columns}) != 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise DataError(f"{name} line {line} has dimensions of {lengths} steps; one length expected")
    return np.array(columns).T
