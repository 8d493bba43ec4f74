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
HEADER_BYTES = 512  # a file holds no more than this besides its states


@dataclass(frozen=True, slots=True)
class States:
    """[T, D] of a flat batch, in the dtype of products; the blocks above go on in the dtype `wide`.

    `flat_TD` is a tensor, or what gives one when it is sliced.
    """

    flat_TD: Any
    wide: torch.dtype


class Store(Protocol):
    """Where states are kept. `spare` are those that may take no room that the rows of the run need."""

    def get(self, key: str, spare: bool) -> States | None: ...
    def put(self, key: str, states: States, spare: bool) -> None: ...


class Room:
    """At most `most_bytes`; of them `reserved` are left free by what is spare."""

    def __init__(self, most_bytes: int, reserved: int) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._left = most_bytes - reserved
        self._holders: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._holders

    def take(self, key: str, size: int, spare: bool) -> bool:
        """Whether there is room for `size` bytes, which is then taken; a key takes it once."""
        if key in self._holders:
            return True
        if self.bytes + size > self.most_bytes or (spare and size > self._left):
            return False
        self.bytes += size
        self._left -= size * spare
        self._holders.add(key)
        return True


class Memory:
    """States in a bounded `room`; what comes when it is full is not kept."""

    def __init__(self, most_bytes: int, reserved: int = 0) -> None:
        self.room = Room(most_bytes, reserved)
        self._held: dict[str, States] = {}

    def get(self, key: str, spare: bool) -> States | None:
        return self._held.get(key)

    def put(self, key: str, states: States, spare: bool) -> None:
        if self.room.take(key, states.flat_TD.nbytes, spare):
            self._held[key] = states


class Disk:
    """A safetensors file per key in `folder`, whole or absent, for its owner's eyes only.

    `folder`'s parent, which all runs share, holds at most the room's bytes: of what this run does not use, what was
    used longest ago makes room. What finds none goes to `instead`, as does all that comes once the disk has refused.
    """

    def __init__(self, folder: Path, most_bytes: int, reserved: int, instead: Memory, tell: Tell) -> None:
        self.folder, self.room, self.instead, self.tell = folder, Room(most_bytes, reserved), instead, tell
        self._refuses = False
        self._sound: set[str] = set()
        self._unseen = 0  # bytes that may be written before the folder is looked through again

    def get(self, key: str, spare: bool) -> States | None:
        """None where there is none, or where the file is not what was written."""
        path = self._path(key)
        if (held := self.instead.get(key, spare)) is not None:
            return held
        try:
            os.utime(path)
            if key not in self._sound:
                _check(path)
                self._sound.add(key)
            self.room.take(key, path.stat().st_size, spare)
            file: Any = safe_open(path, "pt")
            return States(file.get_slice("states"), getattr(torch, file.metadata()["wide"]))
        except FileNotFoundError:  # never written, or another run made room
            self._sound.discard(key)
            return None
        except SafetensorError:
            path.unlink(missing_ok=True)
            return None
        except OSError as error:
            self._refused(error)
            return None

    def put(self, key: str, states: States, spare: bool) -> None:
        """Writes the states; when the disk refuses, says so once and writes no more from then on."""
        if self._refuses or not self.room.take(key, states.flat_TD.nbytes + HEADER_BYTES, spare):
            self.instead.put(key, states, spare)
            return
        flat_TD = states.flat_TD.contiguous()
        told = {"wide": str(states.wide).removeprefix("torch."), "sha256": _sha256(flat_TD)}
        content = save({"states": flat_TD}, told)
        try:
            for place in (self.folder.parent, self.folder):
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                place.chmod(0o700)
            self._make_room(len(content))
            self._write(self._path(key), content)
            self._sound.add(key)
        except OSError as error:
            self._refused(error)
            self.instead.put(key, states, spare)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _write(self, path: Path, content: bytes) -> None:
        aside = path.with_name(f".{path.stem}.{os.getpid()}")
        aside.unlink(missing_ok=True)
        try:
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            os.replace(aside, path)
        except OSError:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise

    def _make_room(self, size: int) -> None:
        self._unseen -= size
        if self._unseen >= 0:
            return
        files = files_below(self.folder.parent)
        held = size + sum(each[1] for each in files)
        for _, freed, path in sorted(files):
            if held <= self.room.most_bytes:
                break
            if path.parent != self.folder or path.stem not in self.room:
                path.unlink(missing_ok=True)
                held -= freed
        self._unseen = (self.room.most_bytes - held) // 2  # the other half: for another run

    def _refused(self, error: OSError) -> None:
        if not self._refuses:
            self.tell(
                f"{self.folder} cannot keep the frozen trunk's states ({error.strerror or error}): they go into memory "
                "while it has room, and are computed anew each time after that, which is slow but changes no number; "
                "free space, or set AFFINA_CACHE to a roomier disk, and run the same command again"
            )
        self._refuses = True


def files_below(folder: Path) -> list[tuple[int, int, Path]]:
    """When it was used last (nanoseconds), its bytes, and the path: of every file that runs keep below `folder`."""
    found = []
    for path in folder.glob("*/*"):
        with suppress(FileNotFoundError):  # another run made room
            told = path.stat()
            found.append((told.st_mtime_ns, told.st_size, path))
    return found


def _check(path: Path) -> None:
    """Raises SafetensorError for a file that is not what was written, FileNotFoundError where there is none."""
    with safe_open(path, "pt") as file:
        told = file.metadata() or {}
    if _sha256(load_file(path)["states"]) != told.get("sha256"):
        raise SafetensorError(f"{path} changed since written")


def _sha256(flat_TD: torch.Tensor) -> str:
    return hashlib.sha256(flat_TD.reshape(-1).view(torch.uint8).numpy().data).hexdigest()
