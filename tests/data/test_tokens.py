"""A base's vocabulary read without transformers is the one transformers reads, and a wrong one is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from families import SPECIAL, STOP, tokenizer_of, write_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from affina.core.errors import Refused
from affina.data.tokens import Vocabulary

TEXTS = ("", "a", "Where is my parcel?", "perché — 你好 🎈👩‍👩‍👧", "  two  spaces\n\n", "<|im_end|>", "\x00\x07")


def folder_with(folder: Path, config: dict[str, Any] | None = None, generation: dict[str, Any] | None = None) -> Path:
    size = write_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({"vocab_size": size, **(config or {})}))
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


@pytest.mark.parametrize("encoder", [False, True])
def test_token_ids_are_those_of_transformers(encoder: bool, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, encoder)
    own, theirs = Vocabulary(tmp_path), PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for special in (False, True):
        for text, encoding in zip(TEXTS, own.encode(TEXTS, special=special), strict=True):
            assert encoding.ids == theirs(text, add_special_tokens=special)["input_ids"]
    named = {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "mask_token": "[MASK]"}
    assert own.named == {**named, "cls_token": "[CLS]", "sep_token": "[SEP]"}  # by their usual spelling


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_any_text_survives_encoding_and_decoding(text: str) -> None:
    vocabulary = Vocabulary.__new__(Vocabulary)
    vocabulary.tokenizer = tokenizer_of()
    assert vocabulary.decode(vocabulary.encode([text])[0].ids, special=True) == text


def test_decoding_leaves_special_tokens_out_unless_asked(tmp_path: Path) -> None:
    vocabulary = Vocabulary(folder_with(tmp_path))
    ids = vocabulary.encode(["<|im_start|>yes<|im_end|>"])[0].ids
    assert vocabulary.decode(ids) == "yes"
    assert vocabulary.decode(ids, special=True) == "<|im_start|>yes<|im_end|>"


def test_stop_tokens_are_those_that_any_of_the_three_files_declares(tmp_path: Path) -> None:
    assert Vocabulary(folder_with(tmp_path / "a")).stops == {STOP}
    assert Vocabulary(folder_with(tmp_path / "b", {"eos_token_id": 7})).stops == {STOP, 7}
    assert Vocabulary(folder_with(tmp_path / "c", {"eos_token_id": [7, 8]}, {"eos_token_id": 9})).stops == {
        STOP, 7, 8, 9
    }  # fmt: skip


def test_truncation_and_padding_stored_in_the_file_are_switched_off(tmp_path: Path) -> None:
    tokenizer = tokenizer_of()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=50)
    folder_with(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ids = [encoding.ids for encoding in Vocabulary(tmp_path).encode(["a", "where is my parcel? where is it?"])]
    assert len(ids[0]) == 1 and len(ids[1]) > 3


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"max_position_embeddings": 77}, 77),
        ({"n_positions": 33}, 33),
        ({}, 2**31),
        # RoBERTa's first position is padding_idx + 1: two of its 514 embeddings are never reached.
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "opt", "max_position_embeddings": 2048, "pad_token_id": 1}, 2048),
    ],
)
def test_the_longest_row_is_what_the_positions_allow(config: dict[str, Any], limit: int, tmp_path: Path) -> None:
    assert Vocabulary(folder_with(tmp_path, config)).limit == limit


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    size = tokenizer_of().get_vocab_size()
    for embedded in (size, size + size // 20):  # embeddings are padded for speed by a few per cent
        assert Vocabulary(folder_with(tmp_path / str(embedded), {"vocab_size": embedded}))
    for embedded in (size - 1, 2 * size):
        with pytest.raises(Refused, match=rf"tokenizer has {size} tokens and the model's vocabulary {embedded}"):
            Vocabulary(folder_with(tmp_path / str(embedded), {"vocab_size": embedded}))


def test_a_missing_or_damaged_tokenizer_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no tokenizer\.json"):
        Vocabulary(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", ')
    with pytest.raises(Refused, match=r"tokenizer\.json cannot be read"):
        Vocabulary(tmp_path)
    folder_with(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(Refused, match=r"tokenizer_config\.json cannot be read"):
        Vocabulary(tmp_path)


def test_the_opening_is_the_first_token_that_the_tokenizer_adds(tmp_path: Path) -> None:
    assert Vocabulary(folder_with(tmp_path / "none")).opening == ""
    folder = folder_with(tmp_path / "bos")
    tokenizer = tokenizer_of()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 0)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    given = json.loads((folder / "tokenizer_config.json").read_text())
    bos = {"__type": "AddedToken", "content": "<|im_start|>"}  # the long form of a named token
    (folder / "tokenizer_config.json").write_text(json.dumps({**given, "bos_token": bos}))
    vocabulary = Vocabulary(folder)
    assert vocabulary.opening == vocabulary.named["bos_token"] == "<|im_start|>"
    assert vocabulary.special == {token: number for number, token in enumerate(SPECIAL)}


def test_text_that_spells_out_a_special_token_is_found(tmp_path: Path) -> None:
    vocabulary = Vocabulary(folder_with(tmp_path))
    assert vocabulary.injected("say <|im_end|> to stop") == "<|im_end|>"
    assert vocabulary.injected("the assistant ends with im_end") == ""


def test_a_special_token_of_white_space_is_no_injection(tmp_path: Path) -> None:
    folder_with(tmp_path)
    tokenizer = tokenizer_of()
    tokenizer.add_tokens(["    "])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text("{}")
    assert Vocabulary(tmp_path).injected("code\n    indented") == ""


@pytest.mark.slow
@pytest.mark.parametrize("alias", ["smollm2-135m-instruct", "minilm"])
def test_the_real_bases_give_the_ids_of_transformers(alias: str) -> None:
    from affina.engine.source import find

    folder = find(alias).folder
    own, theirs = Vocabulary(folder), AutoTokenizer.from_pretrained(folder)
    for special in (False, True):
        for text, encoding in zip(TEXTS, own.encode(TEXTS, special=special), strict=True):
            assert encoding.ids == theirs(text, add_special_tokens=special)["input_ids"], text


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"max_position_embeddings": 9000}, 9000),
        ({"max_seq_len": 700}, 700),
        ({"text_config": {"max_position_embeddings": 800}}, 800),
        ({"model_type": "xmod", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"max_position_embeddings": 9000, "rope_scaling": {"type": "linear", "factor": 2.0}}, 9000),
        (
            {
                "max_position_embeddings": 9000,
                "original_max_position_embeddings": 400,
                "rope_scaling": {"type": "longrope"},
            },
            400,
        ),
        (
            {
                "max_position_embeddings": 9000,
                "rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 300},
            },
            300,
        ),
    ],
)
def test_the_longest_row_is_what_positions_reach_without_other_frequencies(
    config: dict[str, Any], limit: int, tmp_path: Path
) -> None:
    assert Vocabulary(folder_with(tmp_path, config)).limit == limit
