"""`python -m affina.engine.torch.convert SOURCE OUT`: a GGUF file becomes a bfloat16 safetensors folder, or a model folder
without `tokenizer.json` gets one. Run apart so that whoever asks never loads torch; it never touches the network."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    TokenizersBackend,
)
from transformers.utils import logging

from affina.core.errors import AffinaError, Failed, Refused
from affina.engine.offline import refuse_connections

# How each byte-level vocabulary was split before its merges were learned, by `tokenizer.ggml.pre`: the names are
# llama.cpp's (src/llama-vocab.cpp), the expressions those of the models' own tokenizer.json.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_SPLITS = {"llama-bpe": _LLAMA3, "llama3": _LLAMA3, "llama-v3": _LLAMA3, "qwen2": _QWEN2}
_DIGITS = ("smollm", "starcoder", "refact")
_PLAIN = ("gpt-2", "phi-2")
_SENTENCEPIECE = ("llama", "t5")

PROBES = ("order 12345, it's 3.14!", "Ciao, perché no?\n\n  due  spazi", "x = [1, 22, 333]\tDON'T")
"""Texts every converted tokenizer must give back unchanged."""


def convert(gguf: Path, out: Path) -> None:
    """Write `out` (an existing empty folder): bf16 model.safetensors, config, generation config, tokenizer, chat template.

    The file's blocks are dequantised to float32 and rounded once to bfloat16, to nearest even. That rounding is the only
    change; on SmolLM2-135M Q4_1 it moves float32 logits by LOGITS_MOVE at most (measured in the tests). Raises Refused for
    an architecture or tokenizer that cannot be reproduced exactly, Failed when the weights did not come out as floats.
    """
    metadata = _metadata(gguf)
    tokenizer = read_tokenizer(gguf, metadata)
    model = read_weights(gguf, metadata)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > vocabulary:
        raise Refused(
            f"{gguf.name} cannot be used",
            f"its tokenizer has {len(tokenizer)} tokens and its embedding {vocabulary} rows",
            "use the model's safetensors folder",
        )
    model.to(torch.bfloat16).save_pretrained(out)
    _write_ids(out, metadata)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(out)
    # Transformers 5 writes the name of a class that release 4, which other engines still use, does not know.
    _change(out / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"}, ("is_local", "local_files_only"))
    if licence := metadata.get("general.license"):
        (out / "README.md").write_text(f"---\nlicense: {licence}\n---\nConverted from {gguf.name}.\n", encoding="utf-8")


def read_weights(gguf: Path, metadata: dict[str, Any]) -> PreTrainedModel:
    """The GGUF's model on the CPU, every parameter dequantised to float32, ready to be saved as a plain model."""
    loader = AutoModelForSeq2SeqLM if metadata["general.architecture"] == "t5" else AutoModelForCausalLM
    try:
        model: PreTrainedModel = loader.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    except (ValueError, KeyError, NotImplementedError) as error:
        what = f"{gguf.name} ({metadata['general.architecture']}) cannot be read"
        raise Refused(what, _sentence(error), "use the model's safetensors folder") from error
    strange = [name for name, weight in model.named_parameters() if weight.dtype != torch.float32 or weight.is_meta]
    if strange:
        raise Failed(f"{gguf.name} was not dequantised", f"{strange[0]} and {len(strange) - 1} more are not float32")
    model.hf_quantizer = None
    model.is_quantized = False
    del model.config.quantization_config
    vars(model.config).pop("_model_name_or_path", None)  # the file's title, not a path
    return model


def read_tokenizer(gguf: Path, metadata: dict[str, Any]) -> TokenizersBackend:
    """The GGUF's tokenizer with the pre-tokenizer its `tokenizer.ggml.pre` names (transformers drops several of them).

    Raises Refused for a vocabulary kind or pre-tokenizer that is not known, or one that does not give its text back.
    """
    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" and kind not in _SENTENCEPIECE:
        raise _unknown(gguf, f"its vocabulary is of kind {kind!r}", ["gpt2", *_SENTENCEPIECE])
    tokenizer: TokenizersBackend = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if kind == "gpt2":
        _set_split(tokenizer.backend_tokenizer, pre, gguf)
    _check(tokenizer, metadata, gguf)
    return tokenizer


def _set_split(backend: Tokenizer, pre: str, gguf: Path) -> None:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre not in _SPLITS)
    if pre in _SPLITS:
        split = pre_tokenizers.Split(Regex(_SPLITS[pre]), behavior="isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    elif pre in _DIGITS:
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    elif pre in _PLAIN:
        backend.pre_tokenizer = byte_level
    else:
        raise _unknown(gguf, f"its pre-tokenizer is {pre!r}", [*_SPLITS, *_DIGITS, *_PLAIN])
    if pre == "qwen2":
        backend.normalizer = normalizers.NFC()
    elif _SPLITS.get(pre) == _LLAMA3:
        backend.model.ignore_merges = True  # Llama 3's tokenizer.json: a word in the vocabulary is taken whole


def _check(tokenizer: TokenizersBackend, metadata: dict[str, Any], gguf: Path) -> None:
    """Control tokens (type 3) are single and special, and the probes survive encoding and decoding."""
    backend, added = tokenizer.backend_tokenizer, tokenizer.added_tokens_decoder
    ids = [metadata[key] for key in _ID_KEYS.values() if key in metadata]
    for number in {number for number in ids if number < len(tokenizer)}:
        text = tokenizer.convert_ids_to_tokens(number)
        single = backend.encode(text, add_special_tokens=False).ids == [number]
        if not single or number not in added or not added[number].special:
            raise Failed(f"the tokenizer of {gguf.name} was not reproduced", f"{text!r} is not one special token")
    for text in PROBES:
        back = backend.decode(backend.encode(text, add_special_tokens=False).ids)
        if back != text:
            raise Failed(f"the tokenizer of {gguf.name} was not reproduced", f"{text!r} comes back as {back!r}")


_ID_KEYS = {name: f"tokenizer.ggml.{key}_token_id" for name, key in
            (("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding"))}  # fmt: skip


def _write_ids(out: Path, metadata: dict[str, Any]) -> None:
    ids = {name: metadata[key] for name, key in _ID_KEYS.items() if key in metadata}
    GenerationConfig(**ids).save_pretrained(out)


def complete_tokenizer(folder: Path, out: Path) -> None:
    """Write `out/tokenizer.json` from the vocabulary files of `folder`; Refused when they cannot be converted."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (ValueError, OSError, ImportError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{folder} has no tokenizer.json and it could not be made", _sentence(error)) from error
    if not isinstance(tokenizer, TokenizersBackend):
        raise Refused(f"{folder} has no tokenizer.json", f"{type(tokenizer).__name__} cannot be written as one")
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))


def _metadata(gguf: Path) -> dict[str, Any]:
    """The header's scalar values; arrays (the vocabulary) are left out."""
    try:
        fields = GGUFReader(gguf).fields
    except (ValueError, IndexError, OverflowError) as error:
        raise Refused(f"{gguf.name} is not a readable GGUF file", _sentence(error), "download it again") from error
    return {name: field.contents() for name, field in fields.items() if len(field.types) == 1}


def _change(path: Path, values: dict[str, Any], without: tuple[str, ...]) -> None:
    kept = {name: value for name, value in json.loads(path.read_text(encoding="utf-8")).items() if name not in without}
    path.write_text(json.dumps(kept | values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _unknown(gguf: Path, why: str, known: list[str]) -> Refused:
    remedy = f"use the model's safetensors folder, which carries its tokenizer (known here: {', '.join(known)})"
    return Refused(f"{gguf.name} cannot be tokenised exactly", why, remedy)


def _sentence(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def main(source: Path, out: Path) -> int:
    """Convert, or print the error as one JSON line on stdout; returns the exit code."""
    refuse_connections()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        complete_tokenizer(source, out) if source.is_dir() else convert(source, out)
    except AffinaError as error:
        print(json.dumps({"what": error.what, "why": error.why, "instead": error.instead}))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
