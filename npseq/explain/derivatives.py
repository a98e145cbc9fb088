"""The backward equations of a cell from its forward equations, both as text.

A cell may state what it computes in a class attribute ``equations``, one line for each name, in the order in which they
are computed:

    equations = '''
    f = σ(a_xf + a_hf)
    g = tanh(a_xg + a_hg)
    c = f * c_prev + (1 - f) * g
    h = tanh(c)
    '''

Expressions are element-wise: + - * / **, numbers, and the functions tanh, σ, exp and relu. They may use the
pre-activations (a_x and a_h followed by the gate's letter, if there are several gates), the letters of the state with
``_prev``, the names of the cell's own parameters, and the names of earlier lines. Every letter of the state needs a
line.

The backward equations are derived by the rules of docs/derivation.md: each operation passes its gradient on by (2),
with the slopes (6) in terms of the value, and where a name is used more than once the gradients add (4).
"""

from __future__ import annotations

import ast
from typing import NamedTuple

import numpy as np

from ..cells import sigmoid

FUNCTIONS = {
    "tanh": np.tanh,
    "σ": sigmoid,
    "exp": np.exp,
    "relu": lambda a: np.where(np.real(a) > 0, a, 0),
    "step": lambda a: np.where(np.real(a) > 0, 1.0, 0.0),  # the slope of relu
}
# The slope of each function, (6), in terms of its value.
SLOPES = {"tanh": "(1 - {0}**2)", "σ": "{0} * (1 - {0})", "exp": "{0}", "relu": "step({0})"}


class EquationError(ValueError):
    """A cell's ``equations`` cannot be used; the message is one line that says why."""


class Equation(NamedTuple):
    """``number`` is that of docs/derivation.md, None for a cell that is not npseq's."""

    number: int | None
    name: str
    formula: str


def parse(text: str, gates: str, state: str, own: tuple[str, ...] = ()) -> list[Equation]:
    """Read the ``equations`` of a cell.

    Args:
        text: one ``name = expression`` per line.
        gates, state: those of the cell. own: the names of its own parameters.

    Returns:
        The equations in order, with ``h_prev`` renamed to ``h_direct``, the name of h' where the cell itself reads it
        (the product with W_h reads it too).

    Raises:
        EquationError: naming the line and what is wrong with it.
    """
    known = pre_activations(gates) | {letter + "_prev" for letter in state} | set(own)
    equations: list[Equation] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, formula = (part.strip() for part in line.partition("="))
        if not equals or not name.isidentifier():
            raise EquationError(f"equations: 'name = expression' expected in each line; {line!r} given")
        if name in known:
            raise EquationError(f"equations: {name} is defined twice, the second time in {line!r}")
        try:
            tree = ast.parse(formula, mode="eval").body
        except SyntaxError:
            raise EquationError(f"equations: {formula!r} is not an expression") from None
        unknown = sorted(_names(tree, line) - known)
        if unknown:
            raise EquationError(f"equations: {line!r} uses {unknown[0]}; {', '.join(sorted(known))} are known there")
        equations.append(Equation(None, name, _with_direct_h(tree)))
        known.add(name)
    missing = [letter for letter in state if letter not in known]
    if missing:
        raise EquationError(f"equations: a line {missing[0]} = … is missing; the state is {', '.join(state)}")
    return equations


def pre_activations(gates: str) -> set[str]:
    """Return the names of the pre-activations: a_x and a_h for one gate block, else with each gate's letter."""
    return {f"a_{side}{gate}" for side in "xh" for gate in (gates if len(gates) > 1 else [""])}


def derive(forward: list[Equation], gates: str, state: str, own: tuple[str, ...] = ()) -> list[Equation]:
    """Return the backward equations of a cell, in the order in which they are computed.

    ``dh`` is given, and so is, for every other letter of the state, the part that comes from the next step,
    ``dc_carried``. Computed are the gradients of all lines, of the pre-activations (``da_i`` if a_xi and a_hi have the
    same, else ``da_xi`` and ``da_hi``), of the state before the step (``dc_prev``, ``dh_direct``) and of the own
    parameters (one element for each unit and sequence, to be summed).
    """
    terms: dict[str, list[str]] = {letter: [f"d{letter}_carried"] for letter in state[1:]}
    backward: list[Equation] = []
    for _, name, formula in reversed(forward):
        if name != state[0]:
            backward.append(Equation(None, "d" + name, _sum(terms.pop(name, []))))
        elif name in terms:
            raise EquationError(f"equations: {name} is read by another line; use the expression there instead")
        _pass_back(ast.parse(formula, mode="eval").body, "d" + name, name, terms)
    for gate in gates if len(gates) > 1 else [""]:
        x, h = _sum(terms.pop("a_x" + gate, [])), _sum(terms.pop("a_h" + gate, []))
        if x == h:
            backward.append(Equation(None, f"da_{gate}" if gate else "da", x))
        else:
            backward += [Equation(None, f"da_x{gate}", x), Equation(None, f"da_h{gate}", h)]
    for letter in state[1:]:
        backward.append(Equation(None, f"d{letter}_prev", _sum(terms.pop(letter + "_prev", []))))
    if "h_direct" in terms:
        backward.append(Equation(None, "dh_direct", _sum(terms["h_direct"])))
    backward += [Equation(None, "d" + name, _sum(terms.get(name, []))) for name in own]
    return backward


def _sum(terms: list[str]) -> str:
    """(4): the gradients of all places where a name is used."""
    return " + ".join(terms).replace("+ -", "- ") or "0"


def _pass_back(node: ast.expr, gradient: str, value: str | None, terms: dict[str, list[str]]) -> None:
    """Add to ``terms`` what the gradient of an expression contributes to each name in it, equation (2).

    ``value`` is the name that the expression's value has, or None.
    """
    if isinstance(node, ast.Name):
        terms.setdefault(node.id, []).append(gradient)
    elif isinstance(node, ast.UnaryOp):
        _pass_back(node.operand, _negative(gradient), None, terms)
    elif isinstance(node, ast.Call):
        name = node.func.id  # type: ignore[attr-defined]
        at = value if value is not None else ast.unparse(node)
        _pass_back(node.args[0], _times(gradient, SLOPES[name].format(at)), None, terms)
    elif isinstance(node, ast.BinOp):
        left, right = _factor(node.left), _factor(node.right)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            _pass_back(node.left, gradient, None, terms)
            _pass_back(node.right, gradient if isinstance(node.op, ast.Add) else _negative(gradient), None, terms)
        elif isinstance(node.op, ast.Mult):
            _pass_back(node.left, _times(gradient, right), None, terms)
            _pass_back(node.right, _times(gradient, left), None, terms)
        elif isinstance(node.op, ast.Div):
            _pass_back(node.left, f"{_product(gradient)} / {right}", None, terms)
            _pass_back(node.right, _negative(f"{_times(gradient, left)} / {right}**2"), None, terms)
        else:
            power = node.right.value  # type: ignore[attr-defined]
            slope = f"2 * {left}" if power == 2 else f"{power} * {left}**{power - 1}"
            _pass_back(node.left, _times(gradient, slope), None, terms)


def _product(text: str) -> str:
    """The text in parentheses if it is a sum."""
    depth = 0
    for before, character in zip(" " + text, text):
        depth += (character == "(") - (character == ")")
        if character in "+-" and before == " " and not depth and text[0] != character:
            return f"({text})"
    return text


def _times(gradient: str, factor: str) -> str:
    return f"{_product(gradient)} * {factor}"


def _negative(text: str) -> str:
    return text[1:] if text.startswith("-") else "-" + _product(text)


def _factor(node: ast.expr) -> str:
    text = ast.unparse(node)
    return f"({text})" if isinstance(node, (ast.BinOp, ast.UnaryOp)) else text


OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)


def _names(node: ast.expr, line: str) -> set[str]:
    """The names that an expression uses; only what ``_pass_back`` can differentiate is allowed."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return set()
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _names(node.operand, line)
    if isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
        if isinstance(node.op, ast.Pow) and not (
            isinstance(node.right, ast.Constant) and type(node.right.value) in (int, float)
        ):
            raise EquationError(f"equations: {line!r}: a power needs a number as its exponent")
        return _names(node.left, line) | _names(node.right, line)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SLOPES:
        if len(node.args) == 1 and not node.keywords:
            return _names(node.args[0], line)
    raise EquationError(
        f"equations: {line!r} has {ast.unparse(node)!r}; names, numbers, + - * / ** and the functions "
        f"{', '.join(SLOPES)} of one argument expected"
    )


def _with_direct_h(tree: ast.expr) -> str:
    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            return ast.Name("h_direct") if node.id == "h_prev" else node

    return ast.unparse(Rename().visit(tree))
