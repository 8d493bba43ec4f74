import gzip
from pathlib import Path
from typing import Any

import pytest
from shared_data import shared

from affina.core.example import Pair
from affina.core.kinds import Record, Unusable
from affina.core.recipe import Data
from affina.data.prepare import read_examples
from affina.data.recognise import shape_for

USER = {"role": "user", "content": "which?"}


def only(row: dict[str, Any]) -> Pair:
    records = [Record(row, "rows.json", line) for line in range(1, 4)]
    shape, _ = shape_for(records)
    assert shape.name == "preference"
    example = shape.example(records[0])
    assert isinstance(example, Pair)
    return example


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "which?", "chosen": "this", "rejected": "that"},
        {"instruction": "which?", "input": "", "output": "this", "chosen": "this", "rejected": "that"},
        {"messages": [USER], "chosen": said("this"), "rejected": said("that")},
        {
            "conversations": [{"from": "human", "value": "which?"}],
            "chosen": {"from": "gpt", "value": "this"},
            "rejected": {"from": "gpt", "value": "that"},
        },
        {"chosen": [USER, said("this")], "rejected": [USER, said("that")]},
        {"prompt": "which?", "chosen": [USER, said("this")], "rejected": [USER, said("that")]},
        {"chosen": "\n\nHuman: which?\n\nAssistant: this", "rejected": "\n\nHuman: which?\n\nAssistant: that"},
    ],
    ids=["texts", "alpaca", "openai turns", "sharegpt turns", "conversations", "both", "transcripts"],
)
def test_every_way_to_write_two_answers_gives_the_same_pair(row: dict[str, Any]) -> None:
    found = only(row)
    assert [(turn.role, turn.content) for turn in found.messages] == [("user", "which?")]
    assert (found.chosen, found.rejected) == ("this", "that")


def test_what_the_question_is_about_and_the_system_prompt_come_before() -> None:
    found = only({"system": "be kind", "instruction": "say", "input": "it", "chosen": "this", "rejected": "that"})
    assert [(turn.role, turn.content) for turn in found.messages] == [("system", "be kind"), ("user", "say\n\nit")]


def test_a_blank_line_within_a_turn_does_not_end_it() -> None:
    opening = "\n\nHuman: one\n\ntwo\n\nAssistant: three\n\nHuman: four\n\nAssistant:"
    found = only({"chosen": f"{opening} this\n\nthat", "rejected": f"{opening} no"})
    assert [turn.content for turn in found.messages] == ["one\n\ntwo", "three", "four"]
    assert found.chosen == "this\n\nthat"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"chosen": ""}, "the answer is empty"),
        ({"rejected": "this "}, "the two answers are the same"),
        ({"prompt": ""}, "nothing is asked"),
        ({"prompt": [USER, said("x")]}, "nothing is asked"),
        ({"prompt": [{"role": "judge", "content": "x"}]}, "a turn has the role 'judge'"),
        ({"chosen": [USER, said("a"), USER], "rejected": [USER]}, "is not the assistant's"),
        ({"chosen": [USER, said("a")], "rejected": [USER, said("b"), USER, said("c")]}, "differ before the last turn"),
        ({"chosen": 3.5, "rejected": {"deep": 1}}, "a turn has no role"),
    ],
)
def test_two_answers_that_are_no_pair_say_why(changes: dict[str, Any], why: str) -> None:
    sound = {"prompt": "which?", "chosen": "this", "rejected": "that"}
    shape, _ = shape_for([Record(sound, "rows.json", line) for line in range(1, 4)])
    with pytest.raises(Unusable, match=why):
        shape.example(Record({**sound, **changes}, "rows.json", 1))


def test_a_missing_answer_says_which_column() -> None:
    sound = {"prompt": "which?", "chosen": "this", "rejected": "that"}
    shape, _ = shape_for([Record(sound, "rows.json", line) for line in range(1, 4)])
    with pytest.raises(Unusable, match="no column 'rejected'"):
        shape.example(Record({"prompt": "which?", "chosen": "this"}, "rows.json", 1))


@pytest.mark.parametrize(
    ("parts", "rows", "same"),
    [
        (("raschka_preference", "instruction-data-with-preference.json"), 1100, 6),
        (("dpo_kto_en_demo", "dpo_en_demo.json"), 300, 0),
    ],
)
def test_real_files_are_read_whole(parts: tuple[str, str], rows: int, same: int) -> None:
    totals = read_examples(Data(read=[str(shared("data", *parts))]), Path()).ledger.summary()
    assert totals["read"] == rows and totals["used"]["all"] == rows - same
    assert totals["quarantined"]["reasons"] == ({"the two answers are the same": same} if same else {})


def test_real_transcripts_part_in_the_last_turn(tmp_path: Path) -> None:
    packed = shared("data", "hh_rlhf_harmless_base_test", "test.jsonl.gz")
    (tmp_path / "test.jsonl").write_bytes(gzip.decompress(packed.read_bytes()))
    found = read_examples(Data(read=["test.jsonl"]), tmp_path)
    totals = found.ledger.summary()
    assert (found.shape.name, totals["read"]) == ("preference", 2312)
    assert totals["used"]["all"] > 2250
    pairs = [each for each in found.examples["all"] if isinstance(each, Pair)]
    assert all(each.messages[-1].role == "user" for each in pairs)
