"""How a block is computed changes nothing: kept or computed once more, fused, compiled or as the library has it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
import torch

from affina.core.compute import Computing
from affina.core.kinds import Ending, objectives, optimizers, schedules, tunings
from affina.data.rows import Renderer
from affina.engine.torch import native
from affina.engine.torch.load import load
from affina.engine.torch.step import Course, TorchEngine

Folder = Callable[[str], Path]
NAMES = ("llama", "qwen3", "gemma2", "gpt2", "gpt_neox", "bert")
LORA = {"name": "lora", "rank": 4}


def engine(folder: Path, computing: Computing, tuning: Any = LORA, labels: int = 0) -> TorchEngine:
    course = Course(tunings.build(tuning), optimizers.build("adamw"), schedules.build("constant"), 1e-3, 10, 0)
    made = TorchEngine(
        load(folder, computing, Ending("labels", labels) if labels else Ending()), Renderer.open(folder), course
    )
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for each in made.trainable().values() if tuning != "full" else ():
            each.add_((torch.randn(each.shape, generator=noise) * 0.05).to(each.device))
    return made


def learnt(folder: Path, computing: Computing, tuning: Any = LORA) -> dict[str, torch.Tensor]:
    """The gradient of rows that share prefixes, of words or, for an encoder, of labels."""
    labels = 2 if folder.name == "bert" else 0
    made = engine(folder, computing, tuning, labels)
    rows = families.random_rows(made.network.config.vocab_size)
    rows = [row for row in rows if labels or row.targets]
    if labels:
        rows = [families.labelled(row, number % 2) for number, row in enumerate(rows)]
    with made.exactly("float64"):
        return made.gradients([made.layout(rows)], objectives.build("classify" if labels else "cross_entropy"))


def apart(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    assert found.keys() == expected.keys()
    return max(
        float((found[name] - each).abs().max() / each.abs().max().clamp_min(1e-12)) for name, each in expected.items()
    )


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_computing_a_block_once_more_changes_no_gradient(name: str, kernels: bool, family: Folder) -> None:
    computings = [Computing("float32", kernels=kernels, checkpoint=checkpoint) for checkpoint in (False, True)]
    kept, again = (learnt(family(name), each) for each in computings)
    assert apart(again, kept) <= 1e-12


def test_a_block_computed_once_more_draws_the_same_dropout(family: Folder) -> None:
    tuning = {"name": "lora", "rank": 4, "dropout": 0.5}
    found = []
    for checkpoint in (False, True):
        made = engine(family("llama"), Computing("float32", checkpoint=checkpoint), tuning)
        batch = made.layout([row for row in families.random_rows(made.network.config.vocab_size) if row.targets])
        made.learn([batch], objectives.build("cross_entropy"), 1)
        found.append({name: each.detach().clone() for name, each in made.trainable().items()})
    assert apart(found[1], found[0]) == 0.0


def test_only_what_a_block_begins_with_is_kept(family: Folder) -> None:
    """Counted by the tensors that the graph holds for backward."""
    held = []
    for checkpoint in (False, True):
        made = engine(family("gpt2"), Computing("float32", checkpoint=checkpoint), "full")
        batch = made.layout([row for row in families.random_rows(made.network.config.vocab_size) if row.targets])
        kept = Kept()
        with torch.autograd.graph.saved_tensors_hooks(kept, lambda each: each):
            made.forward(batch)
        held.append(kept.size)
    assert held[1] < held[0] / 3


class Kept:
    """Counts the numbers that a graph keeps."""

    size = 0

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        self.size += tensor.numel()
        return tensor


def test_the_compiler_is_asked_only_by_a_block_that_has_no_fused_form(
    family: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if native.library() is None:
        pytest.skip(native.reason())
    asked: list[Any] = []

    def compiled(forward: Any, dynamic: bool) -> Any:
        asked.append(forward)
        return forward

    monkeypatch.setattr(torch, "compile", compiled)
    fused = families.build("llama", tmp_path / "llama", **families.SIZES)
    for folder, blocks in ((fused, 0), (family("gpt2"), 2)):
        made = engine(folder, Computing("float32", kernels=True, compile=True))
        batch = made.layout([row for row in families.random_rows(made.network.config.vocab_size) if row.targets])
        for step in (1, 2):
            made.learn([batch], objectives.build("cross_entropy"), step)
        assert len(asked) == blocks


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler warns about itself
@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gpt2", "bert"])
def test_compiled_is_eager(name: str, family: Folder) -> None:
    if not native.compiler():
        pytest.skip("no C++ compiler on this machine")
    compiled, eager = (learnt(family(name), Computing("float32", compile=each)) for each in (True, False))
    assert apart(compiled, eager) <= 1e-10


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_after_the_last_attention_only_what_is_read_is_computed(name: str, checkpoint: bool, tmp_path: Path) -> None:
    folder = families.build(name, tmp_path / name, **families.SIZES)
    made = engine(folder, Computing("float32", kernels=True, checkpoint=checkpoint))
    batch = made.layout(families.random_rows(made.network.config.vocab_size))
    size, found = len(batch.tokens_T), []
    read = np.unique(batch.sources_S)
    assert 0 < len(read) < size
    with made.exactly("float64"):
        for asked in (None, batch.sources_S):
            with made.network.computing():
                hidden_TD = made.network.hidden(batch, read=asked)
            hidden_TD[torch.from_numpy(read)].square().sum().backward()
            gradients = {key: each.grad.clone() for key, each in made.trainable().items() if each.grad is not None}
            made.optimizer.zero_grad(set_to_none=True)
            found.append((hidden_TD.detach(), gradients))
    (whole, expected), (part, gradients) = found
    assert torch.allclose(part[torch.from_numpy(read)], whole[torch.from_numpy(read)], rtol=1e-12, atol=1e-12)
    unread = np.setdiff1d(np.arange(size), read)
    assert (part[torch.from_numpy(unread)] == 0).all() and (whole[torch.from_numpy(unread)] != 0).any()
    assert apart(gradients, expected) <= 1e-10


def test_a_base_that_is_padded_keeps_only_what_its_blocks_begin_with(family: Folder) -> None:
    held, found = [], []
    for checkpoint in (False, True):
        made = engine(family("bloom"), Computing("float32", checkpoint=checkpoint), "full")
        batch = made.layout([row for row in families.random_rows(made.network.config.vocab_size) if row.targets])
        kept = Kept()
        with torch.autograd.graph.saved_tensors_hooks(kept, lambda each: each):
            made.network.train()
            made.forward(batch)
        held.append(kept.size)
        made.learn([batch], objectives.build("cross_entropy"), 1)
        found.append({name: each.detach().clone() for name, each in made.trainable().items()})
    assert held[1] < held[0] / 2 and apart(found[1], found[0]) == 0.0


def test_a_block_that_a_tuning_puts_in_attends_as_the_block_it_was_copied_from(tmp_path: Path) -> None:
    """Two copies of a block that sees all and one that sees what is near: the first stands behind the second."""
    kinds = ["full_attention", "sliding_attention"]
    folder = families.build("qwen2", tmp_path / "qwen2", sliding_window=3, use_sliding_window=True, layer_types=kinds)
    made = engine(folder, Computing("float32"), {"name": "block_expansion", "groups": 1, "copies": 2})
    assert [each.heard["sliding_window"] for each in made.network.stages] == [None, 3, None, 3]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_batch_in_which_nothing_is_supervised_has_no_gradient(precision: str, tmp_path: Path) -> None:
    folder = families.build("llama", tmp_path / "llama", **families.SIZES)
    made = engine(folder, Computing(precision, kernels=True))
    forward = made.forward(made.layout([families.row("bare", [*range(9)], [])]))
    assert forward.logprobs_S is not None and not len(forward.logprobs_S)
    torch.autograd.backward(forward.logprobs_S.sum())
    assert not any(each.grad is not None and each.grad.any() for each in made.trainable().values())


@pytest.mark.parametrize(("name", "cannot"), [("bloom", False), ("mpnet", True), ("bert", False)])
def test_a_base_that_cannot_compute_a_block_once_more_says_so(name: str, cannot: bool, family: Folder) -> None:
    notes = load(family(name), Computing("float32", checkpoint=True), Ending("labels", 2)).notes
    assert any("cannot compute its blocks once more" in each for each in notes) == cannot
