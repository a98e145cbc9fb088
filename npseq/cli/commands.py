"""``npseq SUBCOMMAND``: the table of the commands, and what is handled alike for all of them."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .._version import __version__
from ..data import DataError
from ..status import INTERRUPTED, OK, UNEXPECTED, USAGE
from ..training import mpi
from . import completion, interrupt, streams
from .arguments import told

GROUPS = {  # by use: name -> (module, what it does)
    "train a model and use it": {
        "train": ("npseq.cli.training_run", "train a model and keep its best weights"),
        "evaluate": ("npseq.cli.evaluate", "evaluate a trained model on test data or new data"),
        "predict": ("npseq.cli.predict", "write a trained model's predictions for new data"),
        "stream": ("npseq.cli.stream", "forecast after each row of standard input"),
        "sample": ("npseq.cli.sample", "generate text"),
        "export": ("npseq.cli.export", "write a trained model as an ONNX file or a C header"),
        "inspect": ("npseq.cli.inspect_file", "show what a .pth file holds, running nothing in it"),
    },
    "study how it learns": {
        "explain": ("npseq.cli.explain", "print every equation of a small network with numbers substituted"),
        "exercise": ("npseq.cli.exercise", "write backward passes yourself and have them graded"),
        "compare": ("npseq.cli.compare", "train several models side by side, or search settings"),
        "flow": ("npseq.cli.gradient_flow", "how far back the gradient reaches, in each model"),
        "neurons": ("npseq.cli.neurons", "what each unit of a text's model follows, as a page"),
    },
    "check gradients": {
        "gradcheck": ("npseq.cli.gradcheck", "check every gradient against the complex step"),
    },
}
COMMANDS = {name: entry for group in GROUPS.values() for name, entry in group.items()}

RUN_UNSEEN = {"npseq train", "npseq compare"}  # hours of work, kept in files: they continue when nobody reads on


def usage() -> str:
    """Return what ``npseq -h`` prints."""
    width = max(map(len, COMMANDS))
    lines = ["usage: npseq COMMAND [options]      (npseq COMMAND -h for its options)"]
    for title, group in GROUPS.items():
        lines += ["", title] + [f"  {name:{width}}  {text}" for name, (_, text) in group.items()]
    lines += ["", "npseq --version, npseq --print-completion SHELL"]
    return "\n".join([*lines, "", "example: npseq train --model lstm --epochs 10"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named command. Returns its exit status, or 2 for an unknown name."""
    argv = sys.argv[1:] if argv is None else list(argv)
    return run(_dispatch, f"npseq {argv[0]}" if argv and argv[0] in COMMANDS else "npseq", argv)


def _dispatch(argv):
    word, refused = argv[0] if argv else "", None
    if word in ("-h", "--help"):
        print(usage())
    elif word == "--version":
        import numpy as np

        from ..fused import blas

        print(f"npseq {__version__}\nNumPy {np.__version__}, {blas.described()}")
    elif word.partition("=")[0] == "--print-completion":
        try:
            print(completion.script("".join(argv[1:2]) or word.partition("=")[2], COMMANDS))
        except ValueError as error:
            refused = error
    elif word not in COMMANDS:
        given = f"unknown command {word!r}" if argv else "no command given"
        refused = f"{given}; one of {', '.join(COMMANDS)} expected (npseq -h)"
    elif word != "train" and mpi.launched():
        refused = f"npseq {word} runs in one process; only npseq train shares its work over MPI"
    else:
        command = importlib.import_module(COMMANDS[word][0]).main
        interrupt.hand_over()
        return command(argv[1:])
    if refused is not None:
        print(f"npseq: error: {refused}", file=sys.stderr)
    return OK if refused is None else USAGE


ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def _ends_in_order() -> Iterator[None]:
    """On SIGTERM or SIGHUP end as an exception does, so that temporary files and child processes go too; at once on a
    second."""

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise SystemExit(128 + number)

    def dropped(error: Any) -> None:
        """Send a signal again that came where Python drops exceptions, such as in a destructor."""
        number = signal.SIGINT if error.exc_type is KeyboardInterrupt else getattr(error.exc_value, "code", 0) - 128
        if number not in (signal.SIGINT, *free):
            return before(error)
        while True:
            try:
                if number in free:
                    signal.signal(number, end)
                return threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
            except (KeyboardInterrupt, SystemExit):
                pass  # on a busy machine it may come while its sender is being started: it would be dropped here, too

    ours = threading.current_thread() is threading.main_thread()
    free = [number for number in ENDING if ours and signal.getsignal(number) is signal.SIG_DFL]  # nohup ignores one
    for number in free:
        signal.signal(number, end)
    before, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield
    finally:
        sys.unraisablehook = before
        for number in free:
            signal.signal(number, signal.SIG_DFL)


def run(main: Callable[..., int], prog: str, *args: Any) -> int:
    """Call ``main(*args)``, however the command was started. Returns its exit status.

    What may happen to any command is handled here: Ctrl-C (130), a reader that leaves its pipe, output that cannot be
    written, files and memory that fail (1); each with at most one line on standard error.
    """
    with streams.guarded(prog, prog in RUN_UNSEEN) as stdout, _ends_in_order():
        try:
            with warnings.catch_warnings():
                warned: dict[str, None] = {}  # each once, and not beside an error
                warnings.showwarning = lambda message, *_: warned.setdefault(str(message))
                status = main(*args)
            stdout.flush()
            for text in warned if status == OK else ():
                print(f"{prog}: {streams.one_line(text)}", file=sys.stderr)
        except SystemExit as end:  # of the parser of options
            stdout.flush()
            if stdout.lost and not end.code:
                raise SystemExit(UNEXPECTED) from None
            raise
        except (OSError, DataError) as error:  # DataError: data that change while they are read
            print(f"{prog}: error: {streams.one_line(told(error))}", file=sys.stderr)
            status = UNEXPECTED
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or interrupt.came():
                line_end = "\n" if sys.stderr.isatty() else ""  # after the terminal's ^C
                print(f"{line_end}{prog}: interrupted", file=sys.stderr)
                status = INTERRUPTED
            elif interrupt.lacks_memory(error):
                print(f"{prog}: error: {interrupt.TOO_LITTLE}", file=sys.stderr)
                status = UNEXPECTED
            else:
                raise
        return UNEXPECTED if stdout.lost and status == OK else status
