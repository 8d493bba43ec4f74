"""What is known of a base before its weights are read: its configuration and its tokenizer, in a folder."""

from pathlib import Path

from affina.core.cache import Progress, disk_errors
from affina.engine.apart import run_apart
from affina.engine.cache import Source, entry, recorded
from affina.engine.fetch import KEPT
from affina.engine.folder import licence_of, snapshot
from affina.engine.offline import requested
from affina.engine.source import ALIASES, HUB, from_hub, is_gguf, known_gguf

WEIGHTS = "*.safetensors"
DIGEST = ""  # of weights that nobody has looked at


def outline(reference: str, offline: bool, tell: Progress) -> Source | None:
    """A folder of the base's own, one of the hub's files without the weights, or one made of the header of its GGUF;
    without a digest, since no weight was read.

    None where the weights come together with the rest (a registry's package, an address, a run), where they have been
    read before, and for what `find` refuses. Raises Refused for a GGUF that cannot be converted and for a name that the
    hub does not know, Failed for a broken download.
    """
    path = snapshot(Path(reference).expanduser())
    if reference in ALIASES:
        return None
    if path.is_dir():
        own = all((path / name).is_file() for name in ("config.json", "tokenizer.json"))
        plain = own and not (path / "lock.json").exists()  # else a release, which is more than a base
        return Source(reference, path.resolve(), DIGEST, licence_of(path)) if plain else None
    with disk_errors():
        if HUB.fullmatch(reference) and not path.exists():
            return None if offline or requested() else _of_hub(reference, tell)
        return _of_header(reference, path.resolve(), tell) if is_gguf(path) else None


def _of_hub(name: str, tell: Progress) -> Source | None:
    if recorded("hub", name) is not None:
        return None
    folder = from_hub(name, [each for each in KEPT if each != WEIGHTS], False, tell)
    whole = all((folder / each).is_file() for each in ("config.json", "tokenizer.json"))
    return Source(name, folder, DIGEST, licence_of(folder)) if whole else None


def _of_header(reference: str, gguf: Path, tell: Progress) -> Source | None:
    read, state = known_gguf(gguf)
    if read is not None:
        return None

    def make(aside: Path) -> tuple[str, Path]:
        tell(f"reading the header of {gguf.name}", 0, 0)
        run_apart("affina.engine.torch.convert", f"{gguf.name} could not be read", str(gguf), str(aside), "outline")
        return DIGEST, aside

    made = entry("outline", state, make, tell)
    return Source(reference, made.folder, DIGEST, made.licence)
