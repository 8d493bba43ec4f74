"""The page of what goes together says what the code does: recomputed whole, verdict by verdict."""

import multiprocessing
import re
from pathlib import Path
from typing import Any

import pytest

import affina
from affina.cli import matrix as printed
from affina.core.kinds import architectures, objectives, tunings

PAGE = Path(__file__).parents[2] / "docs" / "matrix.md"
KNOWN: dict[tuple[str, str, str], str] = {}
"""Cells (task, tuning, architecture) that fail, and why they may."""


def verdicts(page: str) -> dict[tuple[str, str, str], str]:
    """Every cell of a page, with the sentence of a refusal in place of its number."""
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


def column(family: str) -> list[dict[str, Any]]:
    return list(affina.matrix(architecture=family)["cells"])


@pytest.mark.slow
def test_the_page_has_every_cell_and_none_that_fails_unexplained() -> None:
    found = verdicts(PAGE.read_text(encoding="utf-8"))
    product = {(t, w, a) for t in objectives.names() for w in tunings.names() for a in architectures.names()}
    assert {*found} == product
    assert {cell for cell, verdict in found.items() if verdict == "**fails**"} == {*KNOWN}
    assert {verdict.partition(":")[0] for verdict in found.values()} <= {"works", "refused", "**fails**"}


@pytest.mark.slow
def test_the_page_is_what_the_runs_say() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        cells = [cell for column_cells in pool.map(column, architectures.names(), 1) for cell in column_cells]
    assert verdicts(printed.markdown({"cells": cells})) == verdicts(PAGE.read_text(encoding="utf-8"))
