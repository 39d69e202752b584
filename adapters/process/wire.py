"""Messages between processes: a length, a JSON header and raw arrays, laid out as a safetensors file.

8 bytes: length of the header, little-endian. Header: {"__metadata__": {text: text}, array name: {"dtype": "F32",
"shape": [2, 3], "data_offsets": [begin, end]}}. Then the arrays' bytes, little-endian and C-contiguous. Unlike npz it
holds bfloat16, and needs neither ZIP nor checksums from a program that speaks it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import IO, Any

import ml_dtypes  # noqa: F401 - tells NumPy what "bfloat16" is
import numpy as np

from xentcheck.errors import ProtocolError
from xentcheck.reference.formats import Array

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
"""Names in a header, and NumPy's."""

LONGEST_HEADER = 1 << 24
"""Bytes; more is another program's output, not a header."""

LONGEST_DATA = 1 << 36
"""Bytes of all arrays of a message."""


@dataclass(frozen=True)
class Message:
    """Text by name and arrays by name."""

    text: Mapping[str, str]
    arrays: Mapping[str, Array] = field(default_factory=dict)


def write(stream: IO[bytes], message: Message) -> None:
    """Write a message and flush. Raises ProtocolError for an array of a dtype that no header can name."""
    names = {numpy: name for name, numpy in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(message.text)}
    parts: list[bytes] = []
    end = 0
    for key, array in message.arrays.items():
        if str(array.dtype) not in names:
            raise ProtocolError(f"{key} has dtype {array.dtype}; allowed: {', '.join(names)}")
        parts.append(np.ascontiguousarray(array).tobytes())
        begin, end = end, end + len(parts[-1])
        header[key] = {"dtype": names[str(array.dtype)], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text + b"".join(parts))
    stream.flush()


def read(stream: IO[bytes]) -> Message | None:
    """The next message, or None at the end of the stream. Raises ProtocolError for anything else.

    >>> from io import BytesIO
    >>> pipe = BytesIO()
    >>> write(pipe, Message({"message": "hello"}, {"x": np.arange(3, dtype="bfloat16")}))
    >>> found = read(BytesIO(pipe.getvalue()))
    >>> found.text["message"], found.arrays["x"].tolist()
    ('hello', [0.0, 1.0, 2.0])
    """
    first = stream.read(8)
    if not first:
        return None
    length = int.from_bytes(first, "little")
    if len(first) < 8 or not 0 < length <= LONGEST_HEADER:
        raise ProtocolError(f"no message begins with {first!r}; allowed: 8 bytes that tell the length of a header")
    try:
        header = json.loads(_exactly(stream, length))
        text = header.pop("__metadata__", {})
        places = {name: _place(name, entry) for name, entry in header.items()}
        if not all(isinstance(value, str) for value in text.values()):
            raise TypeError("__metadata__ holds more than text")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"malformed header: {type(error).__name__}: {error}") from error
    data = _exactly(stream, max((end for *_, end in places.values()), default=0))
    arrays = {
        name: np.frombuffer(data[begin:end], dtype).reshape(shape)
        for name, (dtype, shape, begin, end) in places.items()
    }
    return Message(text, arrays)


def _place(name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """dtype, shape, first byte and the byte after the last. Raises ValueError, TypeError or KeyError."""
    dtype = np.dtype(DTYPES[entry["dtype"]])
    shape = tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
        raise ValueError(f"shape {shape} or offsets {begin}, {end} of {name} are no natural numbers")
    if end > LONGEST_DATA:
        raise ValueError(f"{name} ends at byte {end}; allowed: {LONGEST_DATA}")
    if end - begin != prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has {end - begin} bytes; allowed: {prod(shape) * dtype.itemsize} for shape {shape}")
    return dtype, shape, begin, end


def _exactly(stream: IO[bytes], length: int) -> bytes:
    try:
        data = stream.read(length)
    except MemoryError:
        raise ProtocolError(f"a message of {length} bytes does not fit into memory") from None
    if len(data) < length:
        raise ProtocolError(f"a message ends after {len(data)} of {length} bytes")
    return data
