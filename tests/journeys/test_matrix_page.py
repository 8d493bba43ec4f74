"""The page of what goes together says what the code does: every cell there, a spread of them computed again."""

import os
import re
from pathlib import Path

import pytest

import affina
from affina.cli import matrix as printed
from affina.core.kinds import architectures, objectives, tunings

PAGE = Path(__file__).parents[2] / "docs" / "matrix.md"
EVERY = 83  # a prime: of the page's cells every so manieth, through all tasks, tunings and architectures
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


@pytest.mark.slow
def test_cells_computed_again_say_what_the_page_says(tmp_path: Path) -> None:
    """On one processor, as the page was made: which cells only just fail is a matter of the last digit."""
    import torch

    told = verdicts(PAGE.read_text(encoding="utf-8"))
    threads, processors = torch.get_num_threads(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    try:
        for task, tuning, family in sorted(told)[::EVERY]:
            if told[task, tuning, family] == "**fails**":
                continue
            made = affina.matrix(task=task, tuning=tuning, architecture=family, out=tmp_path)
            again = verdicts(printed.markdown(made))
            assert again == {(task, tuning, family): told[task, tuning, family]}
    finally:
        os.sched_setaffinity(0, processors)
        torch.set_num_threads(threads)
