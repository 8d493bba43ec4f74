"""CoNLL files: one word a line with its columns, a blank line after each sentence; CoNLL-U included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Stretches
from affina.data import encoding
from affina.data.lines import batches
from affina.data.offsets import Line, located, stretches, united
from affina.data.sentence_count import DOCUMENT, count_sentences

SAMPLE = 2000
"""Lines on which separator and columns are found."""
LONGEST = 100_000
"""Words that a sentence may have before the file counts as not divided into sentences."""
UNIVERSAL = ("words", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
PLUS = {"id": "", "form": "words"}
"""What the columns that a CoNLL-U Plus file names itself are called here, where that is not the name in lower case."""
NUMBER = re.compile(r"\d+(?:[-.]\d+)?")
ENTITY = re.compile(r"(?:^|\|)(NER?|Entity|NamedEntity)=(?:O|[BIESLU]-[^|]+)(?:\||$)", re.IGNORECASE)


class Conll(Reader):
    """A sentence is a record of lists, one item a word. Comments, numbers of words and CoNLL-U's multiword tokens and
    empty nodes are passed over. Which column is learnt is said to the shape: `shape: {name: tagged, tags: upos}`."""

    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".conllu", ".conllup", ".iob", ".iob2", ".bio")

    separator: Literal["tab", "space"] | None = None
    """What stands between columns: a tab, or any white space; found on the first lines when left out."""
    columns: tuple[str, ...] = ()
    """The names of the columns; when left out, those of CoNLL-U, or `words` first, `tags` last, and between them by
    their place."""
    entity: str | None = None
    """The key in the column `misc` whose value is a word's tag, as in `NER=B-PER`; it becomes the column `ner`, which
    is O where it is missing. Found on the first lines when left out."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Conll, str]:
        """This reader with separator, columns and encoding filled in."""
        found = encoding.detect(path, self.encoding)
        with encoding.open_text(path, found.name) as stream:
            told, lines = _sample(chain.from_iterable(batches(stream, str(path))))
        if not lines:
            raise Refused(f"{path} holds no sentences", why="there is nothing in it but white space and comments")
        tabs = 2 * sum("\t" in line for line in lines) > len(lines)
        separator: Literal["tab", "space"] = self.separator or ("tab" if tabs else "space")
        names = self.columns or _declared(told) or _names([_cells(line, separator) for line in lines])
        if len(names) < 2:
            raise Refused(f"{path} holds single words", why="a word and its tag are expected on each line")
        entity = self.entity or _entity(names, [_cells(line, separator) for line in lines])
        settled = Conll(separator=separator, columns=names, entity=entity, encoding=found.name)
        given = ", ".join([*filter(None, names), *(["ner"] if entity else [])])
        return settled, f"words with {given}, {separator}-separated, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """Every sentence, with the line it starts on; one with a line of too few or too many cells has a problem.
        Raises Refused where no blank line divides the words."""
        settled, _ = self.look(path)
        sentences = _sentences(located(path, settled.encoding), path)
        found = filter(None, (settled._record(sentence, str(path)) for sentence in sentences))
        yield from encoding.judged(found, encoding.detect(path, settled.encoding).errors)

    def stretches(self, path: Path) -> Stretches | None:
        """Sentences, by a regular expression over blocks of lines."""
        settled, _ = self.look(path)
        separator, width = settled.separator or "space", len(settled.columns)
        return stretches(path, settled.encoding, lambda text: count_sentences(text, separator, width))

    def _record(self, sentence: Sequence[Line], file: str) -> Record | None:
        assert self.separator is not None
        rows = [(line.number, _cells(line.text.rstrip("\r\n"), self.separator)) for line in sentence]
        width = len(self.columns)
        opening = next((at for at, (_, row) in enumerate(rows) if not _is_comment(row, width)), len(rows))
        rows = rows[opening:]
        if rows and rows[0][1][0] == DOCUMENT:
            rows = rows[1:]
        if not rows:
            return None
        span = united(sentence)
        for number, row in rows:
            if len(row) != width:
                why = f"line {number} has {len(row)} cells where {width} are expected"
                return Record([line.text.rstrip("\r\n") for line in sentence], file, rows[0][0], why, span)
        words = [row for _, row in rows if self.columns[0] or row[0].isdecimal()]
        held = {name: [row[at] for row in words] for at, name in enumerate(self.columns) if name}
        if self.entity:
            held["ner"] = [_valued(cell, self.entity) for cell in held.get("misc", [])]
        problem = "the sentence holds a NUL character" if any("\0" in line.text for line in sentence) else ""
        return Record(held, file, rows[0][0], problem, span)


def _is_comment(row: Sequence[str], width: int) -> bool:
    """A line before the first word that begins with # and is no word: it has other columns."""
    return row[0].startswith("#") and len(row) != width


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")] if separator == "tab" else line.split()


def _names(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A name for each column; a first column that only numbers the words has none."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    fits = [row for row in rows if len(row) == width]
    numbered = width > 2 and all(NUMBER.fullmatch(row[0]) for row in fits)
    if numbered and width == len(UNIVERSAL) + 1:
        return ("", *UNIVERSAL)
    first = 1 if numbered else 0
    between = [f"column {place}" for place in range(first + 2, width)]
    return ("",) * first + ("words", *between, "tags")[: width - first]


def _sample(lines: Iterator[str]) -> tuple[str, list[str]]:
    """The comment that names columns before the first words, or nothing; and the first lines of words."""
    told, held = "", list[str]()
    for line in lines:
        if _is_words(line):
            held.append(line.rstrip("\r\n"))
        elif not held and line.startswith("# global.columns"):
            told = line
        if len(held) == SAMPLE:
            break
    return told, held


def _declared(told: str) -> tuple[str, ...]:
    """The columns that a CoNLL-U Plus file names in a comment."""
    names = [name.lower() for name in told.partition("=")[2].split()]
    return tuple(PLUS.get(name, name.rpartition(":")[2] or name) for name in names)


def _entity(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """The key of a tag among the features of the words."""
    if "misc" not in names:
        return None
    at = names.index("misc")
    keys = Counter(found[1] for row in rows if len(row) == len(names) and (found := ENTITY.search(row[at])))
    return keys.most_common(1)[0][0] if keys else None


def _valued(features: str, key: str) -> str:
    """The feature of that key, as in `SpaceAfter=No|NER=B-PER`; O where it is missing."""
    found = dict(feature.partition("=")[::2] for feature in features.split("|"))
    return found.get(key) or "O"


def _is_words(line: str) -> bool:
    """Neither blank nor what can only be a comment."""
    return bool(line.strip()) and not line.startswith("# ") and not line.startswith(DOCUMENT)


def _sentences(lines: Iterator[Line], path: Path) -> Iterator[list[Line]]:
    held: list[Line] = []
    for line in lines:
        if line.text.strip():
            held.append(line)
            if len(held) > LONGEST:
                raise Refused(
                    f"{path} has a sentence of more than {LONGEST} words",
                    why="no blank line ends it",
                    instead="put a blank line after each sentence",
                    where=f"{path}:{held[0].number}",
                )
        elif held:
            yield held
            held = []
    if held:
        yield held
