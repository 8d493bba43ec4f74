"""Each rule on answers that keep it and answers that do not, and every instruction of the bank on an answer by hand."""

from pathlib import Path
from typing import Any

import pytest

from affina.core.errors import Refused
from affina.evaluation.items import items
from affina.evaluation.rules import RULES, kept

CASES: list[tuple[str, Any, str, str]] = [
    ("words", {"most": 3}, "It's well-known rain", "it falls every day"),
    ("words", {"exactly": 2}, "Sì, l'acqua", "one"),
    ("sentences", {"exactly": 2}, "It snows. Dr. Hill stays in.", "It snows."),
    ("lines", {"exactly": 1}, "a, b, c", "a\nb"),
    ("paragraphs", {"exactly": 2}, "One.\n\nTwo.", "One.\nTwo."),
    ("bullets", {"exactly": 2}, "- cat\n- dog", "- cat\n- dog\n- cow"),
    ("case", "upper", "THE SEA IS BLUE, È BLU.", "THE sea"),
    ("case", "lower", "bread is warm.", "Bread is warm."),
    ("case", "upper", "A1", "12"),
    ("contains", ["silence"], "Silence reigns.", "It is silent; silences"),
    ("contains", ["autumn|fall"], "in the fall", "spring"),
    ("avoids", ["cat"], "It concatenates and purrs.", "A Cat purrs."),
    ("avoids signs", ",", "no comma here", "one, two"),
    ("starts", "In my view", "In my view, trust.", "I think so. In my view"),
    ("ends", "That is all.", "Red ones. That is all.", "That is all. Bye"),
    ("matches", "7", " 7. ", "There are 7 days"),
    ("one of", ["yes", "no"], "Yes!", "yes, it is"),
    ("quoted", True, "\"The key\"", "The \"key\""),
    ("json", ["name", "age"], '```json\n{"name": "Ada", "age": 3, "x": 1}\n```', '{"name": "Ada"}'),
    ("json", ["name"], '{"name": null}', 'Here: {"name": 1}'),
    ("language", "it", "Il cielo è di un bel colore, che è il blu.", "The sky is of a fine colour and it is blue."),
]  # fmt: skip
FOLLOWED = {
    "en-1": "Drops fall from grey clouds.", "en-2": "- cat\n- dog\n- cow", "en-4": "THE SEA IS CALM.",
    "en-3": "A bridge " + "carries people over water " * 8, "en-5": "bread is warm.",
    "en-6": '{"name": "Ada", "age": 36}', "en-7": "A house of silence and books.", "en-8": "A small animal that purrs.",
    "en-9": "7", "en-10": "Yes", "en-11": "It snows. We stay in.", "en-12": "In my view, trust does.",
    "en-13": "They are red. That is all.", "en-14": "spring, summer, autumn, winter",
    "en-15": "Il cielo è di un colore che è blu.", "en-16": "\"The Lost Key\"", "en-17": "Trees grow.\n\nThey fall.",
    "en-18": "She walked for weeks to the sea.", "en-19": "red and blue", "en-20": "On Monday the kitchen is closed.",
    "it-1": "Gocce cadono dalle nuvole.", "it-2": "- gatto\n- cane\n- mucca", "it-4": "IL MARE È CALMO.",
    "it-3": "Il ponte " + "serve a passare il fiume con i carri " * 5, "it-5": "il pane è caldo.",
    "it-6": '{"nome": "Ada", "eta": 36}', "it-7": "Una casa di libri e di silenzio.", "it-8": "Fa le fusa.",
    "it-9": "7", "it-10": "Sì.", "it-11": "Nevica. Restiamo a casa.", "it-12": "Secondo me la fiducia.",
    "it-13": "Sono rosse. Questo è tutto.", "it-14": "primavera, estate, autunno, inverno",
    "it-15": "The grass is green and it is in the garden.", "it-16": "«La chiave»", "it-17": "Crescono.\n\nCadono.",
    "it-18": "Camminò per settimane fino al mare.", "it-19": "rosso e blu", "it-20": "Lunedì la cucina è chiusa.",
}  # fmt: skip


@pytest.mark.parametrize(("rule", "argument", "good", "bad"), CASES)
def test_a_rule_tells_an_answer_that_keeps_it_from_one_that_does_not(
    rule: str, argument: Any, good: str, bad: str
) -> None:
    assert kept(good, [{rule: argument}], "x") == [True]
    assert kept(bad, [{rule: argument}], "x") == [False]


def test_every_rule_is_tried_and_an_empty_answer_keeps_none() -> None:
    assert {rule for rule, *_ in CASES} == {*RULES}
    assert not any(kept(" \n", [{rule: argument}], "x")[0] for rule, argument, *_ in CASES)


def test_every_instruction_of_the_bank_can_be_followed_and_no_answer_follows_most_of_them() -> None:
    bank = items("instructions", (), Path(), ("prompt", "rules"))
    assert {row["id"] for row in bank} == {*FOLLOWED}
    for row in bank:
        assert all(kept(FOLLOWED[row["id"]], row["rules"], row["id"])), row["prompt"]
    for answer in FOLLOWED.values():
        assert sum(all(kept(answer, row["rules"], row["id"])) for row in bank) < len(bank) / 2, answer


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"wrds": 1}, "x: no rule is called 'wrds'. did you mean 'words'"),
        ({"words": {"max": 3}}, "the rule 'words' cannot take .*: max is none of exactly, least, most"),
        ({"words": 3}, "the rule 'words' cannot take 3"),
        ({"case": "title"}, "the rule 'case' cannot take 'title'"),
        ({"words": {"exactly": "3"}}, "the rule 'words' cannot take .*: it needs whole numbers"),
        ({"contains": "rain"}, "the rule 'contains' cannot take 'rain': it needs a list of texts"),
        ({"avoids": "rain"}, "the rule 'avoids' cannot take 'rain': it needs a list of texts"),
        ({"one of": "yes"}, "the rule 'one of' cannot take 'yes': it needs a list of texts"),
        ({"json": "name"}, "the rule 'json' cannot take 'name': it needs a list of texts"),
        ({"quoted": "yes"}, "the rule 'quoted' cannot take 'yes': it needs true or false"),
        ({"language": "de"}, "the rule 'language' cannot take 'de': the languages that it tells apart are it, en"),
        ("words", "a rule is a name with an argument"),
    ],
)
def test_a_rule_that_cannot_be_checked_is_refused(rule: Any, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        kept("an answer", [rule], "x")
    with pytest.raises(Refused, match=complaint):  # as the task does before any model is asked
        kept("", [rule], "x")
