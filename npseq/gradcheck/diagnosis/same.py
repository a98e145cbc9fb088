"""What the diagnosis of ``fused/`` and of layers shares: comparing arrays, and naming lines."""

from __future__ import annotations

import linecache
from typing import Any

import numpy as np

from ...fused.kernels import KERNELS
from ..result import relative_error
from . import places, tracing

NEAR, NEAR_FLOAT32 = 1e-9, 1e-4


def same(a: Any, b: Any) -> bool:
    """True if two arrays have one shape and nearly the same values."""
    near = NEAR_FLOAT32 if getattr(a, "dtype", None) == np.float32 else NEAR
    return np.shape(a) == np.shape(b) and bool(relative_error(a, b) <= near)


def work(call: Any) -> int:
    """Return the multiplications per sequence and step of a call, by which sequences are packed."""
    return int(KERNELS[call.problem.cell].stack(call.problem.weights).size)


def at(function: Any, message: str, text: str = "", last: bool = False) -> str:
    """Return "FILE, FUNCTION: message", and of the function the first line (or the last one) that has a text."""
    function = getattr(function, "__func__", function)
    code = function.__code__
    numbers = [number for number in sorted({number for _, _, number in code.co_lines() if number})]
    found = [number for number in numbers if text and text in linecache.getline(code.co_filename, number)]
    line = f"; {places.line_of(code, found[-1 if last else 0])}" if found else ""
    return f"{tracing.source_file(code)}, {function.__qualname__}: {message}{line}"
