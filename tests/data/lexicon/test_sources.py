"""Lexica as they lie in registries: senses and what they weigh, frequencies, thesauri."""

import gzip
from pathlib import Path

import pytest
from lexica import folder, packed

from affina.core.errors import Failed
from affina.data.lexicon import synsets
from affina.data.lexicon.frequencies import zipf
from affina.data.lexicon.mythes import Thesaurus
from affina.data.lexicon.synonyms import Synonyms
from affina.data.lexicon.synsets import Synsets


def test_a_pair_is_as_sure_as_the_senses_it_shares_on_either_side() -> None:
    # bank: river 1, money 3 → 1/4 and 3/4; shore has one sense, institute is half money
    senses = {"bank": {"n#r": 1.0, "n#m": 3.0}, "shore": {"n#r": 2.0}, "institute": {"n#m": 1.0, "n#x": 1.0}}
    found = Synsets(senses).synonyms("bank", "noun")
    assert found == pytest.approx({"shore": (0.25 * 1) ** 0.5, "institute": (0.75 * 0.5) ** 0.5})
    assert Synsets(senses).synonyms("bank", "verb") == {} == Synsets(senses).synonyms("absent", "noun")


def test_italian_senses_weigh_what_their_english_words_weigh(tmp_path: Path) -> None:
    folder(tmp_path)
    # book is at 6 on Zipf's scale, omasum in no list, which counts as 2; each has one sense
    found = synsets.italian(tmp_path / "italian_lemma.sql", tmp_path / "english_index.sql", {"book": 6.0})
    assert found["libro"] == {"n#2": 1e6, "n#3": 1e2}
    assert "piccola_donna" not in found, "phrases of words are left out"


def test_english_senses_weigh_half_the_one_before(tmp_path: Path) -> None:
    folder(tmp_path)
    found = synsets.english(tmp_path)
    assert found["house"] == {"n#01": 1.0, "n#05": 0.5, "n#06": 0.25, "n#02": 0.125}
    assert "time_unit" not in found


def test_only_sure_common_words_stand_in_for_others() -> None:
    senses = {"a": {"n#1": 1.0}, "same": {"n#1": 1.0}, "rare": {"n#1": 1.0}, "half": {"n#1": 1.0, "n#2": 3.0}}
    common = {"same": 5.0, "half": 5.0, "rare": 1.0}
    # half is sure by (1 · 1/4)^½ = 0.5: less than 0.6 of the surest
    assert Synonyms(Synsets(senses), common, {"never"}).of("a", "noun") == [("same", 1.0)]
    assert Synonyms(Synsets(senses), common, {"same"}).of("a", "noun") == [("half", 0.5)]
    assert Synonyms(Synsets(senses), common, {"same"}, sure=0.9).of("a", "noun") == []
    listed = Thesaurus({"half": {"a"}})
    assert Synonyms(Synsets(senses), common, {"same"}, sure=0.9, thesaurus=listed).of("a", "noun") == [("half", 0.5)]


def test_frequencies_are_read_as_the_format_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "list.gz"
    long = "x" * 40
    entries = [{"format": "cB", "version": 1}, *[[] for _ in range(20)], ["the", long], ["of"]]
    path.write_bytes(gzip.compress(packed(entries)))
    assert zipf(path) == {"the": 9 - 0.20, long: 9 - 0.20, "of": 9 - 0.21}


@pytest.mark.parametrize("value", [[{"format": "other"}], {"format": "cB"}, [1]])
def test_another_file_is_no_list_of_frequencies(tmp_path: Path, value: object) -> None:
    (tmp_path / "list.gz").write_bytes(gzip.compress(packed(value)))
    with pytest.raises(Failed, match="no list of frequencies"):
        zipf(tmp_path / "list.gz")


def test_unknown_bytes_of_a_list_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.gz").write_bytes(gzip.compress(b"\xc1"))
    with pytest.raises(Failed, match="0xc1"):
        zipf(tmp_path / "list.gz")


def test_a_thesaurus_knows_pairs_from_either_side_without_remarks(tmp_path: Path) -> None:
    path = tmp_path / "th.dat"
    path.write_bytes(
        "ISO8859-15\ncittà|2\n(s.f.)|borgo|metropoli (estensione)\n(s.f.)|villa\nborgo|0\n".encode("iso8859-15")
    )
    found = Thesaurus.read(path)
    assert found.has("città", "metropoli") and found.has("metropoli", "città") and found.has("città", "villa")
    assert not found.has("borgo", "villa")
