"""The page about looking at data shows what the command prints today."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from affina.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "data_look.md"
ANSWERS = "\n".join(["input,target", *(f"some words of row {n},{('yes', 'no')[n % 2]}" for n in range(12))])


def written(mark: str) -> tuple[str, str]:
    """The command that a block shows, and what it prints."""
    block = re.search(
        rf"<!-- {mark} -->\n```\n\$ (.*?)\n(.*?)```\n<!-- /{mark} -->", PAGE.read_text("utf-8"), re.DOTALL
    )
    assert block is not None
    return block[1], block[2]


def printed(command: str) -> str:
    """Both streams, as a terminal shows them; a line is cut where it is very long."""
    held = io.StringIO()
    with contextlib.redirect_stdout(held), contextlib.redirect_stderr(held):
        main(command.split()[1:])
    return held.getvalue()


@pytest.mark.parametrize("mark", ["look", "two"])
def test_the_page_shows_what_the_command_prints(mark: str, tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("py3langid")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "answers.csv").write_text(ANSWERS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command, shown = written(mark)
    assert printed(command) == shown
