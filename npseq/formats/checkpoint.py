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
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from .atomic import replacing
from .unpickler import STORAGES, CheckpointError, Foreign, Unpickled, item_size, unpickle

__all__ = ["Checkpoint", "CheckpointError", "Foreign", "load", "save"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file from before torch 1.6
ROOT = "archive"  # the folder inside the zip file; always the same, so that a file does not depend on its own name
DATE = (1980, 1, 1, 0, 0, 0)  # of every record: the same content gives the same bytes
ALIGNMENT = 64  # of the storages in the file, as torch does, for mmap


@dataclass
class Checkpoint:
    """What a file holds.

    ``state_dict``: name -> array; empty if there is none. ``metadata``: npseq's own, or None. ``content``: the whole
    object as it was saved, of dicts, lists, tuples, numbers, strings, None, arrays, and ``Foreign`` for objects of any
    other class. ``passed_over``: the names of those classes; nothing of such an object was read.
    """

    state_dict: dict[str, np.ndarray]
    metadata: Any
    content: Any
    passed_over: list[str] = field(default_factory=list)


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
    """Read a ``.pth`` file of torch 1.6 or later, or of the legacy format before it. Nothing in it is run.

    Tensors of float64/32/16, bfloat16 (as float32, exactly), integers, bool and complex become arrays, NumPy's numbers
    become numbers. ``state_dict`` is the object itself if it is a dict with tensors, or its entry ``state_dict``,
    ``model_state_dict`` or ``model``; a common prefix ``module.`` is removed. Objects of other classes beside the
    weights, such as an ``argparse.Namespace``, are passed over unread.

    Raises:
        CheckpointError: for everything that is not such a file, saying what is wrong with it.
        OSError: when the file cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            start = file.read(4)
            file.seek(0)
            if start[:2] == b"PK":
                found, metadata = _load_zip(file)
            elif start[:1] == b"\x80":
                found, metadata = _load_legacy(file.read()), None
            else:
                raise CheckpointError(
                    "it is empty" if not start else "it begins like neither a zip archive nor a pickle"
                )
            if found.foreign and not _holds_tensors(found.value):
                raise _no_tensors_but(found.foreign)
        except CheckpointError as error:
            raise CheckpointError(f"{os.fspath(path)!s} is not a readable weights file: {error}") from None
    return Checkpoint(_state_dict(found.value), metadata, found.value, found.foreign)


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


def _state_dict(content: Any) -> dict[str, np.ndarray]:
    """Return the tensors by name, wherever torch's users put them."""
    candidates = [content]
    if isinstance(content, dict):
        candidates = [content.get(key) for key in ("state_dict", "model_state_dict", "model")] + [content]
    for candidate in candidates:
        if isinstance(candidate, dict):
            found = {
                name: value
                for name, value in candidate.items()
                if isinstance(name, str) and isinstance(value, np.ndarray)
            }
            if found:
                prefix = "module." if all(name.startswith("module.") for name in found) else ""
                return {name[len(prefix) :]: value for name, value in found.items()}
    return {}


def _load_zip(file: BinaryIO) -> tuple[Unpickled, Any]:
    size = os.fstat(file.fileno()).st_size
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # zipfile meets broken archives with exceptions of many kinds
        raise CheckpointError(f"the zip archive is broken ({error})") from None
    records = {info.filename: info for info in archive.infolist()}
    roots = [name[: -len("data.pkl")] for name in records if name.endswith("data.pkl") and name.count("/") <= 1]
    if len(roots) != 1:
        raise CheckpointError(
            "the zip archive has no data.pkl" if not roots else "the zip archive has several data.pkl"
        )
    left = size  # records may not overlap, so together they are no larger than the file

    def read(name: str) -> bytes:
        nonlocal left
        info = records.get(roots[0] + name)
        if info is None:
            raise CheckpointError(f"the record {name} is missing")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise CheckpointError(f"the record {name} is compressed or encrypted, which torch never does")
        left -= info.file_size
        if info.file_size != info.compress_size or left < 0:
            raise CheckpointError(f"the record {name} claims {info.file_size} bytes, more than the file has")
        try:
            return archive.read(info)  # checks the record's CRC
        except Exception as error:
            raise CheckpointError(f"the record {name} is broken ({error})") from None

    order = read("byteorder").strip() if roots[0] + "byteorder" in records else b"little"
    if order not in (b"little", b"big"):
        raise CheckpointError(f"the byte order is {order[:20]!r}; little or big expected")
    loaded: dict[str, np.ndarray] = {}

    def storage(key: str, dtype: str | None, count: int) -> np.ndarray:
        if key not in loaded:
            loaded[key] = np.frombuffer(bytearray(read(f"data/{key}")), np.uint8)
        data = loaded[key]
        if order == b"big" and dtype is None:
            raise CheckpointError("an untyped storage in big-endian order cannot be read")
        return _checked(data if order == b"little" or dtype is None else _swapped(data, dtype), key, dtype, count)

    found = unpickle(read("data.pkl"), storage)
    metadata = None
    if roots[0] + "npseq.json" in records:
        try:
            metadata = json.loads(read("npseq.json"))
        except (ValueError, RecursionError):
            raise CheckpointError("npseq.json is not valid JSON") from None
    return found, metadata


def _load_legacy(data: bytes) -> Unpickled:
    """Read five pickles (magic number, protocol, system, object, keys of storages), then each storage: count, bytes."""

    def no_storage(key: str, dtype: str | None, count: int) -> None:
        raise CheckpointError("unexpected storage")

    at, header = 0, []
    for _ in range(3):
        value, at, foreign = unpickle(data, no_storage, at)
        header.append(value)
        if foreign:
            raise _no_tensors_but(foreign)
        if header[0] != LEGACY_MAGIC:
            raise CheckpointError("it begins like a pickle, but not like one that torch wrote")
    if header[1] != 1001 or not isinstance(header[2], dict) or header[2].get("little_endian") is not True:
        raise CheckpointError("the legacy format is of another protocol than 1001, or not little-endian")
    types: dict[str, tuple[str | None, int]] = {}

    def later(key: str, dtype: str | None, count: int) -> None:
        if types.setdefault(key, (dtype, count)) != (dtype, count):
            raise CheckpointError(f"the storage {key[:50]} has two types or sizes")

    start = at
    _, at, _ = unpickle(data, later, start)
    keys, at, _ = unpickle(data, no_storage, at)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(types) - set(keys):
        raise CheckpointError("the list of storages is broken")
    loaded = {}
    for key in keys:
        dtype, count = types.get(key, ("u1", None))
        if at + 8 > len(data):
            raise CheckpointError("the file is cut off before a storage")
        found = struct.unpack_from("<q", data, at)[0]
        at += 8
        length = found * item_size(dtype or "u1")
        if count is None or found != count or not 0 <= length <= len(data) - at:
            raise CheckpointError(
                f"a storage says that it has {found} elements; {count} expected, {len(data) - at} bytes left"
            )
        loaded[key] = np.frombuffer(bytearray(data[at : at + length]), np.uint8)
        at += length
    return unpickle(data, lambda key, dtype, count: _checked(loaded[key], key, dtype, count), start)


def _checked(data: np.ndarray, key: str, dtype: str | None, count: int) -> np.ndarray:
    if data.size < count * item_size(dtype or "u1"):
        raise CheckpointError(f"the storage {key[:50]} has {data.size} bytes; {count} elements are claimed of it")
    return data


def _swapped(data: np.ndarray, dtype: str) -> np.ndarray:
    """Return big-endian bytes in this machine's order; a complex number is two reals."""
    size = item_size(dtype) // (2 if dtype in ("c8", "c16") else 1)
    return np.ascontiguousarray(data[: data.size // size * size].reshape(-1, size)[:, ::-1]).reshape(-1)
