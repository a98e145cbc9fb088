"""What ``npseq gradcheck`` says of a failure of the random check. As ``explain.py`` it joins proof and diagnosis."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from . import random_models, survey
from .cases import RANGES, CellCase
from .diagnosis import cell as of_cell
from .diagnosis import heads, places, replay
from .diagnosis.failure import attempt
from .draws import Config
from .numerical import numerical_gradient
from .random_check import ALLOWED, LayerCheck, drawn
from .result import compare, described

MOST = 400  # elements that are checked by a complex step each


def failure_of(outcome: survey.Outcome) -> list[str]:
    """Return lines about a failure of the random check: the smallest that fails, what is wrong, and where."""
    lines = [finding.line for finding in outcome.findings]
    if outcome.cell is not None:
        return [*lines, *map(_error_in, attempt(lambda: _in_the_ranges(outcome.cell))[:1])]
    if outcome.config is None:
        return [line.replace("nn/", "error in ", 1) for line in lines]
    config, findings = survey.shrunk(outcome.config, outcome.findings)
    lines = [f"smallest: {config}", *(finding.line for finding in findings)]
    lines += attempt(lambda: element_by_element(config))
    found = attempt(lambda: heads.blame_model(config) if config.head else replay.blame(drawn(config)))
    return [*lines, *map(_error_in, found), f"repeat: {survey.call_of(config)}"]


def _error_in(line: str) -> str:
    """Put the file before a line that only names a line of it."""
    place = re.search(r"\w+\.py(?=:\d)", line)
    return f"error in {line if re.match('[a-z_]+[.]py', line) or not place else f'{place[0]}, {line}'}"


def _in_the_ranges(cell: Any) -> list[str]:
    """Return what is wrong in a cell in the first range in which there is an error."""
    cases = (CellCase(cell, 4, 3, np.random.default_rng(0), span) for span in RANGES)
    return next((lines for case in cases if (lines := of_cell.diagnose(cell, case.step))), [])


def element_by_element(config: Config) -> list[str]:
    """Return a line with the worst element of the gradient of a configuration, and the names of what else is wrong."""
    if config.head:
        model, batch = random_models.draw_model(config)
        given, layer, prefix = model.named(model.loss_and_grad(batch, training=False)[1]), model.rnn, "rnn."
        reference, arrays = random_models.reference_of_model(config, model, batch), dict(model.params)
    else:
        check = LayerCheck(drawn(config))
        check.run(float32=False)
        given, layer, prefix, arrays = check.grads, check.case.layer, "", check.case.arrays
    if config.head or sum(array.size for array in given.values()) <= MOST:
        moved = {name: array.astype(complex) for name, array in arrays.items()}
        loss = (lambda: reference(moved)[1]) if config.head else lambda: check.loss(moved)
        true = numerical_gradient(loss, {name: moved[name] for name in given})
    else:
        true = check.case.expected_gradients(check.shape, check.tapes)
    errors = {name: compare(name, d, true[name]) for name, d in given.items()}
    places.name_places(errors, layer, prefix)
    wrong = sorted((error for error in errors.values() if not error <= ALLOWED), key=lambda error: -error)
    return [f"wrong: {described(wrong)}"] if wrong else []
