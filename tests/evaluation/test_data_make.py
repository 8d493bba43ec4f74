"""Rows made by a real model, from the call to the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import affina_process

import affina
from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled
from affina.core.kinds import Asked, Desk, Sampling, transforms
from affina.core.say import Silent
from affina.data.formatted import formatted
from affina.data.ledger import Ledger
from affina.data.prompt import prompt
from affina.engine.source import PINS
from affina.evaluation.answer import asker
from affina.evaluation.open import open_model

SMALL = "smollm2-135m-instruct"
ENGLISH = """The Company shall pay the premiums for the health cover within ten (10) days of the end of the term. The
Harbour Office keeps the register of barges, and the Consultant may read it before the winter begins.

“Covered Period” means the time that begins on the day of the sale of the mill and ends one year later. During that
time the Employee shall give the Company written notice of any other work that he takes up in the same town.
"""
ITALIAN = """Entro dicembre 2021 le amministrazioni adottano il nuovo modello dei siti e lo pubblicano nel catalogo.
Il Sistema Pubblico di Identità Digitale (SPID) serve per entrare nei servizi della città e della regione.
"""


def requests(folder: Path) -> Path:
    path = folder / "requests.jsonl"
    rows = [{"text": f"Say something short about river number {n}"} for n in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_request_goes_from_the_command_line_to_a_report(chat_model: Path, tmp_path: Path) -> None:
    command = (
        "data", "make", "self_refine", "--from", requests(tmp_path), "--model", chat_model, "--out",
        tmp_path / "out.jsonl", "--n", "3", "--set", "answer_tokens=12", "--set", "rewrites=1", "--offline",
    )  # fmt: skip
    done = affina_process(*command, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["tried"] == 3 == told["kept"] + sum(told["rejected"].values())
    assert told["maker"]["answer_tokens"] == 12 and len(told["model"]["digest"]) == 64
    assert Path(told["report"]).is_file() and Path(told["out"]).is_file()
    again = affina_process(*command, cwd=tmp_path)
    assert again.returncode == 0 and f"of 3 tried in {tmp_path / 'out.jsonl'}" in again.stdout


@pytest.mark.parametrize(
    ("maker", "said"),
    [
        ("question", "did you mean 'questions'"),
        ({"name": "questions", "lead": "much"}, "must be a number"),
        ({"name": "questions", "leads": 1}, "unknown setting"),
        ("self_refine", "no file"),
    ],
)
def test_what_cannot_be_made_is_refused(maker: Any, said: str, chat_model: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=said):
        affina.data_make(maker, [str(tmp_path / "none.txt")], tmp_path / "out.jsonl", affina.Making(str(chat_model)))
    assert not [*tmp_path.iterdir()]


def test_a_model_that_says_nothing_and_too_few_rows_are_refused(encoder_model: Path, tmp_path: Path) -> None:
    given = [str(requests(tmp_path))]
    with pytest.raises(Refused, match="is an encoder"):
        affina.data_make("self_refine", given, tmp_path / "out.jsonl", affina.Making(str(encoder_model)))
    with pytest.raises(Refused, match="at least"):
        affina.data_make("self_refine", given, tmp_path / "out.jsonl", affina.Making(str(encoder_model), rows=0))


def test_passages_longer_than_the_model_takes_are_refused(chat_model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(ENGLISH, encoding="utf-8")
    with pytest.raises(Refused, match="set tokens to 128 or less"):
        maker = {"name": "questions", "tokens": 400}
        affina.data_make(maker, [str(tmp_path / "text.txt")], tmp_path / "out.jsonl", affina.Making(str(chat_model)))


@pytest.mark.slow
def test_the_embedded_model_judges_questions_in_english_and_italian(tmp_path: Path) -> None:
    for name, text in (("en.txt", ENGLISH), ("it.txt", ITALIAN)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    maker = {"name": "questions", "lead": None, "tokens": 120}
    report = affina.data_make(maker, [str(tmp_path)], tmp_path / "qa.jsonl", affina.Making(SMALL))
    rows = [json.loads(line) for line in (tmp_path / "qa.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {row["question"]: row["answers"]["text"][0] for row in rows}
    assert found[
        "Entro quando le amministrazioni adottano il nuovo modello dei siti e lo pubblicano nel catalogo?"
    ] == ("dicembre 2021")
    assert found[
        "Within what time of the end of the term shall the Company pay the premiums for the health cover?"
    ] == ("ten (10) days")
    assert report["spans"] == {"rows": len(rows), "right": len(rows)}
    assert all(row["made"]["nats"]["needed"] >= 1 for row in rows)
    assert report["model"]["digest"] in {each for pin in PINS.values() for each in pin.weights.values()}


@pytest.mark.slow
def test_formats_are_tried_by_what_evaluation_finds_of_the_same_rows(tmp_path: Path) -> None:
    labels = ("card", "card lost", "cash")  # one begins another: evaluation then counts the stop token too
    rows: list[Example] = [
        Labelled(id=f"a:{n}", text=f"I have {('my card here', 'lost my card', 'only coins')[n % 3]}, case {n}",
                 label=labels[n % 3], split=("train", "validation")[n % 2])
        for n in range(12)
    ]  # fmt: skip
    model = open_model(SMALL, tmp_path, True, Silent()).model
    desk = Desk(Ledger(), open=lambda reference: model)
    names = ["format_label_plain", "format_label_fields", "format_label_it"]
    part = transforms.build({"name": "formats", "formats": names, "choose": "best", "model": SMALL})
    made = list(part.apply(rows, desk))
    nats = {}
    for name in names:
        chats = [formatted(each, prompt(name), tuple(sorted(labels))) for each in rows if each.split == "validation"]
        asking = asker(chats)
        answers = asking.answers(model, chats, Asked(frozenset({"chances", "label"}), Sampling()))
        assert answers.chances_NL is not None and answers.target_N is not None
        nats[name] = -np.log(answers.chances_NL[np.arange(len(chats)), answers.target_N]).mean()
    best = min(nats, key=lambda name: nats[name])
    assert f"{prompt(best).reference} kept: {nats[best]:.3f} nats a row on 6 validation rows" in desk.notes[0]
    asked = [each.messages[0].content for each in made if isinstance(each, Chat)]
    assert asked == [
        prompt(best).filled({"text": each.given, "labels": ", ".join(sorted(labels))})[0].content for each in rows
    ]
