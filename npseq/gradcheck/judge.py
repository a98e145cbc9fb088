"""From gradients and a loss to a verdict: what the complex step says, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .analytic import Differentiated, Make, check_method
from .numerical import dtype_of, numerical_gradient
from .result import Result, compare, largest

THRESHOLD = {"complex": 1e-13, "central": 1e-6}

Arrays = Mapping[str, np.ndarray]


def threshold_of(method: str, threshold: float | None) -> float:
    """Return the threshold of a method unless one is given.

    Raises:
        ValueError: if there is no such method.
    """
    dtype_of(method)
    return THRESHOLD[method] if threshold is None else threshold


def judge(
    make: Make,
    calls: Sequence[Arrays],
    method: str,
    threshold: float,
    steps_of: str | None = None,
    error: Exception | None = None,
) -> tuple[Result, dict[str, np.ndarray]]:
    """Compare gradients with the numerical gradient of a loss.

    Args:
        make: ``make(dtype) -> f, arrays``: a loss, and the arrays of that dtype that it reads.
        calls: the gradients that backward returned, called once or twice; empty if it raised an exception.
        method, threshold, steps_of: as for ``check``.
        error: the exception.

    Returns:
        The result, without a diagnosis, and the numerical gradient.
    """
    not_analytic: dict[str, str] = {}
    central: dict[str, np.ndarray] = {}
    differentiated = None
    if method == "complex":
        differentiated = Differentiated(make)
        expected = differentiated.expected
    else:
        expected = numerical_gradient(*make(np.float64), "central")
    calls = calls or [{name: np.full(array.shape, np.nan) for name, array in expected.items()}]
    result = _result(calls, expected, threshold, method, steps_of)
    result.error = error
    if differentiated is not None:
        errors = {name: found.error for name, found in result.arrays.items()}
        not_analytic, central = check_method(calls, errors, threshold, differentiated)
    result.central_values = central
    if not_analytic and differentiated is not None:
        result.not_analytic, result.differentiated = not_analytic, differentiated
        result.central = _result(calls, central, THRESHOLD["central"], "central", steps_of)
        result.central.faults = list(result.faults)
        result.central.error = error
    return result, expected


def _result(
    calls: Sequence[Arrays], expected: Arrays, threshold: float, method: str, steps_of: str | None = None
) -> Result:
    """Return the worst errors of the gradients that backward returned, called once or twice."""
    arrays = {
        name: max((compare(name, given[name], expected[name]) for given in calls), key=lambda found: found.error)
        for name in expected
    }
    result = Result(arrays, threshold, method)
    if steps_of is not None:
        given, true = calls[0][steps_of], expected[steps_of]
        result.steps = [compare(f"{steps_of}[{t}]", given[t], true[t], largest(true)) for t in range(len(true))]
    differ = [name for name in expected if not np.array_equal(calls[0][name], calls[-1][name], equal_nan=True)]
    if differ:
        result.faults.append(f"backward called twice gives two different gradients of {', '.join(differ)}")
    return result


# ---- what the loss does not depend on ----


def unused_arrays(make: Make, result: Result, expected: Arrays, rng: np.random.Generator) -> list[str]:
    """Return a fault for each array whose gradient is zero everywhere because the loss does not depend on it.

    The array is changed by numbers of the order of 1: at a stationary point the gradient is zero but the loss moves.
    """
    f, arrays = make(np.float64)
    lines = []
    for name, array in arrays.items():
        if array.size == 0 or result.arrays[name].error or largest(expected[name]):
            continue
        before, value = array.copy(), f()
        array[...] = before + rng.standard_normal(array.shape)
        moved = f()
        array[...] = before
        if moved == value:
            lines.append(f"the loss does not depend on {name}: its gradient is zero everywhere")
    return lines


def unread_by_forward(
    cell: Any, forward: Callable[..., Any], arrays: Mapping[str, np.ndarray], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Find what a cell's forward does not read, by changing it at random points.

    Args:
        cell: a class with the contract of ``cells.py``.
        forward: ``forward(arrays) -> new state``.
        arrays: ``a_x``, ``a_h``, the arrays of the state and the cell's own parameters.

    Returns:
        Faults (nothing of a_x or a_h, an array of the state, or a parameter is read) and notes (a gate block of a_x or
        a_h is not read).
    """
    G = len(cell.gates)
    blocks = {name: np.split(np.arange(len(arrays[name])), G) for name in ("a_x", "a_h")}
    read: set[tuple[str, int]] = set()
    for _ in range(20):  # a rectifier may be shut, and stay shut, at some of them
        if len(read) == sum(len(blocks.get(name, [0])) for name in arrays):
            break
        point = {name: np.array(array + rng.standard_normal(array.shape)) for name, array in arrays.items()}
        value = forward(point)
        for name, array in point.items():
            parts: list[Any] = blocks.get(name, [...])
            for k, rows in enumerate(parts):
                changed = array.copy()
                changed[rows] += 2 * rng.standard_normal(changed[rows].shape)
                moved = forward({**point, name: changed})
                if any(not np.array_equal(a, b) for a, b in zip(value, moved)):
                    read.add((name, k))
    faults, notes = [], []
    for name in arrays:
        unread = [k for k in range(len(blocks.get(name, [0]))) if (name, k) not in read]
        if name == f"{cell.state[0]}_prev" and any(name == "a_h" for name, _ in read):
            continue  # h is read through W_h
        if len(unread) == len(blocks.get(name, [0])):
            faults.append(f"forward does not read {name}, so every gradient that goes through it is zero")
        elif unread:
            gates = ", ".join(cell.gates[k] for k in unread)
            notes.append(f"forward does not read gate {gates} of {name}: those rows have no effect")
    return faults, notes
