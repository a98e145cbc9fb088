"""Which function of ``fused/`` is wrong: the contracts of what knows steps, and the search for the first broken one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...bptt import Tape, Weights
from ...fused import kernels, through_time
from .. import reference
from ..reference import known
from ..reference_layer import one_hot
from ..result import largest
from .contracts import CELL_OF, Promise, checking, contract, defined, expected_stack, gates_of, places_in
from .same import same

AMPLIFIED = 1e-6  # relative error of whole passes, which amplify rounding


@contract("_load", through_time)
def _load(g: Any) -> Promise:
    yield
    space, H = g.workspace, g.workspace.sizes[2]
    if not same(space.Z[g.first : g.first + len(g.x), H : H + g.x.shape[1]], g.x):
        yield None, "x in the workspace (Z) is not x", "= x"
    elif space._hoisted is not None and (not space.large or space._hoisted_first != g.first):
        yield None, "W_x x + b is that of an earlier call (_hoisted, do_not_hoist)", "hoist"


@contract("unpack", *defined("unpack"))
def _unpack_dW(g: Any) -> Promise:
    """dW ⊙ stack(v) must be d_weights ⊙ v, for v in one of the weights."""
    found, rng = (yield), np.random.default_rng(0)
    zeros = [None if part is None else np.zeros_like(part) for part in g.weights[:5]] + [None]
    for name, part, d in zip(Weights._fields, g.weights[:5], found[:5]):
        if part is not None:
            v = rng.standard_normal(part.shape)
            stacked = expected_stack(gates_of(g.owner), Weights._make(zeros)._replace(**{name: v}))
            if not abs((g.dW * stacked).sum() - (d * v).sum()) <= 1e-6 * np.abs(g.dW).sum():
                yield None, f"d{name} (db) is not taken from its rows of dW"


@contract("set_state", *defined("set_state"))
def _set_state(g: Any) -> Promise:
    yield
    slots = [g.workspace.Z[0, : g.workspace.sizes[2]]]
    slots += [g.workspace.S[0, 4]] if g.owner is kernels.LSTMKernel else []
    if not all(map(same, slots, g.state)):
        yield None, "the initial state is not in its slot"


@contract("forward", *defined("forward")[1:])
def _forward_kernel(g: Any) -> Promise:
    """Each block of each step, by the second statement of the cell."""
    space, W, gates, rows_of_x = g.workspace, g.W, gates_of(g.cls), g.cls.rows_of_x(g.workspace.sizes[2])
    H, by_index = space.sizes[2], space._table is not None
    stale = space.W_h is not None and not same(space.W_h, W[g.cls.rows_of_h(H), :H])
    state: Any = tuple(part[g.first].copy() for part in g.cls.states(space))
    yield
    for t in range(g.first, g.last):
        A, k = W[:, :H] @ state[0], t - space._hoisted_first
        if by_index or space._hoisted is not None:
            A[rows_of_x] += space._table[:, space._indices[k]] if by_index else space._hoisted[k]
            A[:H] += W[:H, -1:] if gates == "rzn" else 0
        else:
            A += W[:, H:] @ space.Z[t, H:]
        if not np.isfinite(A).all():
            return
        a_x, a_h, blocks = A, 0 * A, np.split(A, len(A) // H)
        if gates == "ifgo":
            a_x = np.concatenate([2 * blocks[1], 2 * blocks[2], blocks[3], 2 * blocks[0]])
        elif gates == "rzn":
            a_x, a_h = np.concatenate([2 * blocks[1], 2 * blocks[2], blocks[3]]), np.zeros_like(A[H:])
            a_h[2 * H :] = blocks[0]
        new, cache = CELL_OF[g.cls].forward(a_x, a_h, state)
        wrong = _wrong_block(space, t, gates, new, cache)
        if wrong and stale:
            yield through_time._forward, "W_h of the workspace is that of an earlier call", "workspace.W_h"
        elif wrong:
            text = "tanh(" if wrong in ("i", "f", "o", "r", "z") else f", {wrong})"
            yield g.cls._run if gates == "rzn" else None, f"{wrong} is wrong at step {t}", text, True
        state = new


def _wrong_block(space: Any, t: int, gates: str, new: Any, cache: Any) -> str | None:
    """Return the first block of step t that is wrong in a workspace, in the order in which they are computed."""
    given, true, order = {"h": space.Z[t + 1, : len(new[0])]}, {"h": new[0]}, ["h"]
    if space.key[-1] and gates == "ifgo":  # what inference does not keep cannot be compared
        given.update(zip(("o", "i", "f", "g", "c_prev", "tanh_c"), space.S[t]), c=space.S[t + 1, 4])
        true.update(zip(("i", "f", "g", "o", "c_prev", "tanh_c"), cache), c=new[1])
        order = ["i", "f", "o", "g", "c_prev", "c", "tanh_c", "h"]
    elif space.key[-1] and gates == "rzn":
        order = ["a_hn", "r", "z", "n", "q", "h"]
        given.update(zip(order, space.S[t]), q=space.S[t, 4] + cache[4])
        true.update(zip(("r", "z", "n", "a_hn"), cache), q=cache[2])
    return next((name for name in order if not same(given[name], true[name])), None)


@contract("factors", *defined("factors")[1:])
def _factors(g: Any) -> Promise:
    yield
    g.run.factored += range(g.start, g.start + g.count)
    S, K = g.workspace.S[g.start : g.start + g.count], g.K
    h = g.workspace.Z[g.start + 1 : g.start + g.count + 1, : g.workspace.sizes[2]]
    kept = [S[:, k] for k in range(S.shape[1])]
    true: dict[str, tuple[int, np.ndarray]] = {"K": (0, 1 - h * h)}  # name -> number of the block in K, values
    if len(kept) == 6:
        o, i, f, gate, c_prev, tanh_c = kept
        true = {"K_o": (1, h * (1 - o)), "K_c": (0, o - h * tanh_c), "K_i": (2, i * gate * (1 - i))}
        true |= {"K_f": (3, f * c_prev * (1 - f)), "K_g": (4, i * (1 - gate**2)), "K_next": (5, f)}
    elif len(kept) == 5:
        a_hn, r, z, n, q = kept
        K_n = z * (1 - n**2)
        true = {"K_n": (3, K_n), "K_hn": (0, K_n * r), "K_r": (1, K_n * r * a_hn * (1 - r)), "K_h": (4, 1 - z)}
        true["K_z"] = 2, q * z * (1 - z)
    elif g.owner is kernels.ReLURNNKernel:
        K, true = (K.view(f"i{K.itemsize}") != 0).astype(K.dtype), {"K": (0, (h > 0).astype(K.dtype))}
    for name, (k, values) in true.items():
        wrong = [t for t in range(g.count) if not same(K[t, k], values[t])]
        if wrong and not same(K[:, k], values):
            text = f", {name})", f"={name})", "K[:, 0]"
            yield None, f"{name} is wrong at step {g.start + wrong[0]}", text, True
            return


@contract("backward", *defined("backward")[1:])
def _backward_kernel(g: Any) -> Promise:
    space, kernel, (first, last, with_outputs, at_end) = g.workspace, g.cls, g.steps
    dh, dc, factors, gates = space.dh.copy(), space.dc.copy(), space.D.copy(), gates_of(kernel)
    yield
    labels = {"ifgo": ("dc_here", "da_o", "da_i", "da_f", "da_g", "dc_prev"), "h": ("da",)}
    labels["rzn"] = "da_hn", "da_r", "da_z", "da_xn", "direct"
    for t in range(first, last)[::-1]:
        g.run.gradients.append(space.D[t].copy())
        g.run.outputs.append(space.d_outputs[t].copy() if with_outputs else 0 * dh)
        dh, K = dh + g.run.outputs[-1], factors[t]
        if kernel is kernels.ReLURNNKernel:
            K = K.view(f"i{K.itemsize}") != 0
        true = K * dh
        if gates == "ifgo":
            dc = dc + true[0] + at_end.get(t, 0)
            true = np.concatenate([dc[None], true[1:2], K[2:] * dc])
            dc = true[5]
        for k, label in enumerate(labels[gates]):
            if not same(space.D[t, k], true[k]):
                text = f"{label} (dh{', dc_here' if gates == 'ifgo' else ''}) is wrong at step {t}"
                line = "add(dc" if label.startswith("dc") else "add(dh" if t < last - 1 else "multiply("
                yield None, text + (" (gradient_at_end)" if t in at_end else ""), line, True
                return
        da = true[kernel.da].reshape(-1, dh.shape[1])
        dh = g.W_T @ da[kernel.rows_of_h(len(dh))] + (true[4] if gates == "rzn" else 0)
    if not same(space.dh, dh):
        yield None, f"dh before step {first} is wrong (direct)", "add(dh", True
    elif gates == "ifgo" and not same(space.dc, dc):
        yield None, f"dc before step {first} is wrong", "workspace.dc"


@contract("add_dW", *defined("add_dW"))
def _add_dW(g: Any) -> Promise:
    true, H = g.D @ g.Z.T, g.H
    if g.cls is kernels.GRUKernel:
        true[:H, H:-1], true[3 * H :, :H] = 0, 0
    true += g.dW
    yield
    if not same(g.dW, true):
        bias = same(g.dW[:, :-1], true[:, :-1])
        yield None, f"dW{' (bias)' if bias else ''} is not Σ da ζᵀ", "dW[:H, -1]" if bias else "dW"


# ---- over time ----


@contract("_forward", through_time)
def _forward(g: Any) -> Promise:
    final, lease = yield
    T = len(g.x)
    if lease is not None:
        states = g.kernel.states(lease.workspace)
        if not same(g.hs, states[0][1 : T + 1]):
            yield None, "hs is not h of the slots", "hs[start"
        elif g.packing is None and not all(same(part, slots[T]) for part, slots in zip(final, states)):
            yield None, "the final state is not that of the last slot", "carried = "


@contract("_forward_packed", through_time)
def _forward_packed(g: Any) -> Promise:
    yield
    states, packed, shift = g.kernel.states(g.workspace), g.packing, g.shift
    for letter, slots, given, final in zip("hc", states, g.state, g.final):
        for b, start, column in places_in(packed):
            end = start + packed.lengths[b]
            if g.start <= start < g.start + g.count and not same(slots[start + shift][:, column], given[:, b]):
                yield None, f"the initial {letter} (part, state) is not in its slot", "part[t + shift]"
            if g.start < end <= g.start + g.count and not same(final[:, b], slots[end + shift][:, column]):
                yield None, f"the final {letter} (whole) is not that of the last slot", "whole["


@contract("_backward", through_time)
def _backward(g: Any) -> Promise:
    g.run.factored, g.run.gradients, g.run.outputs, g.run.d_hs = [], [], [], g.d_hs
    yield
    if sorted(g.run.factored) != list(range(g.T)) or len(g.run.gradients) != g.T:
        yield None, f"{len(g.run.gradients)} of {g.T} steps run (start), or with the factors of others", "for start in"
        return
    D = np.array(g.run.gradients[::-1])
    if g.d_hs is not None and not same(np.array(g.run.outputs[::-1]), g.d_hs):
        yield None, "d_outputs of the steps is not d_hs", "back.d_outputs"
    if g.dx is not None:
        (_, I, H, B), rows = g.workspace.sizes, g.kernel.rows_of_x(g.workspace.sizes[2])
        da = D[:, g.kernel.da].reshape(g.T, -1, B)[:, rows]
        if not same(g.dx, np.einsum("ai,tab->tbi", g.W[rows, H : H + I], da)):
            yield None, "dx is not W_xᵀ da", "dx[start"


@contract("_backward_packed", through_time)
def _backward_packed(g: Any) -> Promise:
    yield
    for t, column in zip(*g.packing.idle):
        if g.first <= t - g.start < g.last and g.back.D[t - g.start, :, :, column].any():
            yield None, f"the gradient of step {t}, below the start of another sequence (part), is not zero", "= 0"
            return


@contract("forward_through_time", through_time)
def _forward_through_time(g: Any) -> Promise:
    hs, final, tape = yield
    if isinstance(tape, Tape):
        return
    if tape is not None:
        g.run.forwards[id(tape.lease)] = g
    true_hs, true_final, _ = _by_reference(g)
    pairs = list(zip((hs, *final), (true_hs, *true_final)))
    if all(np.isfinite(b).all() for _, b in pairs) and not all(same(a, b, AMPLIFIED) for a, b in pairs):
        yield None, "every function that it calls is right; what it makes of the outputs is not", "return out"


def _by_reference(g: Any) -> Any:
    """Return what a call of ``forward_through_time`` must return, by the second statement."""
    x = one_hot(g.x, g.weights.W_x.shape[1]).transpose(0, 2, 1) if g.x.ndim == 2 else g.x
    run = reference.forward_through_time
    return run(known(g.cell), g.weights, x, g.state, g.lengths, g.reverse, h_mask=g.h_mask)


@contract("backward_through_time", through_time)
def _backward_through_time(g: Any) -> Promise:
    d_weights, d_x, d_before = yield
    if not isinstance(g.tape, through_time.FusedTape):
        return
    f: Any = g.run.forwards[id(g.tape.lease)]
    packed: Any = g.tape.packing
    if packed is None and g.d_hs is not None:
        true = g.d_hs[:: -1 if g.tape.reverse else 1]
    else:
        true = np.zeros_like(g.run.d_hs) if packed is None or g.d_hs is None else packed.packed(g.d_hs)
    for b, start, column in places_in(packed) if packed is not None else []:
        true[start + packed.lengths[b] - 1, :, column] += g.d_state[0][:, b]
    if g.run.d_hs is not None and not same(g.run.d_hs, true):
        yield None, "d_outputs is not d_hs (and d_state) in the order of the steps", "d_outputs"
    true = reference.backward_through_time(known(f.cell), g.weights, _by_reference(f)[2], g.d_hs, g.d_state)
    pairs: Any = zip((*d_weights[:5], *d_before, d_x), (*true[0][:5], *true[2], true[1]))
    compared = [(d, e) for d, e in pairs if d is not None]
    most = AMPLIFIED * max(largest(e) for _, e in compared)
    if not all(np.shape(d) == np.shape(e) and largest(d - e) <= most for d, e in compared):
        yield None, "every function that it calls is right; what it makes of d_state and dx is not"


def blame(run_again: Callable[[], Any]) -> list[str]:
    """Return a line about the first function of ``fused/`` that breaks its promise while something runs again."""
    with checking() as found, np.errstate(all="ignore"):
        try:
            run_again()
        except Exception:
            if not found:
                raise
    return found[:1]
