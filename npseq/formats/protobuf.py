"""Just enough of the protobuf wire format to write an ONNX file: varints, lengths, and the messages that are needed.

A message is a string of fields, each a varint ``number << 3 | kind`` and its value: kind 0 a varint, 2 a length and so
many bytes, 5 four bytes. Field numbers are those of ``onnx.proto`` (ONNX 1.16, IR version 8).
"""

import struct

import numpy as np

FLOAT, INT32, INT64 = 1, 6, 7  # TensorProto.DataType


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """One field: a whole number, text, bytes (a message or raw data), or a float (as four bytes)."""
    if isinstance(value, (int, np.integer)):
        return varint(number << 3) + varint(int(value))
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*fields):
    """(number, value) pairs -> a message; a value that is a list is a repeated field."""
    return b"".join(
        field(number, item) for number, value in fields for item in (value if isinstance(value, list) else [value])
    )


def tensor(name, array):
    """TensorProto of a float32 or int64 array."""
    kind = FLOAT if array.dtype.kind == "f" else INT64
    data = np.ascontiguousarray(array, "<f4" if kind == FLOAT else "<i8").tobytes()
    return message((1, list(array.shape)), (2, kind), (8, name), (9, data))


def attribute(name, value):
    """AttributeProto of a whole number, text, a list of whole numbers or a list of texts."""
    if isinstance(value, int):
        return message((1, name), (3, value), (20, 2))
    if isinstance(value, str):
        return message((1, name), (4, value), (20, 3))
    if isinstance(value[0], int):
        return message((1, name), (8, value), (20, 7))
    return message((1, name), (9, value), (20, 8))


def node(kind, inputs, outputs, **attributes):
    """NodeProto. An input left out is an empty name."""
    return message(
        (1, inputs),
        (2, outputs),
        (3, outputs[0] or kind),
        (4, kind),
        (5, [attribute(name, value) for name, value in attributes.items()]),
    )


def value_info(name, kind, shape):
    """ValueInfoProto: a tensor whose dimensions are numbers or, where they are free, names."""
    dimensions = [message((1, size)) if isinstance(size, int) else message((2, size)) for size in shape]
    return message((1, name), (2, message((1, message((1, kind), (2, message((1, dimensions))))))))


def model(nodes, name, inputs, outputs, initializers, producer, version, opset=17):
    """ModelProto."""
    graph = message((1, nodes), (2, name), (5, initializers), (11, inputs), (12, outputs))
    return message((1, 8), (2, producer), (3, version), (7, graph), (8, message((1, ""), (2, opset))))
