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

CACHE = 400_000  # bytes of a chunk's factors and gradients
COLUMNS = 1024  # of the product that sums the gradient of W
WIDE = 192  # from this batch on that product is made step by step: its columns need no gathering
INFERENCE = 32  # steps in one go when no tape is kept


def forward_through_time(cell, weights, x, state, lengths=None, reverse=False, *,
                         h_mask=None, checkpoint_every=None, keep_tape=True, out=None):
    """As ``bptt.forward_through_time``, the same arguments and results."""
    schedule = _SCHEDULES.get(cell)
    if schedule is None or h_mask is not None or weights.W_p is not None or keep_tape and checkpoint_every is not None \
            or lengths is not None or len(x) == 0:
        return bptt.forward_through_time(cell, weights, x, state, lengths, reverse, h_mask=h_mask,
                                         checkpoint_every=checkpoint_every, keep_tape=keep_tape, out=out)
    T, I, B = x.shape
    H = state[0].shape[0]
    if out is None:
        out = np.empty((T, H, B), weights.W_h.dtype)
    hs = out
    if reverse:
        x, hs = x[::-1], hs[::-1]
    W = schedule.pack(weights)
    n = T if keep_tape else min(T, INFERENCE)
    room = _Room.take(schedule, n, I, H, B, W.dtype)
    for start in range(0, T, n):
        count = min(n, T - start)
        Z = room.Z
        Z[:count, H + 1:] = x[start:start + count]
        schedule.set_state(room, state)
        schedule.forward(room, W, count)
        hs[start:start + count] = Z[1:count + 1, :H]
        state = schedule.state(room, count)
    if keep_tape:
        return out, state, _Tape(schedule, room, reverse)
    room.give_back()
    return out, state, None


def backward_through_time(cell, weights, tape, d_hs, d_state, *, need_dx=True):
    """As ``bptt.backward_through_time``, the same arguments and results."""
    if isinstance(tape, bptt.Tape):
        return bptt.backward_through_time(cell, weights, tape, d_hs, d_state, need_dx=need_dx)
    schedule, room = tape.schedule, tape.room
    W = schedule.stack(weights)
    T, I, H, B = room.sizes
    if d_hs is not None and tape.reverse:
        d_hs = d_hs[::-1]
    d_x = np.empty((T, B, I), W.dtype).transpose(0, 2, 1) if need_dx else None
    n = max(1, min(T, max(CACHE // (schedule.factor_blocks * 2 * H * B * W.itemsize), 1)))
    if B < WIDE:
        n = min(T, max(n, -(-min(COLUMNS, T * B) // B)))
    back = _Back.take(schedule, n, I, H, B, W.dtype)
    dW = np.zeros_like(W)
    d_state = back.start(d_state)
    for start in range((T - 1) // n * n, -1, -n):
        count = min(n, T - start)
        schedule.factors(room, back, start, count)
        part = None if d_hs is None else d_hs[start:start + count]
        schedule.backward(back, W, part, count, need_dx)
        if need_dx:
            schedule.collect_dx(back, W, d_x[start:start + count], count)
        schedule.add_dW(dW, back, room.Z[start:start + count], count)
    d_state = back.end()
    back.give_back()
    return schedule.unpack(dW, weights), d_x[::-1] if need_dx and tape.reverse else d_x, d_state


class _Tape:
    """A forward pass: its room goes back into the pool when the tape is gone."""

    def __init__(self, schedule, room, reverse):
        self.schedule, self.room, self.reverse = schedule, room, reverse

    def __del__(self):
        self.room.give_back()


class _Pooled:
    """Buffers by sizes, kept for the next call of the same sizes."""

    LARGEST = 1 << 28  # bytes that the pool may hold in all
    held = 0

    @classmethod
    def take(cls, schedule, *sizes):
        free = cls.pool.setdefault((schedule, *sizes), [])
        try:
            room = free.pop()
            _Pooled.held -= room.nbytes
            return room
        except IndexError:
            room = cls(schedule, *sizes)
            room.key = (schedule, *sizes)
            return room

    def give_back(self):
        if _Pooled.held + self.nbytes <= self.LARGEST:
            _Pooled.held += self.nbytes
            self.pool.setdefault(self.key, []).append(self)


class _Room(_Pooled):
    """What a forward pass keeps: Z (T + 1, H + 1 + I, B) and the blocks of each step, S (T + 1, blocks, H, B)."""

    pool = {}

    def __init__(self, schedule, T, I, H, B, dtype):
        self.sizes = T, I, H, B
        self.Z = np.empty((T + 1, H + 1 + I, B), dtype)
        self.Z[:, H] = 1
        self.Z[T, H + 1:] = 0
        self.S = np.empty((T + 1, schedule.blocks, H, B), dtype)
        self.nbytes = self.Z.nbytes + self.S.nbytes
        self.steps = schedule.forward_views(self)


class _Back(_Pooled):
    """Room of a backward pass over chunks of n steps: factors K, gradients D, dh and dx."""

    pool = {}

    def __init__(self, schedule, n, I, H, B, dtype):
        self.sizes = n, I, H, B
        self.K = np.empty((n, schedule.factor_blocks, H, B), dtype)
        self.D = np.empty((n, schedule.gradient_blocks, H, B), dtype)
        self.work = np.empty((n, H, B), dtype)
        self.d_hx = np.empty((n, H + 1 + I, B), dtype)  # Wᵀ da of each step: dh, (the ones' gradient,) dx
        self.dh = np.empty((H, B), dtype)
        self.dc = np.empty((H, B), dtype)
        self.nbytes = sum(array.nbytes for array in (self.K, self.D, self.work, self.d_hx))
        self.steps = schedule.backward_views(self)
        self.letters = len(schedule.cell_state)

    def start(self, d_state):
        self.dh[...] = d_state[0]
        if self.letters > 1:
            self.dc[...] = d_state[1]

    def end(self):
        return (self.dh.copy(), self.dc.copy())[:self.letters]


def _sum_of_products(total, D, Z):
    """total += Σ_t D[t] Z[t]ᵀ for D (n, rows, B) and Z (n, columns, B)."""
    B = D.shape[2]
    if B == 1:
        total += D[:, :, 0].T @ Z[:, :, 0]
    elif B >= WIDE:
        for d, z in zip(D, Z):
            total += d @ z.T
    else:
        total += D.transpose(1, 0, 2).reshape(D.shape[1], -1) @ Z.transpose(1, 0, 2).reshape(Z.shape[1], -1).T


# ---- the three schedules ----

class _RNNSchedule:
    """h = tanh(a_x + a_h). Rows of W: one block. Nothing is kept but Z."""

    cell_state, blocks, factor_blocks, gradient_blocks = "h", 0, 1, 1

    @staticmethod
    def stack(weights):
        """[W_h, b_x + b_h, W_x], gate by gate as they come."""
        W_x, W_h, b_x, b_h, _ = weights
        H, (rows, I) = W_h.shape[1], W_x.shape
        W = np.empty((rows, H + 1 + I), W_h.dtype)
        W[:, :H], W[:, H + 1:] = W_h, W_x
        W[:, H] = 0 if b_x is None else (b_x + b_h)[:, 0]
        return W

    pack = stack

    @staticmethod
    def set_state(room, state):
        room.Z[0, :len(state[0])] = state[0]

    @staticmethod
    def state(room, t):
        return (room.Z[t, :room.sizes[2]].copy(),)

    @staticmethod
    def forward_views(room):
        H = room.sizes[2]
        return [(room.Z[t], room.Z[t + 1, :H]) for t in range(len(room.Z) - 1)]

    @staticmethod
    def activate(h):
        np.tanh(h, out=h)

    @classmethod
    def forward(cls, room, W, count):
        activate = cls.activate
        for Z, h in room.steps[:count]:
            np.matmul(W, Z, out=h)  # (44)
            activate(h)

    @staticmethod
    def factors(room, back, start, count):
        """(10): da = dh ⊙ (1 − h²)."""
        h, K = room.Z[start + 1:start + count + 1, :room.sizes[2]], back.K[:count, 0]
        np.multiply(h, h, out=K)
        np.subtract(1, K, out=K)

    @staticmethod
    def backward_views(back):
        _, I, H, B = back.sizes
        return [(back.K[t, 0], back.D[t, 0], back.d_hx[t], back.d_hx[t, :H], back.work[t]) for t in range(len(back.K))]

    @staticmethod
    def backward(back, W, d_hs, count, need_dx):
        _, I, H, B = back.sizes
        W_T = W.T if need_dx else W[:, :H].T
        dh = back.dh
        if d_hs is not None:
            back.work[:count] = d_hs
        for K, da, d_hx, dh_prev, d_output in back.steps[count - 1::-1]:
            if d_hs is not None:
                np.add(dh, d_output, out=d_output)
                dh = d_output
            np.multiply(dh, K, out=da)
            np.matmul(W_T, da, out=d_hx if need_dx else dh_prev)  # (45)
            dh = dh_prev
        back.dh[...] = dh

    @staticmethod
    def collect_dx(back, W, d_x, count):
        d_x[...] = back.d_hx[:count, back.sizes[2] + 1:]

    @staticmethod
    def add_dW(dW, back, Z, count):
        _sum_of_products(dW, back.D[:count, 0], Z)

    @staticmethod
    def unpack(dW, weights):
        H = weights.W_h.shape[1]
        db = dW[:, H:H + 1]
        bias = weights.b_x is not None
        return Weights(dW[:, H + 1:], dW[:, :H], db if bias else None, db if bias else None)


class _ReLURNNSchedule(_RNNSchedule):
    """h = max(a_x + a_h, 0)."""

    @staticmethod
    def activate(h):
        np.multiply(h, h.real > 0, out=h)

    @staticmethod
    def factors(room, back, start, count):
        """(12): da = dh where h > 0, else 0."""
        back.K[:count, 0] = room.Z[start + 1:start + count + 1, :room.sizes[2]].real > 0


class _LSTMSchedule(_RNNSchedule):
    """Rows of W: o i f g. Blocks of a step: o i f g c' tanh(c)."""

    cell_state, blocks, factor_blocks, gradient_blocks = "hc", 6, 6, 6

    @staticmethod
    def stack(weights):
        W = _RNNSchedule.stack(weights)
        return np.roll(W, W.shape[0] // 4, axis=0)  # i f g o -> o i f g

    @classmethod
    def pack(cls, weights):
        W = cls.stack(weights)
        W[:W.shape[0] // 4 * 3] *= 0.5  # (46): for σ(a) = ½ tanh(a/2) + ½ of o, i, f
        return W

    @staticmethod
    def set_state(room, state):
        _RNNSchedule.set_state(room, state)
        room.S[0, 4] = state[1]

    @staticmethod
    def state(room, t):
        return room.Z[t, :room.sizes[2]].copy(), room.S[t, 4].copy()

    @staticmethod
    def forward_views(room):
        T, I, H, B = room.sizes
        Z, S = room.Z, room.S
        room.terms = np.empty((2, H, B), S.dtype)
        return [(Z[t], S[t, :4].reshape(4 * H, B), S[t, :3], S[t, 1:3], S[t, 3:5], S[t + 1, 4], S[t, 5], S[t, 0], Z[t + 1, :H])
                for t in range(T)]

    @staticmethod
    def forward(room, W, count):
        terms, (first, second) = room.terms, room.terms
        half = W.dtype.type(0.5)
        for Z, a, oif, i_f, g_c, c, tanh_c, o, h in room.steps[:count]:
            np.matmul(W, Z, out=a)
            np.tanh(a, out=a)
            np.multiply(oif, half, out=oif)
            np.add(oif, half, out=oif)
            np.multiply(i_f, g_c, out=terms)  # i ⊙ g, f ⊙ c'
            np.add(first, second, out=c)
            np.tanh(c, out=tanh_c)
            np.multiply(o, tanh_c, out=h)

    @staticmethod
    def factors(room, back, start, count):
        """(48): K_c = o (1 − tanh² c), K_o = tanh(c) o (1 − o), K_i = g i (1 − i), K_f = c' f (1 − f), K_g = i (1 − g²)."""
        S, K, H = room.S[start:start + count], back.K[:count], room.sizes[2]
        h, tanh_c = room.Z[start + 1:start + count + 1, :H], S[:, 5]
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
        n, I, H, B = back.sizes
        K, D = back.K, back.D
        return [(K[t, :2], K[t, 2:], D[t, :2], D[t, 2:], D[t, 0], D[t, 5], D[t, 1:5].reshape(4 * H, B), back.d_hx[t],
                 back.d_hx[t, :H], back.work[t]) for t in range(n)]

    @staticmethod
    def backward(back, W, d_hs, count, need_dx):
        H = back.sizes[2]
        W_T = W.T if need_dx else W[:, :H].T
        dh, dc = back.dh, back.dc
        if d_hs is not None:
            back.work[:count] = d_hs
        for K_h, K_c, from_h, from_c, dc_here, dc_prev, da, d_hx, dh_prev, d_output in back.steps[count - 1::-1]:
            if d_hs is not None:
                np.add(dh, d_output, out=d_output)
                dh = d_output
            np.multiply(dh, K_h, out=from_h)  # (49): dh ⊙ o (1 − tanh² c), da_o
            np.add(dc, dc_here, out=dc_here)
            np.multiply(dc_here, K_c, out=from_c)  # da_i, da_f, da_g, dc' = dc ⊙ f
            np.matmul(W_T, da, out=d_hx if need_dx else dh_prev)  # (45)
            dh, dc = dh_prev, dc_prev
        back.dh[...], back.dc[...] = dh, dc

    @staticmethod
    def add_dW(dW, back, Z, count):
        _, I, H, B = back.sizes
        _sum_of_products(dW, back.D[:count, 1:5].reshape(count, 4 * H, B), Z)

    @staticmethod
    def unpack(dW, weights):
        return _RNNSchedule.unpack(np.roll(dW, -(dW.shape[0] // 4), axis=0), weights)


class _GRUSchedule(_RNNSchedule):
    """Rows of W: hn r z xn, so that the rows that read h, and those that read x, stand together. Blocks of a step:
    a_hn, r, z, n, n − h'."""

    cell_state, blocks, factor_blocks, gradient_blocks = "h", 5, 5, 5

    @staticmethod
    def stack(weights):
        W_x, W_h, b_x, b_h, _ = weights
        H, I = W_h.shape[1], W_x.shape[1]
        W = np.zeros((4 * H, H + 1 + I), W_h.dtype)
        W[:H, :H], W[H:3 * H, :H] = W_h[2 * H:], W_h[:2 * H]
        W[H:, H + 1:] = W_x
        if b_x is not None:
            W[:H, H], W[3 * H:, H] = b_h[2 * H:, 0], b_x[2 * H:, 0]
            W[H:3 * H, H] = (b_x + b_h)[:2 * H, 0]
        return W

    @classmethod
    def pack(cls, weights):
        W = cls.stack(weights)
        H = W.shape[0] // 4
        W[H:3 * H] *= 0.5  # (46): for σ(a) = ½ tanh(a/2) + ½ of r and z
        return W

    @staticmethod
    def forward_views(room):
        T, I, H, B = room.sizes
        Z, S = room.Z, room.S
        room.scratch = np.empty((H, B), S.dtype)
        return [(Z[t], S[t, :3].reshape(3 * H, B), S[t, 1:3], S[t, 0], S[t, 1], S[t, 2], S[t, 3], S[t, 4], Z[t, :H],
                 Z[t + 1, :H]) for t in range(T)]

    @staticmethod
    def forward(room, W, count):
        H, half, scratch = room.sizes[2], W.dtype.type(0.5), room.scratch
        W_steps = W[:3 * H]
        np.matmul(W[3 * H:, H:], room.Z[:count, H:], out=room.S[:count, 3])  # a_xn of all steps
        for Z, a, rz, a_hn, r, z, n, q, h_prev, h in room.steps[:count]:
            np.matmul(W_steps, Z, out=a)
            np.tanh(rz, out=rz)
            np.multiply(rz, half, out=rz)
            np.add(rz, half, out=rz)
            np.multiply(r, a_hn, out=scratch)
            np.add(n, scratch, out=n)
            np.tanh(n, out=n)  # n = tanh(a_xn + r ⊙ a_hn)
            np.subtract(n, h_prev, out=q)
            np.multiply(z, q, out=scratch)
            np.add(h_prev, scratch, out=h)  # (51): h = h' + z ⊙ (n − h')

    @staticmethod
    def factors(room, back, start, count):
        """(50), all of dh: K_n = z (1 − n²), K_hn = K_n r, K_r = K_n a_hn r (1 − r), K_z = (n − h') z (1 − z), and 1 − z."""
        S, K = room.S[start:start + count], back.K[:count]
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
        n, I, H, B = back.sizes
        return [(back.K[t], back.D[t], back.D[t, :3].reshape(3 * H, B), back.D[t, 4], back.d_hx[t, :H], back.work[t])
                for t in range(n)]

    @staticmethod
    def backward(back, W, d_hs, count, need_dx):
        H = back.sizes[2]
        W_T = W[:3 * H, :H].T
        dh = back.dh
        if d_hs is not None:
            back.work[:count] = d_hs
        for K, D, da_h, d_direct, dh_prev, d_output in back.steps[count - 1::-1]:
            if d_hs is not None:
                np.add(dh, d_output, out=d_output)
                dh = d_output
            np.multiply(dh, K, out=D)  # (50): da_hn, da_r, da_z, da_xn and dh ⊙ (1 − z)
            np.matmul(W_T, da_h, out=dh_prev)
            np.add(dh_prev, d_direct, out=dh_prev)
            dh = dh_prev
        back.dh[...] = dh

    @staticmethod
    def collect_dx(back, W, d_x, count):
        _, I, H, B = back.sizes
        np.matmul(W[H:, H + 1:].T, back.D[:count, 1:4].reshape(count, 3 * H, B), out=back.d_hx[:count, H + 1:])
        d_x[...] = back.d_hx[:count, H + 1:]

    @staticmethod
    def add_dW(dW, back, Z, count):
        _, I, H, B = back.sizes
        D = back.D[:count]
        _sum_of_products(dW[:3 * H, :H + 1], D[:, :3].reshape(count, 3 * H, B), Z[:, :H + 1])
        _sum_of_products(dW[H:, H + 1:], D[:, 1:4].reshape(count, 3 * H, B), Z[:, H + 1:])
        dW[3 * H:, H] += D[:, 3].sum((0, 2))

    @staticmethod
    def unpack(dW, weights):
        H = weights.W_h.shape[1]
        dW_h, dW_x = np.concatenate([dW[H:3 * H, :H], dW[:H, :H]]), dW[H:, H + 1:]
        if weights.b_x is None:
            return Weights(dW_x, dW_h)
        db = dW[:, H:H + 1]
        return Weights(dW_x, dW_h, db[H:], np.concatenate([db[H:3 * H], db[:H]]))


_SCHEDULES = {RNNCell: _RNNSchedule, ReLURNNCell: _ReLURNNSchedule, LSTMCell: _LSTMSchedule, GRUCell: _GRUSchedule}
