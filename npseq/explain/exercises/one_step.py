"""Exercises on one step: by hand, and the backward of the RNN, the LSTM, the GRU and two variants."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import numpy as np

from ..equations import BACKWARD, evaluate
from .exercise import Outcome, Step, call, follow

H, B, I = 3, 2, 2
BY_HAND = 2e-3  # relative tolerance for numbers typed with four decimals


def _arrays(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


# ---- one step by hand ----


def numbers(seed: int) -> dict[str, float]:
    """The given numbers of the exercise rnn-step: one digit after the point, none of them zero."""
    rng = np.random.default_rng(seed)
    draw = [float(v) for v in rng.integers(1, 10, 7) * rng.choice([-1, 1], 7) / 10]
    values = dict(zip(("W_x", "W_h", "b_x", "b_h", "x_0", "h_0"), draw))
    return {**values, "dh_1": 3.0}


def with_numbers(text: str, seed: int, solved: bool) -> str:
    """Put the seed's numbers into the lines that end in "# given"."""

    def line(match: re.Match[str]) -> str:
        names = match[1].split(", ")
        return f"{match[1]} = {', '.join(str(numbers(seed)[name]) for name in names)}"

    return re.sub(r"^([\w, ]+) = .*  # given$", line, text, flags=re.MULTILINE)


RNN_STEP = [
    Step("a_x", 7, lambda v: v["W_x"] * v["x_0"] + v["b_x"]),
    Step("a_h", 8, lambda v: v["W_h"] * v["h_0"] + v["b_h"]),
    Step("h_1", 9, lambda v: np.tanh(v["a_x"] + v["a_h"])),
    Step("da", 10, lambda v: v["dh_1"] * (1 - v["h_1"] ** 2)),
    Step("dW_x", 31, lambda v: v["da"] * v["x_0"]),
    Step("dW_h", 32, lambda v: v["da"] * v["h_0"]),
    Step("db_x", 33, lambda v: v["da"]),
    Step("dx_0", 34, lambda v: v["W_x"] * v["da"]),
    Step("dh_0", 30, lambda v: v["W_h"] * v["da"]),
]


def grade_rnn_step(module: ModuleType, seed: int) -> list[Outcome]:
    return follow(RNN_STEP, numbers(seed), vars(module), tolerance=BY_HAND)


# ---- the cells ----

RNN_BACKWARD = [
    Step("da", 10, lambda v: v["dh"] * (1 - v["h"] ** 2)),
    Step("dW_x", 31, lambda v: v["da"] @ v["x"].T),
    Step("dW_h", 32, lambda v: v["da"] @ v["h_prev"].T),
    Step("db", 33, lambda v: v["da"].sum(axis=1, keepdims=True)),
    Step("dx", 34, lambda v: v["W_x"].T @ v["da"]),
    Step("dh_prev", 30, lambda v: v["W_h"].T @ v["da"]),
]


def grade_rnn_backward(module: ModuleType, seed: int) -> list[Outcome]:
    v = _arrays(seed, W_x=(H, I), W_h=(H, H), x=(I, B), h_prev=(H, B), a=(H, B), dh=(H, B))
    v["h"] = np.tanh(v["a"])
    result = call(module, "backward", *(v[name] for name in ("dh", "W_x", "W_h", "x", "h_prev", "h")))
    return follow(RNN_BACKWARD, v, *result)


def of_table(model: str) -> list[Step]:
    """The backward equations of npseq's cell as steps."""

    def expected(formula: str) -> Any:
        return lambda v: evaluate(formula, v)

    return [Step(name, number, expected(formula)) for number, name, formula in BACKWARD[model]]


def gates(v: dict[str, Any], logistic: str, hyperbolic: str) -> None:
    """Replace random numbers by values that gates can have."""
    for gate in logistic:
        v[gate] = 1 / (1 + np.exp(-v[gate]))
    for gate in hyperbolic:
        v[gate] = np.tanh(v[gate])


def grade_lstm_backward(module: ModuleType, seed: int) -> list[Outcome]:
    v = _arrays(seed, **{name: (H, B) for name in ("i", "f", "g", "o", "c_prev", "dh", "dc_carried")})
    gates(v, "ifo", "g")
    v["c"] = v["f"] * v["c_prev"] + v["i"] * v["g"]
    cache = tuple(v[name] for name in ("i", "f", "g", "o", "c_prev", "c"))
    return follow(of_table("lstm"), v, *call(module, "backward", v["dh"], v["dc_carried"], cache))


def grade_gru_backward(module: ModuleType, seed: int) -> list[Outcome]:
    v = _arrays(seed, **{name: (H, B) for name in ("r", "z", "n", "a_hn", "h_prev", "dh")})
    gates(v, "rz", "n")
    v["h_direct"] = v["h_prev"]
    cache = tuple(v[name] for name in ("r", "z", "n", "a_hn", "h_prev"))
    return follow(of_table("gru"), v, *call(module, "backward", v["dh"], cache))


# ---- two variants ----


def _peephole(read: str, gate: str) -> Step:
    return Step(f"dp_{gate}", 58, lambda v: (v[f"da_{gate}"] * v[read]).sum(axis=1, keepdims=True))


_LSTM = {step.name: step for step in of_table("lstm")}
PEEPHOLE = [
    *(_LSTM[name] for name in ("do", "da_o")),
    Step("dc", 58, lambda v: _LSTM["dc"].expected(v) + v["da_o"] * v["p_o"]),
    *(_LSTM[name] for name in ("df", "di", "dg", "da_i", "da_f", "da_g")),
    Step("dc_prev", 58, lambda v: v["dc"] * v["f"] + v["da_i"] * v["p_i"] + v["da_f"] * v["p_f"]),
    _peephole("c_prev", "i"),
    _peephole("c_prev", "f"),
    _peephole("c", "o"),
]


def grade_peephole(module: ModuleType, seed: int) -> list[Outcome]:
    v = _arrays(seed, **{name: (H, B) for name in ("i", "f", "g", "o", "c_prev", "dh", "dc_carried")})
    v |= _arrays(seed + 1, p_i=(H, 1), p_f=(H, 1), p_o=(H, 1))
    gates(v, "ifo", "g")
    v["c"] = v["f"] * v["c_prev"] + v["i"] * v["g"]
    cache = tuple(v[name] for name in ("i", "f", "g", "o", "c_prev", "c"))
    peepholes = (v["p_i"], v["p_f"], v["p_o"])
    return follow(PEEPHOLE, v, *call(module, "backward", v["dh"], v["dc_carried"], cache, *peepholes))


LAYER_NORM = [
    Step("du", 10, lambda v: v["dh"] * (1 - v["h"] ** 2)),
    Step("dgamma", 2, lambda v: (v["du"] * v["a_bar"]).sum(axis=1, keepdims=True)),
    Step("dbeta", 2, lambda v: v["du"].sum(axis=1, keepdims=True)),
    Step("da_bar", 2, lambda v: v["du"] * v["gamma"]),
    Step(
        "da",
        59,
        lambda v: (
            (v["da_bar"] - v["da_bar"].mean(axis=0) - v["a_bar"] * (v["da_bar"] * v["a_bar"]).mean(axis=0)) / v["std"]
        ),
        points=2,
    ),
]


def grade_layer_norm(module: ModuleType, seed: int) -> list[Outcome]:
    v = _arrays(seed, a=(H + 1, B), gamma=(H + 1, 1), beta=(H + 1, 1), dh=(H + 1, B))
    v["std"] = v["a"].std(axis=0)
    v["a_bar"] = (v["a"] - v["a"].mean(axis=0)) / v["std"]
    v["h"] = np.tanh(v["gamma"] * v["a_bar"] + v["beta"])
    cache = (v["a_bar"], v["std"], v["h"])
    return follow(LAYER_NORM, v, *call(module, "backward", v["dh"], cache, v["gamma"]))
