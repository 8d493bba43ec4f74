"""Hidden states kept to be used again, in memory or on disk: a bounded number of bytes, found by what they are of."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class States:
    """[T, D] of a flat batch, in the dtype of products; the blocks above go on in the dtype `wide`.

    `flat_TD` is a tensor, or what gives one when it is sliced.
    """

    flat_TD: Any
    wide: torch.dtype


class Store(Protocol):
    """Where states are kept. `works` turns False when nothing can be kept there any more."""

    works: bool

    def get(self, key: str) -> States | None: ...
    def put(self, key: str, states: States) -> None: ...


class Memory:
    """At most `most_bytes` of states; what comes when it is full is not kept."""

    works = True

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._held: dict[str, States] = {}

    def get(self, key: str) -> States | None:
        return self._held.get(key)

    def put(self, key: str, states: States) -> None:
        size = states.flat_TD.nbytes
        if key not in self._held and self.bytes + size <= self.most_bytes:
            self.bytes += size
            self._held[key] = states


class Disk:
    """A safetensors file per key in `folder`, whole or absent. `folder`'s parent, which all runs share, holds at most
    `most_bytes`: what was used longest ago makes room. A disk that refuses is told of once, and then left alone."""

    def __init__(self, folder: Path, most_bytes: int, tell: Tell) -> None:
        self.folder, self.most_bytes, self.tell = folder, most_bytes, tell
        self.works = True
        self._sound: set[str] = set()

    def get(self, key: str) -> States | None:
        """None where there is none, or where the file is not what was written."""
        path = self._path(key)
        if not self.works:
            return None
        try:
            if key not in self._sound:
                _check(path)
                os.utime(path)
                self._sound.add(key)
            file: Any = safe_open(path, "pt")
            return States(file.get_slice("states"), getattr(torch, file.metadata()["wide"]))
        except FileNotFoundError:  # never written, or another run made room
            return None
        except SafetensorError:
            path.unlink(missing_ok=True)
            return None
        except OSError as error:
            self._refused(error)
            return None

    def put(self, key: str, states: States) -> None:
        """Writes the states; when the disk refuses, says so and keeps nothing from then on."""
        if not self.works:
            return
        path = self._path(key)
        aside = path.with_name(f".{key}.{os.getpid()}")
        flat_TD = states.flat_TD.contiguous()
        told = {"wide": str(states.wide).removeprefix("torch."), "sha256": _sha256(flat_TD)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(flat_TD.nbytes)
            aside.write_bytes(save({"states": flat_TD}, told))
            os.replace(aside, path)
            self._sound.add(key)
        except OSError as error:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            self._refused(error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _make_room(self, size: int) -> None:
        files = []
        for path in self.folder.parent.glob("*/*"):
            with suppress(FileNotFoundError):  # another run made room
                told = path.stat()
                files.append((told.st_mtime_ns, told.st_size, path))
        held = sum(each[1] for each in files)
        for _, freed, path in sorted(files):
            if held + size <= self.most_bytes:
                return
            path.unlink(missing_ok=True)
            held -= freed

    def _refused(self, error: OSError) -> None:
        self.works = False
        self.tell(
            f"{self.folder} cannot keep the frozen trunk's states ({error.strerror or error}): they are computed anew "
            "each time; free space, or set AFFINA_CACHE to a roomier disk"
        )


def _check(path: Path) -> None:
    """Raises SafetensorError for a file that is not what was written, FileNotFoundError where there is none."""
    with safe_open(path, "pt") as file:
        told = file.metadata() or {}
    if _sha256(load_file(path)["states"]) != told.get("sha256"):
        raise SafetensorError(f"{path} changed since written")


def _sha256(flat_TD: torch.Tensor) -> str:
    return hashlib.sha256(flat_TD.reshape(-1).view(torch.uint8).numpy().data).hexdigest()
