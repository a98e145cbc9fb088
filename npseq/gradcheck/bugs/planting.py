"""How a bug is planted in a copy of a layer: in its cell's derivative, in the tape, or in the gradient."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...bptt import State, Weights
from .. import reference
from ..layer_case import Case
from ..reference import blocks_of, known

Plant = Callable[[Any], None]  # changes a copy of a layer


class Bug(NamedTuple):
    """A bug: its name, one line that says what it does, and two functions.

    ``plant(layer)`` changes a copy of a layer. ``acts(case)`` is True if the bug changes a gradient (or, for the
    initialisation, a parameter) in that case.
    """

    name: str
    what: str
    plant: Plant
    acts: Callable[[Case], bool]


# ---- three places for a bug: the cell's derivative, the tape before backward, the gradient after it ----


def in_cell(backward: Callable[..., Any]) -> Plant:
    """Return a function that plants ``backward(cell, d_state, cache)`` in place of the cell's own backward."""

    def plant(layer: Any) -> None:
        cell = known(layer.cell)

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


def in_blocks(change: Callable[..., dict[str, Any]]) -> Plant:
    """Return a function that plants other gate blocks in da: ``change(da, values)`` -> those that differ.

    ``da`` and ``values``, what the cache begins with, are dicts by the gates' letters.
    """

    def backward(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
        *das, d_before = cell.backward(d_state, cache)
        found, values = [], dict(zip(cell.gates, cache))
        for da in das:
            blocks = dict(zip(cell.gates, blocks_of(da, cell.gates)))
            found.append(np.concatenate([*{**blocks, **change(blocks, values)}.values()]))
        return *found, d_before

    return in_cell(backward)


def in_tape(change: Callable[..., Any]) -> Plant:
    """Return a function that plants ``change(weights, tape) -> weights, tape``: what backward is then called with."""

    def plant(layer: Any) -> None:
        def backward(cell: Any, weights: Weights, tape: Any, *args: Any, **options: Any) -> tuple[Any, ...]:
            return reference.backward_through_time(cell, *change(weights, tape), *args, **options)

        if layer.through_time is not reference:  # else a bug has been planted in its cell already
            layer.cell = known(layer.cell)
        layer.through_time = types.SimpleNamespace(
            forward_through_time=reference.forward_through_time, backward_through_time=backward
        )

    return plant


def in_gradient(change: Callable[..., Any]) -> Plant:
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


def in_weights(change: Callable[..., Any]) -> Plant:
    """Return a function that plants ``change(W, dW, d_weights, d_x)`` for the gradient of every weight matrix, bias and
    parameter of the cell."""

    def changed(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
        found = [None if dW is None else change(W, dW, d_weights, d_x) for W, dW in zip(weights[:5], d_weights)]
        own, d_own = weights.own or {}, d_weights.own
        new = d_own and {name: change(own[name], dW, d_weights, d_x) for name, dW in d_own.items()}
        return Weights._make([*found, new]), d_x

    return in_gradient(changed)
