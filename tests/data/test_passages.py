"""Questions as windows: every token of the context in one of them, the answer found again by its characters."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from affina.core.errors import Refused
from affina.core.example import Question
from affina.data.passages import END, START
from affina.data.rows import Renderer

CONTEXT = "The parcel left Turin on Monday. It was scanned in Milan the next day, and the courier lost it in Rome. " * 3
ASKED = "Where was it lost?"


def question(answer: str, turn: int = 0) -> Question:
    start = -1
    for _ in range(turn + 1):
        start = CONTEXT.index(answer, start + 1)
    return Question(id="q", question=ASKED, context=CONTEXT, answers=((answer, start),))


@pytest.mark.parametrize("name", ["bert", "llama"])
@pytest.mark.parametrize("most", [400, 120, 60])
def test_the_answer_stands_where_it_is_said_to_stand(name: str, most: int, family: Callable[[str], Path]) -> None:
    opened = Renderer.open(family(name))
    opened.max_tokens = most
    asked = question("Rome", 1)
    rows, places = opened.rows([asked]), opened.passages(asked)
    assert len(rows) == len(places) and all(len(row.tokens) <= most for row in rows)
    found = []
    for row, spans in zip(rows, places, strict=True):
        supervised = np.flatnonzero(row.weights)
        assert len(supervised) == len(spans) and supervised[0] == 0 and row.said is not None
        said = row.said[supervised]
        begins, ends = np.flatnonzero(said & START), np.flatnonzero(said & END)
        assert len(begins) == len(ends) == 1
        if begins[0]:
            found.append(CONTEXT[spans[begins[0]][0] : spans[ends[0]][1]].strip())
        else:
            assert ends[0] == 0
    assert found and set(found) == {"Rome"}


def test_an_answer_is_claimed_by_no_window_that_has_only_a_part_of_it(family: Callable[[str], Path]) -> None:
    opened = Renderer.open(family("bert"))
    answer = "courier lost it in Rome"
    start = CONTEXT.index(answer)
    parts = 0
    for opened.max_tokens in range(50, 80):
        asked = question(answer)
        for row, spans in zip(opened.rows([asked]), opened.passages(asked), strict=True):
            assert row.said is not None
            said = row.said[row.weights > 0]
            claimed = (spans[int((said & START).argmax())][0], spans[int((said & END).argmax())][1])
            has = [place for place in spans[1:] if place[0] < start + len(answer) and place[1] > start]
            whole = bool(has) and has[0][0] <= start and has[-1][1] >= start + len(answer)
            assert claimed == ((has[0][0], has[-1][1]) if whole else (0, 0))
            parts += bool(has) and not whole
    assert parts > 10


@pytest.mark.parametrize("most", [120, 61, 60, 59])
def test_windows_cover_the_context_and_overlap_by_half(most: int, family: Callable[[str], Path]) -> None:
    opened = Renderer.open(family("bert"))
    opened.max_tokens = most
    asked = question("Milan")
    places = [spans[1:] for spans in opened.passages(asked)]
    covered = {place for spans in places for place in spans}
    whole = [(a, b) for a, b in opened.vocabulary.encode([CONTEXT])[0].offsets]
    assert sorted(covered) == sorted(set(whole))
    assert len({len(spans) for spans in places}) == 1  # the last one too has all the context that it has room for
    for one, two in pairwise(places):
        assert len({*one} & {*two}) >= len(one) // 2 - 1


def test_an_unanswered_question_points_at_the_first_place(family: Callable[[str], Path]) -> None:
    opened = Renderer.open(family("bert"))
    opened.max_tokens = 400
    (row,) = opened.rows([Question(id="q", question=ASKED, context=CONTEXT, answers=())])
    assert row.said is not None and row.said[0] == START + END and not row.said[1:].any()


def test_a_question_without_room_for_its_context_is_refused(family: Callable[[str], Path]) -> None:
    opened = Renderer.open(family("bert"))
    opened.max_tokens = 8
    with pytest.raises(Refused, match="leaves none of 8"):
        opened.rows([question("Rome")])
    bare = len(opened.vocabulary.pair(ASKED, "").ids)
    opened.max_tokens = bare
    with pytest.raises(Refused, match=f"leaves none of {bare}"):
        opened.rows([question("Rome")])
    opened.max_tokens = bare + 1
    assert opened.rows([question("Rome")])
