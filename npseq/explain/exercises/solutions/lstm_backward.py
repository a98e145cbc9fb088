"""Backward of one step of the LSTM, element by element. All arrays are (H, B), one column for each sequence.

The forward pass is given. Write its derivative, the last line of forward first; the equations are those of section 4 of
docs/derivation.md. The matrix products with W_x and W_h are not part of the cell.
"""

import numpy as np


def sigmoid(a):
    return 0.5 * np.tanh(0.5 * a) + 0.5


def forward(a_i, a_f, a_g, a_o, c_prev):
    """Returns h, c, and what backward needs."""
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)  # (13)
    c = f * c_prev + i * g  # (14)
    h = o * np.tanh(c)  # (15)
    return h, c, (i, f, g, o, c_prev, c)


def backward(dh, dc_carried, cache):
    """dh is the gradient of h; dc_carried is the part of the gradient of c that comes from the next step."""
    i, f, g, o, c_prev, c = cache
    do = dh * np.tanh(c)  #: (16)
    dc = dc_carried + dh * o * (1 - np.tanh(c) ** 2)  #: (17)
    df = dc * c_prev  #: (18)
    dc_prev = dc * f  #: (18)
    di = dc * g  #: (19)
    dg = dc * i  #: (19)
    da_i = di * i * (1 - i)  #: (20)
    da_f = df * f * (1 - f)  #: (20)
    da_g = dg * (1 - g**2)  #: (20)
    da_o = do * o * (1 - o)  #: (20)
    gates = {"do": do, "dc": dc, "df": df, "dc_prev": dc_prev, "di": di, "dg": dg}
    return {**gates, "da_i": da_i, "da_f": da_f, "da_g": da_g, "da_o": da_o}
