"""A model folder becomes the network its files describe, or one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from families import DECODERS, ENCODERS, random_rows
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending
from affina.data.layout import layout
from affina.engine.torch.load import load

Folder = Callable[[str], Path]


@pytest.fixture
def damaged(family: Folder, tmp_path: Path) -> Callable[[Callable[[Path], object]], Path]:
    """A copy of the tiny llama with something done to it."""

    def copy(change: Callable[[Path], object]) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(family("llama"), folder)
        change(folder)
        return folder

    return copy


def configured(**settings: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **settings}))

    return change


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def rewrite(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return rewrite


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


UP = "model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (pickled, "no file named model.safetensors"),
        (truncated, "deserializing"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"garbage" * 99), "deserializing"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no file named"),
        (weights(lambda tensors: tensors.pop(UP)), rf"1 weights are not in its files, {UP}"),
        (weights(lambda tensors: tensors.update({UP: tensors[UP][:5].clone()})), "mismatch"),
        (lambda folder: (folder / "config.json").unlink(), "model_type"),
        (lambda folder: (folder / "config.json").write_text("{"), "not a valid JSON"),
        (configured(model_type="unheard"), "unheard"),
        (configured(num_attention_heads=5), "hidden size"),
        (configured(hidden_size="x"), "hidden_size"),
        (configured(model_type="vit"), "vit"),
        (configured(model_type="own", auto_map={"AutoConfig": "own.Config"}), "custom code"),
    ],
    ids=lambda each: getattr(each, "__name__", "") if callable(each) else each[:20],
)
def test_a_folder_that_is_no_whole_model_is_refused_in_a_sentence(
    change: Any, reason: str, damaged: Callable[[Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run a model's own code"))
    with pytest.raises(Refused, match=r"copy cannot be loaded as a model") as error:
        load(damaged(change), Computing("float32"))
    assert "\n" not in str(error.value) and reason in str(error.value)


def test_an_encoder_without_a_word_head_does_not_end_in_words(family: Folder) -> None:
    with pytest.raises(Refused, match="weights are not in its files"):
        load(family("bert"), Computing("float32"))


def test_an_unused_pooler_may_be_absent(family: Folder, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(family("bert"), folder)
    weights(lambda tensors: [tensors.pop(name) for name in list(tensors) if "pooler" in name])(folder)
    assert load(folder, Computing("float32"), Ending("labels", 2)).head is not None


@pytest.mark.parametrize("name", ["llama", *ENCODERS])
def test_the_padding_token_is_learnt_like_any_other(name: str, family: Folder) -> None:
    net = load(family(name), Computing("float32"), Ending("labels", 2))
    embeddings = [module for module in net.modules() if isinstance(module, torch.nn.Embedding)]
    assert embeddings and all(module.padding_idx is None for module in embeddings)
    words = net.model.get_input_embeddings()
    words.weight.requires_grad_(True)
    torch.autograd.backward(net.hidden(layout(random_rows(300), share=False)).square().sum())
    assert words.weight.grad[1].any() == bool((np.concatenate([row.tokens for row in random_rows(300)]) == 1).any())


@pytest.mark.parametrize("name", DECODERS)
def test_word_log_probabilities_are_those_of_the_librarys_own_logits(name: str, family: Folder) -> None:
    net = load(family(name), Computing("float32"))
    auto: Any = AutoModelForCausalLM
    reference = auto.from_pretrained(family(name), attn_implementation="eager", dtype=torch.float32).eval()
    rows = random_rows(300)
    batch = layout(rows, share=net.flat)
    with torch.no_grad():
        found_S = net.words.logprobs(net.hidden(batch)[batch.sources_S], torch.from_numpy(batch.targets_S))
        expected = []
        for row in rows:
            tokens = torch.from_numpy(row.tokens).long()
            logprobs = reference(input_ids=tokens[None], use_cache=False).logits[0].log_softmax(-1)
            at = np.flatnonzero(row.weights)
            expected.append(logprobs[at - 1, tokens[at]])
    assert float((found_S - torch.cat(expected)).abs().max()) < 2e-5


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("float32", torch.float32)])
def test_weights_and_products_have_the_precision_asked_for(precision: str, dtype: torch.dtype, family: Folder) -> None:
    net = load(family("llama"), Computing(precision))
    assert {each.dtype for each in net.parameters()} == {dtype} and net.dtype == dtype == net.words.dtype
    with net.computing():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_a_loaded_network_is_frozen_and_rests(family: Folder) -> None:
    net = load(family("llama"), Computing("float32"))
    assert not net.training and not any(each.requires_grad for each in net.parameters())


def test_every_module_learns_of_training_and_rest(family: Folder) -> None:
    """As the library tells them, those with a way of their own included."""

    class Told(torch.nn.Dropout):
        heard: ClassVar[list[bool]] = []

        def train(self, mode: bool = True) -> "Told":
            self.heard.append(mode)
            return super().train(mode)

    network = load(family("llama"), Computing("float32"))
    network.model.own = Told()
    for mode in (True, False, True):
        assert network.train(mode) is network
        assert {each.training for each in network.modules()} == {mode}
    assert Told.heard == [True, False, True]
    assert not network.eval().model.own.training


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "distilbert", "bloom"])
def test_a_label_head_is_as_wide_as_the_labels(name: str, family: Folder) -> None:
    net = load(family(name), Computing("float32"), Ending("labels", 7))
    assert net.head is not None and net.head.weight.shape == (7, 32)
    assert net.hidden(layout(random_rows(300), share=False)).shape[1] == 32


@pytest.mark.parametrize("name", ["llama", "gemma2", "bloom"])
def test_the_librarys_attention_is_lent_and_taken_back(name: str, family: Folder) -> None:
    net = load(family(name), Computing("float32"))
    before = net.config._attn_implementation
    with pytest.raises(RuntimeError), net.library_attention():
        # The fused attention of the library leaves out soft caps.
        assert net.config._attn_implementation == {"llama": "sdpa", "gemma2": "eager"}.get(name, before)
        raise RuntimeError
    assert net.config._attn_implementation == before
    assert (before == "affina_forest") == net.flat


def test_an_encoder_that_comes_only_with_its_decoder_takes_no_new_head(family: Folder) -> None:
    with pytest.raises(Refused, match="a new head on bart: the library loads its encoder only with its decoder"):
        load(family("bart"), Computing("float32"), Ending("labels", 2))
