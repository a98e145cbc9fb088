"""The kernels: one step of each cell, forward and backward, in the order of operations that ``fused`` is fast by.

Every line does what a line of ``cells.py`` does, which the comment quotes; what it quotes of products is in
``bptt.py``. The numbers are those of the equations in ``docs/derivation.md``. The
reasons for the order are in ``fused/__init__.py``, the contract of a kernel is in ``kernel_base.py``, and the shapes of
the buffers are in ``workspace.py``. Loops keep functions and views in local variables: at small sizes that is what a
step costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bptt import Weights
from ..cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from .kernel_base import Kernel
from .memory_layout import Matmul, outer
from .product import product
from .workspace import BackwardSteps, BackwardWorkspace, ForwardWorkspace


class RNNKernel(Kernel):
    """h = tanh(a_x + a_h). W has one block of rows; a step keeps nothing but h; the block of D is da."""

    activate: Any = staticmethod(np.tanh)  # (9): from a to h, (H, B) each, in place
    scale: Any = staticmethod(np.multiply)  # da = dh ⊙ K

    @staticmethod
    def operand(array: np.ndarray) -> np.ndarray:
        """Return the view of dh, K and da that ``scale`` takes."""
        return array

    @staticmethod
    def forward_views(workspace: ForwardWorkspace) -> list[Any]:
        """For each step ζ (H + I + 1, B), h before it and h after it (H, B)."""
        T, _, H, _ = workspace.sizes
        Z = workspace.Z
        return [(Z[t], Z[t, :H], Z[t + 1, :H]) for t in range(T)]

    @classmethod
    def forward(cls, workspace: ForwardWorkspace, W: np.ndarray, first: int, last: int) -> None:
        activate, add, (of_Z, of_h) = cls.activate, np.add, workspace.products(W)
        for (Z, h_prev, h), a_x in workspace.views_of(first, last):
            if a_x is None:
                of_Z(Z, h)  # (44): ``a_x + a_h``
            else:
                of_h(h_prev, h)  # ``W_h @ h``
                add(h, a_x, h)  # ``a_x + a_h``
            activate(h, h)  # (9): ``h = np.tanh(a_x + a_h)``

    @staticmethod
    def factors(workspace: ForwardWorkspace, K: np.ndarray, start: int, count: int) -> None:
        """(10): da = dh ⊙ (1 − h²)."""
        h = workspace.Z[start + 1 : start + count + 1, : workspace.sizes[2]]
        np.multiply(h, h, out=K[:, 0])  # ``h * h``
        np.subtract(1, K[:, 0], out=K[:, 0])  # ``1 - h * h``

    @classmethod
    def backward_views(cls, workspace: BackwardWorkspace) -> list[Any]:
        """K, later da, of each step, the same for ``scale``, and the gradient of the output; (H, B) each."""
        return [(D[0], cls.operand(D[0]), d_output) for D, d_output in zip(workspace.D, workspace.d_outputs)]

    @classmethod
    def backward(cls, workspace: BackwardWorkspace, W_T: np.ndarray, steps: BackwardSteps) -> None:
        multiply_W_T, add, scale, dh = product(W_T, workspace.sizes[3]), np.add, cls.scale, workspace.dh
        dh_operand = cls.operand(dh)
        for da, da_operand, d_output in workspace.steps[steps.first : steps.last][::-1]:
            if steps.with_outputs:
                add(dh, d_output, dh)  # (29)
            scale(dh_operand, da_operand, da_operand)  # (10): ``da = dh * (1 - h * h)``
            multiply_W_T(da, dh)  # (45): ``dh = W_h.T @ da_h``


class ReLURNNKernel(RNNKernel):
    """h = max(a_x + a_h, 0).

    da is selected, not multiplied: 0 · dh would be NaN where dh is not finite. The factor is a mask of bits, all ones
    or all zeros for each number, and da = dh AND mask, which is as fast as a product.
    """

    bounded = False
    scale = staticmethod(np.bitwise_and)

    @staticmethod
    def operand(array: np.ndarray) -> np.ndarray:
        """A view of floats as signed integers of the same bits; two of them for each complex number."""
        return array.view(f"i{array.real.itemsize}")

    @staticmethod
    def activate(a: np.ndarray, h: np.ndarray) -> None:
        """(11), as in ``cells.py``: NaN stays NaN, and complex numbers are selected by their real parts."""
        if a.dtype.kind == "c":
            np.copyto(h, np.where(a.real <= 0, 0, a))
        else:
            np.maximum(a, 0, out=h)  # ``h = np.where(a.real <= 0, 0, a)``

    @classmethod
    def factors(cls, workspace: ForwardWorkspace, K: np.ndarray, start: int, count: int) -> None:
        """(12): da = 0 where h <= 0, else dh."""
        zero = workspace.Z[start + 1 : start + count + 1, : workspace.sizes[2]].real <= 0
        bits = (np.repeat(zero, 2, axis=-1) if K.dtype.kind == "c" else zero).view(np.int8)
        np.subtract(bits, 1, out=bits)  # True becomes 0, and False −1, whose bits are all ones
        np.copyto(cls.operand(K[:, 0]), bits)  # ``da = np.where(h.real <= 0, 0, dh)``


class LSTMKernel(Kernel):
    """Rows of W: o i f g. Blocks of a step: o i f g c' tanh(c), c' being the c before it. Blocks of D: the part of dc
    that comes through h, da_o, da_i, da_f, da_g, dc'."""

    cell_state, blocks, gradient_blocks, da = "hc", 6, 6, slice(1, 5)

    @staticmethod
    def rows_of_x(H: int) -> slice:
        return slice(0, 4 * H)

    @staticmethod
    def row_order(H: int) -> tuple[tuple[slice, slice], ...]:
        return (slice(0, H), slice(3 * H, None)), (slice(H, None), slice(0, 3 * H))  # from i f g o to o i f g

    @staticmethod
    def halve(W: np.ndarray) -> np.ndarray:
        W = W.copy()
        W[: W.shape[0] // 4 * 3] *= 0.5  # (46): for σ(a) = ½ tanh(a/2) + ½ of o, i, f
        return W

    @staticmethod
    def unpack(dW: np.ndarray, weights: Weights) -> Weights:
        H = weights.W_h.shape[1]
        return Kernel.unpack(np.concatenate([dW[H:], dW[:H]]), weights)  # from o i f g to i f g o

    @staticmethod
    def set_state(workspace: ForwardWorkspace, state: tuple[np.ndarray, ...]) -> None:
        Kernel.set_state(workspace, state)
        workspace.S[0, 4] = state[1]

    @staticmethod
    def states(workspace: ForwardWorkspace) -> tuple[np.ndarray, ...]:
        return (*Kernel.states(workspace), workspace.S[:, 4])

    @staticmethod
    def forward_views(workspace: ForwardWorkspace) -> list[Any]:
        """For each step ζ and h before it; a (4H, B); the blocks o i f, i f and g c'; c after it; tanh(c); o; h."""
        T, _, H, B = workspace.sizes
        Z, S = workspace.Z, workspace.S
        views = []
        for t in range(T):
            a, oif, i_f, g_c, c, tanh_c, o = S[t, :4], S[t, :3], S[t, 1:3], S[t, 3:5], S[t + 1, 4], S[t, 5], S[t, 0]
            views.append((Z[t], Z[t, :H], a.reshape(4 * H, B), oif, i_f, g_c, c, tanh_c, o, Z[t + 1, :H]))
        return views

    @classmethod
    def forward(cls, workspace: ForwardWorkspace, W: np.ndarray, first: int, last: int) -> None:
        tanh, add, multiply, (of_Z, of_h) = np.tanh, np.add, np.multiply, workspace.products(W)
        terms, (from_i, from_f), half = workspace.scratch, workspace.scratch, np.array(0.5, W.dtype)
        views = workspace.views_of(first, last)
        for (Z, h_prev, a, oif, i_f, g_c, c, tanh_c, o, h), a_x in views:
            if a_x is None:
                of_Z(Z, a)  # (44): ``a_x + a_h``
            else:
                of_h(h_prev, a)  # ``W_h @ h``
                add(a, a_x, a)  # ``a_x + a_h``
            tanh(a, a)  # (46): ``np.tanh(a_g)``, and ``np.tanh(0.5 * a)`` of o, i, f
            multiply(oif, half, oif)
            add(oif, half, oif)  # (13): ``sigmoid(a_i), sigmoid(a_f)`` and ``sigmoid(a_o)``
            multiply(i_f, g_c, terms)  # ``i * g`` and ``f * c_prev``
            add(from_i, from_f, c)  # (14): ``c = f * c_prev + i * g``
            tanh(c, tanh_c)  # ``tanh_c = np.tanh(c)``
            multiply(o, tanh_c, h)  # (15): ``h = o * tanh_c``

    @staticmethod
    def factors(workspace: ForwardWorkspace, K: np.ndarray, start: int, count: int) -> None:
        """(48): K_c = o (1 − tanh² c), K_o = h (1 − o), K_i = i g (1 − i), K_f = f c' (1 − f), K_g = i (1 − g²), and
        f."""
        S = workspace.S[start : start + count]
        o, i_f, i, f, g, g_c, tanh_c = S[:, 0], S[:, 1:3], S[:, 1], S[:, 2], S[:, 3], S[:, 3:5], S[:, 5]
        h = workspace.Z[start + 1 : start + count + 1, : workspace.sizes[2]]
        K_c, K_o, K_co, K_i, K_if, K_g, K_next = K[:, 0], K[:, 1], K[:, :2], K[:, 2], K[:, 2:4], K[:, 4], K[:, 5]
        np.multiply(i_f, g_c, K_if)  # i g and f c'
        np.multiply(g, K_i, K_g)
        np.subtract(i, K_g, K_g)  # i (1 − g²) = i − g (i g): ``dc * i``, ``dg * (1 - g * g)``
        np.subtract(1, i_f, K_co)
        np.multiply(K_if, K_co, K_if)  # ``dc * g``, ``di * i * (1 - i)``; ``dc * c_prev``, ``df * f * (1 - f)``
        np.multiply(h, tanh_c, K_c)
        np.subtract(o, K_c, K_c)  # (47): ``o * (1 - tanh_c * tanh_c)``
        np.subtract(1, o, K_o)
        np.multiply(h, K_o, K_o)  # tanh(c) o (1 − o) = h (1 − o): ``do = dh * tanh_c``, ``do * o * (1 - o)``
        np.copyto(K_next, f)  # ``dc * f``

    @staticmethod
    def backward_views(workspace: BackwardWorkspace) -> list[Any]:
        """The blocks of each step, first the factors and then what they are named for: the part of dc that comes
        through h, and da_o (H, B); what dc gives (4, H, B); dc' (H, B), da (4H, B), and the gradient of the output."""
        _, _, H, B = workspace.sizes
        return [
            (D[0], D[1], D[2:], D[5], D[1:5].reshape(4 * H, B), d_output)
            for D, d_output in zip(workspace.D, workspace.d_outputs)
        ]

    @classmethod
    def backward(cls, workspace: BackwardWorkspace, W_T: np.ndarray, steps: BackwardSteps) -> None:
        add, multiply, dh, dc = np.add, np.multiply, workspace.dh, workspace.dc
        multiply_W_T = product(W_T, workspace.sizes[3])
        for t in range(steps.first, steps.last)[::-1]:
            dc_here, da_o, from_c, dc_prev, da, d_output = workspace.steps[t]
            if steps.with_outputs:
                add(dh, d_output, dh)  # (29)
            multiply(dh, dc_here, dc_here)  # (49): ``dh * o * (1 - tanh_c * tanh_c)``
            multiply(dh, da_o, da_o)  # (49): ``do * o * (1 - o)``
            add(dc, dc_here, dc_here)  # (17): ``dc = dc + dh * o * (1 - tanh_c * tanh_c)``
            if t in steps.gradient_at_end:
                add(dc_here, steps.gradient_at_end[t], dc_here)
            # (49): ``di * i * (1 - i)``, ``df * f * (1 - f)``, ``dg * (1 - g * g)`` and ``dc * f``
            multiply(dc_here, from_c, from_c)
            multiply_W_T(da, dh)  # (45): ``dh = W_h.T @ da_h``
            dc = dc_prev
        workspace.dc[...] = dc


class GRUKernel(Kernel):
    """Rows of W: hn r z xn, so that the rows that read h are contiguous, and so are those that read x. (a_hn and a_xn
    are not added, so W has zeros in the rows hn for x and in the rows xn for h.) Blocks of a step: a_hn, r, z, n,
    n − h'. Blocks of D: da_hn, da_r, da_z, da_xn, and the part of dh that bypasses the gates, dh ⊙ (1 − z)."""

    cell_state, blocks, gradient_blocks, da = "h", 5, 5, slice(0, 4)

    @staticmethod
    def rows_of_x(H: int) -> slice:
        return slice(H, 4 * H)

    @staticmethod
    def rows_of_h(H: int) -> slice:
        return slice(0, 3 * H)

    @classmethod
    def stack(cls, weights: Weights) -> np.ndarray:
        H, I = weights.W_h.shape[1], weights.W_x.shape[1]
        W = np.zeros((4 * H, H + I + 1), weights.W_h.dtype)
        W[:H, :H], W[H : 3 * H, :H] = weights.W_h[2 * H :], weights.W_h[: 2 * H]
        W[H:, H : H + I] = weights.W_x
        if weights.b_x is not None and weights.b_h is not None:
            W[:H, H + I], W[3 * H :, H + I] = weights.b_h[2 * H :, 0], weights.b_x[2 * H :, 0]
            W[H : 3 * H, H + I] = (weights.b_x + weights.b_h)[: 2 * H, 0]
        return W

    @staticmethod
    def halve(W: np.ndarray) -> np.ndarray:
        W, H = W.copy(), W.shape[0] // 4
        W[H : 3 * H] *= 0.5  # (46): for σ(a) = ½ tanh(a/2) + ½ of r and z
        return W

    @staticmethod
    def unpack(dW: np.ndarray, weights: Weights) -> Weights:
        H, I = weights.W_h.shape[1], weights.W_x.shape[1]
        dW_h, dW_x = np.concatenate([dW[H : 3 * H, :H], dW[:H, :H]]), dW[H:, H : H + I]
        if weights.b_x is None:
            return Weights(dW_x, dW_h)
        db = dW[:, H + I :]
        return Weights(dW_x, dW_h, db[H:], np.concatenate([db[H : 3 * H], db[:H]]))

    @staticmethod
    def forward_views(workspace: ForwardWorkspace) -> list[Any]:
        """For each step ζ and its part [x; 1]; a of hn r z (3H, B) and of r z (2H, B); the blocks a_hn, r, z, n and
        n − h'; h before it and h after it (H, B)."""
        T, _, H, B = workspace.sizes
        views = []
        for t in range(T):
            Z, S = workspace.Z[t], workspace.S[t]
            a, rz = S[:3].reshape(3 * H, B), S[1:3].reshape(2 * H, B)
            views.append((Z, Z[H:], a, rz, *S, Z[:H], workspace.Z[t + 1, :H]))
        return views

    @classmethod
    def forward(cls, workspace: ForwardWorkspace, W: np.ndarray, first: int, last: int) -> None:
        cls._run(workspace, W, first, last)
        h = workspace.Z[last, : workspace.sizes[2]].reshape(-1)
        if not workspace.large and np.isnan(np.dot(h, h)):  # some h is NaN
            # if x is infinite, the zeros of W have made a_hn NaN, since 0 · inf is: run again without them
            cls.hoist(workspace, W, first, last, np.matmul)
            cls._run(workspace, W, first, last)
            workspace.do_not_hoist()

    @staticmethod
    def _run(workspace: ForwardWorkspace, W: np.ndarray, first: int, last: int) -> None:
        tanh, add, subtract, multiply, (_, I, H, B) = np.tanh, np.add, np.subtract, np.multiply, workspace.sizes
        half, scratch, bias = np.array(0.5, W.dtype), workspace.scratch[0], W[:H, H + I :]
        (of_Z, of_h), of_x = workspace.products(W[: 3 * H]), product(W[3 * H :, H:].copy(), B)
        views = workspace.views_of(first, last)
        for (Z, x, a, rz, a_hn, r, z, n, q, h_prev, h), a_x in views:
            if a_x is None:
                of_Z(Z, a)  # (44), the rows that read h: ``a_xr + a_hr``, ``a_xz + a_hz`` and ``a_hn``
                a_xn = of_x(x, n)  # (44), the rows that read x alone: ``a_xn``
            else:
                of_h(h_prev, a)  # ``W_h @ h``
                add(a_hn, bias, a_hn)  # ``W_h @ h + b_h``
                add(rz, a_x[: 2 * H], rz)  # ``a_xr + a_hr``, ``a_xz + a_hz``
                a_xn = a_x[2 * H :]
            tanh(rz, rz)  # (46): ``np.tanh(0.5 * a)``
            multiply(rz, half, rz)
            add(rz, half, rz)  # (21): ``r, z = sigmoid(a_xr + a_hr), sigmoid(a_xz + a_hz)``
            multiply(r, a_hn, scratch)  # ``r * a_hn``
            add(a_xn, scratch, n)  # ``a_xn + r * a_hn``
            tanh(n, n)  # (22): ``n = np.tanh(a_xn + r * a_hn)``
            subtract(n, h_prev, q)  # ``n - h_prev``
            multiply(z, q, scratch)
            add(h_prev, scratch, h)  # (51), in place of ``h = (1 - z) * h_prev + z * n``

    @staticmethod
    def factors(workspace: ForwardWorkspace, K: np.ndarray, start: int, count: int) -> None:
        """(50), all of dh: K_n = z (1 − n²), K_hn = K_n r, K_r = K_n a_hn r (1 − r), K_z = (n − h') z (1 − z), and 1 −
        z."""
        S = workspace.S[start : start + count]
        a_hn, r, z, n, q = (S[:, k] for k in range(5))
        K_hn, K_r, K_z, K_n, K_h = (K[:, k] for k in range(5))
        np.multiply(n, n, out=K_n)
        np.subtract(1, K_n, out=K_n)
        np.multiply(K_n, z, out=K_n)  # ``dh * z``, ``da_xn = dn * (1 - n * n)``
        np.multiply(K_n, r, out=K_hn)  # ``da_xn * r``
        np.subtract(1, r, out=K_r)
        np.multiply(K_r, a_hn, out=K_r)
        np.multiply(K_r, K_hn, out=K_r)  # ``da_xn * a_hn``, ``dr * r * (1 - r)``
        np.subtract(1, z, out=K_h)  # ``dh * (1 - z)``
        np.multiply(q, z, out=K_z)
        np.multiply(K_z, K_h, out=K_z)  # ``dh * (n - h_prev)``, ``dz * z * (1 - z)``

    @staticmethod
    def backward_views(workspace: BackwardWorkspace) -> list[Any]:
        """The factors and then the gradients (5, H, B), da_hn da_r da_z (3H, B), dh ⊙ (1 − z) (H, B) and the gradient
        of the output (H, B), of each step."""
        _, _, H, B = workspace.sizes
        steps = zip(workspace.D, workspace.d_outputs)
        return [(D, D[:3].reshape(3 * H, B), D[4], d_output) for D, d_output in steps]

    @classmethod
    def backward(cls, workspace: BackwardWorkspace, W_T: np.ndarray, steps: BackwardSteps) -> None:
        multiply_W_T, add, multiply, dh = product(W_T, workspace.sizes[3]), np.add, np.multiply, workspace.dh
        for D, da_h, direct, d_output in workspace.steps[steps.first : steps.last][::-1]:
            if steps.with_outputs:
                add(dh, d_output, dh)  # (29)
            multiply(dh, D, D)  # (50): da_hn, ``da_r, da_z``, da_xn and ``dh * (1 - z)``
            multiply_W_T(da_h, dh)  # (45), the rows that read h: ``dh = W_h.T @ da_h``
            add(dh, direct, dh)  # (30): ``dh = dh + d_direct[0]``

    @classmethod
    def add_dW(cls, dW: np.ndarray, D: np.ndarray, Z: np.ndarray, H: int, buffer: np.ndarray, matmul: Matmul) -> None:
        dW[: 3 * H, :H] += outer(D[: 3 * H], Z[:H], buffer, matmul)  # (45), the rows that read h
        dW[H:, H:] += outer(D[H:], Z[H:], buffer, matmul)  # (45), the rows that read x, and their bias
        dW[:H, -1] += D[:H].sum(1)  # (45), the bias of hn


KERNELS: dict[Any, type[Kernel]] = {
    RNNCell: RNNKernel,
    ReLURNNCell: ReLURNNKernel,
    LSTMCell: LSTMKernel,
    GRUCell: GRUKernel,
}
