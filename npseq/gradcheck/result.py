"""What a gradient check found: errors by array and by time step, their table, and what a wrong gradient looks like.

The relative error of an array is max|given − expected| / max|expected|, both over the whole array (also where it is
reported by time step): element by element, right code reaches 2.5e-13 where the true value is tiny. For an array that
must be zero it is max|given|.
"""

import numpy as np


def relative_error(given, expected):
    """max|given − expected| / max|expected| over the whole array; max|given| where expected is zero; inf for NaN."""
    return compare("", given, expected).error


class ArrayError(float):
    """The worst element of one array (or of one time step of it). As a number it is that element's relative error.

    Attributes:
        name: of the array; where: index of the element; given: what the backward pass said there; expected: what the
        complex step (or the central difference) said there; error: the number itself.
    """

    def __new__(cls, name, error, where, given, expected):
        self = super().__new__(cls, error)
        self.name, self.where, self.given, self.expected = name, where, given, expected
        return self

    @property
    def error(self):
        return float(self)

    def __repr__(self):
        return f"{self.error:.1e} in {self.name} at {self.where}: {self.given!r} given, {self.expected!r} expected"


def compare(name, given, expected, scale=None):
    """Two arrays of one shape -> ArrayError.

    ``scale`` stands in for max|expected| when the array is part of a larger one.

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


def largest(array):
    """max|array|, 0.0 for an array of no elements."""
    return float(np.abs(array).max(initial=0.0))


class Result:
    """What a check found.

    Attributes:
        arrays: name -> ArrayError, for every array checked.
        steps: an ArrayError for each time step of x (``x[t]``), empty when there is no time.
        faults: what is wrong beside the numbers, a line each (backward called twice differs, …).
        diagnosis: what the error looks like, a line for each pattern that was recognised.
        threshold, method: the largest error that passes; ``"complex"`` or ``"central"``.
    """

    def __init__(self, arrays, threshold, method, steps=(), faults=(), diagnosis=()):
        self.arrays, self.steps = dict(arrays), list(steps)
        self.threshold, self.method = threshold, method
        self.faults, self.diagnosis = list(faults), list(diagnosis)

    @property
    def worst(self):
        """The ArrayError with the largest error."""
        return max(self.arrays.values(), key=lambda found: found.error)

    @property
    def ok(self):
        return not self.faults and self.worst.error <= self.threshold

    def assert_ok(self):
        """Raise AssertionError with the whole table unless every array passed."""
        if not self.ok:
            raise AssertionError(f"a gradient is wrong\n{self}")

    def __str__(self):
        rows = [("array", "error", "where", "given", f"expected ({self.method})", "")]
        for found in [*self.arrays.values(), *self.steps]:
            rows.append(
                (
                    found.name,
                    f"{found.error:.1e}",
                    ",".join(map(str, found.where)),
                    f"{found.given:.9g}",
                    f"{found.expected:.9g}",
                    "" if found.error <= self.threshold else "WRONG",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        lines += [f"fault: {fault}" for fault in self.faults] + [f"looks like: {line}" for line in self.diagnosis]
        lines.append(
            f"{'ok' if self.ok else 'WRONG'}: worst {self.worst.error:.1e} in {self.worst.name}, "
            f"{self.threshold:.0e} allowed"
        )
        return "\n".join(lines)
