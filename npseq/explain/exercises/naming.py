"""Names the mistake in a wrong value: the right formula is varied by the rewrites of ``web/mistakes.json`` until the
value is met, by one of them or by two. ``web/formulas.js`` does the same in the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from ..formulas import Tree, match, names, places, put_in, read, write


class Mistake(NamedTuple):
    """``last``: only named if nothing else is met."""

    kind: str
    text: str
    last: bool = False


@lru_cache(maxsize=1)
def rules() -> list[tuple[dict[str, Any], Tree, Tree]]:
    """The table: each rewrite with the trees of its two sides."""
    text = (resources.files(__package__).parent / "web" / "mistakes.json").read_text(encoding="utf-8")  # type: ignore[attr-defined]
    return [(rule, read(rule["from"]), read(rule["to"])) for rule in json.loads(text)]


def variants(tree: Tree, scope: list[str], pair: bool = False) -> Iterator[tuple[Mistake, Tree]]:
    """Each variant of a formula that one rewrite gives. ``scope``: the names that may stand in place of another."""
    for rule, left, right in rules():
        if pair and not rule["pair"]:
            continue
        for part, put in places(tree):
            if rule["where"] == "whole" and part is not tree:
                break
            bound = match(left, part, {})
            if bound is None:
                continue
            for other in scope if "Y" in names(right) else [None]:
                if other is not None and other == bound.get("X"):
                    continue
                meaning = bound if other is None else {**bound, "Y": other}
                new = put_in(right, meaning)
                others = {"everywhere": {bound.get("X"): new}, "swap": {bound.get("X"): new, new: bound.get("X")}}
                changed = put_in(tree, others[rule["where"]]) if rule["where"] in others else put(new)
                text = rule["says"].format(**{letter: write(what, 3) for letter, what in meaning.items()})
                yield Mistake(rule["kind"], text, rule["last"]), changed


def size(tree: Tree) -> int:
    """The number of signs, names and numbers in a tree."""
    return 1 + sum(map(size, tree[1:])) if isinstance(tree, tuple) else 1


def name(
    value: np.ndarray,
    tree: Tree,
    scope: list[str],
    compute: Callable[[Tree], Any],
    tolerance: float,
    elsewhere: Callable[[Tree], Any] | None = None,
    pairs: bool = True,
) -> Mistake | None:
    """Return the mistake that explains a wrong value: of the variants that meet it, the shortest; None if none does.

    Args:
        tree: the right formula. scope: the names that may stand in place of another.
        compute: a formula -> what it gives, from the values that the student had.
        tolerance: relative to the largest element.
        elsewhere: the same with other numbers. A single number may be met by chance, so variants that then differ leave
            it unnamed.
        pairs: whether two mistakes at once are tried.
    """

    def gives(changed: Tree, compute: Callable[[Tree], Any]) -> np.ndarray | None:
        try:
            with np.errstate(all="ignore"):
                found = np.asarray(compute(changed), dtype=float)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None
        return found if np.isfinite(found).all() else None

    def meets(changed: Tree) -> bool:
        found = gives(changed, compute)
        if found is None or found.squeeze().shape != value.squeeze().shape:
            return False
        return bool(np.abs(found.squeeze() - value.squeeze()).max() <= tolerance * max(np.abs(found).max(), 1e-300))

    met = [each for each in variants(tree, scope) if meets(each[1])]
    met = [each for each in met if not each[0].last] or met
    if met and elsewhere is not None:
        others = [gives(changed, elsewhere) for _, changed in met]
        if any(a is None or others[0] is None or abs(a - others[0]) > 1e-9 * abs(others[0]) for a in others):
            return None
    if met:
        return min(met, key=lambda each: size(each[1]))[0]
    if not pairs:
        return None
    both = [
        (a, b, each) for a, once in variants(tree, scope, True) for b, each in variants(once, [], True) if meets(each)
    ]
    if both:
        first, second, _ = min(both, key=lambda each: size(each[2]))
        return Mistake(f"{first.kind} {second.kind}", f"{first.text}, and {second.text}")
    for first, once in variants(tree, scope, pair=True):
        for left in names(once):
            for other in scope:
                if other != left and meets(put_in(once, {left: other})):
                    return Mistake(f"{first.kind} name", f"{first.text}, and {other} in place of {left}")
    return None
