"""Where float32 products round alike however many rows there are."""

from pathlib import Path

import pytest
import torch

INFO = Path("/proc/cpuinfo")
KNOWN = INFO.is_file() and "AuthenticAMD" in INFO.read_text(encoding="utf-8") and torch.backends.mkl.is_available()
rounds_alike = pytest.mark.skipif(
    not KNOWN, reason="how many rows MKL computes at once was found on AMD's processors alone"
)
