import random
from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Desk, readers, transforms
from affina.data.ledger import Ledger

LEXICON = [
    first + last for first in ("alfa", "bravo", "carta", "delta", "eco") for last in ("ne", "tto", "rri", "gulo")
]


def drawn(count: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(LEXICON, k=count))


def decontaminated(examples: list[Example], desk: Desk | None = None, **fields: object) -> tuple[list[str], str]:
    desk = desk or Desk(Ledger())
    left = transforms.build({"name": "decontaminate", **fields}).apply(examples, desk)
    return [each.id for each in left], desk.notes[-1]


def rows(*given: tuple[str, str]) -> list[Example]:
    return [Text(id=f"a:{n}", split=split, text=text) for n, (split, text) in enumerate(given)]


def test_thirteen_words_in_a_row_are_an_overlap_and_twelve_are_none() -> None:
    quoted = drawn(40, 0).split()
    thirteen, twelve = (" ".join(quoted[10 : 10 + n]) for n in (13, 12))
    examples = rows(
        ("test", " ".join(quoted)),
        ("train", f"{drawn(30, 1)}, {thirteen.upper()}! {drawn(9, 2)}"),
        ("train", f"{drawn(30, 3)} {twelve} xyz {drawn(9, 4)}"),
        ("validation", drawn(20, 5)),
    )
    left, note = decontaminated(examples)
    assert left == ["a:0", "a:2", "a:3"]
    assert note == (
        "decontaminate: 1 training rows share a run of words with 1 texts that are measured on: a:1 and a:0: "
        "the train side is dropped"
    )
    assert decontaminated(examples, side="measured")[0] == ["a:1", "a:2", "a:3"]
    assert decontaminated(examples, action="report")[0] == ["a:0", "a:1", "a:2", "a:3"]
    assert decontaminated(examples, n=12)[0] == ["a:0", "a:3"]


def test_a_short_text_counts_by_eight_words_and_a_shorter_one_by_all() -> None:
    nine, five = drawn(9, 0), "where is my new card"
    examples = rows(
        ("test", nine),
        ("test", five),
        ("train", f"{drawn(5, 1)} {nine} {drawn(5, 2)}"),
        ("train", f"tell me: {five}"),
        ("train", "Where is my NEW card?"),
    )
    assert decontaminated(examples)[0] == ["a:0", "a:1", "a:3"]


def test_what_many_training_rows_say_is_a_phrase() -> None:
    phrase = drawn(15, 0)
    examples = rows(("test", f"{phrase} {drawn(5, 1)}"), *(("train", f"{phrase} {drawn(9, n)}") for n in range(2, 13)))
    assert len(decontaminated(examples)[0]) == 12, "in 11 training rows: a phrase"
    assert decontaminated(examples[:-1])[0] == ["a:0"], "in 10: none"
    assert decontaminated(examples[:-1], often=9)[0] == [each.id for each in examples[:-1]]


def test_a_system_prompt_is_no_overlap() -> None:
    def chat(n: int, split: str) -> Chat:
        turns = (Message("system", drawn(40, 0)), Message("user", drawn(20, n)), Message("assistant", "yes"))
        return Chat(id=f"a:{n}", split=split, messages=turns)

    assert len(decontaminated([chat(1, "train"), chat(2, "test")])[0]) == 2
    assert decontaminated([chat(1, "train"), chat(1, "test")])[0] == ["a:1"]


def test_benchmark_files_of_any_format_count_and_only_training_rows_go(tmp_path: Path) -> None:
    one, two = drawn(20, 0), drawn(20, 1)
    (tmp_path / "exam.jsonl").write_text(f'{{"q": {{"text": ["{one}"]}}}}\n{{"q": "other"}}\n', encoding="utf-8")
    (tmp_path / "exam.csv").write_text(f"question,answer\n{two},yes\n", encoding="utf-8")
    examples = rows(("", one), ("", two), ("", drawn(20, 2)))
    desk = Desk(Ledger(), folder=tmp_path)
    left, note = decontaminated(examples, desk, against=["exam.jsonl", "exam.csv"], side="measured")
    assert left == ["a:2"] and "a:0 and exam.jsonl:1; a:1 and exam.csv:2" in note


def test_nothing_to_compare_with_is_refused_and_nothing_gives_nothing() -> None:
    with pytest.raises(Refused, match="put `split` before `decontaminate`"):
        decontaminated(rows(("", "x")))
    assert decontaminated([])[0] == []
    examples: list[Example] = [
        Labelled(id="a:1", split="test", text="!!!", label="x"),
        Labelled(id="a:2", split="train", text="???", label="x"),
    ]
    assert decontaminated(examples)[0] == ["a:1", "a:2"], "without words there is nothing to share"


def test_planted_overlaps_in_real_messages_are_found_and_nothing_else() -> None:
    path = shared("data", "sms_spam", "sms.tsv")
    texts = list(dict.fromkeys(r.values["column 2"] for r in readers.build("csv").records(path)))[:1500]
    long = [text for text in texts[:300] if len(text.split()) >= 20][:40]
    examples = rows(*(("test", text) for text in long), *(("train", text) for text in texts[300:]))
    before = set(decontaminated(examples)[0])
    planted: list[Example] = [
        Text(id=f"p:{n}", split="train", text=f"look: {' '.join(text.split()[2:18])} bye")
        for n, text in enumerate(long)
    ]
    left, _ = decontaminated([*examples, *planted])
    assert set(left) == before, "all planted rows go, no others"
    windows = [{tuple(ws[i : i + 13]) for i in range(len(ws) - 12)} for ws in map(plain, long)]
    for each in examples[len(long) :]:
        ws = plain(each.given)
        mine = {tuple(ws[i : i + 13]) for i in range(len(ws) - 12)}
        assert (each.id in before) == (not any(mine & window for window in windows)) or len(ws) < 13


def plain(text: str) -> list[str]:
    return "".join(each if each.isalnum() or each == "_" else " " for each in text.casefold()).split()
