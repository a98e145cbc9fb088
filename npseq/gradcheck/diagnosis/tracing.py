"""The local variables of a running function: recorded as they are assigned, or one of them changed.

Only the functions that are named are traced (``sys.settrace``), line by line: when the next line starts, the variables
that the last one assigns have their values. Which they are is read from the function's instructions. A line that runs
several times by itself, such as a loop in one line, counts once.
"""

from __future__ import annotations

import dis
import functools
import os
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from ..numerical import CENTRAL_STEP, STEP, dtype_of

AT_THE_END = " at the end"


class Assignment(NamedTuple):
    """One assignment to a local variable.

    Attributes:
        code: of the function.
        name: of the variable.
        count: how many assignments to this name the same call of the function made before.
        line: number of the line in the file.
        value: the value, copied.
        step: the value of the local variable ``t`` at that moment, or None.
    """

    code: CodeType
    name: str
    count: int  # type: ignore[assignment]  # hides tuple.count
    line: int
    value: Any
    step: int | None


def code_of(function: Any) -> CodeType | None:
    """Return the code object of a function, method, static or class method; None if it is not written in Python."""
    function = getattr(function, "__func__", function)
    return getattr(getattr(function, "__wrapped__", function), "__code__", None)


def record(
    call: Callable[[], Any],
    codes: Iterable[CodeType | None],
    elements: bool = False,
    into: list[Assignment] | None = None,
) -> tuple[Any, list[Assignment]]:
    """Return what ``call()`` returns, and every assignment that it makes in functions with one of ``codes``.

    With ``elements`` that includes lines such as ``das[t] = da``, as an assignment to "das[t]", and, when a function
    returns, its arguments that are arrays (which it may have filled), as assignments to "d_x at the end". A list
    given as ``into`` also has the assignments that were made before an exception.
    """
    found: list[Assignment] = [] if into is None else into

    def on_store(code: CodeType, names: dict[str, Any], name: str, count: int, line: int) -> None:
        step = None if "t" in _shadowed(code) else names.get("t")
        found.append(Assignment(code, name, count, line, copied(_value(names, name)), step))

    return _traced(call, codes, on_store, elements), found


def numbered(assigned: list[Assignment], key: Callable[[Assignment], Any]) -> Iterator[tuple[Assignment, int, int]]:
    """Yield each assignment, how many of the same key came before it, and how many have that key."""
    totals, before = Counter(map(key, assigned)), Counter[Any]()
    for item in assigned:
        yield item, before[key(item)], totals[key(item)]
        before[key(item)] += 1


def changed(
    call: Callable[[], Any], code: CodeType, name: str, count: int, change: Callable[[np.ndarray], np.ndarray]
) -> Any:
    """Return what ``call()`` returns when one assignment in ``code`` stores ``change(value)`` instead of ``value``.

    What the rest of the same line computes from the variable is computed from ``value``.
    """

    def on_store(code: CodeType, names: dict[str, Any], stored: str, stored_count: int, line: int) -> None:
        if (stored, stored_count) == (name, count):
            names[name] = change(names[name])  # written back into the frame when the trace function returns

    return _traced(call, [code], on_store)


def gradient_of(loss: Callable[[], Any], item: Assignment, method: str = "complex") -> np.ndarray | None:
    """Return the derivative of ``loss()`` with respect to one assignment; None if it cannot be complex."""
    found = np.empty(np.shape(item.value))

    def moved(index: tuple[Any, ...], shift: complex) -> Any:
        def change(value: Any) -> Any:
            value = np.array(value, dtype_of(method))
            value[index] += shift
            return value

        return changed(loss, item.code, item.name, item.count, change)

    try:
        for index in np.ndindex(found.shape):
            if method == "complex":
                found[index] = np.imag(moved(index, 1j * STEP)) / STEP
            else:
                found[index] = (moved(index, CENTRAL_STEP) - moved(index, -CENTRAL_STEP)) / (2 * CENTRAL_STEP)
    except Exception:  # such as an argument of floor
        return None
    return found


def _value(names: dict[str, Any], name: str) -> Any:
    """Return the value of a variable, or of "das[t]" or "d_x at the end"."""
    name, bracket, index = name.removesuffix(AT_THE_END).partition("[")
    return names[name][names[index[:-1]]] if bracket else names[name]


def _traced(
    call: Callable[[], Any], codes: Iterable[CodeType | None], on_store: Callable[..., Any], elements: bool = False
) -> Any:
    wanted = {code for code in codes if code is not None}

    def trace_call(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code not in wanted:
            return None
        code = frame.f_code
        stores = [store for store in _stores(code) if elements or "[" not in store[1]]
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if elements else ()
        counts: dict[str, int] = {}
        start = stop = 0  # offsets of the instructions of the line that runs

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal start, stop
            if event == "line" and start <= frame.f_lasti < stop:
                return trace  # the same line again, in a loop or a comprehension
            names = frame.f_locals  # once: on Python 3.12 the next one would undo what on_store writes
            stop = min(stop, frame.f_lasti) if event == "exception" else stop
            for offset, name, line in stores:
                if start <= offset < stop and name.partition("[")[0] in names:
                    counts[name] = counts.get(name, -1) + 1
                    on_store(code, names, name, counts[name], line)
            start = frame.f_lasti if event == "line" else 0
            stop = _end_of_line(code, start) if event == "line" else 0
            for name in arguments if event == "return" else ():
                if name not in _shadowed(code) and isinstance(names.get(name), np.ndarray):
                    on_store(code, names, name + AT_THE_END, 0, frame.f_lineno)
            return trace

        return trace

    before = sys.gettrace()
    sys.settrace(trace_call)
    try:
        return call()
    finally:
        sys.settrace(before)


@functools.lru_cache(maxsize=256)
def _lines(code: CodeType) -> dict[int, int]:
    """Return offset of an instruction -> line."""
    return {offset: line for start, end, line in code.co_lines() for offset in range(start, end, 2) if line}


@functools.lru_cache(maxsize=4096)
def _end_of_line(code: CodeType, start: int) -> int:
    """Return the offset behind the instructions that follow ``start`` and belong to the same line."""
    lines, end = _lines(code), start
    while lines.get(end, 0) == lines.get(start):
        end += 2
    return end


@functools.lru_cache(maxsize=256)
def _shadowed(code: CodeType) -> frozenset[str]:
    """Return the variables that functions inside share and that a comprehension uses too.

    They are not read: CPython 3.13.0 and 3.13.1 crash if that happens within the comprehension (cpython issue 128396).
    """
    cleared = {item.argval for item in dis.get_instructions(code) if item.opname == "LOAD_FAST_AND_CLEAR"}
    return frozenset(cleared.intersection(code.co_cellvars + code.co_freevars))


@functools.lru_cache(maxsize=256)
def _stores(code: CodeType) -> list[tuple[int, str, int]]:
    """Return (offset, name, line) of each instruction that stores a variable, or an element "das[t]"."""
    lines, found = _lines(code), []
    loaded: list[Any] = []  # the last two variables that were loaded
    for instruction in dis.get_instructions(code):
        kind, offset = instruction.opname, instruction.offset
        names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        stored = names[:1] if kind == "STORE_FAST_LOAD_FAST" else names
        if kind == "STORE_SUBSCR":
            stored = (f"{loaded[0]}[{loaded[1]}]",) if len(loaded) == 2 else ()
        if kind.startswith(("STORE_FAST", "STORE_DEREF", "STORE_SUBSCR")):
            found += [
                (offset, name, lines.get(offset, 0)) for name in stored if not _shadowed(code) & {*names, *loaded}
            ]
        loaded = [*loaded, *names][-2:] if kind.startswith(("LOAD_FAST", "LOAD_DEREF")) else []
    return found


def stored_on_line(code: CodeType, line: int) -> list[str]:
    """Return the names of the local variables that a line of a function assigns, in order."""
    return [name for _, name, where in _stores(code) if where == line and "[" not in name]


def copied(value: Any) -> Any:
    """Return a copy of an array, or of the arrays in a tuple, a list or a dict; other values as they are."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple | list):
        parts = [copied(part) for part in value]
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    if isinstance(value, dict):
        return {name: copied(part) for name, part in value.items()}
    return value


def source_file(code: CodeType) -> str:
    """Return the name of the file of a function, without folders."""
    return os.path.basename(code.co_filename)


def is_package_code(file: str) -> bool:
    """True if a file belongs to Python or to an installed package other than npseq, or does not exist."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
    paths = sysconfig.get_paths()
    foreign = tuple(paths[key] + os.sep for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    return not os.path.exists(file) or not file.startswith(root) and file.startswith(foreign)
