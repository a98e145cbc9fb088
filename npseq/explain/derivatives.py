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

from . import formulas
from .formulas import Tree, put_in, read, write

SLOPES = ("tanh", "σ", "exp", "relu")  # the functions that have one
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
# (2) and (6): what the gradient D of an operation, or of a function whose value is Y, passes on to A and to B
RULES = {
    "+": ("D", "D"),
    "-": ("D", "-D"),
    "*": ("D * B", "D * A"),
    "/": ("D / B", "-D * A / B**2"),
    "neg": ("-D",),
    "tanh": ("D * (1 - Y**2)",),
    "σ": ("D * Y * (1 - Y)",),
    "exp": ("D * Y",),
    "relu": ("D * step(Y)",),
    "square": ("D * 2 * A",),
    "**": ("D * B * A**C",),  # C = B - 1
}


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
        _check(tree, line)
        unknown = sorted(set(formulas.names(read(formula))) - known)
        if unknown:
            raise EquationError(f"equations: {line!r} uses {unknown[0]}; {', '.join(sorted(known))} are known there")
        equations.append(Equation(None, name, write(put_in(read(formula), {"h_prev": "h_direct"}))))
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
    terms: dict[str, list[Tree]] = {letter: [f"d{letter}_carried"] for letter in state[1:]}
    backward: list[Equation] = []
    for _, name, formula in reversed(forward):
        if name != state[0]:
            backward.append(Equation(None, "d" + name, _sum(terms.pop(name, []))))
        elif name in terms:
            raise EquationError(f"equations: {name} is read by another line; use the expression there instead")
        _pass_back(read(formula), "d" + name, name, terms)
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


def _sum(terms: list[Tree]) -> str:
    """(4): the gradients of all places where a name is used."""
    return " + ".join(map(write, terms)).replace("+ -", "- ") or "0"


def _pass_back(tree: Tree, gradient: Tree, value: Tree, terms: dict[str, list[Tree]]) -> None:
    """Add to ``terms`` what the gradient of an expression, whose value is ``value``, contributes to each name in it."""
    if isinstance(tree, str):
        terms.setdefault(tree, []).append(gradient)
    if not isinstance(tree, tuple):
        return
    kind, *parts = tree[1:] if tree[0] == "call" else tree
    meaning = {"D": gradient, "Y": value, "A": parts[0], "B": parts[-1]}
    if kind == "**":
        kind, meaning["C"] = "square" if parts[1] == 2 else "**", parts.pop() - 1
    for part, rule in zip(parts, RULES[kind]):
        _pass_back(part, _signs_in_front(put_in(read(rule), meaning)), part, terms)


def _signs_in_front(tree: Tree) -> Tree:
    """Return a product whose first factor is negative without a double sign, and without parentheses."""
    if isinstance(tree, tuple) and tree[0] in ("*", "/"):
        return (tree[0], _signs_in_front(tree[1]), tree[2])
    if isinstance(tree, tuple) and tree[0] == "neg" and isinstance(tree[1], tuple):
        kind, first, *second = tree[1]
        if kind == "neg":
            return first
        return (kind, _signs_in_front(("neg", first)), *second) if kind in ("*", "/") else tree
    return tree


def _check(node: ast.expr, line: str) -> None:
    """Refuse an expression with anything that ``RULES`` does not have."""
    parts: list[ast.expr] = []
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        parts = [node.operand]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
        parts = [node.left, node.right]
        if isinstance(node.op, ast.Pow) and not _is_number(node.right):
            raise EquationError(f"equations: {line!r}: a power needs a number as its exponent")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
        parts = node.args if node.func.id in SLOPES else []
    if not (parts or isinstance(node, ast.Name) or _is_number(node)):
        raise EquationError(
            f"equations: {line!r} has {ast.unparse(node)!r}; names, numbers, + - * / ** and the functions "
            f"{', '.join(SLOPES)} of one argument expected"
        )
    for part in parts:
        _check(part, line)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)
