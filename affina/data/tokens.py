"""A base's vocabulary without transformers: tokenizer.json, its special tokens, and the tokens that stop an answer."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from affina.core.atomic import sha256
from affina.core.errors import Refused
from affina.data.roles import roles

PADDING_FIRST = (
    "camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mpnet", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip
"""Families whose positions start behind the padding token's."""
POSITIONS = (
    "max_position_embeddings", "n_positions", "max_encoder_position_embeddings", "max_decoder_position_embeddings",
    "max_seq_len",
)  # fmt: skip
"""What configurations call the size of a table of positions; the smallest counts."""
SPARE = 0.1  # share of the embedding that may have no token: published bases pad by up to 2 %


class Vocabulary:
    """Text ↔ token ids. `named` maps bos_token, eos_token … to their text; `stops` are the ids the base ends with."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise Refused(
                f"{folder} has no tokenizer.json", instead="save the tokenizer in its fast form beside the model"
            )
        self.digest = sha256(path)
        self.tokenizer = _tokenizer(path)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        config, settings = _json(folder / "config.json"), _json(folder / "tokenizer_config.json")
        self.named = roles(settings, _json(folder / "special_tokens_map.json"), config, self.tokenizer)
        self.special = {token.content: number for number, token in self.tokenizer.get_added_tokens_decoder().items()}
        self.stops = self._stops(_json(folder / "generation_config.json"), config)
        self.limit = _positions(config)
        self.model_type = str(config.get("model_type", ""))
        self.decodes_from = _decoder_start(config)
        self._same_size(folder, int(config.get("vocab_size") or 0))

    def _stops(self, generation: dict[str, Any], config: dict[str, Any]) -> set[int]:
        stops: set[int] = set()
        for given in (generation.get("eos_token_id"), config.get("eos_token_id")):
            stops.update([given] if isinstance(given, int) else given or [])
        eos = self.tokenizer.token_to_id(self.named.get("eos_token", ""))
        return stops | ({eos} if eos is not None else set())

    def _same_size(self, folder: Path, embedded: int) -> None:
        own = max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        if embedded and (own > embedded or own < embedded * (1 - SPARE)):
            raise Refused(
                f"{folder}: the tokenizer has {own} tokens and the model's vocabulary {embedded}",
                why="they do not belong together",
                instead="put the tokenizer the model was trained with beside it",
            )

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str], special: bool = False) -> list[Any]:
        """tokenizers' encodings (ids, offsets); `special` lets the tokenizer add its own first and last tokens."""
        return list(self.tokenizer.encode_batch(list(texts), add_special_tokens=special))

    def pair(self, first: str, second: str) -> Any:
        """One encoding of two texts, with the tokenizer's own tokens around and between them, or a line end."""
        joined = self.tokenizer.num_special_tokens_to_add(True) > self.tokenizer.num_special_tokens_to_add(False)
        return self.tokenizer.encode(first if joined else f"{first}\n", second, add_special_tokens=True)

    @property
    def mask(self) -> int | None:
        """The id behind which a masked model hides a token."""
        found: int | None = self.tokenizer.token_to_id(self.named.get("mask_token", ""))
        return found

    @cached_property
    def plain(self) -> npt.NDArray[np.int32]:
        """Every id that is no special token's."""
        return np.setdiff1d(np.arange(self.tokenizer.get_vocab_size(), dtype=np.int32), [*self.special.values()])

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The ids that this tokenizer puts before and after every text."""
        encoding = self.encode(["a"], special=True)[0]
        own = [place for place, mark in enumerate(encoding.special_tokens_mask) if not mark]
        return list(encoding.ids[: own[0]]), list(encoding.ids[own[-1] + 1 :])

    def decode(self, tokens: Sequence[int], special: bool = False) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=not special))

    @property
    def opening(self) -> str:
        """The text of the token this tokenizer puts before every text (bos), where it puts one."""
        first, bos = self.encode(["a"], special=True)[0].ids[0], self.named.get("bos_token", "")
        return bos if bos and first == self.tokenizer.token_to_id(bos) else ""

    def injected(self, text: str) -> str:
        """A special token that plain content spells out and that would be read as a real one; empty if none."""
        return next((token for token in self.special if token in text and not token.isspace()), "")


def _decoder_start(config: dict[str, Any]) -> int | None:
    """What the decoder of an encoder–decoder begins every result with; None for other bases."""
    if not config.get("is_encoder_decoder"):
        return None
    declared = config.get("decoder_start_token_id")
    return int(declared if declared is not None else config.get("pad_token_id") or 0)


def first_position(model_type: str, padding: int | None) -> int:
    """The number of a row's first position in its family's table, given the padding token's id."""
    if model_type not in PADDING_FIRST:
        return 0
    return 2 if padding is None or model_type == "mpnet" else padding + 1  # MPNet's is written down in its code


def _positions(config: dict[str, Any]) -> int:
    """The longest row a base takes, in tokens.

    Where longer rows turn their positions by other frequencies than shorter ones (LongRoPE, Ding et al. 2024), as many
    as the shorter: rows that are computed together would take on the frequencies of the longest.
    """
    text = config.get("text_config")
    config = {**text, **config} if isinstance(text, dict) else config
    embedded = min([int(config[name]) for name in POSITIONS if config.get(name)], default=2**31)
    turned = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if isinstance(turned, dict) and (turned.get("rope_type") or turned.get("type")) in ("longrope", "su"):
        shorter = config.get("original_max_position_embeddings") or turned.get("original_max_position_embeddings")
        embedded = min(embedded, int(shorter or embedded))
    return embedded - first_position(str(config.get("model_type", "")), config.get("pad_token_id"))


def _tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise _damaged(path, error) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> Refused:
    return Refused(f"{path} cannot be read", str(error), "fetch or save the model folder again")
