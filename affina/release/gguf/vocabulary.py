"""A base's tokenizer and chat template in a GGUF file: byte-level BPE, BPE on words with bytes to fall back on
(SentencePiece's), or WordPiece, as llama.cpp splits and joins them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from affina.core.errors import Refused

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {LLAMA3: "llama-bpe", LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"): "qwen2"}
"""llama.cpp's names (src/llama-vocab.cpp) for the patterns that stand in tokenizer.json."""
ROLES = {
    "bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "sep_token": "seperator",
    "pad_token": "padding", "mask_token": "mask", "cls_token": "cls",
}  # fmt: skip
"""By what transformers calls a special token: the specification's key, its spelling kept."""
UNUSED = "[PAD{}]"
BYTE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True, slots=True)
class Words:
    """A tokenizer as a GGUF file lists it."""

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str]
    scores: list[float]
    lowercase: bool = False


def write(writer: GGUFWriter, folder: Path, rows: int, encodes: bool) -> None:
    """Tokens, merges, special ids, template; rows of the embedding without a token are unused ones.

    Raises Refused for a tokenizer that llama.cpp does not know.
    """
    plain = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words = read(plain, rows)
    writer.add_tokenizer_model(words.model)
    writer.add_tokenizer_pre(words.pre)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    if words.merges:
        writer.add_token_merges(words.merges)
    if words.scores:
        writer.add_token_scores(words.scores)
    if words.model == "bert":
        writer.add_bool("tokenizer.ggml.normalizer.lowercase", words.lowercase)
    _special(writer, folder, plain, encodes)
    template = folder / "chat_template.jinja"
    if template.is_file():
        writer.add_chat_template(template.read_text(encoding="utf-8"))


def read(plain: Mapping[str, Any], rows: int) -> Words:
    """From tokenizer.json. Raises Refused for a kind or a way of splitting that is not known."""
    model = plain["model"]
    kind = model.get("type")
    if kind not in ("BPE", "WordPiece"):
        raise _unknown(f"it is of the kind {kind}")
    tokens, types = _listed(plain, rows)
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model.get("merges", ())]
    if kind == "WordPiece":
        return Words("bert", "default", *_phantom(tokens, types), [], [], bool(_lowers(plain)))
    if model.get("byte_fallback"):
        ranks = {"".join(merge.split(" ", 1)): -float(place) for place, merge in reversed([*enumerate(merges)])}
        return Words("llama", "default", tokens, types, [], [ranks.get(token, 0.0) for token in tokens])
    return Words("gpt2", _pre(plain), tokens, types, merges, [])


def _listed(plain: Mapping[str, Any], rows: int) -> tuple[list[str], list[int]]:
    """Every row's token and what it is."""
    own: dict[str, int] = plain["model"]["vocab"]
    known = {number: token for token, number in own.items()}
    falls = bool(plain["model"].get("byte_fallback"))
    types = {
        n: int(TokenType.BYTE if falls and BYTE.fullmatch(each) else TokenType.NORMAL) for n, each in known.items()
    }
    for each in plain.get("added_tokens", ()):
        known[each["id"]] = each["content"]
        types[each["id"]] = int(TokenType.CONTROL if each["special"] else TokenType.USER_DEFINED)
    unknown = plain["model"].get("unk_token")
    if falls and unknown in own:
        types[own[unknown]] = int(TokenType.UNKNOWN)
    unused = int(TokenType.UNUSED)
    return [known.get(n, UNUSED.format(n)) for n in range(rows)], [types.get(n, unused) for n in range(rows)]


def _phantom(tokens: list[str], types: list[int]) -> tuple[list[str], list[int]]:
    """WordPiece as llama.cpp keeps it: what begins a word has a mark, what goes on has none."""
    plain = int(TokenType.NORMAL)
    marked = [
        token if kind != plain else token[2:] if token.startswith("##") else f"\u2581{token}"
        for token, kind in zip(tokens, types, strict=True)
    ]
    return marked, types


def _lowers(plain: Mapping[str, Any]) -> bool:
    """Raises Refused where capitals and accents are not kept, or dropped, together."""
    normalizer = plain.get("normalizer") or {}
    lowers = bool(normalizer.get("lowercase"))
    if normalizer.get("strip_accents") not in (None, lowers):
        raise _unknown("it drops accents and not capitals, or the other way round")
    return lowers


def _pre(plain: Mapping[str, Any]) -> str:
    """llama.cpp's name for how text is split before merges. Raises Refused where it has none."""
    splitter = plain.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [splitter])
    kinds = [step.get("type") for step in steps]
    plainly = steps[-1].get("type") == "ByteLevel" and not steps[-1].get("add_prefix_space")
    if plainly and kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if plainly and kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if plainly and kinds == ["Split", "ByteLevel"]:
        pattern = steps[0].get("pattern", {}).get("Regex", "")
        if pattern in SPLITS:
            return SPLITS[pattern]
    raise _unknown(f"it splits text by {' and '.join(str(kind) for kind in kinds)} in a way that has no name there")


def _special(writer: GGUFWriter, folder: Path, plain: Mapping[str, Any], encodes: bool) -> None:
    """Special ids, what ends an answer, and what stands around every text."""
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    ids = {**plain["model"]["vocab"], **{each["content"]: each["id"] for each in plain.get("added_tokens", ())}}
    named = {}
    for role, key in ROLES.items():
        given = settings.get(role)
        text = given["content"] if isinstance(given, dict) else given
        if text in ids:
            named[key] = ids[text]
    before, after = _frame(plain, ids)
    if encodes:
        named = {**named, "bos": named.get("cls", before), "eos": named.get("seperator", after)}
    stops = _stops(folder)
    if stops and named.get("eos") not in stops:
        named["eos"] = stops[0]
    for key, number in named.items():
        if number is not None:
            writer.add_uint32(f"tokenizer.ggml.{key}_token_id", number)
    # The format has a place for three; of further ones llama.cpp knows the usual by their text.
    others = [each for each in stops if each != named.get("eos")]
    for number, add in zip(others, (writer.add_eot_token_id, writer.add_eom_token_id), strict=False):
        add(number)
    writer.add_add_bos_token(before is not None)
    writer.add_add_eos_token(after is not None)
    if encodes:
        writer.add_add_sep_token(after is not None)
    writer.add_add_space_prefix(_prepends(plain))


def _prepends(plain: Mapping[str, Any]) -> bool:
    """Whether a text is read as if a space stood before it."""
    normalizer, splitter = plain.get("normalizer") or {}, plain.get("pre_tokenizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    return any(step.get("type") == "Prepend" for step in steps) or splitter.get("prepend_scheme") in ("always", "first")


def _stops(folder: Path) -> list[int]:
    path = folder / "generation_config.json"
    given = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.is_file() else None
    return [] if given is None else [given] if isinstance(given, int) else list(given)


def _frame(plain: Mapping[str, Any], ids: Mapping[str, int]) -> tuple[int | None, int | None]:
    """The ids that the tokenizer puts before and after a text."""
    post = plain.get("post_processor") or {}
    steps = post.get("processors", [post])
    for step in steps:
        if step.get("type") == "TemplateProcessing":
            marks = [next(iter(each)) for each in step["single"]]
            at = marks.index("Sequence")
            named = [ids.get(each["SpecialToken"]["id"]) if "SpecialToken" in each else None for each in step["single"]]
            return (named[0] if at else None), (named[-1] if at + 1 < len(marks) else None)
        if step.get("type") in ("BertProcessing", "RobertaProcessing"):
            return step["cls"][1], step["sep"][1]
    return None, None


def _unknown(why: str) -> Refused:
    return Refused("the base's tokenizer cannot be written as GGUF", why, "export it as safetensors")
