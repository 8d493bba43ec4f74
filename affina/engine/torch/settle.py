"""What a recipe asks of the engine, settled for this machine and this run; the lock keeps it and a resume obeys it."""

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.recipe import Compute
from affina.engine.torch import native
from affina.engine.torch.fused.attach import FUSED
from affina.engine.torch.machine import device, fast_bf16

COMPILE_SECONDS = 25.0  # measured, SmolLM2-135M on 2 cores, nothing cached
COMPILE_SAVES = 0.12  # of a step; measured 12-17 % there
OF_NO_NAME = {"DistilBert": "TransformerBlock"}  # blocks whose class does not bear the family's name
SHARE_OF_PEAK = 0.5  # of the rate of a large product that a whole step reaches without fused blocks
ROOM = 0.6  # of the free memory that activations may fill before they are computed again instead of kept
COPIES = 3.0  # of the weights' bytes that a network takes beside activations: itself, and laid out for both directions
BYTES_KEPT = (34, 8)  # per token and block, times the width and the inner width: what a block keeps for backward
SIZES = (
    ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    ("hidden_size", "n_embd", "d_model", "dim"),
    ("intermediate_size", "n_inner", "ffn_dim", "d_ff", "d_inner", "hidden_dim", "encoder_ffn_dim"),
)
"""Blocks, width and inner width, by the names that configurations give them; an inner width not named is 4 widths."""


@dataclass(frozen=True, slots=True)
class Work:
    """How much a run is: tokens of all its steps, tokens of its largest micro-batch, and the base's folder."""

    tokens: int
    largest: int
    base: Path
    fuses: Callable[[bool], bool] = lambda after_sums: True
    """Of what learns; see `Tuning.fuses`."""


def settled_on(asked: Compute, work: Work | None = None) -> Computing:
    """Nothing left to `auto`. Without `work` (a model that is only asked) what only pays in training is off.

    Raises Refused for what is asked for and cannot be had here.
    """
    precision = asked.precision if asked.precision != "auto" else "bf16" if fast_bf16() else "float32"
    if asked.masters == "bf16" and precision != "bf16":
        why = f"products are {precision} here, and take no bf16 weights"
        raise Refused("train.compute.masters: bf16", why, "set train.compute.precision: bf16, or leave it out")
    if asked.packing == "off" and (unused := [each for each in ("kernels", "compile") if getattr(asked, each) == "on"]):
        what, why = f"train.compute.{unused[0]}: on", "with packing: off the blocks are the library's, as they are"
        raise Refused(what, why, "leave one of the two settings out")
    kernels = _kernels(asked.kernels)
    return Computing(
        precision,
        packing=asked.packing != "off",
        head=asked.head,
        kernels=kernels,
        compile=asked.packing != "off" and _compiled(asked.compile, precision, work, kernels),
        checkpoint=asked.checkpoint == "on" or (asked.checkpoint == "auto" and work is not None and _crowded(work)),
        trunk=asked.trunk if work is not None else "off",  # `auto` is settled by `frozen`, once it is known what learns
        masters=asked.masters,
    )


def _kernels(asked: str) -> bool:
    if asked == "off" or device().type != "cpu":
        return asked != "off"  # an accelerator's attention needs no compiler here
    if asked == "on" and native.library() is None:
        raise Refused("train.compute.kernels: on", native.reason(), "install a C++ compiler, or leave the setting out")
    return native.library() is not None


def _compiled(asked: str, precision: str, work: Work | None, kernels: bool) -> bool:
    if asked == "on" and device().type == "cpu" and not native.compiler():
        raise Refused("train.compute.compile: on", "no C++ compiler was found", "install one, or leave the setting out")
    if asked != "auto" or work is None:
        return asked == "on"
    if kernels and device().type == "cpu" and _fused(work):
        return False  # none of its blocks is left to compile
    possible = device().type != "cpu" or bool(native.compiler())
    return possible and _seconds(work, precision) * COMPILE_SAVES > COMPILE_SECONDS


def _fused(work: Work) -> bool:
    """Whether the base's family is one whose blocks have a fused form, and what learns leaves them in it."""
    config = json.loads((work.base / "config.json").read_text(encoding="utf-8"))
    named, *_ = config.get("architectures") or [""]
    name = named.partition("For")[0].removesuffix("Model").removesuffix("LMHead").removesuffix("Text")
    classes = (
        *(f"{name}{kind}" for kind in ("DecoderLayer", "EncoderLayer", "Block", "Layer")),
        OF_NO_NAME.get(name, ""),
    )
    return any(each in FUSED and work.fuses(FUSED[each].after_sums) for each in classes)


def _seconds(work: Work, precision: str) -> float:
    """About how long the run's matrix products take: 6 operations per weight and token, at the rate measured now."""
    weights = sum(file.stat().st_size for file in work.base.glob("*.safetensors")) / 2
    return 6 * weights * work.tokens / (SHARE_OF_PEAK * _rate(torch.bfloat16 if precision == "bf16" else torch.float32))


def _rate(dtype: torch.dtype, size: int = 1024) -> float:
    """Operations per second of a product of two square matrices."""
    left, right = (torch.randn(size, size, device=device()).to(dtype) for _ in range(2))
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        float((left @ right)[0, 0])  # reading a number waits for an accelerator
        taken.append(time.perf_counter() - started)
    return 2 * size**3 / median(taken)


def _crowded(work: Work) -> bool:
    """Whether what all blocks keep of the largest micro-batch would not leave room in the memory that is free."""
    config = json.loads((work.base / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config")
    parts = [text, config] if isinstance(text, dict) else [config]
    layers, width, inner = (
        next((part[name] for part in parts for name in names if isinstance(part.get(name), int)), 0) for names in SIZES
    )
    kept = work.largest * layers * (BYTES_KEPT[0] * width + BYTES_KEPT[1] * (inner or 4 * width))
    weights = sum(file.stat().st_size for file in work.base.glob("*.safetensors"))
    return bool(kept > ROOM * (_free() - COPIES * weights))


def _free() -> int:
    """Bytes of memory that are free on the device."""
    if device().type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    info = Path("/proc/meminfo")
    told = info.read_text(encoding="ascii") if info.exists() else ""
    limit = Path("/sys/fs/cgroup/memory.max")  # a container's own limit
    most = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
    if found := re.search(r"^MemAvailable:\s+(\d+) kB", told, re.MULTILINE):
        return min(int(found[1]) * 1024, int(most) if most.isdecimal() else 2**63)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
