"""Trainable tensors and optimizer state on disk, as safetensors in a sealed folder, exact to the bit."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from affina.core.atomic import sealed, sha256
from affina.core.errors import Failed

TRAINED, OPTIMIZER, STEP = "trained.safetensors", "optimizer.safetensors", "step.json"


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """One safetensors file. Raises OSError when the disk refuses."""
    path.write_bytes(save({name: each.detach().cpu().contiguous() for name, each in tensors.items()}))


def save_checkpoint(
    folder: Path, trained: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Everything `load` needs. Raises Failed when the disk refuses; an older checkpoint then stands."""
    names = {each: name for name, each in trained.items()}
    state = {
        f"{names[parameter]}/{key}": value
        for parameter, values in optimizer.state.items()
        for key, value in values.items()
    }
    with sealed(folder) as aside:
        save_tensors(trained, aside / TRAINED)
        save_tensors(state, aside / OPTIMIZER)
        (aside / STEP).write_text(json.dumps({"step": step}), encoding="utf-8")


def load_trained(folder: Path, trained: Mapping[str, torch.Tensor]) -> None:
    """Copies a checkpoint's trained tensors into these. Raises Failed when names or shapes differ."""
    saved = _read(folder / TRAINED)
    shapes, expected = ({name: each.shape for name, each in given.items()} for given in (saved, trained))
    _fits(folder, [name for name in {*saved, *trained} if shapes.get(name) != expected.get(name)])
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(saved[name])


def load_checkpoint(folder: Path, trained: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    """Puts trained tensors and optimizer state back; returns the step. Raises Failed when they do not fit."""
    state, step = _read(folder / OPTIMIZER), _step(folder / STEP)
    owners = {name: trained.get(name.rpartition("/")[0]) for name in state}
    scalars = {name for name in state if name.endswith("/step")}
    _fits(folder, [name for name, owner in owners.items() if not _belongs(state[name], owner, name in scalars)])
    load_trained(folder, trained)
    optimizer.state.clear()
    for name, value in state.items():
        owner, _, key = name.rpartition("/")
        optimizer.state[trained[owner]][key] = value.to(trained[owner].device)  # a fused step count too
    return step


def digest(folder: Path) -> str:
    """SHA-256 of the trained tensors' file: what `weights_sha256` reports."""
    return sha256(folder / TRAINED)


def _belongs(value: torch.Tensor, owner: torch.Tensor | None, scalar: bool) -> bool:
    return owner is not None and (scalar or value.shape == owner.shape)


def _fits(folder: Path, differing: list[str]) -> None:
    if differing:
        raise Failed(
            f"{folder} does not fit this model",
            why=f"{len(differing)} tensors differ in name or shape, {min(differing)} among them",
            instead="use the recipe and base it was made with",
        )


def _step(path: Path) -> int:
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> Failed:
    return Failed(f"{path} cannot be read", why=str(error), instead="use the checkpoint before it")
