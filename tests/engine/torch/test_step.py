"""One optimizer step is the step a plain PyTorch loop takes; what is undone is undone to the bit."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import row
from transformers import AutoModelForCausalLM

from affina.core.compute import Computing
from affina.core.errors import Failed
from affina.core.kinds import Batch, Forward, Loss, Objective, Row, objectives, optimizers, schedules, tunings
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.engine.torch.load import load
from affina.engine.torch.step import Course, TorchEngine

Folder = Callable[[str], Path]
RATE = 1e-2
HEAD = list(range(20, 40))
ROWS = [row(f"row:{n}", [*HEAD[: 12 + n % 5], 50 + n], list(range(60, 61 + 3 * n)), 1.0) for n in range(8)]
ROWS[3] = replace(ROWS[3], weights=ROWS[3].weights * 0.5)


def engine(
    folder: Path, tuning: Any = "full", optimizer: Any = "adamw", seed: int = 0, precision: str = "float32"
) -> TorchEngine:
    course = Course(tunings.build(tuning), optimizers.build(optimizer), schedules.build("constant"), RATE, 100, seed)
    made = TorchEngine(load(folder, Computing(precision)), Renderer.open(folder), course)
    if tuning != "full":  # a fresh low-rank product is zero, and half of the gradients with it
        noise = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for each in made.trainable().values():
                each.add_((torch.randn(each.shape, generator=noise) * 0.05).to(each.device))
    return made


@pytest.fixture
def objective() -> Objective:
    return objectives.build("cross_entropy")


def split(rows: list[Row], parts: int) -> list[Batch]:
    return [layout(rows[start : start + len(rows) // parts]) for start in range(0, len(rows), len(rows) // parts)]


def apart(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> float:
    """The largest difference of any tensor, relative to that tensor's largest value."""
    assert found.keys() == expected.keys()
    return max(
        float((found[name] - each).abs().max() / each.abs().max().clamp_min(1e-12)) for name, each in expected.items()
    )


def copied(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in given.items()}


def plainly(folder: Path) -> tuple[Any, torch.optim.Optimizer]:
    """The library's own model with eager attention, and torch's AdamW over it: matrices decay, vectors do not."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    model.eval()
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None
    groups = [
        {"params": [each for each in model.parameters() if each.ndim > 1], "weight_decay": 0.1},
        {"params": [each for each in model.parameters() if each.ndim < 2], "weight_decay": 0.0},
    ]
    return model, torch.optim.AdamW([group for group in groups if group["params"]], lr=RATE, foreach=False)


@pytest.mark.parametrize("name", ["llama", "gemma2", "qwen2", "mistral"])  # GPT-2 trains with dropout of its own
@pytest.mark.parametrize("clip", [1.0, 1e9])
def test_steps_are_those_of_a_plain_loop_over_full_logits(
    name: str, clip: float, family: Folder, objective: Objective
) -> None:
    made = engine(family(name), optimizer={"name": "adamw", "clip": clip, "weight_decay": 0.1})
    reference, plain = plainly(family(name))
    warm = [0.2, 0.4]  # constant after ceil(0.05 · 100) = 5 steps of warm-up
    for step, factor in enumerate(warm, 1):
        told = made.learn(split(ROWS, 2), objective, step)
        losses = []
        for each in ROWS:
            tokens = torch.from_numpy(each.tokens).long()
            logits = reference(input_ids=tokens[None], use_cache=False).logits[0, :-1]
            nats = torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="none")
            losses.append((nats * torch.from_numpy(each.weights[1:])).sum())
        loss = torch.stack(losses).sum() / sum(float(each.weights.sum()) for each in ROWS)
        torch.autograd.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(reference.parameters(), clip)
        for group in plain.param_groups:
            group["lr"] = RATE * factor
        plain.step()
        plain.zero_grad()
        assert told["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
        assert told["gradient_norm"] == pytest.approx(float(norm), rel=1e-5)
        assert told["learning_rate"] == pytest.approx(RATE * factor)
        assert told["tokens"] == sum(len(each.tokens) for each in ROWS)
        assert told["targets"] == sum(each.targets for each in ROWS)
    theirs = dict(reference.named_parameters())
    for key, mine in made.network.model.named_parameters():
        # Adam divides a gradient by its own size: where that is float32 noise, so is the step. Nearly all agree.
        difference = (mine - theirs[key]).detach().abs()
        assert float((difference < 1e-6).float().mean()) > 0.995, key
        assert float(difference.max()) < 2 * RATE * sum(warm)


@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_micro_batches_change_no_gradient(parts: int, tuning: str, family: Folder, objective: Objective) -> None:
    made = engine(family("llama"), tuning)
    whole, divided = (made.gradients(split(ROWS, count), objective) for count in (1, parts))
    assert apart(divided, whole) <= 1e-5


def test_in_float64_micro_batches_agree_to_the_last_digits(family: Folder, objective: Objective) -> None:
    made = engine(family("gpt2"))  # llama's norms are float32 whatever the weights are
    made.network.double()

    class Double(type(made.network)):  # type: ignore[misc]
        @property
        def dtype(self) -> torch.dtype:
            return torch.float64

    made.network.__class__ = Double
    whole = made.gradients(split(ROWS, 1), objective)
    assert all(each.dtype == torch.float64 for each in whole.values())
    for parts in (2, 4, 8):
        assert apart(made.gradients(split(ROWS, parts), objective), whole) <= 1e-12


def test_the_loss_is_a_mean_over_targets_and_not_a_mean_of_means(family: Folder, objective: Objective) -> None:
    made = engine(family("llama"))
    rows = [ROWS[0], ROWS[7]]  # 1 target and 22
    nats = [-each.logprobs_S.sum() for each in made.score(rows)]
    told = made.learn([layout([each]) for each in rows], objective, 1)
    assert told["loss"] == pytest.approx(sum(nats) / 23, rel=1e-6)
    assert told["loss"] != pytest.approx((nats[0] + nats[1] / 22) / 2, rel=1e-3)


def test_an_empty_micro_batch_changes_nothing(family: Folder, objective: Objective) -> None:
    made = engine(family("llama"))
    with_empty = made.gradients([layout([]), *split(ROWS, 2), layout([])], objective)
    assert apart(with_empty, made.gradients(split(ROWS, 2), objective)) == 0


class Broken(Objective):
    """A loss that is not a number from the second batch on."""

    consumes = ()

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.logprobs_S is not None
        return Loss(forward.logprobs_S.sum() * (float("nan") if "row:4" in batch.ids else 1), 1.0)


def test_a_loss_that_is_not_a_number_names_its_examples_and_moves_nothing(family: Folder) -> None:
    made = engine(family("llama"))
    before = copied(made.trainable())
    with pytest.raises(Failed, match=r"step 1: the loss is not a finite number.*row:4, row:5, row:6, row:7") as error:
        made.learn(split(ROWS, 2), Broken(), 1)
    assert "row:3" not in str(error.value)
    assert all(torch.equal(each, before[name]) for name, each in made.trainable().items()) and made.step == 0


def test_a_gradient_that_is_not_a_number_names_the_whole_step(family: Folder, objective: Objective) -> None:
    made = engine(family("llama"))
    name, parameter = next(iter(made.trainable().items()))
    parameter.register_hook(lambda gradient: gradient * float("inf"))  # type: ignore[no-untyped-call]
    before = copied(made.trainable())
    with pytest.raises(Failed, match=r"step 3: the gradient is not a finite number.*row:0, .*row:7"):
        made.learn(split(ROWS, 2), objective, 3)
    assert torch.equal(parameter, before[name])


def test_an_engine_learns(family: Folder, objective: Objective) -> None:
    made = engine(family("llama"), "lora")
    losses = [made.learn(split(ROWS, 2), objective, step)["loss"] for step in range(1, 16)]
    assert losses[-1] < 0.6 * losses[0]


def test_only_what_trains_moves(family: Folder, objective: Objective) -> None:
    made = engine(family("llama"), "lora", precision="bf16")
    assert all(each.dtype == torch.float32 for each in made.trainable().values())
    assert not set(made.trainable()) & set(made.frozen())
    named = {name for name, _ in (*made.network.named_parameters(), *made.network.named_buffers())}
    assert named == {*made.trainable(), *made.frozen()}
    frozen, moving = copied(made.frozen()), copied(made.trainable())
    made.learn(split(ROWS, 2), objective, 1)
    assert all(torch.equal(each, frozen[name]) for name, each in made.frozen().items())
    assert not any(torch.equal(each, moving[name]) for name, each in made.trainable().items())


def test_the_seed_draws_what_is_new(family: Folder) -> None:
    drawn = [copied(engine(family("llama"), "lora", seed=seed).trainable()) for seed in (1, 1, 2)]
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert not any(torch.equal(drawn[0][name], drawn[2][name]) for name in drawn[0] if "lora_A" in name)


def test_a_step_may_be_repeated_from_what_is_saved(family: Folder, objective: Objective, tmp_path: Path) -> None:
    straight = engine(family("llama"), {"name": "lora", "dropout": 0.3})
    for step in (1, 2, 3):
        straight.learn(split(ROWS, 2), objective, step)
        if step == 2:
            straight.save(tmp_path / "two")
    resumed = engine(family("llama"), {"name": "lora", "dropout": 0.3}, seed=0)
    torch.manual_seed(99)
    resumed.load(tmp_path / "two")
    assert resumed.step == 2
    resumed.learn(split(ROWS, 2), objective, 3)
    assert all(torch.equal(each, straight.trainable()[name]) for name, each in resumed.trainable().items())


def test_dropout_is_a_function_of_seed_and_step(family: Folder, objective: Objective) -> None:
    def loss(seed: int, step: int, noise: int = 0) -> float:
        made = engine(family("llama"), {"name": "lora", "dropout": 0.5})
        made.course = replace(made.course, seed=seed)
        torch.manual_seed(noise)
        return made.learn(split(ROWS, 2), objective, step)["loss"]

    assert loss(0, 1) == loss(0, 1, noise=7)
    assert len({loss(0, 1), loss(0, 2), loss(1, 1)}) == 3


def test_dropout_is_off_in_gradients_and_after_a_step(family: Folder, objective: Objective) -> None:
    made = engine(family("llama"), {"name": "lora", "dropout": 0.5})
    assert apart(*(made.gradients(split(ROWS, 2), objective) for _ in range(2))) == 0
    made.learn(split(ROWS, 2), objective, 1)
    assert not made.network.training


def states(made: TorchEngine) -> list[torch.Tensor]:
    return [value for values in made.optimizer.state.values() for value in values.values()]


@pytest.mark.parametrize("earlier", [0, 2])
def test_whatever_is_learnt_inside_undone_is_undone_to_the_bit(
    earlier: int, family: Folder, objective: Objective, tmp_path: Path
) -> None:
    made, twin = engine(family("llama"), "lora"), engine(family("llama"), "lora")
    for step in range(1, earlier + 1):
        made.learn(split(ROWS, 2), objective, step)
        twin.learn(split(ROWS, 2), objective, step)
    made.save(tmp_path / "now")
    with pytest.raises(KeyboardInterrupt), made.undone():
        for step in (5, 6):
            made.learn(split(ROWS, 4), objective, step)
        made.load(tmp_path / "now")
        made.learn(split(ROWS, 1), objective, 9)
        raise KeyboardInterrupt
    assert made.step == earlier and all(each.grad is None for each in made.trainable().values())
    assert len(states(made)) == len(states(twin)) == (3 * len(made.trainable()) if earlier else 0)
    assert all(torch.equal(*pair) for pair in zip(states(made), states(twin), strict=True))
    made.learn(split(ROWS, 2), objective, earlier + 1)
    twin.learn(split(ROWS, 2), objective, earlier + 1)
    assert all(torch.equal(each, twin.trainable()[name]) for name, each in made.trainable().items())


def test_exactly_computes_in_float32_and_gives_frozen_bf16_back_to_the_bit(
    family: Folder, objective: Objective
) -> None:
    made, exact = engine(family("llama"), "lora", precision="bf16"), engine(family("llama"), "lora")
    for mine, theirs in zip(made.network.parameters(), exact.network.parameters(), strict=True):
        theirs.data = mine.data.float()  # the bf16 weights, computed with in float32
    before = copied(made.frozen())
    rounded = made.score(ROWS)
    with pytest.raises(ZeroDivisionError), made.exactly():
        assert all(each.dtype == torch.float32 for each in made.network.parameters())
        assert apart(made.gradients(split(ROWS, 2), objective), exact.gradients(split(ROWS, 2), objective)) == 0
        raise ZeroDivisionError
    assert all(
        each.dtype == before[name].dtype and torch.equal(each, before[name]) for name, each in made.frozen().items()
    )
    assert made.network.precision == "bf16"
    again = made.score(ROWS)
    assert all(np.array_equal(a.logprobs_S, b.logprobs_S) for a, b in zip(rounded, again, strict=True))


def test_bf16_gradients_are_near_those_of_float32(family: Folder, objective: Objective) -> None:
    made = engine(family("llama"), "lora", precision="bf16")
    rounded = made.gradients(split(ROWS, 2), objective)
    with made.exactly():
        exact = made.gradients(split(ROWS, 2), objective)
    flat = [torch.cat([each.flatten() for each in grads.values()]) for grads in (rounded, exact)]
    assert float((flat[0] - flat[1]).norm() / flat[1].norm()) < 0.1  # 8 bits of mantissa through two layers


def test_metrics_of_an_objective_are_summed_and_divided_with_the_loss(family: Folder) -> None:
    class Counted(Objective):
        """Counts rows."""

        consumes = ()

        def loss(self, forward: Forward, batch: Batch) -> Loss:
            assert forward.logprobs_S is not None
            return Loss(-forward.logprobs_S.sum(), 2.0 * len(batch.ids), {"rows": float(len(batch.ids))})

    told = engine(family("llama")).learn([layout(ROWS[:1]), layout(ROWS[1:4])], Counted(), 1)
    assert told["rows"] == pytest.approx(4 / 8)
