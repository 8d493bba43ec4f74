import pytest

from affina.core.kinds import Record, Unusable
from affina.data.columns import MissingColumn, named, optional, plain, text, usual


def test_names_are_found_whatever_their_case_spaces_and_dashes() -> None:
    assert named(["Best-Answer", "Question ", "x"], ("question", "best_answer")) == ["Question ", "Best-Answer"]


def test_a_missing_column_names_the_nearest() -> None:
    record = Record({"text": "a", "intent": "b"}, "rows.csv", 3)
    assert text(record, "text", "text") == "a"
    assert optional(record, "system") == ""
    with pytest.raises(MissingColumn, match="did you mean 'intent'"):
        text(record, "intents", "label")


def test_numbers_and_truth_values_are_text_and_insides_are_not() -> None:
    assert [plain(value, "a") for value in (None, "x", 3, 0.5, True)] == ["", "x", "3", "0.5", "true"]
    with pytest.raises(Unusable, match="column 'a' holds an object"):
        plain({}, "a")


def test_a_column_that_a_tenth_of_the_records_lack_is_still_usual() -> None:
    records = [Record({"a": n} if n else {"b": n}, "rows.jsonl", n) for n in range(10)]
    assert list(usual(records)) == ["a"]
    assert usual([*records, Record("text", "rows.jsonl", 11)]) == {}
