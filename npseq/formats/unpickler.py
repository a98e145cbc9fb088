"""An interpreter of the pickle opcodes that ``torch.save`` writes. Nothing is imported, called or looked up.

A pickle is a program for a stack machine, and ``pickle.load`` runs whatever it says. This interpreter knows the opcodes
below and a short list of names, each standing for a few lines of our own; anything else is refused. Memory stays
proportional to the bytes that are read: tensors are views of their storage, never copies.

Sources: the opcode comments of CPython's ``pickletools``; names as torch 2.13.0 and 0.4 to 1.5 (legacy format) write
    them.
"""

import struct

import numpy as np


class CheckpointError(ValueError):
    """The file is no checkpoint that can be read safely; the message says what is wrong with it."""


STORAGES = {  # torch's name of a storage -> dtype of its elements
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
    "UntypedStorage": "u1",
}
DTYPES = {  # torch's name of a dtype -> ours
    "float64": "f8",
    "double": "f8",
    "float32": "f4",
    "float": "f4",
    "float16": "f2",
    "half": "f2",
    "bfloat16": "bfloat16",
    "int64": "i8",
    "long": "i8",
    "int32": "i4",
    "int": "i4",
    "int16": "i2",
    "short": "i2",
    "int8": "i1",
    "uint8": "u1",
    "uint16": "u2",
    "uint32": "u4",
    "uint64": "u8",
    "bool": "?",
    "complex64": "c8",
    "complex128": "c16",
}
REBUILDERS = {
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
}


class Name(str):
    """An allowed name of the pickle, as text ("torch.float32"): never the thing itself."""

    def __new__(cls, module, name):
        self = super().__new__(cls, f"{module}.{name}")
        self.name = name
        return self


def item_size(dtype):
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def unpickle(data, storage, start=0):
    """Interpret one pickle.

    Args:
        data: bytes.
        storage: called with (key, dtype or None, number of elements) for each storage that the pickle refers to;
            gives a flat uint8 array of its bytes, or None when the bytes come later (tensors are then None too). A
            dtype of None stands for an untyped storage, whose number counts bytes.
        start: where the pickle begins in ``data``.

    Returns:
        The object (dicts, lists, tuples, numbers, strings, None, arrays), and where the pickle ended.

    Raises:
        CheckpointError.
    """
    machine = _Machine(data, storage, start)
    try:
        return machine.run(), machine.at
    except (IndexError, struct.error, UnicodeDecodeError):
        raise CheckpointError(f"the pickle is broken near byte {machine.at}") from None


class _Machine:
    def __init__(self, data, storage, at):
        self.data, self.storage, self.at = data, storage, at
        self.stack, self.marks, self.memo = [], [], {}

    def run(self):
        while True:
            code = self.take(1)[0]
            step = _OPCODES.get(code)
            if step is None:
                if code == ord("."):
                    return self.pop()
                raise CheckpointError(f"the pickle uses the opcode 0x{code:02x}, which no weights file needs: refused")
            step(self)

    def take(self, count):
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            raise CheckpointError("the pickle is cut off")
        self.at += count
        return part

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self):
        end = self.data.find(b"\n", self.at, self.at + 256)
        if end < 0:
            raise CheckpointError("the pickle has a name without an end")
        text = bytes(self.data[self.at : end]).decode()
        self.at = end + 1
        return text

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        if not self.stack or self.marks and len(self.stack) <= self.marks[-1]:
            raise CheckpointError("the pickle takes more from its stack than it has put there")
        return self.stack.pop()

    def pop_to_mark(self):
        if not self.marks:
            raise CheckpointError("the pickle closes a group that it has not opened")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def top(self, kind):
        value = self.stack[-1] if self.stack else None
        if not isinstance(value, kind):
            raise CheckpointError(f"the pickle fills a {type(value).__name__} as if it were a {kind.__name__}")
        return value

    def remember(self, index):
        if not self.stack:
            raise CheckpointError("the pickle remembers what it does not have")
        self.memo[index] = self.stack[-1]

    def recall(self, index):
        if index not in self.memo:
            raise CheckpointError("the pickle recalls what it has not remembered")
        self.push(self.memo[index])

    # ---- names, and the few things that may be done with them ----

    def name(self, module, name):
        if (
            (module, name) == ("collections", "OrderedDict")
            or module == "torch._utils"
            and name in REBUILDERS
            or module in ("torch", "torch.storage")
            and name in STORAGES
            or module == "torch"
            and (name in DTYPES or name in ("Size", "device"))
        ):
            self.push(Name(module, name))
        else:
            raise CheckpointError(
                f"the pickle asks for {module}.{name}"[:200] + ": a weights file may hold tensors, "
                "numbers, strings, lists, tuples and dicts only; nothing was run"
            )

    def name_from_stack(self):
        name, module = self.pop(), self.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("the pickle asks for something that has no name")
        self.name(module, name)

    def reduce(self):
        args, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(args, tuple):
            raise CheckpointError("the pickle calls something that is no function: refused")
        name = function.name
        if name == "OrderedDict":
            self.push(self.ordered_dict(*args[:1]) if args else {})
        elif name in ("_rebuild_tensor", "_rebuild_tensor_v2") and len(args) >= 4:
            self.push(self.tensor(*args[:4]))
        elif name == "_rebuild_tensor_v3" and len(args) >= 7 and isinstance(args[6], Name) and args[6].name in DTYPES:
            self.push(self.tensor(*args[:4], dtype=DTYPES[args[6].name]))
        elif (
            name in ("_rebuild_parameter", "_rebuild_parameter_with_state")
            and args
            and (args[0] is None or isinstance(args[0], np.ndarray))
        ):
            self.push(args[0])
        elif name == "Size" and len(args) == 1 and isinstance(args[0], (tuple, list)):
            self.push(tuple(args[0]))
        elif name == "device" and args and isinstance(args[0], str):
            self.push(args[0])
        else:
            raise CheckpointError(f"the pickle calls {function} in a way that torch does not")

    @staticmethod
    def ordered_dict(pairs):
        result = {}
        if not isinstance(pairs, (list, tuple)):
            raise CheckpointError("the pickle makes a dict of something that is no list of pairs")
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise CheckpointError("the pickle makes a dict of something that is no list of pairs")
            result[_key(pair[0])] = pair[1]
        return result

    def persistent(self):
        """('storage', type, key, location, number of elements[, view]) -> the storage's bytes and dtype."""
        given = self.pop()
        if not (
            isinstance(given, tuple)
            and len(given) in (5, 6)
            and given[0] == "storage"
            and isinstance(given[1], Name)
            and given[1].name in STORAGES
            and isinstance(given[2], str)
            and _is_count(given[4])
            and (len(given) == 5 or given[5] is None)
        ):
            raise CheckpointError("the pickle refers to a storage in a way that torch does not")
        kind, key, count = given[1].name, given[2], given[4]
        dtype = STORAGES[kind]
        self.push(_Storage(dtype, count, self.storage(key, None if kind == "UntypedStorage" else dtype, count)))

    def tensor(self, storage, offset, shape, strides, dtype=None):
        """A view of the storage. Every element must lie inside it, and there may not be many more elements than
        bytes."""
        if not isinstance(storage, _Storage):
            raise CheckpointError("a tensor has no storage")
        dtype = dtype or storage.dtype
        size = item_size(dtype)
        elements = storage.count * item_size(storage.dtype) // size
        if not (
            _is_count(offset)
            and isinstance(shape, tuple)
            and isinstance(strides, tuple)
            and len(shape) <= 32
            and len(shape) == len(strides)
            and all(map(_is_count, shape))
            and all(map(_is_count, strides))
        ):
            raise CheckpointError(
                "a tensor's shape, strides or offset is not made of counts (or has over 32 dimensions)"
            )
        number = 1
        for length in shape:
            number *= length
        last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides))
        if number and last >= elements or offset > elements:
            raise CheckpointError(
                f"a tensor of shape {shape} and strides {strides} from {offset} reaches outside its "
                f"storage of {elements} elements"[:300]
            )
        if number > 1024 * max(elements, 1):
            raise CheckpointError(
                f"a tensor of shape {shape} claims {number} elements of a storage of {elements}"[:300]
            )
        if storage.data is None:
            return None
        flat = _elements(storage, dtype)
        return np.lib.stride_tricks.as_strided(flat[offset:], shape, [stride * flat.itemsize for stride in strides])

    def build(self):
        """State of an object that exists: torch hangs ``_metadata`` on a state_dict; it holds no tensors and is left
        out."""
        self.pop()
        if not isinstance(self.stack[-1] if self.stack else None, (dict, np.ndarray, type(None))):
            raise CheckpointError("the pickle sets the state of something that has none")


class _Storage:
    def __init__(self, dtype, count, data):
        self.dtype, self.count, self.data, self.typed = dtype, count, data, {}


def _elements(storage, dtype):
    """The storage's bytes as a flat array; bfloat16 as float32, of which it is the upper half."""
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


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _key(key):
    """Dict keys: plain values only (a deeply nested tuple would take its hash down with it)."""
    if key is None or isinstance(key, (str, int, float, bytes)):
        return key
    raise CheckpointError(f"the pickle has a {type(key).__name__} as the key of a dict")


def _set_items(machine, items):
    if len(items) % 2:
        raise CheckpointError("the pickle has a key without a value")
    target = machine.top(dict)
    for key, value in zip(items[::2], items[1::2]):
        target[_key(key)] = value


def _append(machine, items):
    machine.top(list).extend(items)


def _set_item(machine):
    value, key = machine.pop(), machine.pop()
    _set_items(machine, [key, value])


def _append_one(machine):
    item = machine.pop()
    _append(machine, [item])


def _tuple_of(count):
    def step(machine):
        items = [machine.pop() for _ in range(count)]
        machine.push(tuple(reversed(items)))

    return step


def _text(form):
    return lambda machine: machine.push(bytes(machine.take(machine.number(form))).decode("utf-8", "surrogatepass"))


def _bytes(form, as_text=False):
    def step(machine):
        value = bytes(machine.take(machine.number(form)))
        machine.push(value.decode("latin-1") if as_text else value)

    return step


def _protocol(machine):
    if machine.take(1)[0] > 5:
        raise CheckpointError("the pickle is of a protocol after 5")


_OPCODES = {
    ord(code): step
    for code, step in {
        "\x80": _protocol,
        "\x95": lambda m: m.take(8),  # FRAME
        "(": lambda m: m.marks.append(len(m.stack)),
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "K": lambda m: m.push(m.take(1)[0]),
        "M": lambda m: m.push(m.number("<H")),
        "J": lambda m: m.push(m.number("<i")),
        "\x8a": lambda m: m.push(int.from_bytes(m.take(m.take(1)[0]), "little", signed=True)),  # LONG1
        "G": lambda m: m.push(m.number(">d")),
        "X": _text("<I"),
        "\x8c": _text("<B"),
        "\x8d": _text("<Q"),
        "T": _bytes("<I", as_text=True),
        "U": _bytes("<B", as_text=True),
        "B": _bytes("<I"),
        "C": _bytes("<B"),
        ")": lambda m: m.push(()),
        "\x85": _tuple_of(1),
        "\x86": _tuple_of(2),
        "\x87": _tuple_of(3),
        "t": lambda m: m.push(tuple(m.pop_to_mark())),
        "]": lambda m: m.push([]),
        "a": _append_one,
        "e": lambda m: _append(m, m.pop_to_mark()),
        "}": lambda m: m.push({}),
        "s": _set_item,
        "u": lambda m: _set_items(m, m.pop_to_mark()),
        "q": lambda m: m.remember(m.take(1)[0]),
        "r": lambda m: m.remember(m.number("<I")),
        "\x94": lambda m: m.remember(len(m.memo)),  # MEMOIZE
        "h": lambda m: m.recall(m.take(1)[0]),
        "j": lambda m: m.recall(m.number("<I")),
        "c": lambda m: m.name(m.line(), m.line()),
        "\x93": lambda m: m.name_from_stack(),
        "Q": lambda m: m.persistent(),
        "R": lambda m: m.reduce(),
        "b": lambda m: m.build(),
    }.items()
}
