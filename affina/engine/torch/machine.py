"""What the processor offers, looked up: the device, bf16 arithmetic."""

import platform
from functools import cache
from pathlib import Path

import torch


@cache
def device() -> torch.device:
    """The accelerator where there is one, the processor otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def fast_bf16() -> bool:
    """Whether bf16 matrix products run in hardware: on x86 AVX512-BF16 or AMX, on ARM the bf16 extension."""
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if platform.machine() == "arm64" and platform.system() == "Darwin":
        return False
    info = Path("/proc/cpuinfo")
    words = set(info.read_text(encoding="utf-8").split()) if info.exists() else set()
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})
