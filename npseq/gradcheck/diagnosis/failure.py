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
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    of_contract = _frames(error)[-1:] and _frames(error)[-1][0].co_filename == own_parameters.__file__
    cause = error.__cause__ if of_contract else error
    frames = [frame for frame in _frames(cause) if not frame[0].co_filename.startswith(here)]
    frames = [frame for frame in frames if frame[0].co_filename != own_parameters.__file__]
    text = str(error) if of_contract else f"backward raises {type(error).__name__}"
    if cause is None or not frames:
        return text if of_contract else f"{text}: {error}"
    code, line = frames[-1]
    if of_contract:
        return f"{text}, {places.line_of(code, line)}"
    names = tracing.stored_on_line(code, line)
    computing = f" when it computes {', '.join(dict.fromkeys(names))}" if names else ""
    return f"{text}{computing}, {places.line_of(code, line)} ({error})"


def _frames(error: BaseException | None) -> list[tuple[CodeType, int]]:
    """Return the functions that an exception went through, other than those of packages, and their lines."""
    frames = traceback.walk_tb(error.__traceback__) if error is not None else ()
    codes = [(frame.f_code, line) for frame, line in frames]
    return [(code, line) for code, line in codes if not tracing.is_package_code(code.co_filename)]


def raised(error: Exception) -> list[str]:
    """Return a line: the file, the function and the line of npseq that raised an exception, and its text.

    None about the contract of ``cells.py``: its sentence says everything.
    """
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    frames = [frame for frame in _frames(error) if not frame[0].co_filename.startswith(here)]
    if not frames:
        return [f"{type(error).__name__}: {error}"]
    code, line = frames[-1]
    text = f"{tracing.source_file(code)}, {code.co_name}: raises {type(error).__name__} ({error})"
    return [] if code.co_filename == own_parameters.__file__ else [f"{text}, {places.line_of(code, line)}"]


def attempt(find: Callable[[], Any]) -> Any:
    """Return what ``find`` returns; an empty list if the code that is diagnosed fails."""
    try:
        return find()
    except Exception:
        return []
