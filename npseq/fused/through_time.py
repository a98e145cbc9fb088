"""Forward and backward over a whole sequence, as in ``bptt.py``, with the kernels of ``kernels.py``.

The reasons for the order of operations are in ``fused/__init__.py``. Numbers in the comments are those of the equations
in ``docs/derivation.md``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import bptt
from ..bptt import Cell, Weights
from . import one_hot
from .kernel_base import Kernel
from .kernels import KERNELS
from .memory_layout import Matmul, gathered, narrow
from .packing import Packing
from .pool import POOL, Lease
from .product import in_pieces
from .workspace import BackwardSteps, BackwardWorkspace, ForwardWorkspace, columns_per_product, steps_per_group

INFERENCE_STEPS = 32  # maximum number of steps that share a workspace when no tape is kept
STEPS_MULTIPLE = 8  # numbers of steps are rounded up to multiples of this, so that similar lengths share a workspace

State = tuple[np.ndarray, ...]  # (H, B) arrays: h, and for the LSTM c


class FusedTape(NamedTuple):
    """What backward needs of a forward pass. It is only read.

    Its workspace returns to the pool when the tape and its shallow copies are deleted. Deep copies and pickles have a
    workspace of their own.
    """

    kernel: type[Kernel]
    W: np.ndarray  # (rows, H + I + 1), the stacked weights
    T: int  # steps of the batch
    reverse: bool
    lease: Lease  # on the ``ForwardWorkspace``
    packing: Packing | None = None
    indices: np.ndarray | None = None  # of one-hot inputs (T, B), in the order of the steps


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
    matmul: Matmul = np.matmul,
) -> tuple[np.ndarray, State, FusedTape | bptt.Tape | None]:
    """Carry ``cell`` over the T steps of ``x``, as ``bptt.forward_through_time``, which has the equation.

    Args:
        cell, weights, x, state, lengths, reverse, h_mask, checkpoint_every, keep_tape, out: as there.
        matmul: computes the products of many steps, called as ``np.matmul``.

    Returns:
        hs (T, H, B), the final state, and the tape: a ``FusedTape``, the tape of ``bptt.py`` if that function ran
        (options without a fused implementation), or None without ``keep_tape``.
    """
    T, B, by_index = len(x), x.shape[-1], x.ndim == 2
    kernel = KERNELS.get(cell)
    if lengths is not None:
        lengths = np.asarray(lengths)
        lengths = None if (lengths == T).all() else lengths
    plain_options = h_mask is not None or weights.W_p is not None or keep_tape and checkpoint_every is not None
    packable = kernel is not None and kernel.bounded and not by_index
    plain_lengths = lengths is not None and not (packable and lengths.any())
    if kernel is None or plain_options or plain_lengths or T == 0:
        options: Any = dict(h_mask=h_mask, checkpoint_every=checkpoint_every, keep_tape=keep_tape, out=out)
        return bptt.forward_through_time(cell, weights, x, state, lengths, reverse, **options)
    if out is None:
        out = np.empty((T, state[0].shape[0], B), weights.W_h.dtype)
    W = kernel.stack(weights)
    halved = kernel.halve(W)
    if lengths is None:
        order = slice(None, None, -1 if reverse else 1)
        final, lease = _forward(kernel, halved, x[order], state, out[order], keep_tape, matmul)
        indices = x[order].copy() if by_index and keep_tape else None
        return out, final, None if lease is None else FusedTape(kernel, W, T, reverse, lease, indices=indices)
    packing = Packing(T, lengths, reverse, W.size)
    hs, rows = packing.buffer(out)
    final, lease = _forward(kernel, halved, packing.packed(x), state, hs, keep_tape, matmul, packing)
    packing.unpack(rows, out)
    return out, final, None if lease is None else FusedTape(kernel, W, T, reverse, lease, packing)


def backward_through_time(
    cell: Cell,
    weights: Weights,
    tape: FusedTape | bptt.Tape,
    d_hs: np.ndarray | None,
    d_state: State,
    *,
    need_dx: bool = True,
    matmul: Matmul = np.matmul,
) -> tuple[Weights, np.ndarray | None, State]:
    """Compute the gradient of a loss that reads every output and the final state.

    Args:
        cell, weights, tape, d_hs, d_state, need_dx: as for ``bptt.backward_through_time``.
        matmul: computes the products of many steps, called as ``np.matmul``.

    Returns:
        d_weights (a ``Weights``), d_x (T, I, B) or None, d_state of the initial state.
    """
    if isinstance(tape, bptt.Tape):
        return bptt.backward_through_time(cell, weights, tape, d_hs, d_state, need_dx=need_dx)
    kernel, W, T, reverse, lease, packing, indices = tape
    workspace = lease.workspace
    _, I, H, B = workspace.sizes
    if packing is None:
        order = slice(None, None, -1 if reverse else 1)
        dx = np.empty((T, B, I), W.dtype) if need_dx else None
        d_outputs = None if d_hs is None else d_hs[order]
        if indices is not None:
            d_inputs = one_hot.TableGradient(kernel, indices, weights.W_x.shape[1], H, W.dtype)
            W, _ = one_hot.split(kernel, W, H)
            dW, d_state = _backward(kernel, workspace, T, W, d_outputs, d_state, None, matmul, d_inputs=d_inputs)
            return kernel.unpack(d_inputs.joined(dW), weights), None, d_state
        dW, d_state = _backward(kernel, workspace, T, W, d_outputs, d_state, dx, matmul)
        return kernel.unpack(dW, weights), None if dx is None else dx.transpose(0, 2, 1)[order], d_state
    d_outputs = np.zeros((packing.steps, B, H), W.dtype).transpose(0, 2, 1) if d_hs is None else packing.packed(d_hs)
    if d_state[0].any():
        d_outputs[packing.last_slots - 1, :, packing.columns] += d_state[0][:, packing.sequences].T
    d_x = dx = rows = None
    if need_dx:
        d_x = np.empty((T, len(packing.lengths), I), W.dtype).transpose(0, 2, 1)
        packed_dx, rows = packing.buffer(d_x)
        dx = packed_dx.transpose(0, 2, 1)
    dW, d_state = _backward(kernel, workspace, packing.steps, W, d_outputs, d_state, dx, matmul, packing)
    if d_x is not None:
        packing.unpack(rows, d_x)
    return kernel.unpack(dW, weights), d_x, d_state


def _forward(
    kernel: type[Kernel],
    W: np.ndarray,
    x: np.ndarray,
    state: State,
    hs: np.ndarray,
    keep: bool,
    matmul: Matmul,
    packing: Packing | None = None,
) -> tuple[State, Lease | None]:
    """Run all steps of x, (T, I, B) or indices (T, B), and fill ``hs`` (T, H, B).

    Returns the final state (with packing, the state at the end of each sequence) and the lease on the workspace (None
    unless ``keep``).
    """
    T, H, B = len(x), len(state[0]), x.shape[-1]  # a packed batch has fewer columns than the state
    I, table = x.shape[1] if x.ndim == 3 else 0, None
    if x.ndim == 2:
        W, table = one_hot.split(kernel, W, H)
    n = min(T, steps_per_group(I, H, B, W.dtype), T if keep else INFERENCE_STEPS)
    steps = -(-(T if keep else n) // STEPS_MULTIPLE) * STEPS_MULTIPLE
    lease = POOL.acquire(ForwardWorkspace, kernel, steps, I, H, B, W.dtype, keep or packing is not None)
    workspace = lease.workspace
    workspace.W_h = np.ascontiguousarray(W[kernel.rows_of_h(H), :H]) if x.ndim == 2 else None
    carried = final = state
    if packing is not None:
        carried, final = tuple(np.zeros((H, B), W.dtype) for _ in state), tuple(part.copy() for part in state)
    for start in range(0, T, n):  # x is read, n steps run, and y is written, while they are in the cache
        count = min(n, T - start)
        first = start if keep else 0
        last = first + count
        if table is None:
            _load(kernel, workspace, W, x[start : start + count], first, matmul)
        else:
            workspace.look_up(table, x[start : start + count], first)
        if first == 0:
            kernel.set_state(workspace, carried)
        if packing is None:
            kernel.forward(workspace, W, first, last)
        else:
            _forward_packed(kernel, workspace, W, packing, start, count, first - start, state, final)
        carried = kernel.state(workspace, last)
        hs[start : start + count] = workspace.Z[first + 1 : last + 1, :H]
    return carried if packing is None else final, lease if keep else None


def _load(
    kernel: type[Kernel], workspace: ForwardWorkspace, W: np.ndarray, x: np.ndarray, first: int, matmul: Matmul
) -> None:
    """Copy x (count, I, B) into Z from slot ``first`` on, and precompute W_x x + b if W is large."""
    _, I, H, _ = workspace.sizes
    last = first + len(x)
    workspace.Z[first:last, H : H + I] = x
    workspace.do_not_hoist()
    if workspace.large:
        kernel.hoist(workspace, W, first, last, matmul)


def _forward_packed(
    kernel: type[Kernel],
    workspace: ForwardWorkspace,
    W: np.ndarray,
    packing: Packing,
    start: int,
    count: int,
    shift: int,
    state: State,
    final: State,
) -> None:
    """Run the steps start … start + count − 1 of a packed batch, which are in the slots from start + shift on.

    Where a sequence starts, its initial state is taken from ``state``; where one ends, its final state is written to
    ``final``; (H, number of sequences) each.
    """
    slots = kernel.states(workspace)
    for t, stop, starting in packing.pieces(start, start + count):
        if starting is not None:
            for part, given in zip(slots, state):
                part[t + shift][:, packing.columns[starting]] = given[:, packing.sequences[starting]]
        kernel.forward(workspace, W, t + shift, stop + shift)
    ending = (start < packing.last_slots) & (packing.last_slots <= start + count)
    for whole, part in zip(final, slots):
        last_slots = packing.last_slots[ending] + shift
        whole[:, packing.sequences[ending]] = part[last_slots, :, packing.columns[ending]].T


def _backward(
    kernel: type[Kernel],
    workspace: ForwardWorkspace,
    T: int,
    W: np.ndarray,
    d_hs: np.ndarray | None,
    d_state: State,
    dx: np.ndarray | None,
    matmul: Matmul,
    packing: Packing | None = None,
    d_inputs: one_hot.TableGradient | None = None,
) -> tuple[np.ndarray, State]:
    """Backward pass over the T steps in the workspace; fills ``dx`` (T, B, I) unless it is None.

    Returns dW, as W, and the gradient of the initial state. Of one-hot inputs dW_x goes to ``d_inputs``.
    """
    _, I, H, B = workspace.sizes
    order: Any = "F" if len(W) < W.shape[1] or narrow(len(W), B) else "C"  # the layout of the terms that are added
    dW, W_T = np.zeros(W.shape, W.dtype, order), np.ascontiguousarray(W[kernel.rows_of_h(H), :H].T)
    rows_of_x = kernel.rows_of_x(H)
    n = min(T, -(-columns_per_product(len(W)) // B))
    lease = POOL.acquire(BackwardWorkspace, kernel, n, I, H, B, W.dtype)
    back = lease.workspace
    back.set_state(d_state if packing is None else [0] * len(d_state))
    gradient_at_end: dict[int, np.ndarray] = {}
    d_initial = d_state
    if packing is not None:
        d_initial, gradient_at_end = tuple(part.copy() for part in d_state), _gradient_at_end(packing, d_state[1:], B)
    for start in range((T - 1) // n * n, -1, -n):
        count = min(n, T - start)
        if d_hs is not None:
            back.d_outputs[:count] = d_hs[start : start + count]
        in_chunk = {t - start: d for t, d in gradient_at_end.items()}
        for first in range((count - 1) // back.m * back.m, -1, -back.m):
            last = min(first + back.m, count)
            kernel.factors(workspace, back.D[first:last], start + first, last - first)
            if packing is None:
                kernel.backward(back, W_T, BackwardSteps(first, last, d_hs is not None, in_chunk))
            else:
                _backward_packed(kernel, back, W_T, packing, start, first, last, in_chunk, d_initial)
        # what is summed over time, or needed at every step but not passed on, is one product over (steps · sequences)
        D = gathered(back.D_flat, back.D[:count, kernel.da])
        Z = gathered(back.Z_flat, workspace.Z[start : start + count, None])
        kernel.add_dW(dW, D, Z, H, back.product, matmul)
        if d_inputs is not None:
            d_inputs.add(back.D[:count, kernel.da], start, back.D_flat)
        if dx is not None:  # (45): dx = W_xᵀ da, in the caller's own layout
            in_pieces(matmul, D[rows_of_x].T, W[rows_of_x, H : H + I], dx[start : start + count].reshape(count * B, I))
    return dW, back.state() if packing is None else d_initial


def _backward_packed(
    kernel: type[Kernel],
    back: BackwardWorkspace,
    W_T: np.ndarray,
    packing: Packing,
    start: int,
    first: int,
    last: int,
    gradient_at_end: dict[int, np.ndarray],
    d_initial: State,
) -> None:
    """Run the steps first … last − 1 of the chunk that begins at ``start`` backward, in a packed batch.

    Where a sequence starts, the gradient of its initial state is written to ``d_initial`` and taken out of the column.
    """
    for t, stop, starting in packing.pieces(start + first, start + last)[::-1]:
        kernel.backward(back, W_T, BackwardSteps(t - start, stop - start, True, gradient_at_end))
        if starting is not None:
            for whole, part in zip(d_initial, (back.dh, back.dc)):
                whole[:, packing.sequences[starting]] = part[:, packing.columns[starting]]
                part[:, packing.columns[starting]] = 0


def _gradient_at_end(packing: Packing, d_final: State, B: int) -> dict[int, np.ndarray]:
    """Return step -> (H, B), the gradient to add to dc after that step. (The gradient of the final h is already part of
    ``d_outputs``.)"""
    found: dict[int, np.ndarray] = {}
    for dc in filter(np.any, d_final):
        for k in np.flatnonzero(dc[:, packing.sequences].any(0)):
            d = found.setdefault(int(packing.last_slots[k]) - 1, np.zeros((len(dc), B), dc.dtype))
            d[:, packing.columns[k]] = dc[:, packing.sequences[k]]
    return found
