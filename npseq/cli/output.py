"""Files that the commands write."""

import csv
import io
import os
import tempfile
from contextlib import contextmanager

from ..formats import atomic


def check_file(path):
    """See that a file can be written there, before anything is computed for it.

    Raises:
        OSError: naming the file or its folder.
    """
    if os.path.isdir(path):
        raise OSError(f"{path} is a folder; the name of a file expected")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise OSError(f"{path} cannot be written: there is a file that may not be changed")
    check_folder(os.path.dirname(path) or ".")


def check_folder(folder):
    """Make ``folder`` if it is missing, and see that a file can be written there.

    Raises:
        OSError: naming the folder.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"cannot write into the folder {folder!r}: {error.strerror or error}") from None


@contextmanager
def csv_writer(path):
    """A csv writer, to a file that is there only when all of it is written."""
    with atomic.replacing(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        yield csv.writer(text)
        text.detach()  # flushed; the file is closed by whoever opened it
