"""A model folder on this disk: whether its weights are whole, what it is (a digest) and under which licence."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from affina.core.atomic import sha256
from affina.core.errors import Refused

_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")

VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")

_IDENTITY = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", *VOCABULARIES)


def check_weights(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, each whole. Raises Refused, saying what is missing and what to do."""
    if not (folder / "config.json").is_file():
        adapter = (folder / "adapter_config.json").is_file()
        why = "it holds an adapter, not a model" if adapter else "it has no config.json"
        raise Refused(f"{folder} is not a model folder", why, "give one that save_pretrained wrote, or a .gguf file")
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        names = ["model.safetensors"]
    elif index.is_file():
        names = sorted({PurePosixPath(name).name for name in json.loads(index.read_text())["weight_map"].values()})
    else:
        pickled = [path.name for path in folder.iterdir() if path.suffix in _PICKLES]
        why = f"{pickled[0]} is a pickle: loading it can run any code" if pickled else "it has no model.safetensors"
        remedy = "write safetensors where you trust the file: model.save_pretrained(folder) in transformers 5"
        raise Refused(f"the weights of {folder} cannot be loaded", why, remedy)
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise Refused(f"{folder} lacks {len(missing)} of {len(names)} weights files", missing[0], "download the rest")
    for name in names:
        _header(folder / name)
    return [folder / name for name in names]


def has_words(folder: Path) -> bool:
    """Whether the base goes on from a text in words of its own. An encoder does not, whatever head it has."""
    return reads(folder) == "past"


def reads(folder: Path) -> str:
    """How the base reads where it ends in words, as `Objective.reads` names it; empty for a base without words."""
    config = _config(folder / "config.json")
    names = config.get("architectures") or []
    if config.get("is_encoder_decoder"):
        return "source" if not names or any(name.endswith("ForConditionalGeneration") for name in names) else ""
    if config.get("model_type") == "xlnet":
        return "order" if any(name.endswith("LMHeadModel") for name in names) else ""
    heads = [name for name in names if not name.startswith("BertLM")]
    speaking = ("ForCausalLM", "LMHeadModel")
    if not names or config.get("is_decoder") or any(name.endswith(speaking) for name in heads):
        return "past"
    return "both" if any(name.endswith(("ForMaskedLM", "ForPreTraining")) for name in names) else ""


def _config(path: Path) -> dict[str, Any]:
    """Raises Refused for what is no JSON object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"{path} cannot be read", f"it is not JSON: {error}", "fetch it again") from error
    if not isinstance(found, dict):
        raise Refused(f"{path} cannot be read", "it is no JSON object", "fetch it again")
    return found


def _header(path: Path) -> bytes:
    """A safetensors file's header. Raises Refused when the file is shorter or longer than its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= size - 8 else b""
    try:
        tensors = json.loads(text)
        end = max((entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, LookupError, TypeError, AttributeError):
        end = -1
    if 8 + length + end != size:
        raise Refused(f"{path} is damaged", f"it has {size:,} bytes and its header says otherwise", "download it again")
    return text


def digest_of(folder: Path, of: Callable[[Path], str]) -> str:
    """One sha256 over those of a model folder's weights and of the files that say how to read them."""
    files = [*check_weights(folder), *(folder / name for name in _IDENTITY if (folder / name).is_file())]
    lines = [f"{of(path)}  {path.name}\n" for path in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sample(path: Path) -> str:
    """The sha256 of a file, or for weights of the size, the header and 64 blocks of 4 KiB evenly spread."""
    if path.suffix != ".safetensors":
        return sha256(path)
    size, seen = path.stat().st_size, hashlib.sha256(_header(path))
    with path.open("rb") as file:
        for block in range(64):
            file.seek(max(size - 4096, 0) * block // 63)
            seen.update(file.read(4096))
    return hashlib.sha256(f"{size} {seen.hexdigest()}".encode()).hexdigest()


def licence_of(folder: Path) -> str:
    """The `license:` of a model card's front matter, "unknown" without one."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    front = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = re.search(r"^license:[ \t]*['\"]?([^\s'\"#]+)", front, re.MULTILINE)
    return found.group(1) if found else "unknown"
