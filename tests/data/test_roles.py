"""Special tokens by role, in folders as the hub has them: most say nothing of them and leave it to the library."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoTokenizer

from affina.data.roles import ROLES
from affina.data.rows import Renderer
from affina.data.tokens import Vocabulary, first_position

BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
GPT2 = ("<|endoftext|>",)
FOLDERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "bert": (BERT, {"pad_token_id": 0}),
    "distilbert": (BERT, {"pad_token_id": 0}),
    "electra": (BERT, {"pad_token_id": 0}),
    "roberta": (ROBERTA, {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}),
    "bart": (ROBERTA, {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "is_encoder_decoder": True}),
    "gpt2": (GPT2, {"bos_token_id": 0, "eos_token_id": 0}),
}


def folder_of(name: str, place: Path, settings: dict[str, Any] | None = None) -> Path:
    """As published: tokenizer.json with its special tokens, and a tokenizer_config.json that names none."""
    special, config = FOLDERS[name]
    words = {token: number for number, token in enumerate((*special, *"abcdefgh", "Ġ"))}
    if special == BERT:
        tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        tokenizer = Tokenizer(models.BPE(words, []))
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(False), decoders.ByteLevel()
    tokenizer.add_special_tokens([*special])
    ends = {BERT: ("[CLS]", "[SEP]"), ROBERTA: ("<s>", "</s>")}.get(special)
    if ends:
        form = f"{ends[0]} $A {ends[1]}"
        tokenizer.post_processor = processors.TemplateProcessing(form, None, [(each, words[each]) for each in ends])
    place.mkdir()
    tokenizer.save(str(place / "tokenizer.json"))
    (place / "config.json").write_text(json.dumps({"model_type": name, "vocab_size": len(words), **config}))
    (place / "tokenizer_config.json").write_text(json.dumps(settings or {"model_max_length": 512}))
    return place


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_names_no_roles_has_those_that_the_library_knows(name: str, tmp_path: Path) -> None:
    folder = folder_of(name, tmp_path / name)
    found, library = Vocabulary(folder), AutoTokenizer.from_pretrained(folder)
    for role in ("mask_token", "eos_token"):
        assert found.named.get(role) == getattr(library, role)
    assert all(found.named[role] == getattr(library, role) for role in found.named)
    assert found.mask == library.mask_token_id


def test_a_published_gpt2_ends_an_answer_and_a_text(tmp_path: Path) -> None:
    renderer = Renderer.open(folder_of("gpt2", tmp_path / "gpt2"))
    assert renderer.stops == {0}
    assert renderer.vocabulary.opening == ""


def test_what_the_settings_say_stands_even_that_there_is_none(tmp_path: Path) -> None:
    folder = folder_of("gpt2", tmp_path / "own", {"bos_token": None, "eos_token": {"content": "a"}})
    assert Vocabulary(folder).named == {"eos_token": "a"}


def test_the_map_of_special_tokens_is_heeded_before_the_configuration(tmp_path: Path) -> None:
    folder = folder_of("gpt2", tmp_path / "own")
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": "b"}))
    assert Vocabulary(folder).named == {"bos_token": "<|endoftext|>", "eos_token": "b"}
    assert {*Vocabulary(folder).named} <= {*ROLES}


def test_positions_start_behind_the_padding_in_roberta_and_its_kin_alone() -> None:
    assert [first_position(name, 1) for name in ("roberta", "mpnet", "data2vec-text", "bert")] == [2, 2, 2, 0]
    assert first_position("camembert", 4) == 5 and first_position("roberta", None) == 2  # their class's own default
