import random
from difflib import SequenceMatcher

import pytest

from affina.data.likeness import likest, longest_common, longest_run, repeats_itself, rouge_l, words


def test_words_are_letters_and_digits_of_any_script_in_lower_case() -> None:
    assert words("L'età: 3,5 ANNI_fa — 漢字") == ["l", "età", "3", "5", "anni", "fa", "漢字"]
    assert words(" .,! ") == []


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence() -> None:
    # Lin (2004), section 3.1: police killed the gunman / police kill the gunman: police, the, gunman are in order: 3
    one, two = words("police killed the gunman"), words("police kill the gunman")
    assert longest_common(one, two) == 3
    assert rouge_l(one, two) == 2 * 3 / (4 + 4)
    assert rouge_l(one, words("the gunman kill police")) == 2 * 2 / (4 + 4)
    assert rouge_l([], one) == rouge_l([], []) == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_likest_is_what_comparing_with_all_finds(seed: int) -> None:
    draws = random.Random(seed)
    pool = [draws.choices("abcdef", k=draws.randint(1, 12)) for _ in range(30)]
    text = draws.choices("abcdef", k=8)
    scores = [rouge_l(text, other) for other in pool]
    found = likest(text, pool, 0.6)
    if max(scores) < 0.6:
        assert found is None
    else:
        assert found == (max(scores), scores.index(max(scores)))


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_run_is_difflibs(seed: int) -> None:
    draws = random.Random(seed)
    one, two = draws.choices("abc", k=15), draws.choices("abc", k=20)
    match = SequenceMatcher(None, one, two, autojunk=False).find_longest_match()
    assert longest_run(one, two) == match.size
    assert longest_run(one, []) == longest_run([], two) == 0


def test_a_text_that_goes_round_in_circles_repeats_itself() -> None:
    assert repeats_itself("the same thing again " * 12)
    assert not repeats_itself(" ".join(f"word{n}" for n in range(60)))
    assert not repeats_itself("the same thing again " * 3)  # short: a refrain is none
