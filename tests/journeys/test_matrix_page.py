"""The page of what goes together says what the code does: every cell there, and the same when computed again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from affina.core.kinds import architectures, objectives, tunings

PAGE = Path(__file__).parents[2] / "docs" / "matrix.md"
Cell = tuple[str, str, str]


def verdicts(page: str) -> dict[Cell, str]:
    """Every cell (task, tuning, architecture) of a page, with the sentence of a refusal in place of its number."""
    found = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        task, lines = part.split("\n", 1)[0], part.splitlines()
        notes = dict(re.findall(r"^(\d+)\. (.+)$", part, re.MULTILINE))
        rows = [[each.strip() for each in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
        for tuning, *cells in rows[1:]:
            for family, cell in zip(rows[0][1:], cells, strict=True):
                verdict, _, note = cell.partition(" ")
                found[task, tuning, family] = f"refused: {notes[note]}" if verdict == "refused" else verdict
    return found


def test_the_page_has_every_cell_and_none_is_blank() -> None:
    found = verdicts(PAGE.read_text(encoding="utf-8"))
    product = {(t, w, a) for t in objectives.names() for w in tunings.names() for a in architectures.names()}
    assert {*found} == product
    assert {verdict.partition(":")[0] for verdict in found.values()} <= {"works", "refused", "**fails**"}


def computed(family: str, processor: int, folder: Path) -> dict[Cell, str]:
    """One architecture's cells, in a process of its own on one processor, as the page was made."""
    page = folder / f"{family}.md"
    arguments = ["--architecture", family, "--markdown", str(page), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "affina.cli.main", "matrix", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "AFFINA_CACHE": str(folder / family)},
        preexec_fn=lambda: os.sched_setaffinity(0, {processor}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert page.is_file(), done.stderr
    return verdicts(page.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("family", architectures.names())
def test_every_cell_computed_again_says_what_the_page_says(family: str, tmp_path: Path) -> None:
    """Which cells just fail is a matter of the last digit: another processor may move one in fifty."""
    told = {cell: verdict for cell, verdict in verdicts(PAGE.read_text(encoding="utf-8")).items() if cell[2] == family}
    mine = sorted(os.sched_getaffinity(0))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    found = computed(family, mine[worker % len(mine)], tmp_path)
    assert found.keys() == told.keys()
    others = {cell: (told[cell], found[cell]) for cell in told if told[cell] != found[cell]}
    assert not {cell: pair for cell, pair in others.items() if "refused" in pair[0] + pair[1]}
    assert len(others) <= len(told) / 50, others
