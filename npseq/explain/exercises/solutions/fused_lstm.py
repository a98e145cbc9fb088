"""A faster order of the LSTM's backward pass, with the same result: what does not depend on dh leaves the loop.

``plain`` is the loop as it is in section 4 of docs/derivation.md. Write ``factors``, which computes the K of (48) for
all steps in one call each, and ``backward``, whose loop uses them (49). NumPy calls cost about a microsecond each, so
fewer calls a step mean less time. The gates are stacked in the order i f g o.
"""

import numpy as np


def plain(W_h, i, f, g, o, c, dys):
    """Each gate (T, H, B), c (T + 1, H, B), dys (T, H, B). Returns da (T, 4H, B), dh_0, dc_0."""
    T, H, B = dys.shape
    da, dh, dc = np.empty((T, 4 * H, B)), np.zeros((H, B)), np.zeros((H, B))
    for t in reversed(range(T)):
        dh = dys[t] + dh
        tanh_c = np.tanh(c[t + 1])
        do = dh * tanh_c
        dc = dc + dh * o[t] * (1 - tanh_c**2)
        df, di, dg = dc * c[t], dc * g[t], dc * i[t]
        da[t, :H] = di * i[t] * (1 - i[t])
        da[t, H : 2 * H] = df * f[t] * (1 - f[t])
        da[t, 2 * H : 3 * H] = dg * (1 - g[t] ** 2)
        da[t, 3 * H :] = do * o[t] * (1 - o[t])
        dh, dc = W_h.T @ da[t], dc * f[t]
    return da, dh, dc


def factors(i, f, g, o, c, h):
    """All arrays are (T, H, B), except c, which has T + 1 slots; h[t] = o[t] tanh(c[t + 1]) are the outputs."""
    tanh_c = np.tanh(c[1:])
    K_c = o - h * tanh_c  #: (48)
    K_o = h * (1 - o)  #: (48)
    K_i = g * i * (1 - i)  #: (48)
    K_f = c[:-1] * f * (1 - f)  #: (48)
    K_g = i * (1 - g**2)  #: (48)
    return {"K_c": K_c, "K_o": K_o, "K_i": K_i, "K_f": K_f, "K_g": K_g}


def backward(W_h, K, f, dys):
    """K: what ``factors`` returns. Returns da (T, 4H, B), dh_0, dc_0, as ``plain`` does, in less time."""
    T, H, B = dys.shape
    da, dh, dc = np.empty((T, 4, H, B)), np.zeros((H, B)), np.zeros((H, B))
    # stack the factors of dc and of dh, so that one multiplication serves several gates
    K_dc = np.stack([K["K_i"], K["K_f"], K["K_g"]], axis=1)  #: (T, 3, H, B)
    W_T = np.ascontiguousarray(W_h.T)
    for t in reversed(range(T)):
        dh = dys[t] + dh  #: (29)
        dc = dc + dh * K["K_c"][t]  #: (49)
        np.multiply(dc, K_dc[t], out=da[t, :3])  #: (49): da_i, da_f, da_g in one call
        np.multiply(dh, K["K_o"][t], out=da[t, 3])  #: (49): da_o
        dh = W_T @ da[t].reshape(4 * H, B)  #: (30)
        dc = dc * f[t]  #: (49)
    return da.reshape(T, 4 * H, B), dh, dc
