"""What a wrong gradient looks like."""

import numpy as np

from . import planted_bugs
from .result import largest, relative_error

ALIKE = 1e-9  # a wrong gradient is called "equal to" a pattern when it is nearer to it than this


def describe(name, given, expected, gates=""):
    """What a wrong gradient looks like -> lines, empty when nothing is recognised.

    ``gates`` are the letters of the gate blocks that the rows of the array fall into, if they do.
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


def describe_steps(name, given, expected, padding=None):
    """The same for an array whose first axis is time; ``padding`` (T, B) is True where no step of a sequence is."""
    lines = []
    if largest(expected[0]) and not largest(given[0]) and largest(given):
        lines.append(f"all of t = 0 is missing: {name}[0] is zero")
    if len(given) > 1 and relative_error(given[::-1], expected) < ALIKE:
        lines.append(f"{name} is turned round in time: the reverse direction was not turned back")
    if padding is not None and largest(given[padding]):
        lines.append(f"padding contributes: {name} is not zero past the end of a sequence")
    return lines


def _pattern(given, expected):
    """Zero, the wrong sign, or a constant factor."""
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


def patterns(result, given, expected, gates, steps_of=None, padding=None):
    lines = []
    for name, found in result.arrays.items():
        if not found.error <= result.threshold:
            if name == steps_of:
                lines += describe_steps(name, given[name], expected[name], padding)
            lines += describe(name, given[name], expected[name], gates.get(name, ""))
    return lines


def known_bugs(case, given, expected, gradients):
    """Does npseq's own layer, with one of the planted bugs, give the very same wrong gradient?"""
    reference = planted_bugs.plain(case.layer)
    if reference is None:
        return []
    lines = []
    for name, bug in planted_bugs.BUGS.items():
        if bug.acts(case._replace(layer=reference)):
            wrong = gradients(planted_bugs.plant(name, reference))
            if any(relative_error(wrong[array], expected[array]) > ALIKE for array in expected) and all(
                relative_error(given[array], wrong[array]) < ALIKE for array in expected
            ):
                lines.append(f"equal to the gradient when {bug.what} ({name})")
    return lines
