"""The recurrent layers by name: the names that ``--model`` accepts and that weights files hold."""

from __future__ import annotations

import re

from ..bptt import Cell
from .layers import GRU, LSTM, RNN, OptimizedGRU, OptimizedLSTM, OptimizedRNN
from .own_parameters import cell_name, check_declaration
from .recurrent import Recurrent

# The names that --model takes.
MODELS: dict[str, type[Recurrent]] = {
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "optimized_lstm": OptimizedLSTM,
    "optimized_rnn": OptimizedRNN,
    "optimized_gru": OptimizedGRU,
}
OWN = frozenset(MODELS)  # npseq's own names, which cannot be given to another layer


def register(name: str, layer_class: type[Recurrent]) -> type[Recurrent]:
    """Give a user-defined layer a name that ``Model``, ``--model`` and weights files accept.

    A program that loads such a weights file must register the same layer first. A name that was given to a user-defined
    layer may be given to another one.

    Args:
        name: lower-case letters, digits and underscores, such as ``"peephole_lstm"``; not one of npseq's own names.
        layer_class: a subclass of ``Recurrent`` with a ``cell``.

    Returns:
        ``layer_class``.

    Raises:
        ValueError, TypeError: naming what was given and what was expected.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"a name in lower-case letters, digits and underscores expected; {name!r} given")
    if name in OWN or name.startswith("optimized_"):
        raise ValueError(f"{name!r} is a name of npseq's own layers; another name expected")
    if not isinstance(layer_class, type) or not issubclass(layer_class, Recurrent) or layer_class.cell is None:
        given = getattr(layer_class, "__name__", type(layer_class).__name__)
        raise TypeError(f"a subclass of npseq.layers.Recurrent with a cell expected; {given} given")
    MODELS[name] = layer_class
    return layer_class


def layer_of(cell: Cell) -> type[Recurrent]:
    """Return a subclass of ``Recurrent`` with a cell, named after it: PeepholeCell gives PeepholeLayer.

    Raises:
        ValueError: for a cell without an attribute or a function of the contract of ``cells.py``, naming it.
    """
    check_declaration(cell)
    name = cell_name(cell)
    return type(name.removesuffix("Cell") + "Layer", (Recurrent,), {"cell": cell, "__doc__": f"Layers of {name}."})
