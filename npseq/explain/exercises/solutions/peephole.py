"""Backward of an LSTM with peepholes (Gers and Schmidhuber 2000): the gates i and f also read c', the gate o reads c.

All arrays are (H, B), except the weights p_i, p_f, p_o of the peepholes, (H, 1). Compare sections 4 and 15 of
docs/derivation.md. Mind the order: c is read by o before it is read by anything else.
"""

import numpy as np


def sigmoid(a):
    return 0.5 * np.tanh(0.5 * a) + 0.5


def forward(a_i, a_f, a_g, a_o, c_prev, p_i, p_f, p_o):
    """Returns h, c, and what backward needs."""
    i, f = sigmoid(a_i + p_i * c_prev), sigmoid(a_f + p_f * c_prev)
    g = np.tanh(a_g)
    c = f * c_prev + i * g
    o = sigmoid(a_o + p_o * c)
    h = o * np.tanh(c)
    return h, c, (i, f, g, o, c_prev, c)


def backward(dh, dc_carried, cache, p_i, p_f, p_o):
    """dh is the gradient of h; dc_carried is the part of the gradient of c that comes from the next step."""
    i, f, g, o, c_prev, c = cache
    do = dh * np.tanh(c)  #: (16)
    da_o = do * o * (1 - o)  #: (20)
    dc = dc_carried + dh * o * (1 - np.tanh(c) ** 2) + da_o * p_o  #: (17), and through the peephole of o (58)
    df = dc * c_prev  #: (18)
    di = dc * g  #: (19)
    dg = dc * i  #: (19)
    da_i = di * i * (1 - i)  #: (20)
    da_f = df * f * (1 - f)  #: (20)
    da_g = dg * (1 - g**2)  #: (20)
    dc_prev = dc * f + da_i * p_i + da_f * p_f  #: (18), and through two peepholes (58)
    dp_i = (da_i * c_prev).sum(axis=1, keepdims=True)  #: (58), (H, 1)
    dp_f = (da_f * c_prev).sum(axis=1, keepdims=True)  #: (58), (H, 1)
    dp_o = (da_o * c).sum(axis=1, keepdims=True)  #: (58), (H, 1)
    gates = {"do": do, "da_o": da_o, "dc": dc, "df": df, "di": di, "dg": dg, "da_i": da_i, "da_f": da_f}
    return {**gates, "da_g": da_g, "dc_prev": dc_prev, "dp_i": dp_i, "dp_f": dp_f, "dp_o": dp_o}
