"""Is a wrong gradient that of a planted bug?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...nn.layers import GRU, LSTM, RNN
from ...nn.recurrent import Recurrent
from .. import reference
from ..layer_case import LayerCase
from ..reference import reference_of
from ..result import Result, relative_error
from . import planted_bugs

ALIKE = 1e-9  # a wrong gradient is called "equal to" that of a bug when it is nearer to it than this
KINDS = {"RNNCell": RNN, "ReLURNNCell": RNN, "LSTMCell": LSTM, "GRUCell": GRU}
Arrays = Mapping[str, np.ndarray]


def known_bugs(case: LayerCase, result: Result) -> list[str]:
    """Find the planted bugs with which the reference gives the same wrong gradients as a layer, the closest first."""
    calls, expected = result.calls, result.expected
    if not calls or not isinstance(case.layer, Recurrent):
        return []
    unbroken = reference_layer(case.layer)
    if any(_distance(call, expected) > ALIKE for call in case.gradients_of(unbroken)):
        return []  # nn/recurrent.py, which runs the reference too, is wrong, or forward is not the published one
    found = []
    for name, bug in planted_bugs.BUGS.items():
        if not bug.acts(case.case._replace(layer=unbroken)):
            continue
        with np.errstate(all="ignore"):  # a bug about one cell's gates may divide by zero in another
            wrong = case.gradients_of(planted_bugs.plant(name, unbroken))
        if len(wrong) == len(calls) and any(_distance(call, expected) > ALIKE for call in wrong):
            distance = max(map(_distance, calls, wrong))
            if distance < ALIKE:
                found.append((distance, f"equal to the gradient when {bug.what} ({name})"))
    return [line for _, line in sorted(found, key=lambda pair: pair[0])]


def _distance(given: Arrays, expected: Arrays) -> float:
    """Return the largest relative error of any array."""
    return max(relative_error(given[name], expected[name]) for name in expected)


def reference_layer(layer: Any) -> Any:
    """Return a layer with the parameters of ``layer`` and the reference's recurrence.

    Its cell is the reference of an npseq cell, otherwise the layer's own; methods that the layer's class overrides are
    those of npseq.
    """
    known, layer = reference_of(layer.cell), layer.astype(layer.dtype)
    layer.__class__ = KINDS[known.__name__] if known else type("Reference", (Recurrent,), {})
    layer.through_time, layer.cell = reference, known or layer.cell
    return layer
