"""Both sides of the encoders' benchmark learn the same rows, each once, in batches of like lengths."""

import argparse
import csv
from pathlib import Path

import classify
import pytest


class Words:
    """A tokenizer that counts words."""

    def encode(self, text: str) -> list[str]:
        return text.split()


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    (tmp_path / "banking77").mkdir()
    with (tmp_path / "banking77" / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "category"])
        writer.writerows([f"{number} " + "word " * (number % 17), f"class {number % 3}"] for number in range(600))
    monkeypatch.setenv("AFFINA_BENCH_DATA", str(tmp_path))
    return argparse.Namespace(data="banking", batch=8, steps=5, warm=2, rank=0, lr=1e-4)


def test_every_row_is_learnt_once_beside_rows_of_its_length(given: argparse.Namespace) -> None:
    training, held = classify.chosen(given, Words())
    assert len(training) == len({*training}) == given.batch * (given.steps + given.warm)
    assert len(held) == classify.HELD and not {*training} & {*held}
    assert {label for _, label in held} <= {label for _, label in training}
    for start in range(0, len(training), given.batch):
        lengths = [len(text.split()) for text, _ in training[start : start + given.batch]]
        assert max(lengths) - min(lengths) <= 1
    assert classify.chosen(given, Words()) == (training, held)


def test_more_steps_than_there_are_rows_are_refused(given: argparse.Namespace) -> None:
    given.steps = 1000
    with pytest.raises(SystemExit, match="more than banking has"):
        classify.chosen(given, Words())
