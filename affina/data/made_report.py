"""What came of making rows: counts by reason, samples of both, and what the rows themselves verify."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

SAMPLES, OF_A_REASON = 30, 3
"""Kept rows shown; rejected ones shown for each reason."""


def counted(kept: Iterable[Mapping[str, Any]], rejected: Iterable[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """Totals, reasons (commonest first), by whom rows were written, filters passed, samples drawn by the seed, and
    `spans`: of how many rows with a context every answer stands in it where it is said to, looked up anew."""
    rows, draws = [*kept], random.Random(seed)
    by = {row["made"]["by"]: {"kept": 0, "rejected": 0} for row in rows if "by" in row["made"]}
    reasons: Counter[str] = Counter()
    examples: dict[str, list[Mapping[str, Any]]] = {}
    for row in rejected:
        reasons[row["rejected"]] += 1
        if "by" in row["made"]:
            by.setdefault(row["made"]["by"], {"kept": 0, "rejected": 0})["rejected"] += 1
        held = examples.setdefault(row["rejected"], [])
        if len(held) < OF_A_REASON:
            held.append(row)
        elif (place := draws.randrange(reasons[row["rejected"]])) < OF_A_REASON:
            held[place] = row
    for row in rows:
        if "by" in row["made"]:
            by[row["made"]["by"]]["kept"] += 1
    tried = len(rows) + reasons.total()
    spanned = [_spans(row) for row in rows if "context" in row]
    return {
        "kept": len(rows),
        "tried": tried,
        "yield": round(len(rows) / tried, 4) if tried else 0.0,
        "spans": {"rows": len(spanned), "right": sum(spanned)},
        "by": by,
        "passed": dict(Counter(name for row in rows for name in row["made"]["passed"])),
        "rejected": dict(reasons.most_common()),
        "examples": {reason: examples[reason] for reason, _ in reasons.most_common()},
        "samples": draws.sample(rows, min(SAMPLES, len(rows))),
    }


def page(name: str, report: Mapping[str, Any]) -> str:
    """The report as one HTML page that needs nothing else."""
    writing = Environment(
        loader=PackageLoader("affina", "data"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = [(_told(row), row["made"]) for row in report["samples"]]
    reasons = [
        (reason, times, [_told(row) for row in report["examples"][reason]])
        for reason, times in report["rejected"].items()
    ]
    return writing.get_template("made.html.jinja").render(name=name, report=report, samples=shown, reasons=reasons)


def _spans(row: Mapping[str, Any]) -> bool:
    answers = row["answers"]
    return bool(answers["text"]) and all(
        row["context"][start : start + len(text)] == text
        for text, start in zip(answers["text"], answers["answer_start"], strict=True)
    )


def _told(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row's columns as they are shown, an answer by its text alone."""
    told = {}
    for key, value in row.items():
        if key not in ("made", "rejected", "id"):
            told[key] = ", ".join(value["text"]) if isinstance(value, Mapping) else str(value)
    return [*told.items()]
