"""Trainable tensors and optimizer state on disk, as safetensors in a sealed folder, exact to the bit."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from affina.core.atomic import sealed, sha256
from affina.core.errors import Failed
from affina.engine.torch import tensor_file
from affina.engine.torch.tensorwise import TensorWise

TRAINED, OPTIMIZER, STEP = "trained.safetensors", "optimizer.safetensors", "step.json"
LEARNING = "learning.safetensors"
"""Where an average is what is measured and released: the weights that go on learning, and TRAINED is the average."""


def save_checkpoint(
    folder: Path,
    trained: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    step: int,
    average: Mapping[str, torch.Tensor] | None = None,
    known: Mapping[str, float] | None = None,
) -> None:
    """Everything `load` needs; `known` is what the objective knows. Raises Failed when the disk refuses; an older
    checkpoint then stands."""
    names = {each: name for name, each in trained.items()}
    state = {
        f"{names[parameter]}/{key}": value
        for parameter, values in optimizer.state.items()
        for key, value in values.items()
    }
    with sealed(folder) as aside:
        tensor_file.write(trained if average is None else average, aside / TRAINED)
        if average is not None:
            tensor_file.write(trained, aside / LEARNING)
        tensor_file.write(state, aside / OPTIMIZER)
        (aside / STEP).write_text(json.dumps({"step": step, "known": {**(known or {})}}), encoding="utf-8")


def load_trained(folder: Path, trained: Mapping[str, torch.Tensor], file: str = TRAINED) -> None:
    """Copies a checkpoint's trained tensors into these. Raises Failed when names or shapes differ."""
    with _reading(folder / file) as saved:
        _fits(folder, sorted(name for name in {*saved.names, *trained} if not _same(saved, name, trained.get(name))))
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(saved.read(name))


def load_checkpoint(
    folder: Path,
    trained: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: Mapping[str, torch.Tensor] | None = None,
) -> tuple[int, dict[str, float]]:
    """Puts trained tensors, their average and optimizer state back; returns the step and what the objective knew.

    Raises Failed when they do not fit.
    """
    step, known = _step(folder / STEP)
    with _reading(folder / OPTIMIZER) as saved:
        _fits(folder, [name for name in saved.names if not _belongs(saved, name, trained, optimizer)])
        load_trained(folder, trained, TRAINED if average is None else LEARNING)
        if average is not None:
            load_trained(folder, average)
        optimizer.state.clear()
        for name in sorted(saved.names):
            owner, _, key = name.rpartition("/")
            value = saved.read(name).to(trained[owner].device, copy=True)  # a fused step count too
            optimizer.state[trained[owner]][key] = value
    return step, known


def digest(folder: Path) -> str:
    """SHA-256 of the trained tensors' file: what `weights_sha256` reports."""
    return sha256(folder / TRAINED)


def _same(saved: tensor_file.Tensors, name: str, tensor: torch.Tensor | None) -> bool:
    return name in saved.names and tensor is not None and saved.shape(name) == tensor.shape


def _belongs(
    saved: tensor_file.Tensors,
    name: str,
    trained: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> bool:
    """Whether a state is of a tensor that trains, and of the shape its optimizer gives it.

    Torch's own optimizers keep a count of steps without axes, and all else in the tensor's shape.
    """
    owner, _, key = name.rpartition("/")
    if owner not in trained:
        return False
    if isinstance(optimizer, TensorWise):
        return saved.shape(name) == optimizer.shapes(trained[owner]).get(key)
    return saved.shape(name) == (torch.Size() if key == "step" else trained[owner].shape)


def _fits(folder: Path, differing: list[str]) -> None:
    if differing:
        raise Failed(
            f"{folder} does not fit this model",
            why=f"{len(differing)} tensors differ in name or shape, {min(differing)} among them",
            instead="use the recipe and base it was made with",
        )


def _step(path: Path) -> tuple[int, dict[str, float]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return int(found["step"]), dict(found.get("known", {}))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


@contextmanager
def _reading(path: Path) -> Iterator[tensor_file.Tensors]:
    try:
        with tensor_file.reading(path) as tensors:
            yield tensors
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> Failed:
    return Failed(f"{path} cannot be read", why=str(error), instead="use the checkpoint before it")
