"""The equations of the cells as text, by their numbers in ``docs/derivation.md``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..cells import GRUCell, LSTMCell, RNNCell
from ..nn.own_parameters import cell_name
from . import formulas
from .derivatives import Equation, derive, parse

CELLS = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}

# (number in docs/derivation.md, name, formula). The pre-activations are a_x and a_h; with gates a_xi, a_hi, a_xf, …
FORWARD = {
    "rnn": [(9, "h", "tanh(a_x + a_h)")],
    "lstm": [
        (13, "i", "σ(a_xi + a_hi)"),
        (13, "f", "σ(a_xf + a_hf)"),
        (13, "g", "tanh(a_xg + a_hg)"),
        (13, "o", "σ(a_xo + a_ho)"),
        (14, "c", "f * c_prev + i * g"),
        (15, "h", "o * tanh(c)"),
    ],
    "gru": [
        (21, "r", "σ(a_xr + a_hr)"),
        (21, "z", "σ(a_xz + a_hz)"),
        (22, "n", "tanh(a_xn + r * a_hn)"),
        (23, "h", "(1 - z) * h_direct + z * n"),
    ],
}
BACKWARD = {
    "rnn": [(10, "da", "dh * (1 - h**2)")],
    "lstm": [
        (16, "do", "dh * tanh(c)"),
        (17, "dc", "dc_carried + dh * o * (1 - tanh(c)**2)"),
        (18, "df", "dc * c_prev"),
        (18, "dc_prev", "dc * f"),
        (19, "di", "dc * g"),
        (19, "dg", "dc * i"),
        (20, "da_i", "di * i * (1 - i)"),
        (20, "da_f", "df * f * (1 - f)"),
        (20, "da_g", "dg * (1 - g**2)"),
        (20, "da_o", "do * o * (1 - o)"),
    ],
    "gru": [
        (24, "dz", "dh * (n - h_direct)"),
        (24, "dn", "dh * z"),
        (24, "dh_direct", "dh * (1 - z)"),
        (25, "da_xn", "dn * (1 - n**2)"),
        (26, "dr", "da_xn * a_hn"),
        (26, "da_hn", "da_xn * r"),
        (27, "da_r", "dr * r * (1 - r)"),
        (27, "da_z", "dz * z * (1 - z)"),
    ],
}
SHOWN = {
    "h_prev": "h'",
    "c_prev": "c'",
    "dh_prev": "dh'",
    "dc_prev": "dc'",
    "h_direct": "h'",
    "dh_direct": "dh'_direct",
}


class Description(NamedTuple):
    """What the worked example and the page need to know of a cell."""

    name: str
    gates: list[str]  # [""] for a single block
    state: str
    own: list[str]  # names of the cell's own parameters, one value for each unit
    forward: list[Equation]
    backward: list[Equation]


def describe(cell: Any, name: str | None = None) -> Description | None:
    """Return the description of a cell: npseq's from the tables above, another's from its ``equations``.

    Args:
        cell: a class with the contract of ``cells.py``.
        name: how to call it; default: npseq's model name, or the name of the class.

    Returns:
        The description, or None for another's cell that does not state its equations, or whose own parameters do not
        have one value for each unit.

    Raises:
        EquationError: if its ``equations`` cannot be read.
    """
    gates, state = list(cell.gates) if len(cell.gates) > 1 else [""], cell.state
    for model, known in CELLS.items():
        if cell is known:
            tables = ([Equation(*row) for row in table[model]] for table in (FORWARD, BACKWARD))
            return Description(name or model, gates, state, [], *tables)
    own = getattr(cell, "own", None) or {}
    if not hasattr(cell, "equations") or any(shape != "H" for shape in own.values()):
        return None
    forward = parse(cell.equations, cell.gates, state, tuple(own))
    backward = derive(forward, cell.gates, state, tuple(own))
    return Description(name or cell_name(cell), gates, state, list(own), forward, backward)


def evaluate(formula: str, values: dict[str, Any]) -> np.ndarray:
    """Return the value of a formula, element by element."""
    value: np.ndarray = formulas.evaluate(formulas.read(formula), values)
    return value
