"""Which function of a kernel of ``fused/``, or of ``through_time.py``, is wrong: the steps of a failing call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...bptt import Weights
from ...fused import one_hot, through_time
from ...fused.kernel_base import Kernel
from ...fused.kernels import KERNELS
from ...fused.packing import Packing
from ..reference import known
from .same import at, same, work

STATE_BLOCKS = {"ifgo": ("o", "i", "f", "g", "c_prev", "tanh_c"), "rzn": ("a_hn", "r", "z", "n", "q"), "h": ()}
FACTORS = {
    "ifgo": ("K_c", "K_o", "K_i", "K_f", "K_g", "K_next"),
    "rzn": ("K_hn", "K_r", "K_z", "K_n", "K_h"),
    "h": ("K",),
}
IN_ORDER = {"ifgo": (1, 0, 2, 3, 4, 5), "rzn": (3, 0, 1, 4, 2), "h": (0,)}  # in which the factors are computed
RIGHT = "every step is right; what it makes of"


def expected_stack(gates: str, weights: Weights) -> np.ndarray:
    """Return the stacked weights of a kernel, row by row."""
    W_x, W_h, b_x, b_h = (np.zeros((len(weights.W_x), 1)) if W is None else W for W in weights[:4])
    H = len(W_x) // len(gates)

    def rows(gate: str, x: bool = True, h: bool = True) -> np.ndarray:
        k = slice(gates.index(gate) * H, (gates.index(gate) + 1) * H)
        return np.concatenate([h * W_h[k], x * W_x[k], x * b_x[k] + h * b_h[k]], axis=1)

    if gates == "rzn":
        return np.concatenate([rows("n", x=False), rows("r"), rows("z"), rows("n", h=False)])
    return np.concatenate([rows(gate) for gate in ("oifg" if gates == "ifgo" else gates)])


def of_kernel(call: Any) -> Iterator[str]:
    """Yield which function of a kernel, or of ``through_time.py``, is wrong."""
    p = call.problem
    kernel, gates, rng = KERNELS[p.cell], p.cell.gates, np.random.default_rng(0)
    W, true_W = kernel.stack(p.weights), expected_stack(gates, p.weights)
    H, B = p.state[0].shape
    if not same(W, true_W):
        rows, columns = np.nonzero(np.abs(W - true_W) > 1e-12)
        what = "b_x, b_h" if (columns == W.shape[1] - 1).all() else "W_x, W_h"
        yield at(kernel.stack, f"W is not [W_h, W_x, b_x + b_h] ({what})", "H + I] =")
        return
    factor = {"ifgo": (0.5, 0.5, 0.5, 1), "rzn": (1, 0.5, 0.5, 1), "h": (1,)}[gates]
    if not same(kernel.halve(W), W * np.repeat(factor, H)[:, None]):
        yield at(kernel.halve, "the rows of the σ gates of W are not halved, or others are", "*=")
        return
    if call.backward:
        dW = rng.standard_normal(W.shape)
        v = Weights._make(
            [None if part is None else rng.standard_normal(part.shape) for part in p.weights[:5]] + [None]
        )
        unpacked = kernel.unpack(dW, p.weights)
        for name, part, d in zip(v._fields, v[:5], unpacked[:5]):
            if part is None:
                continue
            alone = Weights._make(
                [np.zeros_like(q) if q is not None and n != name else q for n, q in zip(v._fields, v[:5])] + [None]
            )
            if not abs((dW * expected_stack(gates, alone)).sum() - (d * part).sum()) <= 1e-9 * np.abs(dW).sum():
                shared = gates == "ifgo" and name.startswith("b_")
                yield at((Kernel if shared else kernel).unpack, f"d{name} (db) is not taken from its rows of dW")
                return
    yield from _forward_steps(call, kernel, W)
    if call.backward:
        yield from _backward_steps(call, kernel, W)
        yield at(through_time.backward_through_time, f"{RIGHT} d_state, d_outputs and dx is not")
    else:
        yield at(through_time.forward_through_time, f"{RIGHT} the outputs is not")


def _packed(call: Any) -> tuple[Any, np.ndarray, Any]:
    """Return the packing of a call (or None), x in the order of the steps, and d_hs alike."""
    p, T = call.problem, len(call.problem.x)
    lengths = None if p.lengths is None or (np.asarray(p.lengths) == T).all() else np.asarray(p.lengths)
    if lengths is not None:
        packing = Packing(T, lengths, p.reverse, work(call))
        return packing, packing.packed(p.x), packing.packed(p.d_hs)
    order = slice(None, None, -1 if p.reverse else 1)
    return None, p.x[order], p.d_hs[order]


def _run(call: Any, kernel: Any, W: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """Run ``through_time._forward`` of a call. Returns the lease, the packing and the outputs of its steps."""
    p = call.problem
    packing, x, _ = _packed(call)
    B = x.shape[2]
    if call.indices is not None and packing is None:
        x = call.indices[:: -1 if p.reverse else 1]
    hs = np.empty((len(x), B, len(p.state[0]))).transpose(0, 2, 1)
    _, lease = through_time._forward(kernel, kernel.halve(W), x, p.state, hs, True, np.matmul, packing)
    return lease, packing, hs


def _forward_steps(call: Any, kernel: Any, W: np.ndarray) -> Iterator[str]:
    """Yield what is wrong in the workspace of a forward pass: x, a hoisted product, the state, a block of a step."""
    p = call.problem
    H, I, true = len(p.state[0]), p.x.shape[1], known(p.cell)
    lease, packing, hs = _run(call, kernel, W)
    _, x, _ = _packed(call)
    space, T = lease.workspace, len(x)
    if call.indices is None and not same(space.Z[:T, H : H + I], x):
        yield at(through_time._load, "x in the workspace is not x", "= x")
        return
    states = kernel.states(space)
    starts = (
        [(0, slice(None), slice(None))]
        if packing is None
        else list(zip(packing.starts, packing.columns, packing.sequences))
    )
    for t, columns, sequences in starts:
        for letter, slots, given in zip(p.cell.state, states, p.state):
            if not same(slots[t][:, columns], given[:, sequences]):
                function = kernel.set_state if packing is None else through_time._forward_packed
                yield at(function, f"the initial {letter} (part, state) is not in its slot", "part[t + shift]")
                return
    if space._hoisted is not None and call.indices is None and len(space._hoisted):
        first, rows = space._hoisted_first, kernel.rows_of_x(H)
        half = kernel.halve(W)[rows, H:]
        n = len(space._hoisted)
        true_a = np.array([half @ np.concatenate([x[t], np.ones((1, x.shape[2]))]) for t in range(first, first + n)])
        if not same(space._hoisted, true_a):
            yield at(space.hoist, "a_x is not W_x x + b of its steps (x)", "x = ")
            return
    a_x = np.array([p.weights.W_x @ x_t + (0 if p.weights.b_x is None else p.weights.b_x) for x_t in x])
    for t in range(T):
        before = tuple(slots[t] for slots in states)
        a_h = p.weights.W_h @ before[0] + (0 if p.weights.b_h is None else p.weights.b_h)
        new, cache = true.forward(a_x[t], a_h, before)
        found = _wrong_block(call, kernel, space, t, new, cache, a_h, packing)
        if found:
            yield found
            return
    ending = () if packing is None else zip(packing.sequences, packing.last_slots, packing.columns)
    if not same(hs, states[0][1 : T + 1]):
        yield at(through_time._forward, "hs is not h of the slots", "hs[start")
    for b, slot, column in ending:
        for letter, slots, final in zip(
            p.cell.state, states, call.forward.result[1] if call.forward else call.result[1]
        ):
            if not same(final[:, b], slots[slot][:, column]):
                yield at(
                    through_time._forward_packed, f"the final {letter} (whole) is not that of the last slot", "whole["
                )
                return


def _wrong_block(
    call: Any, kernel: Any, space: Any, t: int, new: Any, cache: Any, a_h: np.ndarray, packing: Any
) -> str | None:
    """Return what is wrong after step t in the workspace; ``new`` and ``cache`` are those of the second statement."""
    gates, H = call.problem.cell.gates, len(new[0])
    run = kernel._run if gates == "rzn" else kernel.forward
    values: dict[str, np.ndarray] = {}
    if gates == "ifgo":
        i, f, g, o, c_prev, tanh_c = cache
        values = {"i": i, "f": f, "o": o, "g": g, "c_prev": c_prev, "c": new[1], "tanh_c": tanh_c, "h": new[0]}
    elif gates == "rzn":
        r, z, n, a_hn, h_prev = cache
        values = {"a_hn": a_hn, "r": r, "z": z, "n": n, "q": n - h_prev, "h": new[0]}
    else:
        values = {"h": new[0]}
    blocks = dict(zip(STATE_BLOCKS[gates], space.S[t])) if gates != "h" else {}
    for key, true in values.items():
        given = space.Z[t + 1, :H] if key == "h" else space.S[t + 1, 4] if key == "c" else blocks[key]
        starts_next = packing is not None and key in "hc" and (packing.starts == t + 1).any()
        if starts_next:
            free = np.setdiff1d(np.arange(given.shape[1]), packing.columns[packing.starts == t + 1])
            given, true = given[:, free], true[:, free]
        if not same(given, true):
            text = {"c": ", c)", "h": ", h)"}.get(key, f", {key})")
            if key in ("i", "f", "o", "r", "z"):
                text = "tanh("
            if call.indices is not None and t and _same_as_first_table(call, space, t):
                return at(space.look_up, f"W_x x + b of step {t} is that of another step (_hoisted_first)", "first")
            return at(run, f"{key} is wrong at step {t}", text, last=True)
    return None


def _same_as_first_table(call: Any, space: Any, t: int) -> bool:
    """True if the steps that were looked up last do not begin at their own first step."""
    return space._hoisted_first == 0 and len(space._indices) < len(call.indices)


def _true_factors(gates: str, relu: bool, cache: Any, new: Any) -> list[np.ndarray]:
    if gates == "ifgo":
        i, f, g, o, c_prev, tanh_c = cache
        return [o * (1 - tanh_c**2), new[0] * (1 - o), i * g * (1 - i), f * c_prev * (1 - f), i * (1 - g**2), f]
    if gates == "rzn":
        r, z, n, a_hn, h_prev = cache
        K_n = z * (1 - n**2)
        return [K_n * r, K_n * a_hn * r * (1 - r), (n - h_prev) * z * (1 - z), K_n, 1 - z]
    return [(new[0] > 0) * 1.0 if relu else 1 - new[0] ** 2]


def _backward_steps(call: Any, kernel: Any, W: np.ndarray) -> Iterator[str]:
    """Yield what is wrong in a backward pass over a workspace that is right: factors, a step, a sum."""
    p, gates = call.problem, call.problem.cell.gates
    true, relu = known(p.cell), kernel.__name__ == "ReLURNNKernel"
    lease, packing, _ = _run(call, kernel, W)
    _, x, d_hs = _packed(call)
    space, T, H = lease.workspace, len(x), len(p.state[0])
    width = x.shape[2]
    states = kernel.states(space)
    K = np.empty((T, kernel.factor_blocks, H, width))
    kernel.factors(space, K, 0, T)
    true_K = np.empty_like(K)
    for t in range(T):
        before = tuple(slots[t] for slots in states)
        a_h = p.weights.W_h @ before[0] + (0 if p.weights.b_h is None else p.weights.b_h)
        a_x = p.weights.W_x @ x[t] + (0 if p.weights.b_x is None else p.weights.b_x)
        new, cache = true.forward(a_x, a_h, before)
        true_K[t] = _true_factors(gates, relu, cache, new)
    given_K = (K.view("i8") != 0) * 1.0 if relu else K
    for k in IN_ORDER[gates]:
        bad = [t for t in range(T) if not same(given_K[t, k], true_K[t, k])] if packing is None else []
        if packing is not None:
            inside = np.zeros((T, width), bool)
            for b, start, column in zip(packing.sequences, packing.starts, packing.columns):
                inside[start : start + np.asarray(p.lengths)[b], column] = True
            bad = [t for t in range(T) if not same(given_K[t, k] * inside[t], true_K[t, k] * inside[t])]
        if bad:
            label = FACTORS[gates][k]
            text = f"{label} is wrong at step {bad[0]}"
            found = [at(kernel.factors, text, part, last=True) for part in (f", {label})", f"={label})", "K[:, 0]")]
            yield max(found, key=lambda line: ";" in line)
            return
    yield from _gradients(call, kernel, W, space, packing, x, d_hs, true_K)


def _gradients(
    call: Any, kernel: Any, W: np.ndarray, space: Any, packing: Any, x: np.ndarray, d_hs: np.ndarray, K: np.ndarray
) -> Iterator[str]:
    """Yield what is wrong with the gradients of the steps, or the sums over them, given the factors K."""
    p, gates = call.problem, call.problem.cell.gates
    H, T, width, I = len(p.state[0]), len(x), x.shape[2], x.shape[1]
    captured: list[np.ndarray] = []

    class Captured(kernel):  # type: ignore[misc]
        @classmethod
        def backward(cls, workspace: Any, W_T: Any, steps: Any) -> None:
            super().backward(workspace, W_T, steps)
            captured.extend(workspace.D[t].copy() for t in reversed(range(steps.first, steps.last)))

    Captured.__name__ = kernel.__name__
    d_outputs = d_hs.copy()
    if packing is not None:
        d_outputs[packing.last_slots - 1, :, packing.columns] += p.d_state[0][:, packing.sequences].T
    dx = np.empty((T, width, I))
    d_inputs = None
    W_run = W
    if call.indices is not None:
        d_inputs = one_hot.TableGradient(kernel, call.indices[:: -1 if p.reverse else 1], I, H, W.dtype)
        W_run, _ = one_hot.split(kernel, W, H)
    dW, d_before = through_time._backward(
        Captured, space, T, W_run, d_outputs, p.d_state, None if d_inputs else dx, np.matmul, packing, d_inputs
    )
    if len(captured) != T:
        yield at(through_time._backward, f"{len(captured)} of {T} steps run (start)", "for start in")
        return
    D = np.array(captured[::-1])
    W_T = W[kernel.rows_of_h(H), :H].T
    dh: Any
    dc: Any
    labels: tuple[str, ...]
    dh, dc = (
        ([part.copy() for part in p.d_state] + [None])[:2]
        if packing is None
        else ([np.zeros((H, width)) for _ in p.state] + [None])[:2]
    )
    last_c: dict[int, list[Any]] = {}
    if packing is not None and dc is not None:
        for b, slot, column in zip(packing.sequences, packing.last_slots, packing.columns):
            last_c.setdefault(int(slot) - 1, []).append((b, column))
    starts = {} if packing is None else {t: np.flatnonzero(packing.starts == t) for t in set(packing.starts.tolist())}
    for t in reversed(range(T)):
        dh = dh + d_outputs[t]
        if gates == "ifgo":
            for b, column in last_c.get(t, ()):
                dc[:, column] += p.d_state[1][:, b]
            dc = dc + dh * K[t, 0]
            true = np.array([K[t, 0] * dh, K[t, 1] * dh, *(K[t, k] * dc for k in (2, 3, 4)), K[t, 5] * dc])
            labels = ("dc_here", "da_o", "da_i", "da_f", "da_g", "dc_prev")
            true[0] = dc  # the sum of both ways
            dc = true[5].copy()
        elif gates == "rzn":
            true = K[t] * dh
            labels = ("da_hn", "da_r", "da_z", "da_xn", "direct")
        else:
            true, labels = (K[t] * dh), ("da",)
        for k, label in enumerate(labels):
            if not same(D[t, k], true[k]):
                text = f"{label} (dh{', dc_here' if gates == 'ifgo' else ''}) is wrong at step {t}"
                if packing is not None and any(t < s for s in starts if s):
                    text += ", below the start of another sequence (part)"
                    yield at(through_time._backward_packed, text, "= 0")
                else:
                    text += " (gradient_at_end)" if packing is not None and t in last_c else ""
                    line = "add(dc" if label.startswith("dc") else "add(dh" if t < T - 1 else "multiply("
                    yield at(kernel.backward, text, line, last=True)
                return
        da = true[kernel.da].reshape(-1, width)
        rows = kernel.rows_of_h(H)
        dh = W_T @ (da[rows] if gates == "rzn" else da)
        if gates == "rzn":
            dh = dh + true[4]
        if packing is not None:
            for which in starts.get(t, ()):
                column = packing.columns[which]
                dh[:, column] = 0
                if dc is not None:
                    dc[:, column] = 0
    if packing is None and not same(d_before[0], dh):
        yield at(kernel.backward, "dh before the first step is wrong (direct)", "add(dh", last=True)
        return
    yield from _sums(call, kernel, W, space, x, D, dW, dx, d_inputs)


def _sums(
    call: Any,
    kernel: Any,
    W: np.ndarray,
    space: Any,
    x: np.ndarray,
    D: np.ndarray,
    dW: np.ndarray,
    dx: Any,
    d_inputs: Any,
) -> Iterator[str]:
    """Yield what is wrong with dW and dx, given the gradients D of all steps."""
    H, T, width, I = len(call.problem.state[0]), len(x), x.shape[2], x.shape[1]
    Z = np.concatenate([space.Z[:T, :H], x, np.ones((T, 1, width))], axis=1)
    if d_inputs is not None:
        Z = np.delete(Z, slice(H, H + I), axis=1)
    da = D[:, kernel.da].reshape(T, -1, width)
    true = np.einsum("tab,tzb->az", da, Z)
    if call.problem.cell.gates == "rzn":
        true[:H, H:-1], true[3 * H :, :H] = 0, 0
    if not same(dW, true):
        bias = same(dW[:, :-1], true[:, :-1])
        text = f"dW{' (bias)' if bias else ''} is not Σ da ζᵀ"
        yield at(kernel.add_dW, text, "dW[:H, -1]" if bias else "dW")
        return
    rows = kernel.rows_of_x(H)
    if d_inputs is None and not same(dx, np.einsum("ai,tab->tbi", W[rows, H : H + I], da[:, rows])):
        yield at(through_time._backward, "dx is not W_xᵀ da", "dx[start")
