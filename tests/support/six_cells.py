"""Six recurrent cells of the literature, each with its derivative by hand, and three errors in each."""

import numpy as np

from npseq.cells import gate_blocks, sigmoid


class IndRNN:
    """h = tanh(a_x + u ⊙ h') (Li et al. 2018, arXiv 1803.04831): a vector in place of W_h, so a_h is not read."""

    gates, state = "h", "h"
    own = {"u": "H"}

    @staticmethod
    def forward(a_x, a_h, state, own):
        (h_prev,) = state
        a = a_x + own["u"] * h_prev
        h = np.tanh(a)
        return (h,), (h, h_prev)

    @staticmethod
    def backward(d_state, cache, own):
        (dh,), (h, h_prev) = d_state, cache
        da = dh * (1 - h * h)
        dh_prev = da * own["u"]
        du = (da * h_prev).sum(1, keepdims=True)
        return da, np.zeros_like(da), (dh_prev,), {"u": du}


class Clockwork:
    """A clockwork RNN of two periods (Koutník et al. 2014, arXiv 1402.3511): with the clock as a state k, the units of
    the second half keep their values at odd steps. A smooth clock, so that it has a derivative."""

    gates, state = "h", "hk"

    @staticmethod
    def forward(a_x, a_h, state):
        h_prev, k_prev = state
        n = np.tanh(a_x + a_h)
        s = sigmoid(k_prev)
        h = s * n + (1 - s) * h_prev
        k = -k_prev
        return (h, k), (n, s, h_prev)

    @staticmethod
    def backward(d_state, cache):
        (dh, dk), (n, s, h_prev) = d_state, cache
        dn = dh * s
        ds = dh * (n - h_prev)
        da = dn * (1 - n * n)
        dh_prev = dh * (1 - s)
        dk_prev = ds * s * (1 - s) - dk
        return da, da, (dh_prev, dk_prev)


class MinimalGatedUnit:
    """f = σ(a_f), n = tanh(a_xn + f ⊙ a_hn), h = (1 − f) ⊙ h' + f ⊙ n (Zhou et al. 2016, arXiv 1603.09420, with the
    gate after the product)."""

    gates, state = "fn", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        (h_prev,) = state
        a_xf, a_xn = gate_blocks(a_x, "fn")
        a_hf, a_hn = gate_blocks(a_h, "fn")
        f = sigmoid(a_xf + a_hf)
        n = np.tanh(a_xn + f * a_hn)
        h = (1 - f) * h_prev + f * n
        return (h,), (f, n, a_hn, h_prev)

    @staticmethod
    def backward(d_state, cache):
        (dh,), (f, n, a_hn, h_prev) = d_state, cache
        dn = dh * f
        da_xn = dn * (1 - n * n)
        da_hn = da_xn * f
        df = dh * (n - h_prev) + da_xn * a_hn
        da_f = df * f * (1 - f)
        dh_prev = dh * (1 - f)
        return np.concatenate([da_f, da_xn]), np.concatenate([da_f, da_hn]), (dh_prev,)


class JANET:
    """The LSTM with its forget gate alone (van der Westhuizen & Lasenby 2018, arXiv 1804.04849): β = 1."""

    gates, state = "fg", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        (h_prev,) = state
        a_f, a_g = gate_blocks(a_x + a_h, "fg")
        f, s, g = sigmoid(a_f), sigmoid(a_f - 1), np.tanh(a_g)
        h = f * h_prev + (1 - s) * g
        return (h,), (f, g, s, h_prev)

    @staticmethod
    def backward(d_state, cache):
        (dh,), (f, g, s, h_prev) = d_state, cache
        df, ds = dh * h_prev, -dh * g
        dg = dh * (1 - s)
        da_f = df * f * (1 - f) + ds * s * (1 - s)
        da_g = dg * (1 - g * g)
        da = np.concatenate([da_f, da_g])
        dh_prev = dh * f
        return da, da, (dh_prev,)


class Antisymmetric:
    """h = h' + ε tanh(a_x + (V − Vᵀ − γ I) h') (Chang et al. 2019, arXiv 1902.09689), ε = 0.5, γ = 0.1, V its own."""

    gates, state = "h", "h"
    own = {"V": "H,H"}

    @staticmethod
    def forward(a_x, a_h, state, own):
        (h_prev,) = state
        M = own["V"] - own["V"].T
        a = a_x + a_h + M @ h_prev - 0.1 * h_prev
        n = np.tanh(a)
        h = h_prev + 0.5 * n
        return (h,), (n, h_prev)

    @staticmethod
    def backward(d_state, cache, own):
        (dh,), (n, h_prev) = d_state, cache
        dn = 0.5 * dh
        da = dn * (1 - n * n)
        M = own["V"] - own["V"].T
        dM = da @ h_prev.T
        dV = dM - dM.T
        dh_prev = dh + M.T @ da - 0.1 * da
        return da, da, (dh_prev,), {"V": dV}


class NestedLSTM:
    """An LSTM whose c is the output of an inner memory m (Moniz & Krueger 2018, arXiv 1801.10308), the inner gates
    computed from the outer ones without weights of their own."""

    gates, state = "ifgo", "hcm"

    @staticmethod
    def forward(a_x, a_h, state):
        _, c_prev, m_prev = state
        a_i, a_f, a_g, a_o = gate_blocks(a_x + a_h, "ifgo")
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        u = f * c_prev
        v = i * g
        q = sigmoid(u + v)
        p = np.tanh(v)
        m = q * m_prev + (1 - q) * p
        c = q * np.tanh(m)
        t = np.tanh(c)
        h = o * t
        return (h, c, m), (i, f, g, o, c_prev, m_prev, q, p, m, t)

    @staticmethod
    def backward(d_state, cache):
        (dh, dc, dm), (i, f, g, o, c_prev, m_prev, q, p, m, t) = d_state, cache
        do = dh * t
        dt = dh * o
        dc = dc + dt * (1 - t * t)
        tanh_m = np.tanh(m)
        dm = dm + dc * q * (1 - tanh_m * tanh_m)
        dq = dc * tanh_m + dm * (m_prev - p)
        dp = dm * (1 - q)
        dm_prev = dm * q
        da_q = dq * q * (1 - q)
        dv = da_q + dp * (1 - p * p)
        df, dc_prev = da_q * c_prev, da_q * f
        di, dg = dv * g, dv * i
        da = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)])
        return da, da, (np.zeros_like(dh), dc_prev, dm_prev)


CELLS = [IndRNN, Clockwork, MinimalGatedUnit, JANET, Antisymmetric, NestedLSTM]
ERRORS = [  # the cell, its line, another line, a word that the report must have
    (IndRNN, "da = dh * (1 - h * h)", "da = dh * (1 - h)", "da is wrong"),
    (IndRNN, 'dh_prev = da * own["u"]', "dh_prev = da", "dh_prev is wrong"),
    (IndRNN, "(da * h_prev).sum", "(da * h).sum", "du is wrong"),
    (Clockwork, "dn = dh * s", "dn = dh", "dn is wrong"),
    (Clockwork, "ds = dh * (n - h_prev)", "ds = dh * (n + h_prev)", "ds is wrong"),
    (Clockwork, "(1 - s) - dk", "(1 - s) + dk", "dk_prev is wrong"),
    (MinimalGatedUnit, "da_hn = da_xn * f", "da_hn = da_xn", "da_hn is wrong"),
    (MinimalGatedUnit, "(n - h_prev) + da_xn * a_hn", "(n - h_prev)", "df (gate f) is wrong"),
    (MinimalGatedUnit, "dh_prev = dh * (1 - f)", "dh_prev = dh * f", "dh_prev is wrong"),
    (JANET, "ds = dh * h_prev, -dh * g", "ds = dh * h_prev, dh * g", "ds is wrong"),
    (JANET, "dg = dh * (1 - s)", "dg = dh * (1 - f)", "dg (gate g) is wrong"),
    (JANET, "da_g = dg * (1 - g * g)", "da_g = dg * g * (1 - g)", "da_g (gate g) is wrong"),
    (Antisymmetric, "dn = 0.5 * dh", "dn = dh", "dn is wrong"),
    (Antisymmetric, "dV = dM - dM.T", "dV = dM + dM.T", "dV is wrong"),
    (Antisymmetric, "dh + M.T @ da", "dh + M @ da", "dh_prev is wrong"),
    (NestedLSTM, "dq = dc * tanh_m + dm", "dq = dc * tanh_m - dm", "dq is wrong"),
    (NestedLSTM, "dm_prev = dm * q", "dm_prev = dm", "dm_prev is wrong"),
    (NestedLSTM, "dp * (1 - p * p)", "dp", "dv is wrong"),
]
