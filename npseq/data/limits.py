"""Files that claim, or open to, more than there is memory for; and a mapped file that shrinks while it is read.

A few megabytes of zeros, compressed, open to gigabytes. What a file will be is therefore known, or counted, before it
is held in memory, and compared with a limit that follows from the file's own size.
"""

from __future__ import annotations

import io
import lzma
import math
import os
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from ..formats.messages import argument
from .errors import DataError

# of the standard library's readers of compressed files; OSError: of gzip and bz2, for content of another kind
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)

GIB = 1 << 30
ALWAYS = 1 * GIB  # bytes that any file may open to
RATIO = 20  # beyond that, times its own size: numbers written as text seldom compress better


def allowed(size: int, max_memory: float | None = None) -> int:
    """Return the bytes that a file of ``size`` bytes may open to; ``max_memory``: what the user allows, in GiB."""
    return max(ALWAYS, RATIO * size) if max_memory is None else int(max_memory * GIB)


def check(opened: int, size: int, name: str, max_memory: float | None = None) -> None:
    """Refuse a file that opens to more than is allowed.

    Raises:
        DataError: naming both sizes and what to do.
    """
    limit = allowed(size, max_memory)
    if opened > limit:
        raise DataError(
            f"{name}: its {size:,} bytes open to {opened:,} or more, beyond the limit of {limit:,}: if that is right, "
            f"allow it with {argument('max_memory', math.ceil(opened / GIB))} (GiB)"
        )


class Counted(io.RawIOBase):
    """A decompressed stream that ends in a ``DataError`` when it has given more bytes than are allowed, or is damaged.

    Args:
        stream: to read from, such as ``gzip.open(path)``.
        size: of the compressed file in bytes.
        name: of it, for the message.
        max_memory: what the user allows, in GiB.
    """

    def __init__(self, stream: BinaryIO, size: int, name: str, max_memory: float | None = None) -> None:
        self.stream, self.size, self.name, self.max_memory = stream, size, name, max_memory
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = undamaged(self.name, self.stream.read, len(buffer))
        self.given += len(data)
        check(self.given, self.size, self.name, self.max_memory)
        buffer[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.given = undamaged(self.name, self.stream.seek, offset, whence)
        return self.given

    def tell(self) -> int:
        return self.given

    def close(self) -> None:
        self.stream.close()
        super().close()


def undamaged(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Return ``function(*args)``, which reads a compressed file.

    Raises:
        DataError: naming the file and the fault, if it is damaged, encrypted, or compressed in an unknown way.
    """
    try:
        return function(*args)
    except DAMAGED as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{name} cannot be decompressed: {reason}") from None


def load_arrays(path: str, max_memory: float | None = None) -> dict[str, np.ndarray]:
    """Return the arrays of a .npy file (mapped, under the name "") or a .npz file. No pickle in it is read.

    Raises:
        DataError: for a damaged file, a member that is no array, and sizes that are not there or not allowed.
    """
    try:
        if path.endswith(".npy"):
            return {"": _mapped(path)}
        _check_members(path, max_memory)
        content = np.load(path, allow_pickle=False)
        with content:
            return {name: content[name] for name in content.files}
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"{path} has more numbers than this machine's memory holds") from None
    except Exception as error:  # a damaged file can raise nearly anything
        raise DataError(f"{path} cannot be read as a NumPy file: {' '.join(str(error).split())[:200]}") from None


def _check_members(path: str, max_memory: float | None) -> None:
    """Compare what the members of a .npz claim with what is in them, and their sum with the limit."""
    size, total = os.path.getsize(path), 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                claimed = _claimed(member)
                if claimed is None:
                    raise DataError(f"{path}: its member {info.filename[:60]} is no array of NumPy's; leave it out")
                header = member.tell()
            if header + claimed != info.file_size:
                raise DataError(
                    f"{path}: its member {info.filename[:60]} claims {claimed:,} bytes of numbers, but has "
                    f"{info.file_size - header:,}"
                )
            total += claimed
            check(total, size, path, max_memory)


def _claimed(member: Any) -> int | None:
    """Return the bytes of numbers that the header of an array claims; None if it is no array."""
    try:
        version = np.lib.format.read_magic(member)
    except ValueError:
        return None
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of the format {version}, which numbers do not need")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects, which are not read")
    return int(math.prod(map(int, shape))) * dtype.itemsize


class MappedArray(np.memmap):
    """A mapped .npy file whose size is checked whenever rows are taken from it.

    Reading a part of a mapped file that is no longer there would end the process with SIGBUS, without a word.
    """

    path: str = ""
    needed: int = 0  # bytes that the file must have

    def __array_finalize__(self, other: Any) -> None:
        super().__array_finalize__(other)
        self.path, self.needed = getattr(other, "path", ""), getattr(other, "needed", 0)

    def __getitem__(self, index: Any) -> Any:
        mapped = getattr(self, "_mmap", None)
        if mapped is not None and mapped.size() < self.needed:
            raise DataError(
                f"{self.path} became shorter while it was read: {mapped.size():,} bytes, {self.needed:,} expected"
            )
        found = super().__getitem__(index)
        return found.view(np.ndarray) if getattr(found, "_mmap", self) is None else found  # copied rows are plain

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Return results of arithmetic as plain arrays."""
        return array[()] if array.shape == () else array.view(np.ndarray)


def _mapped(path: str) -> np.ndarray:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.memmap):
        return np.asarray(array)
    mapped = array.view(MappedArray)
    mapped.path, mapped.needed = path, array.offset + array.nbytes
    return mapped
