import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from shared_data import shared
from sklearn.feature_extraction.text import CountVectorizer

from affina.core.kinds import readers
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


def canonical(groups: list[int]) -> list[int]:
    """The same grouping with groups numbered by first appearance."""
    order: dict[int, int] = {}
    return [order.setdefault(group, len(order)) for group in groups]


@pytest.mark.parametrize("near", [0.6, 0.8, 0.95])
def test_real_questions_cluster_as_a_comparison_of_all_pairs_says(near: float) -> None:
    path = shared("data", "banking77", "train.csv")
    texts = [record.values["text"] for record in readers.build("csv").records(path)][:3000]
    assert canonical(clusters(texts, near)) == canonical(brute(texts, near))


def test_case_and_white_space_do_not_count_and_other_texts_stay_apart() -> None:
    found = clusters(["Where is my card?", "where  is\nMY card?", "I want my money back", "", "  ", "ab"], 0.8)
    assert canonical(found) == [0, 0, 1, 2, 2, 3]


def test_a_prompt_that_all_texts_share_makes_no_two_alike() -> None:
    prompt = "You are given a ticket of the support desk. Answer with the intent and nothing else. Ticket: "
    tickets = [f"{chr(97 + n % 26) * 9} {n * 7919}" for n in range(60)]
    assert len(set(clusters([prompt + ticket for ticket in tickets], 0.8))) == 60


def test_nothing_and_one_text_are_clustered() -> None:
    assert clusters([], 0.8) == []
    assert clusters(["one"], 0.8) == [0]
