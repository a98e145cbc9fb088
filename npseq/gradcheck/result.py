"""The result of a gradient check: errors by array and by time step, the verdict, and the report.

The relative error of an array is max|given − expected| / max|expected|, both over the whole array (also where it is
reported by time step): element by element, correct code reaches 2.5e-13 where the true value is tiny. For an array that
must be zero it is max|given|.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

RIGHT, WRONG, UNCHECKED = "right", "wrong", "unchecked"
_SEVERITY = (RIGHT, UNCHECKED, WRONG)


def relative_error(given: Any, expected: Any) -> float:
    """Return max|given − expected| / max|expected| over the whole array.

    It is max|given| where expected is zero, and inf if there is a NaN.
    """
    return compare("", given, expected).error


def near(given: Any, expected: Any, tolerance: float) -> bool:
    """True for two arrays of one shape whose relative error is at most ``tolerance``."""
    return np.shape(given) == np.shape(expected) and relative_error(given, expected) <= tolerance


class ArrayError(float):
    """The worst element of one array (or of one time step of it). As a number it is that element's relative error.

    Attributes:
        name: of the array.
        where: index of the element.
        given: the value that the backward pass returned there.
        expected: the value that the complex step (or the central difference) gives there.
        place: the element in the code's words, such as ``"gate f, unit 2"``; empty if it has none.
        error: the number itself.
    """

    name: str
    where: tuple[int, ...]
    given: float
    expected: float
    place: str

    def __new__(cls, name: str, error: float, where: tuple[Any, ...], given: float, expected: float) -> ArrayError:
        self = super().__new__(cls, error)
        self.name, self.where, self.given, self.expected, self.place = name, where, given, expected, ""
        return self

    @property
    def error(self) -> float:
        return float(self)

    def __repr__(self) -> str:
        return f"{self.error:.1e} in {self.name} at {self.where}: {self.given!r} given, {self.expected!r} expected"


def compare(name: str, given: Any, expected: Any, scale: float | None = None) -> ArrayError:
    """Return the ArrayError of two arrays of one shape.

    ``scale`` replaces max|expected| when the array is part of a larger one.

    Raises:
        ValueError: if the shapes differ: a gradient has the shape of what it is the gradient of.
    """
    given, expected = np.asarray(given), np.asarray(expected)
    if given.shape != expected.shape:
        raise ValueError(
            f"the gradient of {name or 'the array'} has the shape {given.shape}; {expected.shape} expected"
        )
    if given.size == 0:
        return ArrayError(name, 0.0, (), 0.0, 0.0)
    if scale is None:
        scale = largest(expected)
    with np.errstate(invalid="ignore"):
        difference = np.abs(given - expected) / (scale or 1.0)
    difference = np.where(np.isfinite(difference), difference, np.inf)
    where = np.unravel_index(difference.argmax(), difference.shape)
    return ArrayError(
        name, float(difference[where]), tuple(map(int, where)), given[where].item(), expected[where].item()
    )


def largest(array: Any) -> float:
    """Return max|array|, 0.0 for an array without elements."""
    return float(np.abs(array).max(initial=0.0))


@dataclass(eq=False, repr=False)
class Result:
    """The result of a check.

    Attributes:
        verdict: ``"right"``; ``"wrong"``; or ``"unchecked"``, when the complex step cannot tell, because forward is not
            analytic (``reasons`` names where).
        arrays: name -> ArrayError, for every array checked.
        steps: an ArrayError for each time step of x (``x[t]``), empty if there is no time.
        faults: other faults, one line each (backward called twice differs, …).
        notes: what is unusual but not wrong, one line each (a gate that forward does not read, …).
        not_analytic: name -> what the complex step and central differences give for an array in which they disagree.
        reasons: what makes forward not analytic, one line for each place found.
        central: the Result by central differences, if the complex step cannot tell; else None.
        central_values: name -> gradient by central differences where it was computed, NaN elsewhere.
        diagnosis: what the error is or looks like, one line for each finding, the most specific first.
        rounded: name -> a line, for an array whose error is its rounding, so that it is right.
        unchecked: name -> a line, for an array that could not be checked to the threshold.
        error: the exception that backward raised, or None.
        differentiated: the complex step of the loss, if it cannot tell; else None.
        calls: the gradients that backward returned, called once or twice; empty if it raised an exception.
        expected: name -> the numerical gradient.
        threshold, method: the largest error that passes; ``"complex"`` or ``"central"``.
    """

    arrays: dict[str, ArrayError]
    threshold: float
    method: str
    steps: list[ArrayError] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    diagnosis: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_analytic: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    central: Result | None = None
    central_values: dict[str, np.ndarray] = field(default_factory=dict)
    rounded: dict[str, str] = field(default_factory=dict)
    unchecked: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    differentiated: Any = None
    calls: Sequence[Mapping[str, np.ndarray]] = ()
    expected: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def wrong(self) -> list[ArrayError]:
        """The arrays whose gradient is wrong, the largest error first, without those that could not be checked."""
        return [found for found in _largest_first(self.arrays.values()) if self._mark(found) == "WRONG"]

    @property
    def verdict(self) -> str:
        if self.faults or self.error is not None or self.wrong:
            return WRONG
        return UNCHECKED if self.not_analytic or self.unchecked else RIGHT

    @property
    def worst(self) -> ArrayError:
        """The ArrayError with the largest error; if the verdict is wrong, of the arrays that could be checked."""
        return (self.wrong or _largest_first(self.arrays.values()))[0]

    @property
    def right(self) -> bool:
        """True if the verdict is right."""
        return self.verdict == RIGHT

    @property
    def ok(self) -> bool:
        """True if the verdict is right. Where it is not, ``assert result.ok`` prints the report."""
        return cast(bool, True if self.right else _NotOk(self))

    def assert_ok(self) -> None:
        """Raise AssertionError with the whole report unless the verdict is right."""
        if not self.right:
            what = "a gradient is wrong" if self.verdict == WRONG else "a gradient could not be checked"
            raise AssertionError(f"{what}\n{self}")

    def merge(self, other: Result) -> None:
        """Add the arrays, the steps and every finding of another result."""
        self.steps += other.steps
        for name in ("arrays", "not_analytic", "central_values", "rounded", "unchecked"):
            getattr(self, name).update(getattr(other, name))
        for name in ("faults", "notes", "reasons", "diagnosis"):
            mine = getattr(self, name)
            said = {_without_values(line) for line in mine}
            mine += [line for line in getattr(other, name) if _without_values(line) not in said]
        if self.central is None:
            self.central = other.central
        elif other.central is not None:
            self.central.merge(other.central)

    def findings(self) -> list[str]:
        """Return the lines that say what is wrong, unusual, or could not be checked."""
        lines = [f"fault: {fault}" for fault in self.faults]
        if self.not_analytic:
            places = ", ".join(f"{name} ({text})" for name, text in self.not_analytic.items())
            text = "unchecked: forward is not analytic; complex step and central differences disagree in"
            lines += [f"{text} {places}", *(f"  {reason}" for reason in self.reasons)]
        if self.central is not None:
            lines.append(f"method='central' finds the gradient {self.central.verdict}: {self.central._worst_line()}")
        lines += [f"unchecked: {line}" for line in self.unchecked.values()]
        lines += [f"note: {line}" for line in [*self.rounded.values(), *self.notes]]
        return lines + [f"looks like: {line}" for line in self.diagnosis]

    def _worst_line(self) -> str:
        return f"worst {self.worst.error:.1e} in {self.worst.name}, {self.threshold:.0e} allowed"

    def wrong_arrays(self) -> str:
        """Return one line: the worst element and both its values, and the names of the other wrong arrays."""
        return described(self.wrong or [self.worst])

    def side_by_side(self) -> list[str]:
        """Return the gradient and its numerical values at the worst element, one line each.

        If the complex step cannot tell, that is the element that is worst by central differences.
        """
        found = self.worst
        if self.verdict == UNCHECKED and self.central is not None:
            found = self.central.worst
        rows = [("backward", found.given)]
        here = self.arrays[found.name]
        if here.where == found.where and np.isfinite(here.expected):
            rows.append((self.method, here.expected))
        central = self.central_values.get(found.name)
        if central is not None and np.isfinite(central[found.where]):
            rows.append(("central", float(central[found.where])))
        place = (found.place or here.place) if here.where == found.where else ""
        lines = [f"{name:10}{value: .17g}  difference {found.given - value: .3g}" for name, value in rows]
        return [f"{found.name}{list(found.where)}{f' ({place})' if place else ''}", *lines]

    def _mark(self, found: ArrayError) -> str:
        name = found.name.partition("[")[0]
        if name in self.unchecked:
            return "unchecked"
        if found.error <= self.threshold or name in self.rounded:
            return ""
        return "unchecked" if name in self.not_analytic else "WRONG"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def __str__(self) -> str:
        rows = [("array", "error", "where", "given", f"expected ({self.method})", "", "")]
        for found in [*self.arrays.values(), *self.steps]:
            mark, where = self._mark(found), ",".join(map(str, found.where))
            values = f"{found.given:.9g}", f"{found.expected:.9g}"
            rows.append((found.name, f"{found.error:.1e}", where, *values, found.place if mark else "", mark))
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        last = f"{'ok' if self.right else 'WRONG'}: {self._worst_line()}"
        if self.verdict == UNCHECKED:
            last = f"unchecked to {self.threshold:.0e}, see above"
            if self.not_analytic:
                last = "unchecked: the complex step cannot check this function; method='central' can"
        return "\n".join([*lines, *self.findings(), last])


class _NotOk(int):
    """False, which prints a report when it is asked: all that a test needs is ``assert check(layer).ok``."""

    def __new__(cls, result: Result) -> _NotOk:
        self = super().__new__(cls, 0)
        self.result = result  # type: ignore[attr-defined]
        return self

    def __bool__(self) -> bool:
        print(self.result)  # type: ignore[attr-defined]
        return False

    def __repr__(self) -> str:
        return "False"


def _without_values(line: str) -> str:
    """Return a line without the place and the values of an element, which differ from one input to another."""
    return re.sub(r"((gate|unit|row) [^;]*)?\S+ given, \S+ expected", "", line)


def described(wrong: list[ArrayError]) -> str:
    """Return one line about the first of several ArrayErrors (array, place, both values), and the others' names."""
    found, *others = wrong
    place = found.place or f"at {','.join(map(str, found.where))}"
    also = f"; also wrong: {', '.join(other.name for other in others)}" if others else ""
    return f"{found.name} ({place}): {found.given:.9g} given, {found.expected:.9g} expected{also}"


def _largest_first(found: Iterable[ArrayError]) -> list[ArrayError]:
    return sorted(found, key=lambda each: -each.error)


def worst_verdict(results: Iterable[Result]) -> str:
    """Return the most severe verdict of several results; ``"right"`` if there are none."""
    return max((result.verdict for result in results), key=_SEVERITY.index, default=RIGHT)
