"""The frozen trunk: kept states give the numbers of computed ones, whatever batch asks, however often."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import SIZES, build, random_rows, row
from laws import LABELS, Gradients, apart, engine

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Batch, Ending, Objective, objectives, optimizers, schedules, tunings
from affina.data.layout import layout, neighbours
from affina.data.rows import Renderer
from affina.engine.torch import frozen, trunk
from affina.engine.torch.load import Network, load
from affina.engine.torch.states import Memory
from affina.engine.torch.step import Course, TorchEngine
from affina.engine.torch.trunk import GROUP_TOKENS, Trunk, between, digest, paths_of

DEEP: dict[str, dict[str, Any]] = {
    "llama": {"num_hidden_layers": 4},
    "qwen2": {
        "num_hidden_layers": 4,
        "use_sliding_window": True,
        "sliding_window": 6,
        "layer_types": ["full_attention", "sliding_attention"] * 2,
    },
    "gemma2": {"num_hidden_layers": 4, "layer_types": ["sliding_attention", "full_attention"] * 2},
    "gpt2": {"n_layer": 4, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0},
    "bert": {"num_hidden_layers": 4, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}
BOUNDS = {"float32": 1e-5, "float64": 1e-10}
ROWS = [replace(each, label=n % LABELS, weights=each.weights * (1 + n % 3)) for n, each in enumerate(random_rows(300))]
Deep = Callable[[str], Path]


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Deep:
    """A family's name → the folder of a tiny model of it of four blocks, dropout off, sliding layers among others."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = build(name, tmp_path_factory.mktemp("deep") / name, **DEEP[name])
        return made[name]

    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (trunk, frozen):
        monkeypatch.setattr(module, "GROUP_TOKENS", 90)  # two or three groups of the rows above


def objective_of(name: str) -> Objective:
    return objectives.build("classify" if name == "bert" else "cross_entropy")


def tuned(folder: Path, layers: int = 2, where: str = "memory", **how: Any) -> TorchEngine:
    """An engine whose last blocks learn and have moved; the trunk's states are kept."""
    computing = Computing(**{"precision": "float32", "trunk": where, **how})
    part = objective_of(folder.name)
    with pytest.MonkeyPatch.context() as patch:
        build_part = tunings.build
        patch.setattr(tunings, "build", lambda name: build_part({"name": name, "layers": layers}))
        made = engine(folder, part, "last_layers", computing)
    kept(made, where)
    return made


def kept(made: TorchEngine, where: str, told: Callable[[str], None] = pytest.fail) -> None:
    if where != "off":
        assert frozen.settled(made.network, where, ROWS, repeats=True) == where
        frozen.keep(made.network, where, ROWS, key="tests", tell=told)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The places of blocks that are computed, as they are."""
    from affina.engine.torch.blocks import Stage

    places, computed = list[int](), Stage._computed

    def noted(self: Stage, *args: Any, **more: Any) -> Any:
        places.append(self.place)
        return computed(self, *args, **more)

    monkeypatch.setattr(Stage, "_computed", noted)
    yield places


def batches(made: TorchEngine) -> list[Batch]:
    """The rows in another order than the one they are kept in, in two batches."""
    order = [ROWS[n] for n in (7, 2, 0, 5, 1, 6, 3, 4)]
    return [made.layout(order[:5]), made.layout(order[5:])]


@pytest.mark.parametrize("precision", list(BOUNDS))
@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("name", list(DEEP))
def test_kept_states_give_the_log_probabilities_and_gradients_of_computed_ones(
    name: str, layers: int, precision: str, deep: Deep, ran: list[int]
) -> None:
    part, depth = objective_of(name), 4 - layers
    cached, plain = (tuned(deep(name), layers, where) for where in ("memory", "off"))
    assert (cached.network.trunk.depth, plain.network.trunk.depth) == (depth, 0)
    with cached.exactly(precision), plain.exactly(precision):
        expected = plain.gradients(batches(plain), part)
        cached.gradients(batches(cached), part)
        ran.clear()
        found = cached.gradients(batches(cached), part)
        assert ran == [*range(depth, 4)] * 2
        worst, tensor = apart(with_all(found), with_all(expected))
        assert worst <= BOUNDS[precision], tensor
        for batch in batches(cached):
            one, other = (numbers(made, batch) for made in (cached, plain))
            assert float((one - other).abs().max()) <= BOUNDS[precision] * float(other.abs().max())


def with_all(gradients: Gradients) -> Gradients:
    """And all of them as one tensor: where 0 blocks learn there is but one norm."""
    return {**gradients, "all": torch.cat([each.flatten() for _, each in sorted(gradients.items())])}


def numbers(made: TorchEngine, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        forward = made.forward(batch)
    found = forward.logprobs_S if forward.scores_RL is None else forward.scores_RL
    assert found is not None
    return found


@pytest.mark.parametrize("how", [{"kernels": True}, {"checkpoint": True}, {"kernels": True, "checkpoint": True}])
def test_with_fused_and_with_checkpointed_blocks_too(how: dict[str, bool], deep: Deep, ran: list[int]) -> None:
    part = objective_of("llama")
    cached, plain = (tuned(deep("llama"), 2, where, **how) for where in ("memory", "off"))
    expected = plain.gradients(batches(plain), part)
    cached.gradients(batches(cached), part)
    ran.clear()
    worst, name = apart(cached.gradients(batches(cached), part), expected)
    assert worst <= 1e-5, name
    assert set(ran) == {2, 3}


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_in_bf16_kept_and_computed_states_are_rounded_alike(where: str, deep: Deep) -> None:
    """The same batch scored before anything is kept, when it is first kept, and from what is kept: the same bits."""
    made = tuned(deep("llama"), 2, where, precision="bf16", kernels=True)
    store, made.network.trunk.store = made.network.trunk.store, None
    before = made.score(ROWS)
    made.network.trunk.store = store
    for _ in range(2):
        after = made.score(ROWS)
        assert all(np.array_equal(*(each.logprobs_S for each in pair)) for pair in zip(before, after, strict=True))
    made.network.trunk = Trunk()
    unrounded = made.score(ROWS)
    assert not all(np.array_equal(*(each.logprobs_S for each in pair)) for pair in zip(before, unrounded, strict=True))


def test_no_bit_depends_on_which_batch_asked_first(deep: Deep) -> None:
    forward, backward = (tuned(deep("llama")) for _ in range(2))
    one = [numbers(forward, batch) for batch in batches(forward)]
    other = [numbers(backward, batch) for batch in reversed(batches(backward))]
    assert all(torch.equal(*pair) for pair in zip(one, reversed(other), strict=True))


def test_a_prefix_that_rows_share_is_computed_and_kept_once(deep: Deep) -> None:
    made = tuned(deep("llama"))
    for batch in batches(made):
        numbers(made, batch)
    store = made.network.trunk.store
    assert isinstance(store, Memory)
    groups = [[ROWS[place] for place in group] for group in neighbours(ROWS, 90)]
    laid = sum(len(layout(group).tokens_T) for group in groups)
    assert len(groups) > 1 and laid < 0.8 * sum(len(each.tokens) for each in ROWS)
    assert store.room.bytes == laid * 32 * 4  # 32 wide, float32
    before = store.room.bytes
    numbers(made, made.layout(ROWS))
    assert store.room.bytes == before


def test_rows_that_are_not_known_are_computed_whole(deep: Deep, ran: list[int]) -> None:
    made, plain = tuned(deep("llama")), tuned(deep("llama"), where="off")
    strange = [*ROWS[:2], row("strange", [9, 8, 7, 6], [5, 4])]
    ran.clear()
    found = numbers(made, made.layout(strange))
    assert ran == [0, 1, 2, 3]
    torch.testing.assert_close(found, numbers(plain, plain.layout(strange)), rtol=1e-5, atol=1e-5)
    assert isinstance(made.network.trunk.store, Memory) and made.network.trunk.store.room.bytes == 0


def test_a_second_epoch_of_learning_does_not_run_the_trunk_and_autograd_keeps_nothing_of_it(
    deep: Deep, ran: list[int]
) -> None:
    made, part = tuned(deep("llama")), objective_of("llama")
    ran.clear()
    made.learn(batches(made), part, 1)
    assert ran.count(0) == len([*neighbours(ROWS, 90)]) and ran.count(3) == 2  # groups, batches
    ran.clear()
    kept_bytes = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept_bytes.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        made.learn(batches(made), part, 2)
    assert set(ran) == {2, 3}
    two, kept_bytes[:] = sum(kept_bytes), []
    other = tuned(deep("llama"), layers=4, where="off")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        other.learn(batches(other), part, 1)
    assert two < 0.65 * sum(kept_bytes)


def test_scoring_again_does_not_run_the_trunk(deep: Deep, ran: list[int]) -> None:
    made = tuned(deep("llama"))
    strange = [row(f"strange:{n}", [9, 8, 7, 6 + n], [5, 4]) for n in range(4)]  # a validation split
    first = made.score(strange)
    ran.clear()
    again = made.score(strange)
    assert set(ran) == {2, 3}
    assert all(np.array_equal(*(each.logprobs_S for each in pair)) for pair in zip(first, again, strict=True))


def test_states_of_one_precision_are_not_used_in_another(deep: Deep) -> None:
    made, plain = (tuned(deep("llama"), where=where) for where in ("memory", "off"))
    numbers(made, batches(made)[0])
    with made.exactly("float64"), plain.exactly("float64"):
        one, other = (numbers(each, batches(each)[0]) for each in (made, plain))
    assert one.dtype == torch.float64
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_what_learns_moves_the_scores_though_the_trunk_is_kept(deep: Deep) -> None:
    made, plain = (tuned(deep("llama"), where=where) for where in ("memory", "off"))
    scores = []
    for step in (1, 2, 3):
        for each in (made, plain):
            each.learn(batches(each), objective_of("llama"), step)
        found = [np.concatenate([one.logprobs_S for one in each.score(ROWS)]) for each in (made, plain)]
        np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-4)
        scores.append(found[0])
    assert min(np.abs(after - before).max() for before, after in pairwise(scores)) > 1e-2


def test_two_runs_share_what_is_on_disk(deep: Deep, ran: list[int]) -> None:
    first, second = (tuned(deep("llama"), where="disk") for _ in range(2))
    one = [numbers(first, batch) for batch in batches(first)]
    ran.clear()
    other = [numbers(second, batch) for batch in batches(second)]
    assert set(ran) == {2, 3}
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    ran.clear()
    third = tuned(deep("llama"), layers=1, where="disk")  # another depth, other states
    ran.clear()
    numbers(third, batches(third)[0])
    assert set(ran) == {0, 1, 2, 3}


def test_a_file_that_changed_is_not_used(deep: Deep, ran: list[int]) -> None:
    first = tuned(deep("llama"), where="disk")
    expected = numbers(first, batches(first)[0])
    for path in frozen.folder().rglob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-5] ^= 0x40
        path.write_bytes(content)
    second = tuned(deep("llama"), where="disk")
    ran.clear()
    assert torch.equal(numbers(second, batches(second)[0]), expected)
    assert set(ran) == {0, 1, 2, 3}


@pytest.mark.parametrize("memory_bytes", [2**20, 0])
@pytest.mark.parametrize("broken", ["replace", "mkdir", "no folder"])
def test_a_disk_that_refuses_is_said_once_and_changes_no_bit(
    broken: str, memory_bytes: int, deep: Deep, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, sound, told = tuned(deep("llama"), where="off"), tuned(deep("llama")), list[str]()
    monkeypatch.setattr(frozen, "MEMORY_BYTES", memory_bytes)
    kept(made, "disk", told.append)

    def full(*given: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    if broken == "no folder":
        frozen.folder().parent.mkdir(parents=True)
        frozen.folder().write_text("a file, at which each look fails")
    else:
        monkeypatch.setattr(os if broken == "replace" else Path, broken, full)
    groups = len([*neighbours(ROWS, 90)])
    for step in (1, 2):
        ran.clear()
        made.learn(batches(made), objective_of("llama"), step)
        assert memory_bytes == 0 or ran.count(0) == (groups if step == 1 else 0)
        sound.learn(batches(sound), objective_of("llama"), step)
    made.score(ROWS)
    (said,) = told
    assert ("Not a directory" if broken == "no folder" else "No space left on device") in said
    assert "computed anew" in said and "AFFINA_CACHE" in said
    for one, other in zip(made.trainable().values(), sound.trainable().values(), strict=True):
        assert torch.equal(one, other)
    assert not [path for path in frozen.folder().rglob("*") if path.is_file()]


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_scored_batches_leave_the_training_rows_their_room(
    where: str, deep: Deep, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is what the rows take, to the byte: scored batches, which come first, are computed each time."""
    groups = [[ROWS[place] for place in group] for group in neighbours(ROWS, 90)]
    size = sum(len(layout(group).tokens_T) for group in groups) * 32 * 4  # 32 wide, float32
    monkeypatch.setattr(frozen, "MEMORY_BYTES", size if where == "memory" else 0)
    monkeypatch.setattr(frozen, "DISK_BYTES", size + 512 * len(groups))
    made = tuned(deep("llama"), where=where)
    strange = [row(f"strange:{n}", [9, 8, 7, 6 + n], [5, 4]) for n in range(9)]
    for _ in range(2):
        made.score(strange)
        made.learn(batches(made), objective_of("llama"), 1)
    ran.clear()
    made.learn(batches(made), objective_of("llama"), 2)
    assert ran == [2, 3] * 2
    ran.clear()
    made.score(strange)
    assert set(ran) == {0, 1, 2, 3}


def test_a_row_that_is_missing_costs_a_bounded_group(deep: Deep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk, "GROUP_TOKENS", GROUP_TOKENS)
    many = [row(f"many:{n}", [n % 250, *range(98)], [1]) for n in range(100)]
    network, tokens = tuned(deep("llama"), where="off").network, list[int]()
    frozen.settled(network, "memory", many, repeats=True)
    frozen.keep(network, "memory", many, key="tests", tell=pytest.fail)
    network.stages[0].layer.register_forward_hook(lambda module, given, out: tokens.append(out.shape[1]))
    network.hidden(layout(many[:1]))
    assert tokens and max(tokens) <= 2048


def test_memory_is_bounded_and_what_does_not_fit_is_computed(deep: Deep, ran: list[int]) -> None:
    made = tuned(deep("llama"))
    expected = [each.logprobs_S for each in made.score(ROWS)]
    made.network.trunk.keep(Memory(most_bytes=100), ROWS, share=True)
    ran.clear()
    for _ in range(2):
        assert all(np.array_equal(a, b.logprobs_S) for a, b in zip(expected, made.score(ROWS), strict=True))
    assert set(ran) == {0, 1, 2, 3} and isinstance(made.network.trunk.store, Memory)
    assert made.network.trunk.store.room.bytes == 0


def test_the_disk_is_bounded_over_all_runs_and_the_oldest_makes_room(deep: Deep, monkeypatch: Any) -> None:
    old = frozen.folder() / "another-run" / "old.safetensors"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"0" * 50_000)
    os.utime(old, (1, 1))
    monkeypatch.setattr(frozen, "DISK_BYTES", 60_000)
    made = tuned(deep("llama"), where="disk")
    expected = [numbers(tuned(deep("llama"), where="off"), batch) for batch in batches(made)]
    for batch, wanted in zip(batches(made), expected, strict=True):
        torch.testing.assert_close(numbers(made, batch), wanted, rtol=1e-5, atol=1e-5)
    for n in range(20):
        made.score([row(f"more:{n}", [9, 8, 7, n], [*range(40)])])
        assert sum(path.stat().st_size for path in frozen.folder().rglob("*") if path.is_file()) <= 61_000
    assert not old.exists()


def test_what_a_run_uses_is_touched_and_does_not_make_room_for_what_comes(deep: Deep, monkeypatch: Any) -> None:
    """Of files of the same folder, older than another run's: a run that thinks itself short takes the other's."""
    made = tuned(deep("llama"), where="disk")
    for batch in batches(made):
        numbers(made, batch)
    own = [*frozen.folder().rglob("*.safetensors")]
    for path in own:
        os.utime(path, (1, 1))
    for batch in batches(made):
        numbers(made, batch)
    assert own and all(path.stat().st_mtime > 1 for path in own)
    for path in own:
        os.utime(path, (1, 1))
    other = frozen.folder() / "another-run" / "newer.safetensors"
    other.parent.mkdir()
    other.write_bytes(b"0" * 50_000)
    monkeypatch.setattr(made.network.trunk.store, "_unseen", 0)
    monkeypatch.setattr(vars(made.network.trunk.store)["room"], "most_bytes", 50_000)
    made.score([row("more", [9, 8, 7], [*range(40)])])
    assert all(path.exists() for path in own) and not other.exists()


def test_states_on_disk_are_for_their_owner_alone(deep: Deep) -> None:
    frozen.folder().mkdir(parents=True, mode=0o755)
    frozen.folder().chmod(0o755)
    made = tuned(deep("llama"), where="disk")
    numbers(made, batches(made)[0])
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in frozen.folder().rglob("*")}
    assert modes == {True: 0o700, False: 0o600} and frozen.folder().stat().st_mode & 0o777 == 0o700


def test_the_disk_is_filled_to_half_of_what_is_free_at_most(deep: Deep, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other runs keep there already counts as free: it would make room."""
    network = fresh(deep("llama"), {"name": "last_layers", "layers": 1})
    monkeypatch.setattr(frozen, "MEMORY_BYTES", 0)
    groups = [[ROWS[place] for place in group] for group in neighbours(ROWS, 90)]
    size = sum(len(layout(group).tokens_T) for group in groups) * 32 * 4 + 512 * len(groups)
    usage, free = shutil.disk_usage("/"), 2 * size - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=free))
    assert frozen.settled(network, "auto", ROWS, repeats=True) == "off"
    with pytest.raises(Refused, match="that may be kept here"):
        frozen.settled(network, "disk", ROWS, repeats=True)
    kept_already = frozen.folder() / "another-run" / "old.safetensors"
    kept_already.parent.mkdir(parents=True)
    kept_already.write_bytes(b"00")
    assert frozen.settled(network, "auto", ROWS, repeats=True) == "disk"


def test_a_begun_run_keeps_states_wherever_they_fit_now(deep: Deep, monkeypatch: pytest.MonkeyPatch) -> None:
    network = fresh(deep("llama"), {"name": "last_layers", "layers": 1})
    for asked in ("memory", "disk", "off"):
        assert frozen.settled(network, asked, ROWS, repeats=True, begun=True) == asked
    monkeypatch.setattr(frozen, "MEMORY_BYTES", 10)
    assert frozen.settled(network, "memory", ROWS, repeats=True, begun=True) == "disk"
    monkeypatch.setattr(frozen, "DISK_BYTES", 10)
    with pytest.raises(Refused, match="free space on the disk"):
        frozen.settled(network, "memory", ROWS, repeats=True, begun=True)


def dropping(name: str, folder: Path, **changes: Any) -> Path:
    on = {"gpt2": {"attn_pdrop": 0.1}, "bert": {"hidden_dropout_prob": 0.1}, "llama": {"attention_dropout": 0.1}}
    return build(name, folder / name, **{**DEEP[name], **on[name], **changes})


def fresh(folder: Path, tuning: Any, where: str = "auto", **how: Any) -> Network:
    labels = LABELS if folder.name == "bert" else 0
    network = load(folder, Computing("float32", trunk=where, **how), Ending("labels", labels) if labels else Ending())
    course = Course(tunings.build(tuning), optimizers.build("adamw"), schedules.build("constant"), 1e-3, 9, seed=0)
    return TorchEngine(network, Renderer.open(folder), course).network


@pytest.mark.parametrize(("name", "kernels"), [("gpt2", False), ("bert", False), ("llama", False), ("llama", True)])
def test_dropout_in_the_trunk_is_refused_by_name_and_left_to_compute_by_auto(
    name: str, kernels: bool, tmp_path: Path
) -> None:
    folder = dropping(name, tmp_path, **(SIZES if kernels else {}))
    network = fresh(folder, {"name": "last_layers", "layers": 1}, kernels=kernels)
    for where in ("memory", "disk"):
        with pytest.raises(Refused, match="dropout is on in them"):
            frozen.settled(network, where, ROWS, repeats=True)
    assert frozen.settled(network, "auto", ROWS, repeats=True) == "off"
    assert network.trunk.depth == 0 and "3 lowest blocks are frozen, but computed each time" in network.trunk.notes[0]


def test_dropout_above_the_trunk_is_no_hindrance(deep: Deep) -> None:
    lora = {"name": "lora", "rank": 2, "dropout": 0.5, "targets": ["layers.3.mlp.down_proj"]}
    network = fresh(deep("llama"), lora)
    assert frozen.settled(network, "auto", ROWS, repeats=True) == "memory"
    assert network.trunk.depth == 3


def test_the_depth_is_where_learning_begins(deep: Deep) -> None:
    found = [
        frozen.probed(fresh(deep("llama"), tuning))[0]
        for tuning in ("lora", "full", {"name": "lora", "targets": ["layers.2.self_attn.q_proj"]})
    ]
    assert found == [0, 0, 2]
    with pytest.raises(Refused, match="learns in the lowest block"):
        frozen.settled(fresh(deep("llama"), "lora"), "memory", ROWS, repeats=True)
    network = fresh(deep("llama"), "lora")
    assert frozen.settled(network, "auto", ROWS, repeats=True) == "off" and network.trunk.notes == ()


def test_probing_leaves_the_network_and_the_random_state_as_they_were(tmp_path: Path) -> None:
    network = fresh(dropping("gpt2", tmp_path), {"name": "last_layers", "layers": 1})
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert frozen.probed(network) == (3, True)
    assert torch.equal(torch.get_rng_state(), before) and not network.training
    assert all(not stage.layer._forward_hooks for stage in network.stages)


def test_auto_pays_only_when_something_repeats_and_takes_the_disk_when_memory_is_short(
    deep: Deep, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh(deep("llama"), {"name": "last_layers", "layers": 1})
    assert frozen.settled(network, "auto", ROWS, repeats=False) == "off"
    shared = sum(len(layout([*ROWS[:4]]).tokens_T) for _ in [0]) * 32 * 4
    monkeypatch.setattr(frozen, "MEMORY_BYTES", shared // 4)
    assert frozen.settled(network, "auto", ROWS, repeats=True) == "disk"
    with pytest.raises(Refused, match="take more than"):
        frozen.settled(network, "memory", ROWS, repeats=True)
    monkeypatch.setattr(frozen, "DISK_BYTES", shared // 4)
    assert frozen.settled(network, "auto", ROWS, repeats=True) == "off"
    assert "take more than" in network.trunk.notes[0]


def test_no_pass_is_needed_where_the_lowest_block_learns(deep: Deep, monkeypatch: pytest.MonkeyPatch) -> None:
    network = fresh(deep("llama"), "lora")
    monkeypatch.setattr(network, "forest", None)
    assert frozen.probed(network) == (0, False)


def test_what_is_shared_counts_once_against_the_bound(deep: Deep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk, "GROUP_TOKENS", 10_000)
    monkeypatch.setattr(frozen, "GROUP_TOKENS", 10_000)
    alike = [row(f"alike:{n}", [*range(40, 90)], [n + 1]) for n in range(20)]
    laid = len(layout(alike).tokens_T)
    assert laid < len(alike[0].tokens) * 2
    network = fresh(deep("llama"), {"name": "last_layers", "layers": 1})
    monkeypatch.setattr(frozen, "MEMORY_BYTES", laid * 32 * 4)
    assert frozen.settled(network, "auto", alike, repeats=True) == "memory"
    monkeypatch.setattr(frozen, "MEMORY_BYTES", laid * 32 * 4 - 1)
    assert frozen.settled(network, "auto", alike, repeats=True) == "disk"


@pytest.mark.parametrize("name", ["t5", "bloom"])
def test_padded_bases_have_no_trunk(name: str, family: Deep) -> None:
    network = load(
        family(name), Computing("float32", trunk="auto"), Ending("labels", LABELS) if name == "t5" else Ending()
    )
    assert frozen.probed(network) == (0, False)
    with pytest.raises(Refused, match="cannot pack rows"):
        frozen.settled(network, "memory", ROWS, repeats=True)
    assert frozen.settled(network, "auto", ROWS, repeats=True) == "off"
    assert "no frozen block's output kept" in network.notes[0]


def test_a_base_whose_upper_blocks_read_more_than_the_states_is_found_out(
    deep: Deep, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh(deep("llama"), {"name": "last_layers", "layers": 1})
    left: dict[str, torch.Tensor] = {}
    lowest, highest = network.stages[0].plain, network.stages[3].plain

    def leaves(hidden: torch.Tensor, *args: Any, **more: Any) -> Any:
        left["by the lowest block"] = hidden
        return lowest(hidden, *args, **more)

    def reads(hidden: torch.Tensor, *args: Any, **more: Any) -> Any:
        return highest(hidden + left["by the lowest block"], *args, **more)

    monkeypatch.setattr(network.stages[0], "plain", leaves)
    monkeypatch.setattr(network.stages[3], "plain", reads)
    with pytest.raises(Refused, match="is not all that the blocks above it read"):
        frozen.settled(network, "memory", ROWS, repeats=True)


def test_paths_and_their_parts_hold_every_token_of_every_row() -> None:
    batch = layout(ROWS)
    for runs, each in zip(paths_of(batch), ROWS, strict=True):
        tokens = np.concatenate([batch.tokens_T[start:stop] for start, stop in runs])
        assert tokens.tolist() == each.tokens.tolist()
        for first in range(0, len(tokens), 3):
            for last in range(first + 1, len(tokens) + 1, 4):
                part = [batch.tokens_T[start:stop] for start, stop in between(runs, first, last)]
                assert np.concatenate(part).tolist() == each.tokens[first:last].tolist()


def test_a_digest_tells_tokens_and_segments_apart() -> None:
    other = replace(ROWS[0], tokens=ROWS[0].tokens[::-1])
    batches = [layout(ROWS[:1]), layout([other]), layout(ROWS), layout(ROWS, share=False), layout(ROWS[:-1])]
    assert len({digest(each) for each in batches}) == 5
    assert digest(layout([replace(each, id="other") for each in ROWS])) == digest(batches[2])
