"""The benchmarks are scripts in one folder; here they are imported from it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = str(Path(__file__).parents[2] / "benchmarks")
sys.path.append(SCRIPTS)


@pytest.fixture
def own_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test adds to the import path is gone after it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
