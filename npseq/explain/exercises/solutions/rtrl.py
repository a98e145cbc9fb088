"""Real-time recurrent learning for the RNN: the same gradient, computed forward in time, without a tape.

One sequence. theta is W_x, W_h and b as one flat vector of N elements, in this order, each matrix row by row. P[t]
(H, N) is the derivative of the state in slot t with respect to theta. Compare section 14 of docs/derivation.md.
"""

import numpy as np


def gradient(W_x, W_h, b, x, h_0, dy):
    """x (T, I), h_0 (H,), dy (T, H): the gradients of the outputs h_1, …, h_T. Returns what is graded, by name."""
    T, H, I = len(x), len(h_0), x.shape[1]
    N = H * I + H * H + H
    h, P, immediate, d_theta = [h_0], np.zeros((T + 1, H, N)), np.zeros((T, H, N)), np.zeros(N)
    for t in range(T):
        h.append(np.tanh(W_x @ x[t] + W_h @ h[t] + b))
        slope = 1 - h[t + 1] ** 2  #: the derivative of h_{t+1} with respect to its pre-activation, (H,)
        # the derivative of the pre-activation of step t with respect to theta, with h_t held fixed, (H, N)
        immediate[t] = np.hstack([np.kron(np.eye(H), x[t]), np.kron(np.eye(H), h[t]), np.eye(H)])  #: np.kron helps
        P[t + 1] = slope[:, None] * (immediate[t] + W_h @ P[t])  #: (56)
        d_theta = d_theta + dy[t] @ P[t + 1]  #: (57)
    return {"immediate": immediate, "P": P, "d_theta": d_theta}
