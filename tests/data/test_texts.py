from hypothesis import given
from hypothesis import strategies as st

from affina.core.example import Chat, Example, Labelled, Message, Pair, Parallel, Question, Related, Tagged
from affina.data.texts import Edit, differences, edited, rewritten, texts


def starred(text: str) -> list[Edit]:
    """Every run of digits becomes ***."""
    edits, at = [], 0
    while at < len(text):
        end = at
        while end < len(text) and text[end].isdigit():
            end += 1
        if end > at:
            edits.append(Edit(at, end, "***"))
        at = max(end, at + 1)
    return edits


def test_every_text_of_every_kind_is_reached() -> None:
    turns = (Message("user", "1"), Message("assistant", "2"))
    examples: list[Example] = [
        Labelled(id="a", text="1", label="2"),
        Chat(id="b", messages=turns, options=("2", "3")),
        Pair(id="c", messages=turns, chosen="3", rejected="4"),
        Parallel(id="d", source="1", result="2", references=("3",)),
        Related(id="e", anchor="1", positive="2", negatives=("3",)),
        Question(id="f", question="1", context="2", answers=()),
        Tagged(id="g", words=("1", "2"), tags=("O", "O")),
    ]
    assert [list(texts(each)) for each in examples] == [
        ["1"], ["1", "2", "2", "3"], ["1", "2", "3", "4"], ["1", "2", "3"], ["1", "2", "3"], ["1", "2"], ["1", "2"],
    ]  # fmt: skip
    for each in examples:
        changed = rewritten(each, starred)
        assert set(texts(changed)) == {"***"} and changed.id == each.id and changed != each
        assert rewritten(each, lambda text: []) is each
    assert rewritten(examples[0], starred).target == "2", "a label is no text"


def test_words_keep_their_number_whatever_an_edit_covers() -> None:
    sentence = Tagged(id="a", words=("call", "06", "1234", "now"), tags=("O", "B-TEL", "I-TEL", "O"))
    whole = rewritten(sentence, lambda text: [Edit(5, 12, "[PHONE]")])
    assert whole.words == ("call", "[PHONE]", "[PHONE]", "now") and whole.tags == sentence.tags
    assert rewritten(sentence, lambda text: [Edit(5, 12, "x y")]).words == ("call", "x", "y", "now")
    assert rewritten(sentence, lambda text: [Edit(1, 3, "o")]).words == ("col", "06", "1234", "now")
    assert rewritten(sentence, lambda text: [Edit(2, 6, "?")]).words == ("ca?", "?6", "1234", "now")


def test_an_answer_follows_what_it_quotes() -> None:
    context = "12 trains and 345 buses run, 6 do not"
    question = Question(id="a", question="?", context=context, answers=(("345 buses", 14), ("trains", 3), ("45", 15)))
    changed = rewritten(question, starred)
    assert changed.context == "*** trains and *** buses run, *** do not"
    assert changed.answers == (("*** buses", 15), ("trains", 4), ("***", 15))


@given(text=st.text("a1 ", max_size=30), start=st.integers(0, 29), size=st.integers(1, 10))
def test_an_edited_answer_stands_where_it_says(text: str, start: int, size: int) -> None:
    answer = text[start : start + size]
    changed = rewritten(Question(id="a", question="?", context=text, answers=((answer, start),)), starred)
    if answer:
        ((moved, at),) = changed.answers
        assert changed.context[at : at + len(moved)] == moved
        assert set(moved) <= set(answer) | {"*"} and edited(answer, starred(answer)).strip("*") in moved


@given(before=st.text("abÃ¨\n ", max_size=30), after=st.text("abè\n ", max_size=30))
def test_differences_make_one_text_of_the_other(before: str, after: str) -> None:
    assert edited(before, differences(before, after)) == after


def test_long_texts_are_compared_line_by_line() -> None:
    before = "".join(f"line {n}\n" for n in range(5000))
    after = before.replace("line 77\n", "line seventy-seven\n")
    assert len(differences(before, after)) == 1
    assert edited(before, differences(before, after)) == after


def test_arguments_of_tool_calls_are_texts_and_stay_json() -> None:
    call = {"id": "call_12", "function": {"name": "f12", "arguments": '{"to": "a 12", "n": 345, "ok": true}'}}
    chat = Chat(id="a", messages=(Message("assistant", "", {"tool_calls": [call]}),))
    (turn,) = rewritten(chat, starred).messages
    assert turn.extra["tool_calls"][0] == {
        "id": "call_12",
        "function": {"name": "f12", "arguments": '{"to": "a ***", "n": "***", "ok": true}'},
    }
    assert rewritten(chat, starred, calls=False) is chat
