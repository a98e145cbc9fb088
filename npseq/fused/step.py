"""One time step at the smallest cost: what ``nn/streaming.py`` runs for each layer when a row arrives.

With one sequence a step has a few hundred elements, so its time is that of the calls, not of the arithmetic: 0.3 µs for
each NumPy call, and one matrix product that must read every weight. What makes the difference:

1. **One product.** ``W @ [h; 1; x]`` with ``W = [W_h, b_x + b_h, W_x]`` is every pre-activation, biases included (44).
   W is stored column by column, from an address that is a multiple of 64: for a vector BLAS then adds scaled columns,
   which takes about 0.7 times as long as a scalar product for each row.
2. **One tanh for all gates.** σ(a) = ½ tanh(a/2) + ½, with the rows of the σ gates halved in W (46).
3. **Gates in the order in which one call serves several**, as in ``kernels.py``.
4. **Arrays only.** The factor ½ is an array: NumPy converts a scalar at every call, for 0.2 µs. The product is the
   bound method ``W.dot``, which takes 0.2 µs less than ``np.dot(W, …)``.
5. **Buffers and views are made once**, and every call writes with ``out``: a step allocates nothing.

A step reads and writes the stream's own vector: its h is the upper part of its [h; 1; x], and the h of the layer below
is its x, so nothing is copied between layers. With B > 1 sequences all arrays have one column for each of them.

Comments quote the line of ``cells.py`` that a line replaces; the numbers are those of ``docs/derivation.md``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bptt import Cell, Weights
from ..cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell

Array = NDArray[Any]
add, dot, maximum, multiply, subtract, tanh = np.add, np.dot, np.maximum, np.multiply, np.subtract, np.tanh


def aligned(shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
    """Return zeros of this shape, column by column, whose first byte has an address that is a multiple of 64."""
    size = shape[0] * shape[1] * dtype.itemsize
    buffer = np.zeros(size + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    return buffer[start : start + size].view(dtype).reshape(shape, order="F")


def stacked(weights: Weights, gates: str, blocks: tuple[tuple[str, str], ...], halved: str = "") -> Array:
    """Return the W of ``W @ [h; 1; x]``: (blocks · H, P + 1 + I), where P is the number of rows of h.

    Args:
        weights: of one layer. Without bias the column of the 1 is zero.
        gates: the letters of the gates in the order of the rows of ``weights``.
        blocks: for each block of H rows its gate and what it reads: ``"h"``, ``"x"`` or ``"hx"``.
        halved: the gates whose rows are halved, for σ(a) = ½ tanh(a/2) + ½ (46).
    """
    W_x, W_h, b_x, b_h, *_ = weights
    H, P, I = len(W_h) // len(gates), W_h.shape[1], W_x.shape[1]
    W = aligned((len(blocks) * H, P + 1 + I), W_h.dtype)
    for k, (gate, reads) in enumerate(blocks):
        rows = slice(gates.index(gate) * H, (gates.index(gate) + 1) * H)
        block = W[k * H : (k + 1) * H]
        if "h" in reads:
            block[:, :P] = W_h[rows]
        if "x" in reads:
            block[:, P + 1 :] = W_x[rows]
        if b_x is not None and b_h is not None:
            block[:, P] = sum(b[rows, 0] for letter, b in (("h", b_h), ("x", b_x)) if letter in reads)
        if gate in halved:
            block *= 0.5
    return W


class RNNStep:
    """One step of h = tanh(a_x + a_h) (9).

    Args:
        arrays: of ``arrays_of``; only read, so steps share them.
        z: [h; 1; x], (P + 1 + I,) or with B > 1 sequences (P + 1 + I, B), contiguous. ``run`` replaces h.

    Attributes:
        state: the arrays of the state as views, (P, B) for h and (H, B) for c.
    """

    gates = "h"
    blocks: tuple[tuple[str, str], ...] = (("h", "hx"),)
    halved = ""

    @classmethod
    def arrays_of(cls, weights: Weights) -> tuple[Array, ...]:
        """Return copies of the weights in the layout of the step."""
        return (stacked(weights, cls.gates, cls.blocks, cls.halved),)

    def __init__(self, arrays: tuple[Array, ...], z: Array) -> None:
        (W,) = arrays
        H, B = len(W) // len(self.blocks), z.shape[1:]
        h = z[:H]
        self.state: tuple[Array, ...] = (h.reshape(H, -1),)
        self.views: tuple[Any, ...] = (W.dot, z, np.zeros((H, *B), W.dtype), np.zeros((H, *B), W.dtype), h)

    def run(self) -> None:
        """Compute h from h and x, in place."""
        of_z, z, a, _, h = self.views
        of_z(z, a)  # (44): ``a_x + a_h``
        tanh(a, h)  # (9): ``h = np.tanh(a_x + a_h)``


class ReLURNNStep(RNNStep):
    """One step of h = max(a_x + a_h, 0) (11)."""

    def run(self) -> None:
        of_z, z, a, zero, h = self.views
        of_z(z, a)  # (44): ``a = a_x + a_h``
        maximum(a, zero, out=h)  # (11): ``h = np.where(a.real <= 0, 0, a)``


class LSTMStep(RNNStep):
    """One step of c = f ⊙ c' + i ⊙ g, h = o ⊙ tanh(c), with projection h = W_p (o ⊙ tanh(c)).

    The blocks o i f g c' and tanh(c) are contiguous: tanh takes the first four, σ the first three, and one product
    [i, f] ⊙ [g, c'] gives both terms of c.
    """

    gates = LSTMCell.gates
    blocks = (("o", "hx"), ("i", "hx"), ("f", "hx"), ("g", "hx"))
    halved = "oif"

    @classmethod
    def arrays_of(cls, weights: Weights) -> tuple[Array, ...]:
        arrays = super().arrays_of(weights)
        if weights.W_p is None:
            return arrays
        W_p = aligned(weights.W_p.shape, weights.W_p.dtype)
        W_p[...] = weights.W_p
        return (*arrays, W_p)

    def __init__(self, arrays: tuple[Array, ...], z: Array) -> None:
        W, *rest = arrays
        H, B = len(W) // 4, z.shape[1:]
        S, terms = np.zeros((6 * H, *B), W.dtype), np.zeros((2 * H, *B), W.dtype)
        half = np.full((3 * H, *B), 0.5, W.dtype)
        c = S[4 * H : 5 * H]
        self.W_p = rest[0] if rest else None
        self.h = z[: H if self.W_p is None else len(self.W_p)]
        self.m = self.h if self.W_p is None else np.zeros((H, *B), W.dtype)  # o ⊙ tanh(c)
        self.state = self.h.reshape(len(self.h), -1), c.reshape(H, -1)
        self.views = (
            W.dot,
            z,
            S[: 4 * H],
            S[: 3 * H],
            half,
            S[H : 3 * H],
            S[3 * H : 5 * H],
            terms,
            terms[:H],
            terms[H:],
            c,
            S[5 * H :],
            S[:H],
            self.m,
        )

    def run(self) -> None:
        """Compute h and c from h, c and x, in place."""
        of_z, z, a, oif, half, i_f, g_c, terms, from_i, from_f, c, tanh_c, o, m = self.views
        of_z(z, a)  # (44): ``a_x + a_h``
        tanh(a, a)  # (46): ``np.tanh(a_g)``, and ``np.tanh(0.5 * a)`` of o, i, f
        multiply(oif, half, oif)
        add(oif, half, oif)  # (13): ``sigmoid(a_i), sigmoid(a_f)`` and ``sigmoid(a_o)``
        multiply(i_f, g_c, terms)  # ``i * g`` and ``f * c_prev``
        add(from_i, from_f, c)  # (14): ``c = f * c_prev + i * g``
        tanh(c, tanh_c)  # ``tanh_c = np.tanh(c)``
        multiply(o, tanh_c, m)  # (15): ``h = o * tanh_c``
        if self.W_p is not None:
            dot(self.W_p, m, self.h)  # (40)


class GRUStep(RNNStep):
    """One step of h = h' + z ⊙ (n − h') (51).

    The rows of a_hn read h alone, those of a_xn x alone. In a small W they are filled up with zeros, which takes less
    time than a second call; with a large one a_xn is a separate product.
    """

    gates = GRUCell.gates
    blocks = (("n", "h"), ("r", "hx"), ("z", "hx"), ("n", "x"))
    halved = "rz"
    SMALL = 64  # H up to which there is one product

    @classmethod
    def arrays_of(cls, weights: Weights) -> tuple[Array, ...]:
        P = weights.W_h.shape[1]
        if P <= cls.SMALL:
            return super().arrays_of(weights)
        W_n = stacked(weights, cls.gates, cls.blocks[3:])
        return stacked(weights, cls.gates, cls.blocks[:3], cls.halved), W_n[:, P:]

    def __init__(self, arrays: tuple[Array, ...], z: Array) -> None:
        W, *rest = arrays
        H, B = len(W) // (3 if rest else 4), z.shape[1:]
        S, half = np.zeros((5 * H, *B), W.dtype), np.full((2 * H, *B), 0.5, W.dtype)
        h, a = z[:H], S[: len(W)]
        rz, a_hn, r, u, n = S[H : 3 * H], S[:H], S[H : 2 * H], S[2 * H : 3 * H], S[3 * H : 4 * H]
        self.state = (h.reshape(H, -1),)
        self.views = (W.dot, z, a, rest[0].dot if rest else None, z[H:], n, rz, half, r, a_hn, u, S[4 * H :], h)

    def run(self) -> None:
        """Compute h from h and x, in place. ``u`` is the update gate z; ``z`` is [h; 1; x]."""
        of_z, z, a, of_x, x, n, rz, half, r, a_hn, u, term, h = self.views
        of_z(z, a)  # (44): ``a_xr + a_hr``, ``a_xz + a_hz``, ``a_hn`` and ``a_xn``
        if of_x is not None:
            of_x(x, n)  # (44): ``a_xn``
        tanh(rz, rz)  # (46): ``np.tanh(0.5 * a)``
        multiply(rz, half, rz)
        add(rz, half, rz)  # (21): ``r, z = sigmoid(a_xr + a_hr), sigmoid(a_xz + a_hz)``
        multiply(r, a_hn, term)  # ``r * a_hn``
        add(n, term, n)  # ``a_xn + r * a_hn``
        tanh(n, n)  # (22): ``n = np.tanh(a_xn + r * a_hn)``
        subtract(n, h, term)  # ``n - h_prev``
        multiply(u, term, term)
        add(h, term, h)  # (51), in place of ``h = (1 - z) * h_prev + z * n``


class CellStep:
    """One step of any cell of the form of ``cells.py``, by the cell's own ``forward``. It allocates.

    Args:
        cell: the class. weights: of the layer; they are copied. z: as ``RNNStep``.
    """

    def __init__(self, cell: Cell, weights: Weights, z: Array) -> None:
        H, P, I = len(weights.W_h) // len(cell.gates), weights.W_h.shape[1], weights.W_x.shape[1]
        columns = z.reshape(P + 1 + I, -1)
        rest = (np.zeros((H, columns.shape[1]), z.dtype) for _ in cell.state[1:])
        self.cell, self.x, self.state = cell, columns[P + 1 :], (columns[:P], *rest)
        self.weights = weights

    def run(self) -> None:
        """Compute the state from the state and x, in place."""
        W_x, W_h, b_x, b_h, W_p, own = self.weights
        a_x, a_h = W_x @ self.x, W_h @ self.state[0]  # (7), (8)
        if b_x is not None:
            a_x, a_h = a_x + b_x, a_h + b_h
        (h, *rest), _ = self.cell.forward(a_x, a_h, self.state, *(() if own is None else (own,)))
        for view, new in zip(self.state, (h if W_p is None else W_p @ h, *rest)):  # (40)
            view[...] = new


STEPS: dict[Any, type[RNNStep]] = {
    RNNCell: RNNStep,
    ReLURNNCell: ReLURNNStep,
    LSTMCell: LSTMStep,
    GRUCell: GRUStep,
}


class Plan:
    """The steps of one layer: its weights, copied into the layout of the step, from which any number of steps are made.

    Args:
        cell: of the layer; one without a fast step, and complex weights, run through the cell's own ``forward``.
        weights: of the layer in one direction.
    """

    def __init__(self, cell: Cell, weights: Weights) -> None:
        self.cell = cell
        self.kind = None if weights.W_h.dtype.kind == "c" else STEPS.get(cell)
        if self.kind is None:
            copies = {name: W.copy() for name, W in weights._asdict().items() if isinstance(W, np.ndarray)}
            own = None if weights.own is None else {name: part.copy() for name, part in weights.own.items()}
            self.weights = weights._replace(**copies, own=own)
        else:
            self.arrays = self.kind.arrays_of(weights)

    def step(self, z: Array) -> RNNStep | CellStep:
        """Return a step that works on ``z`` = [h; 1; x] (see ``RNNStep``), with a state of zeros beside h."""
        if self.kind is None:
            return CellStep(self.cell, self.weights, z)
        return self.kind(self.arrays, z)
