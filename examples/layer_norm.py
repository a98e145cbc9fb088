"""The LSTM on normalised pre-activations (Ba, Kiros & Hinton, "Layer normalization", arXiv 1607.06450v1; without
that of c): a = LN(W_x x + b_x; g_x) + LN(W_h h' + b_h; g_h) + b, LN(v; g) = g ⊙ (v − mean v) / √(var v + ε), the mean
over the rows of a column. u · u is analytic; with ``v.var(0)`` the complex step could not check it."""

import numpy as np

from npseq.cells import LSTMCell


def norm(v, g):
    u = v - v.mean(0)
    r = 1 / np.sqrt((u * u).mean(0) + 1e-5)
    return g * u * r, (u * r, r)


def norm_backward(d, g, cache):
    n, r = cache
    dn = d * g
    return r * (dn - dn.mean(0) - n * (dn * n).mean(0)), (d * n).sum(1, keepdims=True)


class LayerNormCell:
    gates, state = "ifgo", "hc"
    own, own_init = {"g_x": "G·H", "g_h": "G·H", "b": "G·H"}, {"g_x": 1.0, "g_h": 1.0, "b": 0.0}

    @staticmethod
    def forward(a_x, a_h, state, own):
        (n_x, x), (n_h, h) = norm(a_x, own["g_x"]), norm(a_h, own["g_h"])
        new_state, cache = LSTMCell.forward(n_x + own["b"], n_h, state)
        return new_state, (*cache, x, h)

    @staticmethod
    def backward(d_state, cache, own):
        *lstm, x, h = cache
        da, _, d_state = LSTMCell.backward(d_state, lstm)
        da_x, dg_x = norm_backward(da, own["g_x"], x)
        da_h, dg_h = norm_backward(da, own["g_h"], h)
        return da_x, da_h, d_state, {"g_x": dg_x, "g_h": dg_h, "b": da.sum(1, keepdims=True)}
