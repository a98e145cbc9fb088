"""What the diagnosis of ``fused/`` and of layers shares: comparing arrays, and naming lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..result import near
from . import places, tracing

NEAR, NEAR_FLOAT32 = 1e-9, 1e-4


def same(a: Any, b: Any, allowed: float = NEAR) -> bool:
    """True if two arrays have one shape and nearly the same values; NaN and infinity are no reason to differ."""
    allowed = NEAR_FLOAT32 if getattr(a, "dtype", None) == np.float32 else allowed
    return near(a, b, allowed) or not np.isfinite(b).all() and np.array_equal(a, b, equal_nan=True)


def at(function: Any, message: str, text: str | tuple[str, ...] = "", last: bool = False) -> str:
    """Return "FILE, FUNCTION: message", and of the function the first line (or the last one) that has a text."""
    code, texts = tracing.code_of(function), (text,) if isinstance(text, str) else text
    assert code is not None
    found = next((lines for t in texts if t and (lines := places.lines_with(code, t))), [])
    line = f"; {places.line_of(code, found[-1 if last else 0])}" if found else ""
    return f"{tracing.source_file(code)}, {function.__qualname__}: {message}{line}"
