"""A network with a tuning attached trains what the tuning says, and reopens as it was saved."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from families import random_rows

from affina.core.compute import Computing
from affina.core.errors import Failed
from affina.core.kinds import Ending, objectives, optimizers, schedules, tunings
from affina.data.rows import Renderer
from affina.engine.torch.load import load
from affina.engine.torch.step import Course, TorchEngine
from affina.engine.torch.tuned import attach, base, reopen, trainable

Folder = Callable[[str], Path]


@pytest.mark.parametrize("tuning", [name for name in tunings.names() if name not in ("block_expansion", "prefix")])
def test_a_label_head_is_drawn_by_the_seed_and_trains_with_the_tuning(tuning: str, family: Folder) -> None:
    drawn = []
    for seed in (0, 0, 1):
        net = load(family("bert"), Computing("bf16"), Ending("labels", 3))
        attach(net, tunings.build(tuning), seed)
        own = trainable(net)
        assert {"head.weight", "head.bias"} < set(own) and not net.training
        assert all(each.dtype == torch.float32 for each in own.values())
        assert not own["head.bias"].any() and 0.01 < float(own["head.weight"].detach().std()) < 0.03
        drawn.append(own["head.weight"].detach())
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_a_base_ends_in_words_and_nothing_of_it_trains(family: Folder) -> None:
    model = base(family("llama"), Renderer.open(family("llama")), Computing("float32"))
    assert trainable(model.network) == {} and model.score(random_rows(300))[0].scores_L is None


@pytest.mark.parametrize("tuning", tunings.names())
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_what_was_trained_reopens_with_the_same_scores(
    tuning: str, precision: str, family: Folder, tmp_path: Path
) -> None:
    folder = family("gpt2" if tuning == "bitfit" else "llama")  # Llama has no biases
    rows, renderer = random_rows(300), Renderer.open(folder, max_tokens=64)
    course = Course(tunings.build(tuning), optimizers.build("adamw"), schedules.build("constant"), 1e-2, 10, 0)
    engine = TorchEngine(load(folder, Computing(precision)), renderer, course)
    untouched = engine.score(rows)
    for step in (1, 2):
        engine.learn([engine.layout(rows)], objectives.build("cross_entropy"), step)
    engine.save(tmp_path / "c")
    again = reopen(folder, renderer, Computing(precision), Ending(), (course.tuning, tmp_path / "c"))
    for mine, theirs, before in zip(engine.score(rows), again.score(rows), untouched, strict=True):
        assert np.array_equal(mine.logprobs_S, theirs.logprobs_S)
        assert not len(mine.logprobs_S) or not np.array_equal(mine.logprobs_S, before.logprobs_S)


def test_a_checkpoint_of_another_tuning_does_not_reopen(family: Folder, tmp_path: Path) -> None:
    folder, renderer = family("llama"), Renderer.open(family("llama"))
    course = Course(tunings.build("lora"), optimizers.build("adamw"), schedules.build("constant"), 1e-2, 10, 0)
    TorchEngine(load(folder, Computing("float32")), renderer, course).save(tmp_path / "c")
    for tuning in ("full", {"name": "lora", "rank": 4}):
        with pytest.raises(Failed, match="does not fit"):
            reopen(folder, renderer, Computing("float32"), Ending(), (tunings.build(tuning), tmp_path / "c"))
