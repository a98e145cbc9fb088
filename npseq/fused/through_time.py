"""The optimized schedule of the recurrences: the two functions of ``bptt.py`` and its numbers, faster.

``cells.py`` says what is computed; here, and for each cell in ``fused_cells.py``, is another order of the same
operations. What makes the difference:

1. **One product a step.** The columns h_t, x_t and a one stand on top of each other in ``Z[t]``, so that
   ``W @ Z[t]`` with ``W = [W_h, W_x, b_x + b_h]`` is every pre-activation of step t, biases included, and h_{t+1}
   is written where the next product reads it. ``da Zᵀ``, summed over time, is dW_h, dW_x and db at once. (In the GRU
   a_xn and a_hn enter apart, so the rows that read x, and those that read h, are not all the same.) The loops use
   ``np.dot``, which for small matrices takes 0.4 µs less than ``np.matmul``, and W_hᵀ is copied once so that it is
   contiguous, without which ``dot`` would copy it at every step.

2. **One tanh for all gates.** σ(a) = ½ tanh(a/2) + ½, and a/2 comes for nothing when the rows of W of a σ gate are
   halved beforehand. NumPy's tanh is vectorised; its exp-based ways to σ take more calls.

3. **Gates in the order in which one call serves several.** A step's blocks stand one after the other, (H, B) each. In
   the LSTM that is o i f g c': tanh takes the first four, the σ of o i f the first three, and the one product
   [i, f] ⊙ [g, c'] gives both terms of c = f ⊙ c' + i ⊙ g.

4. **What does not depend on the incoming gradient leaves the loop.** dh and dc enter every line of a cell's backward
   linearly. Their factors K are computed for many steps in one call, and the loop has only what must be sequential.
   For the LSTM: [part of dc, da_o] = dh ⊙ [K_c, K_o], [da_i, da_f, da_g, dc'] = dc ⊙ [K_i, K_f, K_g, f]; for the GRU
   all five things come from dh by one multiplication. As h = o ⊙ tanh c, K_c = o (1 − tanh² c) is o − h ⊙ tanh c.

5. **Chunks.** The factors are made for so many steps that they stay in the cache (``CACHE``). What is a sum over time,
   or is asked for at every step but carried nowhere, is one product over the steps and sequences of a chunk, of
   ``COLUMNS`` columns or more: the gradient of W, and dx, which comes out in the caller's own layout. When W is too
   large to stay in the cache (``HOIST``) so is W_x x.

6. **Room made once.** Buffers and their views for every step are kept in a pool, by sizes; a tape owns its room until
   it is gone. Every call writes with ``out``.

7. **Columns are independent.** So sequences of different lengths are packed one behind the other, without masks in the
   loop (``ragged.py``), and a wide batch may be split over threads: NumPy's calls let other threads run. Each part is
   summed by itself and the parts are added in order, so that the result does not depend on timing. Of a narrow batch
   with large weights only the products of many steps are split (``matmul``): threads that have to meet at every step
   stall when another process keeps one of them waiting.

Numbers in the comments are those of the equations in ``docs/derivation.md``, section 11.

Options that have no fused form go through ``bptt.py``: projection, recurrent dropout, checkpointing, lengths with relu
(whose h may grow without bound behind the end), and cells that are not npseq's own.
"""

from typing import NamedTuple

import numpy as np

from .. import bptt
from .kernels import SCHEDULES
from .memory_layout import copy_swapped, gathered, narrow, transposed
from .packing import Packing
from .workspace import POOL, BackwardWorkspace, ForwardWorkspace, Lease, columns_at_once, group

INFERENCE = 32  # steps in one go when no tape is kept, at most


class FusedTape(NamedTuple):
    """A forward pass over T steps; its workspace returns to the pool when the tape and all its copies are deleted."""

    schedule: type  # the cell's, of ``kernels.py``
    W: np.ndarray  # the stacked weights
    T: int
    reverse: bool
    lease: Lease  # on the workspace of the forward pass
    packing: Packing | None = None


def forward_through_time(
    cell,
    weights,
    x,
    state,
    lengths=None,
    reverse=False,
    *,
    h_mask=None,
    checkpoint_every=None,
    keep_tape=True,
    out=None,
    matmul=np.matmul,
):
    """As ``bptt.forward_through_time``, the same arguments and results. ``matmul`` makes the products of many steps."""
    T, I, B = x.shape
    schedule = SCHEDULES.get(cell)
    if lengths is not None:
        lengths = np.asarray(lengths)
        lengths = None if (lengths == T).all() else lengths
    if (
        schedule is None
        or h_mask is not None
        or weights.W_p is not None
        or keep_tape
        and checkpoint_every is not None
        or lengths is not None
        and not (schedule.bounded and lengths.any())
        or T == 0
    ):
        return bptt.forward_through_time(
            cell,
            weights,
            x,
            state,
            lengths,
            reverse,
            h_mask=h_mask,
            checkpoint_every=checkpoint_every,
            keep_tape=keep_tape,
            out=out,
        )
    if out is None:
        out = np.empty((T, state[0].shape[0], B), weights.W_h.dtype)
    W = schedule.stack(weights)
    halved = schedule.halve(W)
    if lengths is None:
        backwards = slice(None, None, -1 if reverse else 1)
        state, lease = _forward(schedule, halved, x[backwards], state, out[backwards], keep_tape, matmul)
        return out, state, FusedTape(schedule, W, T, reverse, lease) if keep_tape else None
    packing = Packing(T, lengths, reverse, W.size)
    hs, flat = packing.room(out)
    final, lease = _forward(schedule, halved, packing.packed(x), state, hs, keep_tape, matmul, packing)
    packing.unpack(flat, out)
    return out, final, FusedTape(schedule, W, T, reverse, lease, packing) if keep_tape else None


def backward_through_time(cell, weights, tape, d_hs, d_state, *, need_dx=True, matmul=np.matmul):
    """As ``bptt.backward_through_time``, the same arguments and results."""
    if isinstance(tape, bptt.Tape):
        return bptt.backward_through_time(cell, weights, tape, d_hs, d_state, need_dx=need_dx)
    schedule, W, T, _, lease, packing = tape
    room = lease.workspace
    _, I, H, B = room.sizes
    if packing is None:
        backwards = slice(None, None, -1 if tape.reverse else 1)
        dx = np.empty((T, B, I), W.dtype) if need_dx else None
        dW, d_state = _backward(schedule, room, T, W, None if d_hs is None else d_hs[backwards], d_state, dx, matmul)
        return schedule.unpack(dW, weights), dx.transpose(0, 2, 1)[backwards] if need_dx else None, d_state
    d_outputs = np.zeros((packing.steps, B, H), W.dtype).transpose(0, 2, 1) if d_hs is None else packing.packed(d_hs)
    if d_state[0].any():
        d_outputs[packing.ends - 1, :, packing.columns] += d_state[0][:, packing.sequences].T
    d_x = np.empty((T, len(packing.lengths), I), W.dtype).transpose(0, 2, 1) if need_dx else None
    dx, flat = packing.room(d_x) if need_dx else (None, None)
    dW, d_state = _backward(
        schedule,
        room,
        packing.steps,
        W,
        d_outputs,
        d_state,
        dx.transpose(0, 2, 1) if need_dx else None,
        matmul,
        packing,
    )
    if need_dx:
        packing.unpack(flat, d_x)
    return schedule.unpack(dW, weights), d_x, d_state


def _forward(schedule, halved, x, state, hs, keep, matmul, packing=None):
    """All steps of x, in its order, fill ``hs`` -> the state after the last step, or behind each packed sequence, and
    the room where everything is (None without ``keep``)."""
    T, I, B = x.shape
    H = state[0].shape[0]
    n = min(T, group(I, H, B, halved.dtype), T if keep else INFERENCE)
    steps = -(-(T if keep else n) // 8) * 8  # rounded up, so that similar lengths share a workspace
    lease = POOL.acquire(ForwardWorkspace, schedule, steps, I, H, B, halved.dtype, keep or packing is not None)
    room = lease.workspace
    rows_of_x, rows_of_h = schedule.rows_of_x(H), schedule.rows_of_h(H)
    room.W_h, room.a_x_steps = np.ascontiguousarray(halved[rows_of_h, :H]) if room.large else None, None
    if packing is not None:
        initial, final = state, tuple(part.copy() for part in state)
        state = tuple(np.zeros((H, B), halved.dtype) for part in state)
    for start in range(0, T, n):  # x in, n steps, y out, while they are in the cache
        count = min(n, T - start)
        first = start if keep else 0
        last = first + count
        copy_swapped(room.Z[first:last, H : H + I], x[start : start + count])
        # rows that do not read x have zeros in its place, and 0 · inf is NaN
        infinite = schedule.zeros_in_W and not np.isfinite(room.Z[first:last, H : H + I]).all()
        if room.large or infinite:
            room.W_h = np.ascontiguousarray(halved[rows_of_h, :H]) if room.W_h is None else room.W_h
            room.hoist(halved[rows_of_x, H:], first, last, matmul)
        else:
            room.a_x_steps = None
        if first == 0:
            schedule.set_state(room, state)
        if packing is None:
            schedule.forward(room, halved, first, last)
            state = schedule.state(room, last)
        else:
            slots, shift = schedule.states(room), first - start
            for t, stop, begin in packing.pieces(start, start + count):
                if begin:
                    for part, given in zip(slots, initial):
                        part[t + shift][:, packing.columns[begin]] = given[:, packing.sequences[begin]]
                schedule.forward(room, halved, t + shift, stop + shift)
            state = schedule.state(room, last)
            here = (start < packing.ends) & (packing.ends <= start + count)
            for whole, part in zip(final, slots):
                whole[:, packing.sequences[here]] = part[packing.ends[here] + shift, :, packing.columns[here]].T
        copy_swapped(hs[start : start + count], room.Z[first + 1 : last + 1, :H])
    return state if packing is None else final, lease if keep else None


def _backward(schedule, room, T, W, d_hs, d_state, dx, matmul, packing=None):
    """The T steps of ``room`` back, filling ``dx`` (T, B, I) unless that is None -> dW, d_state of the initial
    state."""
    _, I, H, B = room.sizes
    order = "F" if len(W) < W.shape[1] or narrow(len(W), B) else "C"  # as ``outer`` gives its terms
    dW, W_T = np.zeros(W.shape, W.dtype, order), transposed(W[schedule.rows_of_h(H), :H])
    n = min(T, -(-columns_at_once(len(W)) // B))
    lease = POOL.acquire(BackwardWorkspace, schedule, n, I, H, B, W.dtype)
    back = lease.workspace
    entering = {}  # step -> what enters the gradient of c there
    if packing is None:
        back.start(d_state)
    else:
        d_initial = tuple(part.copy() for part in d_state)
        back.start([0] * len(d_state))
        entering = _entering(packing, d_state[1:], B)
    for start in range((T - 1) // n * n, -1, -n):
        count = min(n, T - start)
        if d_hs is not None:
            copy_swapped(back.d_outputs[:count], d_hs[start : start + count])
        ends = {t - start: d for t, d in entering.items()}
        for first in range((count - 1) // back.m * back.m, -1, -back.m):
            last = min(first + back.m, count)
            schedule.factors(room, back.K[: last - first], start + first, last - first)
            if packing is None:
                schedule.backward(back, W_T, first, first, last, d_hs is not None, ends)
                continue
            for t, stop, begin in packing.pieces(start + first, start + last)[::-1]:
                schedule.backward(back, W_T, first, t - start, stop - start, True, ends)
                if begin:
                    for whole, part in zip(d_initial, (back.dh, back.dc)):
                        whole[:, packing.sequences[begin]] = part[:, packing.columns[begin]]
                        part[:, packing.columns[begin]] = 0
        # (rows, steps · sequences): what is summed over time, or asked for every step, is one product
        D = gathered(back.D_flat, back.D[:count, schedule.da])
        Z = gathered(back.Z_flat, room.Z[start : start + count, None])
        schedule.add_dW(dW, D, Z, H, back.product, matmul)
        if dx is not None:  # dx = W_xᵀ da, for all steps of the chunk, in the caller's own layout
            rows = schedule.rows_of_x(H)
            matmul(D[rows].T, W[rows, H : H + I], out=dx[start : start + count].reshape(count * B, I))
    return dW, back.end() if packing is None else d_initial


def _entering(packing, d_final, B):
    """Last step of a sequence -> (H, B), the gradient of its final c. (That of h stands with the outputs'.)"""
    found = {}
    for dc in filter(np.any, d_final):
        for k in np.flatnonzero(dc[:, packing.sequences].any(0)):
            d = found.setdefault(int(packing.ends[k]) - 1, np.zeros((len(dc), B), dc.dtype))
            d[:, packing.columns[k]] = dc[:, packing.sequences[k]]
    return found
