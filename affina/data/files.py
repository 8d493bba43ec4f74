"""What `data.read` means: files, folders and patterns to a list of files, each with a short name for its rows' ids."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from affina.core.errors import Refused, nearest
from affina.core.kinds import Reader, readers
from affina.data.recognise import suffixes


def listed(read: Sequence[str], folder: Path, reader: Reader | None = None) -> tuple[list[Path], list[str]]:
    """The files, each once, in order, and notes on what was passed over. Raises Refused for a path without files."""
    found: dict[Path, None] = {}
    notes: list[str] = []
    for entry in read:
        path = folder / entry
        if path.is_dir():
            inside, aside = _inside(path, reader)
            found.update(dict.fromkeys(inside))
            notes += aside
        elif path.exists():
            found[path] = None
        elif has_magic(entry):
            matches = [Path(match) for match in sorted(glob(str(path), recursive=True))]
            files = [match for match in matches if match.is_file()]
            if not files:
                raise Refused(f"no file matches {path}", instead="check the pattern in `data.read`")
            found.update(dict.fromkeys(files))
        else:
            raise _missing(path)
    return list(found), notes


def short_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Each file's own name, with as many of its folders before it as it takes to tell it from the others."""
    names = {path: path.name for path in paths}
    for depth in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        times = Counter(names.values())
        for path, name in names.items():
            if times[name] > 1:
                names[path] = "/".join(path.parts[-depth:])
    return names


def sha256(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _inside(folder: Path, reader: Reader | None) -> tuple[list[Path], list[str]]:
    """The readable files of a folder and its folders, sorted; hidden ones are not looked at."""
    claimed = suffixes()
    wanted = set(reader.suffixes) if reader else set(claimed)
    everything = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    files = [path for path in everything if path.suffix.lower() in wanted]
    if not files:
        raise Refused(
            f"{folder} holds no file that can be read",
            why=f"it has {len(everything)} files, and none ends in {', '.join(sorted(wanted))}",
        )
    chosen = [readers.find(claimed[path.suffix.lower()]) for path in files] if reader is None else []
    kinds = Counter("texts" if kind.texts else "rows" for kind in chosen)
    if len(kinds) > 1:
        endings = sorted({path.suffix for path in files})
        raise Refused(
            f"{folder} holds both texts ({kinds['texts']}) and files of rows ({kinds['rows']})",
            why="they cannot be one dataset",
            instead=f"write a pattern such as `{folder.name}/**/*{endings[0]}` (endings here: {', '.join(endings)})",
        )
    left = [path.name for path in everything if path not in set(files)]
    return files, [f"{folder}: not read: {', '.join(left[:5])}{' …' if len(left) > 5 else ''}"] if left else []


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _missing(path: Path) -> Refused:
    if not path.parent.is_dir():
        return Refused(f"there is no file {path}", why=f"its folder {path.parent} does not exist")
    beside = [each.name for each in path.parent.iterdir() if not each.name.startswith(".")]
    return Refused(f"there is no file {path}", instead=nearest(path.name, beside) if beside else "its folder is empty")
