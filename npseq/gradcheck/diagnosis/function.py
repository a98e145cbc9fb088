"""What is wrong in the gradient of any function: the first local variable ``dv`` that is not the gradient of ``v``.

As ``cell.py`` does for cells: the variables of the gradient are recorded as they are assigned, and compared with the
derivative of the loss with respect to the variable of the same name in the loss, by a complex step on that variable. In
a loop the last assignment of the loss belongs to the first one of the gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import numpy as np

from ..result import relative_error
from . import places, tracing

ALLOWED = 1e-9
MOST = 4000  # evaluations of the loss


def first_wrong(f: Callable[..., Any], grad: Callable[..., Any], arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Return a line about the first wrong variable of a gradient; empty if none is found."""
    codes = _codes(f), _codes(grad)
    if not codes[0] or not codes[1]:
        return []
    _, forward = tracing.record(lambda: f(**_copied(arrays)), codes[0])
    _, backward = tracing.record(lambda: grad(**_copied(arrays)), codes[1])
    stored: dict[str, list[Any]] = {}
    for item in forward:
        if _is_array(item.value):
            stored.setdefault("d" + item.name, []).append(item)
    spent = 0
    for item, k, count in tracing.numbered(backward, lambda item: item.name):
        same = stored.get(item.name, [])
        if not same or count != len(same):
            if len(same) != 1 or k < count - 1:  # assigned more often: only the last value can be compared
                continue
            k = 0
        there = same[len(same) - 1 - k]
        if not _is_array(item.value) or np.shape(item.value) != np.shape(there.value):
            continue
        spent += np.size(there.value)
        if spent > MOST:
            return []
        true = tracing.gradient_of(lambda: f(**_copied(arrays, complex)), there)
        if true is not None and not relative_error(np.asarray(item.value), true) <= ALLOWED:
            where, given, expected = places.worst_element(np.asarray(item.value), true)
            at = f" at {','.join(map(str, where))}" if where else ""
            return [
                f"{item.code.co_name}: {item.name}{at} is {given:.9g}; {expected:.9g} expected, "
                f"{places.line_of(item.code, item.line)}"
            ]
    return []


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.floating | float) and np.asarray(value).dtype.kind == "f"


def _copied(arrays: Mapping[str, np.ndarray], dtype: Any = None) -> dict[str, np.ndarray]:
    return {name: array.astype(dtype or array.dtype) for name, array in arrays.items()}


def _codes(function: Callable[..., Any]) -> list[CodeType]:
    """Return a function's code, and that of the functions of the same file that it names."""
    code = tracing.code_of(function)
    if code is None:
        return []
    known = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__globals__", {})
    named = [tracing.code_of(known[name]) for name in code.co_names if inspect.isfunction(known.get(name))]
    return [code, *(other for other in named if other is not None and other.co_filename == code.co_filename)]
