"""Adapters that PEFT made, with settings of its own, become bases: the folded model answers as PEFT's."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import (
    IA3Config,
    LoraConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from transformers import AutoModel, AutoModelForCausalLM

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending, Row
from affina.core.say import Silent
from affina.data.rows import Renderer
from affina.engine.source import find
from affina.engine.torch.adapted import write
from affina.engine.torch.foreign import with_virtual_tokens
from affina.evaluation.open import open_model

Folder = Callable[[str], Path]
CAUSAL = {"task_type": "CAUSAL_LM"}
CASES: dict[str, Any] = {
    "patterns": LoraConfig(
        r=4, lora_alpha=8, target_modules=r".*\.(q|v)_proj", rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 3},
        **CAUSAL,
    ),
    "lengths and roots": LoraConfig(r=4, use_rslora=True, use_dora=True, target_modules="all-linear", **CAUSAL),
    "a saved head beside tied embeddings": LoraConfig(r=2, modules_to_save=["lm_head"], **CAUSAL),
    "some layers": LoraConfig(r=2, target_modules=["up_proj"], layers_to_transform=[1], **CAUSAL),
    "ia3": IA3Config(**CAUSAL),
}  # fmt: skip
pytestmark = [
    # PEFT 0.21 asks transformers 5.23 under a name that it has renamed, and tells of tied weights.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning"),
    pytest.mark.filterwarnings("ignore:Input and output embeddings are no longer tied:UserWarning"),
]


def foreign(base: Path, config: Any, folder: Path, kind: Any = AutoModelForCausalLM) -> Any:
    """Saved by PEFT, every trained number moved away from where it starts."""
    made = get_peft_model(kind.from_pretrained(base, dtype=torch.float32), copy.deepcopy(config)).eval()
    drawn = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for each in made.parameters():
            if each.requires_grad:
                each.add_(torch.randn(each.shape, generator=drawn) * 0.1)
    made.save_pretrained(folder)
    return made


@torch.no_grad()
def said(model: Any) -> torch.Tensor:
    out = model(input_ids=torch.arange(7, 40)[None])
    found: torch.Tensor = out.logits if hasattr(out, "logits") else out.last_hidden_state
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_folded_base_answers_as_peft(name: str, family: Folder, tmp_path: Path) -> None:
    theirs = foreign(family("llama"), CASES[name], tmp_path / "adapter")
    (tmp_path / "out").mkdir()
    write(tmp_path / "adapter", family("llama"), tmp_path / "out")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert ours.dtype == torch.float32
    assert float((said(ours) - said(theirs)).abs().max()) < 1e-4
    assert not (tmp_path / "out" / "adapter_config.json").exists() and (tmp_path / "out" / "tokenizer.json").is_file()


def test_an_adapter_of_the_body_alone_keeps_the_words(family: Folder, tmp_path: Path) -> None:
    theirs = foreign(family("llama"), LoraConfig(r=2, target_modules=["q_proj"]), tmp_path / "adapter", AutoModel)
    (tmp_path / "out").mkdir()
    write(tmp_path / "adapter", family("llama"), tmp_path / "out")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert float((said(ours.model) - said(theirs)).abs().max()) < 1e-4


def test_an_adapter_of_another_base_is_refused(family: Folder, tmp_path: Path) -> None:
    foreign(family("llama"), CASES["ia3"], tmp_path / "adapter")
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match=r"does not fit its base: \d+ of its tensors are of no module there"):
        write(tmp_path / "adapter", family("gpt2"), tmp_path / "out")


VIRTUAL: dict[str, Any] = {
    "prompt": PromptTuningConfig(num_virtual_tokens=4, **CAUSAL),
    "p_tuning": PromptEncoderConfig(num_virtual_tokens=4, encoder_hidden_size=16, **CAUSAL),
    "prefix": PrefixTuningConfig(num_virtual_tokens=4, **CAUSAL),
    "projected prefix": PrefixTuningConfig(
        num_virtual_tokens=4, prefix_projection=True, encoder_hidden_size=16, **CAUSAL
    ),
}


@pytest.mark.parametrize("name", VIRTUAL)
def test_virtual_tokens_that_peft_made_stand_before_their_base(name: str, family: Folder, tmp_path: Path) -> None:
    theirs = foreign(family("llama"), VIRTUAL[name], tmp_path)
    exact = Computing("float32")
    ours = with_virtual_tokens(tmp_path, family("llama"), Renderer.open(family("llama")), exact, Ending())
    tokens = np.arange(7, 40, dtype=np.int32)
    (found,) = ours.score([Row("1", tokens, (tokens > 7).astype(np.float32))])
    logprobs = said(theirs)[0, -len(tokens) :].log_softmax(-1)[range(len(tokens) - 1), tokens[1:]]
    assert found.logprobs_S == pytest.approx(logprobs.numpy(), abs=5e-5)
    opened = open_model(str(tmp_path), tmp_path / "runs", offline=False, say=Silent())
    assert opened.run is None and len(opened.model.network.before) == 4  # type: ignore[attr-defined]


def test_virtual_tokens_of_another_base_are_refused(family: Folder, tmp_path: Path) -> None:
    foreign(family("llama"), VIRTUAL["prefix"], tmp_path)
    with pytest.raises(Refused, match=r"does not fit its base: its table is of \[4, 64\] numbers"):
        with_virtual_tokens(tmp_path, family("gpt2"), Renderer.open(family("gpt2")), Computing("float32"), Ending())


def test_what_cannot_be_a_base_is_refused_in_a_sentence(family: Folder, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    foreign(family("llama"), PromptTuningConfig(num_virtual_tokens=4, **CAUSAL), folder)
    with pytest.raises(Refused, match=r"cannot be a base: PROMPT_TUNING adds inputs.*begin with its base"):
        find(str(folder))
    told = json.loads((folder / "adapter_config.json").read_text()) | {"peft_type": "LORA"}
    gone = told | {"base_model_name_or_path": str(tmp_path / "gone")}
    (folder / "adapter_config.json").write_text(json.dumps(gone))
    with pytest.raises(Refused, match=r"has no base: it was trained on .*gone, which is not there"):
        find(str(folder))
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(Refused, match="a pickle beside it can run any code"):
        find(str(folder))


@pytest.mark.slow
def test_an_adapters_folder_is_a_base_like_any_other(
    family: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    base = shutil.copytree(family("llama"), tmp_path / "base")
    theirs = foreign(base, CASES["patterns"], tmp_path / "adapter")
    first, again = (find(str(tmp_path / "adapter")) for _ in range(2))
    assert first == again and first.folder.is_relative_to(tmp_path / "cache")
    ours = AutoModelForCausalLM.from_pretrained(first.folder).eval()
    assert float((said(ours) - said(theirs)).abs().max()) < 1e-4
