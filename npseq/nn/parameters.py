"""Parameters of recurrent layers: their names and shapes, and whether new modules draw them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .own_parameters import own_shapes

_DRAWN = ContextVar("drawn", default=True)


def suffixes(num_layers: int, num_directions: int) -> list[str]:
    """Return how the names of each run's parameters end: l0, l0 reverse, l1, …"""
    return [f"_l{k}{direction}" for k in range(num_layers) for direction in ("", "_reverse")[:num_directions]]


def parameter_shapes(
    cell: Any,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    bias: bool = True,
    bidirectional: bool = False,
    proj_size: int = 0,
    learn_initial_state: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the parameters of a ``Recurrent`` with this cell and these arguments."""
    G, H, P, D = len(cell.gates), hidden_size, proj_size or hidden_size, 2 if bidirectional else 1
    shapes: dict[str, tuple[int, ...]] = {}
    for run, suffix in enumerate(suffixes(num_layers, D)):
        I = input_size if run < D else D * P
        shapes["weight_ih" + suffix] = (G * H, I)
        shapes["weight_hh" + suffix] = (G * H, P)
        if bias:
            shapes["bias_ih" + suffix] = shapes["bias_hh" + suffix] = (G * H,)
        if proj_size:
            shapes["weight_hr" + suffix] = (P, H)
        for name, shape in own_shapes(cell, H=H, G=G, I=I, P=P).items():
            shapes[name + suffix] = shape
    if learn_initial_state:
        for letter, size in zip(cell.state, [P] + [H] * (len(cell.state) - 1)):
            shapes[letter + "_0"] = (num_layers * D, size)
    return shapes


def draws() -> bool:
    """Return False for a module that is made inside ``undrawn``."""
    return _DRAWN.get()


@contextmanager
def undrawn() -> Iterator[None]:
    """Modules that are made inside start from parameters of zero: those of a file follow."""
    token = _DRAWN.set(False)
    try:
        yield
    finally:
        _DRAWN.reset(token)
