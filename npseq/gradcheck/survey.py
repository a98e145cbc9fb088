"""The random check of many configurations, and the smallest one that fails: what ``npseq gradcheck`` runs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..nn.registry import MODELS
from . import random_models
from .checks import at_ranges
from .draws import Config, covered, draw, smaller
from .random_check import ALLOWED, Finding
from .random_models import check_config

__all__ = ["ALLOWED", "COUNT", "Outcome", "call_of", "distinct", "repeated", "shrunk", "survey"]

COUNT = 800  # configurations at random, beside those that are always checked
SHRINKING = 80  # configurations that are tried for a smaller failure
KEPT = 3  # failures of one model that are made smaller and explained


class Outcome(NamedTuple):
    """One check: what was checked, its configuration (None for a loss, a linear layer, a cell), and what is wrong."""

    name: str
    config: Config | None
    findings: list[Finding]
    cell: Any = None

    @property
    def error(self) -> float:
        """The largest error that was found, 0 if all is right."""
        return max((finding.error for finding in self.findings), default=0.0)


def attempt(check: Callable[[], list[Finding]]) -> list[Finding]:
    """Return the findings of a check; one finding about an exception that it raises."""
    try:
        return check()
    except Exception as error:  # edited code may fail anywhere
        return [Finding("exception", f"raises {type(error).__name__}: {error}")]


def checked(config: Config) -> Outcome:
    """Check one configuration."""
    return Outcome(config.model, config, attempt(functools.partial(check_config, config)))


def survey(
    models: Sequence[str], seed: int = 0, count: int = COUNT, seconds: float | None = None, parts: bool = True
) -> Iterator[Outcome]:
    """Check what is always checked of some models, then configurations at random.

    Args:
        models: names of the registry.
        seed: of the configurations that are drawn.
        count: how many.
        seconds: draw until that many have passed instead.
        parts: whether to check losses, linear layers and embeddings too.
    """
    rng, start = np.random.default_rng(seed), time.monotonic()
    for model in models:
        for config in covered(model):
            yield checked(config._replace(seed=config.seed + 1000 * seed))
    for cell in dict.fromkeys(kind.cell for model in models for kind in kinds_of(model)):
        name = f"cell {getattr(cell, '__name__', type(cell).__name__)}"
        yield Outcome(name, None, attempt(functools.partial(cell_findings, cell)), cell)
    if parts:
        for checks in (random_models.loss_checks(rng, 60), random_models.part_checks(rng, 12)):
            for name, check in checks:
                yield Outcome(name, None, attempt(check))
    drawn = 0
    while drawn < count if seconds is None else time.monotonic() - start < seconds:
        drawn += 1
        yield checked(draw(rng, list(models)))


def kinds_of(model: str) -> list[Any]:
    """Return layers with every cell of a model."""
    variants: list[dict[str, Any]] = [{}, {"nonlinearity": "relu"}] if model in ("rnn", "optimized_rnn") else [{}]
    return [MODELS[model](1, 1, **variant) for variant in variants]


def cell_findings(cell: Any) -> list[Finding]:
    """Return what is wrong with a cell in any range of its pre-activations."""
    return [Finding("cell", line) for line in at_ranges(cell)]


def shrunk(config: Config, findings: list[Finding]) -> tuple[Config, list[Finding]]:
    """Return the simplest configuration that is found to fail in the same way, and its findings."""
    kind, candidates = {finding.what for finding in findings}, smaller(config)
    for _ in range(SHRINKING):
        candidate = next(candidates, None)
        if candidate is None:
            break
        found = checked(candidate).findings
        if kind & {finding.what for finding in found}:
            config, findings, candidates = candidate, found, smaller(candidate)
    return config, findings


def call_of(config: Config) -> str:
    """Return the command that repeats the check of one configuration."""
    return f'npseq gradcheck --only "{config}"'


def repeated(text: str) -> Outcome:
    """Check one configuration again, given by its text.

    Raises:
        ValueError: for a text that is no configuration.
    """
    return checked(Config.parse(text))


def distinct(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return of the failures those that are worth an explanation: of each model and kind the first, few a model."""
    chosen: dict[Any, Outcome] = {}
    for outcome in outcomes:
        key = outcome.name, outcome.findings[0].what if outcome.findings else ""
        of_model = sum(name == outcome.name for name, _ in chosen)
        if outcome.findings and key not in chosen and of_model < KEPT:
            chosen[key] = outcome
    return list(chosen.values())
