"""A look at files as one self-contained HTML page: no script, nothing fetched, all data escaped."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from markupsafe import Markup

from affina.data.looked import parts
from affina.evaluation import svg
from affina.evaluation.report import number, rendered

CLASSES = 40
"""Classes that have a bar; of more, the number is told."""
COLUMNS = 60
NAMED = {"shortest": "least", "5 %": "low", "half": "half", "95 %": "high", "longest": "most", "mean": "mean"}
"""What a length is called in the summary's figures."""


def page(seen: Mapping[str, Any]) -> str:
    """The page, in UTF-8, of what `data_look` returns; its size hardly grows with the data."""
    files = [*seen["files"]]
    return rendered(
        "look.html.jinja",
        seen=seen,
        name=", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "") or "no file",
        recipe=yaml.safe_dump({"data": seen["recipe"]}, sort_keys=False, allow_unicode=True) if seen["shape"] else "",
        charts=[*_charts(seen["lengths"])],
        classes=_shares([*seen["classes"].items()][:CLASSES], sum(seen["classes"].values())),
        languages=[
            ("Languages", _spoken(seen["languages"])),
            ("Languages of answers", _spoken(seen["answer_languages"])),
        ],
        columns=[*seen["columns"].items()][:COLUMNS],
        ledger=[*_ledger(seen["ledger"])],
        samples=[(each["id"], [*parts(each)]) for each in seen["samples"]],
    )


def _charts(lengths: Mapping[str, Any]) -> Iterator[tuple[str, str, Markup]]:
    """Title, figures in words and picture of each kind of length."""
    for what, found in lengths.items():
        told = ", ".join(f"{name} {number(found[key])}" for name, key in NAMED.items())
        mark = svg.Mark((found["half"], 0.0), f"half: up to {number(found['half'])}")
        yield what, told, svg.histogram(f"{what}: how many have which length", found["bins"], [mark])


def _spoken(found: Mapping[str, int] | None) -> list[tuple[str, int, float]]:
    named = [(name or "not certain", texts) for name, texts in (found or {}).items()]
    return _shares(named, sum(texts for _, texts in named))


def _shares(counted: Sequence[tuple[str, int]], total: int) -> list[tuple[str, int, float]]:
    """Words with the share of all; a bar is as long as its share of the longest one's."""
    most = max((times for _, times in counted), default=1)
    return [(f"{name} · {100 * times / total:.1f} %", times, 100 * times / most) for name, times in counted]


def _ledger(ledger: Mapping[str, Any]) -> Iterator[tuple[str, int, float, str]]:
    """(words, rows, share of what was read, style)."""
    read = max(ledger["read"], 1)
    yield "read", ledger["read"], 100.0 if ledger["read"] else 0.0, "read"
    yield "can be used", ledger["used"]["all"], 100 * ledger["used"]["all"] / read, "used"
    for reason, rows in ledger["quarantined"]["reasons"].items():
        yield f"quarantined: {reason}", rows, 100 * rows / read, "quarantined"
