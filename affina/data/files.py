"""What `data.read` means: files, folders, patterns, packed files, standard input and databases to a list of files.

What is no file that a reader can take is made one in the scratch folder; `scratch.shown` says what each stands for.
"""

import os
import stat
import sys
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO

from affina.core.address import SQLITE, STANDARD_INPUT, WRITTEN_OUT, filled, is_address, literal_secret
from affina.core.errors import Refused, nearest
from affina.core.kinds import Reader, readers
from affina.data import packed, scratch
from affina.data.allowance import Allowance, copied, damage
from affina.data.recognise import suffixes
from affina.data.unpack import INSIDE, nothing, unpacked


def listed(read: Sequence[str], folder: Path, reader: Reader | None = None) -> tuple[list[Path], list[str]]:
    """The files, each once, in order, and notes on what was passed over. Raises Refused for a path without files.

    Standard input is read once in a process, and so is a packed file as long as it does not change; a database is
    asked anew each time.
    """
    found, notes = by_entry(read, folder, reader)
    return list(dict.fromkeys(path for paths in found.values() for path in paths)), notes


def by_entry(
    read: Sequence[str], folder: Path, reader: Reader | None = None
) -> tuple[dict[str, list[Path]], list[str]]:
    """`listed`, the files by what names them."""
    found: dict[str, list[Path]] = {}
    notes: list[str] = []
    with scratch.called_by_name():
        for entry in dict.fromkeys(read):
            found[entry] = list(_meant(entry, folder, reader, notes))
    return found, list(map(scratch.told, dict.fromkeys(notes)))


def short_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Each file's own name, with as many of its folders before it as it takes to tell it from the others."""
    parts = {path: Path(scratch.shown(path)).parts for path in paths}
    names = {path: each[-1] for path, each in parts.items()}
    for depth in range(2, max(map(len, parts.values()), default=0) + 1):
        times = Counter(names.values())
        for path, name in names.items():
            if times[name] > 1:
                names[path] = "/".join(parts[path][-depth:])
    return names


def _meant(entry: str, folder: Path, reader: Reader | None, notes: list[str]) -> Iterator[Path]:
    """The files that one entry means."""
    path = folder / entry
    if entry == STANDARD_INPUT:
        yield from _unpacked(_standard_input(), "", reader, notes)
    elif is_address(entry):
        yield _fetched(entry, folder, reader)
    elif path.is_dir():
        yield from _inside(path, reader, notes)
    elif path.exists():
        yield from _unpacked(path, "", reader, notes)
    elif INSIDE in entry:
        outer, _, inside = entry.partition(INSIDE)
        for each in _named(folder / outer, outer):
            yield from _unpacked(each, inside, reader, notes)
    else:
        for each in _named(path, entry):
            yield from _unpacked(each, "", reader, notes)


def _named(path: Path, entry: str) -> list[Path]:
    """The file, or the files that a pattern matches. Raises Refused where there are none."""
    if path.is_file():
        return [path]
    if not has_magic(entry):
        raise _missing(path)
    files = [Path(match) for match in sorted(glob(str(path), recursive=True)) if Path(match).is_file()]
    if not files:
        raise Refused(f"no file matches {path}", instead="check the pattern in `data.read`")
    return files


def _unpacked(path: Path, inside: str, reader: Reader | None, notes: list[str]) -> list[Path]:
    """The file itself, or the files in it. Raises Refused where there are none."""
    if stat.S_ISFIFO(path.stat().st_mode):
        path = _piped(path)
    if not inside and not packed.kind(path):
        return [path]
    wanted, shown = _wanted(reader), scratch.shown(path)
    found = unpacked(path, inside, wanted)
    if not found.files:
        raise nothing(path, inside, found.aside, wanted)
    if not inside:
        _refuse_mixed(shown, found.files, reader)
        notes += _not_read(shown, [each.removeprefix(f"{shown}{INSIDE}") for each in found.aside])
    return found.files


def _wanted(reader: Reader | None) -> set[str]:
    return set(reader.suffixes) if reader else set(suffixes())


def _standard_input() -> Path:
    """What is piped in, as a file; read once. Raises Refused where nothing is piped in."""
    if (held := scratch.remembered(STANDARD_INPUT)) is not None:
        return held
    if sys.stdin is None or sys.stdin.isatty():
        raise Refused("`-` is standard input, and nothing is piped into it", instead="pipe a file in, or name it")
    return _copied(sys.stdin.buffer, "stdin", STANDARD_INPUT)


def _piped(path: Path) -> Path:
    """What a named pipe gives, as a file; it gives it once."""
    key = (path.stat().st_dev, path.stat().st_ino)
    if (held := scratch.remembered(key)) is not None:
        return held
    with path.open("rb") as stream:
        return _copied(stream, str(path), key)


def _copied(stream: BinaryIO, shown: str, key: Hashable) -> Path:
    allowance = Allowance(shown)
    with damage(shown, allowance):
        path = copied(stream, shown, shown, allowance)
    scratch.remember(key, path)
    return path


def _fetched(entry: str, folder: Path, reader: Reader | None) -> Path:
    """A database as a file: its own where it is one (SQLite), else a copy of what is asked of it."""
    if literal_secret(entry):
        raise Refused(WRITTEN_OUT)
    if found := SQLITE.fullmatch(filled(entry, os.environ)):
        if found[3] or found[2] in ("", ":memory:"):
            raise Refused(f"{entry} is no file", instead="write `sqlite:///FILE`; it is opened for reading only")
        return _named(folder / found[2], "")[0]
    path = scratch.place(f"{entry.rpartition('/')[2].partition('?')[0] or 'database'}.rows", entry)
    (reader or readers.build("sql")).fetch(entry, path)
    return path


def _inside(folder: Path, reader: Reader | None, notes: list[str]) -> list[Path]:
    """The readable files of a folder and its folders, sorted, and of packed files in it; hidden ones are not seen."""
    wanted = _wanted(reader)
    everything = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    files: list[Path] = []
    left: list[str] = []
    for path in everything:
        ending = Path(packed.bare(path.name.lower())).suffix
        if path.suffix.lower() in wanted:
            files += _unpacked(path, "", reader, notes)
        elif ending in {*wanted, *packed.ARCHIVES} and packed.kind(path):
            found = unpacked(path, "", wanted, among=True)
            files += found.files
            left += [each.removeprefix(f"{path.parent}/") for each in found.aside]
        else:
            left.append(path.name)
    if not files:
        raise Refused(
            f"{folder} holds no file that can be read",
            why=f"it has {len(everything)} files, and none ends in {', '.join(sorted(wanted))}",
        )
    _refuse_mixed(str(folder), files, reader)
    notes += _not_read(str(folder), left)
    return files


def _refuse_mixed(shown: str, files: Sequence[Path], reader: Reader | None) -> None:
    """Raises Refused where files that lie together are texts and rows, and nobody said which to read."""
    claimed = suffixes()
    named = [name for path in files if reader is None and (name := claimed.get(path.suffix.lower()))]
    kinds = Counter("texts" if readers.find(name).texts else "rows" for name in named)
    if len(kinds) < 2:
        return
    endings = sorted({path.suffix for path in files})
    pattern = f"{Path(shown).name}{'/' if Path(shown).is_dir() else INSIDE}**/*{endings[0]}"
    raise Refused(
        f"{shown} holds both texts ({kinds['texts']}) and files of rows ({kinds['rows']})",
        why="they cannot be one dataset",
        instead=f"write a pattern such as `{pattern}` (endings here: {', '.join(endings)})",
    )


def _not_read(shown: str, names: Sequence[str]) -> list[str]:
    """The note on files that were passed over, if there are any."""
    return [f"{shown}: not read: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"] if names else []


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _missing(path: Path) -> Refused:
    if not path.parent.is_dir():
        return Refused(f"there is no file {path}", why=f"its folder {path.parent} does not exist")
    beside = [each.name for each in path.parent.iterdir() if not each.name.startswith(".")]
    return Refused(f"there is no file {path}", instead=nearest(path.name, beside) if beside else "its folder is empty")
