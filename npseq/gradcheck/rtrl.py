"""Real-time recurrent learning: the gradient of ``bptt.py`` computed forward in time instead of backward.

BPTT carries dloss/dstate_t from the end to the beginning. RTRL carries ∂state_t/∂θ from the beginning to the end:

    P_{t+1} = A_x ∂a_x/∂θ + A_h (∂a_h/∂θ + W_h P_t[h]) + D P_t + E,    dloss/dθ = Σ_t dy_t P_{t+1}[h] + dstate_T P_T

A_x, A_h and D are the derivatives of one step's new state with respect to a_x, a_h and (other than through W_h) the
state before, and E those with respect to the cell's own parameters, if it has any. They come from the cell, the same
one that ``bptt.py`` runs. P has H·(number of parameters) elements and every step costs H²·(number of parameters), so it
is only for small sizes, as an independent check of BPTT.

Derived in ``docs/derivation.md``, section 14.

Source: Williams & Zipser, "A learning algorithm for continually running fully recurrent neural networks", Neural
Computation 1, 1989.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bptt import Cell, State, Weights


def gradient_forward_in_time(
    cell: Cell, weights: Weights, x: np.ndarray, state: State, d_hs: np.ndarray, d_state: State
) -> tuple[Weights, State]:
    """Compute the gradient of a loss that reads every output and the final state.

    Args:
        cell, weights, x (T, I, B), state: as for ``bptt.forward_through_time``, with biases and without projection.
        d_hs (T, H, B), d_state: as for ``bptt.backward_through_time``.

    Returns:
        d_weights (a ``Weights``), d_state of the initial state (tuple of (H, B)).
    """
    W_x, W_h, b_x, b_h, _, own = weights
    GH, I = W_x.shape
    H, letters, N = W_h.shape[1], len(cell.state), W_h.shape[1] * len(cell.state)
    assert b_x is not None and b_h is not None
    own = own or {}
    sizes = [GH * I, GH * H, GH, GH, *(part.size for part in own.values()), N]
    parts = np.cumsum([0, *sizes])  # θ: W_x, W_h, b_x, b_h, the cell's own parameters and the initial state
    columns = [slice(a, b) for a, b in zip(parts[:-1], parts[1:])]
    total, d_initial = np.zeros(parts[-1]), tuple(np.empty_like(s) for s in state)

    for b in range(x.shape[2]):  # sequence by sequence
        s = [part[:, b] for part in state]
        P = np.zeros((N, parts[-1]))  # ∂state/∂θ; of the initial state, the identity
        P[:, columns[-1]] = np.eye(N)
        d_theta = np.zeros(parts[-1])
        for t in range(len(x)):
            x_t, h = x[t, :, b], s[0]
            new, A_x, A_h, D, A_own = _derivatives(cell, W_x @ x_t + b_x[:, 0], W_h @ h + b_h[:, 0], s, own)
            E_x, E_h, E = np.zeros((GH, parts[-1])), np.zeros((GH, parts[-1])), np.zeros((N, parts[-1]))
            E_x[:, columns[0]] = np.kron(np.eye(GH), x_t)  # ∂a_x/∂W_x
            E_h[:, columns[1]] = np.kron(np.eye(GH), h)  # ∂a_h/∂W_h
            E_x[:, columns[2]] = E_h[:, columns[3]] = np.eye(GH)
            for place, derivative in zip(columns[4:-1], A_own):
                E[:, place] = derivative
            P = A_x.T @ E_x + A_h.T @ (E_h + W_h @ P[:H]) + D.T @ P + E  # (56)
            s = new
            d_theta += d_hs[t, :, b] @ P[:H]
        d_theta += np.concatenate([d[:, b] for d in d_state]) @ P  # (57)
        total += d_theta
        for d, part in zip(d_initial, d_theta[columns[-1]].reshape(letters, H)):
            d[:, b] = part
    arrays = [total[c].reshape(W.shape) for c, W in zip(columns, [W_x, W_h, b_x, b_h, *own.values()])]
    dW_x, dW_h, db_x, db_h, *d_own = arrays
    return Weights(dW_x, dW_h, db_x, db_h, own=dict(zip(own, d_own)) or None), d_initial


def _derivatives(
    cell: Cell, a_x: np.ndarray, a_h: np.ndarray, state: list[Any], own: dict[str, np.ndarray]
) -> tuple[Any, ...]:
    """Return the new state of one sequence and the derivatives of each of its N elements, one column per element.

    They are with respect to a_x, a_h (G·H, N), the state before (N, N), and the cell's own parameters, (N, size) each.
    """
    N = len(state[0]) * len(state)
    unit, extra = np.eye(N).reshape(len(state), -1, N), (own,) if own else ()
    new, cache = cell.forward(a_x[:, None], a_h[:, None], tuple(part[:, None] for part in state), *extra)
    # the gradients of its own parameters are sums over the columns, so each column needs a call
    calls = [cell.backward(tuple(unit[:, :, j : j + 1]), cache, *extra) for j in range(N)]
    A_x, A_h = (np.concatenate([call[k] for call in calls], axis=1) for k in (0, 1))
    D = np.concatenate([np.concatenate(call[2]) for call in calls], axis=1)
    A_own = [np.stack([call[3][name].reshape(-1) for call in calls]) for name in own]
    return [part[:, 0] for part in new], A_x, A_h, D, A_own
