"""Texts beside right ones: a task's numbers are the metrics' own, resampled as they are."""

from pathlib import Path

import pytest
import sacrebleu
from tiny import written
from tiny_models import Scripted

from affina.core.kinds import tasks
from affina.core.task import Hall
from affina.evaluation.tasked import differences, measured

RIGHT = ["the cat sat on the mat", "a dog barks at the tall man", "rain falls on the old roof", "we are at home today"]
SAID = ["the cat sat on a mat", "the dog barks at a man", "rain fell on the roof", "we stay at home today"]


def test_corpus_metrics_equal_sacrebleus_and_have_intervals(tmp_path: Path) -> None:
    written(tmp_path, "bank.jsonl", [{"question": str(n), "answer": text} for n, text in enumerate(RIGHT * 5)])
    task = tasks.build({"name": "generation", "data": "bank.jsonl", "metrics": ["bleu", "chrf", "rouge_l"]})
    model = Scripted(lambda prompt: SAID[int(prompt.split()[1].removesuffix("assistant:")) % 4])
    found = task.ask(model, Hall(folder=tmp_path))
    numbers = measured(found, task, 0.05, 0)
    assert numbers["bleu"].value == pytest.approx(sacrebleu.corpus_bleu(SAID * 5, [RIGHT * 5]).score / 100)
    assert numbers["chrf"].value == pytest.approx(sacrebleu.corpus_chrf(SAID * 5, [RIGHT * 5]).score / 100)
    assert all(
        each.low < each.value < each.high and each.n == 20 for name, each in numbers.items() if name != "stopped"
    )
    worse = task.ask(Scripted(lambda prompt: "the cat"), Hall(folder=tmp_path))
    away = differences(found, worse, task, 0.05, 0.8, 0)
    assert away["bleu"].high < 0 and away["rouge_l"].p < 0.01 and away["chrf"].better < 0


def test_only_metrics_of_texts_are_taken_and_unknown_ones_named() -> None:
    for metric, complaint in (("mcc", "no metric of texts"), ("bleau", "did you mean 'bleu'"), ("rouge_l", "twice")):
        with pytest.raises(ValueError, match=complaint):
            tasks.build({"name": "generation", "data": "x", "metrics": [metric, "rouge_l"]})
