"""From gradients and a loss to a verdict: what the complex step says, and whether it can be trusted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .analytic import Differentiated, Make, check_method
from .numerical import dtype_of, numerical_gradient
from .result import ArrayError, Result, compare, largest

THRESHOLD = {"complex": 1e-13, "central": 1e-6}
NARROW = {"float32": 1e-5, "float16": 1e-2}  # rounding of gradients of these dtypes, relative to their largest element
SMALL_ALLOWED = 1e-6  # of elements below the threshold, relative to each element
TINY = 1e-250  # the complex step of smaller numbers is none

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
    rounding_of: Callable[[], Arrays] | None = None,
) -> Result:
    """Compare gradients with the numerical gradient of a loss.

    Args:
        make: ``make(dtype) -> f, arrays``: a loss, and the arrays of that dtype that it reads.
        calls: the gradients that backward returned, called once or twice; empty if it raised an exception.
        method, threshold, steps_of: as for ``check``.
        error: the exception.
        rounding_of: returns how far rounding may have moved each element of the gradients.

    Returns:
        The result, without a diagnosis.
    """
    differentiated = Differentiated(make) if method == "complex" else None
    expected = differentiated.expected if differentiated else numerical_gradient(*make(np.float64), "central")
    given, calls = calls, calls or [{name: np.full(array.shape, np.nan) for name, array in expected.items()}]
    result = _result(calls, expected, threshold, method, error, steps_of)
    result.calls, result.expected = given, expected
    if differentiated is not None:
        errors = {name: found.error for name, found in result.arrays.items()}
        result.not_analytic, result.central_values = check_method(calls, errors, threshold, differentiated)
        if result.not_analytic:
            result.differentiated, central = differentiated, result.central_values
            result.central = _result(calls, central, THRESHOLD["central"], "central", error, steps_of)
    if error is None:
        _each_by_its_own_size(result, rounding_of)
    return result


def _each_by_its_own_size(result: Result, rounding_of: Callable[[], Arrays] | None) -> None:
    """Excuse errors that are the rounding of each element, and find those of elements that are small in their array.

    A gradient in float32 or float16 is at most unchecked. Elements below ``threshold`` times the largest of their array
    are compared by their own size; where their rounding is not known they are unchecked.
    """
    threshold, bounds = result.threshold, functools.cache(rounding_of or dict)  # measured where it is needed
    for name, true in result.expected.items():
        given = np.asarray(result.calls[0][name])
        if given.shape != true.shape or not given.size or name in result.not_analytic or not np.isfinite(true).all():
            continue
        difference = np.max([np.abs(np.asarray(call[name]) - true) for call in result.calls], axis=0)
        found = result.arrays[name]
        if not found.error <= threshold:
            precision = NARROW.get(given.dtype.name, 0)
            if found.error <= precision:
                result.unchecked[name] = (
                    f"the gradient of {name} is {given.dtype}, and an error of {found.error:.0e} is its rounding: make "
                    f"its arrays float64, or threshold={precision:.0e}"
                )
                continue
            known = bounds().get(name)
            if known is not None and np.isfinite(difference).all() and (difference <= known).all():
                result.rounded[name] = (
                    f"the true gradient of {name} is zero here, but for rounding ({largest(given):.0e}); weights at "
                    "random on what the loss sums would check more"
                    if largest(true) <= largest(known)
                    else f"rounding explains the error of {found.error:.0e} in {name}: the code amplifies it here, as "
                    "where an activation is within rounding of ±1"
                )
            continue
        small = (np.abs(true) <= threshold * largest(true)) & (np.abs(true) > TINY)
        doubtful = small & (difference > SMALL_ALLOWED * np.abs(true))
        if doubtful.any() and result.method == "complex":
            known = bounds().get(name)
            wrong = doubtful if known is None else doubtful & (difference > known)
            if known is None:
                result.unchecked[name] = (
                    f"{int(doubtful.sum())} of {true.size} elements of {name} are smaller than {threshold:.0e} of the "
                    "largest, and were not checked"
                )
            elif wrong.any():
                where = np.unravel_index(np.where(wrong, difference / np.abs(true), 0).argmax(), true.shape)
                values = given[where].item(), true[where].item()
                result.arrays[name] = ArrayError(
                    name, float(difference[where] / abs(true[where])), tuple(map(int, where)), *values
                )


def _result(
    calls: Sequence[Arrays],
    expected: Arrays,
    threshold: float,
    method: str,
    error: Exception | None,
    steps_of: str | None,
) -> Result:
    """Return the worst errors of the gradients that backward returned, called once or twice."""
    arrays = {
        name: max((compare(name, given[name], expected[name]) for given in calls), key=lambda found: found.error)
        for name in expected
    }
    result = Result(arrays, threshold, method, error=error)
    if steps_of is not None:
        given, true = calls[0][steps_of], expected[steps_of]
        result.steps = [compare(f"{steps_of}[{t}]", given[t], true[t], largest(true)) for t in range(len(true))]
    differ = [name for name in expected if not np.array_equal(calls[0][name], calls[-1][name], equal_nan=True)]
    if differ:
        result.faults.append(f"backward called twice gives two different gradients of {', '.join(differ)}")
    return result


# ---- what the loss does not depend on ----


def unused_arrays(make: Make, result: Result) -> list[str]:
    """Return a fault for each array whose gradient is zero everywhere because the loss does not depend on it.

    The array is changed by numbers of the order of 1: at a stationary point the gradient is zero but the loss moves.
    """
    (f, arrays), rng, lines = make(np.float64), np.random.default_rng(0), []
    for name, array in arrays.items():
        if array.size == 0 or result.arrays[name].error or largest(result.expected[name]):
            continue
        before, value = array.copy(), f()
        array[...] = before + rng.standard_normal(array.shape)
        moved = f()
        array[...] = before
        if moved == value and not _is_read(f, array):
            lines.append(f"the loss does not depend on {name}: its gradient is zero everywhere")
    return lines


def _is_read(f: Callable[[], Any], array: np.ndarray) -> bool:
    """True if f returns NaN when an array is NaN: it is read, though its values cancel."""
    before = array.copy()
    array[...] = np.nan
    try:
        with np.errstate(all="ignore"):
            return bool(np.isnan(f()))
    except Exception:
        return True
    finally:
        array[...] = before


def unread_by_forward(result: Result, cell: Any, step: Any) -> None:
    """Add what a cell's forward does not read, found by changing it at random points around a ``cases.Step``.

    It is a fault if nothing of a_x or a_h, of an array of the state or of a parameter is read; a note if a gate block
    of a_x or a_h is not.
    """
    rng, G, arrays = np.random.default_rng(0), len(cell.gates), step.arrays(cell)
    blocks: dict[str, list[Any]] = {name: [...] for name in arrays}
    blocks.update({name: np.split(np.arange(len(arrays[name])), G) for name in ("a_x", "a_h")})
    unread = {name: list(range(len(parts))) for name, parts in blocks.items()}
    for _ in range(20):  # a rectifier may be shut, and stay shut, at some of them
        if not any(unread.values()):
            return
        point = {name: np.array(array + rng.standard_normal(array.shape)) for name, array in arrays.items()}
        value = step.new_state(cell, point)
        for name, array in point.items():
            for k, rows in enumerate(blocks[name]):
                changed = array.copy()
                changed[rows] += 2 * rng.standard_normal(changed[rows].shape)
                moved = step.new_state(cell, {**point, name: changed})
                if k in unread[name] and any(not np.array_equal(a, b) for a, b in zip(value, moved)):
                    unread[name].remove(k)
    h_prev = f"{cell.state[0]}_prev"
    for name, missing in unread.items():
        if not missing or name == h_prev and len(unread["a_h"]) < G:
            continue  # h is read through W_h
        if name == "a_h" and len(missing) == G and not unread[h_prev]:
            result.notes.append("forward does not read a_h, so W_h and b_h have no effect: the state is read directly")
        elif len(missing) == len(blocks[name]):
            result.faults.append(f"forward does not read {name}, so every gradient that goes through it is zero")
        else:
            gates = ", ".join(cell.gates[k] for k in missing)
            result.notes.append(f"forward does not read gate {gates} of {name}: those rows have no effect")
