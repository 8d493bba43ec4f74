import pytest

from affina.core.kinds import Record, Unusable, shapes


def test_strings_a_single_column_and_a_column_named_text_are_recognised() -> None:
    raw = shapes.build("raw")
    for values in ("words", {"passage": "words"}, {"url": "x", "n": 3, "text": "words"}):
        match = raw.recognise([Record(values, "rows.jsonl", 1)])
        assert match is not None
        assert match[0].example(Record(values, "rows.jsonl", 1)).given == "words"
    assert raw.recognise([Record({"a": "x", "b": "y"}, "rows.jsonl", 1)]) is None


@pytest.mark.parametrize("values", [" \n", {"text": ""}])
def test_white_space_is_unusable(values: object) -> None:
    with pytest.raises(Unusable, match="the text is empty"):
        shapes.build("raw").example(Record(values, "notes.txt", 1))
