"""`python -m affina.engine.torch.convert SOURCE OUT`: a GGUF file becomes a bfloat16 safetensors folder (with `outline`
behind it all but the weights), a model folder without `tokenizer.json` gets one. A process of its own: whoever asks
never loads torch. It opens no connection."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    TokenizersBackend,
)
from transformers.utils import logging

from affina.core.errors import AffinaError, Failed, Refused
from affina.engine.apart import told
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

_CONTROL, _USER_DEFINED = 3, 4  # of the specification's token types, those matched whole in any text
_TOKENS = "tokenizer.ggml.tokens"
_IDS = {
    "bos_token_id": "tokenizer.ggml.bos_token_id",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
    "pad_token_id": "tokenizer.ggml.padding_token_id",
    "unk_token_id": "tokenizer.ggml.unknown_token_id",
}

PROBES = ("order 12345, it's 3.14!", "Ciao, perché no?\n\n  due  spazi", "x = [1, 22, 333]\tDON'T")
"""Texts every converted tokenizer must give back unchanged."""


def convert(gguf: Path, out: Path) -> None:
    """Write a GGUF decoder into `out`, an existing folder: bf16 weights, configuration, tokenizer and chat template.

    Blocks are dequantised to float32 and rounded once to bfloat16 (nearest even); nothing else changes. That rounding
    has a price: on SmolLM2-135M Q4_1, float32 logits of size up to 39 move by at most 0.33 (mean 0.03), next-token
    distributions by at most 0.002 nats (KL). Raises Refused for what cannot be reproduced exactly, Failed when the
    weights did not come out as floats.
    """
    metadata = _metadata(gguf)
    tokenizer = read_tokenizer(gguf, metadata)
    model: Any = read_weights(gguf, metadata)
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise _inexact(gguf, f"its tokenizer has {len(tokenizer)} tokens and its embedding {rows} rows")
    model.to(torch.bfloat16).save_pretrained(out)
    ids = {name: metadata[key] for name, key in _IDS.items() if key in metadata and name != "unk_token_id"}
    GenerationConfig(**ids).save_pretrained(out)  # type: ignore[no-untyped-call]
    _save_beside(tokenizer, model.config, (gguf, metadata), out)


def outline(gguf: Path, out: Path) -> None:
    """Write what `convert` writes but the weights, from the header alone. Raises Refused as it does."""
    metadata = _metadata(gguf)
    tokenizer = read_tokenizer(gguf, metadata)
    with _readable(gguf, metadata):
        config: Any = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
        kind: Any = AutoModelForCausalLM._model_mapping[type(config)]
    config.architectures = [kind.__name__]
    config.save_pretrained(out)
    _save_beside(tokenizer, config, (gguf, metadata), out)


def _save_beside(tokenizer: TokenizersBackend, config: Any, file: tuple[Path, dict[str, Any]], out: Path) -> None:
    """The tokenizer of a model of this configuration, and a card with the licence where the file states one."""
    gguf, metadata = file
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(out)
    _name_the_class(out / "tokenizer_config.json")
    if licence := metadata.get("general.license"):
        (out / "README.md").write_text(f"---\nlicense: {licence}\n---\nConverted from {gguf.name}.\n", encoding="utf-8")


def read_weights(gguf: Path, metadata: dict[str, Any]) -> PreTrainedModel:
    """The GGUF's model on the CPU, every parameter dequantised to float32, ready to be saved as a plain model."""
    with _readable(gguf, metadata):
        model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    strange = [name for name, weight in model.named_parameters() if weight.dtype != torch.float32 or weight.is_meta]
    if strange:
        raise Failed(f"{gguf.name} was not dequantised", f"{strange[0]} and {len(strange) - 1} more are not float32")
    model.hf_quantizer = None
    model.is_quantized = False
    del model.config.quantization_config
    vars(model.config).pop("_model_name_or_path", None)  # the file's title, not a path
    plain: PreTrainedModel = model
    return plain


@contextmanager
def _readable(gguf: Path, metadata: dict[str, Any]) -> Iterator[None]:
    """Turns what the library cannot read of the file inside into a sentence."""
    try:
        yield
    except (ValueError, KeyError, NotImplementedError) as error:
        what = f"{gguf.name} ({metadata['general.architecture']}) cannot be read"
        raise Refused(what, _sentence(error), "use the model's safetensors folder") from error


def read_tokenizer(gguf: Path, metadata: dict[str, Any]) -> TokenizersBackend:
    """The GGUF's tokenizer: byte-level (kind "gpt2") rebuilt here, sentencepiece (kind "llama") by transformers.

    Raises Refused for a vocabulary kind or pre-tokenizer that is not known, or one that does not give its text back.
    """
    kind = metadata.get("tokenizer.ggml.model")
    if kind == "gpt2":
        tokens, template = metadata[_TOKENS], metadata.get("tokenizer.chat_template")
        named = {name.removesuffix("_id"): tokens[metadata[key]] for name, key in _IDS.items() if key in metadata}
        wrap: Any = TokenizersBackend
        tokenizer = wrap(tokenizer_object=_byte_level(gguf, metadata), chat_template=template, **named)
    elif kind == "llama":
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    else:
        raise _inexact(gguf, f"its vocabulary is of kind {kind!r}; known: gpt2, llama")
    _check(tokenizer, metadata, gguf)
    read: TokenizersBackend = tokenizer
    return read


def _byte_level(gguf: Path, metadata: dict[str, Any]) -> Tokenizer:
    """The vocabulary and merges as the file lists them, split as its `tokenizer.ggml.pre` says.

    Transformers' own conversion keeps only some of the splits and adds an `<|endoftext|>` the file may not have.
    """
    pre, tokens = metadata.get("tokenizer.ggml.pre", "default"), metadata[_TOKENS]
    llama3 = _SPLITS.get(pre) == _LLAMA3
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(vocabulary, merges, ignore_merges=llama3))  # Llama 3 takes a known word whole
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.pre_tokenizer = _split(gguf, pre)
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    kinds = list(zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True))
    for kind, special in ((_CONTROL, True), (_USER_DEFINED, False)):
        chosen = [AddedToken(token, special=special, normalized=False) for token, is_a in kinds if is_a == kind]
        tokenizer.add_special_tokens(chosen) if special else tokenizer.add_tokens(chosen)
    if metadata.get("tokenizer.ggml.add_bos_token", llama3):
        first = tokens[metadata[_IDS["bos_token_id"]]]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", pair=f"{first} $A {first} $B", special_tokens=[(first, vocabulary[first])]
        )
    return tokenizer


def _split(gguf: Path, pre: str) -> pre_tokenizers.PreTokenizer:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre not in _SPLITS)
    if pre in _SPLITS:
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_SPLITS[pre]), behavior="isolated"), byte_level])
    if pre in _DIGITS:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    if pre in _PLAIN:
        return byte_level
    known = ", ".join([*_SPLITS, *_DIGITS, *_PLAIN])
    raise _inexact(gguf, f"its pre-tokenizer is {pre!r}; known: {known}")


def _check(tokenizer: TokenizersBackend, metadata: dict[str, Any], gguf: Path) -> None:
    """Every added token is one token, the named ones are special, and the probes survive encoding and decoding."""
    backend, added = tokenizer.backend_tokenizer, tokenizer.added_tokens_decoder
    for key in _IDS.values():
        if key in metadata and not (metadata[key] in added and added[metadata[key]].special):
            raise _inexact(gguf, f"{key} = {metadata[key]} is not a special token")
    for number, token in added.items():
        if backend.encode(token.content, add_special_tokens=False).ids != [number]:
            raise _inexact(gguf, f"{token.content!r} is not encoded as one token")
    for text in PROBES:
        back = backend.decode(backend.encode(text, add_special_tokens=False).ids)
        if back != text:
            raise _inexact(gguf, f"{text!r} comes back as {back!r}")


def complete_tokenizer(folder: Path, out: Path) -> None:
    """Write `out/tokenizer.json` from the vocabulary files of `folder`; Refused when they cannot be converted."""
    pieces = next(iter(sorted(folder.glob("*.model"))), None)
    if pieces is not None and find_spec("sentencepiece") is None:  # the library would ask for another package
        what, why = f"{folder} has no tokenizer.json", f"transformers makes it of {pieces.name} by sentencepiece alone"
        raise Refused(what, why, "pip install sentencepiece, or save the tokenizer in its fast form beside the model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (ValueError, OSError, ImportError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{folder} has no tokenizer.json and it could not be made", _sentence(error)) from error
    if not isinstance(tokenizer, TokenizersBackend):
        raise Refused(f"{folder} has no tokenizer.json", f"{type(tokenizer).__name__} cannot be written as one")
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))


def _metadata(gguf: Path) -> dict[str, Any]:
    """The file's header, as the GGUF specification names it."""
    try:
        fields = GGUFReader(gguf).fields
    except (ValueError, IndexError, OverflowError) as error:
        raise Refused(f"{gguf.name} is not a readable GGUF file", _sentence(error), "download it again") from error
    return {name: field.contents() for name, field in fields.items()}


def _name_the_class(path: Path) -> None:
    """Name the tokenizer's class as transformers 4 knows it (5 reads both): other engines still use that release."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in plain.items() if name not in ("is_local", "local_files_only")}
    text = json.dumps({**kept, "tokenizer_class": "PreTrainedTokenizerFast"}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _inexact(gguf: Path, why: str) -> Refused:
    return Refused(f"{gguf.name} cannot be converted exactly", why, "use the model's safetensors folder")


def _sentence(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def main(source: Path, out: Path, how: Callable[[Path, Path], None]) -> int:
    """Convert, or print the error as one JSON line on stdout; returns the exit code."""
    refuse_connections()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        how(source, out)
    except AffinaError as error:
        print(told(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    whole = convert if sys.argv[3:] != ["outline"] else outline
    sys.exit(main(source, out, complete_tokenizer if source.is_dir() else whole))
