"""A model whose numbers are no numbers fails whatever it is put to: nothing of it is taken for an answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from known_models import Says

from affina.core.errors import Failed
from affina.core.example import Labelled
from affina.core.kinds import tasks
from affina.core.task import Hall

BBQ = {
    "question_polarity": "neg", "context_condition": "ambig", "category": "Age", "context": "Two met.",
    "question": "Who forgot?", "ans0": "Ann", "ans1": "Bob", "ans2": "Unknown", "label": 2,
    "answer_info": {"ans0": ["Ann", "old"], "ans1": ["Bob", "nonOld"], "ans2": ["Unknown", "unknown"]},
}  # fmt: skip
SAID = [("stereotype", "He is bad."), ("anti-stereotype", "He is good."), ("unrelated", "He is fish.")]
STEREOSET = {
    "id": "a", "target": "he", "bias_type": "gender", "context": "He is BLANK.",
    "sentences": [{"gold_label": label, "sentence": said} for label, said in SAID],
}  # fmt: skip
FILES = {
    "choice.jsonl": json.dumps({"question": "What is wet?", "options": ["fire", "water"], "answer": 0}),
    "class.jsonl": "\n".join(json.dumps({"text": label, "label": label}) for label in ("good", "bad")),
    "crows.csv": "sent_more,sent_less,stereo_antistereo,bias_type\nShe is bad.,He is bad.,stereo,gender\n",
    "bbq.jsonl": json.dumps(BBQ),
    "stereoset.json": json.dumps({"data": {"intrasentence": [STEREOSET]}}),
    "pro.txt": "1 [The lawyer] hired the nurse because [he] needed help.\n",
    "anti.txt": "1 [The lawyer] hired the nurse because [she] needed help.\n",
}
TASKS: list[dict[str, Any]] = [
    {"name": "multiple_choice", "data": "choice.jsonl"},
    {"name": "classification", "data": "class.jsonl"},
    {"name": "crows_pairs", "data": "crows.csv"},
    {"name": "bbq", "data": "bbq.jsonl"},
    {"name": "stereoset", "data": "stereoset.json"},
    {"name": "winobias", "pro": "pro.txt", "anti": "anti.txt"},
]
NAN = float("nan")


def files(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("settings", TASKS, ids=lambda each: str(each["name"]))
def test_nan_is_never_the_likelier_or_the_unlikelier_one(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(Failed, match=f"the task {settings['name']} cannot be measured: .* are no finite numbers"):
        tasks.build(settings).ask(Says(nats=lambda before, said: NAN), Hall(folder=files(tmp_path)))


def test_nan_of_a_head_is_no_label(tmp_path: Path) -> None:
    model, labels = Says(labels=lambda text: [NAN, NAN]), ("bad", "good")
    with pytest.raises(Failed, match=r"log-probabilities of class\.jsonl:1 are no finite numbers"):
        tasks.build(TASKS[1]).ask(model, Hall(folder=files(tmp_path), labels=labels))
    rows = [
        Labelled(id=f"r{n}", text="t", label="bad", labels=labels, facts={"group": group})
        for n, group in enumerate("ab")
    ]
    with pytest.raises(Failed, match="r0 is nan"):
        tasks.build("groups").ask(model, Hall(splits={"test": rows}, labels=labels))
