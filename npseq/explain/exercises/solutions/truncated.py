"""Truncated backpropagation through time, for the RNN: the state is passed from chunk to chunk, the gradient is not.

A chunk has ``chunk`` steps; the last may be shorter. The equations are those of sections 6 and 10 of
docs/derivation.md.
"""

import numpy as np


def forward(W_x, W_h, b, x, h_0):
    """x (T, I, B), h_0 (H, B). Returns the slots h (T + 1, H, B); output t is slot t + 1."""
    h = [h_0]
    for t in range(len(x)):
        h.append(np.tanh(W_x @ x[t] + W_h @ h[t] + b))
    return np.array(h)


def backward(W_h, x, h, dys, chunk):
    """dys (T, H, B) are the gradients of the outputs. Returns the truncated gradient by name."""
    T, H, B = dys.shape
    dh, da = np.zeros((T, H, B)), np.zeros((T, H, B))
    carried = np.zeros((H, B))
    for t in reversed(range(T)):
        if (t + 1) % chunk == 0:  #: True if step t is the last of a chunk
            carried = np.zeros((H, B))  #: what the next step says is then ignored
        dh[t] = dys[t] + carried  #: (29)
        da[t] = dh[t] * (1 - h[t + 1] ** 2)  #: (10)
        carried = W_h.T @ da[t]  #: (30)
    dW_x = sum(da[t] @ x[t].T for t in range(T))  #: (31)
    dW_h = sum(da[t] @ h[t].T for t in range(T))  #: (32)
    db = da.sum(axis=(0, 2))[:, None]  #: (33), (H, 1)
    return {"dh": dh, "da": da, "dW_x": dW_x, "dW_h": dW_h, "db": db}
