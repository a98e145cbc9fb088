"""One line about an exception: its text, and the line of code that raised it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from types import CodeType
from typing import Any

from ...nn import own_parameters
from . import places, tracing


def failure(error: Exception) -> str:
    """Return one line about an exception that backward raised: its text, and the line of code that raised it.

    An exception about the contract of ``cells.py`` is a sentence that says everything else.
    """
    of_contract = _is_of_contract(error)
    frames = _frames(error.__cause__ if of_contract else error)
    text = str(error) if of_contract else f"backward raises {type(error).__name__}"
    if not frames:
        return text if of_contract else f"{text}: {error}"
    code, line = frames[-1]
    if of_contract:
        return f"{text}, {places.line_of(code, line)}"
    names = tracing.stored_on_line(code, line)
    computing = f" when it computes {', '.join(dict.fromkeys(names))}" if names else ""
    return f"{text}{computing}, {places.line_of(code, line)} ({error})"


def raised(error: Exception) -> list[str]:
    """Return a line: the file, the function and the line of npseq that raised an exception, and its text.

    None about the contract of ``cells.py``: its sentence says everything.
    """
    if _is_of_contract(error):
        return []
    frames = _frames(error)
    if not frames:
        return [f"{type(error).__name__}: {error}"]
    code, line = frames[-1]
    text = f"{tracing.source_file(code)}, {code.co_name}: raises {type(error).__name__} ({error})"
    return [f"{text}, {places.line_of(code, line)}"]


def _is_of_contract(error: Exception) -> bool:
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [file for file in files if not tracing.is_package_code(file)][-1:] == [own_parameters.__file__]


def _frames(error: BaseException | None) -> list[tuple[CodeType, int]]:
    """Return the functions that an exception went through, and their lines, without those of packages, of the checker,
    and of the contract."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    frames = traceback.walk_tb(error.__traceback__) if error is not None else ()
    return [
        (frame.f_code, line)
        for frame, line in frames
        if not tracing.is_package_code(frame.f_code.co_filename)
        and not frame.f_code.co_filename.startswith((here, own_parameters.__file__))
    ]


def attempt(find: Callable[[], Any]) -> Any:
    """Return what ``find`` returns; an empty list if the code that is diagnosed fails."""
    try:
        return find()
    except Exception:
        return []
