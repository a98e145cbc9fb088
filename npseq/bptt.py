"""Backpropagation through time: a cell carried forward over a sequence, and its gradient carried back.

This module knows neither gates nor cell types: a cell (``cells.py``) maps pre-activations to a new state; the matrix
products and the time loop are here. There are three kinds of matrix product:

    1. before the loop   a_x = W_x x + b_x for all steps                               (7)
    2. in the loop       a_h = W_h h_t + b_h, and going back dh_t = W_hᵀ da_h          (8), (30)
    3. after the loop    dW_x = Σ_t da_x x_tᵀ, dW_h = Σ_t da_h h_tᵀ, one product each  (31), (32)

The states are stored in T + 1 slots; h_t is in slot t. Steps are counted from 0: step t reads slot t and writes slot
t + 1, so the initial state is in slot 0, and the first step needs no special case.

Numbers such as (30) are those of the equations in ``docs/derivation.md``, which derives every line.

Source: Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78, 1990.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

State = tuple[np.ndarray, ...]


class Cell(Protocol):
    """A cell: a class with the contract that the head of ``cells.py`` states, or an object with the same methods."""

    gates: str
    state: str

    def forward(self, *args: Any, **kwargs: Any) -> tuple[State, Any]: ...
    def backward(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]: ...


class Weights(NamedTuple):
    """The parameters of one layer in one direction, shared by all its time steps; their gradients have the same form.

    W_x (G·H, I), W_h (G·H, H), b_x and b_h (G·H, 1), or None without bias. With projection (LSTM) h is
    W_p (o ⊙ tanh c), (P, B), so W_p is (P, H) and W_h (G·H, P). ``own`` maps the names of the cell's own parameters to
    their values, vectors as columns (H, 1); None for a cell that declares none.
    """

    W_x: np.ndarray
    W_h: np.ndarray
    b_x: np.ndarray | None = None
    b_h: np.ndarray | None = None
    W_p: np.ndarray | None = None
    own: dict[str, np.ndarray] | None = None


class Tape(NamedTuple):
    """What backward needs of a forward pass. With ``checkpoint_every`` a segment's slots and caches are None and only
    the state before its first step is kept."""

    x: np.ndarray  # (T, I, B) or (T, B), in the order in which the steps ran; zero in the padding unless checkpointed
    valid: np.ndarray | None  # (T, 1, B), bool, True where step t is within the sequence
    reverse: bool
    h_mask: np.ndarray | None
    segments: list[Segment]  # in the order in which they ran


class Segment(NamedTuple):
    """Consecutive steps of a tape."""

    steps: slice
    state: State  # before the first step
    slots: State | None = None  # one (n + 1, H, B) array for each letter of the state
    caches: list[tuple[Any, np.ndarray]] | None = None  # for each step the cell's cache, and its h before projection


def forward_through_time(
    cell: Cell,
    weights: Weights,
    x: np.ndarray,
    state: State,
    lengths: np.ndarray | None = None,
    reverse: bool = False,
    *,
    h_mask: np.ndarray | None = None,
    checkpoint_every: int | str | None = None,
    keep_tape: bool = True,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, State, Tape | None]:
    """Carry ``cell`` over the T steps of ``x``.

        slot_{t+1} = cell(W_x x_t + b_x, W_h h + b_h, slot_t),   h the first array of slot_t,   t = 0 … T − 1

    Args:
        cell: a class of ``cells.py``, or one with the same contract.
        weights: ``Weights``, all of one dtype, which is also the dtype of the results.
        x: (T, I, B); or integers (T, B), one-hot vectors given by the index of their 1.
        state: tuple of (H, B) arrays, the initial state; (h, c) for an LSTM, (h,) for the others.
        lengths: (B,) integers from 0 to T in any order, or None for T everywhere. Past the end of a sequence its state
            is unchanged, its output is zero, and x is ignored.
        reverse: run from the last step to the first; a sequence shorter than T starts at its own last step.
        h_mask: (H, B), multiplied into h before W_h at every step: recurrent dropout with one mask for all steps (Gal &
            Ghahramani 2016, arXiv 1512.05287v5).
        checkpoint_every: store the state of every k-th step only and recompute the steps in between during the backward
            pass; ``"sqrt"`` means k = ⌈√T⌉, for which memory is O(√T) (Chen et al. 2016, arXiv 1604.06174v2). x is not
            copied: it must not change before backward.
        keep_tape: False for inference: no tape is kept, and memory use apart from the output does not grow with T.
        out: an array or view of shape (T, H, B) for the outputs.

    Returns:
        hs (T, H, B), the final state (at each sequence's last valid step), and the tape, or None.

    Raises:
        ValueError: for a ``checkpoint_every`` below 1.
    """
    T = len(x)
    out = np.empty((T,) + state[0].shape, state[0].dtype) if out is None else out
    valid = None if lengths is None else (np.arange(T)[:, None] < np.asarray(lengths))[:, None, :]
    whole = keep_tape and checkpoint_every is None
    if whole:  # a copy, since the caller may change x before backward
        x = np.array(x) if valid is None else _without_padding(x, valid)
    hs = out
    if reverse:
        x, hs, valid = x[::-1], hs[::-1], None if valid is None else valid[::-1]

    segments = []
    for steps in _segments(T, checkpoint_every if keep_tape else 32):
        segment_valid = None if valid is None else valid[steps]
        segment_x = x[steps] if whole else _without_padding(x[steps], segment_valid)
        slots, caches = _forward_steps(cell, weights, segment_x, state, segment_valid, h_mask)
        hs[steps] = slots[0][1:] if segment_valid is None else np.where(segment_valid, slots[0][1:], 0)
        if keep_tape:
            kept = (slots, caches) if checkpoint_every is None else ()
            segments.append(Segment(steps, state, *kept))
        state = tuple(slot[-1].copy() for slot in slots)
    return out, state, Tape(x, valid, reverse, h_mask, segments) if keep_tape else None


def backward_through_time(
    cell: Cell, weights: Weights, tape: Tape, d_hs: np.ndarray | None, d_state: State, *, need_dx: bool = True
) -> tuple[Weights, np.ndarray | None, State]:
    """Compute the gradient of a loss that reads every output and the final state.

    Args:
        cell, weights: as given to ``forward_through_time``, unchanged since.
        tape: the tape it returned. It is not modified, so calling this function twice gives the same result.
        d_hs: (T, H, B), dloss/dhs, ignored in the padding. None for zeros.
        d_state: tuple like the state, dloss/dfinal state.
        need_dx: False skips the product W_xᵀ da_x when the gradient of x is not needed; indices have no gradient.

    Returns:
        d_weights (a ``Weights``), d_x (T, I, B) or None, d_state of the initial state.
    """
    x, valid, reverse, h_mask, segments = tape
    if d_hs is not None and reverse:
        d_hs = d_hs[::-1]
    d_x = np.empty(x.shape, weights.W_x.dtype) if need_dx and x.ndim == 3 else None
    own = None if weights.own is None else {name: np.zeros_like(part) for name, part in weights.own.items()}
    d_weights = Weights._make([*(None if W is None else np.zeros_like(W) for W in weights[:5]), own])
    for steps, state, slots, caches in reversed(segments):
        segment_valid = None if valid is None else valid[steps]
        segment_x = x[steps]
        if caches is None:  # checkpointed: recompute this segment
            segment_x = _without_padding(segment_x, segment_valid)
            slots, caches = _forward_steps(cell, weights, segment_x, state, segment_valid, h_mask)
        d_segment_hs, d_segment_x = (None if d is None else d[steps] for d in (d_hs, d_x))
        d_segment, d_state = _backward_steps(
            cell, weights, segment_x, slots, caches, segment_valid, h_mask, d_segment_hs, d_state, d_segment_x
        )
        for total, part in zip(d_weights[:5], d_segment):
            if total is not None:
                total += part
        if own is not None and d_segment.own is not None:
            for name, part in d_segment.own.items():
                own[name] += part
    return d_weights, d_x[::-1] if d_x is not None and reverse else d_x, d_state


def _segments(T: int, k: int | str | None) -> Iterator[slice]:
    """Return slices of k steps that cover T steps; a single slice if k is None, ⌈√T⌉ steps a slice for "sqrt"."""
    size = max(T, 1) if k is None else max(int(np.ceil(np.sqrt(T))), 1) if k == "sqrt" else int(k)  # (43)
    if size < 1:
        raise ValueError(f"checkpoint_every must be a positive integer, 'sqrt' or None; {k!r} given")
    return (slice(t, min(t + size, T)) for t in range(0, T, size))


def _without_padding(x: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Padding may hold anything, even NaN, so it is set to zero before any matrix product."""
    return x if valid is None else np.where(valid if x.ndim == 3 else valid[:, 0], x, 0)


def _forward_steps(
    cell: Cell, weights: Weights, x: np.ndarray, state: State, valid: np.ndarray | None, h_mask: np.ndarray | None
) -> tuple[State, list[tuple[Any, np.ndarray]]]:
    """Run n steps. Returns the slots, one (n + 1, H, B) array for each array of the state, and the caches."""
    W_x, W_h, b_x, b_h, W_p, own = weights
    extra = () if own is None else (own,)
    a_x = W_x @ x if x.ndim == 3 else W_x.T[x].transpose(0, 2, 1)  # with one-hot x_t, a column of W_x
    a_x = a_x if b_x is None else a_x + b_x  # (7)
    slots = tuple(np.empty((len(x) + 1,) + s.shape, s.dtype) for s in state)
    for slot, s in zip(slots, state):
        slot[0] = s
    caches = []
    for t in range(len(x)):
        state = tuple(slot[t] for slot in slots)
        h = state[0] if h_mask is None else h_mask * state[0]  # (42)
        a_h = W_h @ h if b_h is None else W_h @ h + b_h  # (8)
        new_state, cache = cell.forward(a_x[t], a_h, state, *extra)
        m = new_state[0]
        if W_p is not None:
            new_state = (W_p @ m,) + tuple(new_state[1:])  # (40)
        for slot, new, old in zip(slots, new_state, state):
            slot[t + 1] = new if valid is None else np.where(valid[t], new, old)  # (38)
        caches.append((cache, m))
    return slots, caches


def _backward_steps(
    cell: Cell,
    weights: Weights,
    x: np.ndarray,
    slots: State,
    caches: list[tuple[Any, np.ndarray]],
    valid: np.ndarray | None,
    h_mask: np.ndarray | None,
    d_hs: np.ndarray | None,
    d_state: State,
    d_x: np.ndarray | None,
) -> tuple[Weights, State]:
    """The backward pass of ``_forward_steps``. Returns d_weights and the first d_state; fills d_x if it is given."""
    W_x, W_h, b_x, b_h, W_p, own = weights
    extra = () if own is None else (own,)
    n = len(x)
    buffers: list[list[Any]] = [[None] * n for _ in range(4)]
    da_xs, da_hs, d_projected, d_owns = buffers
    for t in reversed(range(n)):
        d_new = d_state
        if d_hs is not None:  # (29): h is read by the loss and by the next step: the two gradients add
            d_output = d_hs[t] if valid is None else np.where(valid[t], d_hs[t], 0)
            d_new = (d_state[0] + d_output,) + tuple(d_state[1:])
        if valid is not None:  # (39): a padded step copies its state, so its gradient bypasses the cell
            d_past = tuple(np.where(valid[t], 0, d) for d in d_new)
            d_new = tuple(np.where(valid[t], d, 0) for d in d_new)
        d_projected[t] = d_new[0]
        if W_p is not None:
            d_new = (W_p.T @ d_new[0],) + tuple(d_new[1:])  # (41)
        da_x, da_h, d_direct, *d_own = cell.backward(d_new, caches[t][0], *extra)
        da_xs[t], da_hs[t], d_owns[t] = da_x, da_h, d_own
        # (30): a_h = W_h h + b_h: the path through the product, then the cell's direct paths to the state before
        dh = W_h.T @ da_h if h_mask is None else h_mask * (W_h.T @ da_h)
        if W_p is None:  # with projection the cell does not read h, so there is no direct path to add
            dh = dh + d_direct[0]  # (30)
        d_state = (dh,) + tuple(d_direct[1:])
        if valid is not None:
            d_state = tuple(d + past for d, past in zip(d_state, d_past))  # (39)

    da_h = np.stack(da_hs)
    da_x = da_h if da_xs[0] is da_hs[0] else np.stack(da_xs)  # the same array in RNN and LSTM
    h_before = slots[0][:-1] if h_mask is None else h_mask * slots[0][:-1]
    ms = None if W_p is None else np.stack([m for _, m in caches])
    if d_x is not None:
        np.matmul(W_x.T, da_x, out=d_x)  # (34)
    d_weights = Weights(
        W_x=_sum_of_products(da_x, x, W_x.shape[1]),  # (31)
        W_h=_sum_of_products(da_h, h_before, W_h.shape[1]),  # (32)
        b_x=None if b_x is None else da_x.sum(0).sum(1)[:, None],  # (33), one axis at a time, which is faster
        b_h=None if b_h is None else da_h.sum(0).sum(1)[:, None],  # (33)
        W_p=None if W_p is None or ms is None else _sum_of_products(np.stack(d_projected), ms, W_p.shape[1]),  # (41)
        own=None if own is None else {name: np.asarray(sum(d[0][name] for d in d_owns)) for name in own},
    )
    return d_weights, d_state


def _sum_of_products(da: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """Return Σ_t da_t x_tᵀ, (A, size), for da (n, A, B) and x (n, size, B): one product over steps and sequences."""
    if x.ndim == 2:  # indices: da_t of a sequence is added to the column that it read
        total = np.zeros((size, da.shape[1]), da.dtype)
        np.add.at(total, x, da.transpose(0, 2, 1))
        return total.T
    return np.tensordot(da, x, axes=((0, 2), (0, 2)))  # (35)
