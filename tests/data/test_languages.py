import pytest
from shared_data import shared

pytest.importorskip("py3langid")

from affina.data.languages import languages


@pytest.mark.parametrize(("name", "language"), [("eng-ita.eng", "en"), ("eng-ita.ita", "it"), ("eng-spa.spa", "es")])
def test_sentences_of_a_known_language_are_named_or_left_open(name: str, language: str) -> None:
    lines = shared("data", "tatoeba_en_it_es", name).read_text(encoding="utf-8").splitlines()[:400]
    found = languages(lines)
    certain = sum(times for name, times in found.items() if name)
    assert found[language] > 0.95 * certain and sum(found.values()) == 400


def test_addresses_marks_and_short_texts_name_no_language() -> None:
    assert languages(["", "12 %", "ok", "https://example.org/" + "a" * 50, "{}<>[]" * 20, "\x00\ud800"]) == {"": 6}
