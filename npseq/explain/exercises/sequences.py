"""Exercises on sequences: the loop through time, truncated BPTT, RTRL, and a faster order of the LSTM's backward.

A formula here is that of one step t: h_prev is slot t, h is slot t + 1, and x, dy, valid, dh, da are those of the step.
"""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import numpy as np

from ..formulas import Tree, evaluate
from .exercise import Compute, Outcome, Step, follow, kind_of, together, usable
from .running import Call, Result

T, H, B, I = 7, 3, 2, 2
Values = dict[str, Any]
Trees = dict[str, Tree]


def _rnn(seed: int, lengths: tuple[int, ...] | None = None) -> Values:
    """A forward pass of the RNN, as the exercises write it."""
    rng = np.random.default_rng(seed)
    batch = B if lengths is None else len(lengths)
    v: Values = {"W_x": rng.normal(size=(H, I)), "W_h": rng.normal(size=(H, H)), "b": rng.normal(size=(H, 1))}
    v |= {"x": rng.normal(size=(T, I, batch)), "dys": rng.normal(size=(T, H, batch))}
    v["d_last"], h = rng.normal(size=(H, batch)), [rng.normal(size=(H, batch))]
    ends = np.full(batch, T) if lengths is None else np.array(lengths)
    v["valid"] = (np.arange(T)[:, None] < ends)[:, None, :].astype(float)
    for t in range(T):
        new = np.tanh(v["W_x"] @ v["x"][t] + v["W_h"] @ h[t] + v["b"])
        h.append(v["valid"][t] * new + (1 - v["valid"][t]) * h[t])
    v["h"] = np.array(h)
    return v


def _at(v: Values, t: int) -> Values:
    """The values of one step."""
    step = {"h_prev": v["h"][t], "h": v["h"][t + 1], "x": v["x"][t], "dy": v["dys"][t], "columns": v["dys"].shape[2]}
    named = {"W_x": v["W_x"], "W_h": v["W_h"], **step, "valid": v["valid"][t]}
    return named | {name: v[name][t] for name in ("dh", "da") if name in v}


def _first(v: Values) -> Values:
    return _at(v, 0)


def each(trees: Trees, v: Values) -> Any:
    """A formula at every step."""
    return np.array([evaluate(trees[""], _at(v, t)) for t in range(T)])


def summed(trees: Trees, v: Values) -> Any:
    """The sum of a formula over the steps; over some of them, or a mean, if a known mistake says so."""
    first, last, mean = (trees.get(name, 0) for name in ("first", "last", "mean"))
    total = sum(evaluate(trees[""], _at(v, t)) for t in range(first, T - last))
    return total / evaluate(mean or 1, {"steps": T, "columns": v["dys"].shape[2]})


SUMS = (
    ({"first": 1}, "steps", "the first step is missing in the sum"),
    ({"last": 1}, "steps", "the last step is missing in the sum"),
    ({"mean": "steps"}, "scale", "the mean over the steps in place of the sum"),
    ({"mean": "columns"}, "scale", "the mean over the columns in place of the sum"),
    ({"mean": ("*", "steps", "columns")}, "scale", "the mean over steps and columns in place of the sum"),
)


# ---- the loop through time ----

CARRIED = "W_h.T @ da + (1 - valid) * dh"
LOOP = {"dh": "valid * dy + carried", "carried": CARRIED, "last": "d_last"}


def loop(chunk: int | None = None) -> Compute:
    """(29), (30) and (39) at every step, from the last; what a step carries back follows from its own dh and da."""

    def compute(trees: Trees, v: Values) -> Any:
        dh, carried = np.empty(v["dys"].shape), evaluate(trees["last"], {**v, "zero": np.zeros((H, v["dys"].shape[2]))})
        for t in range(T) if "forwards" in trees else reversed(range(T)):
            if chunk is not None and evaluate(trees["cut"], {"t": t}) % chunk == 0:
                carried = 0 * carried
            step = {**_at({**v, "dh": dh}, t), "carried": carried}
            step["dh"] = dh[t] = evaluate(trees["dh"], step)
            own = v["valid"][t] * dh[t] * (1 - v["h"][t + 1] ** 2)
            step["da"] = v["da"][t] if "da" in v else own
            carried = evaluate(trees["carried"], step)
        return dh

    return compute


def _loop_scope(v: Values) -> Values:
    return {**_at(v, 0), "carried": v["dys"][0], "dh": v["dys"][0], "da": v["dys"][0]}


FORWARDS = ({"forwards": 1}, "order", "the loop runs from the first step; backward starts at the last")
LAST = (({"last": "zero"}, "carry", "d_last, the gradient of the last state itself, is missing"), FORWARDS)
DH = Step("dh", 29, LOOP, 6, loop(), _loop_scope, LAST)
DA = Step("da", 10, "valid * dh * (1 - h**2)", 1, each, _first)
AFTER = [
    Step("dW_x", 31, "da @ x.T", 1, summed, _first, SUMS),
    Step("dW_h", 32, "da @ h_prev.T", 1, summed, _first, SUMS),
    Step("db", 33, "sum(da, 1)", 1, summed, _first, SUMS),
]
DX = Step("dx", 34, "W_x.T @ da", 1, each, _first)
DH_0 = Step("dh_0", 30, CARRIED, 1, lambda trees, v: evaluate(trees[""], _at(v, 0)), _first)


def _with_own_da(v: Values, result: Result) -> Values:
    """What a step carries back follows from the student's own da, where there is one."""
    da = _value(result, "da")
    return {**v, "da": da} if usable(da, v["dys"]) else v


def _value(result: Result, name: str) -> Any:
    return result.value.get(name) if isinstance(result.value, dict) else None


def _grade_dh(step: Step, v: Values, result: Result) -> Outcome:
    """dh is right if it is, or if it follows from the student's own da."""
    outcomes = [follow([step], known, result)[0] for known in (v, _with_own_da(v, result))]
    return max(outcomes, key=lambda outcome: (outcome.points, outcome.kind is not None))


def _with_own_dh(v: Values, result: Result, dh: Step) -> Values:
    value, right = _value(result, "dh"), dh.expected(v)
    return {**v, "dh": value if usable(value, right) else right}


def _padded(seed: int) -> Values:
    """Sequences that end early, and one that is empty."""
    return _rnn(seed + 1, lengths=(T, 3, 0))


def through_time_calls(seed: int) -> list[Call]:
    names = ("W_x", "W_h", "x", "h", "dys", "d_last", "valid")
    return [Call("backward", tuple(v[n] for n in names)) for v in (_rnn(seed), _padded(seed))]


def judge_through_time(results: list[Result], seed: int) -> list[Outcome]:
    """Most points are for what is carried from step to step; the rest follows from dh as in one step."""
    outcomes = []
    for v, result, padded in zip((_rnn(seed), _padded(seed)), results, (False, True)):
        known = _with_own_dh(v, result, DH)
        others = [DA, DH_0] if padded else [DA, *AFTER, DX, DH_0]
        found = [_grade_dh(DH, v, result), *follow(others, known, result)]
        for outcome in found:
            if padded:
                points = 3 if outcome.name == "dh" else 1
                name, got = f"{outcome.name} with lengths", points if outcome.points else 0
                outcome = outcome._replace(name=name, points=got, of=points, equation=39)
            outcomes.append(outcome)
    return outcomes


# ---- truncated ----

NEVER = 0.5  # no multiple of any chunk
CUTS = (
    ({"cut": NEVER}, "cut", "nothing is cut: at the last step of a chunk, what the next step passed back is dropped"),
    ({"cut": "t"}, "cut", "cut at the first step of a chunk in place of the last"),
    ({"cut": ("-", T, "t")}, "cut", "the chunks are counted from the end of the sequence"),
    ({"cut": ("-", ("-", T, 1), "t")}, "cut", "the chunks are counted from the end of the sequence"),
    FORWARDS,
)
CHUNKS = {T: 3, 3: 6, 1: 3}  # length -> points: one chunk is the full gradient, chunks of one step carry nothing


def truncated_calls(seed: int) -> list[Call]:
    v = _rnn(seed)
    return [Call("backward", (v["W_h"], v["x"], v["h"], v["dys"], chunk)) for chunk in CHUNKS]


def judge_truncated(results: list[Result], seed: int) -> list[Outcome]:
    v = _rnn(seed)
    outcomes, others = [], []
    for (chunk, points), result in zip(CHUNKS.items(), results):
        formulas = {"dh": "dy + carried", "carried": "W_h.T @ da", "cut": "t + 1", "last": "zero"}
        step = Step(f"dh with chunks of {chunk}", 29, formulas, points, loop(chunk), _loop_scope, CUTS)
        named = result.value
        if isinstance(named, dict):
            named = {**named, step.name: named.get("dh")}
        outcomes.append(_grade_dh(step, v, result._replace(value=named)))
        others.append(follow([DA, *AFTER], _with_own_dh(v, result, step), result))
    names = [(step.name, step.equation) for step in (DA, *AFTER)]
    return outcomes + [together(*name, list(parts)) for name, parts in zip(names, zip(*others))]


# ---- RTRL ----

STEPS = 4


def _rtrl(seed: int) -> Values:
    rng = np.random.default_rng(seed)
    v: Values = {"W_x": rng.normal(size=(H, I)), "W_h": rng.normal(size=(H, H)), "b": rng.normal(size=H)}
    v |= {"x": rng.normal(size=(STEPS, I)), "dy": rng.normal(size=(STEPS, H))}
    h = [rng.normal(size=H)]
    for t in range(STEPS):
        h.append(np.tanh(v["W_x"] @ v["x"][t] + v["W_h"] @ h[t] + v["b"]))
    return {**v, "h": np.array(h)}


def rtrl_calls(seed: int) -> list[Call]:
    v = _rtrl(seed)
    return [Call("gradient", (v["W_x"], v["W_h"], v["b"], v["x"], v["h"][0], v["dy"]))]


def judge_rtrl(results: list[Result], seed: int) -> list[Outcome]:
    v, eye = _rtrl(seed), np.eye(H)

    def at(known: Values, t: int, before: Any) -> Values:
        step = {
            "h": known["h"][t + 1][:, None],
            "h_prev": known["h"][t][:, None],
            "W_h": known["W_h"],
            "P_prev": before,
        }
        return step | ({"immediate": known["immediate"][t]} if "immediate" in known else {})

    def immediate(trees: Trees, known: Values) -> Any:
        rows = [(known["x"][t], evaluate(trees[""], at(known, t, None)).ravel()) for t in range(STEPS)]
        return np.array([np.hstack([np.kron(eye, x), np.kron(eye, h), eye]) for x, h in rows])

    def P(trees: Trees, known: Values) -> Any:  # each slot from the student's slot before it, if there is one
        out = np.zeros((STEPS + 1, *known["immediate"].shape[1:]))
        for t in range(STEPS):
            before = known["P before"][t] if "P before" in known else out[t]
            out[t + 1] = evaluate(trees[""], at(known, t, before))
        return out

    def d_theta(trees: Trees, known: Values) -> Any:
        steps = ({"dy": known["dy"][t][None], "P": known["P"][t + 1], "P_prev": known["P"][t]} for t in range(STEPS))
        return sum(evaluate(trees[""], step)[0] for step in steps)

    chain = [
        Step("immediate", 56, "h_prev", 1, immediate, lambda known: at(known, 0, known["W_h"])),
        Step("P", 56, "(1 - h**2) * (immediate + W_h @ P_prev)", 2, P, lambda known: at(known, 0, known["W_h"])),
        Step("d_theta", 57, "dy @ P", 2, d_theta, lambda known: {"P": known["P"], "P_prev": known["P"]}),
    ]
    return follow(chain, v, results[0])


# ---- the faster order ----

TIMES_AS_FAST = 1.3
FACTORS = [
    Step("K_c", 48, "o - h * tanh(c) = o * (1 - tanh(c)**2)"),
    Step("K_o", 48, "h * (1 - o) = tanh(c) * o * (1 - o)"),
    Step("K_i", 48, "g * i * (1 - i)"),
    Step("K_f", 48, "c_prev * f * (1 - f)"),
    Step("K_g", 48, "i * (1 - g**2)"),
]


def _lstm(seed: int, steps: int, units: int, batch: int) -> Values:
    rng = np.random.default_rng(seed)
    v: Values = {gate: 1 / (1 + np.exp(-rng.normal(size=(steps, units, batch)))) for gate in "ifo"}
    v["g"], c = np.tanh(rng.normal(size=(steps, units, batch))), [rng.normal(size=(units, batch))]
    for t in range(steps):
        c.append(v["f"][t] * c[t] + v["i"][t] * v["g"][t])
    v["c"], v["dys"] = np.array(c), rng.normal(size=(steps, units, batch))
    v["h"], v["W_h"] = v["o"] * np.tanh(v["c"][1:]), rng.normal(size=(4 * units, units)) / units
    return v


def plain(v: Values) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The backward pass as section 4 of docs/derivation.md has it: da, dh_0, dc_0."""
    steps, units, batch = v["dys"].shape
    da, dh, dc = np.empty((steps, 4 * units, batch)), np.zeros((units, batch)), np.zeros((units, batch))
    for t in reversed(range(steps)):
        i, f, g, o, tanh_c = v["i"][t], v["f"][t], v["g"][t], v["o"][t], np.tanh(v["c"][t + 1])
        dh = v["dys"][t] + dh
        do = dh * tanh_c
        dc = dc + dh * o * (1 - tanh_c**2)
        df, di, dg = dc * v["c"][t], dc * g, dc * i
        da[t, :units] = di * i * (1 - i)
        da[t, units : 2 * units] = df * f * (1 - f)
        da[t, 2 * units : 3 * units] = dg * (1 - g**2)
        da[t, 3 * units :] = do * o * (1 - o)
        dh, dc = v["W_h"].T @ da[t], dc * f
    return da, dh, dc


def _fused(seed: int) -> Values:
    v = _lstm(seed, 6, H, B)
    v["slots"], v["c"], v["c_prev"] = v["c"], v["c"][1:], v["c"][:-1]
    return v


def fused_calls(seed: int) -> list[Call]:
    v = _fused(seed)
    K = {step.name: step.expected(v) for step in FACTORS}
    given = tuple(v[name] for name in ("i", "f", "g", "o", "slots", "h"))
    return [Call("factors", given), Call("backward", (v["W_h"], K, v["f"], v["dys"])), Call(measure, ())]


def judge_fused(results: list[Result], seed: int) -> list[Outcome]:
    v = _fused(seed)
    outcomes = follow(FACTORS, v, results[0])
    result, names = results[1], ("da", "dh_0", "dc_0")
    right = plain({**v, "c": v["slots"]})
    fits = isinstance(result.value, tuple) and len(result.value) == 3
    error = result.error
    if error is None and not fits:
        error = f"a tuple da, dh_0, dc_0 expected, {kind_of(result.value)} returned"
    values = dict(zip(names, result.value)) if fits else {}
    equal = [Step(name, n, "0", 1, lambda _, v, a=a: a) for name, n, a in zip(names, (49, 30, 49), right)]  # type: ignore[misc]
    outcomes += follow(equal, {}, Result(values, error, result.failed))
    ratio, message = results[2].value, None
    if not all(outcome.points for outcome in outcomes):
        message = "measured once everything else is right"
    elif not isinstance(ratio, np.ndarray) or ratio.shape != ():
        message = results[2].error or "not measured"
    elif ratio < TIMES_AS_FAST:
        message = f"{ratio:.2f} times as fast as the plain loop, {TIMES_AS_FAST} expected"
    return [*outcomes, Outcome("speed", 2 if message is None else 0, 2, None, message)]


def measure(module: ModuleType) -> float:
    """How many times as fast as the plain loop a backward pass is, factors included."""
    v = _lstm(0, 40, 8, 4)  # small: what is measured is the number of calls, not memory
    arrays = [v[name] for name in "ifgoch"]

    def theirs() -> None:
        module.backward(v["W_h"], module.factors(*arrays), v["f"], v["dys"])

    seconds = {theirs: np.inf, plain: np.inf}
    for _ in range(15):  # in turns, so that a busy machine slows both
        for run in seconds:
            start = time.perf_counter()
            run(v) if run is plain else run()  # type: ignore[operator]
            seconds[run] = min(seconds[run], time.perf_counter() - start)
    return float(seconds[plain] / seconds[theirs])
