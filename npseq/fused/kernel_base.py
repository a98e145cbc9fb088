"""What every kernel has: how weights are stacked, where state and gradients are in the buffers, and the contract.

A kernel computes the steps of one cell in workspaces (``workspace.py``, which has the shapes of the buffers). It has no
instances: a kernel is a class of constants and functions. Letters: ``npseq/__init__.py``; T steps are counted from 0,
and slot t holds the state before step t.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bptt import Weights
from .memory_layout import Matmul, outer
from .workspace import BackwardSteps, BackwardWorkspace, ForwardWorkspace


class Kernel:
    """Base class of the kernels. Its functions are those of a cell with one block of rows, whose state is h alone.

    The stacked weights W are (rows, H + I + 1): the columns of h, those of x, and one of the biases.

    Attributes:
        cell_state: one letter for each array of the state.
        blocks: number of (H, B) blocks that forward keeps for each step in S.
        gradient_blocks: number of (H, B) blocks of factors, and then of gradients, in D.
        da: which blocks of D are gradients of pre-activations, one for each block of rows of W.
        bounded: True if h stays bounded while a finished sequence keeps running on zeros.
    """

    cell_state = "h"
    blocks = 0
    gradient_blocks = 1
    da = slice(0, 1)
    bounded = True

    # ---- the stacked weights ----

    @staticmethod
    def rows_of_x(H: int) -> slice:
        """Return the rows of W, and of the gathered D, that belong to x."""
        return slice(0, H)

    @staticmethod
    def rows_of_h(H: int) -> slice:
        """Return the rows of W, and of the gathered D, that belong to h."""
        return slice(None)

    @staticmethod
    def row_order(H: int) -> tuple[tuple[slice, slice], ...]:
        """Return pairs (rows of W, rows of the weights that stand there)."""
        return ((slice(None), slice(None)),)

    @classmethod
    def stack(cls, weights: Weights) -> np.ndarray:
        """Return W = [W_h, W_x, b_x + b_h] of (44), its rows in the kernel's order; zeros in place of no bias."""
        H, (rows, I) = weights.W_h.shape[1], weights.W_x.shape
        W = np.empty((rows, H + I + 1), weights.W_h.dtype)
        b_x, b_h = weights.b_x, weights.b_h
        for to, source in cls.row_order(H):
            W[to, :H], W[to, H : H + I] = weights.W_h[source], weights.W_x[source]
            W[to, H + I] = 0 if b_x is None or b_h is None else (b_x[source] + b_h[source])[:, 0]
        return W

    @staticmethod
    def halve(W: np.ndarray) -> np.ndarray:
        """Return W for the forward pass: with the rows of σ gates halved (46), in a copy; W itself without σ gates."""
        return W

    @staticmethod
    def unpack(dW: np.ndarray, weights: Weights) -> Weights:
        """Return the gradient of the weights, each as ``weights`` has it, from dW, which is like W."""
        H, I = weights.W_h.shape[1], weights.W_x.shape[1]
        db = None if weights.b_x is None else dW[:, H + I :]
        return Weights(dW[:, H : H + I], dW[:, :H], db, db)

    # ---- forward ----

    @staticmethod
    def set_state(workspace: ForwardWorkspace, state: tuple[np.ndarray, ...]) -> None:
        """Write the state before the first step, (H, B) arrays, into slot 0."""
        workspace.Z[0, : workspace.sizes[2]] = state[0]

    @staticmethod
    def states(workspace: ForwardWorkspace) -> tuple[np.ndarray, ...]:
        """Return for each array of the state its slots, a view (T + 1, H, B)."""
        return (workspace.Z[:, : workspace.sizes[2]],)

    @classmethod
    def state(cls, workspace: ForwardWorkspace, t: int) -> tuple[np.ndarray, ...]:
        """Return copies of the state in slot t, (H, B) arrays."""
        return tuple(part[t].copy() for part in cls.states(workspace))

    @classmethod
    def hoist(cls, workspace: ForwardWorkspace, W: np.ndarray, first: int, last: int, matmul: Matmul) -> None:
        """Precompute W_x x + b of the steps first … last − 1 for ``forward``, as one product; their x are in Z."""
        H = workspace.sizes[2]
        if workspace.W_h is None:
            workspace.W_h = np.ascontiguousarray(W[cls.rows_of_h(H), :H])
        workspace.hoist(W[cls.rows_of_x(H), H:], first, last, matmul)

    @staticmethod
    def forward_views(workspace: ForwardWorkspace) -> list[Any]:
        """Return for each step the views into the workspace that ``forward`` reads and writes, made once."""
        raise NotImplementedError

    @classmethod
    def forward(cls, workspace: ForwardWorkspace, W: np.ndarray, first: int, last: int) -> None:
        """Run the steps first … last − 1.

        Reads slot ``first``, x in Z and, where it is precomputed, W_x x + b; writes the slots first + 1 … last and S.

        Args:
            workspace: of the pass.
            W: (rows, H + I + 1), as ``halve`` returns it.
            first, last: the range of steps.
        """
        raise NotImplementedError

    # ---- backward ----

    @staticmethod
    def factors(workspace: ForwardWorkspace, K: np.ndarray, start: int, count: int) -> None:
        """Compute what dh and dc are multiplied by.

        Args:
            workspace: of the forward pass; Z and S are read.
            K: (count, gradient_blocks, H, B), receives the factors of the steps start … start + count − 1.
            start, count: the range of steps.
        """
        raise NotImplementedError

    @staticmethod
    def backward_views(workspace: BackwardWorkspace) -> list[Any]:
        """Return for each step the views into the workspace that ``backward`` reads and writes, made once."""
        raise NotImplementedError

    @classmethod
    def backward(cls, workspace: BackwardWorkspace, W_T: np.ndarray, steps: BackwardSteps) -> None:
        """Run some steps backward.

        Reads d_outputs, replaces dh (and dc) after the last step by those before the first one, and in D the factors by
        the gradients.

        Args:
            workspace: of the pass.
            W_T: (H, rows), the transpose of W's rows and columns that belong to h; not halved.
            steps: which steps.
        """
        raise NotImplementedError

    @classmethod
    def add_dW(cls, dW: np.ndarray, D: np.ndarray, Z: np.ndarray, H: int, buffer: np.ndarray, matmul: Matmul) -> None:
        """Add the gradient of W of one chunk of steps: dW += Σ_t da_t ζ_tᵀ (45).

        Args:
            dW: (rows, H + I + 1).
            D: (rows, steps · B), da of all steps. Z: (H + I + 1, steps · B), ζ of all steps.
            H: hidden units.
            buffer: flat, receives the product.
            matmul: computes it.
        """
        dW += outer(D, Z, buffer, matmul)
