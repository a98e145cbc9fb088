"""Modules by name: recurrent layers, whose names ``--model`` accepts, and the others that weights files may hold."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from ..bptt import Cell
from .layers import GRU, LSTM, RNN, OptimizedGRU, OptimizedLSTM, OptimizedRNN
from .linear import Embedding, Linear
from .module import Module
from .own_parameters import cell_name, check_declaration
from .recurrent import Recurrent
from .sequential import Sequential

Kind = TypeVar("Kind", bound=type[Module])

# The names that --model takes.
MODELS: dict[str, type[Recurrent]] = {
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "optimized_lstm": OptimizedLSTM,
    "optimized_rnn": OptimizedRNN,
    "optimized_gru": OptimizedGRU,
}
MODULES: dict[str, type[Module]] = {"linear": Linear, "embedding": Embedding, "sequential": Sequential}
OWN = frozenset({*MODELS, *MODULES, "model"})  # npseq's own names, which cannot be given to another class


def register(name: str, layer_class: Kind) -> Kind:
    """Give a user-defined module a name that weights files accept; a recurrent layer's also ``Model`` and ``--model``.

    A program that loads such a weights file must register the same class first. A name that was given to a user-defined
    class may be given to another one.

    Args:
        name: lower-case letters, digits and underscores, such as ``"peephole_lstm"``; not one of npseq's own names.
        layer_class: a subclass of ``Module``; of ``Recurrent``, with a ``cell``.

    Returns:
        ``layer_class``.

    Raises:
        ValueError, TypeError: naming what was given and what was expected.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"a name in lower-case letters, digits and underscores expected; {name!r} given")
    if name in OWN or name.startswith("optimized_"):
        raise ValueError(f"{name!r} is a name of npseq's own layers; another name expected")
    layer: Any = layer_class if isinstance(layer_class, type) else None
    recurrent = layer is not None and issubclass(layer, Recurrent)
    if layer is None or not issubclass(layer, Module) or recurrent and layer.cell is None:
        given = getattr(layer_class, "__name__", type(layer_class).__name__)
        raise TypeError(
            "a subclass of npseq.Module, or for a recurrent layer a subclass of npseq.layers.Recurrent with a cell "
            f"expected; {given} given"
        )
    for names in (MODELS, MODULES):
        names.pop(name, None)
    (MODELS if recurrent else MODULES)[name] = layer
    return layer_class


def layer_of(cell: Cell) -> type[Recurrent]:
    """Return a subclass of ``Recurrent`` with a cell, named after it: PeepholeCell gives PeepholeLayer.

    Raises:
        ValueError: for a cell without an attribute or a function of the contract of ``cells.py``, naming it.
    """
    check_declaration(cell)
    name = cell_name(cell)
    return type(name.removesuffix("Cell") + "Layer", (Recurrent,), {"cell": cell, "__doc__": f"Layers of {name}."})
