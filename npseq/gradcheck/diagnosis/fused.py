"""Which function of ``fused/`` is wrong, for a call of the recurrence that ``bptt.py`` answers rightly.

Each function is called by itself, at the sizes and values of the failing call, and compared with what its docstring
says, written in plain NumPy, in the order in which they depend on each other: the first that is wrong is the error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...fused import batch_parallel, memory_layout, one_hot, product
from ...fused.kernels import KERNELS
from ...fused.packing import Packing
from .kernels import of_kernel
from .same import at, same, work


def blame(call: Any, engine: Any, wrong: list[str], alone_is_right: bool) -> list[str]:
    """Return a line that names the first function that is wrong.

    Args:
        call: a ``replay.Call`` that is wrong.
        engine: the recurrence that was called, ``BatchParallel``.
        wrong: names of the wrong results.
        alone_is_right: whether ``through_time.py`` is right for the same call by itself, not split over threads.
    """
    found = next(_tools(call, engine), None)
    if found:
        return [found]
    p, B = call.problem, call.problem.x.shape[2]
    parts = engine.parts(p.weights, B)
    if [b for part in parts for b in range(B)[part]] != list(range(B)):
        return ["batch_parallel.py, BatchParallel.parts: the slices (_slices) do not cover the batch, each once"]
    if len(parts) > 1 and alone_is_right:
        function = "backward" if call.backward else "forward"
        if function == "forward" or any(name.startswith("dW") or name.startswith("db") for name in wrong):
            totals = batch_parallel._sum([np.full(2, k + 1.0) for k in range(5)])
            if not same(totals, np.full(2, 15.0)):
                return ["batch_parallel.py, _sum: it is not the sum of all parts"]
        lengths = " (lengths, state)" if function == "forward" else " (d_state, d_hs)"
        text = f"each part{lengths} by itself is right, together they are not"
        return [f"batch_parallel.py, BatchParallel.{function}_through_time: {text}"]
    if alone_is_right:
        return ["fused/: the same call by itself is right: something of an earlier call is kept (W_h, workspace)"]
    found = next(of_kernel(call), None)
    return [found] if found else []


def _tools(call: Any, engine: Any) -> Iterator[str]:
    """Yield what is wrong with the functions that know no cell."""
    rng, p = np.random.default_rng(0), call.problem
    T, I, B = p.x.shape
    H, rows = len(p.state[0]), len(p.weights.W_x)
    for width in (1, B, 40):
        a, b, out = (np.empty(shape, p.x.dtype) for shape in ((rows, H), (H, width), (rows, width)))
        a[...], b[...] = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
        product.product(a, width)(b, out)
        if not same(out, a @ b):
            yield at(product.product, f"for {width} sequences it is not W @ x")
            return
        product.in_pieces(np.matmul, a, b, out[...])
        if not same(out, a @ b):
            yield at(product.in_pieces, f"for {width} columns it is not a @ b")
            return
    for blocks, width in ((max(rows // H, 1), B), (2, 40)):
        steps = rng.standard_normal((min(T, 9), blocks, H, width))
        found = memory_layout.gathered(np.empty(steps.size), steps)
        if not same(found, steps.transpose(1, 2, 0, 3).reshape(blocks * H, -1)):
            text = "the columns (buffer) are not those of all steps in order"
            yield at(memory_layout.gathered, text, "transpose(0, 2, 1)")
            return
    D, Z = rng.standard_normal((rows, 6)), rng.standard_normal((H + I + 1, 6))
    for d in (D, np.asfortranarray(D)):
        if not same(memory_layout.outer(d, Z, np.empty(len(D) * len(Z)), np.matmul), D @ Z.T):
            yield at(memory_layout.outer, "it is not D Zᵀ")
            return
    for count in (2, engine.count or 1):
        if not same(batch_parallel._matmul(count, D.T, D, np.empty((6, 6))), D.T @ D):
            yield at(batch_parallel._matmul, "it is not a @ b")
            return
    if call.indices is not None:
        yield from _one_hot(call)
    if p.lengths is not None and np.any(p.lengths) and not (np.asarray(p.lengths) == T).all():
        yield from _packing(Packing(T, np.asarray(p.lengths), p.reverse, work(call)), p, T)


def _one_hot(call: Any) -> Iterator[str]:
    p, rng = call.problem, np.random.default_rng(0)
    kernel, (T, B), I, H = KERNELS[p.cell], call.indices.shape, p.x.shape[1], len(p.state[0])
    W = kernel.stack(p.weights)
    rows = kernel.rows_of_x(H)
    rest, table = one_hot.split(kernel, W, H)
    if not (same(table, W[rows, H : H + I] + W[rows, H + I :]) and same(rest, W[:, [*range(H), H + I]])):
        yield at(one_hot.split, "the table is not W_x + b, or the rest not [W_h, b]", "return ")
        return
    blocks = kernel.da.stop - kernel.da.start
    D = rng.standard_normal((T, blocks, H, B))
    total = one_hot.TableGradient(kernel, call.indices, I, H, np.dtype(float))
    half = T // 2 if T > 1 else T
    for first, last in ((half, T), (0, half)):
        if last > first:
            total.add(D[first:last], first, np.empty(D.size))
    of_x = D.reshape(T, blocks * H, B)[:, rows]
    true = np.einsum("tbi,tab->ia", np.eye(I)[call.indices], of_x)
    if not same(one_hot.sum_of_rows(of_x.transpose(0, 2, 1).reshape(T * B, -1), call.indices.reshape(-1), I), true):
        yield at(one_hot.sum_of_rows, "row k is not the sum of the rows with index k")
    elif not same(total.dW_x, true):
        yield at(total.add, "dW_x is not the sum of da by index (indices)", "self.dW_x +=")
    elif not same(total.joined(np.ones((len(W), H + 1)))[rows, H : H + I], total.dW_x.T):
        yield at(total.joined, "dW_x is not in its place")


def _packing(packing: Packing, p: Any, T: int) -> Iterator[str]:
    """Yield which function of a packing does not do what it says."""
    lengths, rng, width = np.asarray(p.lengths), np.random.default_rng(0), packing.width
    places_of = list(zip(packing.sequences, packing.starts, packing.columns))
    taken = np.zeros((packing.steps + 1, width), int)
    for b, start, column in places_of:
        taken[start : start + lengths[b] + 1, column] += 1
    if sorted(packing.sequences) != list(np.flatnonzero(lengths)) or (taken > 1).any():
        yield at(packing._pack, "sequences overlap, or have no idle step between them")
        return
    x = rng.standard_normal((T, 3, len(lengths)))
    true = np.zeros((packing.steps, 3, width))
    for b, start, column in places_of:
        steps = x[: lengths[b], :, b]
        true[start : start + lengths[b], :, column] = steps[::-1] if p.reverse else steps
    given = packing.packed(np.where(np.arange(T)[:, None, None] < lengths, x, np.nan))
    if not same(given, true):
        if np.isnan(given).any() and same(np.where(np.isnan(given), 0, given), true):
            yield at(packing.packed, "found is not zero where no sequence runs (idle)", "return found")
        else:
            yield at(packing._number, "the rows (row) of the steps of a sequence are others", "row =")
        return
    for out in (np.full((T, 3, len(lengths)), 9.0), np.full((T, len(lengths), 3), 9.0).transpose(0, 2, 1)):
        hs, rows = packing.buffer(out)
        hs[...] = given
        packing.unpack(rows, out)
        if not same(out, np.where(np.arange(T)[:, None, None] < lengths, x, 0)):
            yield at(packing.unpack, "outputs are not what was packed, zero in the padding", "outputs[self.steps")
            return
    ran = [t for a, b, _ in packing.pieces(0, packing.steps) for t in range(a, b)]
    if ran != list(range(packing.steps)):
        yield at(packing.pieces, "the pieces are not all steps, each once")
