"""A model made from nothing: the folder `check` looks at (configuration, and a tokenizer learnt from the training
split), and the same folder with random weights. Both are cache entries, made again to the bit where they are gone."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, processors

from affina.core.atomic import write_json
from affina.core.cache import Progress
from affina.core.errors import Refused
from affina.core.example import Chat, Example
from affina.core.kinds import Architecture, Tokenization, architectures, tokenizers
from affina.core.model_choice import ModelChoice
from affina.data.shaped import Objection
from affina.engine.cache import Source, entry
from affina.engine.folder import digest_of, sample

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
LICENCE = "none: made from nothing"


def objection(model: ModelChoice) -> Objection:
    """Why an example cannot be learnt from, by the special tokens that the tokenizer will have."""
    special = _chosen(model)[0].special

    def found(example: Example) -> str:
        texts = [message.content for message in example.messages] if isinstance(example, Chat) else [example.given]
        token = next((token for token in special if any(token in text for text in texts)), "")
        return f"its text spells out the special token {token}, which the model would obey" if token else ""

    return Objection(f"special tokens {' '.join(special)}", found)


def draft(model: ModelChoice, examples: Iterable[Example], tell: Progress) -> Source:
    """The model's folder without weights, its tokenizer learnt from these examples. torch is not needed.

    Raises Refused when they do not give a vocabulary of the size asked for.
    """
    architecture, tokenization = _chosen(model)
    texts = [text for each in examples for text in (each.given, each.target) if text.strip()]
    asked = [architectures.dump(architecture), tokenizers.dump(tokenization), architecture.form, architecture.pair]
    known = json.dumps([*asked, _digest(texts), version("tokenizers")], sort_keys=True)

    def make(aside: Path) -> tuple[str, Path]:
        tell(f"learning {tokenization.vocabulary:,} tokens", 0, 0)
        tokenizer = _learnt(architecture, tokenization, texts)
        tokenizer.save(str(aside / "tokenizer.json"))
        _configure(aside, architecture, tokenizer)
        return _digest([(aside / name).read_text(encoding="utf-8") for name in FILES]), aside

    reference = f"{architecture.name} from scratch"
    return replace(entry("draft", known, make, tell), reference=reference, licence=LICENCE)


def weighed(drafted: Source, seed: int, tell: Progress) -> Source:
    """The same model with weights drawn from the seed: an ordinary model folder, which is its own reference."""
    known = json.dumps([drafted.digest, seed, version("torch"), version("transformers")])

    def make(aside: Path) -> tuple[str, Path]:
        from affina.engine.torch.random_weights import write

        tell("drawing random weights", 0, 0)
        write(drafted.folder, aside, seed)
        return digest_of(aside, sample), aside

    made = entry("scratch", known, make, tell)
    return replace(made, reference=str(made.folder), licence=LICENCE)


def _chosen(model: ModelChoice) -> tuple[Architecture, Tokenization]:
    assert model.scratch is not None, "a model with a base is not made from nothing"
    return model.scratch, model.tokenizer or tokenizers.build(model.scratch.usual)


def _digest(texts: Sequence[str]) -> str:
    seen = hashlib.sha256()
    for text in texts:
        data = text.encode()
        seen.update(len(data).to_bytes(8, "little") + data)
    return seen.hexdigest()


def _learnt(architecture: Architecture, tokenization: Tokenization, texts: Sequence[str]) -> Tokenizer:
    """The tokenizer, with the tokens that open and close a text."""
    tokenizer = tokenization.learn(texts, architecture.special, architecture.named["unk_token"])
    given, asked = tokenizer.get_vocab_size(), tokenization.vocabulary
    if given != asked:
        what = f"{tokenization.name} cannot learn a vocabulary of {asked:,} tokens here"
        few = f"the training texts ({sum(map(len, texts)):,} characters) give {given:,}"
        many = f"special tokens and single characters alone are {given:,}"
        more = " or read more text" if given < asked else ""
        raise Refused(what, few if given < asked else many, f"set model.tokenizer.vocabulary to {given}{more}")
    ends = [(token, tokenizer.token_to_id(token)) for token in architecture.form.split() if token != "$A"]
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=architecture.form, pair=architecture.pair, special_tokens=ends
        )
    return tokenizer


def _configure(folder: Path, architecture: Architecture, tokenizer: Tokenizer) -> None:
    """config.json and tokenizer_config.json."""
    ids: dict[str, int] = {role: tokenizer.get_vocab()[token] for role, token in architecture.named.items()}
    declared = {f"{role}_id": ids[role] for role in ("bos_token", "eos_token", "pad_token") if role in ids}
    size = tokenizer.get_vocab_size()
    common: Mapping[str, Any] = {"architectures": [architecture.family], "vocab_size": size, **declared}
    absent = {f"{role}_id": None for role in ("bos_token", "eos_token") if role not in ids}
    write_json(folder / "config.json", {**absent, **common, **architecture.config(ids, size)})
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": architecture.context}
    write_json(folder / "tokenizer_config.json", {**architecture.named, **settings})
