"""The optimized schedule of each cell: what ``fused.py`` runs through time. The tricks are explained there.

A schedule stacks the weights (``stack``), runs steps forward (``forward``), makes the factors of the gradients for many
steps (``factors``) and runs steps back (``backward``). Every line stands for one of ``cells.py``, by its equation's
number in ``docs/derivation.md``. The buffers it works in are ``rooms.Room`` and ``rooms.Back``.
"""

import numpy as np

from ..bptt import Weights
from ..cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from .memory_layout import outer


class RNNSchedule:
    """h = tanh(a_x + a_h). Rows of W: one block. A step has no block but h itself. Block of D: da."""

    cell_state, blocks, factor_blocks, gradient_blocks, da = "h", 0, 1, 1, slice(0, 1)
    bounded = True  # h stays finite when a sequence that has ended runs on
    zeros_in_W = False  # whether some rows of W have zeros where others read x

    @staticmethod
    def rows_of_x(H):
        """The rows of W, and of D gathered, that have to do with x."""
        return slice(0, H)

    @staticmethod
    def rows_of_h(H):
        """The rows of W that have to do with h."""
        return slice(None)

    @staticmethod
    def stack(weights):
        """[W_h, W_x, b_x + b_h]."""
        W_x, W_h, b_x, b_h, *_ = weights
        H, (rows, I) = W_h.shape[1], W_x.shape
        W = np.empty((rows, H + I + 1), W_h.dtype)
        W[:, :H], W[:, H : H + I] = W_h, W_x
        W[:, H + I] = 0 if b_x is None else (b_x + b_h)[:, 0]
        return W

    @staticmethod
    def halve(W):
        """W for the forward pass, with the rows of σ gates halved."""
        return W

    @staticmethod
    def set_state(room, state):
        room.Z[0, : room.sizes[2]] = state[0]

    @staticmethod
    def states(room):
        """(T + 1, H, B) for each letter of the state."""
        return (room.Z[:, : room.sizes[2]],)

    @classmethod
    def state(cls, room, t):
        return tuple(part[t].copy() for part in cls.states(room))

    @staticmethod
    def forward_views(room):
        H = room.sizes[2]
        return [(room.Z[t], room.Z[t, :H], room.Z[t + 1, :H]) for t in range(room.sizes[0])]

    activate = staticmethod(np.tanh)  # from a to h, in place

    @classmethod
    def forward(cls, room, W, first, last):
        activate, dot, add, W_h = cls.activate, np.dot, np.add, room.W_h
        for (Z, h_prev, h), a_x in zip(room.steps[first:last], room.hoisted(first, last)):
            if a_x is None:
                dot(W, Z, h)  # (44)
            else:
                dot(W_h, h_prev, h)
                add(h, a_x, h)
            activate(h, h)

    @staticmethod
    def factors(room, K, start, count):
        """(10): da = dh ⊙ (1 − h²)."""
        h = room.Z[start + 1 : start + count + 1, : room.sizes[2]]
        np.multiply(h, h, out=K[:, 0])
        np.subtract(1, K[:, 0], out=K[:, 0])

    @staticmethod
    def backward_views(back):
        """For each step the factors, and the gradients with the loss's own."""
        return [(K[0],) for K in back.K], [(D[0], D[0], d_output) for D, d_output in zip(back.D, back.d_outputs)]

    scale, operand = staticmethod(np.multiply), staticmethod(lambda array: array)  # da = dh ⊙ K

    @classmethod
    def backward(cls, back, W_T, made, first, last, with_outputs, ends):
        dot, add, scale, dh, dh_operand = np.dot, np.add, cls.scale, back.dh, cls.operand(back.dh)
        steps = zip(back.K_steps[first - made : last - made][::-1], back.steps[first:last][::-1])
        for (K,), (da, da_operand, d_output) in steps:
            if with_outputs:
                add(dh, d_output, dh)
            scale(dh_operand, K, da_operand)
            dot(W_T, da, dh)  # (45)

    @staticmethod
    def add_dW(dW, D, Z, H, room, matmul):
        """dW += Σ_t da_t Z_tᵀ. ``room`` for the product."""
        dW += outer(D, Z, room, matmul)

    @staticmethod
    def unpack(dW, weights):
        H, I = weights.W_h.shape[1], weights.W_x.shape[1]
        db = None if weights.b_x is None else dW[:, H + I :]
        return Weights(dW[:, H : H + I], dW[:, :H], db, db)


class ReLURNNSchedule(RNNSchedule):
    """h = max(a_x + a_h, 0).

    da is selected, not multiplied: 0 · dh would be NaN where dh is not finite. The factor is a mask of bits, all ones
    or all zeros for each number, and da = dh AND mask, which is as fast as a product.
    """

    bounded = False

    @staticmethod
    def activate(a, h):
        """(11), as in ``cells.py``: NaN stays NaN, and a complex number is selected by its real part."""
        if a.dtype.kind == "c":
            np.copyto(h, np.where(a.real <= 0, 0, a))
        else:
            np.maximum(a, 0, out=h)

    @staticmethod
    def factors(room, K, start, count):
        """(12): da = 0 where h <= 0, else dh."""
        zero = room.Z[start + 1 : start + count + 1, : room.sizes[2]].real <= 0
        mask = _bits(K[:, 0])
        np.subtract(np.repeat(zero, mask.shape[-1] // zero.shape[-1], axis=-1), 1, out=mask, dtype=mask.dtype)

    @staticmethod
    def backward_views(back):
        return (
            [(_bits(K[0]),) for K in back.K],
            [(D[0], _bits(D[0]), d_output) for D, d_output in zip(back.D, back.d_outputs)],
        )

    scale, operand = staticmethod(np.bitwise_and), staticmethod(lambda array: _bits(array))


def _bits(array):
    """A view of floats as signed integers of the same bits; two of them for each complex number."""
    return array.view(f"i{array.real.itemsize}")


class LSTMSchedule(RNNSchedule):
    """Rows of W: o i f g. Blocks of a step: o i f g c' tanh(c). Blocks of D: the part of dc that comes through h, da_o,
    da_i, da_f, da_g, dc'."""

    cell_state, blocks, factor_blocks, gradient_blocks, da = "hc", 6, 6, 6, slice(1, 5)

    @staticmethod
    def rows_of_x(H):
        return slice(0, 4 * H)

    @staticmethod
    def stack(weights):
        W_x, W_h, b_x, b_h, *_ = weights
        H, I = W_h.shape[1], W_x.shape[1]
        W = np.empty((4 * H, H + I + 1), W_h.dtype)
        for to, rows in ((slice(0, H), slice(3 * H, None)), (slice(H, None), slice(0, 3 * H))):  # i f g o -> o i f g
            W[to, :H], W[to, H : H + I] = W_h[rows], W_x[rows]
            W[to, H + I] = 0 if b_x is None else (b_x[rows] + b_h[rows])[:, 0]
        return W

    @staticmethod
    def halve(W):
        W = W.copy()
        W[: W.shape[0] // 4 * 3] *= 0.5  # (46): for σ(a) = ½ tanh(a/2) + ½ of o, i, f
        return W

    @staticmethod
    def set_state(room, state):
        RNNSchedule.set_state(room, state)
        room.S[0, 4] = state[1]

    @staticmethod
    def states(room):
        return (*RNNSchedule.states(room), room.S[:, 4])

    @staticmethod
    def forward_views(room):
        T, I, H, B = room.sizes
        Z, S = room.Z, room.S
        return [
            (
                Z[t],
                Z[t, :H],
                S[t, :4].reshape(4 * H, B),
                S[t, :3],
                S[t, 1:3],
                S[t, 3:5],
                S[t + 1, 4],
                S[t, 5],
                S[t, 0],
                Z[t + 1, :H],
            )
            for t in range(T)
        ]

    @classmethod
    def forward(cls, room, W, first, last):
        dot, tanh, add, multiply = np.dot, np.tanh, np.add, np.multiply
        terms, (from_i, from_f) = room.scratch, room.scratch
        half, W_h = W.dtype.type(0.5), room.W_h
        steps = zip(room.steps[first:last], room.hoisted(first, last))
        for (Z, h_prev, a, oif, i_f, g_c, c, tanh_c, o, h), a_x in steps:
            if a_x is None:
                dot(W, Z, a)  # (44)
            else:
                dot(W_h, h_prev, a)
                add(a, a_x, a)
            tanh(a, a)
            multiply(oif, half, oif)
            add(oif, half, oif)
            multiply(i_f, g_c, terms)  # i ⊙ g, f ⊙ c'
            add(from_i, from_f, c)
            tanh(c, tanh_c)
            multiply(o, tanh_c, h)

    @staticmethod
    def factors(room, K, start, count):
        """(48): K_c = o (1 − tanh² c), K_o = h (1 − o), K_i = i g (1 − i), K_f = f c' (1 − f), K_g = i (1 − g²), and
        f."""
        S = room.S[start : start + count]
        o, i_f, i, f, g, g_c, tanh_c = S[:, 0], S[:, 1:3], S[:, 1], S[:, 2], S[:, 3], S[:, 3:5], S[:, 5]
        h = room.Z[start + 1 : start + count + 1, : room.sizes[2]]
        K_c, K_o, K_co, K_i, K_if, K_g, K_next = K[:, 0], K[:, 1], K[:, :2], K[:, 2], K[:, 2:4], K[:, 4], K[:, 5]
        np.multiply(i_f, g_c, K_if)  # i g and f c'
        np.multiply(g, K_i, K_g)
        np.subtract(i, K_g, K_g)  # i (1 − g²) = i − g (i g)
        np.subtract(1, i_f, K_co)
        np.multiply(K_if, K_co, K_if)
        np.multiply(h, tanh_c, K_c)
        np.subtract(o, K_c, K_c)  # (47)
        np.subtract(1, o, K_o)
        np.multiply(h, K_o, K_o)  # tanh(c) o (1 − o) = h (1 − o)
        np.copyto(K_next, f)

    @staticmethod
    def backward_views(back):
        _, _, H, B = back.sizes
        return (
            [(K[:2], K[2:]) for K in back.K],
            [
                (D[:2], D[2:], D[0], D[5], D[1:5].reshape(4 * H, B), d_output)
                for D, d_output in zip(back.D, back.d_outputs)
            ],
        )

    @staticmethod
    def backward(back, W_T, made, first, last, with_outputs, ends):
        dot, add, multiply, dh, dc = np.dot, np.add, np.multiply, back.dh, back.dc
        steps = zip(
            range(first, last)[::-1], back.K_steps[first - made : last - made][::-1], back.steps[first:last][::-1]
        )
        for t, (K_h, K_c), (from_h, from_c, dc_here, dc_prev, da, d_output) in steps:
            if with_outputs:
                add(dh, d_output, dh)
            multiply(dh, K_h, from_h)  # (49): dh ⊙ o (1 − tanh² c), da_o
            add(dc, dc_here, dc_here)
            if t in ends:
                add(dc_here, ends[t], dc_here)
            multiply(dc_here, K_c, from_c)  # da_i, da_f, da_g, dc' = dc ⊙ f
            dot(W_T, da, dh)  # (45)
            dc = dc_prev
        back.dc[...] = dc

    @staticmethod
    def unpack(dW, weights):
        H = weights.W_h.shape[1]
        return RNNSchedule.unpack(np.concatenate([dW[H:], dW[:H]]), weights)  # o i f g -> i f g o


class GRUSchedule(RNNSchedule):
    """Rows of W: hn r z xn, so that the rows that read h, and those that read x, stand together. Blocks of a step:
    a_hn, r, z, n, n − h'. Blocks of D: da_hn, da_r, da_z, da_xn, and the part of dh that goes past the gates."""

    cell_state, blocks, factor_blocks, gradient_blocks, da = "h", 5, 5, 5, slice(0, 4)
    zeros_in_W = True

    @staticmethod
    def rows_of_x(H):
        return slice(H, 4 * H)

    @staticmethod
    def rows_of_h(H):
        return slice(0, 3 * H)

    @staticmethod
    def stack(weights):
        W_x, W_h, b_x, b_h, *_ = weights
        H, I = W_h.shape[1], W_x.shape[1]
        W = np.zeros((4 * H, H + I + 1), W_h.dtype)
        W[:H, :H], W[H : 3 * H, :H] = W_h[2 * H :], W_h[: 2 * H]
        W[H:, H : H + I] = W_x
        if b_x is not None:
            W[:H, H + I], W[3 * H :, H + I] = b_h[2 * H :, 0], b_x[2 * H :, 0]
            W[H : 3 * H, H + I] = (b_x + b_h)[: 2 * H, 0]
        return W

    @staticmethod
    def halve(W):
        W, H = W.copy(), W.shape[0] // 4
        W[H : 3 * H] *= 0.5  # (46): for σ(a) = ½ tanh(a/2) + ½ of r and z
        return W

    @staticmethod
    def forward_views(room):
        T, I, H, B = room.sizes
        Z, S = room.Z, room.S
        return [
            (
                Z[t],
                Z[t, H:],
                S[t, :3].reshape(3 * H, B),
                S[t, 1:3].reshape(2 * H, B),
                S[t, 0],
                S[t, 1],
                S[t, 2],
                S[t, 3],
                S[t, 4],
                Z[t, :H],
                Z[t + 1, :H],
            )
            for t in range(T)
        ]

    @classmethod
    def forward(cls, room, W, first, last):
        dot, tanh, add, subtract, multiply = np.dot, np.tanh, np.add, np.subtract, np.multiply
        half, scratch, W_h, H = W.dtype.type(0.5), room.scratch[0], room.W_h, room.sizes[2]
        W_steps, W_n, bias = W[: 3 * H], W[3 * H :, H:].copy(), W[:H, H + room.sizes[1] :]
        steps = zip(room.steps[first:last], room.hoisted(first, last))
        for (Z, x, a, rz, a_hn, r, z, n, q, h_prev, h), a_x in steps:
            if a_x is None:
                dot(W_steps, Z, a)  # (44)
                a_xn = dot(W_n, x, n)
            else:
                dot(W_h, h_prev, a)
                add(a_hn, bias, a_hn)
                add(rz, a_x[: 2 * H], rz)
                a_xn = a_x[2 * H :]
            tanh(rz, rz)
            multiply(rz, half, rz)
            add(rz, half, rz)
            multiply(r, a_hn, scratch)
            add(a_xn, scratch, n)
            tanh(n, n)  # n = tanh(a_xn + r ⊙ a_hn)
            subtract(n, h_prev, q)
            multiply(z, q, scratch)
            add(h_prev, scratch, h)  # (51): h = h' + z ⊙ (n − h')

    @staticmethod
    def factors(room, K, start, count):
        """(50), all of dh: K_n = z (1 − n²), K_hn = K_n r, K_r = K_n a_hn r (1 − r), K_z = (n − h') z (1 − z), and 1 −
        z."""
        S = room.S[start : start + count]
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
        return (
            [(K,) for K in back.K],
            [(D, D[:3].reshape(3 * H, B), D[4], d_output) for D, d_output in zip(back.D, back.d_outputs)],
        )

    @staticmethod
    def backward(back, W_T, made, first, last, with_outputs, ends):
        dot, add, multiply, dh = np.dot, np.add, np.multiply, back.dh
        for (K,), (D, da_h, direct, d_output) in zip(
            back.K_steps[first - made : last - made][::-1], back.steps[first:last][::-1]
        ):
            if with_outputs:
                add(dh, d_output, dh)
            multiply(dh, K, D)  # (50): da_hn, da_r, da_z, da_xn and dh ⊙ (1 − z)
            dot(W_T, da_h, dh)
            add(dh, direct, dh)

    @staticmethod
    def add_dW(dW, D, Z, H, room, matmul):
        dW[: 3 * H, :H] += outer(D[: 3 * H], Z[:H], room, matmul)
        dW[H:, H:] += outer(D[H:], Z[H:], room, matmul)
        dW[:H, -1] += D[:H].sum(1)

    @staticmethod
    def unpack(dW, weights):
        H, I = weights.W_h.shape[1], weights.W_x.shape[1]
        dW_h, dW_x = np.concatenate([dW[H : 3 * H, :H], dW[:H, :H]]), dW[H:, H : H + I]
        if weights.b_x is None:
            return Weights(dW_x, dW_h)
        db = dW[:, H + I :]
        return Weights(dW_x, dW_h, db[H:], np.concatenate([db[H : 3 * H], db[:H]]))


SCHEDULES = {RNNCell: RNNSchedule, ReLURNNCell: ReLURNNSchedule, LSTMCell: LSTMSchedule, GRUCell: GRUSchedule}
