"""A bug hunt. The backward pass of this LSTM has one wrong line; each seed plants another bug.

Find the line, type its number as BUG_LINE, and correct it in place. The gradients that are right tell you where to
look: compare with sections 4 and 6 of docs/derivation.md, or print what you do not believe.
"""

import numpy as np

BUG_LINE = 0  #: the number in the comment of the wrong line


def sigmoid(a):
    return 0.5 * np.tanh(0.5 * a) + 0.5


def forward(W_x, W_h, b, x, h_0, c_0):
    """x (T, I, B); h_0, c_0 (H, B). The gates are stacked in the order i f g o. Correct as it is."""
    h, c, gates = [h_0], [c_0], []
    for t in range(len(x)):
        a_i, a_f, a_g, a_o = np.split(W_x @ x[t] + W_h @ h[t] + b, 4)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c.append(f * c[t] + i * g)
        h.append(o * np.tanh(c[t + 1]))
        gates.append((i, f, g, o))
    return h, c, gates


def backward(W_x, W_h, x, h, c, gates, dys):
    """dys (T, H, B): the gradients of the outputs h[1], …, h[T]. Returns the gradients by name."""
    dW_x, dW_h, db = np.zeros(W_x.shape), np.zeros(W_h.shape), np.zeros((len(W_x), 1))  # line 1
    dx, dh_carried, dc_carried = np.zeros(x.shape), 0 * h[0], 0 * c[0]  # line 2
    for t in reversed(range(len(x))):  # line 3
        i, f, g, o = gates[t]  # line 4
        tanh_c = np.tanh(c[t + 1])  # line 5
        dh = dys[t] + dh_carried  # line 6
        do = dh * tanh_c  # line 7
        dc = dc_carried + dh * o * (1 - tanh_c**2)  # line 8
        df = dc * c[t]  # line 9
        di = dc * g  # line 10
        dg = dc * i  # line 11
        dc_carried = dc * f  # line 12
        da_i = di * i * (1 - i)  # line 13
        da_f = df * f * (1 - f)  # line 14
        da_g = dg * (1 - g**2)  # line 15
        da_o = do * o * (1 - o)  # line 16
        da = np.concatenate([da_i, da_f, da_g, da_o])  # line 17
        dW_x += da @ x[t].T  # line 18
        dW_h += da @ h[t].T  # line 19
        db += da.sum(axis=1, keepdims=True)  # line 20
        dx[t] = W_x.T @ da  # line 21
        dh_carried = W_h.T @ da  # line 22
    return {"dW_x": dW_x, "dW_h": dW_h, "db": db, "dx": dx, "dh_0": dh_carried, "dc_0": dc_carried}
