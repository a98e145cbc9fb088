"""How a bug is planted in a copy of a layer: in its cell's derivative, in the tape, or in the gradient."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...bptt import State, Weights
from .. import reference
from ..layer_case import Case
from ..reference import reference_of


class Bug(NamedTuple):
    """A bug: its name, one line that says what it does, and two functions.

    ``plant(layer)`` changes a copy of a layer. ``acts(case)`` is True if the bug changes a gradient (or, for the
    initialisation, a parameter) in that case.
    """

    name: str
    what: str
    plant: Callable[[Any], None]
    acts: Callable[[Case], bool]


# ---- three places for a bug: the cell's derivative, the tape before backward, the gradient after it ----


def in_cell(backward: Callable[..., Any]) -> Callable[[Any], None]:
    """Return a function that plants ``backward(cell, d_state, cache)`` in place of the cell's own backward."""

    def plant(layer: Any) -> None:
        cell = reference_of(layer.cell) or layer.cell

        def planted(d_state: State, cache: Any, *own: Any) -> tuple[Any, ...]:
            d_own: list[Any] = []

            def right(d_state: State, cache: Any) -> tuple[Any, ...]:
                da_x, da_h, d_before, *d_own[:] = cell.backward(d_state, cache, *own)
                return da_x, da_h, d_before

            unbroken = types.SimpleNamespace(gates=cell.gates, state=cell.state, backward=right)
            return *backward(unbroken, d_state, cache), *d_own

        kind = cell if isinstance(cell, type) else type(cell)
        layer.cell = type(kind.__name__, (kind,), {"backward": staticmethod(planted)})
        layer.through_time = reference

    return plant


def in_tape(change: Callable[..., Any]) -> Callable[[Any], None]:
    """Return a function that plants ``change(weights, tape) -> weights, tape``: what backward is then called with."""

    def plant(layer: Any) -> None:
        def backward(cell: Any, weights: Weights, tape: Any, *args: Any, **options: Any) -> tuple[Any, ...]:
            return reference.backward_through_time(cell, *change(weights, tape), *args, **options)

        if layer.through_time is not reference:  # else a bug has been planted in its cell already
            layer.cell = reference_of(layer.cell) or layer.cell
        layer.through_time = types.SimpleNamespace(
            forward_through_time=reference.forward_through_time, backward_through_time=backward
        )

    return plant


def in_gradient(change: Callable[..., Any]) -> Callable[[Any], None]:
    """Return a function that plants ``change(weights, tape, d_weights, d_x) -> d_weights, d_x`` after the layer's own
    backward, optimized or not."""

    def plant(layer: Any) -> None:
        own = layer.through_time

        def backward(cell: Any, weights: Weights, tape: Any, *args: Any, **options: Any) -> tuple[Any, ...]:
            d_weights, d_x, d_state = own.backward_through_time(cell, weights, tape, *args, **options)
            return *change(weights, tape, d_weights, d_x), d_state

        layer.through_time = types.SimpleNamespace(
            forward_through_time=own.forward_through_time, backward_through_time=backward
        )

    return plant


def changed(change: Callable[..., Any], weights: Weights, d_weights: Weights) -> Weights:
    """Return ``change(W, dW)`` for every weight matrix, bias and parameter of the cell."""
    changed = [None if dW is None else change(W, dW) for W, dW in zip(weights[:5], d_weights)]
    own = d_weights.own and {name: change((weights.own or {})[name], dW) for name, dW in d_weights.own.items()}
    return Weights._make([*changed, own])


def each(change: Callable[..., Any]) -> Callable[..., tuple[Weights, np.ndarray]]:
    """Return a gradient bug that treats every weight gradient alike: ``change(W, dW) -> dW``."""
    return lambda weights, tape, d_weights, d_x: (changed(change, weights, d_weights), d_x)
