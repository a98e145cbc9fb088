"""The equations of docs/derivation.md."""

import re
from functools import cache
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


@cache
def _found():
    """(LaTeX, file or None) of every displayed equation."""
    text = (DOCS / "derivation.md").read_text(encoding="utf-8")
    return re.findall(r"```math\n(.*?)```\n(?:\*Code: `([\w/]+\.py)`\*)?", text, re.DOTALL)


def _number(maths):
    numbers = re.findall(r"\\tag\{(\d+)\}", maths)
    assert len(numbers) == 1, f"one number a block: {maths}"
    return int(numbers[0])


def equations():
    """number -> the file that the derivation says the equation is code in, or None."""
    return {_number(maths): file or None for maths, file in _found()}


def blocks():
    """number -> the LaTeX of the equation."""
    return {_number(maths): maths for maths, _ in _found()}
