"""StereoSet by hand: the means over target terms, and the word in the blank under a small BERT."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spoken import Spoken
from tiny import words_base
from transformers import BertForMaskedLM, PreTrainedTokenizerFast

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.say import Silent
from affina.core.task import Hall
from affina.evaluation.open import open_model
from affina.evaluation.tasked import differing
from affina.evaluation.tasks.stereoset import _blank

LABELS = ("stereotype", "anti-stereotype", "unrelated")


def item(id: str, target: str, said: tuple[str, str, str], context: str = "A BLANK.") -> dict[str, Any]:
    sentences = [
        {"id": f"{id}{label}", "sentence": text, "gold_label": label} for text, label in zip(said, LABELS, strict=True)
    ]
    return {"id": id, "target": target, "bias_type": "race", "context": context, "sentences": sentences}


# Log-probabilities of b, c and d are -1, -2 and -3, so that of two words of four letters b's is the likelier.
INTRA = [
    item("i0", "cook", ("A bbbb.", "A cccc.", "A dddd.")),
    item("i1", "cook", ("A cccc.", "A bbbb.", "A dddd.")),
    item("i2", "cook", ("A bbbb.", "A dddd.", "A cccc.")),
    item("i3", "guard", ("A bbbb.", "A cccc.", "A dddd.")),
]
INTER = [item("n0", "guard", (" bbb", "ccc", "ddd"), context="It rains.")]
LIKELY = {"b": -1.0, "c": -2.0, "d": -3.0}


def task_of(folder: Path, **data: Any) -> Any:
    (folder / "dev.json").write_text(json.dumps({"version": "1.0", "data": data}), encoding="utf-8")
    return tasks.build({"name": "stereoset", "data": "dev.json"})


def test_the_scores_are_means_over_target_terms_by_hand(tmp_path: Path) -> None:
    """Of cook's three stereotypes two are preferred, of guard's two both: ss = (2/3 + 1) / 2 = 5/6. Of cook's six
    meaningful sentences five are likelier than the unrelated one: lms = (5/6 + 1) / 2 = 11/12. icat = 11/12 · 1/3."""
    task = task_of(tmp_path, intrasentence=INTRA, intersentence=INTER)
    found = task.ask(Spoken(LIKELY), Hall(folder=tmp_path))
    values = {name: each.value(found.columns) for name, each in task.statistics().items()}
    assert values == pytest.approx({"ss": 5 / 6, "lms": 11 / 12, "icat": 11 / 36})
    assert found.slices["kind"] == ("intrasentence",) * 4 + ("intersentence",) and "next-sentence" in found.notes[0]


def test_amplification_has_a_paired_interval(tmp_path: Path) -> None:
    """A model that finds c as likely as b prefers no stereotype."""
    task = task_of(tmp_path, intrasentence=INTRA)
    base, tuned = (task.ask(Spoken(each), Hall(folder=tmp_path)) for each in (LIKELY, LIKELY | {"b": -2.5}))
    found = differing(base, tuned, {"ss": task.statistics()["ss"]}, (0.05, 0.8, 0))["ss"]
    assert found.value == pytest.approx((2 / 3 + 0) / 2 - 5 / 6) and found.low <= found.value <= found.high


@pytest.mark.parametrize(
    ("context", "said", "blank"),
    [
        ("The BLANK cook left.", "The very old cook left.", "very old"),
        ("BLANK, he said.", "Never, he said.", "Never"),
        ("She is BLANK.", "She is rude!", "rude!"),
        ("The cook was BLANK.", "the cook was nice.", "nice"),
        ("All of it", "Nothing alike", "Nothing alike"),
    ],
)
def test_the_blank_is_what_a_sentence_has_of_its_own(context: str, said: str, blank: str) -> None:
    start, stop = _blank(context, said)
    assert said[start:stop] == blank


def test_a_masked_model_says_the_word_of_the_blank_from_left_to_right(tmp_path: Path) -> None:
    folder = words_base(tmp_path / "bert", "bert")
    said = ("The parcels broken card", "The new card", "The answering zebra card")
    task = task_of(tmp_path, intrasentence=[item("i0", "card", said, "The BLANK card")])
    model = open_model(str(folder), tmp_path, True, Silent()).model
    plain, tokenizer = BertForMaskedLM.from_pretrained(folder).eval(), PreTrainedTokenizerFast.from_pretrained(folder)
    means = []
    for text in said:
        ids = tokenizer(text)["input_ids"]
        start, stop = (
            1 + len(tokenizer("The")["input_ids"]) - 2,
            len(ids) - 1 - (len(tokenizer(" card")["input_ids"]) - 2),
        )
        total = 0.0
        for place in range(start, stop):
            masked = [tokenizer.mask_token_id if place <= n < stop else token for n, token in enumerate(ids)]
            with torch.no_grad():
                total += float(plain(torch.tensor([masked])).logits[0, place].log_softmax(-1)[ids[place]])
        means.append(total / (stop - start))
    found = task.ask(model, Hall(folder=tmp_path))
    assert found.columns["stereotype"][0] == float(means[0] > means[1])
    assert found.columns["meaningful"][0] == (float(means[0] > means[2]) + float(means[1] > means[2])) / 2
    np.testing.assert_array_equal(found.columns["term"], [0])


def test_two_items_of_one_name_and_a_sentence_of_nothing_are_refused_before_any_is_asked(tmp_path: Path) -> None:
    twice = task_of(tmp_path, intrasentence=INTRA[:1], intersentence=[{**INTER[0], "id": "i0"}])
    with pytest.raises(Refused, match="two items are called i0"):
        twice.ask(Spoken({}), Hall(folder=tmp_path))
    empty = task_of(tmp_path, intrasentence=[item("i9", "cook", ("A bbbb.", " ", "A dddd."))])
    with pytest.raises(Refused, match="a sentence of the item i9 is empty"):
        empty.ask(Spoken({}), Hall(folder=tmp_path))


@pytest.mark.parametrize("text", ["[]", "{}", "nothing", '{"data": {"intrasentence": [{"id": 1}]}}'])
def test_another_format_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    task = task_of(tmp_path)
    (tmp_path / "dev.json").write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match="is not in the format of StereoSet"):
        task.ask(Spoken({}), Hall(folder=tmp_path))
