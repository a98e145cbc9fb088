"""What the names in a pickle stand for: a short list of torch's, each with a few lines of our own. Everything else is
``Foreign``: its name is kept, and nothing of it is imported, called or read.

Memory stays proportional to the bytes that are read: tensors are views of their storage, never copies.

Sources: names as torch 1.6 to 2.13.0 writes them, those of NumPy numbers as NumPy 1.24 to 2.5 does.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .messages import ArgumentError


class CheckpointError(ArgumentError):
    """The file is not a checkpoint that can be read safely; the message says what is wrong with it."""


TYPES = """\
f8 DoubleStorage float64 double
f4 FloatStorage float32 float
f2 HalfStorage float16 half
bfloat16 BFloat16Storage bfloat16
i8 LongStorage int64 long
i4 IntStorage int32 int
i2 ShortStorage int16 short
i1 CharStorage int8
u1 ByteStorage uint8
u1 UntypedStorage
u2 - uint16
u4 - uint32
u8 - uint64
? BoolStorage bool
c8 ComplexFloatStorage complex64
c16 ComplexDoubleStorage complex128
"""  # dtype, and torch's names: of a storage of such elements, and of the dtype
STORAGES = {line.split()[1]: line.split()[0] for line in TYPES.splitlines() if "Storage" in line}
DTYPES = {name: line.split()[0] for line in TYPES.splitlines() for name in line.split()[2:]}
REBUILDERS = {f"_rebuild_{kind}" for kind in "tensor tensor_v2 tensor_v3 parameter parameter_with_state".split()}
CODECS = "_codecs.encode"  # how protocol 2 writes bytes
MOST_OF_A_KEY = 1000  # parts of a tuple that is the key of a dict
NUMBERS = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
_NUMBER_TYPE = re.compile(r"[iu][1248]|f[248]|c8|c16|b1|\?")


class Name(str):
    """An allowed name of the pickle, as text ("torch.float32"): never the thing itself."""

    name: str

    def __new__(cls, module: str, name: str) -> Name:
        self = super().__new__(cls, f"{module}.{name}")
        self.name = name
        return self


class Foreign:
    """An object, or the class of one, that is none of torch's: only its name was read."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}, not read>"


class DType(Foreign):
    """A dtype of NumPy's, whose byte order the pickle sets afterwards."""

    def __init__(self, text: str) -> None:
        super().__init__("numpy.dtype")
        self.text, self.order = text, "="  # and its byte order


class Storage:
    """The bytes that tensors refer to, as a flat uint8 array."""

    def __init__(self, dtype: str, count: int, data: np.ndarray) -> None:
        self.dtype, self.count, self.data = dtype, count, data
        self.typed: dict[str, np.ndarray] = {}


def item_size(dtype: str) -> int:
    """Return the bytes of one element."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def named(module: str, name: str) -> Name | Foreign:
    """Return what the pickle's ``module.name`` stands for."""
    known = (
        (module == "collections" and name in ("OrderedDict", "defaultdict"))
        or (module == "torch._utils" and name in REBUILDERS)
        or (module in ("torch", "torch.storage") and name in STORAGES)
        or (module == "torch" and (name in DTYPES or name in ("Size", "device")))
        or (module, name) == ("numpy", "dtype")
        or f"{module}.{name}" in NUMBERS | {CODECS}
    )
    if known:
        return Name(module, name)
    return Foreign(f"{'builtins' if module == '__builtin__' else module}.{name}"[:200])


def call(function: object, args: object) -> Any:
    """Return what torch's or NumPy's ``function(*args)`` gives.

    Raises:
        CheckpointError: for a call that torch and NumPy do not write.
    """
    if isinstance(function, Foreign):
        return Foreign(function.name)
    if not isinstance(function, Name) or not isinstance(args, tuple):
        raise CheckpointError("the pickle calls something that is not a function: refused")
    name = function.name
    if name == "OrderedDict":
        return ordered_dict(args[0]) if args else {}
    if name == "defaultdict":
        return {}
    if name in ("_rebuild_tensor", "_rebuild_tensor_v2") and len(args) >= 4:
        return tensor(*args[:4])
    if name == "_rebuild_tensor_v3" and len(args) >= 7 and isinstance(args[6], Name) and args[6].name in DTYPES:
        return tensor(args[0], args[1], args[2], args[3], DTYPES[args[6].name])
    if name in ("_rebuild_parameter", "_rebuild_parameter_with_state") and args and isinstance(args[0], np.ndarray):
        return args[0]
    if name == "Size" and len(args) == 1 and isinstance(args[0], (tuple, list)):
        return tuple(args[0])
    if name == "device" and args and isinstance(args[0], str):
        return args[0]
    if name == "dtype" and args and isinstance(args[0], str):
        return DType(args[0]) if _NUMBER_TYPE.fullmatch(args[0]) else Foreign("numpy.dtype")
    if function == CODECS and len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return args[0].encode("latin-1", "replace")
    if function in NUMBERS and len(args) == 2:
        return number(*args, name=str(function))
    raise CheckpointError(f"the pickle calls {function} in a way that torch does not")


def number(dtype: object, data: object, name: str) -> Any:
    """Return the number that NumPy writes as its dtype and bytes, or ``Foreign`` if they are not those of a number."""
    if isinstance(dtype, DType) and isinstance(data, bytes):
        kind = np.dtype(dtype.text if dtype.order == "=" else dtype.order + dtype.text)
        if len(data) == kind.itemsize:
            return np.frombuffer(data, kind).item(0)
    return Foreign(name)


def ordered_dict(pairs: object) -> dict[Any, Any]:
    """Return the dict of a list of pairs."""
    result: dict[Any, Any] = {}
    if not isinstance(pairs, (list, tuple)):
        raise CheckpointError("the pickle makes a dict of something that is not a list of pairs")
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise CheckpointError("the pickle makes a dict of something that is not a list of pairs")
        put(result, *pair)
    return result


def put(target: dict[Any, Any], key: object, value: object) -> bool:
    """Set an item of a dict and return True. One whose key no plain value equals, such as a tensor, is left out."""
    if _is_plain(key):
        target[key] = value
        return True
    if isinstance(key, (list, dict, Storage)):
        raise CheckpointError(f"the pickle has a {type(key).__name__} as the key of a dict")
    return isinstance(key, Foreign)  # named already


def _is_plain(key: object) -> bool:
    """True for a number, a text, None, or a tuple of such, which may be nested.

    Raises:
        CheckpointError: for a tuple of too many parts: to hash one that is deep enough overflows the C stack.
    """
    waiting, parts = [key], 0
    while waiting:
        part, parts = waiting.pop(), parts + 1
        if parts > MOST_OF_A_KEY:
            raise CheckpointError(f"the pickle has a tuple of over {MOST_OF_A_KEY} parts as the key of a dict")
        if isinstance(part, tuple):
            waiting += part
        elif not (part is None or isinstance(part, (str, int, float, bytes))):
            return False
    return True


def tensor(storage: object, offset: Any, shape: Any, strides: Any, dtype: str | None = None) -> np.ndarray:
    """Return a view of the storage.

    Every element must lie inside the storage, and there may not be many more elements than bytes.
    """
    if not isinstance(storage, Storage):
        raise CheckpointError("a tensor has no storage")
    dtype = dtype or storage.dtype
    size = item_size(dtype)
    elements = storage.count * item_size(storage.dtype) // size
    if not (
        is_count(offset)
        and isinstance(shape, tuple)
        and isinstance(strides, tuple)
        and len(shape) <= 32
        and len(shape) == len(strides)
        and all(map(is_count, shape))
        and all(map(is_count, strides))
    ):
        raise CheckpointError("a tensor's shape, strides or offset is not made of counts (or has over 32 dimensions)")
    count = 1
    for length in shape:
        count *= length
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides))
    if count and last >= elements or offset > elements:
        raise CheckpointError(
            f"a tensor of shape {shape} and strides {strides} from {offset} reaches outside its "
            f"storage of {elements} elements"[:300]
        )
    if count > 1024 * max(elements, 1):
        raise CheckpointError(f"a tensor of shape {shape} claims {count} elements of a storage of {elements}"[:300])
    flat = _elements(storage, dtype)
    try:
        return np.lib.stride_tricks.as_strided(flat[offset:], shape, [stride * flat.itemsize for stride in strides])
    except (
        OverflowError,
        ValueError,
    ):  # beside an axis of length 0 or 1 the others, or its own stride, may be anything
        raise CheckpointError(f"a tensor has the shape {shape} and strides {strides}, too large for an array"[:300])


def is_count(value: object) -> bool:
    """True for a whole number from 0 up that fits into 62 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _elements(storage: Storage, dtype: str) -> np.ndarray:
    """Return the storage's bytes as a flat array; bfloat16 as float32, of which it is the upper half."""
    if dtype not in storage.typed:
        size = item_size(dtype)
        data = storage.data[: storage.data.size // size * size]
        if dtype == "bfloat16":
            storage.typed[dtype] = (data.view("u2").astype("u4") << 16).view("f4")
        elif dtype == "?":
            storage.typed[dtype] = data != 0  # a bool of any other byte is not one
        else:
            storage.typed[dtype] = data.view(dtype)
    return storage.typed[dtype]
