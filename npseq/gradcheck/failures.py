"""What ``npseq gradcheck`` says of a failure of the random check. As ``explain.py`` it joins proof and diagnosis."""

from __future__ import annotations

from . import survey
from .diagnosis import heads, replay
from .diagnosis.layer import attempt


def failure_of(outcome: survey.Outcome) -> list[str]:
    """Return lines about a failure of the random check: the smallest that fails, what is wrong, and where."""
    if outcome.config is None:
        return [finding.line.replace("nn/", "error in ", 1) for finding in outcome.findings]
    config, findings = survey.shrunk(outcome.config, outcome.findings)
    lines = [f"smallest: {config}", *(finding.line for finding in findings)]
    lines += attempt(lambda: heads.blame_model(config) if config.head else replay.blame(config)) or []
    return [*lines, f"repeat: {survey.call_of(config)}"]
