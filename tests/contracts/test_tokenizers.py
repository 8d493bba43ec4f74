"""The law of tokenizers: documented, round-trip, of the size asked for, the same each time, and text comes back."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SENTENCES
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.trainers import UnigramTrainer

from affina.core.kinds import tokenizers
from affina.engine.pieces import pieces

NAMES = tokenizers.names()
SPECIAL = ("<s>", "<unk>", "</s>")
SIZES = {"bpe": 380, "wordpiece": 150, "unigram": 370}


def learnt(name: str) -> Tokenizer:
    return tokenizers.build({"name": name, "vocabulary": SIZES[name]}).learn(SENTENCES, SPECIAL, "<unk>")


@pytest.mark.parametrize("name", NAMES)
def test_a_tokenizer_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = tokenizers.build(name)
    assert part.name == name == tokenizers.dump(part)
    changed = tokenizers.build({"name": name, "vocabulary": 500})
    assert tokenizers.build(tokenizers.dump(changed)) == changed != part
    assert type(part).__doc__ and all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_vocabulary_has_the_size_asked_for_and_begins_with_the_special_tokens(name: str) -> None:
    found = learnt(name)
    assert found.get_vocab_size() == SIZES[name] == max(found.get_vocab().values()) + 1
    assert [found.id_to_token(number) for number in range(3)] == [*SPECIAL]
    assert [each.content for each in found.get_added_tokens_decoder().values()] == [*SPECIAL]


@pytest.mark.parametrize("name", NAMES)
def test_another_process_learns_the_same_to_the_byte(name: str) -> None:
    script = (
        f"from affina.core.kinds import tokenizers\npart = tokenizers.build({{'name': {name!r}, 'vocabulary': "
        f"{SIZES[name]}}})\nprint(ascii(part.learn({SENTENCES!r}, {SPECIAL!r}, '<unk>').to_str()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii(learnt(name).to_str())


BPE, PIECES = learnt("bpe"), learnt("unigram")


@settings(deadline=None, max_examples=60)
@given(st.text().filter(lambda text: not any(each in text for each in (*SPECIAL, "▁", "\0"))))
def test_text_comes_back_unchanged_also_where_its_characters_were_never_met(text: str) -> None:
    for found in (BPE, PIECES):
        assert found.decode(found.encode(text, add_special_tokens=False).ids, skip_special_tokens=False) == text


def test_a_bytes_name_in_a_text_is_read_as_letters() -> None:
    for text in ("a <0x0A> b", "<0xE8>"):
        assert PIECES.decode(PIECES.encode(text).ids) == text


def test_wordpieces_give_the_words_back() -> None:
    found = learnt("wordpiece")
    assert found.decode(found.encode("The parcel and the invoice").ids) == "The parcel and the invoice"


def test_pieces_divide_as_shortly_as_the_librarys_unigram() -> None:
    """The library's own trainer gives another vocabulary each time; ours may not need more tokens than 3 % above it."""
    words = {
        word: 1 + number % 7 for number, word in enumerate(sorted({w for text in SENTENCES for w in text.split()}))
    }
    said = [word for word, times in words.items() for _ in range(times)]
    theirs = Tokenizer(Unigram())
    theirs.train_from_iterator(
        said, UnigramTrainer(vocab_size=80, show_progress=False, unk_token="<unk>", special_tokens=["<unk>"])
    )
    ours = Tokenizer(Unigram([("<unk>", 0.0), *pieces(words, 79)], 0))
    lengths = [sum(len(each.encode(word).ids) for word in said) for each in (theirs, ours)]
    assert lengths[1] <= 1.03 * lengths[0]


def test_pieces_are_the_shares_of_their_expected_counts() -> None:
    """Words that divide in one way only: the probabilities are exp(digamma(count) - digamma(sum))."""
    from scipy.special import digamma

    found = dict(pieces({"a": 30, "b": 10}, 2))
    assert found == pytest.approx({"a": digamma(30) - digamma(40), "b": digamma(10) - digamma(40)})
