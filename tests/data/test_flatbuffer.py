import pyarrow as pa
import pytest

from affina.data.flatbuffer import batch_length


def headers(*lengths: int) -> list[bytes]:
    held = pa.BufferOutputStream()
    schema = pa.schema([("a", pa.int64()), ("b", pa.list_(pa.string()))])
    with pa.ipc.new_stream(held, schema) as writer:
        for length in lengths:
            writer.write(pa.record_batch({"a": range(length), "b": [["x"]] * length}, schema))
    messages = [*pa.ipc.MessageReader.open_stream(held.getvalue())]
    return [message.metadata.to_pybytes() for message in messages if message.type == "record batch"]


def test_the_length_of_a_batch_stands_in_its_header() -> None:
    lengths = [1, 0, 70_000, 3]
    assert [batch_length(header) for header in headers(*lengths)] == lengths


def test_a_header_cut_off_anywhere_is_an_error_or_tells_the_same() -> None:
    (header,) = headers(5)
    for size in range(len(header)):
        try:
            assert batch_length(header[:size]) == 5
        except ValueError:
            continue
    with pytest.raises(ValueError, match="makes no sense"):
        batch_length(b"\xff" * 64)
