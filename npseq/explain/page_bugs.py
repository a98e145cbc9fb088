"""The planted bugs that the page can show, by their names in ``gradcheck.planted_bugs``.

A bug is a change to backward formulas, model -> name -> formula, or to the loop, which the page's script knows by name.
"""

from __future__ import annotations

from typing import Any

from ..gradcheck.bugs.planted_bugs import BUGS as PLANTED
from ..gradcheck.bugs.planted_bugs import CLIP_NORM

_FORMULAS: dict[str, dict[str, dict[str, str]]] = {
    "sigmoid-slope-of-value": {
        "lstm": {f"da_{gate}": f"d{gate} * σ({gate}) * (1 - σ({gate}))" for gate in "ifo"},
        "gru": {f"da_{gate}": f"d{gate} * σ({gate}) * (1 - σ({gate}))" for gate in "rz"},
    },
    "tanh-twice": {
        "rnn": {"da": "dh * (1 - tanh(h)**2)"},
        "lstm": {"da_g": "dg * (1 - tanh(g)**2)"},
        "gru": {"da_xn": "dn * (1 - tanh(n)**2)"},  # dr and da_hn are multiples of da_xn
    },
    "c-of-this-step": {"lstm": {"df": "dc * c"}},
    "dc-not-carried": {"lstm": {"dc_prev": "0 * dc"}},
    "reset-before": {"gru": {"dr": "da_xn * h_direct", "da_hn": "da_xn"}},
    "gate-not-stored": {
        "rnn": {"da": "0 * dh"},
        "lstm": {"da_o": "0 * do"},
        "gru": {"da_xn": "0 * dn", "dr": "dn * (1 - n**2) * a_hn", "da_hn": "0 * dn"},
    },
    "z-swapped": {"gru": {"dn": "dh * (1 - z)", "dh_direct": "dh * z", "da_z": "-dz * z * (1 - z)"}},
}
_LOOP: dict[str, dict[str, Any]] = {
    "h-of-this-step": {"h_of_this_step": True},
    "first-step-skipped": {"skip_first": True},
    "dh-overwritten": {"dh_overwritten": True},
    "bias-without-gradient": {"no_db_h": True},
    "bias-of-another-gate": {"db_of_another_gate": True},
    "mean-for-sum": {"mean": True},
    "clipped-inside": {"clip": CLIP_NORM},
    "starts-from-weights": {"starts_from_weights": True},
}
BUGS: list[dict[str, Any]] = [
    {
        "name": name,
        "what": bug.what,
        "formulas": _FORMULAS.get(name),
        "loop": _LOOP.get(name),
        "several_gates": name == "bias-of-another-gate",
    }
    for name, bug in PLANTED.items()
    if name in _FORMULAS or name in _LOOP
]
