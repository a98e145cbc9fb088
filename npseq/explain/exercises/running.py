"""Calls of a student's functions, what they gave, and how that is written for the process that compares it."""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

LARGEST = 100_000  # numbers of one value; no exercise has a hundredth of it
ATTEMPTS = 30  # lines of one function that may raise an exception


class Call(NamedTuple):
    """A function of the student's, by name, and its arguments; without one, the names of variables that are read; or a
    function of ours that is given the student's module.
    """

    function: str | Callable[[ModuleType], float] | None
    arguments: tuple[Any, ...]


class Strange(NamedTuple):
    """In place of a value that is no array of numbers: its type."""

    kind: str


class Result(NamedTuple):
    """What a call gave. ``failed``: name -> error of the line that should have computed it."""

    value: Any = None
    error: str | None = None
    failed: dict[str, str] = {}


def run(module: ModuleType, call: Call) -> Result:
    """Make a call. A line that raises an exception is done without, so that what does not depend on it is computed."""
    if call.function is None:
        found = {name: plain(vars(module)[name]) for name in call.arguments if name in vars(module)}
        return Result(found, failed=getattr(module, "FAILED", {}))
    if not isinstance(call.function, str):
        try:
            return Result(plain(call.function(module)))
        except Exception as error:
            return Result(error=describe_error(error, module.__file__ or ""))
    failed: dict[str, str] = {}
    source = getattr(module, "SOURCE", None)
    for _ in range(ATTEMPTS):
        function = getattr(module, call.function, None)
        if not callable(function):
            return Result(error=f"the function {call.function} is missing")
        try:
            return Result(plain(function(*copy.deepcopy(call.arguments))), failed=failed)  # a copy is theirs to change
        except Exception as error:
            message = describe_error(error, module.__file__ or "")
            without = source and _without(source, _line(error, module.__file__, call.function))
        if not without or set(without[1]) <= set(failed):
            return Result(error=next(iter(failed.values()), message))
        source, names = without
        failed.update(dict.fromkeys(names, message))
        try:
            module = module_of(source, module.__file__ or "")
        except Exception:  # what the file does besides does not bear being done twice
            break
    return Result(error=next(iter(failed.values())))


def load(source: str, file: str) -> ModuleType:
    """Execute the text of a file. A value whose line raises an exception is done without, as in ``run``.

    Raises:
        Exception: of the file, where a line that raises one assigns nothing.
    """
    failed: dict[str, str] = {}
    for _ in range(ATTEMPTS):
        try:
            module = module_of(source, file)
            module.FAILED = failed  # type: ignore[attr-defined]
            return module
        except Exception as error:
            without = _without(source, _line(error, file, "<module>"))
            if without is None:
                raise
            failed.update(dict.fromkeys(without[1], describe_error(error, file)))
            source = without[0]
    raise ValueError(next(iter(failed.values())))


def module_of(source: str, file: str) -> ModuleType:
    """Execute the text of a file as a module."""
    module = ModuleType("submission")
    module.__file__ = file
    module.SOURCE = source  # type: ignore[attr-defined]
    exec(compile(source, file, "exec"), module.__dict__)
    return module


def _line(error: BaseException, file: str | None, function: str) -> int:
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file and trace.tb_frame.f_code.co_name == function:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _without(source: str, line: int) -> tuple[str, list[str]] | None:
    """Return the text in which the assignment at a line assigns NaN, with as many lines, and the names assigned to."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return None
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AugAssign)) and node.lineno <= line <= (node.end_lineno or 0):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            text = source.splitlines()
            indent = " " * node.col_offset
            nan = ", ".join(['float("nan")'] * len(parts))
            statement = f"{indent}{', '.join(map(ast.unparse, parts))} = {nan}"
            text[node.lineno - 1 : node.end_lineno] = [statement] + [""] * ((node.end_lineno or 0) - node.lineno)
            return "\n".join(text), [_root(part) for part in parts]
    return None


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return ast.unparse(node)


def describe_error(error: BaseException, file: str) -> str:
    """Return one line: the line of the student's file in which the error was raised, its kind and its message."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = "" if line is None else f"line {line}: "
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def plain(value: Any) -> Any:
    """A value as arrays in dicts and tuples; ``Strange`` where it is none."""
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if value is None:
        return None
    try:
        array = None if isinstance(value, str) or np.iscomplexobj(value) else np.array(value, dtype=float)
    except Exception:  # a value may be an object of the student's, whose conversion fails in its own way
        array = None
    if array is None:
        return Strange(type(value).__name__)
    return array if array.size <= LARGEST else Strange(f"an array of {array.size} numbers")


def as_json(value: Any) -> Any:
    """``plain`` values as JSON has them: an array is ["array", shape, numbers]."""
    if isinstance(value, dict):
        return {name: as_json(part) for name, part in value.items()}
    if isinstance(value, Strange):
        return ["strange", value.kind]
    if isinstance(value, tuple):
        return ["tuple", *map(as_json, value)]
    return None if value is None else ["array", list(value.shape), value.ravel().tolist()]


def from_json(value: Any) -> Any:
    """The inverse of ``as_json``. Raises ValueError for anything that it does not write."""
    if isinstance(value, dict):
        return {name: from_json(part) for name, part in value.items()}
    if isinstance(value, list) and value and value[0] == "tuple":
        return tuple(map(from_json, value[1:]))
    if isinstance(value, list) and len(value) == 2 and value[0] == "strange":
        return Strange(str(value[1]))
    if isinstance(value, list) and len(value) == 3 and value[0] == "array" and math.prod(value[1]) == len(value[2]):
        return np.array(value[2], dtype=float).reshape(value[1])
    if value is None:
        return None
    raise ValueError("the result of a call expected")
