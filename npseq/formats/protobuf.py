"""Just enough of the protobuf wire format to write an ONNX file: varints, lengths, and the messages that are needed.

A message is a string of fields, each a varint ``number << 3 | kind`` and its value: kind 0 a varint, 2 a length
followed by that many bytes, 5 four bytes. Field numbers are those of ``onnx.proto`` (ONNX 1.16, IR version 8).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

FLOAT, INT32, INT64, DOUBLE = 1, 6, 7, 11  # TensorProto.DataType
_TENSORS = {np.dtype("f4"): (FLOAT, "<f4"), np.dtype("f8"): (DOUBLE, "<f8"), np.dtype("i8"): (INT64, "<i8")}


def varint(value: int) -> bytes:
    """Return a whole number in groups of seven bits, the lowest first; a set top bit says that more follow. Negative
    numbers are written as 64-bit two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: Any) -> bytes:
    """Return one field: a whole number, text, bytes (a message or raw data), or a float (as four bytes)."""
    if isinstance(value, (int, np.integer)):
        return varint(number << 3) + varint(int(value))
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*fields: tuple[int, Any]) -> bytes:
    """Return a message of (number, value) pairs; a value that is a list is a repeated field."""
    return b"".join(
        field(number, item) for number, value in fields for item in (value if isinstance(value, list) else [value])
    )


def tensor(name: str, array: np.ndarray) -> bytes:
    """Return the TensorProto of a float32, float64 or int64 array."""
    kind, form = _TENSORS[array.dtype]
    return message((1, list(array.shape)), (2, kind), (8, name), (9, np.ascontiguousarray(array, form).tobytes()))


def attribute(name: str, value: int | str | list[int] | list[str]) -> bytes:
    """Return the AttributeProto of a whole number, text, a list of whole numbers or a list of texts."""
    if isinstance(value, int):
        return message((1, name), (3, value), (20, 2))
    if isinstance(value, str):
        return message((1, name), (4, value), (20, 3))
    if isinstance(value[0], int):
        return message((1, name), (8, value), (20, 7))
    return message((1, name), (9, value), (20, 8))


def node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> bytes:
    """Return a NodeProto. An input that is left out is an empty name."""
    return message(
        (1, inputs),
        (2, outputs),
        (3, outputs[0] or kind),
        (4, kind),
        (5, [attribute(name, value) for name, value in attributes.items()]),
    )


def value_info(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    """Return the ValueInfoProto of a tensor whose dimensions are numbers or, where they are free, names."""
    dimensions = [message((1, size)) if isinstance(size, int) else message((2, size)) for size in shape]
    return message((1, name), (2, message((1, message((1, kind), (2, message((1, dimensions))))))))


def model(
    nodes: list[bytes],
    name: str,
    inputs: list[bytes],
    outputs: list[bytes],
    initializers: list[bytes],
    producer: str,
    version: str,
    opset: int = 17,
) -> bytes:
    """Return a ModelProto: one graph, and who has made it."""
    graph = message((1, nodes), (2, name), (5, initializers), (11, inputs), (12, outputs))
    return message((1, 8), (2, producer), (3, version), (7, graph), (8, message((1, ""), (2, opset))))
