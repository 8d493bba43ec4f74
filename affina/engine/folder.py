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

VOCABULARIES = (
    "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model", "spm.model", "sentencepiece.bpe.model",
    "sentencepiece.model",
)  # fmt: skip

_IDENTITY = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", *VOCABULARIES)

ADAPTER, ADAPTER_SETTINGS = "adapter_model.safetensors", "adapter_config.json"

VIRTUAL = ("PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING")
"""What PEFT calls methods whose numbers stand before every row."""
UNMERGED = (*VIRTUAL, "MULTITASK_PROMPT_TUNING", "ADAPTION_PROMPT", "CPT")
"""What PEFT calls methods that no weight of a base can hold."""

DISCRIMINATORS = ("ElectraForPreTraining", "FunnelForPreTraining")
"""What tells real words from exchanged ones, and says none itself."""

ENCODERS = (
    "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2", "distilbert",
    "electra", "ernie", "esm", "eurobert", "fnet", "ibert", "longformer", "megatron-bert", "mobilebert", "modernbert",
    "mpnet", "nystromformer", "rembert", "roberta", "roberta-prelayernorm", "roformer", "squeezebert", "xlm-roberta",
    "xlm-roberta-xl", "xmod",
)  # fmt: skip
"""Families that read from both sides, by which a configuration is understood that names no class."""


def snapshot(path: Path) -> Path:
    """The folder itself; of a model's folder in the hub's cache, what its main branch holds there."""
    branch = path / "refs" / "main"
    return path / "snapshots" / branch.read_text(encoding="ascii").strip() if branch.is_file() else path


def is_adapter(folder: Path) -> bool:
    """Whether it holds an adapter in PEFT's format, and no model."""
    return (folder / ADAPTER_SETTINGS).is_file() and not (folder / "config.json").is_file()


def base_of_adapter(folder: Path) -> str:
    """The reference of the base that an adapter was trained on. Raises Refused where it names none that is there."""
    base, what = _config(folder / ADAPTER_SETTINGS).get("base_model_name_or_path"), f"the adapter in {folder}"
    if not base:
        instead = f"write base_model_name_or_path in {ADAPTER_SETTINGS}"
        raise Refused(f"{what} has no base", "it does not name its own", instead)
    if not (folder / ADAPTER).is_file():
        why = f"it has no {ADAPTER}, and a pickle beside it can run any code when loaded"
        raise Refused(f"{what} cannot be read", why, "save it again")
    at = Path(base).expanduser()
    if at.is_absolute() and (not at.exists() or at.resolve() == folder):
        why = f"it was trained on {base}, which is not there"
        raise Refused(f"{what} has no base", why, f"bring it back, or write in {ADAPTER_SETTINGS} where it is")
    return str(base)


def refuse_unmerged(folder: Path) -> None:
    """Raises Refused for an adapter that no weight of its base can hold."""
    said = _config(folder / ADAPTER_SETTINGS)
    if (kind := said.get("peft_type")) in UNMERGED:
        what, why = f"the adapter in {folder} cannot be a base", f"{kind} adds inputs, and no weights answer like it"
        raise Refused(what, why, f"begin with its base, {said.get('base_model_name_or_path')}")


def holds_virtual_tokens(folder: Path) -> bool:
    """Whether it is an adapter whose numbers stand before every row."""
    return is_adapter(folder) and _config(folder / ADAPTER_SETTINGS).get("peft_type") in VIRTUAL


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
    if config.get("is_encoder_decoder"):  # a published BART says BartModel: its words are its embeddings
        return "" if any(name.endswith("EncoderModel") for name in names) else "source"
    if config.get("model_type") == "xlnet":
        return "order" if any(name.endswith("LMHeadModel") for name in names) else ""
    heads = [name for name in names if not name.startswith("BertLM")]
    speaking = ("ForCausalLM", "LMHeadModel")
    if not names and config.get("model_type") in ENCODERS and not config.get("is_decoder"):
        return "both"
    if not names or config.get("is_decoder") or any(name.endswith(speaking) for name in heads):
        return "past"
    masked = [name for name in names if name.endswith(("ForMaskedLM", "ForPreTraining")) and name not in DISCRIMINATORS]
    return "both" if masked else ""


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
