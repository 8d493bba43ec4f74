from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest
from tiny_models import Parrot

from affina.core.errors import Refused
from affina.core.kinds import Made, Record, Row, Scored, Workshop, makers

SEEDS = [
    {"instruction": "Say whether the review is good or bad", "input": "I like it", "output": "good"},
    {"instruction": "Tell if a message is polite or rude", "input": "Thank you", "output": "good"},
    {"instruction": "Write a short tale about a fox", "input": "", "output": "A fox went home"},
    {"instruction": "Explain why the sky looks blue", "input": "", "output": "Light is scattered in the air"},
]
LIST = """Name the bridges that cross a wide canal
6. Write a short tale about a red fox
7. Draw a picture of the harbour at night
8. Too short
9. 3 things to say about the river
10. Decide if a sentence is a question or an answer
this line ends the list
11. Never reached by anybody who reads"""


class Teller(Parrot):
    """Writes the list above; says yes of the tasks to decide; gives a label first where it is asked for one."""

    def answer(self, text: str) -> str:
        if text.endswith("5."):
            return f" {LIST}"
        if text.endswith("Label:"):
            return " question\nInput: where is it\n\nTask: another"
        return " none\nOutput: the old bridge and the new one" if "bridges" in text[-60:] else " wet\nOutput: wet"

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        found = super().score(rows)
        for place, row in enumerate(rows):
            text = bytes(row.tokens.tolist()).decode()
            if "Decide" in text.rpartition("Task:")[2]:
                found[place] = Scored(found[place].logprobs_S + (9.0 if text.endswith("yes") else 0.0))
        return found


def made(rounds: int = 1, seed: int = 0, **settings: Any) -> list[Made]:
    part = makers.find("self_instruct").model_validate({"seeds": 4, "made": 0, **settings})
    records = [Record(row, "seeds.jsonl", line) for line, row in enumerate(SEEDS, 1)]
    workshop, found, kept = Workshop(Teller(), Teller(), seed), list[Made](), list[Any]()
    for about in islice(part.rounds(part.material(records), workshop), rounds):
        new = list(part.round(about, kept, workshop))
        found, kept = found + new, kept + [each.row for each in new if not each.rejected]
    return found


def test_each_new_instruction_is_kept_once_with_its_example_or_rejected_for_its_own_reason() -> None:
    found = made()
    reasons: dict[str, str] = {}
    for each in sorted(found, key=lambda each: each.rejected):  # a row that is kept comes before its repetitions
        reasons.setdefault(each.row["instruction"], each.rejected)
    assert reasons == {
        "Name the bridges that cross a wide canal": "",
        # six of the seed's seven words stand in it in order: F1 = 2 * 7 / (7 + 8) = 0.93
        "Write a short tale about a red fox": "it repeats a known instruction",
        "Draw a picture of the harbour at night": "it asks for what text alone cannot do",
        "Too short": "it is too short or too long",
        "3 things to say about the river": "it does not begin with a letter",
        "Decide if a sentence is a question or an answer": "",
    }
    # eight lists in a round, six instructions each: what the first list brought, the others repeat
    assert len(found) == 48 and sum(not each.rejected for each in found) == 2


def test_a_choice_is_given_its_label_first_and_any_other_task_its_input() -> None:
    rows = {each.row["instruction"][:4]: each for each in made() if not each.rejected}
    assert rows["Name"].row == {
        "instruction": "Name the bridges that cross a wide canal",
        "input": "",
        "output": "the old bridge and the new one",
    }
    assert (rows["Deci"].row["input"], rows["Deci"].row["output"]) == ("where is it", "question")
    assert (rows["Name"].origin["choice"], rows["Deci"].origin["choice"]) == (False, True)
    assert rows["Deci"].origin["prompts"] == ["instructions@1", "output_first@1"]
    assert rows["Name"].origin["prompts"] == ["instructions@1", "input_first@1"]


def test_what_was_kept_is_not_made_again() -> None:
    again = [each for each in made(rounds=2) if not each.rejected]
    assert len(again) == 2


def test_rows_made_before_are_listed_among_the_seeds() -> None:
    class Listening(Teller):
        heard: list[str] = []  # noqa: RUF012  (what one test heard)

        def answer(self, text: str) -> str:
            self.heard.append(text)
            return super().answer(text)

    part = makers.find("self_instruct").model_validate({"seeds": 2, "made": 2})
    material = part.material([Record(row, "a.jsonl", 1) for row in SEEDS])
    kept = [{"instruction": "A task made before by somebody", "input": "", "output": "x"}]
    workshop = Workshop(Listening(), Listening(), 0)
    about = next(part.rounds(material, workshop))
    list(part.round(about, kept, workshop))
    lists = [text for text in Listening.heard if text.startswith("A list")]
    assert len(lists) == 8 and all("A task made before by somebody" in text for text in lists)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (" none\nOutput: ", "its example has no output"),
        (" none", "its example has no output"),
        (" none\nOutput: None.", "its example has no output"),
        (" the input\nOutput: The input.", "its output repeats what was given"),
        (f" none\nOutput: {'so it goes on and ' * 30}", "its output repeats itself"),
        (" none\nOutput: an answer", ""),
    ],
)
def test_an_example_that_teaches_nothing_is_rejected(said: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Teller.answer
    monkeypatch.setattr(Teller, "answer", lambda self, text: said if text.endswith("Input:") else own(self, text))
    found = [each for each in made() if each.row["instruction"].startswith("Name") and "output" in each.row]
    assert [each.rejected for each in found] == [problem]


def test_too_few_seeds_are_refused() -> None:
    part = makers.build("self_instruct")
    with pytest.raises(Refused, match="set seeds to 4"):
        part.material([Record(row, "a.jsonl", 1) for row in SEEDS])
