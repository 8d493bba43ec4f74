"""Checkpoints come back to the bit, and one that does not fit or is damaged changes nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from affina.core.atomic import damage
from affina.core.errors import Failed
from affina.engine.torch.checkpoint import (
    OPTIMIZER,
    STEP,
    TRAINED,
    digest,
    load_checkpoint,
    load_trained,
    save_checkpoint,
)  # fmt: skip
from affina.engine.torch.tensor_file import write

Trained = tuple[dict[str, torch.nn.Parameter], torch.optim.Optimizer]


def trained(steps: int, seed: int = 0) -> Trained:
    """Two tensors and a fused AdamW after some steps on seeded gradients."""
    draw = torch.Generator().manual_seed(seed)
    shapes = {"layer.a/odd": (3, 4), "b": (5,)}
    named = {name: torch.nn.Parameter(torch.randn(shape, generator=draw)) for name, shape in shapes.items()}
    optimizer = torch.optim.AdamW(named.values(), lr=0.1, fused=True)
    advance((named, optimizer), steps)
    return named, optimizer


def advance(given: Trained, steps: int, seed: int = 1) -> None:
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for each in given[0].values():
            each.grad = torch.randn(each.shape, generator=draw)
        given[1].step()


def same(a: Trained, b: Trained) -> bool:
    weights = all(torch.equal(each, b[0][name]) for name, each in a[0].items())
    return weights and all(
        torch.equal(value, b[1].state[b[0][name]][key])
        for name, each in a[0].items()
        for key, value in a[1].state[each].items()
    )


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_weights_and_optimizer_come_back_to_the_bit_and_go_on_alike(steps: int, tmp_path: Path) -> None:
    saved, loaded = trained(steps), trained(2, seed=9)
    save_checkpoint(tmp_path / "c", *saved, step=steps)
    assert load_checkpoint(tmp_path / "c", *loaded) == (steps, {})
    assert same(saved, loaded) and len(loaded[1].state) == (2 if steps else 0)
    advance(saved, 2, seed=3)
    advance(loaded, 2, seed=3)
    assert same(saved, loaded)


def test_a_checkpoint_is_sealed_and_says_its_digest(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", *trained(1), step=1)
    assert damage(tmp_path / "c") == ""
    assert {path.name for path in (tmp_path / "c").iterdir()} == {TRAINED, OPTIMIZER, STEP, "manifest.json"}
    assert digest(tmp_path / "c") == json.loads((tmp_path / "c" / "manifest.json").read_text())[TRAINED]
    other = trained(1)
    other[0]["b"].data[0] += 1
    save_checkpoint(tmp_path / "d", *other, step=1)
    assert digest(tmp_path / "c") != digest(tmp_path / "d")


def test_saving_again_replaces_the_whole(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", *trained(1), step=1)
    save_checkpoint(tmp_path / "c", *trained(2), step=2)
    loaded = trained(0)
    assert load_checkpoint(tmp_path / "c", *loaded) == (2, {}) and same(trained(2), loaded)


def test_tensors_of_any_memory_layout_are_saved_as_they_read(tmp_path: Path) -> None:
    tensor = torch.arange(12.0).reshape(3, 4).T
    written = {str(dtype): tensor.to(dtype) for dtype in (torch.float32, torch.bfloat16, torch.int8, torch.uint8)}
    write(written, tmp_path / "t.safetensors")
    read = load_file(tmp_path / "t.safetensors")
    assert read.keys() == written.keys()
    assert all(torch.equal(read[name], each) and read[name].dtype == each.dtype for name, each in written.items())


Change = Callable[[dict[str, torch.Tensor]], object]


def rewritten(file: Path, change: Change) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.update({"b": torch.zeros(6)}),
        lambda tensors: tensors.update({"c": torch.zeros(5)}),
        lambda tensors: tensors.pop("b"),
        lambda tensors: tensors.update({"c": tensors.pop("b")}),
    ],
    ids=["shape", "more", "fewer", "renamed"],
)
def test_tensors_of_another_model_are_refused_and_nothing_moves(change: Change, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", *trained(1), step=1)
    rewritten(tmp_path / "c" / TRAINED, change)
    loaded, twin = trained(2, seed=9), trained(2, seed=9)
    with pytest.raises(Failed, match="does not fit this model"):
        load_checkpoint(tmp_path / "c", *loaded)
    with pytest.raises(Failed, match="does not fit this model"):
        load_trained(tmp_path / "c", loaded[0])
    assert same(loaded, twin)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.update({"c/exp_avg": torch.zeros(5)}),
        lambda tensors: tensors.update({"b/exp_avg": torch.zeros(6)}),
    ],
    ids=["unknown tensor", "shape"],
)
def test_an_optimizer_state_of_another_model_is_refused_and_nothing_moves(change: Change, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", *trained(1), step=1)
    rewritten(tmp_path / "c" / OPTIMIZER, change)
    loaded, twin = trained(2, seed=9), trained(2, seed=9)
    with pytest.raises(Failed, match="does not fit this model"):
        load_checkpoint(tmp_path / "c", *loaded)
    assert same(loaded, twin)


@pytest.mark.parametrize("name", [TRAINED, OPTIMIZER, STEP])
@pytest.mark.parametrize("how", ["cut", "absent"])
def test_a_damaged_file_fails_in_a_sentence_and_nothing_moves(name: str, how: str, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", *trained(1), step=1)
    path = tmp_path / "c" / name
    path.write_bytes(path.read_bytes()[:-3]) if how == "cut" else path.unlink()
    loaded, twin = trained(2, seed=9), trained(2, seed=9)
    with pytest.raises(Failed, match=f"{name} cannot be read.*the checkpoint before"):
        load_checkpoint(tmp_path / "c", *loaded)
    assert same(loaded, twin)
