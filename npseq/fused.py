"""The optimized schedule of the recurrences: the two functions of ``bptt.py`` and its numbers, faster.

``cells.py`` says what is computed; here is only another order of the same operations. Each line names the line of
``cells.py`` it comes from. What makes the difference:

1. **One product a step.** The columns of ``Z[t] = [h_t; 1; x_{t+1}]`` stand on top of each other, so that
   ``W @ Z[t]`` with ``W = [W_h, b_x + b_h, W_x]`` is every pre-activation of step t + 1, biases included, and h_{t+1} is
   written where the next product reads it. Going back, ``Wᵀ da`` is dh_t and dx_{t+1} at once, and ``da Zᵀ``, summed over
   time, is dW_h, db and dW_x at once. (In the GRU a_xn and a_hn enter apart, so its rows for x stand apart too.)

2. **One tanh for all gates.** σ(a) = ½ tanh(a/2) + ½, and a/2 comes for nothing when the rows of W of a σ gate are
   halved beforehand. NumPy's tanh is vectorised; its exp-based ways to σ take more calls.

3. **Gates in the order in which one call serves several.** A step's blocks stand one after the other, (H, B) each. In the
   LSTM that is o i f g c': tanh takes the first four, the σ of o i f the first three, and the one product
   [i, f] ⊙ [g, c'] gives both terms of c = f ⊙ c' + i ⊙ g.

4. **What does not depend on the incoming gradient leaves the loop.** dh and dc enter every line of a cell's backward
   linearly. Their factors are computed for many steps in one call, and the loop has only what must be sequential. With
   the factors K, for the LSTM: [dc, da_o] += dh ⊙ [K_c, K_o], [da_i, da_f, da_g, dc'] = dc ⊙ [K_i, K_f, K_g, f]; for the GRU
   all five things come from dh by one multiplication. o (1 − tanh² c) = o − h ⊙ tanh c, as h = o ⊙ tanh c.

5. **Chunks that stay in the cache.** The factors are made for so many steps that they fit (``CACHE``), and the gradient
   of W is one product over the chunk's steps and sequences, of ``COLUMNS`` columns or more.

6. **Room made once.** Buffers and their views for every step are kept in a pool, by sizes; a tape owns its room until it
   is gone. Every call writes with ``out``.

Numbers such as (48) are those of the equations in ``docs/derivation.md``, section 11.

Options that have no fused form go through ``bptt.py``: projection, recurrent dropout, checkpointing, and cells that are
not npseq's own.
"""

import numpy as np

from . import bptt
from .bptt import Weights
from .cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell

CACHE = 400_000  # bytes of the factors that are made in one go
COLUMNS = 1024  # of the products over time, at least
INFERENCE = 32  # steps in one go when no tape is kept
HOIST = 150_000  # elements of W from which W_x x is made for many steps at once: W no longer stays in the cache


def forward_through_time(cell, weights, x, state, lengths=None, reverse=False, *,
                         h_mask=None, checkpoint_every=None, keep_tape=True, out=None):
    """As ``bptt.forward_through_time``, the same arguments and results."""
    schedule = _SCHEDULES.get(cell)
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
    room = _Room.take(schedule, n, I, H, B, W.dtype)
    for start in range(0, T, n):
        count = min(n, T - start)
        room.Z[:count, H:H + I] = x[start:start + count]
        schedule.set_state(room, state)
        schedule.forward(room, halved, count)
        if order is None:
            hs[start:start + count] = room.Z[1:count + 1, :H]
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
    back = _Back.take(schedule, n, I, H, B, W.dtype)
    back.start(d_state)
    dW = np.zeros_like(W)
    for start in range((T - 1) // n * n, -1, -n):
        count = min(n, T - start)
        if d_hs is not None:
            back.d_outputs[:count] = d_hs[start:start + count]
        ends = {} if d_ends is None else {t - start: d for t, d in d_ends.items()}
        for first in range((count - 1) // back.m * back.m, -1, -back.m):
            last = min(first + back.m, count)
            schedule.factors(room, back.K[:last - first], start + first, last - first)
            schedule.backward(back, W, first, last, d_hs is not None, ends)
        # (rows, steps · sequences): what is summed over time, or asked for every step, is one product
        D = _gathered(back.D_flat, back.D[:count, schedule.da])
        schedule.add_dW(dW, D, _gathered(back.Z_flat, room.Z[start:start + count, None]), H)
        if need_dx:  # (45), for all steps of the chunk, in the caller's own layout
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

    Columns do not touch each other, so a sequence that has ended may run on, on zeros: its state is read off at its last
    step, and going back its gradient is fed in there, where nothing comes from the steps after.
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


class _Pooled:
    """Buffers by sizes, kept for the next call of the same sizes."""

    LARGEST = 1 << 28  # bytes that the pool may hold in all
    held = 0

    @classmethod
    def take(cls, *key):
        free = cls.pool.setdefault(key, [])
        try:
            room = free.pop()
            _Pooled.held -= room.nbytes
        except IndexError:
            room = cls(*key)
            room.key = key
        return room

    def give_back(self):
        if _Pooled.held + self.nbytes <= self.LARGEST:
            _Pooled.held += self.nbytes
            self.pool[self.key].append(self)


class _Room(_Pooled):
    """What a forward pass keeps: Z (T + 1, H + I + 1, B) and the blocks of each step, S (T + 1, blocks, H, B)."""

    pool = {}

    def __init__(self, schedule, T, I, H, B, dtype):
        self.sizes = T, I, H, B
        self.Z = np.zeros((T + 1, H + I + 1, B), dtype)
        self.Z[:, H + I] = 1
        self.S = np.zeros((T + 1, schedule.blocks, H, B), dtype)
        self.scratch = np.empty((2, H, B), dtype)
        rows = schedule.rows_of_x(H)
        self.chunk = min(T, -(-COLUMNS // B)) if rows.stop * (H + I) > HOIST and I >= 64 else 0  # steps of a_x made at once
        self.a_x = np.empty((rows.stop - rows.start, self.chunk * B), dtype)
        self.a_x_steps = self.a_x.reshape(len(self.a_x), self.chunk, B).transpose(1, 0, 2)
        self.nbytes = self.Z.nbytes + self.S.nbytes + self.a_x.nbytes
        self.steps = schedule.forward_views(self)

    def hoist(self, W_x, t, count):
        """(44), its part from x, for the steps from t on: W_x [x; 1] as one product."""
        T, I, H, B = self.sizes
        n = min(self.chunk, count - t)
        x = self.Z[t:t + n, H:].transpose(1, 0, 2).reshape(I + 1, n * B)
        np.matmul(W_x, x, out=self.a_x[:, :n * B])


def _gathered(flat, steps):
    """(n, blocks, rows, B) -> (blocks · rows, n · B), the columns of all steps side by side, in the room ``flat``."""
    n, blocks, rows, B = steps.shape
    together = flat[:steps.size].reshape(blocks, rows, n, B)
    together[...] = steps.transpose(1, 2, 0, 3)
    return together.reshape(blocks * rows, n * B)


class _Back(_Pooled):
    """Room of a backward pass over chunks of n steps: factors K of m steps, gradients D of n, and both Z and D gathered
    with the columns of all steps side by side."""

    pool = {}

    def __init__(self, schedule, n, I, H, B, dtype):
        self.sizes = n, I, H, B
        blocks = schedule.factor_blocks
        self.m = max(1, min(n, CACHE // (blocks * H * B * np.dtype(dtype).itemsize)))
        self.K = np.empty((self.m, blocks, H, B), dtype)
        self.D = np.empty((n, schedule.gradient_blocks, H, B), dtype)
        self.D_flat = np.empty((schedule.da.stop - schedule.da.start) * H * n * B, dtype)
        self.Z_flat = np.empty((H + I + 1) * n * B, dtype)
        self.d_outputs = np.empty((n, H, B), dtype)
        self.dh, self.dc = np.empty((2, H, B), dtype)
        self.nbytes = sum(array.nbytes for array in (self.K, self.D, self.D_flat, self.Z_flat, self.d_outputs))
        self.letters = len(schedule.cell_state)
        self.K_steps, self.steps = schedule.backward_views(self)

    def start(self, d_state):
        self.dh[...] = d_state[0]
        if self.letters > 1:
            self.dc[...] = d_state[1]

    def end(self):
        return (self.dh.copy(), self.dc.copy())[:self.letters]


# ---- the three schedules ----

class _RNNSchedule:
    """h = tanh(a_x + a_h). Rows of W: one block. Block of a step: a. Block of D: da."""

    cell_state, blocks, factor_blocks, gradient_blocks, da = "h", 1, 1, 1, slice(0, 1)
    bounded = True  # h stays finite when a sequence that has ended runs on

    @staticmethod
    def rows_of_x(H):
        """The rows of W, and of D gathered, that have to do with x."""
        return slice(0, H)

    @staticmethod
    def stack(weights):
        """[W_h, W_x, b_x + b_h]."""
        W_x, W_h, b_x, b_h, _ = weights
        H, (rows, I) = W_h.shape[1], W_x.shape
        W = np.empty((rows, H + I + 1), W_h.dtype)
        W[:, :H], W[:, H:H + I] = W_h, W_x
        W[:, H + I] = 0 if b_x is None else (b_x + b_h)[:, 0]
        return W

    @staticmethod
    def halve(W):
        """W for the forward pass, with the rows of σ gates halved."""
        return W

    @staticmethod
    def set_state(room, state):
        room.Z[0, :room.sizes[2]] = state[0]

    @staticmethod
    def states(room):
        """(T + 1, H, B) for each letter of the state."""
        return (room.Z[:, :room.sizes[2]],)

    @classmethod
    def state(cls, room, t):
        return tuple(part[t].copy() for part in cls.states(room))

    @staticmethod
    def forward_views(room):
        H = room.sizes[2]
        return [(room.Z[t], room.Z[t, :H], room.S[t, 0], room.Z[t + 1, :H]) for t in range(room.sizes[0])]

    @staticmethod
    def activate(a, h):
        np.tanh(a, out=h)

    @classmethod
    def forward(cls, room, W, count):
        activate, H = cls.activate, room.sizes[2]
        if not room.chunk:
            for Z, h_prev, a, h in room.steps[:count]:
                np.matmul(W, Z, out=a)  # (44)
                activate(a, h)
            return
        W_h, W_x = W[:, :H], W[:, H:]
        for t, (Z, h_prev, a, h) in enumerate(room.steps[:count]):
            if t % room.chunk == 0:
                room.hoist(W_x, t, count)
            np.matmul(W_h, h_prev, out=a)
            np.add(a, room.a_x_steps[t % room.chunk], out=a)
            activate(a, h)

    @staticmethod
    def factors(room, K, start, count):
        """(10): da = dh ⊙ (1 − h²)."""
        h = room.Z[start + 1:start + count + 1, :room.sizes[2]]
        np.multiply(h, h, out=K[:, 0])
        np.subtract(1, K[:, 0], out=K[:, 0])

    @staticmethod
    def backward_views(back):
        """For each step the factors, and the gradients with the loss's own."""
        return [(K[0],) for K in back.K], [(D[0], d_output) for D, d_output in zip(back.D, back.d_outputs)]

    @staticmethod
    def backward(back, W, first, last, with_outputs, ends):
        W_T, dh = W[:, :back.sizes[2]].T, back.dh
        for (K,), (da, d_output) in zip(back.K_steps[last - first - 1::-1], back.steps[first:last][::-1]):
            if with_outputs:
                np.add(dh, d_output, out=dh)
            np.multiply(dh, K, out=da)
            np.matmul(W_T, da, out=dh)  # (45)

    @staticmethod
    def add_dW(dW, D, Z, H):
        """dW += Σ_t da_t Z_tᵀ."""
        dW += D @ Z.T

    @staticmethod
    def unpack(dW, weights):
        H, I = weights.W_h.shape[1], weights.W_x.shape[1]
        db = None if weights.b_x is None else dW[:, H + I:]
        return Weights(dW[:, H:H + I], dW[:, :H], db, db)


class _ReLURNNSchedule(_RNNSchedule):
    """h = max(a_x + a_h, 0)."""

    bounded = False

    @staticmethod
    def activate(a, h):
        np.multiply(a, a.real > 0, out=h)

    @staticmethod
    def factors(room, K, start, count):
        """(12): da = dh where h > 0, else 0."""
        K[:, 0] = room.Z[start + 1:start + count + 1, :room.sizes[2]].real > 0


class _LSTMSchedule(_RNNSchedule):
    """Rows of W: o i f g. Blocks of a step: o i f g c' tanh(c). Blocks of D: the part of dc that comes through h, da_o,
    da_i, da_f, da_g, dc'."""

    cell_state, blocks, factor_blocks, gradient_blocks, da = "hc", 6, 6, 6, slice(1, 5)

    @staticmethod
    def rows_of_x(H):
        return slice(0, 4 * H)

    @staticmethod
    def stack(weights):
        W_x, W_h, b_x, b_h, _ = weights
        H, I = W_h.shape[1], W_x.shape[1]
        W = np.empty((4 * H, H + I + 1), W_h.dtype)
        for to, rows in ((slice(0, H), slice(3 * H, None)), (slice(H, None), slice(0, 3 * H))):  # i f g o -> o i f g
            W[to, :H], W[to, H:H + I] = W_h[rows], W_x[rows]
            W[to, H + I] = 0 if b_x is None else (b_x[rows] + b_h[rows])[:, 0]
        return W

    @staticmethod
    def halve(W):
        W = W.copy()
        W[:W.shape[0] // 4 * 3] *= 0.5  # (46): for σ(a) = ½ tanh(a/2) + ½ of o, i, f
        return W

    @staticmethod
    def set_state(room, state):
        _RNNSchedule.set_state(room, state)
        room.S[0, 4] = state[1]

    @staticmethod
    def states(room):
        return (*_RNNSchedule.states(room), room.S[:, 4])

    @staticmethod
    def forward_views(room):
        T, I, H, B = room.sizes
        Z, S = room.Z, room.S
        return [(Z[t], Z[t, :H], S[t, :4].reshape(4 * H, B), S[t, :3], S[t, 1:3], S[t, 3:5], S[t + 1, 4], S[t, 5], S[t, 0],
                 Z[t + 1, :H]) for t in range(T)]

    @classmethod
    def forward(cls, room, W, count):
        terms, (first, second) = room.scratch, room.scratch
        half, H, chunk = W.dtype.type(0.5), room.sizes[2], room.chunk
        W_h, W_x = W[:, :H], W[:, H:]
        for t, (Z, h_prev, a, oif, i_f, g_c, c, tanh_c, o, h) in enumerate(room.steps[:count]):
            if chunk:
                if t % chunk == 0:
                    room.hoist(W_x, t, count)
                np.matmul(W_h, h_prev, out=a)
                np.add(a, room.a_x_steps[t % chunk], out=a)
            else:
                np.matmul(W, Z, out=a)  # (44)
            np.tanh(a, out=a)
            np.multiply(oif, half, out=oif)
            np.add(oif, half, out=oif)
            np.multiply(i_f, g_c, out=terms)  # i ⊙ g, f ⊙ c'
            np.add(first, second, out=c)
            np.tanh(c, out=tanh_c)
            np.multiply(o, tanh_c, out=h)

    @staticmethod
    def factors(room, K, start, count):
        """(48): K_c = o (1 − tanh² c), K_o = tanh(c) o (1 − o), K_i = g i (1 − i), K_f = c' f (1 − f), K_g = i (1 − g²)."""
        S = room.S[start:start + count]
        h, tanh_c = room.Z[start + 1:start + count + 1, :room.sizes[2]], S[:, 5]
        np.multiply(h, tanh_c, out=K[:, 0])
        np.subtract(S[:, 0], K[:, 0], out=K[:, 0])  # (47)
        np.subtract(1, S[:, :3], out=K[:, 1:4])  # σ' = σ (1 − σ) of o, i, f
        np.multiply(K[:, 1:4], S[:, :3], out=K[:, 1:4])
        np.multiply(K[:, 1], tanh_c, out=K[:, 1])
        np.multiply(K[:, 2:4], S[:, 3:5], out=K[:, 2:4])
        np.multiply(S[:, 3], S[:, 3], out=K[:, 4])
        np.subtract(1, K[:, 4], out=K[:, 4])
        np.multiply(K[:, 4], S[:, 1], out=K[:, 4])
        K[:, 5] = S[:, 2]

    @staticmethod
    def backward_views(back):
        _, _, H, B = back.sizes
        return ([(K[:2], K[2:]) for K in back.K],
                [(D[:2], D[2:], D[0], D[5], D[1:5].reshape(4 * H, B), d_output) for D, d_output in zip(back.D, back.d_outputs)])

    @staticmethod
    def backward(back, W, first, last, with_outputs, ends):
        W_T, dh, dc = W[:, :back.sizes[2]].T, back.dh, back.dc
        steps = zip(range(first, last)[::-1], back.K_steps[last - first - 1::-1], back.steps[first:last][::-1])
        for t, (K_h, K_c), (from_h, from_c, dc_here, dc_prev, da, d_output) in steps:
            if with_outputs:
                np.add(dh, d_output, out=dh)
            np.multiply(dh, K_h, out=from_h)  # (49): dh ⊙ o (1 − tanh² c), da_o
            np.add(dc, dc_here, out=dc_here)
            if t in ends:
                np.add(dc_here, ends[t], out=dc_here)
            np.multiply(dc_here, K_c, out=from_c)  # da_i, da_f, da_g, dc' = dc ⊙ f
            np.matmul(W_T, da, out=dh)  # (45)
            dc = dc_prev
        back.dc[...] = dc

    @staticmethod
    def unpack(dW, weights):
        H = weights.W_h.shape[1]
        return _RNNSchedule.unpack(np.concatenate([dW[H:], dW[:H]]), weights)  # o i f g -> i f g o


class _GRUSchedule(_RNNSchedule):
    """Rows of W: hn r z xn, so that the rows that read h, and those that read x, stand together. Blocks of a step:
    a_hn, r, z, n, n − h'. Blocks of D: da_hn, da_r, da_z, da_xn, and the part of dh that goes past the gates."""

    cell_state, blocks, factor_blocks, gradient_blocks, da = "h", 5, 5, 5, slice(0, 4)

    @staticmethod
    def rows_of_x(H):
        return slice(H, 4 * H)

    @staticmethod
    def stack(weights):
        W_x, W_h, b_x, b_h, _ = weights
        H, I = W_h.shape[1], W_x.shape[1]
        W = np.zeros((4 * H, H + I + 1), W_h.dtype)
        W[:H, :H], W[H:3 * H, :H] = W_h[2 * H:], W_h[:2 * H]
        W[H:, H:H + I] = W_x
        if b_x is not None:
            W[:H, H + I], W[3 * H:, H + I] = b_h[2 * H:, 0], b_x[2 * H:, 0]
            W[H:3 * H, H + I] = (b_x + b_h)[:2 * H, 0]
        return W

    @staticmethod
    def halve(W):
        W, H = W.copy(), W.shape[0] // 4
        W[H:3 * H] *= 0.5  # (46): for σ(a) = ½ tanh(a/2) + ½ of r and z
        return W

    @staticmethod
    def forward_views(room):
        T, I, H, B = room.sizes
        Z, S = room.Z, room.S
        return [(Z[t], S[t, :3].reshape(3 * H, B), S[t, 1:3].reshape(2 * H, B), S[t, 0], S[t, 1], S[t, 2], S[t, 3], S[t, 4],
                 Z[t, :H], Z[t + 1, :H]) for t in range(T)]

    @classmethod
    def forward(cls, room, W, count):
        T, I, H, B = room.sizes
        half, scratch, chunk = W.dtype.type(0.5), room.scratch[0], room.chunk
        W_steps, W_h, bias = W[:3 * H], W[:3 * H, :H], W[:H, H + I:]
        if not chunk:
            np.matmul(W[3 * H:, H:], room.Z[:count, H:], out=room.S[:count, 3])  # a_xn of all steps
        for t, (Z, a, rz, a_hn, r, z, n, q, h_prev, h) in enumerate(room.steps[:count]):
            a_xn = n
            if chunk:
                if t % chunk == 0:
                    room.hoist(W[H:, H:], t, count)
                a_x = room.a_x_steps[t % chunk]
                np.matmul(W_h, h_prev, out=a)
                np.add(a_hn, bias, out=a_hn)
                np.add(rz, a_x[:2 * H], out=rz)
                a_xn = a_x[2 * H:]
            else:
                np.matmul(W_steps, Z, out=a)  # (44)
            np.tanh(rz, out=rz)
            np.multiply(rz, half, out=rz)
            np.add(rz, half, out=rz)
            np.multiply(r, a_hn, out=scratch)
            np.add(a_xn, scratch, out=n)
            np.tanh(n, out=n)  # n = tanh(a_xn + r ⊙ a_hn)
            np.subtract(n, h_prev, out=q)
            np.multiply(z, q, out=scratch)
            np.add(h_prev, scratch, out=h)  # (51): h = h' + z ⊙ (n − h')

    @staticmethod
    def factors(room, K, start, count):
        """(50), all of dh: K_n = z (1 − n²), K_hn = K_n r, K_r = K_n a_hn r (1 − r), K_z = (n − h') z (1 − z), and 1 − z."""
        S = room.S[start:start + count]
        a_hn, r, z, n, q = (S[:, k] for k in range(5))
        K_hn, K_r, K_z, K_n, K_h = (K[:, k] for k in range(5))
        np.multiply(n, n, out=K_n)
        np.subtract(1, K_n, out=K_n)
        np.multiply(K_n, z, out=K_n)
        np.multiply(K_n, r, out=K_hn)
        np.subtract(1, r, out=K_r)
        np.multiply(K_r, a_hn, out=K_r)
        np.multiply(K_r, K_hn, out=K_r)
        np.subtract(1, z, out=K_h)
        np.multiply(q, z, out=K_z)
        np.multiply(K_z, K_h, out=K_z)

    @staticmethod
    def backward_views(back):
        _, _, H, B = back.sizes
        return ([(K,) for K in back.K],
                [(D, D[:3].reshape(3 * H, B), D[4], d_output) for D, d_output in zip(back.D, back.d_outputs)])

    @staticmethod
    def backward(back, W, first, last, with_outputs, ends):
        H = back.sizes[2]
        W_T, dh = W[:3 * H, :H].T, back.dh
        for (K,), (D, da_h, direct, d_output) in zip(back.K_steps[last - first - 1::-1], back.steps[first:last][::-1]):
            if with_outputs:
                np.add(dh, d_output, out=dh)
            np.multiply(dh, K, out=D)  # (50): da_hn, da_r, da_z, da_xn and dh ⊙ (1 − z)
            np.matmul(W_T, da_h, out=dh)
            np.add(dh, direct, out=dh)

    @staticmethod
    def add_dW(dW, D, Z, H):
        dW[:3 * H, :H] += D[:3 * H] @ Z[:H].T
        dW[H:, H:] += D[H:] @ Z[H:].T
        dW[:H, -1] += D[:H].sum(1)

    @staticmethod
    def unpack(dW, weights):
        H, I = weights.W_h.shape[1], weights.W_x.shape[1]
        dW_h, dW_x = np.concatenate([dW[H:3 * H, :H], dW[:H, :H]]), dW[H:, H:H + I]
        if weights.b_x is None:
            return Weights(dW_x, dW_h)
        db = dW[:, H + I:]
        return Weights(dW_x, dW_h, db[H:], np.concatenate([db[H:3 * H], db[:H]]))


_SCHEDULES = {RNNCell: _RNNSchedule, ReLURNNCell: _ReLURNNSchedule, LSTMCell: _LSTMSchedule, GRUCell: _GRUSchedule}
