"""Why a forward pass is not analytic: the lines of code that drop or change the imaginary part."""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

from ... import bptt
from ..analytic import ComplexWarning, Differentiated
from .tracing import is_package_code

ANY = "abs, max, conj, var, the real part or an array of a real dtype changes or drops the imaginary part"
_SUSPECT = re.compile(
    r"\b(abs|absolute|fabs|hypot|norm|conj|conjugate|max|min|amax|amin|maximum|minimum|var|std|sign|clip|float|real"
    r"|vdot|vecdot|round)\s*\("
    r"|\.(real)\b(?!\s*(?:[<>=!]|\.dtype))"
)


def reasons(of: Differentiated) -> list[str]:
    """Return what makes f not analytic, one line for each place found in the code that it runs."""
    lines = []
    if of.error is not None:
        lines.append(f"in complex numbers forward raises {type(of.error).__name__}: {of.error}")
    if of.f() != of.f():
        lines.append("forward returns another value when it is called again")
    for caught in of.caught:
        if issubclass(caught.category, ComplexWarning):
            lines.append(
                f"{_place(caught.filename, caught.lineno)} drops the imaginary part: the array that it writes to "
                "is real"
            )
    found = _suspects(of.f)
    if any(file != bptt.__file__ for file, _, _ in found) or len(lines) > (of.error is not None):
        found = [suspect for suspect in found if suspect[0] != bptt.__file__]  # its max and min are of integers
    lines += [f"{_place(file, line)} uses {name}" for file, line, name in found]
    return list(dict.fromkeys(lines)) or [ANY]


def _place(file: str, line: int) -> str:
    text = linecache.getline(file, line).strip()
    return f"{os.path.basename(file)}:{line}" + (f" ({text})" if text else "")


def _suspects(f: Callable[[], Any]) -> list[tuple[str, int, str]]:
    """Return (file, line, name) for every call in the code that f runs that may not be analytic."""
    found = []
    for code in _codes_run_by(f):
        for line in sorted({line for _, _, line in code.co_lines() if line}):
            text = linecache.getline(code.co_filename, line).partition("#")[0]
            for match in _SUSPECT.finditer(text):
                found.append((code.co_filename, line, match[1] or "the real part"))
    return found


def _codes_run_by(f: Callable[[], Any]) -> list[CodeType]:
    """Return the functions that f runs, other than those of Python, of packages, and of npseq above its cells."""
    codes: dict[CodeType, None] = {}
    root = os.path.dirname(bptt.__file__)
    own = tuple(os.path.join(root, room) + os.sep for room in ("nn", "fused", "gradcheck"))

    def watch(frame: Any, event: str, argument: Any) -> None:
        codes[frame.f_code] = None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        f()
    finally:
        sys.settrace(before)
    files = {code: code.co_filename for code in codes}
    return [code for code, file in files.items() if not is_package_code(file) and not file.startswith(own)]
