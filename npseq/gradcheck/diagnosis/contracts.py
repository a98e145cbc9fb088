"""Which function of ``fused/`` is wrong: the failing call runs again, and what each function promises is checked.

A contract says in plain NumPy what a function's docstring promises. It is a generator: it keeps what it needs, yields
once where the function runs, and then yields a message, and a text of the line that it is about, if the promise is
broken. A function that is called returns before its caller, so the first broken promise is the error.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...bptt import Weights
from ...fused import (
    batch_parallel,
    kernel_base,
    kernels,
    memory_layout,
    one_hot,
    packing,
    pool,
    product,
    through_time,
    workspace,
)
from ..reference import known
from .same import at, same

MODULES = batch_parallel, kernel_base, kernels, memory_layout, one_hot, packing, product, through_time, workspace
CELL_OF = {kernel: known(cell) for cell, kernel in kernels.KERNELS.items()}
Promise = Generator[Any, Any, None]
Check = Callable[[Any], Promise]
CONTRACTS: list[tuple[Any, str, Check]] = []


def contract(name: str, *owners: Any) -> Callable[[Check], Check]:
    """Register the contract of a function of modules or classes."""

    def register(check: Check) -> Check:
        CONTRACTS.extend((owner, name, check) for owner in owners)
        return check

    return register


@contextmanager
def checking() -> Iterator[list[str]]:
    """Check every contract, with new workspaces; yields the list that receives a line about the first broken one."""
    # kept for the contracts of callers: steps that have run, D and the gradient of the output of each in the order in
    # which they ran, what was handed on, and forward's arguments
    run = SimpleNamespace(found=[], factored=[], gradients=[], outputs=[], d_hs=None, forwards={})
    thread = vars(batch_parallel)["_this_thread"]
    put_back: list[tuple[Any, str, Any]] = []

    def put(place: Any, name: str, new: Any) -> None:
        put_back.append((place, name, vars(place).get(name, False)))
        setattr(place, name, new)

    put(through_time, "POOL", pool.WorkspacePool(pool.CAPACITY_BYTES))
    put(thread, "is_worker", True)  # the parts of a batch run one after the other
    try:
        for owner, name, check in CONTRACTS:
            inside = vars(owner)[name]
            function = getattr(inside, "__func__", inside)
            wrapped = _wrapped(function, check, run, owner)
            places = [owner] if inspect.isclass(owner) else [m for m in MODULES if vars(m).get(name) is inside]
            for place in places:
                put(place, name, type(inside)(wrapped) if function is not inside else wrapped)
        yield run.found
    finally:
        for place, name, before in reversed(put_back):
            setattr(place, name, before)


def _wrapped(function: Any, check: Any, run: Any, owner: Any) -> Any:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        if run.found:
            return function(*args, **options)
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        promise = check(SimpleNamespace(**bound.arguments, run=run, owner=owner))
        next(promise)
        result = function(*args, **options)
        try:
            of, message, *text = promise.send(result)
        except StopIteration:
            return result
        except Exception as error:  # what has another form than promised
            of, message, text = None, f"its result cannot be compared with what is promised ({error})", []
        run.found.append(at(of or function, message, *text))
        return result

    return checked


def expected_stack(gates: str, weights: Weights) -> np.ndarray:
    """Return the stacked weights of a kernel, row by row."""
    W_x, W_h, b_x, b_h = (np.zeros((len(weights.W_x), 1)) if W is None else W for W in weights[:4])
    H = len(W_x) // len(gates)

    def rows(gate: str, x: bool = True, h: bool = True) -> np.ndarray:
        k = slice(gates.index(gate) * H, (gates.index(gate) + 1) * H)
        return np.concatenate([h * W_h[k], x * W_x[k], x * b_x[k] + h * b_h[k]], axis=1)

    if gates == "rzn":
        return np.concatenate([rows("n", x=False), rows("r"), rows("z"), rows("n", h=False)])
    return np.concatenate([rows(gate) for gate in ("oifg" if gates == "ifgo" else gates)])


# ---- functions whose results can be stated in a line; g has the arguments, r is what was returned ----


def promise(message: str, *owners: Any, text: str = "") -> Callable[[Callable[[Any, Any], Any]], Check]:
    """Register ``of_NAME(g, r) -> given, true`` as the contract of NAME."""

    def register(pair: Callable[[Any, Any], Any]) -> Check:
        def check(g: Any) -> Promise:
            given, true = pair(g, (yield))
            if not same(np.asarray(given), np.asarray(true)):
                yield None, message, text

        return contract(pair.__name__.removeprefix("of_"), *owners)(check)

    return register


def gates_of(kernel: Any) -> str:
    return str(CELL_OF[kernel].gates) if kernel in CELL_OF else "h"


def defined(name: str) -> list[Any]:
    """Return the kernels, and the base class, that define a function."""
    return [kernel for kernel in (kernel_base.Kernel, *CELL_OF) if name in vars(kernel)]


def _all(*arrays: Any) -> np.ndarray:
    return np.concatenate([np.asarray(array).reshape(-1) for array in arrays])


@promise("it is not W Z", product)
def of_product(g: Any, r: Any) -> Any:
    Z = np.random.default_rng(0).standard_normal((g.W.shape[1], g.columns)).astype(g.W.dtype)
    return r(Z, np.empty((len(g.W), g.columns), g.W.dtype)), g.W @ Z


@promise("out is not A B", product)
def of_in_pieces(g: Any, r: Any) -> Any:
    return g.out, g.A @ g.B


@promise("the columns (buffer) are not those of all steps in order", memory_layout, text="transpose(0, 2, 1)")
def of_gathered(g: Any, r: Any) -> Any:
    return r, g.steps.transpose(1, 2, 0, 3).reshape(r.shape)


@promise("it is not D Zᵀ", memory_layout)
def of_outer(g: Any, r: Any) -> Any:
    return r, g.D @ g.Z.T


@promise("out is not a @ b", batch_parallel)
def of__matmul(g: Any, r: Any) -> Any:
    return g.out, g.a @ g.b


@promise("it is not the sum of all parts", batch_parallel)
def of__sum(g: Any, r: Any) -> Any:
    return (r, np.sum(g.parts, axis=0)) if isinstance(r, np.ndarray) else (0, 0)


@promise("the slices (_slices) do not cover the batch, each sequence once", batch_parallel.BatchParallel)
def of_parts(g: Any, r: Any) -> Any:
    return _all(*(np.arange(g.B)[part] for part in r)), np.arange(g.B)


@promise("the table is not W_x + b, or the rest not [W_h, b]", one_hot, text="return ")
def of_split(g: Any, r: Any) -> Any:
    table = (g.W[:, g.H : -1] + g.W[:, -1:])[g.kernel.rows_of_x(g.H)]
    return _all(*r), _all(np.delete(g.W, slice(g.H, -1), 1), table)


@promise("row k is not the sum of the rows with index k", one_hot)
def of_sum_of_rows(g: Any, r: Any) -> Any:
    return r, np.eye(g.I)[:, g.indices] @ g.rows


@promise("dW_x is not in its place, or the rest not dW", one_hot.TableGradient)
def of_joined(g: Any, r: Any) -> Any:
    H = g.self.H
    return _all(r[g.self.rows, H:-1], np.delete(r, slice(H, -1), 1)), _all(g.self.dW_x.T, g.dW)


@promise("the pieces are not all steps, each once", packing.Packing)
def of_pieces(g: Any, r: Any) -> Any:
    return _all(*(range(a, b) for a, b, _ in r)), np.arange(g.first, g.last)


@promise("a_x is not W_x x + b of its steps (x)", workspace.ForwardWorkspace, text="x = ")
def of_hoist(g: Any, r: Any) -> Any:
    return g.self._hoisted, g.W_x @ g.self.Z[g.first : g.last, g.self.sizes[2] :]


@promise("W_x x + b of a step is that of another step (_hoisted_first)", workspace.ForwardWorkspace, text="first")
def of_look_up(g: Any, r: Any) -> Any:
    return g.self._hoisted_first, g.first


@promise("W is not [W_h, W_x, b_x + b_h]", *defined("stack"), text="H + I] =")
def of_stack(g: Any, r: Any) -> Any:
    return r, expected_stack(gates_of(g.cls), g.weights)


@promise("the rows of the σ gates of W are not halved, or others are", *defined("halve")[1:], text="*=")
def of_halve(g: Any, r: Any) -> Any:
    factor = (0.5, 0.5, 0.5, 1) if g.owner is kernels.LSTMKernel else (1, 0.5, 0.5, 1)
    return r, g.W * np.repeat(factor, len(g.W) // 4)[:, None]


# ---- functions that change what they are given, or do more ----


@contract("add", one_hot.TableGradient)
def _add(g: Any) -> Promise:
    n, table = len(g.D), g.self
    of_x = g.D.reshape(n, -1, g.D.shape[3])[:, table.rows]
    ones = np.eye(len(table.dW_x))[table.indices[g.start : g.start + n]]
    true = table.dW_x + np.einsum("tbi,tab->ia", ones, of_x)
    yield
    if not same(table.dW_x, true):
        yield None, "dW_x is not the sum of da by index (indices)", "self.dW_x +="


def places_in(packed: Any) -> list[tuple[int, int, int]]:
    """Return (sequence, first step, column) of each sequence."""
    return list(zip(packed.sequences.tolist(), packed.starts.tolist(), packed.columns.tolist()))


def in_order(packed: Any, x: np.ndarray, b: int) -> np.ndarray:
    """Return the steps of x (T, ·, B) of a sequence in the order in which they run."""
    steps = x[: packed.lengths[b], :, b]
    return steps[::-1] if packed.reverse else steps


@contract("__init__", packing.Packing)
def _placed(g: Any) -> Promise:
    yield
    taken = np.zeros((g.self.steps + 1, g.self.width), int)
    for b, start, column in places_in(g.self):
        taken[start : start + g.lengths[b] + 1, column] += 1
    if sorted(g.self.sequences) != list(np.flatnonzero(g.lengths)) or (taken > 1).any():
        yield packing.Packing._pack, "sequences overlap, or have no idle step between them"


@contract("packed", packing.Packing)
def _packed(g: Any) -> Promise:
    given, packed = (yield), g.self
    true = np.zeros_like(given)
    ran = np.zeros(given.shape, bool)
    for b, start, column in places_in(packed):
        stop = start + packed.lengths[b]
        true[start:stop, :, column], ran[start:stop, :, column] = in_order(packed, g.x, b), True
    if not same(np.where(ran, given, 0), np.where(ran, true, 0)):
        yield packing.Packing._number, "the rows (row) of the steps of a sequence are others", "row ="
    elif not same(given, true):
        yield None, "found is not zero where no sequence runs (idle)", "return found"


@contract("unpack", packing.Packing)
def _unpack(g: Any) -> Promise:
    packed, true = g.self, np.zeros_like(g.out)
    if g.rows is None:
        there = np.arange(len(g.out))[:, None, None] < packed.lengths
        true = np.where(there, g.out, 0)
    else:
        buffer = g.rows[:-1].reshape(packed.steps, packed.width, -1).transpose(0, 2, 1)
        for b, start, column in places_in(packed):
            in_order(packed, true, b)[...] = buffer[start : start + packed.lengths[b], :, column]
    yield
    if not same(g.out, true):
        yield None, "outputs are not what was packed, zero in the padding", "outputs[self.steps"
