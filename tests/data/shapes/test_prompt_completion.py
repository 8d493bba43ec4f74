import pytest

from affina.core.example import Chat, Message
from affina.core.kinds import Record, Unusable, shapes


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        ("prompt", "completion"),
        ("question", "answer"),
        ("input", "output"),
        ("instruction", "response"),
        ("domanda", "risposta"),
        ("Richiesta", "Risposta"),
        ("dialogo", "risposta"),
    ],
)
def test_common_names_are_recognised_in_both_languages(asks: str, answers: str) -> None:
    records = [Record({"id": n, asks: f"why {n}?", answers: f"because {n}"}, "rows.csv", n) for n in range(3)]
    match = shapes.build("prompt_completion").recognise(records)
    assert match is not None
    example = match[0].example(records[1])
    assert isinstance(example, Chat)
    assert example.messages == (Message("user", "why 1?"), Message("assistant", "because 1"))


def test_two_columns_that_could_ask_are_not_decided_between() -> None:
    records = [Record({"question": "a", "input": "b", "answer": "c"}, "rows.csv", 1)]
    assert shapes.build("prompt_completion").recognise(records) is None


@pytest.mark.parametrize(("prompt", "completion"), [("x", " "), ("", "y"), ("x", None)])
def test_a_row_without_a_question_or_an_answer_is_unusable(prompt: str, completion: str | None) -> None:
    with pytest.raises(Unusable, match="is empty"):
        shapes.build("prompt_completion").example(Record({"prompt": prompt, "completion": completion}, "rows.csv", 1))


def test_a_last_word_names_a_column_and_where_a_question_came_from_does_not_ask() -> None:
    records = [Record({"Question": "a?", "Best Answer": "b", "Source": "web"}, "rows.csv", 1)]
    match = shapes.build("prompt_completion").recognise(records)
    assert match is not None and match[0].changed() == {"prompt": "Question", "completion": "Best Answer"}
