"""Files that are there whole or not at all."""

import os
import tempfile
from contextlib import contextmanager


@contextmanager
def replacing(path):
    """A binary file to write, which becomes ``path`` when all of it is on the disk: a temporary file in the same
    folder, renamed at the end. After an exception ``path`` is what it was, and nothing is left behind."""
    folder, name = os.path.split(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # as any new file; mkstemp's are for the owner alone
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
