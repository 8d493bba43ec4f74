"""Penalties, noise and averages on the engine's own steps: by hand, in micro-batches, saved and gone on from."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import labelled, row
from safetensors.torch import load_file

from affina.core.compute import Computing
from affina.core.errors import Failed, Refused
from affina.core.kinds import (
    Batch,
    Objective,
    Row,
    averagings,
    noises,
    objectives,
    optimizers,
    penalties,
    schedules,
    tunings,
)
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.engine.torch import checkpoint, frozen
from affina.engine.torch.load import load
from affina.engine.torch.noise import lengths_of
from affina.engine.torch.penalised import Penalised
from affina.engine.torch.step import Course, TorchEngine

Folder = Callable[[str], Path]
RATE = 0.05
SHARED = [*range(20, 40)]
ROWS = [row(f"row:{n}", [*SHARED[: 10 + n % 4], 50 + n], list(range(60, 62 + 2 * n))) for n in range(8)]
LABELLED = [labelled(each, n % 3) for n, each in enumerate(ROWS)]
DROPS = {"name": "lora", "rank": 4, "dropout": 0.4}


def engine(
    folder: Path, objective: str = "cross_entropy", tuning: Any = "full", precision: str = "float32", **parts: Any
) -> TorchEngine:
    """SGD without momentum or clipping at a constant rate: a step shows its gradient. Nothing stands at its start."""
    part = objectives.build(objective)
    plain = {"name": "sgd", "momentum": 0.0, "clip": 1e9}
    constant = {"name": "constant", "warmup": 0.0}
    course = Course(
        tunings.build(tuning), optimizers.build(plain), schedules.build(constant), RATE, 20, 3,
        [penalties.build(each) for each in parts.get("penalties", [])],
        noises.build(parts["noise"]) if "noise" in parts else None,
        averagings.build(parts["averaging"]) if "averaging" in parts else None,
    )  # fmt: skip
    network = load(folder, Computing(precision), part.ending(3), parts.get("shares"))
    made = TorchEngine(network, Renderer.open(folder), course)
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for each in made.trainable().values():
            each.add_((torch.randn(each.shape, generator=draw) * 0.05).to(each.dtype))
    return made


def batches(made: TorchEngine, count: int, rows: list[Row] = ROWS) -> list[Batch]:
    size = len(rows) // count
    return [made.layout(rows[start : start + size]) for start in range(0, len(rows), size)]


def copied(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in given.items()}


def same(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(each, b[name]) for name, each in a.items())


def part_of(name: str) -> Objective:
    return objectives.build(name)


# ── penalties ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("objective", ["cross_entropy", "classify"])
@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("count", [1, 4])
def test_l2_sp_moves_by_the_mean_gradient_and_the_pull_however_a_step_is_divided(
    objective: str, tuning: str, count: int, family: Folder
) -> None:
    pull = {"name": "l2_sp", "alpha": 0.3, "beta": 0.2}
    made = engine(family("llama"), objective, tuning, penalties=[pull])
    starts, rows = made.penalised.starts, LABELLED if objective == "classify" else ROWS
    before, gradients = copied(made.trainable()), made.gradients(batches(made, count, rows), part_of(objective))
    plain = engine(family("llama"), objective, tuning).learn(batches(made, 1, rows), part_of(objective), 1)
    told = made.learn(batches(made, count, rows), part_of(objective), 1)
    term = 0.0
    for name, each in made.trainable().items():
        old = name.startswith("model.")
        away, strength = (before[name] - starts[name], 0.3) if old else (before[name], 0.2)
        expected = before[name] - RATE * (gradients[name] + strength * away)
        assert torch.allclose(each, expected, atol=1e-6), name
        term += strength / 2 * float(away.double().square().sum())
    assert told["l2_sp"] == pytest.approx(term, rel=1e-4)
    assert told["loss"] == pytest.approx(plain["loss"] + term, rel=1e-4)


def test_a_start_is_where_training_began_also_after_a_checkpoint_is_loaded(family: Folder, tmp_path: Path) -> None:
    first, second = (engine(family("llama"), penalties=["l2_sp"], tuning="lora") for _ in range(2))
    first.learn(batches(first, 2), part_of("cross_entropy"), 1)
    first.save(tmp_path / "one")
    second.load(tmp_path / "one")
    assert same(first.penalised.starts, second.penalised.starts) and len(first.penalised.starts) > 4
    for made in (first, second):
        made.learn(batches(made, 2), part_of("cross_entropy"), 2)
    assert same(first.trainable(), second.trainable())


@pytest.mark.parametrize(
    ("name", "objective"), [("llama", "cross_entropy"), ("gemma2", "cross_entropy"), ("bert", "classify")]
)
def test_r_drop_is_the_mean_of_two_draws_and_torchs_kl_between_them(name: str, objective: str, family: Folder) -> None:
    """Each micro-batch is drawn twice in a row from the step's own random state, all logits held."""
    made = engine(family(name), objective, DROPS, penalties=[{"name": "r_drop", "alpha": 0.7}])
    rows = LABELLED if objective == "classify" else ROWS
    given, twin = batches(made, 2, rows), engine(family(name), objective, DROPS)
    torch.manual_seed(3 * 1_000_003 + 1)
    twin.network.train()
    totals, terms, counts = [], [], 0.0
    for batch in given:
        draws = [distributions(twin, batch) for _ in range(2)]
        targets = torch.from_numpy(batch.labels_R if objective == "classify" else batch.targets_S)
        totals.append(sum(-each.gather(1, targets[:, None]).sum() for each in draws) / 2)
        p, q = draws
        kl = torch.nn.functional.kl_div
        terms.append(0.7 / 2 * sum(kl(a, b, reduction="sum", log_target=True) for a, b in ((p, q), (q, p))))
        counts += len(targets)
    loss = (sum(totals) + sum(terms)) / counts
    torch.autograd.backward(loss)
    before = copied(made.trainable())
    told = made.learn(given, part_of(objective), 1)
    assert told["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert told["r_drop"] == pytest.approx(float(sum(terms).detach()) / counts, rel=1e-4) and told["r_drop"] > 1e-4
    for key, each in twin.trainable().items():
        moved = 0 if each.grad is None else RATE * each.grad  # no row reaches an encoder's pooler
        assert torch.allclose(made.trainable()[key], before[key] - moved, atol=2e-6), key


def distributions(made: TorchEngine, batch: Batch) -> torch.Tensor:
    """All log-probabilities of one draw."""
    network = made.network
    if network.head is not None:
        return network.head(network.hidden(batch)[torch.from_numpy(batch.starts_R)]).log_softmax(-1)
    words, hidden_SD = network.words, network.hidden(batch)[torch.from_numpy(batch.sources_S)]
    logits = hidden_SD @ words.weight_VD.T * words.scale
    return (logits if words.softcap is None else words.softcap * torch.tanh(logits / words.softcap)).log_softmax(-1)


def test_r_drop_costs_and_changes_nothing_where_dropout_is_off(family: Folder) -> None:
    objective = part_of("cross_entropy")
    made = engine(family("llama"), tuning=DROPS, penalties=["r_drop"])
    plain = engine(family("llama"), tuning=DROPS)
    assert same(made.gradients(batches(made, 2), objective), plain.gradients(batches(plain, 2), objective))


def test_r_drop_without_any_dropout_is_refused(family: Folder) -> None:
    with pytest.raises(Refused, match=r"penalty r_drop compares two draws.*0 everywhere.*set model\.dropout"):
        engine(family("llama"), tuning="lora", penalties=["r_drop"])
    engine(family("llama"), tuning="lora", penalties=["r_drop"], shares={"attention": 0.1})
    engine(family("llama"), "classify", "lora", penalties=["r_drop"], shares={"head": 0.1})


def test_without_penalties_nothing_is_kept(family: Folder) -> None:
    assert Penalised([], engine(family("llama")).trainable()).starts == {}


# ── noise ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def heard(made: TorchEngine, given: Batch, learning: bool) -> torch.Tensor:
    """What the input embedding hands on."""
    kept: list[torch.Tensor] = []
    table = made.network.model.get_input_embeddings().weight
    hooks = [
        each.register_forward_hook(lambda module, args, out: kept.append(out.detach().clone()))
        for each in made.network.modules()
        if isinstance(each, torch.nn.Embedding) and each.weight is table
    ]
    made.network.train(learning)
    with torch.no_grad():
        made.network.hidden(given)
    made.network.eval()
    for hook in hooks:
        hook.remove()
    return torch.cat([each.flatten(0, 1) for each in kept])


@pytest.mark.parametrize("name", ["llama", "gemma2", "bert"])
def test_noise_is_bounded_by_each_rows_own_length_and_off_when_measured(name: str, family: Folder) -> None:
    objective = "classify" if name == "bert" else "cross_entropy"
    noisy = engine(family(name), objective, "lora", noise={"name": "neftune", "alpha": 8.0})
    batch = layout(ROWS, share=False)
    plain = heard(engine(family(name), objective, "lora"), batch, False)
    assert torch.equal(heard(noisy, batch, False), plain)
    added, width = heard(noisy, batch, True) - plain, plain.shape[-1]
    for each, segment in zip(ROWS, batch.segments, strict=True):
        bound = 8 / math.sqrt(len(each.tokens) * width)
        size = float(added[segment.start : segment.stop].abs().max())
        assert 0.9 * bound < size <= bound * 1.001


@pytest.mark.parametrize(
    ("name", "objective"), [("bloom", "cross_entropy"), ("lfm2", "cross_entropy"), ("t5", "classify")]
)
def test_padded_rows_have_noise_of_their_own_length(name: str, objective: str, family: Folder) -> None:
    """Rows of 9, 11 and 12 tokens stand together; what is added to a row is at most alpha / √(L·D)."""
    noisy = engine(family(name), objective, "lora", noise={"name": "neftune", "alpha": 8.0})
    rows = [row(str(size), [*range(60, 60 + size)], []) for size in (12, 11, 9)]
    batch = layout(rows, share=False)
    added = heard(noisy, batch, True) - heard(noisy, batch, False)
    if not noisy.network.together:
        parts = [added[segment.start : segment.stop] for segment in batch.segments]
    else:
        parts = [each[: len(given.tokens)] for each, given in zip(added.view(3, 12, -1), rows, strict=True)]
    for given, part in zip(rows, parts, strict=True):
        bound = 8 / math.sqrt(len(given.tokens) * added.shape[-1])
        assert 0.9 * bound < float(part.abs().max()) <= bound * 1.001


def test_a_shared_prefix_has_the_length_of_the_longest_row_through_it() -> None:
    batch = layout(ROWS)
    assert len(batch.tokens_T) < batch.tokens
    found = lengths_of(batch.segments)
    assert len(found) == len(batch.tokens_T)
    for segment in batch.segments:
        through = []
        for each in ROWS:
            depth, size = int(batch.depths_T[segment.start]), segment.stop - segment.start
            if np.array_equal(each.tokens[depth : depth + size], batch.tokens_T[segment.start : segment.stop]):
                through.append(len(each.tokens))
        assert found[segment.start : segment.stop] == [max(through)] * (segment.stop - segment.start)


def test_a_trunk_behind_noise_is_not_kept(family: Folder) -> None:
    noisy = engine(family("llama"), tuning={"name": "lora", "targets": ["layers.1.mlp.down_proj"]}, noise="neftune")
    assert frozen.settled(noisy.network, "auto", ROWS, repeats=True) == "off"
    assert any("noise before them" in note for note in noisy.network.trunk.notes)
    with pytest.raises(Refused, match="noise before them"):
        frozen.settled(noisy.network, "memory", ROWS, repeats=True)
    plain = engine(family("llama"), tuning={"name": "lora", "targets": ["layers.1.mlp.down_proj"]})
    assert frozen.settled(plain.network, "memory", ROWS, repeats=True) == "memory"


def test_noise_is_a_function_of_seed_and_step(family: Folder) -> None:
    def loss(step: int, state: int) -> float:
        made = engine(family("llama"), tuning="lora", noise="neftune")
        torch.manual_seed(state)
        return made.learn(batches(made, 2), part_of("cross_entropy"), step)["loss"]

    assert loss(1, 0) == loss(1, 9) != loss(2, 0)


# ── averages ───────────────────────────────────────────────────────────────────────────────────────────────────────
AVERAGES: list[Any] = ["ema", {"name": "swa", "start": 0.1}]


def learnt(made: TorchEngine, *steps: int) -> None:
    for step in steps:
        made.learn(batches(made, 2), part_of("cross_entropy"), step)


@pytest.mark.parametrize("spec", AVERAGES)
def test_an_average_changes_no_bit_of_the_path(spec: Any, family: Folder) -> None:
    made, plain = engine(family("llama"), tuning="lora", averaging=spec), engine(family("llama"), tuning="lora")
    for step in (1, 2, 3, 4):
        learnt(made, step)
        learnt(plain, step)
        with made.measured():
            made.score(ROWS[:2])
    assert same(made.trainable(), plain.trainable())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("spec", AVERAGES)
def test_what_is_saved_to_be_released_is_the_average_and_a_resume_is_to_the_bit(
    spec: Any, precision: str, family: Folder, tmp_path: Path
) -> None:
    straight = engine(family("llama"), tuning=DROPS, precision=precision, averaging=spec)
    learnt(straight, 1, 2, 3, 4)
    straight.save(tmp_path / "four")
    with straight.measured():
        measured = straight.score(ROWS)
    raw = straight.score(ROWS)
    assert not all(np.array_equal(a.logprobs_S, b.logprobs_S) for a, b in zip(measured, raw, strict=True))
    assert straight.average is not None
    assert same(load_file(tmp_path / "four" / "trained.safetensors"), straight.average.tensors)
    released = engine(family("llama"), tuning=DROPS, precision=precision)
    checkpoint.load_trained(tmp_path / "four", released.trainable())
    assert all(np.array_equal(a.logprobs_S, b.logprobs_S) for a, b in zip(measured, released.score(ROWS), strict=True))
    resumed = engine(family("llama"), tuning=DROPS, precision=precision, averaging=spec)
    learnt(resumed, 9)
    resumed.load(tmp_path / "four")
    for made in (straight, resumed):
        learnt(made, 5, 6)
    assert resumed.average is not None and same(resumed.trainable(), straight.trainable())
    assert same(resumed.average.tensors, straight.average.tensors)


def test_an_average_is_undone_with_the_rest(family: Folder) -> None:
    made = engine(family("llama"), tuning="lora", averaging="ema")
    learnt(made, 1, 2)
    assert made.average is not None
    before = copied(made.average.tensors)
    with made.undone():
        learnt(made, 3)
        assert not same(before, made.average.tensors)
    assert same(before, made.average.tensors)


def test_a_checkpoint_without_an_average_is_none_to_average_from(family: Folder, tmp_path: Path) -> None:
    plain = engine(family("llama"), tuning="lora")
    plain.save(tmp_path / "plain")
    with pytest.raises(Failed, match=r"learning\.safetensors cannot be read"):
        engine(family("llama"), tuning="lora", averaging="ema").load(tmp_path / "plain")
