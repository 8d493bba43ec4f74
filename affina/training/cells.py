"""Small data for every task: rows that a model of two layers learns within a few dozen steps, and the recipe of a run
on them."""

from pathlib import Path
from typing import Any

from affina.core.kinds import Objective, architectures, tunings
from affina.core.recipe import Recipe

SUBJECTS = (
    "the parcel from Turin",
    "my winter boots",
    "a cracked mug",
    "order nine hundred",
    "our office chairs",
    "this blue lamp",
    "the garden hose",
    "two film tickets",
    "the spare keyboard",
    "grandma's quilt",
    "a box of tea",
    "that noisy fan",
)
SAID = {
    "refund": ("give me back the money for {}", "I want to be paid back for {}", "money back please, {} is wrong"),
    "shipping": ("when does {} arrive", "where has the courier left {}", "{} is late, track the courier"),
    "account": (
        "my password fails since I bought {}",
        "log me in, I ordered {} there",
        "reset the login I used for {}",
    ),
}


def spoken(number: int) -> tuple[str, str]:
    """A message and its kind, told apart by a case number."""
    kind = [*SAID][number % 3]
    text = SAID[kind][number // 3 % 3].format(SUBJECTS[number // 9 % 12])
    return f"{text} case {number * 7919 % 9973:04d}", kind


def task_rows(task: str, rows: int = 120) -> list[dict[str, Any]]:
    """Rows for the objective of this name."""
    return [_row(task, number) for number in range(rows)]


def _row(task: str, number: int) -> dict[str, Any]:
    text, kind = spoken(number)
    late, words = "late" in text or "when" in text, text.split()
    made: dict[str, dict[str, Any]] = {
        "classify": {"text": text, "label": kind},
        "multi_label": {"text": text, "labels": [kind] + (["urgent"] if late else [])},
        "regression": {"text": text, "score": float([*SAID].index(kind)) + 0.5 * late},
        "tag": {"tokens": words, "tags": ["B-CASE" if word.isdecimal() else "O" for word in words]},
        "span": {
            "question": "which case is it",
            "context": text,
            "answers": {"text": [words[-1]], "answer_start": [text.index(words[-1])]},
        },
        "reward": {
            "prompt": text,
            "chosen": f"thank you, it is about {kind}",
            "rejected": f"no idea, ask {'someone else ' * (number % 2)}about {kind}",  # length tells nothing
        },
        "contrastive": {"anchor": text, "positive": f"{kind} {words[-1]}"},
        "seq2seq": {"source": text, "target": f"{kind} {words[-1]}"},
        "cross_entropy": {"prompt": text, "completion": f"thank you, it is about {kind}"},
        "masked_lm": {"text": f"thank you, {words[-1]} is about {kind}"},
        "permutation_lm": {"text": f"thank you, {words[-1]} is about {kind}"},
    }
    return made[task]


METRICS = {
    "classify": "accuracy",
    "contrastive": "mrr",
    "multi_label": "macro_f1",
    "regression": "rmse",
    "reward": "pair_accuracy",
    "span": "squad_f1",
    "tag": "entity_f1",
}
"""What decides where a task does not end in words; there the loss does."""
VOCABULARIES = {"bpe": 450, "wordpiece": 250, "unigram": 450}
"""Tokens, by the usual way of dividing text: most words are one."""
SPLIT = {"name": "split", "test": 0.35, "near": 0.95}
"""Many rows to judge by. They are made of a few phrases, and only their case numbers keep them apart."""
ROWS, SIZES = 144, {"layers": 2, "width": 64, "heads": 4, "context": 128, "dropout": 0.0}
LEAST_RATE, QUICKER = 3e-3, {"adapter": 5.0, "bitfit": 30.0, "ia3": 30.0}
"""Small models take large steps: ten times the tuning's own rate, or as many as stand here, and no less than that."""
STEPS, MORE_STEPS = 40, {"contrastive": 100, "regression": 60}
TRIES = ((1, 1.0), (5, 1.0), (10, 0.3))
"""Times the steps and the rows, and times the rate, of one try after another until one shows something: few trained
numbers learn slowly, fifty items do not tell a small gain from none, and what steps too far says the same of all."""


FIRST, LONGER = (100, 192), {"gemma": (300, 192), "roberta": (500, 600), "t5": (500, 3000), "xlnet": (400, 192)}
"""Steps and rows that a base is made from. What few trained numbers can use of a base, it must have learnt: to carry a
message's kind to its end, or, of T5's relative positions, which of several digits comes first."""


def first_rows(objective: Objective, architecture: str) -> list[dict[str, Any]]:
    """What a base is made from: messages, each with its kind after it, and nothing in the words of the tasks."""
    said = [spoken(number) for number in range(LONGER.get(architecture, FIRST)[1])]
    if objective.reads == "source":
        return [{"source": text, "target": f"{' '.join(text.split()[-2:])} {kind}"} for text, kind in said]
    return [{"text": f"{text} {kind}"} for text, kind in said]


def base_recipe(architecture: str, objective: str, folder: Path) -> Recipe:
    """A base of this architecture, made from nothing. It learns from `first.jsonl` in `folder`."""
    usual = architectures.find(architecture).usual
    return _recipe(
        {
            "name": architecture,
            "model": {
                "scratch": {"name": architecture, **SIZES},
                "tokenizer": {"name": usual, "vocabulary": VOCABULARIES[usual]},
            },
            "objective": objective,
            "tuning": "full",
            "train": {"steps": LONGER.get(architecture, FIRST)[0], "batch": 32, "learning_rate": 3e-3},
        },
        "first.jsonl",
        folder,
    )


def cell_recipe(task: str, tuning: str, base: Path, folder: Path, times: int = 1, pace: float = 1.0) -> Recipe:
    """A run of one task with one tuning, of so many times the steps and the rate; it reads `folder`/rows.jsonl."""
    rate = pace * max(LEAST_RATE, QUICKER.get(tuning, 10.0) * tunings.find(tuning).learning_rate)
    return _recipe(
        {
            "name": tuning,
            "model": {"base": str(base)},
            "objective": task,
            "tuning": tuning,
            "train": {"steps": times * MORE_STEPS.get(task, STEPS), "batch": 16, "learning_rate": rate},
            "evaluate": {"metrics": [METRICS.get(task, "loss")]},
        },
        "rows.jsonl",
        folder,
    )


def _recipe(given: dict[str, Any], read: str, folder: Path) -> Recipe:
    steps = given["train"]["steps"]
    compute = {"precision": "float32", "kernels": "off", "compile": "off"}
    shared = {
        "data": {"read": [read], "max_tokens": 96, "transforms": ["dedup", SPLIT]},
        "train": {**given["train"], "save_every": steps, "compute": compute},
        "evaluate": {**given.get("evaluate", {}), "every": steps},
    }
    return Recipe.build({**given, **shared}, folder)
