"""Words and the tag of each: two lists of one length, or pieces of text of which some are named entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from affina.core.example import Example
from affina.core.example import Tagged as TaggedWords
from affina.core.kinds import Record, Shape, Unusable
from affina.data import columns, several

WORDS = ("words", "tokens", "form", "forms", "parole")
TAGS = ("tags", "ner_tags", "ner", "entities", "upos", "pos_tags", "pos", "xpos", "chunk_tags", "labels", "etichette")
ENTITY = ("entity", "slot", "slot_name", "label", "tag")


class Tagged(Shape):
    """Words and tags. Pieces `[{text: …, entity: …}, …]` become words at white space, tagged B-…, I-… and O."""

    makes: ClassVar[type[Example]] = TaggedWords

    words: str = "words"
    """The column of the words: a list, or text with spaces between; or the column of the pieces."""
    tags: str = "tags"
    """The column of the tags, as many as words; where `words` holds pieces, the key of a piece's entity."""

    def recognise(self, records: Sequence[Record]) -> tuple[Shape, str] | None:
        """A column called like words and one called like tags, of equal lengths; or a column of pieces."""
        found = columns.usual(records)
        if two := pair(found):
            return Tagged(words=two[0], tags=two[1]), f"tagged: words in column '{two[0]}', their tags in '{two[1]}'"
        for name, values in found.items():
            keys = {str(key) for value in values if _is_pieces(value) for piece in value for key in piece}
            entity = columns.named(keys, ENTITY)
            if entity and sum(map(_is_pieces, values)) >= columns.USUAL * len(values):
                why = f"tagged: column '{name}' holds pieces of text, some with '{entity[0]}'"
                return Tagged(words=name, tags=entity[0]), why
        return None

    def example(self, record: Record) -> TaggedWords:
        """Raises Unusable for no words, an empty word or tag, and for more or fewer tags than words."""
        given = columns.value(record, self.words)
        if _is_pieces(given):
            words, tags = self._cut(given)
        else:
            words = _listed(given, self.words)
            tags = _listed(columns.value(record, self.tags), self.tags)
        if not words:
            raise Unusable(f"there are no words (column '{self.words}')")
        if len(words) != len(tags):
            raise Unusable(f"there are {len(words)} words and {len(tags)} tags")
        for what, each in (("word", words), ("tag", tags)):
            if "" in each:
                raise Unusable(f"{what} {each.index('') + 1} is empty")
        return TaggedWords(id=record.where, words=tuple(words), tags=tuple(tags))

    def _cut(self, pieces: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
        words, tags = [], []
        for piece in pieces:
            entity = columns.plain(piece.get(self.tags), self.tags).strip()
            for place, word in enumerate(piece["text"].split()):
                words.append(word)
                tags.append(f"{'I' if place else 'B'}-{entity}" if entity else "O")
        return words, tags


def pair(found: Mapping[str, Sequence[Any]]) -> tuple[str, str] | None:
    """The columns of words and of tags, by their names, where nearly all rows have as many of both."""
    for words in columns.named(found, WORDS):
        for tags in columns.named(found, TAGS):
            rows = zip(found[words], found[tags], strict=False)
            alike = [_length(one) == _length(other) > 0 for one, other in rows]
            if words != tags and sum(alike) >= columns.USUAL * len(alike):
                return words, tags
    return None


def _length(cell: Any) -> int:
    found = several.items(cell)
    return len(found) if found is not None else len(cell.split()) if isinstance(cell, str) else 0


def _listed(cell: Any, column: str) -> list[str]:
    found = several.items(cell)
    if found is None:
        found = columns.plain(cell, column).split()
    return [columns.plain(each, column).strip() for each in found]


def _is_pieces(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(piece, Mapping) and isinstance(piece.get("text"), str) for piece in value)
    )
