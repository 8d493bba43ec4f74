"""Compressed files and archives as the files in them, copied into the scratch folder so that any reader can read them.

A member is called `archive.zip!/folder/member.csv`; what follows `!/` in `data.read` may be a member, a folder of the
archive or a pattern, and an archive in an archive takes another `!/`.
"""

from collections.abc import Collection, Hashable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from affina.core.errors import Refused, nearest
from affina.data import archive, decompress, packed, scratch
from affina.data.allowance import Allowance, copied, damage
from affina.data.archive import Member

INSIDE = "!/"
NESTING = 4
"""How many packed files deep a file may lie, as `a.tar.gz!/b.zip!/c.csv.gz` does."""


@dataclass
class Unpacked:
    """What came out of one packed file."""

    files: list[Path] = field(default_factory=list)
    """In the scratch folder, sorted by what they are called."""
    aside: list[str] = field(default_factory=list)
    """Members that were not wanted."""


def unpacked(path: Path, inside: str, wanted: Collection[str], among: bool = False) -> Unpacked:
    """The files in a packed file: those that `inside` names, or else those whose endings are `wanted`.

    A file that is compressed alone, and the only member of an archive, are taken whatever their ending, unless the
    packed file is one `among` others. Raises Refused for what is damaged, encrypted, a bomb, or would leave the folder.
    """
    status = path.stat()
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    job = _Job(Allowance(scratch.shown(path), status.st_size), stamp, frozenset(wanted))
    found = Unpacked(sorted(job.files(path, inside, 0), key=scratch.shown), job.aside)
    names = [each.removeprefix(f"{scratch.shown(path)}{INSIDE}") for each in job.aside]
    if not found.files and not inside and len(names) == 1 and not among:
        found = Unpacked([*job.files(path, names[0], 0)])
    return found


def nothing(path: Path, inside: str, aside: Sequence[str], wanted: Collection[str]) -> Refused:
    """What there is to say where nothing came out."""
    shown = scratch.shown(path)
    names = [each.removeprefix(f"{shown}{INSIDE}") for each in aside]
    if inside:
        return Refused(f"nothing in {shown} is called '{inside}'", instead=nearest(inside, names) if names else "")
    endings = f", and none ends in {', '.join(sorted(wanted))}" if names else ""
    return Refused(f"{shown} holds no file that can be read", f"it has {len(names)} files{endings}")


def matches(name: str, pattern: str) -> bool:
    """Whether a member is what a pattern names: itself, what is in that folder, or as `glob` matches with `**`."""
    plain = pattern.rstrip("/")
    if name == plain or name.startswith(f"{plain}/"):
        return True
    return _alike(name.split("/"), plain.split("/"))


def _alike(names: Sequence[str], parts: Sequence[str]) -> bool:
    if not parts or not names:
        return not names and all(part == "**" for part in parts)
    if parts[0] == "**":
        return _alike(names[1:], parts) or _alike(names, parts[1:])
    return fnmatchcase(names[0], parts[0]) and _alike(names[1:], parts[1:])


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


@dataclass
class _Job:
    """One packed file being taken apart."""

    allowance: Allowance
    stamp: tuple[int, ...]
    """Of the outermost file: what came out of it before is used again as long as it is the same."""
    wanted: frozenset[str]
    aside: list[str] = field(default_factory=list)

    def files(self, path: Path, inside: str, depth: int) -> Iterator[Path]:
        """The files in a file, itself where it is not packed; `inside` names what is wanted of an archive."""
        shown = scratch.shown(path)
        if depth > NESTING:
            raise Refused(
                f"{shown} is packed too deep", f"{NESTING} packed files in one another are taken", archive.UNPACK
            )
        packing = packed.kind(path)
        if not packing and not inside:
            yield path
            return
        with ExitStack() as stack:
            stack.enter_context(damage(shown, self.allowance))
            if packing == "zip":
                yield from self._members(archive.of_zip(path), shown, inside, depth)
                return
            flow = stack.enter_context(decompress.opened(path, packing))
            if packed.is_tar(flow.peek(512)):
                yield from self._members(archive.of_tar(flow, shown), shown, inside, depth)
            elif packing and not inside:
                yield from self._alone(flow, shown, path.name, depth)
            else:
                raise Refused(f"{shown} is no archive", f"and `{INSIDE}{inside}` is asked of it", f"name {shown} alone")

    def _alone(self, flow: decompress.Flow, shown: str, name: str, depth: int) -> Iterator[Path]:
        """What a compressed file holds, called as the file itself."""
        key = (self.stamp, shown, depth)
        path = scratch.remembered(key)
        if path is None:
            path = copied(flow, packed.bare(name), shown, self.allowance)
        yield from self._further(key, path, "", depth)

    def _members(self, members: Iterator[Member], shown: str, inside: str, depth: int) -> Iterator[Path]:
        first, _, rest = inside.partition(INSIDE)
        for member in members:
            called = f"{shown}{INSIDE}{member.name}"
            if _hidden(member.name) and member.name != first:
                continue
            if not (matches(member.name, first) if first else self._readable(member.name)):
                self.aside.append(called)
                continue
            key = (self.stamp, called, depth)
            path = scratch.remembered(key)
            if path is None:
                self.allowance.fits(member.size_bytes)
                path = copied(member.open(), member.name, called, self.allowance)
            yield from self._further(key, path, rest, depth)

    def _further(self, key: Hashable, path: Path, rest: str, depth: int) -> Iterator[Path]:
        """A file that came out, or the files in it where it is packed too."""
        scratch.remember(key, path)
        yield from self.files(path, rest, depth + 1)

    def _readable(self, name: str) -> bool:
        """Whether the ending is one that a reader claims, or an archive's."""
        plain = PurePosixPath(packed.bare(name.lower()))
        return plain.suffix in self.wanted or plain.suffix in packed.ARCHIVES
