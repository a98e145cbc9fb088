"""Where an element of an array is, in the code's words: gate letter, unit, step and sequence instead of indices.

Units, steps, sequences and columns are counted from 0, as everywhere in the code.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Mapping, Sequence
from types import CodeType
from typing import Any

import numpy as np

from ...bptt import Weights
from ..reference_layer import NAMES
from ..result import ArrayError
from .tracing import code_of, source_file

TENSORS = dict(zip(NAMES, Weights._fields))
_SUFFIX = re.compile(r"_l(\d+)(_reverse)?$")


def _row(index: int, gates: Sequence[str], rows: int) -> str:
    """Return the gate and the unit of one row of (G·H, …)."""
    gate, unit = divmod(index, rows // len(gates))
    return f"gate {gates[gate]}, unit {unit}"


def of_parameter(name: str, where: tuple[Any, ...], shape: tuple[Any, ...], gates: str) -> str:
    """Return the place of an element of a layer's parameter, such as ``"W_h, gate f, unit 2, column 0"``."""
    base = _SUFFIX.sub("", name)
    tensor = TENSORS.get(base, base)
    if base in NAMES[:4]:
        return ", ".join([tensor, _row(where[0], gates, shape[0]), *_words(("column",), where[1:])])
    axes = {1: ("unit",), 2: ("row", "column")}.get(len(where), ())
    return ", ".join([tensor, *_words(axes, where)])


def _words(axes: Sequence[str], where: tuple[Any, ...]) -> list[str]:
    return [f"{axis} {k}" for axis, k in zip(axes, where)]


def of_state(where: tuple[Any, ...], directions: int) -> str:
    """Return the place of an element of a state (L·D, B, H), or of a learned initial state (L·D, H)."""
    layer, reverse = divmod(where[0], directions)
    axes = ("sequence", "unit") if len(where) == 3 else ("unit",)
    return ", ".join([f"layer {layer}{', reverse' if reverse else ''}", *_words(axes, where[1:])])


def of_step(where: tuple[Any, ...]) -> str:
    """Return the place of an element of x or y (T, B, features)."""
    return ", ".join(_words(("step", "sequence", "feature"), where))


def of_column(where: tuple[Any, ...], shape: tuple[Any, ...], gates: str, units: int) -> str:
    """Return the place of an element of an array with one column per sequence: (G·H, B), or (H, B)."""
    if not where:
        return ""
    row = _row(where[0], gates, shape[0]) if shape[0] == len(gates) * units and len(gates) > 1 else f"unit {where[0]}"
    return row + (f", sequence {where[1]}" if len(where) > 1 else "")


def of_own(where: tuple[Any, ...], shape: tuple[Any, ...]) -> list[str]:
    """Return the place of an element of a cell's own parameter: a number, a column (H, 1) or a matrix."""
    return _words(("unit",) if len(where) == 2 and shape[1] == 1 else ("row", "column"), where)


def name_places(found: dict[str, ArrayError], layer: Any, prefix: str = "") -> None:
    """Set ``place`` of the errors of a layer's parameters (whose names have a prefix in a model), x, y and states."""
    cell = layer.cell
    states = {f"{before}{letter}" for letter in cell.state for before in ("", "final ", "d ")}
    for name, error in found.items():
        base = name.removeprefix(prefix)
        if not error.where:
            continue
        if base in states or base in [letter + "_0" for letter in cell.state]:
            error.place = of_state(error.where, layer.num_directions)
        elif base in ("x", "dx", "y", "stream"):
            error.place = of_step(error.where)
        elif name.startswith(prefix) and base in layer.params:
            error.place = of_parameter(base, error.where, layer.params[base].shape, cell.gates)


def set_places(found: Mapping[str, ArrayError], shapes: Mapping[str, tuple[Any, ...]], gates: str, units: int) -> None:
    """Set ``place`` of the errors of arrays with one column per sequence."""
    for name, error in found.items():
        error.place = of_column(error.where, shapes[name], gates, units)


# ---- lines of code ----


def text_of(code: CodeType, line: int) -> str:
    """Return the text of a line of a function's file."""
    return linecache.getline(code.co_filename, line)


def file_of(function: Any) -> str:
    """Return the name of the file of a function, without folders; "" if it is not written in Python."""
    code = code_of(function)
    return source_file(code) if code is not None else ""


def line_of(code: CodeType, line: int) -> str:
    """Return a line's file, number, equation number and text, such as ``cells.py:128, equation (18): df = dc * c'``."""
    text = text_of(code, line).strip()
    number = equation(code, line)
    place = f"{source_file(code)}:{line}" + (f", equation ({number})" if number else "")
    return place + (f": {text.partition('  #')[0].rstrip(',')}" if text else "")


def equation(code: CodeType, line: int) -> int | None:
    """Return the equation number in the comment on a line, in a comment directly above it, or in that of its block."""
    text = text_of(code, line)
    above = text_of(code, line - 1).strip()
    for comment in (text.partition("#")[2], above if above.startswith("#") else "", _block_comment(code, line)):
        found = re.search(r"(?<![\w)])\((\d+)\)", comment)
        if found:
            return int(found[1])
    return None


def _block_comment(code: CodeType, line: int) -> str:
    """Return the comment behind the ``if …:`` or ``for …:`` whose block a line is in."""
    indent = _indent(text_of(code, line))
    for number in range(line - 1, code.co_firstlineno, -1):
        text = text_of(code, number)
        if text.strip() and _indent(text) < indent:
            return text.partition("#")[2]
    return ""


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def lines_with(code: CodeType, text: str) -> list[int]:
    """Return the numbers of the lines of a function that contain ``text``."""
    return [line for line in sorted({line for _, _, line in code.co_lines() if line}) if text in text_of(code, line)]


def line_with(code: CodeType, text: str) -> int | None:
    """Return the number of the first line of a function that contains ``text``."""
    return next(iter(lines_with(code, text)), None)


def worst_element(given: np.ndarray, expected: np.ndarray) -> tuple[tuple[Any, ...], float, float]:
    """Return the index at which two arrays of one shape differ most, and both values there."""
    difference = np.abs(given - expected)
    where = np.unravel_index(np.where(np.isfinite(difference), difference, np.inf).argmax(), difference.shape)
    return tuple(map(int, where)), float(np.real(given[where])), float(np.real(expected[where]))
