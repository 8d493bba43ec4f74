"""Windows are composed so that rows with a common prefix meet, and are left to the shuffle where nothing is won."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_layout import forests

from affina.core.kinds import Row
from affina.data.compose import WORTH, composed, divided, laid_out
from affina.data.layout import layout
from affina.data.prefixes import tree


def row(name: str, *parts: int | list[int]) -> Row:
    tokens = np.array([t for part in parts for t in (part if isinstance(part, list) else [part])], np.int32)
    weights = np.zeros(len(tokens), np.float32)
    weights[-1] = 1
    return Row(name, tokens, weights)


def documents(count: int, questions: int, length: int, system: int = 0) -> list[Row]:
    """`questions` about each document, all behind one system prompt, shuffled."""
    rows = [
        row(f"{d}.{q}", [1] * system, [100 + d] * length, [5000 + d * questions + q] * 10)
        for d in range(count)
        for q in range(questions)
    ]
    return [rows[place] for place in np.random.default_rng(7).permutation(len(rows))]


def order(rows: list[Row], size: int, seed: int = 0) -> list[int]:
    found: list[int] = composed(rows, size, np.random.default_rng(seed)).tolist()
    return found


def tokens(rows: list[Row], places: list[int], size: int) -> int:
    """Tokens the engine would compute, by laying every batch out."""
    cut = [[rows[place] for place in places[at : at + size]] for at in range(0, len(places), size)]
    return sum(len(layout(batch).tokens_T) for batch in cut)


@settings(deadline=None, max_examples=200)
@given(forests(), st.integers(1, 9), st.integers(0, 3))
def test_every_row_is_there_once_and_the_seed_decides(rows: list[Row], size: int, seed: int) -> None:
    assert sorted(order(rows, size, seed)) == list(range(len(rows)))
    assert order(rows, size, seed) == order(rows, size, seed)


@settings(deadline=None, max_examples=200)
@given(forests(), st.integers(1, 5), st.integers(0, 2))
def test_the_order_changes_only_where_a_tenth_of_the_tokens_is_saved(rows: list[Row], size: int, seed: int) -> None:
    found, given_order = order(rows, size, seed), list(range(len(rows)))
    if found != given_order:
        nodes = tree(rows)
        before, after = (laid_out(nodes, np.array(each), size) for each in (given_order, found))
        assert before - after >= WORTH * before


def test_the_counted_cost_is_what_the_layout_computes() -> None:
    rows = documents(9, 4, 40, system=50)
    for places in (list(range(len(rows))), order(rows, 4), sorted(range(len(rows)), key=lambda r: rows[r].id)):
        assert laid_out(tree(rows), np.array(places), 4) == tokens(rows, places, 4)


@pytest.mark.parametrize("system", [0, 60])
def test_questions_about_a_document_meet_in_its_batch(system: int) -> None:
    """12 documents of 50 tokens with 4 questions of 10, in batches of 8: two documents in each at best."""
    rows = documents(12, 4, 50, system)
    found = order(rows, 8)
    assert tokens(rows, found, 8) == 6 * (system + 2 * 50 + 8 * 10) < 0.7 * tokens(rows, [*range(48)], 8)


def test_rows_that_share_only_what_all_share_keep_the_shuffle() -> None:
    """A common system prompt, ever so long, must not sort its rows: neither by label, nor by length, nor at all."""
    rows = [row(f"{n}", [1] * 600, [10 + n] * (n % 7 + 1), 900 + n % 3) for n in range(64)]
    assert order(rows, 8) == list(range(64))


def test_a_short_agreement_behind_a_long_prompt_is_not_worth_the_mixing() -> None:
    """Rows of one label begin alike for 10 tokens behind 600: meeting saves under a tenth, so labels stay mixed."""
    rows = [row(f"{n}", [1] * 600, [10 + n % 4] * 10, [50 + n] * 20) for n in range(64)]
    assert order(rows, 8) == list(range(64))


def test_rows_with_nothing_in_common_keep_the_shuffle() -> None:
    rows = [row(f"{n}", [100 + n] * (n % 9 + 9)) for n in range(50)]
    assert order(rows, 8) == list(range(50))


def test_the_order_of_documents_is_chance_not_content() -> None:
    """Neighbouring batches climb in document number no more often than they fall."""
    rows = documents(200, 4, 50)
    firsts = [int(rows[place].id.split(".")[0]) for place in order(rows, 4)[::4]]
    climbs = sum(a < b for a, b in pairwise(firsts))
    assert 70 < climbs < 130  # of 199, mean 99.5, deviation about 4: (n + 1) / 12 is the variance of ascents
    assert order(rows, 4, seed=0) != order(rows, 4, seed=1)


def test_large_groups_do_not_come_first() -> None:
    """A group stands where its first row stood, which is early for a large one; the shuffle of batches undoes that."""
    rows = documents(1, 40, 50) + [row(f"x{n}", [3000 + n] * 30) for n in range(40)]
    rows = [rows[place] for place in np.random.default_rng(3).permutation(80)]
    shares = [np.mean([rows[r].id[0] != "x" for r in order(rows, 8, seed)[:40]]) for seed in range(30)]
    assert 0.35 < np.mean(shares) < 0.65


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(1, 400), max_size=20), st.integers(1, 6))
def test_parts_are_neighbours_of_about_equal_tokens(lengths: list[int], parts: int) -> None:
    rows = [row(f"{n}", [1] * length) for n, length in enumerate(lengths)]
    found = divided(rows, parts)
    assert len(found) == parts
    assert [each.id for part in found for each in part] == [each.id for each in rows]
    assert sum(not part for part in found) == max(0, parts - len(rows))
    fair = sum(lengths) / parts
    if len(rows) >= 3 * parts and max(lengths) < fair:
        assert max(sum(len(each.tokens) for each in part) for part in found) < fair + max(lengths)


def test_a_long_row_does_not_drag_half_the_others_with_it() -> None:
    rows = [row("long", [1] * 700), *(row(f"{n}", [1] * 100) for n in range(7))]
    assert [len(part) for part in divided(rows, 2)] == [1, 7]
