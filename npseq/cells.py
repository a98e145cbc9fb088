"""One time step of each recurrent cell and its derivative, written as the papers write them.

A cell is element-wise. It is given two pre-activations, ``a_x = W_x x_t + b_x`` from the input and
``a_h = W_h h_{t-1} + b_h`` from the hidden state, and has no matrix product and no loop over time: those are in
``bptt.py``, once for every cell. All arrays have one column per sequence (letters: ``npseq/__init__.py``).

A cell is a class with

``gates``, ``state``
    one letter for each gate block of a_x and a_h, in the order of the rows; one letter for each array of the state.
``forward(a_x, a_h, state) -> new state, cache``
    a_x, a_h (G·H, B); a state is always a tuple of (H, B) arrays; the cache starts with the gates' values, in order.
``backward(d_state, cache) -> da_x, da_h, d_state of the step before``
    the forward read from the bottom up; the last value leaves out the path through W_h, which ``bptt.py`` adds.

Numbers such as (17) are those of the equations in ``docs/derivation.md``, which derives every line.

Everything here runs in float32, float64 and complex128: no ``abs``, no conjugate, comparisons of real parts only, so
that the complex-step check runs over this very code.
"""

import numpy as np


def sigmoid(a):
    """The logistic function σ(a) = 1 / (1 + e^−a) = ½ tanh(a/2) + ½, which cannot overflow; any shape."""
    return 0.5 * np.tanh(0.5 * a) + 0.5  # (5)


def gate_blocks(a, gates):
    """(G·H, B) -> (G, H, B): the rows of each gate as an array of their own. A view."""
    return a.reshape(len(gates), a.shape[0] // len(gates), *a.shape[1:])


class RNNCell:
    """h = tanh(a_x + a_h) (Elman, "Finding structure in time", Cognitive Science 14, 1990)."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        h = np.tanh(a_x + a_h)  # (9)
        return (h,), (h,)

    @staticmethod
    def backward(d_state, cache):
        (dh,), (h,) = d_state, cache
        da = dh * (1 - h * h)  # (10): tanh' = 1 − tanh²
        return da, da, (np.zeros_like(dh),)


class ReLURNNCell:
    """h = max(a_x + a_h, 0), the Elman cell with a rectifier (Le, Jaitly & Hinton 2015, arXiv 1504.00941v2)."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        a = a_x + a_h
        h = np.where(a.real <= 0, 0, a)  # (11); NaN stays NaN
        return (h,), (h,)

    @staticmethod
    def backward(d_state, cache):
        (dh,), (h,) = d_state, cache
        da = np.where(h.real <= 0, 0, dh)  # (12): the slope at a = 0 is taken as 0, at NaN as 1, as torch does
        return da, da, (np.zeros_like(dh),)


class LSTMCell:
    """Long short-term memory (Hochreiter & Schmidhuber, Neural Computation 9, 1997) with the forget gate of
    Gers, Schmidhuber & Cummins (Neural Computation 12, 2000).

    i = σ(a_i), f = σ(a_f), g = tanh(a_g), o = σ(a_o)    with a = a_x + a_h
    c = f ⊙ c' + i ⊙ g
    h = o ⊙ tanh(c)

    The cell state c is carried by f alone, with no matrix in its way: dc' = f ⊙ dc. That is why the gradient survives.
    """

    gates, state = "ifgo", "hc"

    @staticmethod
    def forward(a_x, a_h, state):
        _, c_prev = state
        a_i, a_f, a_g, a_o = gate_blocks(a_x + a_h, "ifgo")
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)  # (13)
        c = f * c_prev + i * g  # (14)
        tanh_c = np.tanh(c)
        h = o * tanh_c  # (15)
        return (h, c), (i, f, g, o, c_prev, tanh_c)

    @staticmethod
    def backward(d_state, cache):
        dh, dc = d_state
        i, f, g, o, c_prev, tanh_c = cache
        # h = o ⊙ tanh(c): c is reached through h and, already in dc, through the step after
        do = dh * tanh_c  # (16)
        dc = dc + dh * o * (1 - tanh_c * tanh_c)  # (17)
        # c = f ⊙ c' + i ⊙ g
        df, dc_prev = dc * c_prev, dc * f  # (18)
        di, dg = dc * g, dc * i  # (19)
        # (20): σ' = σ (1 − σ), tanh' = 1 − tanh²
        da = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)])
        return da, da, (np.zeros_like(dh), dc_prev)


class GRUCell:
    """Gated recurrent unit, reset after the product (Cho et al. 2014, arXiv 1406.1078v1), in the sense of z of
    Chung et al. 2014 (arXiv 1412.3555): z is how much of the new value is taken. Cho's z, and torch's, is our 1 − z.

    r = σ(a_r), z = σ(a_z)    with a = a_x + a_h
    n = tanh(a_xn + r ⊙ a_hn)
    h = (1 − z) ⊙ h' + z ⊙ n
    """

    gates, state = "rzn", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        (h_prev,) = state
        a_xr, a_xz, a_xn = gate_blocks(a_x, "rzn")
        a_hr, a_hz, a_hn = gate_blocks(a_h, "rzn")
        r, z = sigmoid(a_xr + a_hr), sigmoid(a_xz + a_hz)  # (21)
        n = np.tanh(a_xn + r * a_hn)  # (22)
        h = (1 - z) * h_prev + z * n  # (23)
        return (h,), (r, z, n, a_hn, h_prev)

    @staticmethod
    def backward(d_state, cache):
        (dh,) = d_state
        r, z, n, a_hn, h_prev = cache
        # h = (1 − z) ⊙ h' + z ⊙ n
        dz, dn, dh_prev = dh * (n - h_prev), dh * z, dh * (1 - z)  # (24)
        # n = tanh(a_xn + r ⊙ a_hn): the input's part is reached as it is, the hidden state's through r
        da_xn = dn * (1 - n * n)  # (25)
        dr, da_hn = da_xn * a_hn, da_xn * r  # (26)
        # r, z = σ(a_x + a_h)
        da_r, da_z = dr * r * (1 - r), dz * z * (1 - z)  # (27)
        return np.concatenate([da_r, da_z, da_xn]), np.concatenate([da_r, da_z, da_hn]), (dh_prev,)
