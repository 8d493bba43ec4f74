"""The base is measured as it can answer without training: in words, or as the training split's majority."""

from pathlib import Path

import numpy as np
from sklearn.dummy import DummyClassifier
from tiny import Heard, data, session

from affina.core.example import Labelled
from affina.core.kinds import Sampling, objectives
from affina.core.say import Silent
from affina.engine.torch import tuned
from affina.evaluation.answer import answer
from affina.training.base import base_answers


def test_an_encoders_base_is_the_majority_and_that_is_said(tmp_path: Path, encoder_model: Path) -> None:
    opened, heard = session(tmp_path, encoder_model, objective="classify"), Heard()
    found = base_answers(opened, opened.engine, heard)
    assert heard.lines == ["the head is new: the majority class stands for the base"]
    assert opened.material.trivial is not None and found.as_dict() == opened.material.trivial.as_dict()


def test_the_majority_is_that_of_a_dummy_classifier(tmp_path: Path, encoder_model: Path) -> None:
    data(tmp_path)
    rows = (tmp_path / "tickets.csv").read_text(encoding="utf-8").splitlines()
    kept = [rows[0], *(row for place, row in enumerate(rows[1:]) if not row.endswith("refund") or place % 2)]
    (tmp_path / "uneven.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    opened = session(tmp_path, encoder_model, objective="classify", read="uneven.csv", data={"read": ["uneven.csv"]})
    examples = opened.material.prepared.examples
    train, test = ([each.label for each in examples[name] if isinstance(each, Labelled)] for name in ("train", "test"))
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(train), 1)), train)
    found = opened.material.trivial
    assert found is not None and found.predicted_N is not None
    assert [found.labels[code] for code in found.predicted_N] == dummy.predict(np.zeros((len(test), 1))).tolist()
    # Shares with one more row per class (Laplace), so that a class absent from training has a finite loss.
    counts = {label: train.count(label) + 1 for label in found.labels}
    expected = [-np.log(counts[label] / sum(counts.values())) for label in test]
    np.testing.assert_allclose(found.nats_N, expected, rtol=1e-12)


def test_a_decoder_with_a_label_head_is_measured_in_words(tmp_path: Path, chat_model: Path) -> None:
    opened, heard = session(tmp_path, chat_model, objective="classify"), Heard()
    found = base_answers(opened, opened.engine, heard)
    spoken = tuned.base(chat_model, opened.material.renderer, opened.plan.computing)
    asked = objectives.build("cross_entropy").expand(opened.material.prepared.examples["test"])
    expected = answer(spoken, asked, frozenset({"label"}), Sampling())
    assert heard.lines == ["a label head is new, so the base answers in words: the likeliest label"]
    np.testing.assert_array_equal(found.nats_N, expected.nats_N)
    assert found.predicted_N is not None
    assert expected.predicted_N is not None
    np.testing.assert_array_equal(found.predicted_N, expected.predicted_N)
    assert np.all(found.tokens_N > 1)  # words, so its loss is not set beside that of a label head


def test_a_fresh_adapter_is_the_base(tmp_path: Path, chat_model: Path) -> None:
    """LoRA's B starts at zero (Hu et al., 2021): the engine before step 1 is the untouched base, to the bit."""
    opened = session(tmp_path, chat_model)
    untouched = tuned.base(chat_model, opened.material.renderer, opened.plan.computing)
    ours = base_answers(opened, opened.engine, Silent())
    theirs = answer(untouched, opened.expanded("test"), opened.columns, opened.sampling)
    np.testing.assert_array_equal(ours.nats_N, theirs.nats_N)
