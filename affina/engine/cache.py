"""Models in this machine's cache: an entry is whole or absent, and made once."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from affina.core.atomic import MANIFEST, sealed, write_json
from affina.core.cache import Progress, cache_root, disk_errors, only_one, short_hash
from affina.core.errors import Failed, Refused
from affina.engine.folder import licence_of

_CONVERSION = "1"  # raised whenever convert.py writes something else for the same input; older entries are left alone

_RECORD = "affina.json"


@dataclass(frozen=True)
class Source:
    """A model on this disk. `digest` is 64 hexadecimal digits: a GGUF's own sha256, else over the hashes of weights,
    configuration, tokenizer and template. A user's folder is sampled (each weights file's name, size, header and 64
    blocks of 4 KiB evenly spread), so that asking again is cheap: a change that misses every block is not seen.
    `licence` is as the model's card or file states it, "unknown" when it does not."""

    reference: str
    folder: Path
    digest: str
    licence: str


def entry(kind: str, of: str, make: Callable[[Path], tuple[str, Path]], tell: Progress, missing: str = "") -> Source:
    """The cache entry made from `of`, made now unless it is there; `missing` names what offline may not be fetched.

    `make` fills a folder and returns the digest and the folder to use: that one, or one it trusts elsewhere.
    """
    place = _place(kind, of)
    if (held := _read(place)) is not None:
        return held
    if missing:
        raise missing_offline(missing)
    with only_one(place, tell):
        if (held := _read(place)) is not None:  # another process made it while this one waited
            return held
        with sealed(place) as aside, disk_errors():
            digest, folder = make(aside)
            (aside / _RECORD).unlink(missing_ok=True)
            sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
            sizes.pop(MANIFEST, None)
            elsewhere = "" if folder == aside else str(folder)
            record = {"digest": digest, "licence": licence_of(folder), "elsewhere": elsewhere, "sizes": sizes}
            write_json(aside / _RECORD, record)
    if (held := _read(place)) is None:
        raise Failed(f"{place} changed while it was being made", instead="run the same command again")
    return held


def recorded(kind: str, of: str) -> Source | None:
    """The entry that was made from `of`, None where there is none."""
    return _read(_place(kind, of))


def _place(kind: str, of: str) -> Path:
    return cache_root() / "models" / f"{kind}-{short_hash(of)}-{_CONVERSION}"


def _read(place: Path) -> Source | None:
    """The entry as recorded, None when it is absent or a file of it is missing or has another size."""
    record = place / _RECORD
    if not record.is_file():
        return None
    plain = json.loads(record.read_text(encoding="utf-8"))
    folder = Path(plain["elsewhere"]) if plain["elsewhere"] else place
    for name, size in plain["sizes"].items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            return None
    return Source("", folder, plain["digest"], plain["licence"])


def missing_offline(reference: str) -> Refused:
    what = f"'{reference}' is not on this machine"
    return Refused(what, "affina is offline", "run the same command once without --offline")
