"""Messages between processes: what is written is read again, and nothing else is taken for a message."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xentcheck.adapters.process.requests import problem_of, request
from xentcheck.adapters.process.wire import DTYPES, Message, read, write
from xentcheck.errors import ProtocolError
from xentcheck.reference.problem import Problem

ARRAYS = st.sampled_from(sorted(set(DTYPES.values()) - {"bfloat16"})).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


def sent(message: Message) -> bytes:
    """The bytes of a message."""
    pipe = BytesIO()
    write(pipe, message)
    return pipe.getvalue()


@given(st.dictionaries(st.text(), st.text(), max_size=3), st.dictionaries(st.text(min_size=1), ARRAYS, max_size=3))
def test_what_is_written_is_read_again(text: dict[str, str], arrays: dict[str, Any]) -> None:
    """Texts, dtypes, shapes, bits, and the stream ends where the message does: alone for all that Hypothesis finds."""
    arrays.pop("__metadata__", None)
    stream = BytesIO(sent(Message(text, arrays)) * 2)
    for _ in range(2):
        found = read(stream)
        assert found is not None
        assert found.text == text
        assert list(found.arrays) == list(arrays)
        for name, array in arrays.items():
            assert found.arrays[name].dtype == array.dtype
            assert found.arrays[name].shape == array.shape
            assert found.arrays[name].tobytes() == array.tobytes()
    assert read(stream) is None


def test_bfloat16_and_strided_arrays_travel() -> None:
    """The dtype that npz cannot hold, and values in their order whatever the strides."""
    array = np.arange(6.0).reshape(2, 3).astype("bfloat16").T
    found = read(BytesIO(sent(Message({}, {"x": array}))))
    assert found is not None
    assert str(found.arrays["x"].dtype) == "bfloat16"
    assert found.arrays["x"].tolist() == array.tolist()


def header(data: object, rest: bytes = b"") -> bytes:
    """A message of any JSON."""
    text = json.dumps(data).encode()
    return len(text).to_bytes(8, "little") + text + rest


ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
MALFORMED = {
    "text": b"Loading checkpoint shards\n",
    "cut in the length": b"\x01\x00",
    "no length": bytes(8),
    "cut in the header": header({"x": ENTRY})[:20],
    "cut in the data": header({"x": ENTRY}, b"\x00" * 3),
    "no object": header([1]),
    "no JSON": (3).to_bytes(8, "little") + b"abc",
    "metadata": header({"__metadata__": {"message": 1}}),
    "metadata kind": header({"__metadata__": 3}),
    "dtype": header({"x": {**ENTRY, "dtype": "C64"}}),
    "offsets": header({"x": {**ENTRY, "data_offsets": [0, 3]}}),
    "more bytes than numbers": header({"x": {**ENTRY, "data_offsets": [0, 8]}}, bytes(8)),
    "negative": header({"x": {**ENTRY, "shape": [-1], "data_offsets": [4, 0]}}),
    "field": header({"x": {"dtype": "F32"}}),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_anything_else_is_one_line(name: str) -> None:
    """A program that prints to its standard output is the usual cause."""
    with pytest.raises(ProtocolError) as found:
        read(BytesIO(MALFORMED[name]))
    assert "\n" not in str(found.value)


def test_a_dtype_without_a_name_is_refused() -> None:
    """The other side could not know what it is."""
    with pytest.raises(ProtocolError, match="x has dtype complex64; allowed: float64, "):
        sent(Message({}, {"x": np.zeros(2, np.complex64)}))


@pytest.mark.parametrize(("backwards", "word"), [(1, None), (2, "twice"), (3, "thrice")])
def test_several_backwards_are_asked_for_in_a_word(backwards: int, word: str | None) -> None:
    """And only then; whoever answers reads the same number."""
    p = Problem(logits=np.zeros((2, 3)), target=np.array([0, 1]), backwards=backwards)
    message = request("compute", p)
    assert message.text.get("backward") == word
    assert problem_of(message).backwards == backwards
