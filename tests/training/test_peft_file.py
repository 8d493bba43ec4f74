"""Adapters on encoder–decoders and masked models load in PEFT, with the engine's own log-probabilities."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import random_rows
from laws import engine, taught
from peft import PeftModel
from transformers import AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from affina.core.kinds import Row, objectives

Folder = Callable[[str], Path]
# PEFT 0.21 asks transformers 5.23 under a name that it has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
CASES = [("t5", "seq2seq"), ("bart", "seq2seq"), ("bert+words", "masked_lm")]


def logits(model: Any, row: Row, objective: str) -> torch.Tensor:
    """What PEFT's model says of the row's tokens, [L, V]."""
    tokens = torch.from_numpy(row.tokens).long()[None]
    if objective == "masked_lm":
        return model(input_ids=tokens).logits[0]  # type: ignore[no-any-return]
    source = torch.from_numpy(row.source).long()[None]  # type: ignore[arg-type]
    return model(input_ids=source, decoder_input_ids=tokens).logits[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("tuning", ["lora", "ia3"])
@pytest.mark.parametrize(("base", "objective"), CASES)
def test_an_adapter_answers_in_peft_as_here(
    base: str, objective: str, tuning: str, family: Folder, tmp_path: Path
) -> None:
    part = objectives.build(objective)
    made = engine(family(base), part, tuning)
    rows = taught(random_rows(300), part)[:3]
    made.course.tuning.write(made.network.model, tmp_path, family(base))
    auto: Any = AutoModelForMaskedLM if objective == "masked_lm" else AutoModelForSeq2SeqLM
    other = PeftModel.from_pretrained(auto.from_pretrained(family(base), dtype=torch.float32), tmp_path).eval()
    for row, found in zip(rows, made.score(rows), strict=True):
        at = np.flatnonzero(row.weights if row.said is not None else row.weights[1:])
        targets = row.said[at] if row.said is not None else row.tokens[at + 1]
        with torch.no_grad():
            logprobs = logits(other, row, objective)[at].log_softmax(-1)
        expected = logprobs.gather(1, torch.from_numpy(targets).long()[:, None])[:, 0]
        assert found.logprobs_S == pytest.approx(expected.numpy(), abs=5e-5)
