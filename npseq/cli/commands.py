"""``npseq SUBCOMMAND``: one table from the name to the module whose ``main(argv)`` runs it."""

import importlib
import os
import sys

from .._version import __version__
from ..status import INTERRUPTED, UNEXPECTED
from ..training import mpi

COMMANDS = {
    "train": ("npseq.cli.training_run", "train a model and keep its best weights"),
    "evaluate": ("npseq.cli.evaluate", "judge a trained model on test data or new data"),
    "predict": ("npseq.cli.predict", "write a trained model's answers for new data"),
    "compare": ("npseq.cli.compare", "train several models side by side"),
    "flow": ("npseq.cli.gradient_flow", "how far back the gradient reaches, in each model"),
    "inspect": ("npseq.cli.inspect_file", "show what a .pth file holds, running nothing in it"),
    "gradcheck": ("npseq.cli.gradcheck", "check every gradient against the complex step"),
    "export": ("npseq.cli.export", "write a trained model as an ONNX file"),
    "explain": ("npseq.cli.explain", "every equation of a small network with its numbers put in"),
}


def usage():
    width = max(map(len, COMMANDS))
    return "\n".join(
        ["usage: npseq COMMAND [options]      (npseq COMMAND -h for its options)", ""]
        + [f"  {name:{width}}  {text}" for name, (_, text) in COMMANDS.items()]
        + ["", "example: npseq train --model lstm --epochs 10"]
    )


def main(argv=None):
    """Run the named command; -> its exit status, or 2 for a name that is none."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv and argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    if argv and argv[0] == "--version":
        print(f"npseq {__version__}")
        return 0
    if not argv or argv[0] not in COMMANDS:
        given = f"unknown command {argv[0]!r}" if argv else "no command given"
        print(f"npseq: error: {given}; one of {', '.join(COMMANDS)} expected (npseq -h)", file=sys.stderr)
        return 2
    if argv[0] != "train" and mpi.launched():
        print(
            f"npseq: error: npseq {argv[0]} runs in one process; only npseq train shares its work over MPI",
            file=sys.stderr,
        )
        return 2
    return run(importlib.import_module(COMMANDS[argv[0]][0]).main, f"npseq {argv[0]}", argv[1:])


def run(main, prog, *args):
    """``main(*args)`` -> its exit status, also when it is interrupted (130) or the reader of a pipe has seen enough."""
    try:
        status = main(*args)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print(f"\n{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # as with | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNEXPECTED
