"""The card of a release, as Markdown and JSON: data, intended use, limits, evaluation, bias, energy and the points of
the AI Act's technical documentation, from what was measured; what only a person knows is marked."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affina.core.atomic import damage, sealed, write_text
from affina.evaluation.report_markdown import escaped
from affina.release.annex import INCOMPLETE, POINTS
from affina.release.artefact import alone
from affina.release.facts import BLANK, FILES, Facts, pretty
from affina.store.artefact import CARD, intact
from affina.store.place import Place
from affina.store.registry import Registry
from affina.store.versions import Version

JSON, MARKDOWN = "card.json", "card.md"
DECIDED = ("release", "approve", "promote", "rollback")


def carded(registry: Registry, place: Place, release: str) -> None:
    """Writes the card of every version of a release whose card is not what registry and folder say; none from files
    that are not what was released."""
    for version in registry.versions(release):
        folder = place.of(version)
        if not intact(folder, version.digest, FILES) or _same(folder / CARD, _written(registry, version, folder)):
            continue
        with alone(folder.parent):
            files = _written(registry, registry.version(version.name), folder)  # another process may have decided since
            for left in folder.glob(f".{CARD}.*"):
                shutil.rmtree(left)
            with sealed(folder / CARD) as aside:
                for name, text in files.items():
                    write_text(aside / name, text)


def _written(registry: Registry, version: Version, folder: Path) -> dict[str, str]:
    plain = card(folder, version, registry.log(version.name))
    return {JSON: pretty(plain) + "\n", MARKDOWN: markdown(plain)}


def card(folder: Path, version: Version, log: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """{"release", "id", "stage", "verdict", "override", "decisions", "sections", "annex_iv"}."""
    facts = Facts(folder)
    unfair = facts.suites(unfair=True)
    sections = {
        "Data": facts.data(),
        "Intended use": [*facts.task(), f"who it is for and what it must not be used for: {BLANK}"],
        "Limits": facts.limits(),
        "Evaluation": [*facts.evaluation(), *facts.suites(unfair=False)],
        "Bias": unfair or [f"not measured in this run. {BLANK}"],
        "Energy": facts.energy(),
    }
    return {
        "release": version.name,
        "id": version.digest,
        "stage": version.stage,
        "verdict": version.verdict,
        "override": {"reason": version.override, "by": version.override_by} if version.override else None,
        "decisions": [_decision(entry) for entry in log if entry["action"] in DECIDED],
        "sections": sections,
        "annex_iv": [
            {
                "point": point.number,
                "heading": point.heading,
                "articles": point.articles,
                "known": (known := point.filled(facts)),
                "for_a_person": not known or point.number in INCOMPLETE,
            }
            for point in POINTS
        ],
    }


def markdown(plain: Mapping[str, Any]) -> str:
    """The card as a page; every text in it is escaped."""
    lines = [f"# {escaped(plain['release'])}", "", f"id `{plain['id']}`, stage {plain['stage']}"]
    lines += ["", f"Verdict: **{escaped(plain['verdict'])}**"]
    if override := plain["override"]:
        lines += ["", f"**Overridden** by {escaped(override['by'])}: {escaped(override['reason'])}"]
    lines += ["", "## Decisions", "", *(f"- {escaped(each)}" for each in plain["decisions"])]
    for heading, texts in plain["sections"].items():
        lines += ["", f"## {heading}", "", *(f"- {escaped(text)}" for text in texts)]
    lines += ["", "## Technical documentation (Regulation (EU) 2024/1689, Annex IV)"]
    for point in plain["annex_iv"]:
        articles = f" ({point['articles']})" if point["articles"] else ""
        lines += ["", f"### {point['point']} {point['heading']}{articles}", ""]
        lines += [f"- {escaped(text)}" for text in point["known"]]
        lines += [f"- [ ] {BLANK}"] if point["for_a_person"] else []
    return "\n".join(lines) + "\n"


def _decision(entry: Mapping[str, Any]) -> str:
    detail = entry["detail"]
    said = f"{entry['at']} {entry['by']}: {entry['action']}"
    said += f" to {detail['to']}" if detail.get("to") else ""
    for key in ("override", "reason", "note"):
        said += f"; {key}: {detail[key]}" if detail.get(key) else ""
    return said


def _same(folder: Path, files: Mapping[str, str]) -> bool:
    try:
        return not damage(folder) and all((folder / name).read_text(encoding="utf-8") == files[name] for name in files)
    except OSError:  # it is being replaced
        return False
