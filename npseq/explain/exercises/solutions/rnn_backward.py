"""Backward of one step of the RNN, for H hidden units and a batch of B sequences, one column for each.

The forward pass is given. Write its derivative; the equations are those of docs/derivation.md, by number.
"""

import numpy as np


def forward(W_x, W_h, b_x, b_h, x, h_prev):
    """x (I, B), h_prev (H, B), W_x (H, I), W_h (H, H), b_x and b_h (H, 1). Returns h (H, B)."""
    a_x = W_x @ x + b_x  # (7)
    a_h = W_h @ h_prev + b_h  # (8)
    return np.tanh(a_x + a_h)  # (9)


def backward(dh, W_x, W_h, x, h_prev, h):
    """dh (H, B) is the gradient of the loss with respect to h. Return all other gradients by name."""
    da = dh * (1 - h**2)  #: (10), (H, B)
    dW_x = da @ x.T  #: (31) for one step, (H, I)
    dW_h = da @ h_prev.T  #: (32) for one step, (H, H)
    db = da.sum(axis=1, keepdims=True)  #: (33) for one step, (H, 1)
    dx = W_x.T @ da  #: (34), (I, B)
    dh_prev = W_h.T @ da  #: (30), (H, B)
    return {"da": da, "dW_x": dW_x, "dW_h": dW_h, "db": db, "dx": dx, "dh_prev": dh_prev}
