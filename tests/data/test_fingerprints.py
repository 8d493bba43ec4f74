"""Hashes of columns tell texts apart as Python does with their white space collapsed."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.data.fingerprints import BLANKS, fingerprints, folded
from affina.data.minhash import Indices, first_of_equal

BLANK = "".join(filter(str.isspace, map(chr, range(sys.maxunicode + 1))))
TEXTS = st.text(st.sampled_from(f"ab{BLANK}\0àᚁ€ \u200b\u3001🜁"), max_size=20)


def groups(texts: list[str]) -> list[int]:
    """The place of the first that says the same, by a dictionary."""
    first: dict[str, int] = {}
    return [first.setdefault(" ".join(text.split()), place) for place, text in enumerate(texts)]


def found(texts: pa.Array) -> list[int]:
    places: Indices = first_of_equal(fingerprints(texts))
    return [int(place) for place in places]


def test_every_character_that_splits_a_text_is_known() -> None:
    wide = {chr(point) for point in BLANKS}
    assert wide == {blank for blank in BLANK if ord(blank) > 127}
    alone = pa.array([f"a{blank}b" for blank in BLANK] + [f"{blank}a {blank} b{blank}" for blank in BLANK])
    assert len(set(fingerprints(alone).tolist())) == 1


@settings(deadline=None, max_examples=100)
@given(st.lists(TEXTS, max_size=30))
def test_texts_are_equal_where_python_finds_them_equal(texts: list[str]) -> None:
    assert found(pa.array(texts, pa.string())) == groups(texts)


@settings(deadline=None, max_examples=40)
@given(st.lists(TEXTS, min_size=1, max_size=9), st.data())
def test_a_hash_does_not_depend_on_what_stands_beside(texts: list[str], data: st.DataObject) -> None:
    column, start = pa.array(texts, pa.string()), data.draw(st.integers(0, len(texts) - 1))
    whole, part = fingerprints(column), fingerprints(column.slice(start))
    assert whole[start:].tolist() == part.tolist()
    assert fingerprints(pa.array([texts[start]])).tolist() == part[:1].tolist()


def test_texts_of_every_length_that_differ_in_one_byte_are_told_apart() -> None:
    """Lengths up to five words of eight bytes, each byte changed, zero bytes at the end too: all different."""
    texts = ["x" * size for size in range(41)] + ["x" * size + "\0" for size in range(41)]
    texts += ["x" * place + "y" + "x" * (39 - place) for place in range(40)]
    assert len(set(fingerprints(pa.array(texts)).tolist())) == len(texts)


def test_words_in_another_order_are_another_text() -> None:
    texts = ["aaaaaaaabbbbbbbb", "bbbbbbbbaaaaaaaa", "aaaaaaaa", "bbbbbbbb", "aaaaaaaaaaaaaaaabbbbbbbb"]
    assert len(set(fingerprints(pa.array(texts)).tolist())) == 5


def test_half_a_surrogate_pair_is_hashed_too() -> None:
    halves = [text.encode("utf-8", "surrogatepass") for text in ("\ud800", "\udc00", "a", "\ud800 ")]
    assert found(pa.array(halves, pa.binary())) == [0, 1, 2, 0]


@pytest.mark.parametrize("parts", [[], [[]], [[], [1], [], [1, 1], [2, 1], [1, 2], [1]]])
def test_lists_are_told_apart_by_order_and_length(parts: list[list[int]]) -> None:
    values = np.array([value for part in parts for value in part], np.uint64)
    starts = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    hashes = folded(values, starts).tolist()
    assert [hashes.index(each) for each in hashes] == [parts.index(each) for each in parts]


def test_bits_are_spread_evenly() -> None:
    """Of 20,000 texts of a counter each of the 64 bits is set in half: within five standard deviations, 354."""
    hashes = fingerprints(pa.array([f"row {n}" for n in range(20_000)]))
    ones = ((hashes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).sum(axis=0)
    assert np.abs(ones.astype(int) - 10_000).max() < 354
