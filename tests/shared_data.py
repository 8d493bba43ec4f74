"""Where real public data lies for tests: `$AFFINA_SHARED`, else `../shared` beside the repository."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("AFFINA_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def shared(*parts: str) -> Path:
    """A file or folder below the shared root. Skips the test, saying what is absent."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent: set AFFINA_SHARED to the folder of shared data")
    return path
