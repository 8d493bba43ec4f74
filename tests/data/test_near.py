from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from shared_data import shared
from sklearn.feature_extraction.text import CountVectorizer

from affina.core.kinds import readers
from affina.data import near, sketches
from affina.data.near import clusters


def brute(texts: list[str], near: float) -> list[int]:
    """Connected components of exact Jaccard similarity over sets of 5 characters, all pairs compared."""
    plain = [" ".join(text.casefold().split()) for text in texts]
    grams = CountVectorizer(analyzer="char", ngram_range=(5, 5), binary=True, lowercase=False)
    sets = grams.fit_transform([text.ljust(5) for text in plain]).astype(np.int32)
    shared_NN = (sets @ sets.T).tocoo()
    sizes = np.asarray(sets.sum(axis=1)).ravel()
    union = sizes[shared_NN.row] + sizes[shared_NN.col] - shared_NN.data
    alike = shared_NN.data >= near * union
    shared_NN.data = alike.astype(np.int32)
    shared_NN = shared_NN.tocsr()
    shared_NN.eliminate_zeros()
    return list(connected_components(shared_NN, directed=False)[1])


def canonical(groups: Iterable[int]) -> list[int]:
    """The same grouping with groups numbered by first appearance."""
    order: dict[int, int] = {}
    return [order.setdefault(group, len(order)) for group in groups]


@pytest.mark.parametrize("least", [0.6, 0.8, 0.95])
def test_real_questions_cluster_as_a_comparison_of_all_pairs_says(least: float) -> None:
    path = shared("data", "banking77", "train.csv")
    texts = [record.values["text"] for record in readers.build("csv").records(path)][:3000]
    assert canonical(clusters(texts, least)) == canonical(brute(texts, least))


def test_case_and_white_space_do_not_count_and_other_texts_stay_apart() -> None:
    found = clusters(["Where is my card?", "where  is\nMY card?", "I want my money back", "", "  ", "ab"], 0.8)
    assert canonical(found) == [0, 0, 1, 2, 2, 3]


def test_a_prompt_that_all_texts_share_makes_no_two_alike() -> None:
    prompt = "You are given a ticket of the support desk. Answer with the intent and nothing else. Ticket: "
    tickets = [f"{chr(97 + n % 26) * 9} {n * 7919}" for n in range(60)]
    assert len(set(clusters([prompt + ticket for ticket in tickets], 0.8))) == 60


def test_what_most_texts_have_in_common_still_counts_where_it_is_no_prompt() -> None:
    """`are you based on gpt-2?` is 23 letters, 19 5-grams; with a 3 in the 2's place two differ: 17 / 21 = 0.81. The
    four of `are you ` stand in all texts; without them it would be 13 / 17 = 0.76."""
    texts = [f"are you {word} on {word[::-1]}?" for word in ("sitting", "leaning", "waiting", "looking", "working")]
    texts += [f"are you {chr(97 + n) * 7} and {chr(122 - n) * 6}" for n in range(20)]
    texts += ["are you based on gpt-2?", "are you based on gpt-3?"]
    found = clusters(texts, 0.8)
    assert found[-1] == found[-2]
    assert canonical(found) == canonical(brute(texts, 0.8))


def test_real_short_questions_cluster_as_a_comparison_of_all_pairs_says() -> None:
    path = shared("data", "fastchat_dummy_conversation", "dummy_conversation.json")
    asked = [record.values["conversations"][0]["value"] for record in readers.build("json").records(path)]
    assert len(set(asked)) > 20
    assert canonical(clusters(asked, 0.8)) == canonical(brute(asked, 0.8))


def test_nothing_and_one_text_are_clustered() -> None:
    assert clusters([], 0.8).tolist() == []
    assert clusters(["one"], 0.8).tolist() == [0]


def test_more_texts_than_memory_holds_cluster_alike_up_to_the_error_of_the_estimate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """128 minima estimate a similarity of 0.8 with a standard error of 0.035: what is 4 of them off is never taken for
    what it is not."""
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path))
    monkeypatch.setattr(near, "MOST", 0)
    monkeypatch.setattr(sketches, "TOGETHER", 40_000)
    path = shared("data", "banking77", "train.csv")
    texts = [record.values["text"] for record in readers.build("csv").records(path)][:3000] * 2
    found = clusters(texts, 0.8)
    together = {(one, two) for group in _groups(found) for one in group for two in group}
    for sure in _groups(brute(texts, 0.94)):
        assert all((sure[0], each) in together for each in sure)
    maybe = brute(texts, 0.66)
    assert all(maybe[one] == maybe[two] for one, two in together)
    assert not list((tmp_path / "scratch").iterdir())


def test_many_texts_with_a_prompt_in_common_are_not_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path))
    monkeypatch.setattr(near, "MOST", 0)
    prompt = "You are given a ticket of the support desk. Answer with the intent and nothing else. Ticket: "
    tickets = [f"{chr(97 + n % 26) * 9} {n * 7919}" for n in range(60)] + ["", "ab", "ab"]
    assert len(set(clusters([prompt + ticket for ticket in tickets], 0.8))) == 62


def _groups(found: Iterable[int]) -> list[list[int]]:
    held: dict[int, list[int]] = {}
    for place, group in enumerate(found):
        held.setdefault(int(group), []).append(place)
    return list(held.values())
