"""A training run that can be resumed: the file that ``--checkpoint`` writes, and what ``--resume`` does with it.

``rnn_{model}_last.pth`` holds the parameters (as a state_dict, so torch opens it too), the state of the optimiser, the
schedule and the generator, the best weights so far, the history without its times, the settings and a hash of the data.
A run resumed from it gives the files of a run that was never interrupted, byte for byte.

    resume.save(path, settings, model, optimizer, schedule, rng, progress, fingerprint)

    file = resume.read(path)
    progress = resume.restore(file, settings, model, optimizer, schedule, rng, fingerprint)
    fit(model, task, optimizer, epochs=settings["epochs"], rng=rng, schedule=schedule, progress=progress)

Settings are any dict for JSON that has ``epochs``: what must not change between the runs, and the number of epochs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..formats import checkpoint, model_file, schema
from ..formats.messages import ArgumentError, argument
from ..formats.unpickler import CheckpointError
from ..nn.model import Model
from ..optim import Optimizer, Schedule
from .fit import Progress

_LOSS = {"epoch": schema.COUNT, "train_loss": schema.NUMBER, "validation_loss": schema.NUMBER}
_EPOCH = {**_LOSS, "lr": schema.optional(schema.NUMBER)}
METADATA = {
    **model_file.DESCRIBED,
    "options": schema.MAPPING,
    "fingerprint": schema.optional(schema.TEXT),
    "epoch": schema.COUNT,
    "best_epoch": schema.NATURAL,
    "best_loss": schema.NUMBER,
    "start_loss": schema.missing(schema.optional(schema.NUMBER), None),
    "history": schema.listed(schema.MAPPING),
    "generator": schema.MAPPING,
}


class TrainingState(NamedTuple):
    """What a training-state file holds.

    path; settings of the run; fingerprint of its data; progress without the best weights' array; arrays: the
    parameters, the state of optimiser and schedule, and the best weights; generator: the state of its bit generator.
    """

    path: str
    settings: dict[str, Any]
    fingerprint: str | None
    progress: Progress
    arrays: dict[str, Any]
    generator: dict[str, Any]


def save(
    path: str | os.PathLike[str],
    settings: Mapping[str, Any],
    model: Model,
    optimizer: Optimizer,
    schedule: Schedule,
    rng: np.random.Generator,
    progress: Progress,
    fingerprint: str | None,
) -> None:
    """Write the training state, atomically. Arguments as ``restore``; errors as ``checkpoint.save``."""
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in progress.history]
    content = {
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "best": progress.best_theta,
    }
    metadata = {
        **model_file.describe(model),
        "options": dict(settings),
        "fingerprint": fingerprint,
        "epoch": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_loss": progress.best_loss,
        "start_loss": progress.start_loss,
        "history": history,
        "generator": rng.bit_generator.state,
    }
    checkpoint.save(path, content, metadata)


def read(path: str | os.PathLike[str]) -> TrainingState:
    """Read a training-state file and check that a run can be resumed from it.

    Raises:
        CheckpointError: if the file is not such a file, or of a newer format. OSError: if it cannot be read.
    """
    file, path = checkpoint.load(path), os.fspath(path)
    parts = {"state_dict", "optimizer", "schedule", "best"}
    if not isinstance(file.metadata, dict) or "options" not in file.metadata or not isinstance(file.content, dict):
        raise CheckpointError(
            f"{path} cannot be resumed from: expected a file written with {argument('checkpoint')}, rnn_MODEL_last.pth"
        )
    try:
        schema.check_version(file.metadata.get("npseq"), model_file.VERSION, "it")
        saved = schema.check(file.metadata, METADATA, "its metadata")
        history = [schema.check(row, _EPOCH, "its history") for row in saved["history"]]
        if len(history) != saved["epoch"] or not 0 <= saved["best_epoch"] <= saved["epoch"]:
            raise ValueError(f"its history has {len(history)} epochs, its metadata say {saved['epoch']}")
        if parts - set(file.content):
            raise ValueError(f"it has no {', '.join(sorted(parts - set(file.content)))}")
        epochs = {"epochs": schema.COUNT}
        saved["options"].update(schema.check(saved["options"], epochs, "its options", others=True))
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be resumed from: {error}") from None
    progress = Progress(
        saved["epoch"], saved["best_loss"], saved["best_epoch"], None, history, False, saved["start_loss"]
    )
    return TrainingState(path, saved["options"], saved["fingerprint"], progress, dict(file.content), saved["generator"])


def restore(
    state: TrainingState,
    settings: Mapping[str, Any],
    model: Model,
    optimizer: Optimizer,
    schedule: Schedule,
    rng: np.random.Generator,
    fingerprint: str | None,
    new_total: bool = False,
) -> Progress:
    """Restore everything as it was when the file was written.

    Args:
        state: from ``read``.
        settings: of the resumed run; ``epochs`` may be larger than before.
        model, optimizer, schedule, rng: built as for the first run; changed in place.
        fingerprint: of the data now (``task.fingerprint()``).
        new_total: allow another number of epochs with a schedule that depends on it. From here on it has the rates of
            the new number; a run of that many epochs from the start gives other weights.

    Returns:
        ``Progress`` for ``fit``.

    Raises:
        ValueError: for other data, a number of epochs that does not continue the file's, or arrays that do not fit,
            naming both.
    """
    if state.fingerprint != fingerprint:
        raise ValueError(
            f"the data have changed: their hash is {fingerprint}, but {state.path} was begun on {state.fingerprint}"
        )
    asked, epochs, name = state.settings["epochs"], settings["epochs"], argument("epochs")
    if epochs != asked and schedule.depends_on_total and not new_total:
        raise ArgumentError(
            f"{name} {epochs} given, but {state.path} was begun with {name} {asked}, and the schedule "
            f"{type(schedule).__name__.lower()} depends on their number"
        )
    if epochs < state.progress.epoch:
        raise ArgumentError(f"{name} {epochs} given, but {state.path} already has {state.progress.epoch} epochs")
    best = state.arrays["best"]
    try:
        if best is not None:
            best = np.array(best, model.dtype)
            if best.shape != model.theta.shape:
                raise ValueError(f"its best weights have the shape {best.shape}; {model.theta.shape} expected")
        model.load_state_dict(state.arrays["state_dict"])
        optimizer.load_state_dict(state.arrays["optimizer"])
        schedule.load_state_dict(state.arrays["schedule"])
        rng.bit_generator.state = state.generator
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{state.path} cannot be resumed from: {reason}") from None
    history = state.progress.history
    if history and history[-1]["lr"] is not None:
        optimizer.lr = history[-1]["lr"]
    return Progress(
        state.progress.epoch,
        state.progress.best_loss,
        state.progress.best_epoch,
        best,
        [{**row, "seconds": None} for row in history],
        start_loss=state.progress.start_loss,
    )
