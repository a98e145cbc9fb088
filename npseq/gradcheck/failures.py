"""What ``npseq gradcheck`` says of a failure of the random check. As ``explain.py`` it joins proof and diagnosis."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from . import random_models, survey
from .cases import CellCase
from .checks import RANGES
from .diagnosis import cell as of_cell
from .diagnosis import heads, places, replay, tracing
from .diagnosis.layer import attempt
from .draws import Config
from .numerical import numerical_gradient
from .random_check import ALLOWED, Drawn, LayerCheck
from .result import compare, described

MOST = 400  # elements that are checked by a complex step each


def cell_blame(cell: Any) -> list[str]:
    """Return a line about the first wrong variable of a cell, in the first range in which there is one."""
    for span in RANGES:
        case = CellCase(cell, 4, 3, np.random.default_rng(0), span)
        report = attempt(functools.partial(of_cell.diagnose, cell, case.step))
        if report is not None and not report.right:
            code = tracing.code_of(cell.backward)
            file = f"{tracing.source_file(code)}, " if code is not None else ""
            return [f"error in {file}{line}" for line in report.lines[:1]]
    return []


def element_by_element(config: Config) -> list[str]:
    """Return a line with the worst element of the gradient of a configuration, and the names of what else is wrong."""
    if config.head:
        model, batch = random_models.draw_model(config)
        given, layer, prefix = model.named(model.loss_and_grad(batch, training=False)[1]), model.rnn, "rnn."
        true = _by_the_complex_step(random_models.reference_loss(config, model, batch), dict(model.params), given)
    else:
        check = LayerCheck(Drawn(config))
        check.run(float32=False)
        drawn, given, layer, prefix = check.drawn, check.grads, check.drawn.layer, ""
        if sum(array.size for array in given.values()) > MOST:
            true = check.reference_gradients()
        else:
            true = _by_the_complex_step(
                lambda arrays: drawn.loss(*drawn.expected(arrays, check.shape)[:2]), drawn.arrays, given
            )
    errors = {name: compare(name, d, true[name]) for name, d in given.items()}
    places.name_places(errors, layer, prefix)
    wrong = sorted((error for error in errors.values() if not error <= ALLOWED), key=lambda error: -error)
    others = f"; also wrong: {', '.join(error.name for error in wrong[1:])}" if wrong[1:] else ""
    return [f"wrong: {described(wrong[0])}{others}"] if wrong else []


def _by_the_complex_step(loss: Any, arrays: dict[str, np.ndarray], given: Any) -> dict[str, np.ndarray]:
    """Return the derivative of ``loss(arrays)`` with respect to every element of the arrays that have a gradient."""
    moved = {name: array.astype(complex) for name, array in arrays.items()}
    return numerical_gradient(lambda: loss(moved), {name: moved[name] for name in given})


def failure_of(outcome: survey.Outcome) -> list[str]:
    """Return lines about a failure of the random check: the smallest that fails, what is wrong, and where."""
    if outcome.cell is not None:
        return [*(finding.line for finding in outcome.findings), *cell_blame(outcome.cell)]
    if outcome.config is None:
        return [finding.line.replace("nn/", "error in ", 1) for finding in outcome.findings]
    config, findings = survey.shrunk(outcome.config, outcome.findings)
    lines = [f"smallest: {config}", *(finding.line for finding in findings)]
    lines += attempt(lambda: element_by_element(config)) or []
    lines += attempt(lambda: heads.blame_model(config) if config.head else replay.blame(config)) or []
    return [*lines, f"repeat: {survey.call_of(config)}"]
