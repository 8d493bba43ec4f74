"""Variants of an example: its pieces of text that may change, what of them must stay, and the example changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from affina.core.example import (
    Chat,
    Example,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Parallel,
    Question,
    Rated,
    Related,
    Tagged,
    Text,
)  # fmt: skip
from affina.data.lexicon.words import Edit, edited, overlap

Span = tuple[int, int]
Edits = tuple[Edit, ...]
_KEPT = re.compile(
    r"https?://\S+|www\.\S+|[\w.+%-]{1,64}@\w[\w.-]{0,250}\.\w+|[@#]\w+|\{[^{}\n]{0,80}\}|<[^<>\n]{1,80}>|&\w+;"
)
"""Addresses, names with @ or #, places for values, markup."""
_ENTITY = re.compile(r"[BIESLUM]-")
_WITH_TEXT = (Text, Labelled, MultiLabelled, Rated)


@dataclass(frozen=True)
class Piece:
    """A text that may be said otherwise."""

    text: str
    kept: tuple[Span, ...] = ()
    """What must stay as it is, [start, stop)."""
    within: tuple[Span, ...] | None = None
    """Where given, a change keeps inside one of these and brings no white space: words that carry tags."""

    @property
    def whole(self) -> bool:
        """Whether all of it may be written anew."""
        return self.within is None and not self.kept

    def allows(self, edits: Edits) -> bool:
        """Whether these changes leave what must stay."""
        if overlap(edits, self.kept):
            return False
        return self.within is None or all(self._inside(edit) for edit in edits)

    def _inside(self, edit: Edit) -> bool:
        if edit.text.split() != [edit.text] and edit.text:
            return False
        for start, stop in self.within or ():
            if start <= edit.start and edit.stop <= stop:
                return bool(edit.text) or edit.stop - edit.start < stop - start
        return False


def pieces(example: Example) -> list[Piece]:
    """What of an example may change: what the model is shown, never what it is to produce.

    The text of a text, a class, classes, a number; the user's turns of a conversation; the words that no entity's tag
    stands on; a question, and its context around the answers; the source of a result; an anchor.
    """
    if isinstance(example, _WITH_TEXT):
        return [_piece(example.text)]
    if isinstance(example, Chat | Pair):
        return [_piece(message.content) for message in example.messages if message.role == "user"]
    if isinstance(example, Tagged):
        return [_tagged(example)]
    if isinstance(example, Question):
        spans = [(start, start + len(text)) for text, start in example.answers]
        return [_piece(example.question), _piece(example.context, spans)]
    if isinstance(example, Parallel):
        return [_piece(example.source)]
    return [_piece(example.anchor)] if isinstance(example, Related) else []


def changed(example: Example, edits: Sequence[Edits]) -> Example:
    """The example with the edits made, those of each of its pieces."""
    texts = [edited(piece.text, each) for piece, each in zip(pieces(example), edits, strict=True)]
    if isinstance(example, _WITH_TEXT):
        return replace(example, text=texts[0])
    if isinstance(example, Chat | Pair):
        return replace(example, messages=_turns(example.messages, texts))
    if isinstance(example, Tagged):
        return replace(example, words=_words(example, edits[0]))
    if isinstance(example, Question):
        answers = tuple((text, _moved(start, edits[1])) for text, start in example.answers)
        return replace(example, question=texts[0], context=texts[1], answers=answers)
    if isinstance(example, Parallel):
        return replace(example, source=texts[0])
    return replace(example, anchor=texts[0]) if isinstance(example, Related) else example


def _piece(text: str, spans: Iterable[Span] = ()) -> Piece:
    return Piece(text, (*spans, *(match.span() for match in _KEPT.finditer(text))))


def _tagged(example: Tagged) -> Piece:
    spans = _places(example)
    entities = [span for span, tag in zip(spans, example.tags, strict=True) if _ENTITY.match(tag)]
    return replace(_piece(example.given, entities), within=tuple(spans))


def _places(example: Tagged) -> list[Span]:
    """Where each word stands in the words joined by spaces."""
    spans, at = [], 0
    for word in example.words:
        spans.append((at, at + len(word)))
        at += len(word) + 1
    return spans


def _words(example: Tagged, edits: Edits) -> tuple[str, ...]:
    """The words with the edits made: each lies inside one of them."""
    made = []
    for word, (start, stop) in zip(example.words, _places(example), strict=True):
        own = [
            Edit(edit.start - start, edit.stop - start, edit.text)
            for edit in edits
            if start <= edit.start and edit.stop <= stop
        ]
        made.append(edited(word, own))
    return tuple(made)


def _turns(messages: Sequence[Message], texts: Sequence[str]) -> tuple[Message, ...]:
    said = iter(texts)
    return tuple(replace(each, content=next(said)) if each.role == "user" else each for each in messages)


def _moved(start: int, edits: Edits) -> int:
    """Where a place that no edit touches stands after them."""
    return start + sum(len(edit.text) - (edit.stop - edit.start) for edit in edits if edit.stop <= start)
