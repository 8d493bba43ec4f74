"""The special tokens of a base by role, from whatever files of its folder name them."""

from collections.abc import Collection, Mapping
from typing import Any

from tokenizers import Tokenizer

ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
USUAL = {
    "unk_token": ("[UNK]", "<unk>"),
    "sep_token": ("[SEP]", "<sep>"),
    "cls_token": ("[CLS]", "<cls>"),
    "mask_token": ("[MASK]", "<mask>"),
}
"""How the families spell them whose folders leave it to the tokenizer's class to say so: BERT's, RoBERTa's, XLNet's."""


def roles(
    settings: Mapping[str, Any], more: Mapping[str, Any], config: Mapping[str, Any], tokenizer: Tokenizer
) -> dict[str, str]:
    """Their text by role. What tokenizer_config.json says of a role stands, none at all included; then what
    special_tokens_map.json says, the ids that config.json declares, and the usual spellings among special tokens."""
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    found = {}
    for role in ROLES:
        said = next((each[role] for each in (settings, more) if role in each), None)
        silent = role not in settings and role not in more
        text = _text(said) if not silent else _declared(role, config, tokenizer) or _spelt(role, special)
        if text:
            found[role] = text
    return found


def _declared(role: str, config: Mapping[str, Any], tokenizer: Tokenizer) -> str:
    number = config.get(f"{role}_id")
    return (tokenizer.id_to_token(number) or "") if isinstance(number, int) and number >= 0 else ""


def _spelt(role: str, special: Collection[str]) -> str:
    return next((each for each in USUAL.get(role, ()) if each in special), "")


def _text(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token or "")
