"""The interactive page: one HTML file that computes a small network in the browser, from the same equations as text.

The page's script holds no equation: forward and backward come from ``equations.py`` (npseq's cells) or from what a cell
states itself. When the page opens it compares its own numbers with those that npseq computed when it was made, and says
at the foot to how many digits they agree. A cell that does not state its equations gets a page that shows npseq's
recorded values and cannot be changed.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from .. import bptt
from .._version import __version__
from ..nn.own_parameters import cell_name, own_shapes
from .equations import CELLS, SHOWN, Description, describe
from .exercises.catalogue import EXERCISES
from .exercises.naming import rules
from .exercises.one_step import ONE_STEP
from .page_bugs import BUGS
from .worked_example import WorkedExample, by_bptt

MAX_STEPS, MAX_UNITS, MAX_INPUTS = 12, 3, 2
CHECKED_SIZES = [(2, 1, 1), (3, 2, 1), (6, 3, 2), (12, 2, 2)]  # (T, H, I) at which page and npseq are compared
RECORDED_SIZE = (6, 2, 1)
SCRIPTS = ["formulas.js", "engine.js", "chain.js", "lesson.js", "app.js"]


def build(cell: Any = None, start: str = "lstm", seed: int = 0) -> str:
    """Return the page as HTML.

    Args:
        cell: a cell of the user's, shown first; None for npseq's cells alone.
        start: the model that is shown first, if no cell is given.
        seed: of the numbers that are given.

    Raises:
        EquationError: if the cell states equations that cannot be read.
        ValueError: if its code computes something else than its equations say.
    """
    data = page_data(cell, start, seed)
    text = _web("page.html").replace("/* STYLE */", _web("style.css"))
    text = text.replace("/* SCRIPT */", "\n".join(map(_web, SCRIPTS)))
    as_json = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("/* DATA */", as_json.replace("<", "\\u003c"))  # "<" could end the script element


def _web(name: str) -> str:
    return (resources.files(__package__) / "web" / name).read_text(encoding="utf-8")


def page_data(cell: Any = None, start: str = "lstm", seed: int = 0) -> dict[str, Any]:
    """Return what the page's script is given, ready for JSON."""
    cells = dict(CELLS)
    if cell is not None:
        start = cell_name(cell)
        cells = {start: cell, **cells}
    models = {name: _model(name, kind, seed) for name, kind in cells.items()}
    return {
        "version": __version__,
        "start": start,
        "sizes": {"T": MAX_STEPS, "H": MAX_UNITS, "I": MAX_INPUTS},
        "models": models,
        "shown": SHOWN,
        "code": {str(number): place for number, place in code_lines().items()},
        "bugs": BUGS,
        "chinese": json.loads(_web("chinese.json")),
        **exercise_data(),
    }


def exercise_data() -> dict[str, Any]:
    """Return the exercises that can be done in the page, with the numbers of seed 0, and the table of mistakes."""
    exercises = {}
    for model, one in ONE_STEP.items():
        if model in CELLS:
            given = {name: value.tolist() for name, value in one.values(0).items()}
            steps = [{"name": s.name, "number": s.equation, "formula": s.formula} for s in one.steps]
            known = EXERCISES[f"{model}-backward"]
            hints = [known.hints[known.hint_for(step.name) - 1] for step in one.steps]
            exercises[known.name] = {"model": model, "given": given, "steps": steps, "hints": hints}
    return {"exercises": exercises, "mistakes": [rule for rule, *_ in rules()]}


def _model(name: str, cell: Any, seed: int) -> dict[str, Any]:
    described = describe(cell, name)
    if described is None:
        return {"name": name, "gates": _gates(cell), "state": cell.state, "recorded": _recorded(cell, seed)}
    network = WorkedExample(cell, MAX_UNITS, MAX_STEPS, seed, MAX_INPUTS, name)
    checks = [_check(described, network, *sizes) for sizes in CHECKED_SIZES]
    return {
        "name": name,
        "gates": described.gates,
        "state": described.state,
        "own": described.own,
        "forward": described.forward,
        "backward": described.backward,
        "given": {key: value.tolist() for key, value in network.given.items()},
        "x": network.xs.tolist(),
        "dy": network.dys.tolist(),
        "initial": {letter: part.tolist() for letter, part in network.state.items()},
        "checks": checks,
    }


def _gates(cell: Any) -> list[str]:
    return list(cell.gates) if len(cell.gates) > 1 else [""]


def part_of(network: WorkedExample, T: int, H: int, I: int) -> WorkedExample:
    """Return the same network with fewer steps, units and inputs: the first of each."""
    part = object.__new__(WorkedExample)
    part.cell, part.description, part.gates = network.cell, network.description, network.gates
    part.xs, part.dys = network.xs[:T, :I], network.dys[:T, :H]
    part.state = {letter: value[:H] for letter, value in network.state.items()}
    part.given = {
        name: value[:H, : I if name.startswith("W_x") else H] if value.ndim == 2 else value[:H]
        for name, value in network.given.items()
    }
    return part


def npseq_gradients(network: WorkedExample) -> dict[str, np.ndarray]:
    """Return the outputs h and all gradients by ``bptt.py`` and the cell's own code, by the page's names."""
    hs, d, dx, d_state = by_bptt(network)
    found = {"h": hs[:, :, 0], "dx": dx[:, :, 0]}
    for name, stacked in zip(("W_x", "W_h", "b_x", "b_h"), (d.W_x, d.W_h, d.b_x, d.b_h)):
        assert stacked is not None
        for gate, block in zip(network.gates, np.split(stacked, len(network.gates))):
            found[name + gate] = block if name[0] == "W" else block[:, 0]
    found.update({letter + "_0": part[:, 0] for letter, part in zip(network.description.state, d_state)})
    found.update({name: part[:, 0] for name, part in (d.own or {}).items()})
    return found


def _check(described: Description, network: WorkedExample, T: int, H: int, I: int) -> dict[str, Any]:
    part = part_of(network, T, H, I)
    found = npseq_gradients(part)
    _, steps = part.run()
    if max(np.abs(v["h"] - h).max() for v, h in zip(steps, found["h"])) > 1e-12:
        raise ValueError(f"{described.name}: its forward computes another h than its equations say")
    return {"T": T, "H": H, "I": I, "values": {name: value.tolist() for name, value in found.items()}}


def _recorded(cell: Any, seed: int) -> dict[str, Any]:
    """Return the values that npseq computes at every step, for a cell whose equations are not known."""
    (T, H, I), rng, G = RECORDED_SIZE, np.random.default_rng(seed), len(cell.gates)

    def draw(*shape: int) -> np.ndarray:
        return rng.uniform(-1, 1, shape)

    shapes = own_shapes(cell, H=H, G=G, I=I, P=H)
    own = {name: draw(*shape, *[1] * (len(shape) == 1)) for name, shape in shapes.items()}  # a vector is a column
    W = bptt.Weights(draw(G * H, I), draw(G * H, H), draw(G * H, 1), draw(G * H, 1), None, own or None)
    xs, dys, initial = draw(T, I, 1), draw(T, H, 1), tuple(draw(H, 1) for _ in cell.state)
    tapes: list[Any] = []
    steps: list[dict[str, np.ndarray]] = []
    state = initial
    for t in range(T):
        before = state
        _, state, tape = bptt.forward_through_time(cell, W, xs[t : t + 1], state)
        tapes.append(tape)
        a_x, a_h = W.W_x @ xs[t] + W.b_x, W.W_h @ before[0] + W.b_h
        values = {"x": xs[t], "a_x": a_x, "a_h": a_h, "dy": dys[t]}
        values.update({letter + "_prev": part for letter, part in zip(cell.state, before)})
        values.update(zip(cell.state, state))
        steps.append(values)
    d_state, total = tuple(np.zeros_like(part) for part in state), dict[str, Any]()
    for t in reversed(range(T)):
        d_new = (d_state[0] + dys[t], *d_state[1:])
        steps[t].update({f"d{letter}": d for letter, d in zip(cell.state, d_new)})
        d_weights, dx, d_state = bptt.backward_through_time(cell, W, tapes[t], None, d_new)
        steps[t].update({f"d{letter}_prev": d for letter, d in zip(cell.state, d_state)}, dx=dx[0])  # type: ignore[index]
        named = dict(zip(("W_x", "W_h", "b_x", "b_h"), d_weights)) | (d_weights.own or {})
        total = {name: total.get(name, 0) + d for name, d in named.items()}
    return {
        "T": T,
        "H": H,
        "I": I,
        "steps": [{name: value[:, 0].tolist() for name, value in values.items()} for values in steps],
        "initial": {letter: part[:, 0].tolist() for letter, part in zip(cell.state, initial)},
        "gradients": {name: d.tolist() for name, d in total.items()},
    }


@lru_cache(maxsize=1)
def code_lines() -> dict[int, list[Any]]:
    """Return for each equation number the file, the line number and the text of the code that computes it.

    The number stands in a comment of a statement, or on a line before it. Of an ``if`` it is what is done there; and
    what assigns to the same name just before belongs to it.
    """
    found: dict[int, list[Any]] = {}
    root = Path(bptt.__file__).parent
    for file in ("bptt.py", "cells.py"):
        source = (root / file).read_text(encoding="utf-8")
        statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
        before = {after: node for parent in statements for node, after in _neighbours(parent)}
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            numbers = re.findall(r"(?<![\w)])\((\d{1,2})\)", token.string) if token.type == tokenize.COMMENT else []
            row = token.start[0] + token.line.lstrip().startswith("#")
            around = [node for node in statements if node.lineno <= row <= (node.end_lineno or 0)]
            if not numbers or not around:
                continue
            node = max(around, key=lambda each: each.lineno)  # the innermost
            first, last = row, row  # of a long expression only the line itself
            if isinstance(node, ast.If):
                first, last = node.body[0].lineno, node.body[-1].end_lineno or row
            elif _target(node) is not None and _target(before.get(node)) == _target(node):
                first = before[node].lineno
            for number in map(int, numbers):
                text = "\n".join(line.strip() for line in source.splitlines()[first - 1 : last])
                found.setdefault(number, [file, first, text])
    return found


def _neighbours(parent: ast.stmt) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    for name in ("body", "orelse"):
        body = getattr(parent, name, [])
        yield from zip(body, body[1:])


def _target(node: ast.stmt | None) -> str | None:
    return ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else None
