"""The law of architectures: documented, round-trips, and made into a folder that the library loads and reads alike."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SENTENCES
from transformers import AutoConfig, AutoModel, AutoTokenizer

from affina.core.errors import Refused
from affina.core.example import Text
from affina.core.kinds import architectures
from affina.core.model_choice import ModelChoice
from affina.data.tokens import Vocabulary
from affina.engine import scratch
from affina.engine.source import Source

NAMES = architectures.names()
SMALL = {"layers": 2, "width": 32, "heads": 4, "inner": 48, "context": 64, "dropout": 0.25}
SIZES = {"bpe": 380, "wordpiece": 150, "unigram": 370, "t5": 420}


def choice(name: str, **changes: Any) -> ModelChoice:
    usual = architectures.find(name).usual
    given = {
        "scratch": {"name": name, **SMALL},
        "tokenizer": {"name": usual, "vocabulary": SIZES.get(name, SIZES[usual])},
    }
    return ModelChoice.model_validate({**given, **changes})


def silent(label: str, done: int, total: int) -> None:
    """Nobody is told."""


def drafted(name: str) -> Source:
    return scratch.draft(choice(name), [Text(id=str(n), text=text) for n, text in enumerate(SENTENCES)], silent)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = architectures.build(name)
    assert part.name == name == architectures.dump(part)
    changed = architectures.build({"name": name, **SMALL})
    assert architectures.build(architectures.dump(changed)) == changed != part
    assert type(part).__doc__ and all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_library_loads_the_folder_with_the_sizes_asked_for_and_reads_text_alike(name: str) -> None:
    made = scratch.weighed(drafted(name), 0, silent)
    config = AutoConfig.from_pretrained(made.folder)
    assert config.num_hidden_layers == 2 and config.hidden_size == 32 and config.num_attention_heads == 4
    dropped = {value for key, value in config.to_dict().items() if re.search("dropout|pdrop", key) and value}
    assert dropped <= {0.25, 0.1, 0.2} and 0.25 in dropped  # 0.1 and 0.2: of heads that are not made here
    tokenizer, own = AutoTokenizer.from_pretrained(made.folder), Vocabulary(made.folder)
    for text in (*SENTENCES[:3], "a broken\n\n parcel"):
        assert tokenizer(text)["input_ids"] == own.encode([text], special=True)[0].ids
    for role, token in architectures.find(name).named.items():
        assert getattr(tokenizer, role) == token
    assert len(tokenizer) == len(own) == config.vocab_size
    model = AutoModel.from_pretrained(made.folder).eval()
    ids = torch.tensor([tokenizer(SENTENCES[0])["input_ids"]])
    more = {"decoder_input_ids": ids} if config.is_encoder_decoder else {}
    assert torch.isfinite(model(input_ids=ids, **more).last_hidden_state).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_opened_and_closed_as_the_family_does(name: str) -> None:
    found = Vocabulary(drafted(name).folder).encode(["parcel"], special=True)[0]
    marks = [token for token, special in zip(found.tokens, found.special_tokens_mask, strict=True) if special]
    expected = {
        "bert": ["[CLS]", "[SEP]"], "distilbert": ["[CLS]", "[SEP]"], "roberta": ["<s>", "</s>"],
        "bart": ["<s>", "</s>"], "t5": ["</s>"], "xlnet": ["<sep>", "<cls>"], "gpt2": [], "qwen3": [],
        "gemma": ["<bos>"], "llama": ["<s>"], "mistral": ["<s>"],
    }  # fmt: skip
    assert marks == expected[name]
    assert found.tokens[-1 if name == "xlnet" else 0] == (marks[-1] if name == "xlnet" else found.tokens[0])


@pytest.mark.parametrize("name", NAMES)
def test_two_texts_are_read_together_as_the_family_does(name: str) -> None:
    """Tokens and types as transformers' own tokenizers of these families give them."""
    found = Vocabulary(drafted(name).folder).tokenizer.encode("parcel", "card")
    marks = [*zip(found.tokens, found.type_ids, found.special_tokens_mask, strict=True)]
    bert = [("[CLS]", 0), 0, ("[SEP]", 0), 1, ("[SEP]", 1)]
    roberta = [("<s>", 0), 0, ("</s>", 0), ("</s>", 0), 0, ("</s>", 0)]
    llama = [("<s>", 0), 0, ("<s>", 1), 1]
    expected = {
        "bert": bert, "distilbert": bert, "roberta": roberta, "bart": roberta, "t5": [0, ("</s>", 0), 0, ("</s>", 0)],
        "xlnet": [0, ("<sep>", 0), 1, ("<sep>", 1), ("<cls>", 2)], "llama": llama, "mistral": llama,
        "gemma": [("<bos>", 0), 0, ("<bos>", 1), 1], "gpt2": [0, 1], "qwen3": [0, 1],
    }  # fmt: skip
    placed = [(token, kind) if special else kind for token, kind, special in marks]
    once = [
        each for place, each in enumerate(placed) if isinstance(each, tuple) or each not in placed[place - 1 : place]
    ]
    assert once == expected[name]


@pytest.mark.parametrize("name", ["llama", "bert", "t5"])
def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(
    name: str, tmp_path: Path, monkeypatch: Any
) -> None:
    def files(cache: str, seed: int) -> dict[str, bytes]:
        monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / cache))
        torch.manual_seed(len(cache))  # what was drawn before is of no account
        made = scratch.weighed(drafted(name), seed, silent)
        kept = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
        return {each: (made.folder / each).read_bytes() for each in kept}

    first, again, other = files("a", 3), files("bb", 3), files("ccc", 4)
    assert first == again
    assert [each for each in first if first[each] != other[each]] == ["model.safetensors"]


def test_drawing_weights_leaves_the_callers_draws_alone() -> None:
    made = drafted("llama")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    scratch.weighed(made, 0, silent)
    assert torch.equal(torch.rand(3), expected)


def test_a_text_that_spells_out_a_special_token_is_objected_to() -> None:
    object_to = scratch.objection(choice("bert")).to
    assert "[MASK]" in object_to(Text(id="1", text="a [MASK] here")) and not object_to(Text(id="2", text="<s>"))


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [
        ("bpe", 9000, "give"),
        ("bpe", 100, "alone are"),
        ("unigram", 9000, "give"),
        ("unigram", 260, "alone are"),
        ("wordpiece", 9000, "give"),
    ],
)
def test_a_vocabulary_that_the_texts_do_not_give_is_refused_with_the_size_they_give(
    name: str, size: int, sentence: str
) -> None:
    texts = [Text(id=str(n), text=text) for n, text in enumerate(SENTENCES)]
    asked = choice("llama", tokenizer={"name": name, "vocabulary": size})
    with pytest.raises(Refused, match=sentence) as caught:
        scratch.draft(asked, texts, silent)
    given = int(re.search(r"vocabulary to (\d+)", str(caught.value))[1])  # type: ignore[index]
    mended = choice("llama", tokenizer={"name": name, "vocabulary": given})
    assert json.loads((scratch.draft(mended, texts, silent).folder / "config.json").read_text())["vocab_size"] == given


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"base": "x", "scratch": "llama"}, "takes base or scratch"),
        ({}, "takes base or scratch"),
        ({"base": "x", "tokenizer": "bpe"}, "a base brings its own"),
        ({"scratch": "lama"}, "did you mean 'llama'"),
        ({"scratch": {"name": "bert", "width": 64, "heads": 5}}, "5 heads do not divide a width of 64: 4 would"),
        ({"scratch": {"name": "llama", "width": 64, "heads": 8, "groups": 3}}, "3 groups do not divide 8 heads"),
        ({"scratch": {"name": "llama", "width": 63, "heads": 7}}, "is odd"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(given: dict[str, Any], sentence: str) -> None:
    from affina.core.recipe import Recipe

    with pytest.raises(Refused, match=sentence):
        Recipe.build({"name": "a", "model": given, "data": {"read": ["a.txt"]}, "tuning": "full"})
