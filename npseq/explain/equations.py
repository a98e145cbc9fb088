"""The equations of the cells as text, by their numbers in ``docs/derivation.md``."""

import numpy as np

from ..cells import GRUCell, LSTMCell, RNNCell, sigmoid

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
        (24, "dz", "dh * (n - h_prev)"),
        (24, "dn", "dh * z"),
        (24, "dh_direct", "dh * (1 - z)"),
        (25, "da_xn", "dn * (1 - n**2)"),
        (26, "dr", "da_xn * a_hn"),
        (26, "da_hn", "da_xn * r"),
        (27, "da_r", "dr * r * (1 - r)"),
        (27, "da_z", "dz * z * (1 - z)"),
    ],
}
FUNCTIONS = {"tanh": np.tanh, "σ": sigmoid}
SHOWN = {
    "h_prev": "h'",
    "c_prev": "c'",
    "dh_prev": "dh'",
    "dc_prev": "dc'",
    "h_direct": "h'",
    "dh_direct": "dh'_direct",
}


def evaluate(formula, values):
    """The formula's value, element by element."""
    return eval(formula, {"__builtins__": {}}, {**values, **FUNCTIONS})
