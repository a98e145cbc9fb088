"""Paths where the locale is not UTF-8: there Python writes the bytes that it cannot decode as surrogates.

A file keeps names as text, and so does what is shown or drawn. The system needs the bytes.
"""

from __future__ import annotations

import os


def text_of(path: str) -> str:
    """Return a path as the text that was typed in UTF-8; unchanged if its bytes are no UTF-8."""
    try:
        return path.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return path


def path_of(text: str) -> str:
    """Return the path that ``text_of`` gives as ``text``, as this system has it."""
    try:
        os.fsencode(text)
        return text
    except UnicodeError:
        return os.fsdecode(text.encode("utf-8", "surrogatepass"))


def name_of(path: str) -> str:
    """Return the last part of a path as text."""
    return text_of(os.path.basename(path))
