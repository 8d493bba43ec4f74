"""Suites on real networks: numbers of a second implementation, and models that cannot be asked are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import transformers

from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.kinds import Model, tasks
from affina.core.say import Silent
from affina.core.task import Hall
from affina.evaluation.open import open_model


def opened(folder: Path, tmp_path: Path) -> Model:
    return open_model(str(folder), tmp_path, True, Silent()).model


def test_nats_of_texts_and_margins_of_replies_are_those_of_the_library(tmp_path: Path, chat_model: Path) -> None:
    text, said = "where is the parcel, and when does it arrive", ("the courier has it", "nobody knows")
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
    row = {"prompt": "where is the parcel, case 12?", "chosen": said[0], "rejected": said[1]}
    (tmp_path / "pairs.jsonl").write_text((json.dumps(row) + "\n") * 2, encoding="utf-8")
    model, hall = opened(chat_model, tmp_path), Hall(folder=tmp_path)
    network = transformers.AutoModelForCausalLM.from_pretrained(chat_model, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(chat_model)

    def nats(whole: str, before: int) -> float:
        """Of the tokens from place `before` on."""
        tokens = tokenizer(whole, return_tensors="pt", add_special_tokens=False).input_ids
        logprobs = network(tokens).logits[0, :-1].log_softmax(-1)
        return -float(logprobs[torch.arange(len(logprobs)), tokens[0, 1:]][before - 1 :].sum().detach())

    texts = tasks.build({"name": "neutral_text", "read": ["texts.jsonl"]}).ask(model, hall)
    assert texts.columns["nats"][0] == pytest.approx(nats(text, 1), rel=0.01)
    opening = f"<|im_start|>user\n{row['prompt']}<|im_end|>\n<|im_start|>assistant\n"
    given = len(tokenizer(opening, add_special_tokens=False).input_ids)
    chosen, rejected = (nats(f"{opening}{each}<|im_end|>", given) for each in said)
    pairs = tasks.build({"name": "preferred_replies", "read": ["pairs.jsonl"]}).ask(model, hall)
    assert pairs.columns["margin"][0] == pytest.approx(rejected - chosen, abs=0.02 * chosen)


def test_options_share_the_prompt_and_every_suite_without_files_can_be_asked(tmp_path: Path, chat_model: Path) -> None:
    model = opened(chat_model, tmp_path)
    for settings in ({"name": "knowledge", "most": 4}, {"name": "instructions", "most": 2, "max_tokens": 4}):
        found = tasks.build(settings).ask(model, Hall())
        assert len(found) == settings["most"]
    refusals = tasks.build({"name": "refusals", "most": 2, "max_tokens": 8}).ask(model, Hall())
    assert np.isfinite(refusals.columns["harmful_refused"]).sum() == 1


@pytest.mark.parametrize(("family", "why"), [("bert", "it fills gaps"), ("t5", "it turns one text into another")])
def test_a_network_that_does_not_go_on_from_a_text_is_refused(tmp_path: Path, family: str, why: str) -> None:
    model = opened(tiny.words_base(tmp_path / family, family), tmp_path)
    for name in ("neutral_text", "knowledge", "instructions", "refusals", "extraction"):
        with pytest.raises(Refused, match=f"{name} cannot be put to this model: {why}"):
            tasks.build(name).ask(model, Hall())


def test_labels_that_a_model_says_as_words_are_asked_as_it_learnt_to_say_them(tmp_path: Path, chat_model: Path) -> None:
    rows: list[Example] = [
        Labelled(id=f"a:{n}", text=f"the parcel is late, case {n}", label="late", labels=("late", "lost"))
        for n in range(3)
    ]
    task = tasks.build({"name": "perturbed", "changes": ["upper"]})
    found = task.ask(opened(chat_model, tmp_path), Hall(splits={"test": rows}))
    assert {*found.columns["clean"], *found.columns["upper"]} <= {0.0, 1.0}
    assert found.shown[0]["answered"] in ("late", "lost")
