"""What the machine offers is looked up once and obeyed."""

import os
from pathlib import Path

import pytest
import torch

from affina.engine.torch import machine


def test_the_device_is_the_accelerator_where_there_is_one() -> None:
    assert machine.device() == torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assert machine.device() is machine.device()


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists() or torch.cuda.is_available(), reason="looks at /proc/cpuinfo")
def test_bf16_is_fast_where_torch_multiplies_it_in_hardware() -> None:
    # torch's own look at the processor (cpuinfo library), an implementation that reads no file.
    capable = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if os.uname().machine == "x86_64":
        assert machine.fast_bf16() == capable
