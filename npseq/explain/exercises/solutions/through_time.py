"""The loop through time, for the RNN: what is carried from step to step, which slot is read, and lengths.

h has T + 1 slots: step t reads slot t and writes slot t + 1. valid[t] (1, B) is 1 in the columns of the sequences that
have a step t, and 0 in the padding, where the state is copied and the output is zero. The equations are those of
sections 6 and 8 of docs/derivation.md.
"""

import numpy as np


def forward(W_x, W_h, b, x, h_0, valid):
    """x (T, I, B), h_0 (H, B), valid (T, 1, B). Returns the outputs y (T, H, B) and the slots h (T + 1, H, B)."""
    h = [h_0]
    for t in range(len(x)):
        new = np.tanh(W_x @ x[t] + W_h @ h[t] + b)  # (7)–(9)
        h.append(valid[t] * new + (1 - valid[t]) * h[t])  # (38)
    return valid * np.array(h[1:]), np.array(h)


def backward(W_x, W_h, x, h, dys, d_last, valid):
    """dys (T, H, B) are the gradients of the outputs, d_last (H, B) that of the last state as such.

    dh[t] is the gradient of the state that step t writes, slot t + 1: of its use as an output and by the next step.
    """
    T, H, B = dys.shape
    dh, da, dx = np.zeros((T, H, B)), np.zeros((T, H, B)), np.zeros(x.shape)
    carried = d_last  # what the next step says about the state that step t writes
    for t in reversed(range(T)):
        dh[t] = valid[t] * dys[t] + carried  #: (29); only a valid output counts (38)
        da[t] = valid[t] * dh[t] * (1 - h[t + 1] ** 2)  #: (10), where the step is valid (39)
        carried = W_h.T @ da[t] + (1 - valid[t]) * dh[t]  #: (30), and what bypasses a padded step (39)
    dW_x = sum(da[t] @ x[t].T for t in range(T))  #: (31)
    dW_h = sum(da[t] @ h[t].T for t in range(T))  #: (32)
    db = da.sum(axis=(0, 2))[:, None]  #: (33), (H, 1)
    dx = W_x.T @ da  #: (34), (T, I, B)
    dh_0 = carried  #: the gradient of the initial state
    return {"dh": dh, "da": da, "dW_x": dW_x, "dW_h": dW_h, "db": db, "dx": dx, "dh_0": dh_0}
