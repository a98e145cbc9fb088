"""Running the commands in this process."""

from npseq import train
from npseq.cli import commands


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
