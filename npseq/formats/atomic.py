"""Files that are written whole or not at all. Everything that npseq writes goes through ``replacing``.

A file is written under a temporary name in its own folder, flushed to the disk and renamed. Its writer holds a lock on
it meanwhile, which the system releases when the writer dies, by whatever cause. So the next writer in the same folder
can tell a file that was left behind from one that is being written, and removes it.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed: no lock is needed
    fcntl = None  # type: ignore[assignment]

PREFIX, SUFFIX = ".npseq-", ".part"  # of temporary names
_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write ``path`` atomically: to a temporary file in the same folder that is renamed at the end.

    After an exception ``path`` is unchanged and the temporary file is gone. A link is followed, the permissions of a
    file that is replaced are kept, and a new file gets those of any new file. Devices and pipes, such as ``/dev/null``,
    cannot be replaced and are written directly.

    Raises:
        OSError: naming ``path`` and the reason, if it cannot be written.
    """
    shown = os.fspath(path)
    temporary, whole = None, False
    try:
        mode = _mode(shown)
        if mode is not None and not stat.S_ISREG(mode):
            with open(shown, "wb") as device:
                yield device
            return
        target = os.path.realpath(shown)
        folder = os.path.dirname(target)
        remove_abandoned(folder)
        handle, temporary = _create(folder)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            if fcntl is not None:  # renamed while it is locked
                os.replace(temporary, target)
                whole = True
        if not whole:
            os.replace(temporary, target)
            whole = True
    except OSError as error:
        if error.filename is not None and not _ours(error.filename, shown):
            raise  # of another file, which the caller reads meanwhile
        problem = type(error)(f"{shown} cannot be written: {error.strerror or error}")
        problem.errno = error.errno
        raise problem from None
    finally:
        if temporary is not None and not whole:
            _remove(temporary)


def remove_abandoned(folder: str) -> None:
    """Remove the temporary files in ``folder`` whose writers are dead."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith(PREFIX) and name.endswith(SUFFIX)]
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        if fcntl is None:
            _remove(path)
            continue
        try:
            handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        except OSError:
            pass  # its writer is alive, or this file system has no locks
        finally:
            os.close(handle)


def _ours(name: str | bytes | int, path: str) -> bool:
    """True if an error names ``path`` or a temporary file."""
    return name == path or os.path.basename(os.fsdecode(name) if not isinstance(name, int) else "").startswith(PREFIX)


def _mode(path: str) -> int | None:
    """Type and permissions of what ``path`` points to, or None if nothing is there.

    Raises:
        OSError: if it is a folder, or a file that may not be changed.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError("it is a folder; the name of a file expected")
    if not os.access(path, os.W_OK):
        raise PermissionError("there is a file that may not be changed")
    return mode


def _create(folder: str) -> tuple[int, str]:
    """Create and lock a temporary file in ``folder``. Returns its handle and its path."""
    while True:
        path = os.path.join(folder, f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}")
        handle = os.open(path, _FLAGS, 0o666)  # the kernel applies the process's umask
        if fcntl is None:
            return handle, path
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            return handle, path  # a file system without locks, where nothing is ever taken for abandoned
        # between creation and lock another process may have taken the file for abandoned
        if os.path.exists(path):
            return handle, path
        os.close(handle)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
