"""What of an example may change, and that what it teaches stays where it was."""

from hypothesis import given
from hypothesis import strategies as st

from affina.core.example import (
    Chat,
    Example,
    Gapped,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Parallel,
    Question,
    Rated,
    Related,
    Tagged,
    Text,
)  # fmt: skip
from affina.data.lexicon.words import Edit, edited
from affina.data.variants import Edits, changed, pieces

ASKED = (Message("system", "Be kind."), Message("user", "Where is it?"), Message("assistant", "Here."))
EXAMPLES: list[Example] = [
    Text(id="a:1", text="some words"),
    Gapped(id="a:2", text="some words", share=0.1),
    Labelled(id="a:3", text="some words", label="x", labels=("x", "y")),
    MultiLabelled(id="a:4", text="some words", right=("x",), labels=("x", "y")),
    Rated(id="a:5", text="some words", value=2.5),
    Chat(id="a:6", messages=(*ASKED, Message("user", "And now?"), Message("assistant", "There."))),
    Pair(id="a:7", messages=ASKED[:2], chosen="Here.", rejected="No."),
    Tagged(id="a:8", words=("Anna", "sees", "Rome"), tags=("B-PER", "O", "B-LOC")),
    Question(id="a:9", question="Who?", context="It was Anna.", answers=(("Anna", 7),)),
    Parallel(id="a:10", source="some words", result="alcune parole"),
    Related(id="a:11", anchor="some words", positive="words", negatives=("other",)),
]


def first_letters_doubled(example: Example) -> Example:
    """A change of every piece that may change there."""
    edits: list[Edits] = []
    for piece in pieces(example):
        found = tuple(
            edit
            for at in range(len(piece.text))
            if piece.text[at].isalpha() and piece.allows((edit := Edit(at, at + 1, piece.text[at] * 2),))
        )
        edits.append(found)
    return changed(example, edits)


def test_only_what_is_shown_changes_and_what_is_taught_stays() -> None:
    for example in EXAMPLES:
        variant = first_letters_doubled(example)
        assert variant.given != example.given and type(variant) is type(example), example.id
        assert variant.target == example.target, example.id
    chat = first_letters_doubled(EXAMPLES[5])
    assert isinstance(chat, Chat) and [each.content for each in chat.messages] == [
        "Be kind.", "WWhheerree iiss iitt?", "Here.", "AAnndd nnooww?", "There.",
    ]  # fmt: skip


def test_entities_answers_addresses_and_places_for_values_stay() -> None:
    tagged = first_letters_doubled(EXAMPLES[7])
    assert isinstance(tagged, Tagged) and tagged.words == ("Anna", "sseeeess", "Rome")
    text = "mail a@b.it, see https://x.it/y or @me with #tag in {name} <b>"
    varied = first_letters_doubled(Text(id="a:1", text=text))
    assert varied.given == "mmaaiill a@b.it, sseeee https://x.it/y oorr @me wwiitthh #tag iinn {name} <b>"


@given(
    context=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    places=st.lists(st.tuples(st.integers(0, 39), st.integers(1, 9)), min_size=1, max_size=3),
)
def test_every_answer_still_stands_where_it_is_said_to(context: str, places: list[tuple[int, int]]) -> None:
    answers = tuple((context[at : at + size], at) for at, size in places if context[at : at + size])
    variant = first_letters_doubled(Question(id="a:1", question="?", context=context, answers=answers))
    assert isinstance(variant, Question)
    assert all(variant.context[at : at + len(text)] == text for text, at in variant.answers)


def test_words_with_tags_stay_as_many() -> None:
    piece = pieces(EXAMPLES[7])[0]
    at = piece.text.index("sees")
    assert piece.allows((Edit(at, at + 4, "views"),))
    for bad in (Edit(at, at + 4, ""), Edit(at, at + 4, "looks at"), Edit(at, at + 6, "views R"), Edit(at - 1, at, "")):
        assert not piece.allows((bad,)), bad


def test_edits_are_made_together_whatever_their_order() -> None:
    # "abcdef" with b→BB and de→"" is aBBcf
    assert edited("abcdef", [Edit(3, 5, ""), Edit(1, 2, "BB")]) == "aBBcf"
