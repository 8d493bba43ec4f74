"""Pythons of their own for other tools' packages, which are no dependencies of affina."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def own_python(config: pytest.Config, package: str, version: str) -> Path:
    """The interpreter of an environment with this package, made once and kept with pytest's cache; skips where it
    cannot be installed."""
    assert config.cache is not None
    kept = config.cache.mkdir(f"{package}-{version}")
    python = kept / "venv" / "bin" / "python"
    if not (kept / "whole").exists():
        shutil.rmtree(kept / "venv", ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(kept / "venv")], check=True, timeout=120)
        install = [str(python), "-m", "pip", "install", "--quiet", f"{package}=={version}"]
        done = subprocess.run(install, capture_output=True, text=True, timeout=900)
        if done.returncode:
            pytest.skip(f"{package} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        (kept / "whole").touch()
    return python
