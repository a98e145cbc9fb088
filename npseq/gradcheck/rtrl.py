"""Real-time recurrent learning: the gradient of ``bptt.py`` computed the other way, forward in time.

BPTT carries dloss/dstate_t from the end to the beginning. RTRL carries ∂state_t/∂θ from the beginning to the end:

    P_{t+1} = A_x ∂a_x/∂θ + A_h (∂a_h/∂θ + W_h P_t[h]) + D P_t,    dloss/dθ = Σ_t dy_t P_{t+1}[h] + dstate_T P_T

A_x, A_h and D are the derivatives of one step's new state with respect to a_x, a_h and (past W_h) the state before.
They come from the cell, the same one that ``bptt.py`` runs. P has H·(number of parameters) elements and every step
costs H²·(number of parameters): for small sizes, as a second derivation that must agree with the first.

Derived in ``docs/derivation.md``, section 14.

Source: Williams & Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
Computation 1, 1989.
"""

import numpy as np

from ..bptt import Weights


def gradient_forward_in_time(cell, weights, x, state, d_hs, d_state):
    """The gradient of a loss that reads every output and the final state.

    Args:
        cell, weights, x (T, I, B), state: as for ``bptt.forward_through_time``, with biases and without projection.
        d_hs (T, H, B), d_state: as for ``bptt.backward_through_time``.

    Returns:
        d_weights (a ``Weights``), d_state of the initial state (tuple of (H, B)).
    """
    W_x, W_h, b_x, b_h, *_ = weights
    GH, I = W_x.shape
    H, letters, N = W_h.shape[1], len(cell.state), W_h.shape[1] * len(cell.state)
    parts = np.cumsum([0, GH * I, GH * H, GH, GH, N])  # θ: W_x, W_h, b_x, b_h and the initial state
    columns = [slice(a, b) for a, b in zip(parts[:-1], parts[1:])]
    total, d_initial = np.zeros(parts[-1]), [np.empty_like(s) for s in state]

    for b in range(x.shape[2]):  # sequence by sequence
        s = [part[:, b] for part in state]
        P = np.zeros((N, parts[-1]))  # ∂state/∂θ; of the initial state, the identity
        P[:, columns[4]] = np.eye(N)
        d_theta = np.zeros(parts[-1])
        for t in range(len(x)):
            x_t, h = x[t, :, b], s[0]
            # N equal columns: column j gives the derivative of the state's element j
            copies = [np.repeat(a[:, None], N, axis=1) for a in (W_x @ x_t + b_x[:, 0], W_h @ h + b_h[:, 0])]
            new, cache = cell.forward(*copies, tuple(np.repeat(part[:, None], N, axis=1) for part in s))
            unit = np.eye(N).reshape(letters, H, N)
            A_x, A_h, D = cell.backward(tuple(unit), cache)
            E_x, E_h = np.zeros((GH, parts[-1])), np.zeros((GH, parts[-1]))
            E_x[:, columns[0]] = np.kron(np.eye(GH), x_t)  # ∂a_x/∂W_x
            E_h[:, columns[1]] = np.kron(np.eye(GH), h)  # ∂a_h/∂W_h
            E_x[:, columns[2]] = E_h[:, columns[3]] = np.eye(GH)
            P = A_x.T @ E_x + A_h.T @ (E_h + W_h @ P[:H]) + np.concatenate(D).T @ P  # (56)
            s = [part[:, 0] for part in new]
            d_theta += d_hs[t, :, b] @ P[:H]
        d_theta += np.concatenate([d[:, b] for d in d_state]) @ P  # (57)
        total += d_theta
        for d, part in zip(d_initial, d_theta[columns[4]].reshape(letters, H)):
            d[:, b] = part
    return Weights(*(total[c].reshape(W.shape) for c, W in zip(columns, weights[:4]))), tuple(d_initial)
