"""Exercises on one step: by hand, and the backward of the RNN, the LSTM, the GRU and two variants."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..equations import BACKWARD
from .exercise import Outcome, Step, follow
from .running import Call, Result

H, B, I = 3, 2, 2
BY_HAND, NAMED_BY_HAND = 2e-3, 2e-4  # relative tolerances for numbers typed with four decimals


def _arrays(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


# ---- one step by hand ----


def numbers(seed: int) -> dict[str, float]:
    """The given numbers of the exercise rnn-step: primes, so that no two mistakes give the same, in hundredths."""
    rng = np.random.default_rng(seed)
    primes = [n for n in range(11, 100) if all(n % k for k in (2, 3, 5, 7))]
    draw = rng.choice(primes, 6, replace=False) * rng.choice([-1, 1], 6) / 100
    values = dict(zip(("W_x", "W_h", "b_x", "b_h", "x_0", "h_0"), map(float, draw)))
    return {**values, "dh_1": 3.0}


def with_numbers(text: str, seed: int, solved: bool) -> str:
    """Put the seed's numbers into the lines that end in "# given"."""

    def line(match: re.Match[str]) -> str:
        names = match[1].split(", ")
        return f"{match[1]} = {', '.join(str(numbers(seed)[name]) for name in names)}"

    return re.sub(r"^([\w, ]+) = .*  # given$", line, text, flags=re.MULTILINE)


RNN_STEP = [
    Step("a_x", 7, "W_x * x_0 + b_x"),
    Step("a_h", 8, "W_h * h_0 + b_h"),
    Step("h_1", 9, "tanh(a_x + a_h)"),
    Step("da", 10, "dh_1 * (1 - h_1**2)"),
    Step("dW_x", 31, "da * x_0"),
    Step("dW_h", 32, "da * h_0"),
    Step("db_x", 33, "da"),
    Step("dx_0", 34, "W_x * da"),
    Step("dh_0", 30, "W_h * da"),
]


def rnn_step_calls(seed: int) -> list[Call]:
    return [Call(None, tuple(step.name for step in RNN_STEP))]


def judge_rnn_step(results: list[Result], seed: int) -> list[Outcome]:
    return follow(RNN_STEP, numbers(seed), results[0], tolerance=BY_HAND, named=NAMED_BY_HAND)


# ---- the cells ----

RNN = [
    Step("da", 10, "dh * (1 - h**2)"),
    Step("dW_x", 31, "da @ x.T"),
    Step("dW_h", 32, "da @ h_prev.T"),
    Step("db", 33, "sum(da, 1)"),
    Step("dx", 34, "W_x.T @ da"),
    Step("dh_prev", 30, "W_h.T @ da"),
]


def of_table(model: str) -> list[Step]:
    """The backward equations of npseq's cell as steps. h_direct, h' as the cell itself reads it, is h_prev there."""
    return [Step(name, number, re.sub(r"\bh_direct", "h_prev", text)) for number, name, text in BACKWARD[model]]


def _gates(v: dict[str, Any], logistic: str, hyperbolic: str) -> None:
    """Replace random numbers by values that gates can have."""
    for gate in logistic:
        v[gate] = 1 / (1 + np.exp(-v[gate]))
    for gate in hyperbolic:
        v[gate] = np.tanh(v[gate])


def rnn_values(seed: int) -> dict[str, Any]:
    v = _arrays(seed, W_x=(H, I), W_h=(H, H), x=(I, B), h_prev=(H, B), a=(H, B), dh=(H, B))
    v["h"] = np.tanh(v.pop("a"))
    return v


def lstm_values(seed: int) -> dict[str, Any]:
    v = _arrays(seed, **{name: (H, B) for name in ("i", "f", "g", "o", "c_prev", "dh", "dc_carried")})
    _gates(v, "ifo", "g")
    v["c"] = v["f"] * v["c_prev"] + v["i"] * v["g"]
    return v


def gru_values(seed: int) -> dict[str, Any]:
    v = _arrays(seed, **{name: (H, B) for name in ("r", "z", "n", "a_hn", "h_prev", "dh")})
    _gates(v, "rz", "n")
    return v


def peephole_values(seed: int) -> dict[str, Any]:
    return lstm_values(seed) | _arrays(seed + 1, p_i=(H, 1), p_f=(H, 1), p_o=(H, 1))


def layer_norm_values(seed: int) -> dict[str, Any]:
    v = _arrays(seed, a=(H + 1, B), gamma=(H + 1, 1), beta=(H + 1, 1), dh=(H + 1, B))
    v["std"] = v["a"].std(axis=0)
    v["a_bar"] = (v["a"] - v["a"].mean(axis=0)) / v["std"]
    v["h"] = np.tanh(v["gamma"] * v["a_bar"] + v["beta"])
    return v


_LSTM = {step.name: step for step in of_table("lstm")}
PEEPHOLE = [
    *(_LSTM[name] for name in ("do", "da_o")),
    Step("dc", 58, "dc_carried + dh * o * (1 - tanh(c)**2) + da_o * p_o"),
    *(_LSTM[name] for name in ("df", "di", "dg", "da_i", "da_f", "da_g")),
    Step("dc_prev", 58, "dc * f + da_i * p_i + da_f * p_f"),
    Step("dp_i", 58, "sum(da_i * c_prev, 1)"),
    Step("dp_f", 58, "sum(da_f * c_prev, 1)"),
    Step("dp_o", 58, "sum(da_o * c, 1)"),
]
LAYER_NORM = [
    Step("du", 10, "dh * (1 - h**2)"),
    Step("dgamma", 2, "sum(du * a_bar, 1)"),
    Step("dbeta", 2, "sum(du, 1)"),
    Step("da_bar", 2, "du * gamma"),
    Step("da", 59, "(da_bar - mean(da_bar, 0) - a_bar * mean(da_bar * a_bar, 0)) / std", points=2),
]


class OneStep(NamedTuple):
    """An exercise whose function ``backward`` is called once: its values, in order, and what it is given."""

    steps: list[Step]
    values: Callable[[int], dict[str, Any]]
    arguments: str  # names of the values; those of the cache in parentheses

    def calls(self, seed: int) -> list[Call]:
        v, given = self.values(seed), []
        for group in re.findall(r"\([^)]*\)|\w+", self.arguments):
            names = re.findall(r"\w+", group)
            given.append(tuple(v[name] for name in names) if group[0] == "(" else v[group])
        return [Call("backward", tuple(given))]

    def judge(self, results: list[Result], seed: int) -> list[Outcome]:
        return follow(self.steps, self.values(seed), results[0])


ONE_STEP = {
    "rnn": OneStep(RNN, rnn_values, "dh W_x W_h x h_prev h"),
    "lstm": OneStep(of_table("lstm"), lstm_values, "dh dc_carried (i f g o c_prev c)"),
    "gru": OneStep(of_table("gru"), gru_values, "dh (r z n a_hn h_prev)"),
    "peephole": OneStep(PEEPHOLE, peephole_values, "dh dc_carried (i f g o c_prev c) p_i p_f p_o"),
    "layer-norm": OneStep(LAYER_NORM, layer_norm_values, "dh (a_bar std h) gamma"),
}
