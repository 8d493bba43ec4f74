"""A detector learns from normal rows alone, keeps its rate of false alarms, and says what it cannot do and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shared_data import shared
from tiny import SENTENCES, data, encoder_base, recipe, written
from transformers import AutoModelForCausalLM, AutoTokenizer

import affina
from affina.core.errors import Refused
from affina.core.run import Run

NOVELTIES = ("mahalanobis", "neighbour", "perplexity")


def mixed(folder: Path, normal: int = 200, odd: int = 40) -> Path:
    """Normal rows as `prose` is written, and odd ones of letters and digits."""
    draws = np.random.default_rng(0)
    rows = [
        {"text": f"Case {draws.integers(10**9)}. {SENTENCES[n * 5 % 108]}.", "label": "fine"} for n in range(normal)
    ]
    for _ in range(odd):
        letters = "".join(draws.choice([*"QXZJ#%0189"], 40))
        rows.append({"text": f"{letters} {letters[::-1]}", "label": "odd"})
    return written(folder, "mixed.jsonl", rows)


@pytest.mark.parametrize("novelty", NOVELTIES)
def test_a_detector_finds_what_is_odd_and_keeps_its_rate(
    novelty: str, tmp_path: Path, encoder_model: Path, finished: Callable[[str], Run]
) -> None:
    """Perplexity is that of a model which has learnt from texts of this kind."""
    model, where = str(encoder_model), affina.Where()
    if novelty == "perplexity":
        model, where = "prose", affina.Where(finished("prose").folder.parent)
    how = affina.Watch("fine", novelty, alarm=0.06)
    found = affina.anomaly(model, str(mixed(tmp_path)), tmp_path / "detector", how, where)
    assert found["rows"]["calibrated"] == 20 and found["rows"]["test"] == 48  # 10 % of 200; 20 % of 240
    measured = found["measured"]
    assert measured["metrics"]["roc_auc"]["tuned"]["value"] > 0.95 and measured["verdict"]["decision"] == "promote"
    assert measured["metrics"]["roc_auc"]["base"]["value"] == 0.5
    assert measured["recall"]["n"] == 8 and measured["recall"]["value"] > 0.8
    low, high = found["spread"]
    assert measured["false_alarms"]["n"] == 40 and low < 0.06 < high
    assert measured["false_alarms"]["low"] < high
    usual, odd = affina.apply(tmp_path / "detector", [f"Case 42. {SENTENCES[5]}.", "QX#%" * 12], where)
    assert odd["verdict"] == "anomaly" and odd["p"] == pytest.approx(1 / 21)
    assert usual["score"] < odd["score"] > found["threshold"]


def test_odd_rows_teach_nothing(tmp_path: Path, encoder_model: Path) -> None:
    """The same normal rows with and without odd ones beside them: the same detector, measured on another file."""
    on = str(mixed(tmp_path / "on" if (tmp_path / "on").mkdir() is None else tmp_path, 30, 10))
    how = affina.Watch("fine", on=on, alarm=0.1)
    (tmp_path / "few").mkdir()
    found = [
        affina.anomaly(str(encoder_model), str(file), tmp_path / "detector", how)
        for file in (mixed(tmp_path, 200, 40), mixed(tmp_path / "few", 200, 3))
    ]
    assert found[0]["threshold"] == pytest.approx(found[1]["threshold"], rel=1e-6)
    assert found[0]["rows"] == found[1]["rows"] and found[0]["rows"]["test"] == 40


def test_perplexity_is_the_librarys_nats_per_token(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model, "prose.txt", data={"reader": {"name": "text", "by": "paragraph"}})
    how = affina.Watch(novelty="perplexity", alarm=0.5)
    found = affina.anomaly(str(chat_model), str(path), tmp_path / "detector", how)
    assert found["measured"] is None and found["rows"]["learnt"] == found["rows"]["test"] == 0
    text = "the courier has the parcel from Turin"
    tokenizer, model = AutoTokenizer.from_pretrained(chat_model), AutoModelForCausalLM.from_pretrained(chat_model)
    ids = torch.tensor([[*tokenizer(text)["input_ids"], tokenizer.eos_token_id]])
    with torch.no_grad():
        expected = model.eval()(input_ids=ids, labels=ids).loss
    assert affina.apply(tmp_path / "detector", [text])[0]["score"] == pytest.approx(float(expected), rel=5e-3)


def constant(folder: Path) -> Path:
    """An encoder to which all texts are one: its last norm scales everything away and adds the same."""
    base = encoder_base(folder / "constant")
    from safetensors.torch import load_file, save_file

    weights: Any = load_file(base / "model.safetensors")
    for name in weights:
        if name.endswith("layer.1.output.LayerNorm.weight"):
            weights[name].zero_()
        if name.endswith("layer.1.output.LayerNorm.bias"):
            weights[name].fill_(1.0)
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    return base


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (affina.Watch(), r"rows have classes, and which is normal is not said: the classes are fine, odd\. name one"),
        (affina.Watch("fien"), r"no row is 'fien': the classes are fine, odd\. name one of them with --normal"),
        (affina.Watch("fine", alarm=0.01), r"a false-alarm rate of 0\.01 needs 99 normal rows to calibrate on: the "
         r"validation split has 20\. give about 792 normal rows outside .* or a rate of 0\.048 or more"),
        (affina.Watch("fine", alarm=1.5), r"a false-alarm rate of 1\.5 means nothing\. give a share such as 0\.05"),
        (affina.Watch("fine", "mahalanobi"), r"no novelty is called 'mahalanobi'\. did you mean 'mahalanobis'"),
        (affina.Watch("fine", "perplexity"), r".* is an encoder: it has no words to answer with\."),
    ],
)  # fmt: skip
def test_a_watch_that_cannot_work_is_one_sentence(
    how: affina.Watch, said: str, tmp_path: Path, encoder_model: Path
) -> None:
    with pytest.raises(Refused, match=said):
        affina.anomaly(str(encoder_model), str(mixed(tmp_path)), tmp_path / "detector", how)
    assert not (tmp_path / "detector").exists()


def test_a_test_of_one_class_measures_nothing(tmp_path: Path, encoder_model: Path) -> None:
    how = affina.Watch("fine", on=str(mixed(tmp_path, 30, 0)))
    (tmp_path / "both").mkdir()
    with pytest.raises(
        Refused, match=r"cannot be measured: the 30 rows to measure on are all 'fine'\. give normal rows"
    ):
        affina.anomaly(str(encoder_model), str(mixed(tmp_path / "both")), tmp_path / "detector", how)


def test_a_model_to_which_all_texts_are_one_detects_nothing(tmp_path: Path) -> None:
    how = affina.Watch("fine", alarm=0.1)
    with pytest.raises(
        Refused, match="no row can be told from another: the embeddings of all normal rows are the same"
    ):
        affina.anomaly(str(constant(tmp_path)), str(mixed(tmp_path)), tmp_path / "detector", how)


def test_a_class_has_no_meaning_where_rows_have_none(tmp_path: Path, encoder_model: Path) -> None:
    with pytest.raises(Refused, match=r"no row is 'fine': rows have no class\. leave --normal out"):
        affina.anomaly(
            str(encoder_model), str(data(tmp_path) / "prose.txt"), tmp_path / "detector", affina.Watch("fine")
        )


@pytest.mark.slow
def test_real_messages_keep_the_rate_of_false_alarms(tmp_path: Path) -> None:
    """The distance to the nearest of 3,162 messages tells spam better than chance; the rate lies in its interval."""
    file = shared("data", "sms_spam", "sms.tsv")
    found = affina.anomaly("minilm", str(file), tmp_path / "detector", affina.Watch("ham", "neighbour"))
    assert found["measured"]["metrics"]["roc_auc"]["tuned"]["low"] > 0.6
    alarms = found["measured"]["false_alarms"]
    assert alarms["low"] < found["spread"][1] and alarms["high"] > found["spread"][0]
