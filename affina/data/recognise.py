"""What a file is and what its records mean: the reader by ending and bytes, the shape by asking every shape."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Shape, describe_columns, readers, shapes
from affina.data import encoding, magic, prefixed, scratch
from affina.data.dialect import sniff
from affina.data.suggest import unrecognised
from affina.data.tiles import Places, Tiles, tiled

SAMPLE = 1000
"""Records a shape is recognised on; at most twice as many."""
LINES = 50
"""Lines of which most are JSON by themselves where a file holds one value a line."""
UNUSED = 8
"""Columns without a part in the shape that are named; of more, the number is told."""


def suffixes() -> dict[str, str]:
    """Every claimed file ending and the reader that claims it."""
    return dict(_claimed(tuple(readers.names())))


@cache
def _claimed(names: tuple[str, ...]) -> dict[str, str]:
    return {suffix: name for name in names for suffix in readers.find(name).suffixes}


def reader_for(path: Path, given: Reader | None = None) -> tuple[Reader, str]:
    """The reader of a file, what it found in it filled in, and the reason. Raises Refused for an unreadable file."""
    with scratch.called_by_name():
        reader, reason = (given, "") if given is not None else _named(path)
        settled, found = reader.look(path)
    return settled, scratch.told("; ".join(part for part in (reason, found) if part))


class Reading(NamedTuple):
    """Files that are read as one, mostly a single one; by what, and why."""

    paths: tuple[Path, ...]
    reader: Reader
    reason: str

    def records(self) -> Iterator[Record]:
        """Every record, its file called what it is called before people."""
        file = scratch.shown(self.paths[0])
        with scratch.called_by_name():
            for record in self.reader.together(self.paths):
                yield record if record.file == file else replace(record, file=file)

    def recount(self) -> int | None:
        """The records counted a second way; None where there is none."""
        with scratch.called_by_name():
            return self.reader.count(self.paths[0]) if len(self.paths) == 1 else None

    def tiles(self) -> Tiles | Places | None:
        """The second count of a text file, kept while its records go by."""
        with scratch.called_by_name():
            return tiled(self.reader, self.paths[0])


def readings(paths: Sequence[Path], given: Reader | None = None) -> list[Reading]:
    """Every file with its reader, in order. Raises Refused for an unreadable one, and where another is missing."""
    found: list[Reading] = []
    left = list(paths)
    while left:
        reader, reason = reader_for(left[0], given)
        taken, left = tuple(left[: reader.files]), left[reader.files :]
        if len(taken) < reader.files:
            raise Refused(
                f"{taken[-1]} has no other file to be read with",
                why=f"{reader.name} reads {reader.files} files as one",
                instead="name them one after the other in `data.read`",
            )
        found.append(Reading(taken, reader, reason))
    return found


def shape_for(records: Sequence[Record]) -> tuple[Shape, str]:
    """The shape that uses most columns of these records, and why. Raises Refused when none fits or two fit equally."""
    sound = [record for record in records if not record.problem]
    sample = sound[:: -(-len(sound) // (2 * SAMPLE))] if sound else []
    columns = describe_columns(sample)
    found = [match for name in shapes.names() if (match := shapes.build(name).recognise(sample)) is not None]
    if not found:
        raise unrecognised(sample)
    used = {shape.name: len(shape.uses(columns)) for shape, _ in found}
    best = [match for match in found if used[match[0].name] == max(used.values())]
    if len(best) > 1:
        lines = " or ".join(f"`shape: {_line(shape)}`" for shape, _ in best)
        raise Refused(
            f"the dataset fits {' and '.join(shape.name for shape, _ in best)} equally well",
            why="; ".join(reason for _, reason in best),
            instead=f"say which with `data.shape`: write {lines} under `data`, or after `--shape`",
        )
    shape, reason = best[0]
    unused = [repr(name) for name in columns if name not in shape.uses(columns)]
    if unused:
        reason += f"; not used: {', '.join(unused[:UNUSED])}"
        reason += f" and {len(unused) - UNUSED} more" if len(unused) > UNUSED else ""
    return shape, reason


def _line(shape: Shape) -> str:
    spec = shapes.dump(shape)
    if isinstance(spec, str):
        return spec
    return "{" + ", ".join(f"{key}: {value}" for key, value in spec.items()) + "}"


def _named(path: Path) -> tuple[Reader, str]:
    claimed = suffixes().get(path.suffix.lower())
    if (known := magic.found(path)) is not None and known != claimed:
        whatever = f", whatever its ending {path.suffix}" if claimed else ""
        return readers.build(known), f"{known} by its first bytes{whatever}"
    if claimed == "excel" and known is None and magic.textual(path):
        claimed = None  # a web page or a table of tabs, which spreadsheet programs open under that ending too
    if claimed == "text" and _marked(path):
        return readers.build("labelled_lines"), f"labelled_lines by the marks its lines begin with, {prefixed.MARK}"
    if claimed not in (None, "json", "jsonl"):
        return readers.build(claimed), f"{claimed} by its ending {path.suffix}"
    seen = _by_bytes(path, claimed or "json")
    if claimed is None:
        return readers.build(seen), f"{seen} by its first bytes"
    if seen in ("json", "jsonl") and seen != claimed:
        return readers.build(seen), f"{seen} by its first bytes, whatever its ending {path.suffix}"
    return readers.build(claimed), f"{claimed} by its ending {path.suffix}"


def _by_bytes(path: Path, either: str) -> str:
    """html, xml, json, jsonl, conll, csv, labelled_lines or text, from the beginning of the file; `either` for a single
    object, which is both."""
    with encoding.open_text(path) as stream:
        head = stream.read(1 << 16)
        whole = not stream.read(1)
    if (marked := magic.markup(head)) is not None:
        return marked
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    if lines and lines[0][0] in "[{":
        if len(lines) == 1:
            return "json" if lines[0][0] == "[" else either
        ended = (lines if whole else lines[:-1])[:LINES]
        if 2 * sum(map(_is_json, ended)) > len(ended):
            return "jsonl"
        return either if _is_json(lines[0]) else "json"
    if _by_sentences(head.splitlines()):
        return "conll"
    dialect = sniff(head, whole)
    if dialect.width > 1 and dialect.share >= 0.9 and len(lines) > 1:
        return "csv"
    return "labelled_lines" if prefixed.labelled(lines if whole else lines[:-1]) else "text"


def _marked(path: Path) -> bool:
    with encoding.open_text(path) as stream:
        return prefixed.marked(stream.read(1 << 16).splitlines()[:-1])


def _by_sentences(lines: Sequence[str]) -> bool:
    """Blocks of lines that all have the same few columns, of which the first is a word and the last a tag: CoNLL."""
    rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("# ")]
    blanks = sum(not line.strip() for line in lines[1:-1])
    widths = {len(row) for row in rows[:-1]}  # the last line may be cut
    tags = [row[-1] for row in rows[:-1]]
    return blanks > 0 and len(widths) == 1 and widths != {1} and sum(map(_is_tag, tags)) == len(tags)


def _is_tag(cell: str) -> bool:
    return cell == "O" or cell[:2] in ("B-", "I-", "E-", "S-", "L-", "U-")


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), (Mapping, list))
    except (ValueError, RecursionError):
        return False
