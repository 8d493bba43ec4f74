"""`affina data look FILE…`: what files hold, how affina reads them, and what is wrong with them."""

import argparse
import re
import sys
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen
from affina.core.address import STANDARD_INPUT
from affina.core.errors import Refused

COLUMNS, CLASSES, LANGUAGES = 24, 12, 5
"""Columns, classes and languages that are listed; of more, the number is told."""
FILES = 2
"""Files that are named; of more, the number is told."""
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BAR = 24
"""Characters of the longest bar."""
EXAMPLE = "'{name: labelled, text: a, label: b}'"
CUT = 300
"""Characters of a text that a sample shows."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files in, `--reader`, `--shape`, `--base`, `--html`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="files, folders, patterns; - for standard input")
    parser.add_argument("--reader", metavar="SPEC", help="the format as in a recipe: '{name: csv, header: false}'")
    parser.add_argument("--shape", metavar="SPEC", help=f"what the columns mean, as in a recipe: {EXAMPLE}")
    parser.add_argument("--base", metavar="MODEL", help="count tokens too, with this model's tokenizer")
    parser.add_argument("--html", metavar="PAGE", help="write one self-contained page with plots")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    spec = {name: settings.inline(f"--{name}", getattr(given, name)) for name in ("reader", "shape")}
    seen: dict[str, Any] = affina.data_look(given.files, **spec, base=given.base, html=given.html, say=screen.say)
    told = any(spec.values()) or seen["error"] or STANDARD_INPUT in given.files  # which is read once
    return {**seen, "next": [] if told else [settings.typed("new", *given.files)]}


def exit_code(seen: dict[str, Any]) -> int:
    """2 when the files cannot be used."""
    return Refused.exit_code if seen["error"] else 0


def show(seen: dict[str, Any], screen: Screen) -> None:
    """What was recognised, columns, lengths, classes, problems, three samples; last why they cannot be used, if so."""
    from affina.data.looked import parts

    seen = _harmless(seen)
    shown = [("rows", f"{seen['rows']:,}", _files(seen["files"]))]
    shown += [(key, seen[key], seen["why"][key]) for key in ("format", "shape", "task") if seen[key]]
    shown += [("encoding", seen["encoding"], "")] if seen["encoding"] else []
    for key, what in (("languages", "language"), ("answer_languages", "of answers")):
        shown += [(what, _languages(seen[key]), "")] if seen[key] else []
    screen.table(["", "", "because"], shown)
    _columns(seen, screen)
    _lengths(seen, screen)
    _classes(seen, screen)
    if seen["problems"]:
        screen.heading("problems")
        for problem in seen["problems"]:
            where = f" ({problem['file']}:{problem['line']})" if problem["line"] else ""
            screen.text(f"{problem['kind']}: {problem['sentence']}{where}")
    for sample in seen["samples"]:
        screen.heading(sample["id"])
        for name, text in parts(sample):
            text = re.sub(r"\n\s*\n", "\n\n", text.strip())
            screen.text(f"{name}: {text if len(text) <= CUT else f'{text[:CUT]} …'}")
    screen.text()
    for note in seen["notes"]:
        screen.text(note)
    used, aside = seen["ledger"]["used"]["all"], seen["ledger"]["quarantined"]["total"]
    screen.text(f"{used:,} of {seen['rows']:,} rows can be used{f', {aside:,} would be set aside' if aside else ''}")
    if "html" in seen:
        screen.text(f"wrote {seen['html']}")
    for command in seen["next"]:
        screen.text(f"next: {command}")
    if seen["error"]:
        sys.stdout.flush()
        print(f"affina: {seen['error']['sentence']}", file=sys.stderr)


def _harmless(told: Any) -> Any:
    """The same without characters that would steer the terminal or turn the direction of what follows."""
    if isinstance(told, str):
        return STEERING.sub("\N{REPLACEMENT CHARACTER}", told)
    if isinstance(told, dict):
        return {_harmless(key): _harmless(value) for key, value in told.items()}
    return [_harmless(each) for each in told] if isinstance(told, list) else told


def _files(files: dict[str, int]) -> str:
    told = [f"{name} {rows:,}" for name, rows in [*files.items()][:FILES]]
    return ", ".join([*told, f"{len(files) - FILES} files more"] if len(files) > FILES else told)


def _languages(found: dict[str, int]) -> str:
    total = sum(found.values())
    shares = [(name or "not certain", round(100 * texts / total)) for name, texts in [*found.items()][:LANGUAGES]]
    told = [f"{name} {share} %" for name, share in shares if share]
    return ", ".join(told)


def _columns(seen: dict[str, Any], screen: Screen) -> None:
    if not seen["columns"]:
        return
    screen.heading("columns")
    rows = []
    for name, each in [*seen["columns"].items()][:COLUMNS]:
        different, example = f"{each['different']} of {each['of']}", next(iter(each["cells"]), "")
        rows.append((name, each["is"] or "–", each["holds"], f"{each['filled']:,}", different, example))
    screen.table(["column", "is the", "holds", "filled", "different", "for example"], rows)
    if len(seen["columns"]) > COLUMNS:
        screen.text(f"and {len(seen['columns']) - COLUMNS} more")


def _lengths(seen: dict[str, Any], screen: Screen) -> None:
    if not seen["lengths"]:
        return
    screen.heading("lengths")
    keys = ("least", "low", "half", "high", "most", "total")
    rows = [(name, *(f"{each[key]:,.0f}" for key in keys)) for name, each in seen["lengths"].items()]
    screen.table(["", "shortest", "5 %", "half", "95 %", "longest", "together"], rows)


def _classes(seen: dict[str, Any], screen: Screen) -> None:
    counts, numbers = seen["classes"], seen["numbers"]
    if numbers:
        screen.heading("numbers")
        screen.table([*numbers], [[f"{each:g}" for each in numbers.values()]])
    if not counts:
        return
    what, of = ("tag", sum(counts.values())) if seen["shape"] == "tagged" else ("class", seen["examples"])
    screen.heading(f"{len(counts)} {'tags' if what == 'tag' else 'classes'}")
    rows = [
        (name, f"{times:,}", f"{100 * times / of:.1f} %", "█" * max(1, round(BAR * times / max(counts.values()))))
        for name, times in [*counts.items()][:CLASSES]
    ]
    screen.table([what, "times", "share", ""], rows)
    if len(counts) > CLASSES:
        screen.text(f"and {len(counts) - CLASSES} more, the rarest {[*counts.values()][-1]:,}")
