"""The files that a training would replace: named before the first epoch, and kept if they are of other data."""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from ..tasks.base import Task
from ..tasks.metadata import Metadata, SequenceMetadata, load_trained
from ..tasks.recipe import TextRecipe
from ..tasks.seen import SeenSeries, find_sequences
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
    """Return what the file was trained on, if that is another task or other data; otherwise None."""
    if not best:
        state = resume.read(path)
        return None if state.fingerprint == fingerprint else f"of a training on {state.settings.get('data')}"
    trained, new = load_trained(path)[1], task.recipe()
    old = trained.recipe
    targets = {repr(getattr(one, "target", None)) for one in (old, new)}
    same = old.task == new.task and len(targets) == 1
    held = _is_held(trained, task) if same else False
    if held or held is None and old.data == new.data:
        return None
    named = getattr(old, "target", None) if old.data != new.data or not same else None
    what = f", target {', '.join(named)}" if named else ", with other values" if same and old.data == new.data else ""
    return f"of the task {old.task} on {old.data}{what}"


def _is_held(trained: Metadata, task: Any) -> bool | None:
    """True if the data hold what the model was trained on, whatever their name; None if their content does not tell."""
    recipe: Any = trained.recipe
    if isinstance(recipe, TextRecipe):
        return recipe.begins(task.corpus) if recipe.digest and recipe.tokens == task.corpus.tokens else None
    seen: Any = getattr(trained, "seen", None)
    if seen is None or isinstance(seen, SeenSeries):
        return None
    data = task.sequences if isinstance(trained, SequenceMetadata) else task.table
    names = [*getattr(recipe, "target", ()), *recipe.inputs, *getattr(recipe, "future", ())]
    if not set(names) <= set(data.columns):
        return None
    if isinstance(trained, SequenceMetadata):
        return bool(np.any(find_sequences(seen, data, names)))
    held: bool | None = seen.is_held(data, [data.columns.index(name) for name in names])
    return held
