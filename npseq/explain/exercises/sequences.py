"""Exercises on sequences: the loop through time, truncated BPTT, RTRL, and a faster order of the LSTM's backward."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import numpy as np

from .exercise import Outcome, Step, call, follow, together

T, H, B, I = 7, 3, 2, 2
Values = dict[str, Any]


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


# ---- the loop through time ----


def _dh(v: Values) -> Any:
    """(29), (30) and (39) for all steps; what a step carries back is computed from the da and dh of that step."""
    dh, da = np.empty(v["dys"].shape), v.get("da")
    carried = v["d_last"]
    for t in reversed(range(T)):
        dh[t] = v["valid"][t] * v["dys"][t] + carried
        here = v["valid"][t] * dh[t] * (1 - v["h"][t + 1] ** 2) if da is None else da[t]
        carried = v["W_h"].T @ here + (1 - v["valid"][t]) * dh[t]
    return dh


def _carried(v: Values) -> Any:
    return v["W_h"].T @ v["da"][0] + (1 - v["valid"][0]) * v["dh"][0]


DA = Step("da", 10, lambda v: v["valid"] * v["dh"] * (1 - v["h"][1:] ** 2))
AFTER = [
    Step("dW_x", 31, lambda v: sum(v["da"][t] @ v["x"][t].T for t in range(T))),
    Step("dW_h", 32, lambda v: sum(v["da"][t] @ v["h"][t].T for t in range(T))),
    Step("db", 33, lambda v: v["da"].sum(axis=(0, 2))[:, None]),
]
DX = Step("dx", 34, lambda v: v["W_x"].T @ v["da"])


def _loop(module: ModuleType, v: Values) -> tuple[Any, str | None]:
    result, error = call(module, "backward", *(v[n] for n in ("W_x", "W_h", "x", "h", "dys", "d_last", "valid")))
    return result, error


def _with_own_da(v: Values, result: Any) -> Values:
    """What a step carries back follows from the student's own da, where there is one."""
    da = result.get("da") if isinstance(result, dict) else None
    usable = isinstance(da, np.ndarray) and da.shape == v["dys"].shape and np.isfinite(da).all() and da.any()
    return {**v, "da": da} if usable else v


def _grade_dh(v: Values, result: Any, error: str | None) -> Outcome:
    """dh is right if it is, or if it follows from the student's own da."""
    step = Step("dh", 29, _dh, points=2)
    outcomes = [follow([step], known, result, error)[0] for known in (v, _with_own_da(v, result))]
    return max(outcomes, key=lambda outcome: outcome.points)


def grade_through_time(module: ModuleType, seed: int) -> list[Outcome]:
    v = _rnn(seed)
    result, error = _loop(module, v)
    outcomes = [_grade_dh(v, result, error)]
    known = {**v, "dh": _usable(result, "dh", _dh(v))}
    outcomes += follow([DA, *AFTER, DX, Step("dh_0", 30, _carried)], known, result, error)
    # sequences that end early, and one that is empty
    v = _rnn(seed + 1, lengths=(T, 3, 0))
    result, error = _loop(module, v)
    known = {**v, "dh": _usable(result, "dh", _dh(v))}
    padded = [_grade_dh(v, result, error), *follow([DA, Step("dh_0", 39, _carried)], known, result, error)]
    return outcomes + [
        outcome._replace(name=f"{outcome.name} with lengths", equation=39, points=min(outcome.points, 1), of=1)
        for outcome in padded
    ]


def _usable(result: Any, name: str, instead: np.ndarray) -> Any:
    """The student's value if others can be computed from it, else the right one."""
    value = result.get(name) if isinstance(result, dict) else None
    usable = isinstance(value, np.ndarray) and value.shape == instead.shape and np.isfinite(value).all() and value.any()
    return value if usable else instead


# ---- truncated ----

CHUNKS = (T, 3, 1)


def _truncated(chunk: int) -> Any:
    def dh(v: Values) -> np.ndarray:
        out, da = np.empty(v["dys"].shape), v.get("da")
        carried = np.zeros((H, B))
        for t in reversed(range(T)):
            if (t + 1) % chunk == 0:
                carried = np.zeros((H, B))
            out[t] = v["dys"][t] + carried
            carried = v["W_h"].T @ (out[t] * (1 - v["h"][t + 1] ** 2) if da is None else da[t])
        return out

    return dh


def grade_truncated(module: ModuleType, seed: int) -> list[Outcome]:
    v = _rnn(seed)
    outcomes, others = [], []
    for chunk in CHUNKS:
        result, error = call(module, "backward", v["W_h"], v["x"], v["h"], v["dys"], chunk)
        dh = _truncated(chunk)
        step = Step(f"dh with chunks of {chunk}", 29, dh)
        theirs = {step.name: result.get("dh")} if isinstance(result, dict) else result
        graded = [follow([step], known, theirs, error)[0] for known in (v, _with_own_da(v, result))]
        outcomes.append(max(graded, key=lambda outcome: outcome.points))
        known = {**v, "dh": _usable(result, "dh", dh(v))}
        others.append(follow([DA, *AFTER], known, result, error))
    names = [(step.name, step.equation) for step in (DA, *AFTER)]
    return outcomes + [together(*name, list(parts)) for name, parts in zip(names, zip(*others))]


# ---- RTRL ----


def grade_rtrl(module: ModuleType, seed: int) -> list[Outcome]:
    rng, steps = np.random.default_rng(seed), 4
    N = H * I + H * H + H
    v: Values = {"W_x": rng.normal(size=(H, I)), "W_h": rng.normal(size=(H, H)), "b": rng.normal(size=H)}
    v |= {"x": rng.normal(size=(steps, I)), "dy": rng.normal(size=(steps, H))}
    h = [rng.normal(size=H)]
    for t in range(steps):
        h.append(np.tanh(v["W_x"] @ v["x"][t] + v["W_h"] @ h[t] + v["b"]))

    def immediate(_: Values) -> np.ndarray:
        eye = np.eye(H)
        return np.array([np.hstack([np.kron(eye, v["x"][t]), np.kron(eye, h[t]), eye]) for t in range(steps)])

    def P(known: Values) -> np.ndarray:  # each slot from the student's slot before it, if there is one
        before, out = known.get("their P"), np.zeros((steps + 1, H, N))
        for t in range(steps):
            last = out[t] if before is None else before[t]
            out[t + 1] = (1 - h[t + 1] ** 2)[:, None] * (known["immediate"][t] + v["W_h"] @ last)
        return out

    def d_theta(known: Values) -> Any:
        return sum(v["dy"][t] @ known["P"][t + 1] for t in range(steps))

    result, error = call(module, "gradient", v["W_x"], v["W_h"], v["b"], v["x"], h[0], v["dy"])
    chain = [Step("immediate", 56, immediate), Step("P", 56, P, points=2), Step("d_theta", 57, d_theta, points=2)]
    return follow(chain, v, result, error)


# ---- the faster order ----

TIMES_AS_FAST = 1.3
FACTORS = [
    Step("K_c", 48, lambda v: v["o"] - v["h"] * np.tanh(v["c"][1:])),
    Step("K_o", 48, lambda v: v["h"] * (1 - v["o"])),
    Step("K_i", 48, lambda v: v["g"] * v["i"] * (1 - v["i"])),
    Step("K_f", 48, lambda v: v["c"][:-1] * v["f"] * (1 - v["f"])),
    Step("K_g", 48, lambda v: v["i"] * (1 - v["g"] ** 2)),
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


def grade_fused_lstm(module: ModuleType, seed: int) -> list[Outcome]:
    v = _lstm(seed, 6, H, B)
    outcomes = follow(FACTORS, v, *call(module, "factors", *(v[name] for name in "ifgoch")))
    K = {step.name: step.expected(v) for step in FACTORS}
    result, error = call(module, "backward", v["W_h"], K, v["f"], v["dys"])
    names, right = ("da", "dh_0", "dc_0"), plain(v)
    fits = isinstance(result, tuple) and len(result) == 3
    if error is None and not fits:
        error = f"a tuple da, dh_0, dc_0 expected, {type(result).__name__} returned"
    values = dict(zip(names, result)) if fits else {}
    equal = [Step(name, number, lambda _, a=a: a) for name, number, a in zip(names, (49, 30, 49), right)]  # type: ignore[misc]
    graded = follow(equal, v, values, error)
    return [*outcomes, *graded, _speed(module, all(outcome.points for outcome in [*outcomes, *graded]))]


def _speed(module: ModuleType, correct: bool) -> Outcome:
    """Two points for a backward pass, factors included, that is faster than the plain loop; only if it is correct."""
    if not correct:
        return Outcome("speed", 0, 2, None, "measured once everything else is right")
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
    ratio = seconds[plain] / seconds[theirs]
    if ratio >= TIMES_AS_FAST:
        return Outcome("speed", 2, 2, None)
    return Outcome("speed", 0, 2, None, f"{ratio:.2f} times as fast as the plain loop, {TIMES_AS_FAST} expected")
