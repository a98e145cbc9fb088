"""The files that a training would replace: named before the first epoch, and kept if they are of other data."""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from ..forecast.metadata import ForecastMetadata
from ..tasks.base import Task
from ..tasks.metadata import Metadata, SequenceMetadata, load_trained
from ..tasks.seen import find_sequences
from ..training import resume
from . import files


def check(args: argparse.Namespace, task: Any, fingerprint: str | None) -> str | None:
    """Return which files the training replaces, or None.

    Args:
        args: the options. task: of the training. fingerprint: of its data, if there is a checkpoint.

    Raises:
        ValueError: for files of other data or of another task, without ``--force``.
    """
    there = [file.path for file in files.own(args) if os.path.isfile(file.path) and os.path.getsize(file.path)]
    if args.resume or not there:
        return None
    try:
        what = _difference(there[0], there[0] == files.own(args)[0].path, task, fingerprint)
    except (OSError, ValueError):
        what = "which is no file of npseq train"
    if what is not None and not args.force:
        raise ValueError(f"{there[0]} would be replaced, {what}: --name NAME writes other files, --force replaces it")
    return " and ".join(there) + ("" if what is None else f", {what}")


def _difference(path: str, best: bool, task: Task, fingerprint: str | None) -> str | None:
    """Return what the file is of, if it is not of this task and data."""
    if not best:
        state = resume.read(path)
        return None if state.fingerprint == fingerprint else f"of a training on {state.settings.get('data')}"
    trained, new = load_trained(path)[1], task.recipe()
    old = trained.recipe
    targets, task_now = (getattr(one, "target", None) for one in (old, new)), f"{old.task} on {old.data}"
    if old.task != new.task or old.data != new.data or len({repr(target) for target in targets}) > 1:
        named = getattr(old, "target", None)
        return f"of the task {task_now}" + (f", target {', '.join(named)}" if named else "")
    return f"of the task {task_now}, with other values" if _other_values(trained, task) else None


def _other_values(trained: Metadata, task: Any) -> bool:
    """True if none of what the model was trained on is in the data."""
    if (
        isinstance(trained, SequenceMetadata)
        and trained.seen is not None
        and trained.recipe.inputs == task.recipe().inputs
    ):  # type: ignore[attr-defined]
        return not bool(np.any(find_sequences(trained.seen, task.sequences, trained.recipe.inputs)))  # type: ignore[attr-defined]
    if isinstance(trained, ForecastMetadata) and trained.seen is not None:
        return trained.seen.differ(task.table, task.columns)
    return False
