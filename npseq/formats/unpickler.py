"""An interpreter of the pickle opcodes that ``torch.save`` writes. Nothing is imported, called or looked up.

A pickle is a program for a stack machine, and ``pickle.load`` runs whatever it says. This interpreter knows the opcodes
below and a short list of names (``pickle_names.py``); any other opcode is refused, and any other object is passed over
unread.

Source: the opcode comments of CPython's ``pickletools``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .pickle_names import (
    STORAGES,
    CheckpointError,
    DType,
    Foreign,
    Name,
    Storage,
    call,
    is_count,
    item_size,
    named,
    put,
)

__all__ = ["STORAGES", "CheckpointError", "Foreign", "Unpickled", "item_size", "unpickle"]

GetStorage = Callable[[str, "str | None", int], np.ndarray]


class Unpickled(NamedTuple):
    """What a pickle holds.

    ``value``: dicts, lists, tuples, numbers, strings, None, arrays and ``Foreign``; ``foreign``: the names of what was
    passed over, each once; ``called``: those of them that the pickle names as functions to call.
    """

    value: Any
    foreign: list[str]
    called: list[str]


def unpickle(data: bytes, storage: GetStorage) -> Unpickled:
    """Interpret a pickle.

    Args:
        data: bytes.
        storage: called with (key, dtype or None, number of elements) for each storage that the pickle refers to;
            returns a flat uint8 array of its bytes. A dtype of None stands for an untyped storage, whose number counts
            bytes.

    Raises:
        CheckpointError: for a pickle that is broken, or that no ``torch.save`` writes.
    """
    machine = _Machine(data, storage)
    try:
        value = machine.run()
    except (IndexError, struct.error, UnicodeDecodeError):
        raise CheckpointError(f"the pickle is broken near byte {machine.at}") from None
    return Unpickled(value, list(machine.foreign), list(machine.called))


class _Machine:
    def __init__(self, data: bytes, storage: GetStorage) -> None:
        self.data, self.storage, self.at = data, storage, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.foreign: dict[str, None] = {}
        self.called: dict[str, None] = {}

    def run(self) -> Any:
        while True:
            code = self.take(1)[0]
            step = _OPCODES.get(code)
            if step is None:
                if code == ord("."):
                    return self.pop()
                raise CheckpointError(f"the pickle uses the opcode 0x{code:02x}, which no weights file needs: refused")
            step(self)

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if count < 0 or len(part) != count:
            raise CheckpointError("the pickle is cut off")
        self.at += count
        return part

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + 256)
        if end < 0:
            raise CheckpointError("the pickle has a name without an end")
        text = bytes(self.data[self.at : end]).decode()
        self.at = end + 1
        return text

    def push(self, value: Any) -> None:
        if isinstance(value, Foreign) and not isinstance(value, DType):
            self.foreign.setdefault(value.name)
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.marks and len(self.stack) <= self.marks[-1]:
            raise CheckpointError("pickle stack underflow")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise CheckpointError("the pickle closes a group that it has not opened")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def remember(self, index: int) -> None:
        if not self.stack:
            raise CheckpointError("the pickle remembers what it does not have")
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise CheckpointError("the pickle refers to an undefined memo entry")
        self.push(self.memo[index])

    # ---- what is filled after it was made ----

    def top(self, kind: type) -> Any:
        value = self.stack[-1] if self.stack else None
        if not isinstance(value, (kind, Foreign)):
            raise CheckpointError(f"the pickle fills a {type(value).__name__} as if it were a {kind.__name__}")
        return value

    def append(self, items: list[Any]) -> None:
        target = self.top(list)
        if not isinstance(target, Foreign):
            target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise CheckpointError("the pickle has a key without a value")
        target = self.top(dict)
        if not isinstance(target, Foreign):
            for key, value in zip(items[::2], items[1::2]):
                if not put(target, key, value):
                    self.foreign.setdefault(f"what stands under a {type(key).__name__}")

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def append_one(self) -> None:
        item = self.pop()
        self.append([item])

    # ---- names, and the few things that may be done with them ----

    def name_from_stack(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("the pickle asks for something that has no name")
        self.push(named(module, name))

    def reduce(self) -> None:
        args, function = self.pop(), self.pop()
        if isinstance(function, Foreign):
            self.called.setdefault(function.name)
        self.push(call(function, args))

    def new_object(self, with_names: bool = False) -> None:
        """An object of a class, from its arguments: ``cls.__new__(cls, *args)``."""
        for _ in range(2 if with_names else 1):
            self.pop()
        kind = self.pop()
        if isinstance(kind, Name):  # such as an empty torch.Size
            raise CheckpointError(f"the pickle makes a {kind} in a way that torch does not")
        if not isinstance(kind, Foreign):
            raise CheckpointError("the pickle makes an object of something that is not a class")
        self.push(Foreign(kind.name))

    def build(self) -> None:
        """The state of an object: torch attaches ``_metadata`` to a state_dict; it holds no tensors and is ignored, as
        is the state of a foreign object. A NumPy dtype has its byte order there."""
        state = self.pop()
        value = self.stack[-1] if self.stack else None
        if not isinstance(value, (dict, np.ndarray, Foreign)):
            raise CheckpointError("the pickle sets the state of something that has none")
        if isinstance(value, DType) and isinstance(state, tuple) and state[1:2] in (("<",), (">",), ("|",), ("=",)):
            value.order = state[1]

    def persistent(self) -> None:
        """('storage', type, key, location, number of elements[, view]): push the storage's bytes and dtype."""
        given = self.pop()
        if not (
            isinstance(given, tuple)
            and len(given) in (5, 6)
            and given[0] == "storage"
            and isinstance(given[1], Name)
            and given[1].name in STORAGES
            and isinstance(given[2], str)
            and is_count(given[4])
            and (len(given) == 5 or given[5] is None)
        ):
            kind = f" of {given[1].name[:60]}" if isinstance(given, tuple) and _is_foreign(given[1:2]) else ""
            raise CheckpointError(f"the pickle refers to a storage{kind} in a way that torch does not")
        kind, key, count = given[1].name, given[2], given[4]
        dtype = STORAGES[kind]
        self.push(Storage(dtype, count, self.storage(key, None if kind == "UntypedStorage" else dtype, count)))


def _is_foreign(values: tuple[Any, ...]) -> bool:
    return bool(values) and isinstance(values[0], Foreign)


_Step = Callable[[_Machine], Any]


def _tuple_of(count: int) -> _Step:
    def step(machine: _Machine) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.push(tuple(reversed(items)))

    return step


def _text(form: str) -> _Step:
    return lambda machine: machine.push(bytes(machine.take(machine.number(form))).decode("utf-8", "surrogatepass"))


def _bytes(form: str, as_text: bool = False) -> _Step:
    def step(machine: _Machine) -> None:
        value = bytes(machine.take(machine.number(form)))
        machine.push(value.decode("latin-1") if as_text else value)

    return step


def _set_of(machine: _Machine) -> None:
    machine.pop_to_mark()
    machine.push(Foreign("builtins.frozenset"))


def _protocol(machine: _Machine) -> None:
    if machine.take(1)[0] > 5:
        raise CheckpointError("the pickle is of a protocol after 5")


def _frame(machine: _Machine) -> None:
    size = machine.number("<Q")
    if size > len(machine.data) - machine.at:
        raise CheckpointError(f"the pickle has a frame of {size} bytes, more than are left")


_OPCODES: dict[int, _Step] = {
    ord(code): step
    for code, step in {
        "\x80": _protocol,
        "\x95": _frame,
        "(": lambda m: m.marks.append(len(m.stack)),
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "K": lambda m: m.push(m.take(1)[0]),
        "M": lambda m: m.push(m.number("<H")),
        "J": lambda m: m.push(m.number("<i")),
        "\x8a": lambda m: m.push(int.from_bytes(m.take(m.take(1)[0]), "little", signed=True)),  # LONG1
        "G": lambda m: m.push(m.number(">d")),
        "\x8b": lambda m: m.push(int.from_bytes(m.take(m.number("<i")), "little", signed=True)),  # LONG4
        "X": _text("<I"),
        "\x8c": _text("<B"),
        "\x8d": _text("<Q"),
        "T": _bytes("<I", as_text=True),
        "U": _bytes("<B", as_text=True),
        "B": _bytes("<I"),
        "C": _bytes("<B"),
        "\x8e": _bytes("<Q"),
        "\x96": _bytes("<Q"),  # BYTEARRAY8
        ")": lambda m: m.push(()),
        "\x85": _tuple_of(1),
        "\x86": _tuple_of(2),
        "\x87": _tuple_of(3),
        "t": lambda m: m.push(tuple(m.pop_to_mark())),
        "]": lambda m: m.push([]),
        "a": lambda m: m.append_one(),
        "e": lambda m: m.append(m.pop_to_mark()),
        "}": lambda m: m.push({}),
        "s": lambda m: m.set_item(),
        "u": lambda m: m.set_items(m.pop_to_mark()),
        "q": lambda m: m.remember(m.take(1)[0]),
        "r": lambda m: m.remember(m.number("<I")),
        "\x94": lambda m: m.remember(len(m.memo)),  # MEMOIZE
        "h": lambda m: m.recall(m.take(1)[0]),
        "j": lambda m: m.recall(m.number("<I")),
        "c": lambda m: m.push(named(m.line(), m.line())),
        "\x93": lambda m: m.name_from_stack(),
        "Q": lambda m: m.persistent(),
        "R": lambda m: m.reduce(),
        "\x81": lambda m: m.new_object(),
        "\x92": lambda m: m.new_object(with_names=True),
        "\x8f": lambda m: m.push(Foreign("builtins.set")),
        "\x90": lambda m: (m.pop_to_mark(), m.top(set)),  # ADDITEMS
        "\x91": _set_of,  # FROZENSET
        "b": lambda m: m.build(),
    }.items()
}
