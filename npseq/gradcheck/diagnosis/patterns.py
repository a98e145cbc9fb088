"""What a wrong gradient looks like: patterns in its numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..result import Result, largest, relative_error

ALIKE = 1e-9  # a wrong gradient is called "equal to" a pattern when it is nearer to it than this


def describe(name: str, given: np.ndarray, expected: np.ndarray, gates: str = "") -> list[str]:
    """Return what a wrong gradient looks like, one line for each pattern; empty if none is recognised.

    ``gates`` are the letters of the gate blocks of the array's rows, if it has gate blocks.
    """
    whole = _pattern(given, expected)
    if whole:
        return [f"{name} {whole}"]
    if len(gates) < 2:
        return []
    given_blocks, expected_blocks = np.split(given, len(gates)), np.split(expected, len(gates))
    lines = []
    for gate, block, true in zip(gates, given_blocks, expected_blocks):
        if relative_error(block, true) < ALIKE:
            continue
        pattern = _pattern(block, true)
        if pattern:
            lines.append(f"{name}: the {gate} block {pattern}")
        for other, other_true in zip(gates, expected_blocks):
            if other != gate and largest(other_true) and relative_error(block, other_true) < ALIKE:
                lines.append(f"{name}: the {gate} block is the gradient of the {other} block")
    return lines


def describe_steps(name: str, given: np.ndarray, expected: np.ndarray, padding: np.ndarray | None = None) -> list[str]:
    """Return what a wrong gradient looks like over time, its first axis; ``padding`` (T, B) is True at padded steps."""
    lines = []
    if largest(expected[0]) and not largest(given[0]) and largest(given):
        lines.append(f"all of t = 0 is missing: {name}[0] is zero")
    if len(given) > 1 and relative_error(given[::-1], expected) < ALIKE:
        lines.append(f"{name} is reversed in time: the reverse direction was not restored to forward order")
    if padding is not None and largest(given[padding]):
        lines.append(f"padding contributes: {name} is not zero past the end of a sequence")
    return lines


def _pattern(given: np.ndarray, expected: np.ndarray) -> str | None:
    """Return that an array is zero, has the wrong sign, or a constant factor; None if it is right or none of these."""
    if not np.all(np.isfinite(given)):
        return "has NaN or infinity in it"
    if relative_error(given, expected) < ALIKE or not largest(expected):
        return None
    if not largest(given):
        return "is zero everywhere"
    factor = float((given * expected).sum() / (expected * expected).sum())
    if given.size < 2 or relative_error(given, factor * expected) > ALIKE:
        return None
    return "has its sign flipped" if abs(factor + 1) < ALIKE else f"is {factor:.6g} times what it should be"


def patterns(
    result: Result, gates: Mapping[str, str], steps_of: str | None = None, padding: np.ndarray | None = None
) -> list[str]:
    """Return the patterns of every wrong array of a result."""
    lines = []
    for name, found in result.arrays.items() if result.calls else ():
        if not found.error <= result.threshold:
            given, expected = result.calls[0][name], result.expected[name]
            lines += describe_steps(name, given, expected, padding) if name == steps_of else []
            lines += describe(name, given, expected, gates.get(name, ""))
    return lines
