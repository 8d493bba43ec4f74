from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, MultiLabelled, Pair, Related, Tagged, Text
from affina.core.kinds import Desk, Embedded, transforms
from affina.data.ledger import Ledger


def kept(examples: list[Example], **fields: Any) -> tuple[list[str], dict[str, int]]:
    ledger = Ledger()
    left = list(transforms.build({"name": "dedup", **fields}).apply(examples, Desk(ledger)))
    return [example.id for example in left], ledger.summary()["dropped"]["reasons"]


def test_the_first_of_equal_rows_is_kept_and_white_space_does_not_count() -> None:
    rows: list[Example] = [
        Labelled(id="a:1", text="Where is my card", label="card"),
        Labelled(id="a:2", text=" Where  is\nmy card ", label="card"),
        Labelled(id="a:3", text="where is my card", label="card"),
    ]
    assert kept(rows) == (["a:1", "a:3"], {"exact duplicate of a:1": 1})


def test_the_same_text_with_another_target_is_kept() -> None:
    rows: list[Example] = [Labelled(id="a:1", text="x", label="card"), Labelled(id="a:2", text="x", label="cash")]
    assert kept(rows) == (["a:1", "a:2"], {})


def test_conversations_differ_by_roles_and_tool_calls() -> None:
    def chat(id: str, *turns: Message) -> Chat:
        return Chat(id=id, messages=turns)

    asked, said = Message("user", "x"), Message("assistant", "y")
    called = Message("assistant", "y", {"tool_calls": [{"function": {"name": "look", "arguments": {}}}]})
    rows: list[Example] = [
        chat("a:1", asked, said),
        chat("a:2", asked, called),
        chat("a:3", said, asked, said),
        chat("a:4", Message("system", "x"), said),
        chat("a:5", asked, said),
    ]
    assert kept(rows)[0] == ["a:1", "a:2", "a:3", "a:4"]


def test_rows_that_differ_in_anything_taught_are_kept() -> None:
    asked = (Message("user", "x"),)
    rows: list[Example] = [
        Pair(id="a:1", messages=asked, chosen="y", rejected="z"),
        Pair(id="a:2", messages=asked, chosen="y", rejected="w"),
        Pair(id="a:3", messages=asked, chosen="y", rejected=" z"),
        Related(id="b:1", anchor="x", positive="y", negatives=("z",)),
        Related(id="b:2", anchor="x", positive="y"),
        MultiLabelled(id="c:1", text="x", right=("a",), labels=("a", "b")),
        MultiLabelled(id="c:2", text="x", right=("a",)),
        MultiLabelled(id="c:3", text="x", right=("a", "b")),
        Tagged(id="d:1", words=("x", "y"), tags=("O", "O")),
        Tagged(id="d:2", words=("x y",), tags=("O",)),
    ]
    assert kept(rows)[0] == ["a:1", "a:2", "b:1", "b:2", "c:1", "c:3", "d:1", "d:2"]


def test_texts_without_a_target_are_compared_by_themselves() -> None:
    assert kept([Text(id="a:1", text="x"), Text(id="a:2", text="x"), Text(id="a:3", text="y")])[0] == ["a:1", "a:3"]


def test_nearly_the_same_goes_when_asked_and_never_what_has_another_target() -> None:
    rows: list[Example] = [
        Labelled(id="a:1", text="Where on earth is my new card, please?", label="card"),
        Labelled(id="a:2", text="where on earth is my new card please?", label="card"),
        Labelled(id="a:3", text="Where on earth is my new card, please!", label="cash"),
        Labelled(id="a:4", text="I want my money back", label="cash"),
    ]
    assert kept(rows)[0] == ["a:1", "a:2", "a:3", "a:4"]
    assert kept(rows, near=0.7) == (["a:1", "a:3", "a:4"], {"near duplicate of a:1": 1})


class Circle:
    """Embeds a text that is an angle in degrees as that point of the unit circle."""

    def embed(self, texts: Sequence[str]) -> Embedded:
        angles = np.radians([float(text) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_same_in_meaning_goes_by_the_cosine_of_embeddings() -> None:
    """cos 8° = 0.990, cos 10° = 0.985: what is within 8.1° of an earlier row with the same target goes."""
    angles = ["0", "10", "8", "100", "16", "3"]
    rows: list[Example] = [
        Labelled(id=f"a:{place}", text=angle, label="y" if angle == "3" else "x") for place, angle in enumerate(angles)
    ]
    opened: Any = lambda reference: Circle()  # noqa: E731
    ledger = Ledger()
    part = transforms.build({"name": "dedup", "semantic": 0.99, "model": "circle"})
    left = [example.id for example in part.apply(rows, Desk(ledger, open=opened))]
    assert left == ["a:0", "a:1", "a:3", "a:5"]
    assert sum(ledger.summary()["dropped"]["reasons"].values()) == 2


def test_a_row_with_another_target_in_between_hides_no_duplicate() -> None:
    """All three within 3°: the second has another class and stays, the third repeats the first."""
    rows: list[Example] = [
        Labelled(id="a:0", text="0", label="y"),
        Labelled(id="a:1", text="1", label="x"),
        Labelled(id="a:2", text="2", label="x"),
        Labelled(id="a:3", text="3", label="y"),
    ]
    opened: Any = lambda reference: Circle()  # noqa: E731
    part = transforms.build({"name": "dedup", "semantic": 0.99, "model": "circle"})
    assert [example.id for example in part.apply(rows, Desk(Ledger(), open=opened))] == ["a:0", "a:1"]


def test_a_threshold_of_meaning_without_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        transforms.build({"name": "dedup", "semantic": 0.9})
    with pytest.raises(Refused, match="cannot be opened here"):
        kept([Text(id="a:1", text="x")], semantic=0.9, model="minilm")
