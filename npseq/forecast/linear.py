"""Linear autoregression by ridge regression: its normal equations, and forecasts of several steps.

    ŷ_t = b_{slot(t)} + Σ_{k=1…p} φ_k y_{t−k} + Σ_j c_j u_{t,j}

slot(t) is the place of row t in a period of the calendar, such as the hour of the week; u are values known ahead.
Several steps are forecast by feeding the forecast back, which is again linear in the last p values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

CHUNK = 4096  # rows of lagged values in memory at a time


class Equations(NamedTuple):
    """Normal equations of a regression of N targets on p lags, S intercepts and F known columns.

    gram (p + S + F, p + S + F); right (p + S + F, N); count: the number of regressed rows.
    """

    gram: np.ndarray
    right: np.ndarray
    count: int  # type: ignore[assignment]  # hides tuple.count
    order: int
    slots: int

    def part(self, order: int, slots: int, known: int | None = None) -> Equations:
        """Return those of the first ``order`` lags, all slots or one intercept, and the first ``known`` columns."""
        p, S = self.order, self.slots
        if (order, slots, known) == (p, S, None):
            return self

        def kept(rows: np.ndarray) -> np.ndarray:
            b = rows[p : p + S]
            others = rows[p + S :][:known]
            return np.concatenate([rows[:order], b if slots == S else b.sum(axis=0, keepdims=True), others])

        return Equations(kept(kept(self.gram).T), kept(self.right), self.count, order, slots)


def equations(
    z: np.ndarray,
    order: int,
    horizon: int = 1,
    slots: np.ndarray | None = None,
    slot_count: int = 1,
    known: np.ndarray | None = None,
    filled: np.ndarray | None = None,
) -> Equations:
    """Sum the normal equations over all ends of windows of order + horizon values.

    The sums S_{u,v} = Σ_e z_{e−u} z_{e−v} over the ends e = a … b − 1 need one row by summing; the others follow:

        S_{u+1,v+1} = S_{u,v} + z_{a−1−u} z_{a−1−v} − z_{b−1−u} z_{b−1−v}

    Args:
        z: (n,) the training values.
        order: p, at least 0. horizon: N, targets of consecutive rows.
        slots: (n,) the slot of each row, numbers below ``slot_count``; None for one intercept.
        known: (n, F) values known ahead; only with a horizon of 1.
        filled: (n,) True where a value was missing; a row is not regressed if any of its targets is such a value.
    """
    K, a, b = order + horizon, order + horizon - 1, len(z)
    S = np.empty((K, K))
    S[0] = S[:, 0] = [z[a:b] @ z[a - u : b - u] for u in range(K)]
    head = z[a - 1 :: -1] if a else z[:0]
    tail = z[b - 1 : b - K : -1]
    for u in range(K - 1):
        S[u + 1, 1:] = S[u, :-1] + head[u] * head - tail[u] * tail
    # u = 0 … N − 1 are the targets, the last step of the horizon first; u = N … K − 1 the lags 1 … p
    others = np.zeros((b - a, 0)) if known is None else known[order : order + b - a]
    slot = np.zeros(b - a, np.intp) if slots is None else slots[order : order + b - a].astype(np.intp)
    sums = _by_slot(slot, slot_count, [z[a - u : b - u] for u in range(K)])  # (K, slots)
    with_known = np.stack([z[a - u : b - u] @ others for u in range(K)])  # (K, F)
    slots_known = (
        np.stack([np.bincount(slot, column, slot_count) for column in others.T], axis=1)
        if others.size
        else (np.zeros((slot_count, others.shape[1])))
    )
    counts = np.bincount(slot, minlength=slot_count).astype(float)
    gram = np.block(
        [
            [S[horizon:, horizon:], sums[horizon:], with_known[horizon:]],
            [sums[horizon:].T, np.diag(counts), slots_known],
            [with_known[horizon:].T, slots_known.T, others.T @ others],
        ]
    )
    right = np.concatenate([S[horizon:, :horizon], sums[:horizon].T, with_known[:horizon].T])[:, ::-1]
    count = b - a
    if filled is not None and filled.any():
        target = sliding_window_view(filled[order:], horizon)[: b - a].any(axis=1)
        gram, right, count = gram.copy(), right.copy(), count - int(target.sum())
        windows = sliding_window_view(z, K)
        for rows in np.array_split(np.flatnonzero(target), 1 + target.sum() // CHUNK):
            lagged, targets = windows[rows][:, :order][:, ::-1], windows[rows][:, order:]
            x = np.concatenate([lagged, np.eye(slot_count)[slot[rows]], others[rows]], axis=1)
            gram -= x.T @ x
            right -= x.T @ targets
    return Equations(gram, right, count, order, slot_count)


def _by_slot(slot: np.ndarray, count: int, columns: list[np.ndarray]) -> np.ndarray:
    """Return the sums (len(columns), count) of the columns, each (n,), over the rows of each slot, in time order."""
    whole = len(slot) // count * count
    turned = ((slot[0] if len(slot) else 0) + np.arange(count)) % count
    if count == 1 or not np.array_equal(slot, np.resize(turned, len(slot))):
        return np.stack([np.bincount(slot, column, count) for column in columns])
    sums = np.empty((len(columns), count))
    for to, column in zip(sums, columns):  # a row after another is in the slot after its own: the same sums, of periods
        period = column[:whole].reshape(-1, count).sum(axis=0)
        period[: len(slot) - whole] += column[whole:]
        to[turned] = period
    return sums


def solve(e: Equations, ridge: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve the normal equations with the penalty ridge · count · |coefficients|².

    Without a penalty, unused slots or a constant series make the equations singular: the solution is then the one with
    the smallest norm.

    Returns:
        lagged (p, N), of the lags 1 … p; intercepts (S, N); known (F, N).
    """
    if ridge:
        found = np.linalg.solve(e.gram + ridge * max(e.count, 1) * np.eye(len(e.gram)), e.right)
    else:
        found = np.linalg.lstsq(e.gram, e.right, rcond=1e-12)[0]
    return found[: e.order], found[e.order : e.order + e.slots], found[e.order + e.slots :]


def lagged_products(z: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Σ_k weights_{k,j} z_{r−k} for each of the ``rows`` r: (len(rows), N) for weights (p, N), k = 1 … p.

    The rows must have p rows before them.
    """
    order, N = weights.shape
    result = np.zeros((len(rows), N))
    if order == 0 or len(rows) == 0:
        return result
    lags = np.flatnonzero(weights.any(axis=1))
    if 8 * len(lags) < order:  # such as a season's: one lag
        for k in lags:
            result += z[rows - (k + 1), None] * weights[k]
        return result
    windows, reversed_weights = sliding_window_view(z, order), np.ascontiguousarray(weights[::-1])
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        result[start : start + CHUNK] = windows[part - order] @ reversed_weights
    return result


def fed_back(weights: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what forecasts fed back are as sums over the last p values and over the drives of the steps.

    With the drive g_t = b_{slot(t)} + Σ_j c_j u_{t,j}, the forecast of step i = 0 … steps − 1 from row r on is

        f_i = Σ_k Φ_{k,i} y_{r−k} + Σ_{l≤i} ψ_{i−l} g_{r+l}

    Args:
        weights: (p,) φ.

    Returns:
        Φ (p, steps) and ψ (steps,), the response to a unit of drive.
    """
    p = len(weights)
    Phi, psi = np.zeros((p, steps)), np.zeros(steps)
    for i in range(steps):
        near = min(i, p)  # φ_1 … φ_near meet forecasts, the others values
        if near < p:
            Phi[: p - near, i] = weights[near:]
        if near:
            Phi[:, i] += Phi[:, i - near : i][:, ::-1] @ weights[:near]
        psi[i] = (i == 0) + (psi[i - near : i][::-1] @ weights[:near] if near else 0.0)
    return Phi, psi
