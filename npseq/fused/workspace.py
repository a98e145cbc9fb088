"""Workspaces of ``fused``: the buffers of one forward or backward pass, and the views into them for every step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .memory_layout import Matmul
from .product import pieces, product

CACHE_BYTES = 800_000  # of gradient factors computed in one call, and of states and inputs of the steps run together
PRODUCT_MIN_COLUMNS = 1024  # of a product over time; half as many if W has more rows than half this number
HOIST_MIN_ELEMENTS = 150_000  # above this many elements W does not stay in the cache: W_x x is precomputed ("hoisted"),
# unless the product of a step is unpacked
HOIST_MIN_INPUTS = 64  # with fewer input features that gains nothing


class Layout(Protocol):
    """What a workspace must know of a kernel (``kernel_base.Kernel``) to make its buffers and views."""

    cell_state: str
    blocks: int
    gradient_blocks: int
    da: slice

    @staticmethod
    def rows_of_x(H: int) -> slice: ...

    @staticmethod
    def forward_views(workspace: ForwardWorkspace) -> list[Any]: ...

    @staticmethod
    def backward_views(workspace: BackwardWorkspace) -> list[Any]: ...


def steps_per_group(I: int, H: int, B: int, dtype: np.dtype[Any]) -> int:
    """Return the number of steps to run together: as many as fit in the cache, and enough for one product with W_x if
    that is precomputed."""
    return max(1, CACHE_BYTES // ((H + I + 1) * B * np.dtype(dtype).itemsize), -(-PRODUCT_MIN_COLUMNS // B))


def columns_per_product(rows: int) -> int:
    """Return the number of columns of one product over time, for a W with ``rows`` rows."""
    return PRODUCT_MIN_COLUMNS if rows <= PRODUCT_MIN_COLUMNS // 2 else PRODUCT_MIN_COLUMNS // 2


class ForwardWorkspace:
    """What a forward pass over up to T steps computes, and a tape keeps. Steps are counted from 0.

    Args:
        kernel: of the cell.
        T, I, H, B: steps, input features, hidden units, sequences.
        dtype: of all buffers.
        keep: False for inference: all steps then share one S, of which nothing is needed later.

    Attributes:
        Z: (T + 1, H + I + 1, B). ``Z[t]`` holds h before step t, x of step t and a row of ones; step t writes its h
            into ``Z[t + 1]``.
        S: (T + 1, kernel.blocks, H, B), the blocks of each step.
        scratch: (2, H, B), for intermediate results of one step.
        large: True if W_x x is always precomputed for a group of steps, or, for one-hot inputs (I = 0), looked up.
        W_h: the rows of W that read h and their columns of h, contiguous; needed where W_x x is precomputed.
        a_x: (rows of W that read x, steps · B), the buffer of a precomputed W_x x + b.
        steps: the views of each step, as ``kernel.forward_views`` makes them.
        key: class and arguments; workspaces with equal keys are interchangeable.
        nbytes: size of the large buffers.
    """

    def __init__(self, kernel: Layout, T: int, I: int, H: int, B: int, dtype: np.dtype[Any], keep: bool = True) -> None:
        self.key = (type(self), kernel, T, I, H, B, dtype, keep)
        self.sizes = T, I, H, B
        self.Z = np.zeros((T + 1, H + I + 1, B), dtype)
        self.Z[:, H + I] = 1
        self.S = np.zeros((T + 1 if keep else 1, kernel.blocks, H, B), dtype)
        self.scratch = np.empty((2, H, B), dtype)
        rows = kernel.rows_of_x(H)
        elements, unpacked = rows.stop * (H + I), pieces(rows.stop, H + I + 1, B, dtype) > 0
        self.large = I == 0 or elements > HOIST_MIN_ELEMENTS and I >= HOIST_MIN_INPUTS and not unpacked
        n = min(T, steps_per_group(I, H, B, dtype)) if self.large and I else 0
        self.a_x = np.empty((rows.stop - rows.start, n * B), dtype)
        self.W_h: Any = None
        self._hoisted: np.ndarray | None = None  # (steps, rows, B), W_x x + b of the present group of steps
        self._hoisted_first = 0  # the first of these steps
        self._table: np.ndarray | None = None  # of one-hot inputs: W_x + b, and the index of each step and sequence
        self._indices: Any = None
        self.nbytes = self.Z.nbytes + self.S.nbytes + self.a_x.nbytes
        if not keep:
            self.S = as_strided(self.S, (T + 1,) + self.S.shape[1:], (0,) + self.S.strides[1:])
        self.steps = kernel.forward_views(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are new workspaces, with arrays of their own and views into these arrays."""
        keep = self.key[-1]
        return type(self), self.key[1:], (self.Z, self.S if keep else self.S[:1])

    def __setstate__(self, arrays: tuple[np.ndarray, np.ndarray]) -> None:
        for own, given in zip((self.Z, self.S), arrays):
            own[: len(given)] = given

    def hoist(self, W_x: np.ndarray, first: int, last: int, matmul: Matmul) -> None:
        """Compute W_x x + b of the steps first … last − 1, whose x are in Z, as one product.

        Args:
            W_x: (rows, I + 1), the last column being the bias.
            first, last: the range of steps.
            matmul: computes the product.
        """
        _, I, H, B = self.sizes
        n = last - first
        x = self.Z[first:last, H:].transpose(1, 0, 2).reshape(I + 1, n * B)
        a_x = self.a_x[:, : n * B] if self.large else np.empty((len(W_x), n * B), W_x.dtype)
        matmul(W_x, x, out=a_x)
        self._hoisted, self._hoisted_first = a_x.reshape(len(W_x), n, B).transpose(1, 0, 2), first

    def look_up(self, table: np.ndarray, indices: np.ndarray, first: int) -> None:
        """From step ``first`` on, take W_x x + b from the columns of ``table`` (rows, I), by ``indices`` (n, B)."""
        self._table, self._indices, self._hoisted_first = table, indices, first

    def products(self, W: np.ndarray) -> tuple[Any, Any]:
        """Return ``multiply(Z, out)`` for W ζ of a step, and for W_h h where W_x x is precomputed."""
        B = self.sizes[3]
        return product(W, B), None if self.W_h is None else product(self.W_h, B)

    def do_not_hoist(self) -> None:
        """Let the next steps compute W_x x themselves, together with W_h h."""
        self._hoisted = None

    def views_of(self, first: int, last: int) -> Iterator[tuple[Any, np.ndarray | None]]:
        """Return for each of the steps first … last − 1 its views, and the precomputed W_x x + b (rows, B) or None."""
        a_x: Iterable[np.ndarray | None] = repeat(None)
        if self._table is not None:
            table, buffer = self._table, np.empty((len(self._table), self.sizes[3]), self._table.dtype)
            indices = self._indices[first - self._hoisted_first : last - self._hoisted_first]
            # mode "clip" writes into the buffer without a copy
            a_x = (np.take(table, k, axis=1, out=buffer, mode="clip") for k in indices)
        elif self._hoisted is not None:
            a_x = self._hoisted[first - self._hoisted_first : last - self._hoisted_first]
        return zip(self.steps[first:last], a_x)


class BackwardSteps(NamedTuple):
    """Which steps a kernel runs backward, all counted from the start of the chunk."""

    first: int  # the steps last − 1 … first, in this order
    last: int
    with_outputs: bool  # False if d_outputs is to be taken as zero
    gradient_at_end: Mapping[int, np.ndarray]  # step -> (H, B), the gradient to add to dc after it; for the LSTM alone


class BackwardWorkspace:
    """The buffers of a backward pass over chunks of n steps.

    Args:
        kernel: of the cell.
        n, I, H, B: steps of a chunk, input features, hidden units, sequences.
        dtype: of all buffers.

    Attributes:
        m: number of steps, n at most, whose factors are computed in one call.
        D: (n, kernel.gradient_blocks, H, B), for each step the factors K of dh and dc, and then, in their place, the
            gradients; the blocks ``kernel.da`` are da.
        D_flat, Z_flat: flat; receive da and Z with the columns of all n steps side by side.
        d_outputs: (n, H, B), the gradient of the loss with respect to each step's output.
        product: flat; receives the gradient of W of one chunk.
        dh, dc: (H, B), the gradients of the state before the last step that ran.
        steps: the views of each step (``kernel.backward_views``).
        key, nbytes: as in ``ForwardWorkspace``.
    """

    def __init__(self, kernel: Layout, n: int, I: int, H: int, B: int, dtype: np.dtype[Any]) -> None:
        self.key = (type(self), kernel, n, I, H, B, dtype)
        self.sizes = n, I, H, B
        da_rows = (kernel.da.stop - kernel.da.start) * H
        self.m = max(1, min(n, CACHE_BYTES // (kernel.gradient_blocks * H * B * np.dtype(dtype).itemsize)))
        self.D = np.empty((n, kernel.gradient_blocks, H, B), dtype)
        self.D_flat = np.empty(da_rows * n * B, dtype)
        self.Z_flat = np.empty((H + I + 1) * n * B, dtype)
        self.d_outputs = np.empty((n, H, B), dtype)
        self.product = np.empty(da_rows * (H + I + 1), dtype)
        self.dh, self.dc = np.empty((2, H, B), dtype)
        arrays = self.D, self.D_flat, self.Z_flat, self.d_outputs, self.product
        self.nbytes = sum(array.nbytes for array in arrays)
        self._letters = len(kernel.cell_state)
        self.steps = kernel.backward_views(self)

    def set_state(self, d_state: Iterable[Any]) -> None:
        """Set dh, and dc for the LSTM, to arrays (H, B) or numbers."""
        for own, given in zip((self.dh, self.dc), d_state):
            own[...] = given

    def state(self) -> tuple[np.ndarray, ...]:
        """Return copies of dh, (H, B), and for the LSTM dc."""
        return (self.dh.copy(), self.dc.copy())[: self._letters]
