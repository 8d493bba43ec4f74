"""Tensors in safetensors files, one at a time: a checkpoint of a whole model must not need its size in memory again."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.int8: "I8", torch.bool: "BOOL",
}  # fmt: skip
NAMED = {name: dtype for dtype, name in DTYPES.items()}
ALIGNED = 8  # bytes: where the numbers begin


def write(tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """One safetensors file; a tensor on another device or with gaps is copied, one after the other.

    Raises OSError when the disk refuses, ValueError for a dtype that the format's readers do not share.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    described: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in order:
        each, begin = tensors[name], end
        if each.dtype not in DTYPES:
            raise ValueError(f"{name}: {each.dtype} has no place in a safetensors file")
        end += each.numel() * each.element_size()
        described[name] = {"dtype": DTYPES[each.dtype], "shape": list(each.shape), "data_offsets": [begin, end]}
    header = json.dumps(described, separators=(",", ":")).encode()
    header += b" " * (-len(header) % ALIGNED)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for name in order:
            flat = tensors[name].detach().cpu().contiguous().view(-1)
            if flat.numel():
                file.write(memoryview(flat.view(torch.uint8).numpy().data))


class Tensors:
    """An open file: names, shapes, and tensors as they are asked for."""

    def __init__(self, file: BufferedReader, described: Mapping[str, Any]) -> None:
        self._file, self._described = file, described
        self._begin = file.tell()
        self.names: frozenset[str] = frozenset(described)

    def shape(self, name: str) -> torch.Size:
        """Without reading the numbers."""
        return torch.Size(self._described[name]["shape"])

    def read(self, name: str) -> torch.Tensor:
        """The tensor, on the processor, in memory of its own: no page of the file stays mapped."""
        start, stop = self._described[name]["data_offsets"]
        held = bytearray(stop - start)
        self._file.seek(self._begin + start)
        if self._file.readinto(held) != len(held):
            raise OSError(f"{self._file.name} ends before the numbers of {name}")
        dtype = NAMED[self._described[name]["dtype"]]
        flat = torch.frombuffer(held, dtype=dtype) if held else torch.empty(0, dtype=dtype)
        return flat.view(self.shape(name))


@contextmanager
def reading(path: Path) -> Iterator[Tensors]:
    """Raises OSError or SafetensorError for a file that is not whole."""
    with safe_open(path, framework="pt"):  # the format's own library says whether header and size are sound
        pass
    with path.open("rb") as file:
        described = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        described.pop("__metadata__", None)
        yield Tensors(file, described)
