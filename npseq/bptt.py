"""Backpropagation through time: a cell carried forward over a sequence, and its gradient carried back.

There is no gate here and no cell's name: a cell (``cells.py``) turns pre-activations into a new state, and this module
has the matrix products and the loop. Products stand in three places:

    1. before the loop   a_x = W_x x + b_x for all steps                               (7)
    2. in the loop       a_h = W_h h_{t-1} + b_h, and going back dh_{t-1} = W_hᵀ da_h  (8), (30)
    3. after the loop    dW_x = Σ_t da_x x_tᵀ, dW_h = Σ_t da_h h_{t-1}ᵀ, one product each  (31), (32)

The states of T steps stand in T + 1 slots, with the initial state in slot 0, so slot t is the state *before* step t and
no step is a special case.

Numbers such as (30) are those of the equations in ``docs/derivation.md``, which derives every line.

Source: Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78, 1990.
"""

from typing import NamedTuple

import numpy as np


class Weights(NamedTuple):
    """The parameters of one layer in one direction, shared by all its time steps; their gradients have the same form.

    W_x (G·H, I), W_h (G·H, H), b_x and b_h (G·H, 1), or None without bias. With projection (LSTM) h is
    W_p (o ⊙ tanh c), (P, B), so W_p is (P, H) and W_h (G·H, P).
    """

    W_x: np.ndarray
    W_h: np.ndarray
    b_x: np.ndarray | None = None
    b_h: np.ndarray | None = None
    W_p: np.ndarray | None = None


class Tape(NamedTuple):
    """What backward needs of a forward pass. With ``checkpoint_every`` a segment's slots and caches are None and only
    its first state is kept."""

    x: np.ndarray  # (T, I, B) in the order in which the steps were taken; zero in the padding unless checkpointed
    valid: np.ndarray | None  # (T, 1, B): does step t belong to the sequence?
    reverse: bool
    h_mask: np.ndarray | None
    segments: list  # of Segment, in the order in which they were run


class Segment(NamedTuple):
    steps: slice
    state: tuple  # before the first step
    slots: tuple | None = None  # one (n + 1, H, B) array for each letter of the state
    caches: list | None = None  # one entry for each step: (the cell's cache, the cell's h before projection)


def forward_through_time(
    cell,
    weights,
    x,
    state,
    lengths=None,
    reverse=False,
    *,
    h_mask=None,
    checkpoint_every=None,
    keep_tape=True,
    out=None,
):
    """Carry ``cell`` over the T steps of ``x``.

        state_t = cell(W_x x_t + b_x, W_h h_{t-1} + b_h, state_{t-1}),   t = 1 … T

    Args:
        cell: a class of ``cells.py``, or one with the same two functions.
        weights: ``Weights``, all of one dtype, which is also the dtype of the results.
        x: (T, I, B).
        state: tuple of (H, B) arrays, the initial state; (h, c) for an LSTM, (h,) for the others.
        lengths: (B,) integers from 0 to T in any order, or None for T everywhere. Past its length a sequence's state
            stays as it is and its output is zero; what stands in x there does not matter.
        reverse: take the steps from the last to the first; a sequence shorter than T starts at its own last step.
        h_mask: (H, B), multiplied into h_{t-1} in front of W_h at every step: recurrent dropout with one mask for all
            steps (Gal & Ghahramani 2016, arXiv 1512.05287v5).
        checkpoint_every: keep the state of every k-th step only, and compute the steps between again going back;
            ``"sqrt"`` takes k = ⌈√T⌉, which makes memory O(√T) (Chen et al. 2016, arXiv 1604.06174v2). x is then not
            copied: do not change it before going back.
        keep_tape: False when no gradient will be asked for; memory beyond the output is then constant in T.
        out: an array or view of shape (T, H, B) to write the outputs into.

    Returns:
        hs (T, H, B), the final state (at each sequence's last valid step), and the tape (None without one).
    """
    T = len(x)
    if out is None:
        out = np.empty((T,) + state[0].shape, state[0].dtype)
    valid = None
    if lengths is not None:
        valid = (np.arange(T)[:, None] < np.asarray(lengths))[:, None, :]
    whole = keep_tape and checkpoint_every is None
    if whole:  # the tape's own x: the caller may reuse theirs
        x = np.array(x) if valid is None else _without_padding(x, valid)
    hs = out
    if reverse:
        x, hs, valid = x[::-1], hs[::-1], None if valid is None else valid[::-1]

    segments = []
    for steps in _segments(T, checkpoint_every if keep_tape else 32):
        segment_valid = None if valid is None else valid[steps]
        segment_x = x[steps] if whole else _without_padding(x[steps], segment_valid)
        slots, caches = _forward_steps(cell, weights, segment_x, state, segment_valid, h_mask)
        hs[steps] = slots[0][1:] if valid is None else np.where(segment_valid, slots[0][1:], 0)
        if checkpoint_every is None:
            segments.append(Segment(steps, state, slots, caches))
        else:
            segments.append(Segment(steps, state))
        state = tuple(slot[-1].copy() for slot in slots)
        if not keep_tape:
            segments.clear()
    return out, state, Tape(x, valid, reverse, h_mask, segments) if keep_tape else None


def backward_through_time(cell, weights, tape, d_hs, d_state, *, need_dx=True):
    """The gradient of a loss that reads every output and the final state.

    Args:
        cell, weights: as given to ``forward_through_time``, unchanged since.
        tape: what it returned. It is only read: calling this twice gives the same twice.
        d_hs: (T, H, B), dloss/dhs; what stands in the padding does not matter. None for zeros.
        d_state: tuple like the state, dloss/dfinal state.
        need_dx: False saves the product W_xᵀ da_x where nobody asks for it.

    Returns:
        d_weights (a ``Weights``), d_x (T, I, B) or None, d_state of the initial state.
    """
    x, valid, reverse, h_mask, segments = tape
    if d_hs is not None and reverse:
        d_hs = d_hs[::-1]
    d_x = np.empty(x.shape, weights.W_x.dtype) if need_dx else None
    d_weights = Weights(*(None if W is None else np.zeros_like(W) for W in weights))
    for steps, state, slots, caches in reversed(segments):
        segment_valid = None if valid is None else valid[steps]
        segment_x = x[steps]
        if caches is None:  # checkpointed: the same steps once more
            segment_x = _without_padding(segment_x, segment_valid)
            slots, caches = _forward_steps(cell, weights, segment_x, state, segment_valid, h_mask)
        d_segment, d_state = _backward_steps(
            cell,
            weights,
            segment_x,
            slots,
            caches,
            segment_valid,
            h_mask,
            None if d_hs is None else d_hs[steps],
            d_state,
            d_x[steps] if need_dx else None,
        )
        for total, part in zip(d_weights, d_segment):
            if total is not None:
                total += part
    return d_weights, d_x[::-1] if need_dx and reverse else d_x, d_state


def _segments(T, k):
    """The T steps as slices of k; None for all in one."""
    if k == "sqrt":
        k = int(np.ceil(np.sqrt(T)))  # (43)
    k = k or max(T, 1)
    return (slice(t, min(t + k, T)) for t in range(0, T, k))


def _without_padding(x, valid):
    """Whatever stands in the padding, NaN included, must not reach a product."""
    return x if valid is None else np.where(valid, x, 0)


def _forward_steps(cell, weights, x, state, valid, h_mask):
    """Some steps with everything kept: -> slots (one (n + 1, H, B) array a letter of the state), caches."""
    W_x, W_h, b_x, b_h, W_p = weights
    n = len(x)
    a_x = W_x @ x if b_x is None else W_x @ x + b_x  # (7)
    slots = tuple(np.empty((n + 1,) + s.shape, s.dtype) for s in state)
    for slot, s in zip(slots, state):
        slot[0] = s
    caches = []
    for t in range(n):
        state = tuple(slot[t] for slot in slots)
        h = state[0] if h_mask is None else h_mask * state[0]  # (42)
        a_h = W_h @ h if b_h is None else W_h @ h + b_h  # (8)
        new_state, cache = cell.forward(a_x[t], a_h, state)
        m = new_state[0]
        if W_p is not None:
            new_state = (W_p @ m,) + tuple(new_state[1:])  # (40)
        for slot, new, old in zip(slots, new_state, state):
            slot[t + 1] = new if valid is None else np.where(valid[t], new, old)  # (38)
        caches.append((cache, m))
    return slots, caches


def _backward_steps(cell, weights, x, slots, caches, valid, h_mask, d_hs, d_state, d_x):
    """The inverse of ``_forward_steps``: -> d_weights, d_state before the first step; d_x is written where given."""
    W_x, W_h, b_x, b_h, W_p = weights
    n = len(x)
    da_xs, da_hs, d_projected = [None] * n, [None] * n, [None] * n
    for t in reversed(range(n)):
        d_new = d_state
        if d_hs is not None:  # (29): h_t is read by the loss and by step t + 1: the two gradients add
            d_output = d_hs[t] if valid is None else np.where(valid[t], d_hs[t], 0)
            d_new = (d_state[0] + d_output,) + tuple(d_state[1:])
        if valid is not None:  # (39): a padded step hands its state on, so it hands the gradient back past the cell
            d_past = tuple(np.where(valid[t], 0, d) for d in d_new)
            d_new = tuple(np.where(valid[t], d, 0) for d in d_new)
        d_projected[t] = d_new[0]
        if W_p is not None:
            d_new = (W_p.T @ d_new[0],) + tuple(d_new[1:])  # (41)
        da_x, da_h, d_direct = cell.backward(d_new, caches[t][0])
        da_xs[t], da_hs[t] = da_x, da_h
        # (30): a_h = W_h h_{t-1} + b_h: the path through the product, beside the cell's own paths to the state before
        dh = W_h.T @ da_h if h_mask is None else h_mask * (W_h.T @ da_h)
        if W_p is None:  # with projection the cell never sees h_{t-1}, so there is no direct path to add
            dh = dh + d_direct[0]
        d_state = (dh,) + tuple(d_direct[1:])
        if valid is not None:
            d_state = tuple(d + past for d, past in zip(d_state, d_past))

    da_h = np.stack(da_hs)
    da_x = da_h if da_xs[0] is da_hs[0] else np.stack(da_xs)  # one and the same in RNN and LSTM
    h_before = slots[0][:-1] if h_mask is None else h_mask * slots[0][:-1]
    if d_x is not None:
        np.matmul(W_x.T, da_x, out=d_x)  # (34)
    d_weights = Weights(
        W_x=_sum_of_products(da_x, x),  # (31)
        W_h=_sum_of_products(da_h, h_before),  # (32)
        b_x=None if b_x is None else da_x.sum((0, 2))[:, None],  # (33)
        b_h=None if b_h is None else da_h.sum((0, 2))[:, None],
        W_p=None if W_p is None else _sum_of_products(np.stack(d_projected), np.stack([m for _, m in caches])),
    )
    return d_weights, d_state


def _sum_of_products(da, x):
    """Σ_t da_t x_tᵀ: (n, A, B) and (n, C, B) -> (A, C), as one matrix product over steps and sequences."""
    return np.tensordot(da, x, axes=((0, 2), (0, 2)))  # (35)
