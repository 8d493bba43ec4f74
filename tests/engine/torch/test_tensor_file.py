"""What is written tensor by tensor is what the format's own library reads, and the other way round."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from affina.engine.torch import tensor_file

DTYPES = [*tensor_file.DTYPES]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=12).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3)),
        min_size=1,
        max_size=6,
    )
)
def test_the_library_reads_what_is_written(tmp_path_factory: pytest.TempPathFactory, given_tensors: dict) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("t") / "t.safetensors"
    tensors = {name: (torch.rand(shape) * 9).to(dtype) for name, (dtype, shape) in given_tensors.items()}
    tensor_file.write(tensors, path, {"format": "pt"})
    found = load_file(path)
    assert found.keys() == tensors.keys()
    assert all(found[name].dtype == each.dtype and torch.equal(found[name], each) for name, each in tensors.items())


def test_what_the_library_writes_is_read_one_by_one(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}
    save_file(tensors, tmp_path / "t.safetensors")
    with tensor_file.reading(tmp_path / "t.safetensors") as opened:
        assert opened.names == {"a", "b"} and opened.shape("a") == (2, 3)
        assert all(torch.equal(opened.read(name), each) for name, each in tensors.items())


def test_the_numbers_begin_at_a_multiple_of_eight(tmp_path: Path) -> None:
    for size in range(1, 9):
        tensor_file.write({"n" * size: torch.ones(1)}, tmp_path / "t.safetensors")
        header = int.from_bytes((tmp_path / "t.safetensors").read_bytes()[:8], "little")
        assert header % 8 == 0


def test_a_dtype_without_a_place_in_the_format_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="complex64"):
        tensor_file.write({"z": torch.ones(1, dtype=torch.complex64)}, tmp_path / "t.safetensors")
