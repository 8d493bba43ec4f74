"""Rounding to bf16 is right in the mean and repeats itself; what trains in bf16 learns as its float32 twin does."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from families import row
from safetensors.torch import load_file

import affina
from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Batch, Ending, objectives, optimizers, proofs, schedules, tunings
from affina.core.recipe import Compute
from affina.core.run import Run
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.engine.torch import rounding
from affina.engine.torch.head import WordHead
from affina.engine.torch.load import load
from affina.engine.torch.low_rank import LowRank
from affina.engine.torch.products import whole
from affina.engine.torch.rounding import stochastic
from affina.engine.torch.settle import settled_on
from affina.engine.torch.step import Course, TorchEngine
from affina.engine.torch.tuned import reopen

Folder = Callable[[str], Path]
OBJECTIVE = objectives.build("cross_entropy")
ROWS = [row(f"row:{n}", list(range(20, 34 + n)), list(range(60, 63 + n)), 1.0) for n in range(6)]
BATCHES = [layout(ROWS[:2]), layout(ROWS[2:])]
DRAWS = 40_000


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def engine(folder: Path, tuning: Any, masters: str = "bf16", rate: float = 1e-2, **how: Any) -> TorchEngine:
    course = Course(tunings.build(tuning), optimizers.build("adamw"), schedules.build("constant"), rate, 100, 3)
    return TorchEngine(load(folder, Computing("bf16", masters=masters, **how)), Renderer.open(folder), course)


def everything(made: TorchEngine) -> dict[str, torch.Tensor]:
    """What trains and the optimizer's state, as copies."""
    found = {name: each.detach().clone() for name, each in made.trainable().items()}
    for name, each in made.trainable().items():
        found |= {f"{name}/{key}": value.clone() for key, value in made.optimizer.state.get(each, {}).items()}
    return found


def alike(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(each, b[name]) and each.dtype == b[name].dtype for name, each in a.items()
    )


def neighbours(value: float) -> tuple[float, float]:
    """The bf16 numbers around a finite float32: its bits without the lower half, and one more (away from zero)."""
    bits = int(torch.tensor(value).view(torch.int32)) >> 16
    near, far = torch.tensor([bits, bits + 1], dtype=torch.int16).view(torch.bfloat16).double().tolist()
    return near, far


@pytest.mark.parametrize("value", [1.0 + 1e-3, -1.0 - 1e-3, 0.3, -7.77e-7, 1.0 + 2**-8, 3.0e38, 1e-40, -3e-39])
def test_a_value_becomes_one_of_its_neighbours_and_is_kept_in_the_mean(value: float) -> None:
    values = torch.full((DRAWS,), value)
    held = float(values[0].double())
    near, far = neighbours(value)
    rounded = stochastic(values, seeded(1)).double()
    assert set(rounded.tolist()) == {near, far}
    share = (held - near) / (far - near)
    error = (share * (1 - share) / DRAWS) ** 0.5  # of a mean of yes and no
    assert abs(float((rounded == far).double().mean()) - share) < 4 * error
    assert abs(float(rounded.mean()) - held) < 4 * error * abs(far - near)


def test_neighbouring_numbers_of_a_tensor_are_drawn_apart() -> None:
    up = (stochastic(torch.full((DRAWS,), 1.0 + 2**-8), seeded(2)).float() > 1).double() - 0.5
    for apart in (1, 2, 3, 4, 8):
        assert abs(float((up[apart:] * up[:-apart]).mean()) * 4) < 4 / DRAWS**0.5


def test_what_bf16_holds_never_moves() -> None:
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    for seed in range(3):
        rounded = stochastic(every.float(), seeded(seed))
        assert rounded.dtype == torch.bfloat16
        number = ~every.isnan()  # infinities, zeros of both signs and subnormal numbers among them
        assert torch.equal(rounded[number].view(torch.int16), every[number].view(torch.int16))
        assert rounded[~number].isnan().all()


def test_every_bit_pattern_of_not_a_number_stays_one() -> None:
    bits = torch.tensor([0x7FFFFFFF, -1, 0x7F800001, 0x7FC00000], dtype=torch.int32).repeat(1000)
    assert stochastic(bits.view(torch.float32), seeded(0)).isnan().all()


@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (3, 7), (2, 3, 5)])
def test_any_shape_and_memory_layout_is_rounded_as_it_reads(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape, generator=seeded(4))
    before = values.clone()
    rounded = stochastic(values, seeded(5))
    assert rounded.shape == shape and torch.equal(values, before)
    assert torch.allclose(rounded.float(), values, rtol=2**-7, atol=0)
    turned = values.T if len(shape) == 2 else values
    assert torch.equal(stochastic(turned, seeded(5)), stochastic(turned.contiguous(), seeded(5)))


def descended(optimizer: torch.optim.Optimizer, held: list[torch.nn.Parameter], steps: int, seed: int = 0) -> None:
    """Steps along a constant gradient of 1."""
    for number in range(steps):
        for each in held:
            each.grad = torch.ones(each.shape)
        rounding.step(optimizer, held, seed, number)


def matrix(value: float, size: int = 4096) -> torch.nn.Parameter:
    model = torch.nn.Linear(size, 1, bias=False)
    torch.nn.init.constant_(model.weight, value)
    rounding.narrow(model)
    return model.weight


def test_changes_below_half_a_unit_in_the_last_place_are_kept_in_the_mean() -> None:
    rate, steps = 2.0**-12, 64  # at 1 the units below and above are 2⁻⁸ and 2⁻⁷: no change reaches half of one
    nearest = torch.ones(4096, dtype=torch.bfloat16)
    for _ in range(steps):
        nearest = (nearest.float() - rate).bfloat16()
    assert torch.equal(nearest, torch.ones_like(nearest))
    weight = matrix(1.0)
    descended(torch.optim.SGD([weight], lr=rate), [weight], steps)
    moved = 1 - weight.detach().double()
    unit = 2.0**-8
    share = rate / unit
    error = unit * (steps * share * (1 - share) / moved.numel()) ** 0.5  # each step is up or not, by itself
    assert weight.dtype == torch.bfloat16 and abs(float(moved.mean()) - rate * steps) < 4 * error


def test_the_same_seed_and_step_draw_the_same_and_others_do_not() -> None:
    def stepped(seed: int, number: int, place: int = 0) -> torch.Tensor:
        held = [matrix(1.0) for _ in range(place + 1)]
        for each in held:
            each.grad = torch.ones(each.shape)
        rounding.step(torch.optim.SGD(held, lr=2.0**-10), held, seed, number)
        return held[place].detach()

    one = stepped(7, 5)
    assert torch.equal(one, stepped(7, 5))
    for other in (stepped(7, 6), stepped(8, 5), stepped(7 + 2**32, 5), stepped(7, 5, place=1)):
        assert 0.1 < float((one != other).double().mean()) < 0.6  # of a quarter that moves: 3/8 in the mean


@pytest.mark.parametrize("portion", [1, 5000])
def test_portions_change_nothing(portion: int, family: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for size in (rounding.PORTION, portion):
        monkeypatch.setattr(rounding, "PORTION", size)
        made = engine(family("llama"), "full")
        for step in (1, 2):
            made.learn(BATCHES, OBJECTIVE, step)
        found.append(everything(made))
    assert alike(*found)


def test_what_has_no_gradient_stays_and_no_other_draw_is_touched() -> None:
    held = [matrix(1.0), torch.nn.Parameter(torch.ones(3)), matrix(2.0), matrix(3.0)]
    optimizer = torch.optim.AdamW(held, lr=1e-3, weight_decay=0.5, fused=True)
    state = torch.get_rng_state()
    for number in range(3):
        for each in (held[0], held[1], held[3]):
            each.grad = torch.full(each.shape, 0.5)
        rounding.step(optimizer, held, 1, number)
        assert all(each.grad is None for each in held)
    assert torch.equal(torch.get_rng_state(), state)  # dropout draws what it would have drawn
    assert torch.equal(held[2], torch.full_like(held[2], 2.0)) and held[2] not in optimizer.state
    assert [each.dtype for each in held] == [torch.bfloat16, torch.float32, torch.bfloat16, torch.bfloat16]
    assert {value.dtype for values in optimizer.state.values() for value in values.values()} == {torch.float32}
    plain = torch.nn.Parameter(torch.ones(3))
    reference = torch.optim.AdamW([plain], lr=1e-3, weight_decay=0.5)
    for _ in range(3):
        plain.grad = torch.full((3,), 0.5)
        reference.step()
    assert torch.allclose(held[1], plain, rtol=1e-6, atol=0)
    assert abs(float(held[0].detach().double().mean()) - float(plain.detach()[0])) < 4 * 2**-8 * (3 / 4096) ** 0.5


def linear(made: TorchEngine) -> dict[str, torch.nn.Parameter]:
    """The matrices of linear layers that train."""
    tables = [each.weight for each in made.network.modules() if isinstance(each, torch.nn.Embedding)]
    return {
        name: each
        for name, each in made.trainable().items()
        if each.ndim > 1 and not any(each is table for table in tables)
    }


@pytest.mark.parametrize("tuning", ["lora", "full", "last_layers"])
def test_matrices_take_half_the_bytes_and_all_else_what_it_took(tuning: str, family: Folder) -> None:
    found = []
    for masters in ("float32", "bf16"):
        made = engine(family("llama"), tuning, masters)
        made.learn(BATCHES, OBJECTIVE, 1)
        narrow = linear(made)
        sizes = [sum(each.nbytes for each in narrow.values())]
        sizes += [sum(each.nbytes for name, each in made.trainable().items() if name not in narrow)]
        found.append(sizes)
        assert {value.dtype for state in made.optimizer.state.values() for value in state.values()} == {torch.float32}
    assert found[0][0] == 2 * found[1][0] > 0 and found[0][1] == found[1][1]
    assert (found[0][1] == 0) == (tuning == "lora")


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "gpt_neox", "phi3"])
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_gradients_are_those_of_float32_masters(name: str, tuning: str, family: Folder) -> None:
    wide, made = (engine(family(name), tuning, masters) for masters in ("float32", "bf16"))
    with torch.no_grad():
        for key, each in made.trainable().items():
            if tuning == "lora":  # a fresh low-rank product is zero, and half of the gradients with it
                each.add_(torch.randn(each.shape, generator=seeded(6)) * 0.05)
            wide.trainable()[key].copy_(each)  # the same weights, which bf16 holds
    expected, found = (one.gradients(BATCHES, OBJECTIVE) for one in (wide, made))
    assert {each.dtype for each in found.values()} == {torch.float32}
    flat = [torch.cat([each[key].flatten() for key in expected]) for each in (expected, found)]
    assert float((flat[0] - flat[1]).norm() / flat[0].norm()) < 0.02  # bf16 products against float32: 0.1


@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("kernels", [False, True])
def test_a_resumed_run_goes_on_to_the_bit(tuning: str, kernels: bool, family: Folder, tmp_path: Path) -> None:
    whole = engine(family("llama"), tuning, kernels=kernels)
    for step in (1, 2, 3, 4):
        if step == 3:
            whole.save(tmp_path / "c")
        whole.learn(BATCHES, OBJECTIVE, step)
    resumed = engine(family("llama"), tuning, kernels=kernels)
    resumed.learn(BATCHES, OBJECTIVE, 9)  # whatever it held before
    resumed.load(tmp_path / "c")
    saved = load_file(tmp_path / "c" / "trained.safetensors")
    assert {saved[name].dtype for name in linear(resumed)} == {torch.bfloat16}
    for step in (3, 4):
        resumed.learn(BATCHES, OBJECTIVE, step)
    assert alike(everything(whole), everything(resumed))


def test_what_is_learnt_inside_undone_is_undone_to_the_bit_and_exactly_too(family: Folder) -> None:
    made = engine(family("llama"), "full")
    made.learn(BATCHES, OBJECTIVE, 1)
    before = everything(made)
    with made.undone():
        made.learn(BATCHES, OBJECTIVE, 2)
        assert not alike(everything(made), before)
    assert alike(everything(made), before)
    with made.exactly():
        assert {each.dtype for each in made.gradients(BATCHES, OBJECTIVE).values()} == {torch.float32}
        assert {each.dtype for each in made.trainable().values()} == {torch.float32}
    assert alike(everything(made), before)


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_learning_follows_float32_masters_and_reopens(tuning: str, family: Folder, tmp_path: Path) -> None:
    losses: dict[str, list[float]] = {}
    for masters in ("float32", "bf16"):
        made = engine(family("llama"), tuning, masters, rate=2e-3)
        losses[masters] = [made.learn(BATCHES, OBJECTIVE, step)["loss"] for step in range(1, 26)]
    assert losses["float32"][-1] < losses["float32"][0] - 0.5
    gained = losses["float32"][0] - losses["float32"][-1]
    assert abs(losses["bf16"][-1] - losses["float32"][-1]) < 0.1 * gained
    made.save(tmp_path / "c")
    how = Computing("bf16", masters="bf16")
    again = reopen(family("llama"), made.renderer, how, Ending(), (made.course.tuning, tmp_path / "c"))
    pairs = zip(made.score(ROWS), again.score(ROWS), strict=True)
    assert all((mine.logprobs_S == theirs.logprobs_S).all() for mine, theirs in pairs)


def test_masters_are_settled_as_asked_and_refused_beside_float32_products() -> None:
    assert settled_on(Compute(precision="bf16")).masters == "float32"
    assert settled_on(Compute(precision="bf16", masters="bf16")).masters == "bf16"
    with pytest.raises(Refused, match=r"masters: bf16.*float32.*precision: bf16"):
        settled_on(Compute(precision="float32", masters="bf16"))


@pytest.mark.parametrize("kind", ["words", "full", "labels"])
def test_a_run_with_bf16_masters_shows_every_proof_and_finishes(kind: str, tmp_path: Path) -> None:
    base, asked = tiny.chat_base(tmp_path / "base"), tiny.KINDS[kind]
    train = {
        "steps": 4, "batch": 8, "learning_rate": 3e-3, "save_every": 2,
        "compute": {"precision": "bf16", "masters": "bf16"},
    }  # fmt: skip
    file = tiny.recipe(tiny.data(tmp_path), base, **{**asked, "train": train})
    run = affina.train(file, run="tiny", root=tmp_path / "runs", offline=True)
    assert isinstance(run, Run) and run.state == "finished"
    assert json.loads((run.folder / "lock.json").read_text())["machine"]["compute"]["masters"] == "bf16"
    findings = run.read("proofs.json")["findings"]
    assert len(findings) == len(proofs.names()) and all(each["passed"] for each in findings)


def test_a_head_sums_its_gradient_in_float32() -> None:
    """4000 positions with one target: in bf16 their sum would stop growing after some hundreds."""
    hidden_SD = torch.randn(1, 16, generator=seeded(1)).expand(4000, 16).contiguous()
    weight_VD = torch.randn(24, 16, generator=seeded(2)).bfloat16()
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        held = torch.nn.Parameter(weight_VD.to(dtype))
        held.grad_dtype = torch.float32
        logprobs_S = WordHead(held, torch.bfloat16, 1.0, None).logprobs(hidden_SD, torch.full((4000,), 5))
        torch.autograd.backward(logprobs_S.sum())
        assert held.grad is not None
        found.append(held.grad)
    assert torch.allclose(*found, rtol=1e-5, atol=1e-5 * float(found[0].abs().max()))


def test_adapters_in_bf16_are_merged_in_float32() -> None:
    layer = LowRank(torch.nn.Linear(32, 24, bias=False), rank=4, scale=2.0, dropout=0.0)
    torch.nn.init.normal_(layer.lora_B, generator=seeded(3))
    layer.requires_grad_(True)
    rounding.narrow(layer)
    narrow = whole(layer, torch.float32)
    for each in layer.parameters():
        each.data = each.data.float()
    wide = whole(layer, torch.float32)
    assert narrow is not None and wide is not None and narrow.dtype == torch.float32 and torch.equal(narrow, wide)


def test_a_batch_in_more_parts_gives_the_same_gradient(family: Folder) -> None:
    """Parts are summed in float32: in bf16, of 64 equal parts the sum would stop growing."""
    made = engine(family("llama"), "full")
    one: Batch = layout([ROWS[0]])
    alone = made.gradients([one], OBJECTIVE)
    many = made.gradients([replace(one) for _ in range(64)], OBJECTIVE)
    for name, each in alone.items():
        assert torch.allclose(many[name], each, rtol=1e-5, atol=1e-5 * float(each.abs().max())), name
