"""CrowS-Pairs by hand, and on a small BERT against the paper's algorithm written the plain way over transformers."""

import json
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
import torch
from shared_data import shared
from spoken import Spoken
from tiny import words_base
from transformers import BertForMaskedLM, PreTrainedTokenizerFast

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending, Model, tasks
from affina.core.task import Hall
from affina.data.rows import Renderer
from affina.engine.torch.tuned import base
from affina.evaluation.published import published
from affina.evaluation.tasked import differences, measured, sliced
from affina.evaluation.tasks.crows_pairs import COLUMNS

HEAD = ",sent_more,sent_less,stereo_antistereo,bias_type\n"
ROWS = (
    "0,the parcel ab,the parcel ac,stereo,age\n"
    "1,ab is here,ac is here,stereo,age\n"
    "2,a card ac,a card ab,antistereo,religion\n"
    "3,they ad,they ae,stereo,religion\n"
)
LIKELY = {"b": -1.0, "c": -2.0, "d": -3.0, "e": -3.0}


def asked(folder: Path, text: str = HEAD + ROWS) -> tuple[object, Hall]:
    (folder / "pairs.csv").write_text(text, encoding="utf-8")
    return tasks.build({"name": "crows_pairs", "data": "pairs.csv"}), Hall(folder=folder)


def test_the_share_of_pairs_that_prefer_the_stereotype_by_hand(tmp_path: Path) -> None:
    """b is likelier than c, d as likely as e: the first two are preferred, the third is not, the fourth is neutral: it
    counts among all four, and not among the stereotypes, of which two of two are then preferred."""
    task, hall = asked(tmp_path)
    found = task.ask(Spoken(LIKELY), hall)
    np.testing.assert_allclose(found.columns["gap"], [1, 1, -1, 0])
    values = {name: each.value for name, each in measured(found, task, 0.05, 0).items()}
    assert values == {"stereotype": 0.5, "stereo_pairs": 1, "antistereo_pairs": 0, "neutral": 0.25}
    assert sliced(found, task, 0.05, 0)["bias_type"]["age"]["stereotype"].value == 1
    assert "reads the past alone" in found.notes[0] and len(found.ids) == len(set(found.ids)) == 4


def test_records_of_one_line_of_json_are_items_of_their_own(tmp_path: Path) -> None:
    names = HEAD.strip(",\n").split(",")
    rows = [dict(zip(names, line.split(",")[1:], strict=True)) for line in ROWS.splitlines()]
    (tmp_path / "pairs.json").write_text(json.dumps(rows), encoding="utf-8")
    task = tasks.build({"name": "crows_pairs", "data": "pairs.json"})
    found = task.ask(Spoken(LIKELY), Hall(folder=tmp_path))
    assert found.ids == ("pairs.json:1", "pairs.json:1.2", "pairs.json:1.3", "pairs.json:1.4")
    assert differences(found, found, task, 0.05, 0.8, 0)["stereotype"].value == 0


def test_what_two_sentences_begin_with_is_not_scored_twice(tmp_path: Path) -> None:
    task, hall = asked(tmp_path)
    model = Spoken(LIKELY)
    task.ask(model, hall)
    assert model.asked == 8


def test_amplification_is_the_paired_difference_of_two_models(tmp_path: Path) -> None:
    """With c likelier than b all pairs but the neutral one turn: 1/4 - 2/4."""
    task, hall = asked(tmp_path)
    before, tuned = (task.ask(Spoken(each), hall) for each in (LIKELY, LIKELY | {"c": -0.5}))
    found = differences(before, tuned, task, 0.05, 0.8, 0)["stereotype"]
    assert found.value == -0.25 and found.low < -0.25 < found.high and found.better == -0.25


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return words_base(tmp_path_factory.mktemp("bert"), "bert")


def exact(folder: Path) -> Model:
    return base(folder, Renderer.open(folder), Computing("float32"), Ending(reads="both"))


def plain_score(folder: Path, one: str, other: str) -> float:
    """The log-probabilities of the tokens in both, each masked alone; the sentence `one`."""
    model = BertForMaskedLM.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ids, others = (tokenizer(text)["input_ids"] for text in (one, other))
    blocks = SequenceMatcher(None, ids, others).get_opcodes()
    shared_places = [n for kind, start, stop, *_ in blocks if kind == "equal" for n in range(start, stop)]
    total = 0.0
    for place in shared_places[1:-1]:  # neither [CLS] nor [SEP]
        masked = list(ids)
        masked[place] = tokenizer.mask_token_id
        with torch.no_grad():
            logits = model(torch.tensor([masked])).logits[0, place]
        total += float(logits.log_softmax(-1)[ids[place]])
    return total


def test_a_masked_models_score_is_the_papers(tmp_path: Path, bert: Path) -> None:
    pairs = [
        ("The old parcel has not arrived.", "The new parcel has not arrived."),
        ("Please send me a card, he said", "Please send me the broken card, she said"),
    ]
    rows = "".join(f'{n},"{more}","{less}",stereo,age\n' for n, (more, less) in enumerate(pairs))
    task, hall = asked(tmp_path, HEAD + rows)
    found = task.ask(exact(bert), hall)
    expected = [plain_score(bert, more, less) - plain_score(bert, less, more) for more, less in pairs]
    np.testing.assert_allclose(found.columns["gap"], expected, atol=2e-4)
    assert not found.notes


def test_another_format_is_refused_in_a_sentence(tmp_path: Path) -> None:
    task, hall = asked(tmp_path, "text,label\na,b\n")
    with pytest.raises(Refused, match=r"pairs.csv:2 is not in the format of CrowS-Pairs.*it has text, label"):
        task.ask(Spoken({}), hall)
    task, hall = asked(tmp_path, HEAD + "0,one two,one,maybe,age\n")
    with pytest.raises(Refused, match=r"stereo_antistereo is 'maybe'. write stereo or antistereo"):
        task.ask(Spoken({}), hall)
    task, hall = asked(tmp_path, HEAD + "0,,one,stereo,age\n")
    with pytest.raises(Refused, match="sent_more is empty"):
        task.ask(Spoken({}), hall)


def test_the_published_file_is_read_whole() -> None:
    path = shared("data", "crows_pairs", "crows_pairs_anonymized.csv")
    found = published(str(path), Path(), COLUMNS, "CrowS-Pairs")
    assert len(found) == 1508
    assert sum(each.values["stereo_antistereo"] == "stereo" for each in found) == 1290
