"""Running the commands in this process."""

from npseq import train


def status(argv):
    """The command's exit status, returned or raised."""
    try:
        return train.main(argv)
    except SystemExit as end:
        return end.code
