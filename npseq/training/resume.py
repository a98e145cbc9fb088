"""A training run that can be continued: the last file of ``--checkpoint``, and what ``--resume`` makes of it.

``rnn_{model}_last.pth`` holds the parameters (as a state_dict, so torch opens it too), the state of the optimiser, the
schedule and the generator, the best weights so far, the history without its times, the options and a hash of the data.
A run continued from it gives the files of a run that was never interrupted, byte for byte.
"""

import numpy as np

from ..formats import checkpoint
from .fit import Progress

# Options that may differ when a run is continued; every other one must be as it was.
FREE = {"epochs", "out_dir", "report", "history", "quiet", "checkpoint", "resume", "threads", "plot"}


def settings(args):
    """The options that must be as they were, and the number of epochs."""
    return {name: value for name, value in vars(args).items() if name not in FREE or name == "epochs"}


def save(path, args, model, optimizer, schedule, rng, progress, fingerprint):
    """Write the last file, atomically."""
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in progress.history]
    content = {
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "best": progress.best_theta,
    }
    checkpoint.save(
        path,
        content,
        {
            "npseq": 1,
            "config": model.config,
            "scaling": model.scaling,
            "options": settings(args),
            "fingerprint": fingerprint,
            "epoch": progress.epoch,
            "best_epoch": progress.best_epoch,
            "best_loss": progress.best_loss,
            "history": history,
            "generator": rng.bit_generator.state,
        },
    )


def read(path):
    """-> the file, after a look at whether it is one to go on from.

    Raises:
        CheckpointError: when it is none. OSError: when there is none.
    """
    file = checkpoint.load(path)
    needed = {"options", "fingerprint", "epoch", "best_epoch", "best_loss", "history", "generator"}
    if (
        not isinstance(file.metadata, dict)
        or needed - set(file.metadata)
        or not isinstance(file.content, dict)
        or {"state_dict", "optimizer", "schedule", "best"} - set(file.content)
    ):
        raise checkpoint.CheckpointError(
            f"{path} is no file to continue from; one that --checkpoint wrote, rnn_MODEL_last.pth, expected"
        )
    return file


def settle_options(args, given, file, path):
    """Take every option that was not given from the file.

    Args:
        args: all options, with defaults; changed in place.
        given: name -> value of the options that stood on the command line.

    Raises:
        ValueError: for an option given with another value than the run was begun with, naming both.
    """
    for name, value in file.metadata["options"].items():
        if name in given and name not in FREE and given[name] != value:
            option = name.replace("_", "-")
            raise ValueError(
                f"--{option} {given[name]} given, but {path} was begun with --{option} {value}: leave "
                "it out, or begin "
                "anew without --resume"
            )
        if name not in given:
            setattr(args, name, value)


def restore(file, args, model, optimizer, schedule, rng, fingerprint, path):
    """Put everything back to where the file was written -> ``Progress``.

    Raises:
        ValueError: for other data, or a number of epochs that does not go on from the file's, naming both.
    """
    saved = file.metadata
    if saved["fingerprint"] != fingerprint:
        raise ValueError(
            f"the data have changed: their hash is {fingerprint}, but {path} was begun on {saved['fingerprint']}"
        )
    asked = saved["options"]["epochs"]
    if args.epochs != asked and schedule.depends_on_total:
        raise ValueError(
            f"--epochs {args.epochs} given, but {path} was begun with --epochs {asked}, and the schedule "
            f"{args.schedule} depends on their number"
        )
    if args.epochs < saved["epoch"]:
        raise ValueError(f"--epochs {args.epochs} given, but {path} has {saved['epoch']} epochs behind it")
    model.load_state_dict(file.content["state_dict"])
    optimizer.load_state_dict(file.content["optimizer"])
    schedule.load_state_dict(file.content["schedule"])
    rng.bit_generator.state = saved["generator"]
    if saved["history"] and saved["history"][-1]["lr"] is not None:
        optimizer.lr = saved["history"][-1]["lr"]
    best = file.content["best"]
    return Progress(
        saved["epoch"],
        saved["best_loss"],
        saved["best_epoch"],
        None if best is None else np.array(best),
        [{**row, "seconds": None} for row in saved["history"]],
    )
