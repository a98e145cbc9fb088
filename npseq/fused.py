"""The optimized schedule of the recurrences: the two functions of ``bptt.py`` and its numbers, faster.

``cells.py`` says what is computed; here, and for each cell in ``fused_cells.py``, is another order of the same
operations. What makes the difference:

1. **One product a step.** The columns h_t, x_{t+1} and a one stand on top of each other in ``Z[t]``, so that
   ``W @ Z[t]`` with ``W = [W_h, W_x, b_x + b_h]`` is every pre-activation of step t + 1, biases included, and h_{t+1}
   is written where the next product reads it. ``da Zᵀ``, summed over time, is dW_h, dW_x and db at once. (In the GRU
   a_xn and a_hn enter apart, so the rows that read x, and those that read h, are not all the same.)

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

7. **Columns are independent.** So a sequence that has ended may run on, on zeros, without a mask in the loop (see
   ``_Order``), and a wide batch may be split over threads: NumPy's calls let other threads run. Each part is summed by
   itself and the parts are added in order, so that the result does not depend on timing.

Numbers in the comments are those of the equations in ``docs/derivation.md``, section 11.

Options that have no fused form go through ``bptt.py``: projection, recurrent dropout, checkpointing, lengths with relu
(whose h may grow without bound behind the end) or without a tape, and cells that are not npseq's own.
"""

import numpy as np

from . import bptt
from .fused_cells import SCHEDULES
from .rooms import COLUMNS, Back, Room, copy_swapped, gathered

INFERENCE = 32  # steps in one go when no tape is kept


def forward_through_time(cell, weights, x, state, lengths=None, reverse=False, *,
                         h_mask=None, checkpoint_every=None, keep_tape=True, out=None):
    """As ``bptt.forward_through_time``, the same arguments and results."""
    schedule = SCHEDULES.get(cell)
    if schedule is None or h_mask is not None or weights.W_p is not None or keep_tape and checkpoint_every is not None \
            or lengths is not None and not (keep_tape and schedule.bounded) or len(x) == 0:
        return bptt.forward_through_time(cell, weights, x, state, lengths, reverse, h_mask=h_mask,
                                         checkpoint_every=checkpoint_every, keep_tape=keep_tape, out=out)
    T, I, B = x.shape
    H = state[0].shape[0]
    if out is None:
        out = np.empty((T, H, B), weights.W_h.dtype)
    hs, order = out, None
    if lengths is not None:
        order = _Order(T, lengths, reverse)
        x = order.turn(np.where(order.valid, x, 0))
    elif reverse:
        x, hs = x[::-1], hs[::-1]
    W = schedule.stack(weights)
    halved = schedule.halve(W)
    n = T if keep_tape else min(T, INFERENCE)
    room = Room.take(schedule, n, I, H, B, W.dtype, keep_tape)
    for start in range(0, T, n):
        count = min(n, T - start)
        copy_swapped(room.Z[:count, H:H + I], x[start:start + count])
        schedule.set_state(room, state)
        schedule.forward(room, halved, count)
        if order is None:
            copy_swapped(hs[start:start + count], room.Z[1:count + 1, :H])
            state = schedule.state(room, count)
    if order is not None:
        hs[...] = order.turn(np.where(order.valid, room.Z[1:, :H], 0))
        state = tuple(np.ascontiguousarray(part[order.lengths, :, np.arange(B)].T) for part in schedule.states(room))
    if keep_tape:
        return out, state, _Tape(schedule, room, W, reverse, order)
    room.give_back()
    return out, state, None


def backward_through_time(cell, weights, tape, d_hs, d_state, *, need_dx=True):
    """As ``bptt.backward_through_time``, the same arguments and results."""
    if isinstance(tape, bptt.Tape):
        return bptt.backward_through_time(cell, weights, tape, d_hs, d_state, need_dx=need_dx)
    schedule, room, W, order = tape.schedule, tape.room, tape.W, tape.order
    T, I, H, B = room.sizes
    d_ends = None
    if order is not None:
        d_hs, d_ends, d_past, d_state = order.gradients(d_hs, d_state)
    elif d_hs is not None and tape.reverse:
        d_hs = d_hs[::-1]
    dx = np.empty((T, B, I), W.dtype) if need_dx else None
    n = min(T, -(-COLUMNS // B))
    back = Back.take(schedule, n, I, H, B, W.dtype)
    back.start(d_state)
    dW, W_T = np.zeros_like(W), schedule.recurrent(W, H)
    for start in range((T - 1) // n * n, -1, -n):
        count = min(n, T - start)
        if d_hs is not None:
            copy_swapped(back.d_outputs[:count], d_hs[start:start + count])
        ends = {} if d_ends is None else {t - start: d for t, d in d_ends.items()}
        for first in range((count - 1) // back.m * back.m, -1, -back.m):
            last = min(first + back.m, count)
            schedule.factors(room, back.K[:last - first], start + first, last - first)
            schedule.backward(back, W_T, first, last, d_hs is not None, ends)
        # (rows, steps · sequences): what is summed over time, or asked for every step, is one product
        D = gathered(back.D_flat, back.D[:count, schedule.da])
        schedule.add_dW(dW, D, gathered(back.Z_flat, room.Z[start:start + count, None]), H)
        if need_dx:  # dx = W_xᵀ da, for all steps of the chunk, in the caller's own layout
            rows = schedule.rows_of_x(H)
            np.matmul(D[rows].T, W[rows, H:H + I], out=dx[start:start + count].reshape(count * B, I))
    d_x = dx.transpose(0, 2, 1) if need_dx else None
    d_state = back.end()
    back.give_back()
    if order is not None:
        d_state = tuple(d + past for d, past in zip(d_state, d_past))
        d_x = order.turn(d_x) if need_dx else None
    elif need_dx and tape.reverse:
        d_x = d_x[::-1]
    return schedule.unpack(dW, weights), d_x, d_state


class _Order:
    """Sequences of different lengths, all begun at step 0: a reversed one is turned around within its own length.

    Columns do not touch each other, so a sequence that has ended may run on, on zeros: its state is read off at its
    last step, and going back its gradient is fed in there, where nothing comes from the steps after.
    """

    def __init__(self, T, lengths, reverse):
        self.lengths = lengths = np.asarray(lengths)
        t = np.arange(T)[:, None]
        self.valid = (t < lengths)[:, None, :]
        self.index = np.where(t < lengths, lengths - 1 - t, t)[:, None, :] if reverse else None

    def turn(self, x):
        """(T, ·, B) from time to the order of the steps, and back."""
        return x if self.index is None else np.take_along_axis(x, self.index, 0)

    def gradients(self, d_hs, d_state):
        """-> d_hs with the final h's gradient added at each last step; step -> gradient of c that enters there (None
        without c); the part of d_state that belongs to sequences of length 0; zeros for the end of time."""
        dh, (T, _, B) = d_state[0], self.valid.shape
        some = self.lengths > 0
        last, columns = self.lengths[some] - 1, np.flatnonzero(some)
        d_hs = np.zeros((T,) + dh.shape, dh.dtype) if d_hs is None else self.turn(np.where(self.valid, d_hs, 0))
        d_hs[last, :, columns] += dh[:, columns].T
        d_ends = {}
        for dc in d_state[1:]:
            for t in np.unique(last):
                d_ends[int(t)] = np.where(self.lengths == t + 1, dc, 0)
        return d_hs, d_ends, tuple(np.where(some, 0, d) for d in d_state), tuple(np.zeros_like(d) for d in d_state)


class _Tape:
    """A forward pass: its room goes back into the pool when the tape is gone."""

    def __init__(self, schedule, room, W, reverse, order):
        self.schedule, self.room, self.W, self.reverse, self.order = schedule, room, W, reverse, order

    def __del__(self):
        self.room.give_back()
