"""Formulas as trees, which the graders of the exercises vary: read, written, evaluated, rewritten.

A tree is a number, a name, or a tuple: (operator, left, right) with + - * / @ **, ("neg", a), ("T", a) for a transpose,
or ("call", function, a, …) with tanh, σ, exp, relu, step, and sum and mean over an axis, which stays. The page's
``web/formulas.js`` does the same.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from ..cells import sigmoid

Tree = Any  # int, float, str, or a tuple as above
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**"}
_COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "@": operator.matmul,
    "**": operator.pow,
}
_LEVEL = {"+": 1, "-": 1, "*": 2, "/": 2, "@": 2, "neg": 3, "**": 4}
_CALLS: dict[str, Callable[..., Any]] = {
    "tanh": np.tanh,
    "σ": sigmoid,
    "exp": np.exp,
    "relu": lambda a: np.where(np.real(a) > 0, a, 0),
    "step": lambda a: np.where(np.real(a) > 0, 1.0, 0.0),  # the slope of relu
    "sum": lambda a, axis: a.sum(axis=int(axis), keepdims=True),
    "mean": lambda a, axis: a.mean(axis=int(axis), keepdims=True),
}


@cache
def read(text: str) -> Tree:
    """Return the tree of a formula in Python's notation."""
    return _tree(ast.parse(text, mode="eval").body)


def _tree(node: Any) -> Tree:
    if isinstance(node, ast.BinOp):
        return (_SIGNS[type(node.op)], _tree(node.left), _tree(node.right))
    if isinstance(node, ast.UnaryOp):
        return ("neg", _tree(node.operand))
    if isinstance(node, ast.Attribute):
        return ("T", _tree(node.value))
    if isinstance(node, ast.Call):
        return ("call", node.func.id, *map(_tree, node.args))  # type: ignore[attr-defined]
    return node.id if isinstance(node, ast.Name) else node.value


def write(tree: Tree, level: int = 0) -> str:
    """Return the text of a tree, in parentheses if it binds more weakly than ``level``."""
    if not isinstance(tree, tuple):
        return str(tree)
    kind, *parts = tree
    if kind == "call":
        return f"{parts[0]}({', '.join(map(write, parts[1:]))})"
    if kind == "T":
        return write(parts[0], 5) + ".T"
    own = _LEVEL[kind]
    if kind == "neg":
        text = "-" + write(parts[0], own)
    else:
        sign = kind if kind == "**" else f" {kind} "
        text = write(parts[0], own) + sign + write(parts[1], own + 1)
    return f"({text})" if own < level else text


def evaluate(tree: Tree, values: dict[str, Any]) -> Any:
    """Return the value of a tree. Raises KeyError for a name without a value, ValueError where shapes do not fit."""
    if isinstance(tree, str):
        return values[tree]
    if not isinstance(tree, tuple):
        return tree
    kind, *parts = tree
    if kind == "call":
        return _CALLS[parts[0]](*(evaluate(part, values) for part in parts[1:]))
    first = evaluate(parts[0], values)
    if kind == "neg":
        return -first
    return np.transpose(first) if kind == "T" else _COMPUTE[kind](first, evaluate(parts[1], values))


def names(tree: Tree) -> list[str]:
    """The names in a tree, each once, from left to right."""
    if isinstance(tree, str):
        return [tree]
    if not isinstance(tree, tuple):
        return []
    return list(dict.fromkeys(name for part in tree[1 + (tree[0] == "call") :] for name in names(part)))


def match(pattern: Tree, tree: Tree, bound: dict[str, Tree]) -> dict[str, Tree] | None:
    """What the letters of a pattern stand for, if it fits: A, B, C, D for anything, X for a name; else None."""
    if isinstance(pattern, str) and pattern in "ABCDX":
        if pattern == "X" and not isinstance(tree, str) or bound.get(pattern, tree) != tree:
            return None
        return {**bound, pattern: tree}
    if not isinstance(pattern, tuple) or not isinstance(tree, tuple):
        return bound if pattern == tree and type(pattern) is type(tree) else None
    if len(pattern) != len(tree) or pattern[0] != tree[0]:
        return None
    found: dict[str, Tree] | None = bound
    for part, other in zip(pattern[1:], tree[1:]):
        found = None if found is None else match(part, other, found)
    return found


def put_in(tree: Tree, meaning: dict[str, Tree]) -> Tree:
    """The tree with each name replaced that has a meaning."""
    if isinstance(tree, str):
        return meaning.get(tree, tree)
    if not isinstance(tree, tuple):
        return tree
    start = 1 + (tree[0] == "call")
    return (*tree[:start], *(put_in(part, meaning) for part in tree[start:]))


def places(tree: Tree, put: Callable[[Tree], Tree] = lambda new: new) -> Iterator[tuple[Tree, Callable[[Tree], Tree]]]:
    """Each part of a tree, from the root, with the function that puts another in its place."""
    yield tree, put
    if isinstance(tree, tuple):
        for k in range(1 + (tree[0] == "call"), len(tree)):
            yield from places(tree[k], lambda new, k=k: put((*tree[:k], new, *tree[k + 1 :])))  # type: ignore[misc]
