"""Weights files: PyTorch's ``.pth`` format, written and read with NumPy and the standard library alone.

A ``.pth`` file is an uncompressed zip archive: ``data.pkl``, a pickle of the object in which each tensor refers to a
storage, and ``data/0``, ``data/1``, …, the storages' bytes. npseq adds ``npseq.json``, its own metadata, which torch
ignores. Reading interprets the pickle (``unpickler.py``) and never runs it.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from .atomic import replacing
from .state_dicts import Checkpoint
from .unpickler import STORAGES, CheckpointError, Foreign, Unpickled, item_size, unpickle

__all__ = ["Checkpoint", "CheckpointError", "Foreign", "load", "save"]

ROOT = "archive"  # the folder inside the zip file; always the same, so that a file does not depend on its own name
DATE = (1980, 1, 1, 0, 0, 0)  # of every record: the same content gives the same bytes
PART = 1 << 18  # bytes that are read at once
ALIGNMENT = 64  # of the storages in the file, as torch does, for mmap


# ---- writing ----


def save(path: str | os.PathLike[str], state_dict: Any, metadata: Mapping[str, Any] | None = None) -> None:
    """Write ``state_dict`` (or any nesting of dicts, lists, tuples, numbers, strings, None and arrays) so that
    ``torch.load(path, weights_only=True)`` gives it back, arrays as tensors.

    The write is atomic: a temporary file in the same folder, flushed to disk, then renamed. The same content gives the
    same bytes.

    Args:
        path: of the file to write or replace.
        state_dict: name -> array (float64/32/16, integers, bool, complex), or a nesting that holds such arrays.
        metadata: a dict for JSON, kept beside the pickle in a record that torch does not read.

    Raises:
        TypeError: for a value that a weights file cannot hold, naming it, or metadata that is not JSON.
        OSError: when the file cannot be written; an existing file is left intact.
    """
    writer = _PickleWriter()
    writer.out += b"\x80\x02"
    writer.write(state_dict, "the content")
    writer.out += b"."
    try:
        text = None if metadata is None else json.dumps(metadata, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the metadata cannot be written as JSON: {error}") from None

    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_record(archive, "data.pkl", bytes(writer.out))
        _write_record(archive, "byteorder", b"little")
        for key, array in enumerate(writer.storages):
            _write_record(archive, f"data/{key}", array.tobytes())
        _write_record(archive, "version", b"3\n")
        if text is not None:
            _write_record(archive, "npseq.json", text.encode())


def _write_record(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Write one stored record, its bytes aligned in the file by a padding field in its header."""
    info = zipfile.ZipInfo(f"{ROOT}/{name}", DATE)
    assert archive.fp is not None
    header_end = archive.fp.tell() + 30 + len(info.filename) + 4
    padding = -header_end % ALIGNMENT
    info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    archive.writestr(info, data)


class _PickleWriter:
    """The few opcodes that a nesting of plain values and tensors needs, in protocol 2."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.storages: list[np.ndarray] = []

    def write(self, value: Any, where: str) -> None:
        if value is None or isinstance(value, (bool, int, float, str)):
            self.out += _plain(value)
        elif isinstance(value, (np.ndarray, np.generic)):
            self.tensor(np.asarray(value), where)
        elif isinstance(value, dict):
            self.out += b"}("
            for key, item in value.items():
                if not (key is None or isinstance(key, (bool, int, float, str))):
                    raise TypeError(f"{where} has the key {key!r}; a string or a number expected")
                self.out += _plain(key)
                self.write(item, repr(key))
            self.out += b"u"
        elif isinstance(value, (list, tuple)):
            self.out += b"](" if isinstance(value, list) else b"("
            for item in value:
                self.write(item, where)
            self.out += b"e" if isinstance(value, list) else b"t"
        else:
            raise TypeError(
                f"{where} is a {type(value).__name__}; a weights file holds arrays, numbers, strings, None, lists, "
                "tuples and dicts"
            )

    def tensor(self, array: np.ndarray, where: str) -> None:
        """_rebuild_tensor_v2(storage, offset 0, shape, strides, requires_grad False, no hooks)."""
        storage = _STORAGE_OF.get(array.dtype.newbyteorder("="))
        if storage is None:
            raise TypeError(f"{where} has the dtype {array.dtype}, for which torch has no tensor")
        shape, strides = array.shape, np.ones(array.ndim, int)
        for axis in range(array.ndim - 1, 0, -1):
            strides[axis - 1] = strides[axis] * max(shape[axis], 1)
        reference = ("storage", _Global("torch", storage), str(len(self.storages)), "cpu", array.size)
        self.out += _Global("torch._utils", "_rebuild_tensor_v2").code + b"("
        self.out += b"(" + b"".join(map(_plain, reference)) + b"tQ"
        self.out += _plain(0) + _plain(shape) + _plain(tuple(map(int, strides))) + _plain(False)
        self.out += _Global("collections", "OrderedDict").code + b")RtR"
        self.storages.append(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False))


class _Global:
    def __init__(self, module: str, name: str) -> None:
        self.code = f"c{module}\n{name}\n".encode()


def _plain(value: Any) -> bytes:
    """Return the opcodes of a plain value, or of a tuple of counts."""
    if isinstance(value, _Global):
        return value.code
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_plain, value)) + b"t"
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(data)) + data
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # NumPy's float64 and enumerations too: their own pickles ask for other names
        value = int(value) if isinstance(value, int) else float(value)
    return pickle.dumps(value, 2)[2:-1]  # numbers, bools, None: without the protocol's two bytes and the final stop


_STORAGE_OF = {
    np.dtype(dtype): name for name, dtype in STORAGES.items() if dtype != "bfloat16" and name != "UntypedStorage"
}


# ---- reading ----


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a ``.pth`` file of torch 1.6 or later. Nothing in it is run.

    Tensors of float64/32/16, bfloat16 (as float32, exactly), integers, bool and complex become arrays, NumPy's numbers
    become numbers. Objects of other classes beside the weights, such as an ``argparse.Namespace``, are passed over
    unread.

    Warns:
        UserWarning: if the pickle names functions to call, with their names.

    Raises:
        CheckpointError: for everything that is not such a file, saying what is wrong with it.
        OSError: when the file cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            start = file.read(2)
            file.seek(0)
            if start != b"PK":
                raise CheckpointError(_no_archive(start))
            found, metadata = _load_zip(file)
            if found.foreign and not _holds_tensors(found.value):
                raise _no_tensors_but(found.foreign)
        except CheckpointError as error:
            raise CheckpointError(f"{os.fspath(path)!s} is not a readable weights file: {error}") from None
    if found.called:  # a loader of pickles would run it
        warnings.warn(
            f"{os.fspath(path)!s}: its pickle names {', '.join(found.called)} to be called; nothing was run",
            stacklevel=2,
        )
    return Checkpoint(found.value, metadata, found.foreign, os.fspath(path))


def _no_archive(start: bytes) -> str:
    if start[:1] == b"\x80":
        return (
            "it is a pickle and no zip archive, as torch wrote before 1.6. If you trust the file, open it in torch and "
            "save it again: torch.save(torch.load(file, weights_only=True), file)"
        )
    return "it begins like neither a zip archive nor a pickle" if start else "it is empty"


def _no_tensors_but(foreign: list[str]) -> CheckpointError:
    names = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
    return CheckpointError(
        f"the pickle asks for {names}"[:250] + " and holds no tensors outside of it: a weights file may hold tensors, "
        "numbers, strings, lists, tuples and dicts only; nothing was run. If you trust the file, open it in torch and "
        "save its weights alone: torch.save(model.state_dict(), file)"
    )


def _holds_tensors(content: Any) -> bool:
    """True if there is an array anywhere in a nesting, which may be deep or circular."""
    waiting, seen = [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, np.ndarray):
            return True
        if isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return False


def _load_zip(file: BinaryIO) -> tuple[Unpickled, Any]:
    size = os.fstat(file.fileno()).st_size
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # zipfile meets broken archives with exceptions of many kinds
        raise CheckpointError(f"the zip archive is broken ({error})") from None
    records = {info.filename: info for info in archive.infolist()}
    if len(records) < len(archive.infolist()):
        raise CheckpointError("the zip archive has two records of one name")
    roots = [name[: -len("data.pkl")] for name in records if name.endswith("data.pkl") and name.count("/") <= 1]
    if len(roots) != 1:
        raise CheckpointError(
            "the zip archive has no data.pkl" if not roots else "the zip archive has several data.pkl"
        )
    left = size  # records may not overlap, so together they are no larger than the file

    def read(name: str) -> np.ndarray:
        nonlocal left
        info = records.get(roots[0] + name)
        if info is None:
            raise CheckpointError(f"the record {name} is missing")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise CheckpointError(f"the record {name} is compressed or encrypted, which torch never does")
        left -= info.file_size
        if info.file_size != info.compress_size or left < 0:
            raise CheckpointError(f"the record {name} claims {info.file_size} bytes, more than the file has")
        data, at = np.empty(info.file_size, np.uint8), 0
        try:
            with archive.open(info) as record:  # checks the record's CRC
                while part := record.read(PART):
                    data[at : at + len(part)] = np.frombuffer(part, np.uint8)
                    at += len(part)
        except Exception as error:
            raise CheckpointError(f"the record {name} is broken ({error})") from None
        return data

    order = read("byteorder").tobytes().strip() if roots[0] + "byteorder" in records else b"little"
    if order not in (b"little", b"big"):
        raise CheckpointError(f"the byte order is {order[:20]!r}; little or big expected")
    loaded: dict[str, np.ndarray] = {}

    def storage(key: str, dtype: str | None, count: int) -> np.ndarray:
        if key not in loaded:
            loaded[key] = read(f"data/{key}")
        data = loaded[key]
        if order == b"big" and dtype is None:
            raise CheckpointError("an untyped storage in big-endian order cannot be read")
        return _checked(data if order == b"little" or dtype is None else _swapped(data, dtype), key, dtype, count)

    found = unpickle(read("data.pkl").tobytes(), storage)
    metadata = None
    if roots[0] + "npseq.json" in records:
        try:
            metadata = json.loads(read("npseq.json").tobytes())
        except (ValueError, RecursionError):
            raise CheckpointError("npseq.json is not valid JSON") from None
    return found, metadata


def _checked(data: np.ndarray, key: str, dtype: str | None, count: int) -> np.ndarray:
    if data.size < count * item_size(dtype or "u1"):
        raise CheckpointError(f"the storage {key[:50]} has {data.size} bytes; {count} elements are claimed of it")
    return data


def _swapped(data: np.ndarray, dtype: str) -> np.ndarray:
    """Return big-endian bytes in this machine's order; a complex number is two reals."""
    size = item_size(dtype) // (2 if dtype in ("c8", "c16") else 1)
    return np.ascontiguousarray(data[: data.size // size * size].reshape(-1, size)[:, ::-1]).reshape(-1)
