"""Running the commands in this process."""

import contextlib
import io
import shlex

from npseq import train
from npseq.cli import commands, gradcheck


def ended(main, argv):
    """The exit status of a command's ``main``, returned or raised. ``argv`` is a list, or one string of words."""
    try:
        return main(argv.split() if isinstance(argv, str) else [str(word) for word in argv])
    except SystemExit as end:
        return end.code


def status(argv):
    """The exit status of the documented command: ``status("--model gru --epochs 2")``."""
    return ended(train.main, argv)


def run(argv):
    """The exit status of any command: ``run("predict rnn_gru_best.pth --steps 3")``."""
    return ended(commands.main, argv)


def typed(line, *more):
    """(exit status, output, errors) of a line that a reader types, and ``more`` words: ``npseq …``, ``python
    npseq/train.py …`` or ``python -m npseq.gradcheck …``.
    """
    program, *words = [*shlex.split(line, comments=True), *more]
    main = commands.main
    if program == "python":
        place = words.pop(0)
        main = train.main if place == "npseq/train.py" else gradcheck.main
        assert place == "npseq/train.py" or words.pop(0) == "npseq.gradcheck", line
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        status = ended(main, words)
    return status, out.getvalue(), errors.getvalue()
