"""The bug hunt: a backward pass of the LSTM in which each seed plants another bug."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ...gradcheck.numerical import numerical_gradient
from .exercise import Outcome, Step, follow
from .running import Call, Result

T, H, B, I = 5, 3, 2, 2


class Bug(NamedTuple):
    """A line of the listing, and the wrong code in its place."""

    line: int
    wrong: str


BUGS = [
    Bug(9, "df = dc * c[t + 1]"),
    Bug(8, "dc = dh * o * (1 - tanh_c**2)"),
    Bug(19, "dW_h += da @ h[t + 1].T"),
    Bug(3, "for t in reversed(range(1, len(x))):"),
    Bug(6, "dh = dys[t]"),
    Bug(15, "da_g = dg * (1 - np.tanh(g) ** 2)"),
    Bug(13, "da_i = di * sigmoid(i) * (1 - sigmoid(i))"),
    Bug(20, "db = da.sum(axis=1, keepdims=True)"),
    Bug(12, "dc_carried = dc * i"),
    Bug(17, "da = np.concatenate([da_i, da_f, da_o, da_g])"),
    Bug(7, "do = dh * c[t + 1]"),
    Bug(5, "tanh_c = np.tanh(c[t])"),
    Bug(16, "da_o = do * (1 - o)"),
    Bug(11, "dg = dc * f"),
]


def bug_of(seed: int) -> Bug:
    """Return the bug that a seed plants."""
    return BUGS[seed % len(BUGS)]


def with_bug(text: str, seed: int, solved: bool) -> str:
    """Plant the bug, or name its line in the solution."""
    bug = bug_of(seed)
    if solved:
        return re.sub(r"^BUG_LINE = 0", f"BUG_LINE = {bug.line}", text, flags=re.MULTILINE)
    planted, count = re.subn(
        rf"^( *).*  # line {bug.line}$", rf"\g<1>{bug.wrong}  # line {bug.line}", text, flags=re.MULTILINE
    )
    assert count == 1
    return planted


def values(seed: int) -> dict[str, np.ndarray]:
    """The parameters, inputs and initial state, and the gradients dys of the outputs."""
    rng = np.random.default_rng(seed)
    shapes = {"W_x": (4 * H, I), "W_h": (4 * H, H), "b": (4 * H, 1), "x": (T, I, B), "h_0": (H, B), "c_0": (H, B)}
    return {name: rng.normal(size=shape) for name, shape in {**shapes, "dys": (T, H, B)}.items()}


def calls(seed: int) -> list[Call]:
    v, solution = values(seed), import_module(".solutions.bug_hunt", __package__)
    forward = solution.forward(*(v[name] for name in ("W_x", "W_h", "b", "x", "h_0", "c_0")))
    return [Call(None, ("BUG_LINE",)), Call("backward", (v["W_x"], v["W_h"], v["x"], *forward, v["dys"]))]


def judge(results: list[Result], seed: int) -> list[Outcome]:
    """Six points for the line, and one for each gradient that is right: some are before anything is found."""
    given = (results[0].value or {}).get("BUG_LINE")
    written = isinstance(given, np.ndarray) and given.shape == () and np.isfinite(given)
    message = f"line {given:g} is not the wrong one" if written else "not written yet"
    found = written and given == bug_of(seed).line
    outcomes = [Outcome("BUG_LINE", 6 if found else 0, 6, None, None if found else message)]
    right = _complex_step(values(seed))
    numbers = {"W_x": 31, "W_h": 32, "b": 33, "x": 34, "h_0": 30, "c_0": 18}
    steps = [Step(f"d{name}", number, "0", 1, lambda _, v, n=name: right[n]) for name, number in numbers.items()]  # type: ignore[misc]
    return outcomes + follow(steps, {}, results[1])


def _complex_step(v: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The gradient of Σ dys ⊙ h by the complex step (52), which shares nothing with the listing's backward."""

    def loss(v: dict[str, np.ndarray]) -> Any:
        h, c = v["h_0"], v["c_0"]
        total: Any = 0
        for x_t, dy in zip(v["x"], v["dys"]):
            a_i, a_f, a_g, a_o = np.split(v["W_x"] @ x_t + v["W_h"] @ h + v["b"], 4)
            c = c / (1 + np.exp(-a_f)) + np.tanh(a_g) / (1 + np.exp(-a_i))
            h = np.tanh(c) / (1 + np.exp(-a_o))
            total = total + (dy * h).sum()
        return total

    moved = {name: array.astype(complex) for name, array in v.items() if name != "dys"}
    return numerical_gradient(lambda: loss({**v, **moved}), moved)
