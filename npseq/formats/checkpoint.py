"""Weights files: PyTorch's ``.pth`` format, written and read with NumPy and the standard library alone.

A ``.pth`` file is an uncompressed zip archive: ``data.pkl``, a pickle of the object in which each tensor refers to a
storage, and ``data/0``, ``data/1``, …, the storages' bytes. npseq adds ``npseq.json``, its own metadata, which torch
passes over. Reading interprets the pickle (``unpickle.py``) and never runs it.
"""

import json
import os
import pickle
import struct
import zipfile
from dataclasses import dataclass

import numpy as np

from .atomic import replacing
from .unpickler import STORAGES, CheckpointError, item_size, unpickle

__all__ = ["Checkpoint", "CheckpointError", "load", "save"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file from before torch 1.6
ROOT = "archive"  # the folder inside the zip file; always the same, so that a file does not depend on its own name
DATE = (1980, 1, 1, 0, 0, 0)  # of every record: the same content gives the same bytes
ALIGNMENT = 64  # of the storages in the file, as torch does, for mmap


@dataclass
class Checkpoint:
    """What a file holds: ``state_dict`` (name -> array; empty when none is found), npseq's ``metadata`` or None, and
    ``content``, the whole object as it was saved, of dicts, lists, tuples, numbers, strings, None and arrays."""

    state_dict: dict
    metadata: dict | None
    content: object


# ---- writing ----


def save(path, state_dict, metadata=None):
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
        OSError: when the file cannot be written; one that was there is left whole.
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


def _write_record(archive, name, data):
    """One stored record, its bytes aligned in the file by a padding field in its header."""
    info = zipfile.ZipInfo(f"{ROOT}/{name}", DATE)
    header_end = archive.fp.tell() + 30 + len(info.filename) + 4
    padding = -header_end % ALIGNMENT
    info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    archive.writestr(info, data)


class _PickleWriter:
    """The few opcodes that a nesting of plain values and tensors needs, in protocol 2."""

    def __init__(self):
        self.out, self.storages = bytearray(), []

    def write(self, value, where):
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
                f"{where} is a {type(value).__name__}; a weights file holds arrays, numbers, strings, "
                "None, "
                "lists, tuples and dicts"
            )

    def tensor(self, array, where):
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
    def __init__(self, module, name):
        self.code = f"c{module}\n{name}\n".encode()


def _plain(value):
    """The opcodes of a plain value, or of a tuple of counts."""
    if isinstance(value, _Global):
        return value.code
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_plain, value)) + b"t"
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(data)) + data
    return pickle.dumps(value, 2)[2:-1]  # numbers, bools, None: without the protocol's two bytes and the final stop


_STORAGE_OF = {
    np.dtype(dtype): name for name, dtype in STORAGES.items() if dtype != "bfloat16" and name != "UntypedStorage"
}


# ---- reading ----


def load(path):
    """Read a ``.pth`` file of torch 1.6 or later, or of the legacy format before it. Nothing in it is run.

    float64/32/16, bfloat16 (as float32, exactly), integers, bool, complex. ``state_dict`` is the object itself when it
    is a dict with tensors, or what stands in it under ``state_dict``, ``model_state_dict`` or ``model``; a ``module.``
    in front of every name is taken away.

    Raises:
        CheckpointError: for everything that is not such a file, saying what is wrong with it.
        OSError: when the file cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            start = file.read(4)
            file.seek(0)
            if start[:2] == b"PK":
                content, metadata = _load_zip(file)
            elif start[:1] == b"\x80":
                content, metadata = _load_legacy(file.read()), None
            else:
                raise CheckpointError(
                    "it is empty" if not start else "it begins like neither a zip archive nor a pickle"
                )
        except CheckpointError as error:
            raise CheckpointError(f"{os.fspath(path)!s} is no weights file that can be read: {error}") from None
    return Checkpoint(_state_dict(content), metadata, content)


def _state_dict(content):
    """The tensors by name, wherever torch's users put them."""
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


def _load_zip(file):
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

    def read(name):
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
    loaded = {}

    def storage(key, dtype, count):
        if key not in loaded:
            loaded[key] = np.frombuffer(bytearray(read(f"data/{key}")), np.uint8)
        data = loaded[key]
        if order == b"big" and dtype is None:
            raise CheckpointError("an untyped storage in big-endian order cannot be read")
        return _checked(data if order == b"little" else _swapped(data, dtype), key, dtype, count)

    content, _ = unpickle(read("data.pkl"), storage)
    metadata = None
    if roots[0] + "npseq.json" in records:
        try:
            metadata = json.loads(read("npseq.json"))
        except (ValueError, RecursionError):
            raise CheckpointError("npseq.json is no JSON") from None
    return content, metadata


def _load_legacy(data):
    """Five pickles (magic number, protocol, system, object, keys of the storages), then each storage: count, bytes."""

    def no_storage(key, dtype, count):
        raise CheckpointError("a storage stands where none can be")

    at, header = 0, []
    for _ in range(3):
        value, at = unpickle(data, no_storage, at)
        header.append(value)
        if header[0] != LEGACY_MAGIC:
            raise CheckpointError("it begins like a pickle, but not like one that torch wrote")
    if header[1] != 1001 or not isinstance(header[2], dict) or header[2].get("little_endian") is not True:
        raise CheckpointError("the legacy format is of another protocol than 1001, or not little-endian")
    types = {}

    def later(key, dtype, count):
        if types.setdefault(key, (dtype, count)) != (dtype, count):
            raise CheckpointError(f"the storage {key[:50]} has two types or sizes")

    start = at
    _, at = unpickle(data, later, start)
    keys, at = unpickle(data, no_storage, at)
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
    content, _ = unpickle(data, lambda key, dtype, count: _checked(loaded[key], key, dtype, count), start)
    return content


def _checked(data, key, dtype, count):
    if data.size < count * item_size(dtype or "u1"):
        raise CheckpointError(f"the storage {key[:50]} has {data.size} bytes; {count} elements are claimed of it")
    return data


def _swapped(data, dtype):
    """Big-endian bytes in this machine's order; a complex number is two reals."""
    size = item_size(dtype) // (2 if dtype in ("c8", "c16") else 1)
    return np.ascontiguousarray(data[: data.size // size * size].reshape(-1, size)[:, ::-1]).reshape(-1)
