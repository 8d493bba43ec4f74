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


def test_the_only_column_that_reads_like_text_is_the_text_unless_another_could_be_its_class() -> None:
    rows = [{"when": f"2003021{n}", "headline": f"some words of number {n}"} for n in range(8)]
    assert recognised(rows) == {"text": "headline"}
    two = [{**row, "a": "xy"[n % 2], "b": "pq"[n % 2]} for n, row in enumerate(rows)]
    assert recognised(two) is None
    assert recognised([{"key": n, "headline": f"word {n}"} for n in range(8)]) is None


def test_a_column_that_could_be_the_class_is_named_beside_the_text() -> None:
    rows = [{"text": f"some words {n}", "part": "xy"[n % 2], "title": "pq"[n % 2]} for n in range(8)]
    match = shapes.build("raw").recognise([Record(row, "rows.csv", n) for n, row in enumerate(rows)])
    assert match is not None and "for classes write `shape: {name: labelled, text: text, label: part}`" in match[1]


def recognised(rows: list[dict[str, object]]) -> dict[str, object] | None:
    match = shapes.build("raw").recognise([Record(row, "rows.csv", n) for n, row in enumerate(rows)])
    return match[0].changed() if match else None
