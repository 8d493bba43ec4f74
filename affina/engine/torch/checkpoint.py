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
    differing = sorted(name for name in {*saved, *trained} if shapes.get(name) != expected.get(name))
    if differing:
        raise Failed(
            f"{folder} does not fit this model",
            why=f"{len(differing)} tensors differ in name or shape, {differing[0]} among them",
            instead="use the recipe and base it was made with",
        )
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(saved[name])


def load_checkpoint(folder: Path, trained: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    """Puts trained tensors and optimizer state back; returns the step. Raises Failed when they do not fit."""
    load_trained(folder, trained)
    optimizer.state.clear()
    for name, value in _read(folder / OPTIMIZER).items():
        owner, _, key = name.rpartition("/")
        moved = value if key == "step" else value.to(trained[owner].device)
        optimizer.state[trained[owner]][key] = moved
    return int(json.loads((folder / STEP).read_text(encoding="utf-8"))["step"])


def digest(folder: Path) -> str:
    """SHA-256 of the trained tensors' file: what `weights_sha256` reports."""
    return sha256(folder / TRAINED)


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise Failed(f"{path} cannot be read", why=str(error), instead="use the checkpoint before it") from error
