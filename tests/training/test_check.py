"""`check` shows what training would see and names what it would refuse, without torch."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import affina
from affina.core.errors import Refused

WORDS = ["red", "green", "blue", "round", "square", "small", "large", "heavy", "light", "open"]
INSTRUCTION = "Read the message and answer with exactly one of these labels and nothing else:\nask\nbuy"


def tickets(folder: Path, rows: int = 40) -> Path:
    """A file of two classes, its texts far apart from one another."""
    lines = ["text,label"]
    for number in range(rows):
        pair = f"{WORDS[number % 10]} {WORDS[number // 10]} {number * 7919 % 1000:03d}"
        lines.append(f"{pair} {pair[::-1]},{('ask', 'buy')[number % 2]}")
    (folder / "tickets.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "tickets.csv"


def recipe(folder: Path, base: Path, **data: object) -> Path:
    plain = {"model": {"base": str(base)}, "data": {"read": ["tickets.csv"], **data}}
    path = folder / "tickets.yaml"
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return path


def notes(folder: Path, base: Path) -> Path:
    """A recipe on raw text, a row per paragraph."""
    paragraphs = [f"{word} {word[::-1]} {word * 3}" for word in WORDS]
    (folder / "notes.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    return recipe(folder, base, read=["notes.txt"], reader={"name": "text", "by": "paragraph"})


def test_every_row_is_accounted_for(tmp_path: Path, byte_base: Path) -> None:
    with tickets(tmp_path).open("a", encoding="utf-8") as file:
        file.write("a text without a label,\n")
    seen = affina.check(recipe(tmp_path, byte_base))
    assert seen["ledger"]["read"] == 41
    assert seen["ledger"]["quarantined"]["total"] == 1
    assert sum(seen["ledger"]["used"].values()) == 40
    assert sum(one["rows"] for one in seen["splits"].values()) == 40
    assert sum(seen["labels"].values()) == seen["splits"]["train"]["rows"]
    assert seen["problems"] == []


def test_lengths_are_counted_in_the_bases_own_tokens(tmp_path: Path, byte_base: Path) -> None:
    tickets(tmp_path)
    row = affina.check(recipe(tmp_path, byte_base))["examples"][0]
    text = (tmp_path / "tickets.csv").read_text(encoding="utf-8").splitlines()[int(row["id"].split(":")[1]) - 1]
    question, label = text.split(",")
    # A token per byte, and one for each <|im_start|> and <|im_end|>: three turns, the last without its line end.
    turns = {"system": INSTRUCTION, "user": question, "assistant": label}
    assert row["tokens"] == sum(1 + len(role) + 1 + len(said) + 1 + 1 for role, said in turns.items()) - 1
    assert row["targets"] == len(label) + 1
    assert [piece["text"] for piece in row["pieces"] if piece["learned"]] == [f"{label}<|im_end|>"]
    assert "".join(piece["text"] for piece in row["pieces"]).endswith(f"<|im_start|>assistant\n{label}<|im_end|>")


def test_steps_are_those_training_would_take(tmp_path: Path, byte_base: Path) -> None:
    tickets(tmp_path)
    loaded = affina.Recipe.load(recipe(tmp_path, byte_base), {"train.epochs": 2, "train.batch": 8})
    seen = affina.check(loaded)
    assert seen["steps"] == 2 * -(-seen["splits"]["train"]["rows"] // 8)


def test_rows_that_would_be_cut_are_a_problem_unless_allowed(tmp_path: Path, byte_base: Path) -> None:
    tickets(tmp_path)
    refused = affina.check(recipe(tmp_path, byte_base, max_tokens=128))
    whole = affina.check(recipe(tmp_path, byte_base))["splits"]["train"]["longest"]
    assert refused["splits"]["train"]["longest"] == whole > 128
    assert re.match(r"40 rows are longer than data.max_tokens \(128\)", refused["problems"][0])


def test_a_metric_the_task_cannot_compute_is_refused(tmp_path: Path, byte_base: Path) -> None:
    path = notes(tmp_path, byte_base)
    with pytest.raises(Refused, match="accuracy"):
        affina.check(affina.Recipe.load(path, {"evaluate.metrics": ["accuracy"]}))


def test_an_objective_that_cannot_learn_from_the_data_is_refused(tmp_path: Path, byte_base: Path) -> None:
    path = notes(tmp_path, byte_base)
    with pytest.raises(Refused, match="objective classify cannot learn from text examples"):
        affina.check(affina.Recipe.load(path, {"objective": "classify"}))


def test_a_base_that_is_not_there_is_refused(tmp_path: Path) -> None:
    tickets(tmp_path)
    with pytest.raises(Refused):
        affina.check(recipe(tmp_path, tmp_path / "absent"), offline=True)


def test_neither_new_nor_check_loads_torch(tmp_path: Path, byte_base: Path) -> None:
    made = str(tmp_path / "made.yaml")
    changes = {"model.base": str(byte_base), "data.max_tokens": 512}
    script = (
        "import sys, affina\n"
        f"affina.new([{str(tickets(tmp_path))!r}], out={made!r})\n"
        f"print(affina.check(affina.Recipe.load({made!r}, {changes!r}))['problems'])\n"
        "print([name for name in ('torch', 'transformers', 'peft') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["[]", "[]"], done.stderr
