"""BLEU and chrF against sacrebleu, ROUGE and SQuAD's scores against published and counted cases."""

import random
from difflib import SequenceMatcher

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from affina.core.answers import Answers
from affina.data.likeness import longest_common
from affina.evaluation.metrics.bleu import Bleu
from affina.evaluation.metrics.chrf import Chrf
from affina.evaluation.metrics.rouge_1 import Rouge1
from affina.evaluation.metrics.rouge_2 import Rouge2
from affina.evaluation.metrics.rouge_l import RougeL
from affina.evaluation.metrics.rouge_lsum import RougeLsum, _common
from affina.evaluation.metrics.squad_exact import SquadExact
from affina.evaluation.metrics.squad_f1 import SquadF1

WORDS = ["the", "cat", "sat,", "on", "a", "MAT", "and", "è", "già", "così;", "il", "gatto's", "3.5", "lontano!"]


def texts(said: list[str], *right: list[str]) -> Answers:
    """Answers with one or several references each; `right[k][n]` is reference k of item n."""
    n = len(said)
    references = tuple(zip(*right, strict=True))
    return Answers(
        tuple(map(str, range(n))), np.ones(n), np.ones(n), said=tuple(said), expected=tuple(right[0]),
        references=references,
    )  # fmt: skip


def sentences(seed: int, n: int = 12, least: int = 0) -> list[str]:
    draws = random.Random(seed)
    return [" ".join(draws.choices(WORDS, k=draws.randint(least, 14))) for _ in range(n)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [1, 3])
def test_bleu_and_chrf_equal_sacrebleu(seed: int, count: int) -> None:
    said, right = sentences(seed), [sentences(100 * seed + k, least=1) for k in range(1, count + 1)]
    answers = texts(said, *right)
    assert 100 * Bleu().value(answers) == pytest.approx(BLEU().corpus_score(said, right).score)
    assert 100 * Chrf().value(answers) == pytest.approx(CHRF().corpus_score(said, right).score)
    other = CHRF(char_order=4, beta=1).corpus_score(said, right).score
    assert 100 * Chrf(order=4, beta=1).value(answers) == pytest.approx(other)
    lower = BLEU(lowercase=True, tokenize="char").corpus_score(said, right).score
    assert 100 * Bleu(lowercase=True, tokenize="char").value(answers) == pytest.approx(lower)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (["a b c d e"], ["a b x d e"]),  # no run of three: smoothed
        (["a b c"], ["a b c"]),  # no run of four at all
        (["x"], ["a b c d"]),
        ([""], ["a b c d"]),
        (["a b c d"], ["a b c d e f g h"]),  # too short
    ],
)
def test_bleu_of_hard_cases_equals_sacrebleu(said: list[str], right: list[str]) -> None:
    assert 100 * Bleu().value(texts(said, right)) == pytest.approx(BLEU().corpus_score(said, [right]).score)
    assert 100 * Chrf().value(texts(said, right)) == pytest.approx(CHRF().corpus_score(said, [right]).score)


def test_rouge_of_lins_example() -> None:
    # Lin (2004), section 3.1: S1 "police killed the gunman"; S2 "police kill the gunman"; S3 "the gunman kill police".
    # The longest common subsequences are 3 and 2 words of 4.
    right = "police killed the gunman"
    assert RougeL().value(texts(["police kill the gunman"], [right])) == 3 / 4
    assert RougeL().value(texts(["the gunman kill police"], [right])) == 2 / 4
    # Both share three words, and "the gunman" is the one common pair of three and three.
    assert Rouge1().value(texts(["the gunman kill police"], [right])) == 3 / 4
    assert Rouge2().value(texts(["the gunman kill police"], [right])) == pytest.approx(1 / 3)


def test_rouge_of_the_example_in_the_rouge_score_package() -> None:
    # Its README: precision and recall of rouge1 are 6/8 and 6/9 … of ROUGE-L 5/8 and 5/9 (F 0.588).
    said, right = "The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog"
    assert Rouge1().value(texts([said], [right])) == pytest.approx(0.7058, abs=1e-4)
    assert RougeL().value(texts([said], [right])) == pytest.approx(0.5882, abs=1e-4)


def test_the_best_reference_counts() -> None:
    answers = texts(["a small cat"], ["one large dog"], ["a small cat indeed"])
    assert Rouge1().value(answers) == pytest.approx(6 / 7) and Rouge2().value(answers) == pytest.approx(4 / 5)
    assert SquadF1().value(answers) == pytest.approx(2 * 2 / 5)  # without the article
    assert SquadExact().value(texts(["The Cat."], ["dog"], ["cat"])) == 1.0


def test_rouge_counts_a_word_as_often_as_both_texts_have_it_and_reads_any_script() -> None:
    assert Rouge1().value(texts(["the the the the"], ["the cat"])) == pytest.approx(2 * 1 / 6)
    assert Rouge1().value(texts(["È già là"], ["è già qui"])) == pytest.approx(2 / 3)
    assert Rouge1().value(texts([""], ["a"])) == Rouge2().value(texts(["a"], ["a"])) == 0.0


def test_squad_scores_of_cases_counted_by_hand() -> None:
    # "Denver Broncos" of "the Denver Broncos team": 2 shared of 2 and 3 words.
    assert SquadF1().value(texts(["Denver Broncos"], ["the Denver Broncos team"])) == pytest.approx(4 / 5)
    assert SquadF1().value(texts(["", "yes", ""], ["", "", "yes"])) == pytest.approx(1 / 3)
    assert SquadF1().value(texts(["x"], ["y"])) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_common_subsequence_is_that_of_the_table(seed: int) -> None:
    draws = random.Random(seed)
    one, two = (draws.choices("abcd", k=draws.randint(0, 90)) for _ in range(2))
    table = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i, x in enumerate(one):
        for j, y in enumerate(two):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    assert longest_common(one, two) == table[-1][-1]
    matched = SequenceMatcher(None, one, two, autojunk=False).get_matching_blocks()
    assert longest_common(one, two) >= sum(block.size for block in matched)


def test_rouge_lsum_of_lins_example() -> None:
    # Lin (2004), section 3.2: of the right sentence w1 … w5 the two said ones share w1 w2 and w1 w3 w5: together 4 of
    # its 5 words, of the 10 that are said.
    right, said = "w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"
    assert RougeLsum().value(texts([said], [right])) == pytest.approx(2 * 4 / (10 + 5))
    # In one sentence it is ROUGE-L; what is said in other sentences' order counts whole.
    assert RougeLsum().value(texts(["a b c"], ["a c b"])) == RougeL().value(texts(["a b c"], ["a c b"]))
    assert RougeLsum().value(texts(["It rains. We stay."], ["We stay. It rains."])) == 1
    # A word that is said once counts once, in however many right sentences it stands.
    assert RougeLsum().value(texts(["a"], ["a b\na c"])) == pytest.approx(2 * 1 / (1 + 4))
    assert RougeLsum().value(texts([""], ["a"])) == 0


@pytest.mark.parametrize("seed", range(4))
def test_rouge_lsum_takes_a_longest_common_subsequence(seed: int) -> None:
    for one, two in zip(sentences(seed), sentences(seed + 50), strict=True):
        a, b = one.split(), two.split()
        places = _common(a, b)
        assert len(places) == longest_common(a, b) and places == sorted(places, reverse=True)
