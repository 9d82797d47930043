"""As much of an ONNX file as is needed to read a layer that it does not give: names of nodes, and one more output.

A protobuf message may be continued at its end (repeated fields go on, messages merge), so that an output is added by
bytes behind the file; nothing else of it is understood here. Source: protocol buffers, encoding; onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_GRAPH, _NODE, _OUTPUT = 7, 1, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND = 1, 2, 4
_BYTES = 2
HEAD = 3
"""Products that a head has at most: a flattening further up belongs to something else."""


@dataclass(frozen=True)
class Node:
    """One operation: its kind and the names of what it takes and gives."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_nodes(model: bytes) -> list[Node]:
    """The operations of a model's graph, in its order. Raises ValueError for what is no such file."""
    try:
        return [_read_node(node) for graph in _fields(model, _GRAPH) for node in _fields(graph, _NODE)]
    except IndexError:
        raise ValueError("is cut off") from None


def feature_layer(model: bytes) -> str | None:
    """The name of what the model's last layers read: the map in front of the last flattening, or else what the
    last product is made of; None when it has neither. Raises ValueError."""
    nodes = read_nodes(model)
    made = {name for node in nodes for name in node.outputs}
    last, products = None, 0
    for node in reversed(nodes):
        if not node.inputs or node.inputs[0] not in made:
            continue
        if node.kind == "Flatten":
            return node.inputs[0]
        if node.kind in ("Gemm", "MatMul"):
            last, products = last or node.inputs[0], products + 1
            if products > HEAD:
                break
    return last


def with_output(model: bytes, name: str) -> bytes:
    """The model with the tensor `name` among its outputs, as the last one."""
    entry = _field(_OUTPUT, _field(1, name.encode()))
    return model + _field(_GRAPH, entry)


def _read_node(node: bytes) -> Node:
    inputs = tuple(name.decode() for name in _fields(node, _NODE_INPUT))
    outputs = tuple(name.decode() for name in _fields(node, _NODE_OUTPUT))
    kind = next((name.decode() for name in _fields(node, _NODE_KIND)), "")
    return Node(kind, inputs, outputs)


def _fields(message: bytes, wanted: int) -> Iterator[bytes]:
    """The contents of the fields of one number that hold bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, form = key >> 3, key & 7
        if form == _BYTES:
            length, place = _varint(message, place)
            if number == wanted:
                yield message[place : place + length]
            place += length
        elif form == 0:
            _, place = _varint(message, place)
        elif form in (1, 5):
            place += 8 if form == 1 else 4
        else:
            raise ValueError("is no ONNX file")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place


def _field(number: int, content: bytes) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
