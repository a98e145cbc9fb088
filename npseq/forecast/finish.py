"""What a weights file keeps of a training, made in one place for ``npseq train`` and ``Forecaster``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..formats import model_file
from ..fused import blas
from ..nn.model import Model
from . import intervals
from .final import refitted
from .metadata import ForecastMetadata
from .task import ForecastTask


def begin(task: ForecastTask, **run: Any) -> ForecastMetadata:
    """Return what is known before the training: the recipe, the baselines, the rows of the training and their range.

    Args:
        run: ``columns``, ``seed``, ``best_epoch`` and ``table``, as ``Metadata``.
    """
    known: dict[str, Any] = {"baselines": task.fitted_baselines(), "seen": task.seen_rows(), "range": task.range()}
    return ForecastMetadata(task.recipe(), **run, **known)


def finish(model: Model, task: ForecastTask, **run: Any) -> ForecastMetadata:
    """Shrink the head of a trained model, in place, measure its errors on the validation part,
    and the coverage of its intervals on the test part.

    Args:
        run: as ``begin``.

    Returns:
        The metadata as the weights file gives them back: it rounds the bases and the intervals.
    """
    hidden = intervals.hidden_states(model, task, task.parts["validation"])
    task.shrink(model, model.fc(hidden))
    kept = _as_kept(model, replace(begin(task, **run), **intervals.measure(model, task, hidden)))
    return replace(kept, held=intervals.held(model, task, kept))


@blas.limited(1)
def refit(model: Model, task: ForecastTask, kept: ForecastMetadata) -> ForecastMetadata:
    """Return the metadata with the base that is fitted to all rows, unless the task keeps one base."""
    final = refitted(model, task)
    return kept if final is None else _as_kept(model, replace(kept, final=final))


def _as_kept(model: Model, kept: ForecastMetadata) -> ForecastMetadata:
    found = ForecastMetadata.from_json({**model_file.describe(model), **kept.to_json()})
    assert isinstance(found, ForecastMetadata)
    return found
