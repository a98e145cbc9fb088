"""Cells as numbers: the marks of missing values, the signs in numbers, and negative numbers as accounts write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

MISSING = frozenset("na n/a nan -nan null none <na> #na #n/a #div/0! 1.#ind -1.#ind 1.#qnan -1.#qnan . .. ... - -- --- ? n/e"
                    .split()) | {"", "#n/a n/a"}  # fmt: skip
MARKS = sorted({one for mark in (*MISSING, "NaN", "-NaN") for one in (mark, mark.upper(), mark.capitalize())})
TRUTH = {"true": "1", "false": "0"}
THOUSANDS = {" ": " \u00a0\u202f\u2009", "'": "'’"}  # a sign between thousands, and all that are taken for it
CONVENTIONS = ((".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
AFTER = re.compile(r".*\d[.,]?\s?[-−]")
FEW, ENOUGH = 3, 30  # different last digits of so many cells are codes: every tenth number has another one
CODED = re.compile(r"[-+−]?\d+,\d")
NAMED = re.compile(r"(?![A-Z]{3} )[^\W\d]+[-_ ]?\d+")  # p7 and shop 3 are names with a number; EUR 5 is an amount
PADDED = re.compile(r"[-+−]0\d+,\d+")


class Late:
    """A regular expression, without case, that is compiled where it is first used: those of all times and numbers take
    30 ms."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    @cached_property
    def fullmatch(self) -> Callable[[str], re.Match[str] | None]:
        """As of a compiled one."""
        return re.compile(self.pattern, re.I).fullmatch


@cache
def number_form(decimal: str, thousands: str | None) -> re.Pattern[str]:
    """Return the regular expression of a number, compiled."""
    return re.compile(_form(decimal, thousands), re.I)


def _form(decimal: str, thousands: str | None) -> str:
    """The regular expression of a number.

    Digits are grouped by threes where ``thousands`` is given; with commas also as in 5,24,462. A negative number has a
    minus before or after it, or is in brackets. After a sign and a zero, a decimal comma is none: +0123,1 is two values.
    """
    marks, point = re.escape(THOUSANDS.get(thousands or "", thousands or "")), re.escape(decimal)
    blank = f"[{THOUSANDS[' ']}]?"
    groups = rf"[1-9]\d{{0,2}}(?:[{marks}]\d{{3}})+" + r"|[1-9]\d?(?:,\d\d)+,\d{3}" * (thousands == ",")
    whole = rf"(?:{groups}|\d+)" if thousands else r"\d+"
    size = rf"(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][-+]?\d+)?"
    sign = f"(?:[-+−]{blank}" + (r"(?!0\d+,)" if decimal == "," else "") + ")?"
    return rf"{sign}{size}|\({size}\)|{size}{blank}[-−]|[-+]?inf(?:inity)?"


NUMBER = Late("|".join(_form(*one) for one in CONVENTIONS))
AMOUNT = Late(rf"[%€$£¥]?\s?(?:{NUMBER.pattern})\s?[%€$£¥]?")


@cache
def plain_signs(decimal: str, thousands: str | None) -> dict[int, Any]:
    """Return the table for ``str.translate`` after which ``float`` reads a number of this form, but for a minus after it."""
    marks = THOUSANDS[" "] + THOUSANDS.get(thousands or "", thousands or "")
    return str.maketrans({sign: "" for sign in marks} | {decimal: ".", "−": "-", "(": "-", ")": ""})


def value_of(cell: str, decimal: str = ".", thousands: str | None = None) -> float:
    """Return the number in a cell. Raises ValueError if it is none of this form."""
    if not number_form(decimal, thousands).fullmatch(cell):
        raise ValueError(f"{cell[:40]!r} is no number")
    plain = cell.translate(plain_signs(decimal, thousands))
    return -float(plain[:-1]) if plain.endswith("-") else float(plain)


def values_of(cells: Any, decimal: str, thousands: str | None) -> tuple[np.ndarray, list[str]]:
    """Return the numbers in a pandas Series of cells of this form, and what is told about their signs."""
    plain = cells.str.translate(plain_signs(decimal, thousands))
    words = ["negative numbers in brackets"] if cells.str.startswith("(").any() else []
    if (late := plain.str.endswith("-").astype(bool)).any():
        plain = plain.mask(late, "-" + plain.str.rstrip("-"))
        words.append("a minus after negative numbers")
    return plain.astype(float).to_numpy(), words


def hold_two_values(cells: Sequence[str]) -> bool:
    """True if these cells hold a number and a code after a comma, such as +0123,1, which would pass for decimals.

    They do if one has a sign and leading zeros, or if all end in one of two or three digits, of which none is 0.
    """
    if any(map(PADDED.fullmatch, cells)):
        return True
    ends = {cell[-1:] for cell in cells}
    return len(cells) >= ENOUGH and "0" not in ends and 2 <= len(ends) <= FEW and all(map(CODED.fullmatch, cells))


def unit_of(cells: Sequence[str]) -> str | None:
    """Return the unit, or the sign of a currency, that every one of these cells has once beside its number; None if there
    is none, or if the cells are names."""
    found = re.search(r"[^\d\s.,'’()+−-]{1,5}", cells[0])
    if found is None or NAMED.fullmatch(cells[0]):
        return None
    unit = found[0]
    fits = all(cell.count(unit) == 1 and NUMBER.fullmatch(cell.replace(unit, "").strip()) for cell in cells)
    return unit if fits else None
