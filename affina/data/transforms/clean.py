"""Texts as they were meant: wrongly decoded letters mended, invisible characters and boilerplate taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import ftfy
from pydantic import Field

from affina.core.example import Example, Question, Tagged, Text
from affina.core.kinds import Desk, Transform
from affina.data import boilerplate, invisible
from affina.data.boilerplate import Marks, Repeated
from affina.data.made import file_of
from affina.data.texts import Edit, differences, rewritten, texts

MENDED = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    replace_lossy_sequences=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    remove_control_chars=False,
    normalization=None,
    explain=False,
)
"""Letters decoded with the wrong table alone; quotes, ligatures, entities, widths, accents stay."""
NEVER = (1 << 62, 0)
"""Where a book ends that has no closing mark."""
LEAST = 10
"""Documents that a line must stand in to be a repeated one, whatever their share."""


class Clean(Transform):
    """Mends texts and leaves what they say: mojibake (ftfy), control and zero-width characters, white space, Project
    Gutenberg's header and licence, and lines repeated over many documents (cookie notices, menus).

    Words keep their tags and answers what they quote. Labels, facts and the arguments of tool calls are not touched.
    What is empty afterwards is dropped. A note counts each kind of change.
    """

    mojibake: bool = True
    """Mend letters that were decoded with the wrong table: `perchÃ©` was `perché`."""
    controls: bool = True
    """Take out control characters, halves of characters and invisible ones (zero-width, soft hyphens, stray marks of
    direction); joiners that emoji and scripts need stay."""
    spaces: Literal["keep", "lines", "single"] = "lines"
    """`lines`: one kind of space and of line end, none at the ends of lines, at most one blank line; `single`: one
    space inside lines as well; `keep`: as they are."""
    gutenberg: bool = True
    """Take out Project Gutenberg's header, credits and licence, in whole books and in books read in parts."""
    repeated: float = Field(0.2, ge=0, le=1)
    """Of raw documents: take out a line of up to 200 characters that stands in more than this share of them, and in ten
    at least. 1: none."""

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples, mended, in order."""
        books = _books(examples) if self.gutenberg else {}
        known = Repeated(_Documents(examples), self.repeated, LEAST) if self.repeated < 1 else None
        met: Counter[str] = Counter()
        places: Counter[str] = Counter()
        for example in examples:
            place = places[file_of(example)]
            places[file_of(example)] += 1
            whole = _in_book(example, place, books.get(file_of(example))) if self.gutenberg else example
            if whole is None:
                met["boilerplate"] += 1
                desk.books.drop(example, "header or licence of Project Gutenberg")
                continue
            met["boilerplate"] += whole is not example
            if known and known.lines and type(whole) is Text:
                text, gone = known.without(whole.text)
                met["repeated lines"] += gone > 0
                whole = replace(whole, text=text) if gone else whole
            mended = self._mended(whole, met)
            if _emptied(example, mended):
                desk.books.drop(example, "nothing is left after cleaning")
                continue
            met["changed"] += mended != example
            yield mended
        desk.notes.append(_told(met, places.total()))

    def _mended(self, example: Example, met: Counter[str]) -> Example:
        kinds: set[str] = set()
        mended: Example
        if isinstance(example, Tagged):
            mended = _tagged(example, partial(self._text, kinds=kinds))
        else:
            aligned = isinstance(example, Question)
            mended = rewritten(example, partial(self._edits, kinds=kinds, aligned=aligned), calls=False)
        met.update(kinds)
        return mended

    def _edits(self, text: str, kinds: set[str], aligned: bool) -> Sequence[Edit]:
        new = self._text(text, kinds)
        if new == text:
            return ()
        return differences(text, new) if aligned else (Edit(0, len(text), new),)

    def _text(self, text: str, kinds: set[str]) -> str:
        """The text mended; `kinds` hears of every kind of change."""
        new = invisible.plain_breaks(text) if self.spaces != "keep" else text
        if new != text:
            kinds.add("white space")
        if self.mojibake and not new.isascii():
            mended = ftfy.fix_text(new, MENDED)
            if mended != new:
                kinds.add("mojibake")
            new = mended
        if self.controls:
            for name, without in (
                ("control characters", invisible.without_controls),
                ("invisible characters", invisible.without_hidden),
            ):
                new, gone = without(new)
                if gone:
                    kinds.add(name)
        if self.spaces != "keep":
            plain = invisible.plain_spaces(new, self.spaces == "single")
            if plain != new:
                kinds.add("white space")
            new = plain
        return new


class _Documents:
    """The raw texts among the examples, to be gone through again and again."""

    def __init__(self, examples: Collection[Example]) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[str]:
        return (example.text for example in self.examples if type(example) is Text)


def _books(examples: Collection[Example]) -> dict[str, Marks]:
    """Of each file that is one Gutenberg book in parts: where it starts and ends, by the place among its examples."""
    places: Counter[str] = Counter()
    starts: dict[str, list[tuple[int, int]]] = {}
    ends: dict[str, list[tuple[int, int]]] = {}
    for example in examples:
        file = file_of(example)
        if type(example) is Text:
            for found, held in zip(
                boilerplate.marks(invisible.plain_breaks(example.text)), (starts, ends), strict=True
            ):
                if found is not None:
                    held.setdefault(file, []).append((places[file], found))
        places[file] += 1
    return {
        file: Marks(start[0], ends.get(file, [NEVER])[0])
        for file, start in starts.items()
        if len(start) == 1 and len(ends.get(file, [])) <= 1 and start[0] < ends.get(file, [NEVER])[0]
    }


def _in_book(example: Example, place: int, marks: Marks | None) -> Example | None:
    """What of an example is between the marks of its file, or its own; None where nothing is."""
    if type(example) is not Text:
        return example
    text = invisible.plain_breaks(example.text)
    if marks is None:
        start, end = boilerplate.marks(text)
        if start is None and end is None:
            return example
        marks = Marks((place, start) if start is not None else (-2, 0), (place, end) if end is not None else NEVER)
    if not marks.start[0] <= place <= marks.end[0]:
        return None
    inside = text[marks.start[1] if place == marks.start[0] else 0 : marks.end[1] if place == marks.end[0] else None]
    if place - marks.start[0] <= 1 or marks.end[0] - place <= 1:
        inside = boilerplate.without_credits(inside)
    if inside == text:
        return example
    return replace(example, text=inside) if inside.strip() else None


def _tagged(sentence: Tagged, mend: partial[str]) -> Tagged:
    """Each word mended by itself; one of which nothing is left goes with its tag."""
    words = [mend(word) for word in sentence.words]
    kept: list[tuple[str, str]] = []
    opened = ""
    for word, tag in zip(words, sentence.tags, strict=True):
        if not word.strip():
            opened = tag[2:] if tag[:2] == "B-" else opened
            continue
        kept.append((word, f"B-{opened}" if opened and tag == f"I-{opened}" else tag))
        opened = ""
    if [word for word, _ in kept] == list(sentence.words):
        return sentence
    return replace(sentence, words=tuple(word for word, _ in kept), tags=tuple(tag for _, tag in kept))


def _emptied(before: Example, after: Example) -> bool:
    if isinstance(after, Tagged):
        return not after.words
    if isinstance(before, Question) and isinstance(after, Question):
        blank = [bool(text.strip()) for text, _ in before.answers] != [bool(text.strip()) for text, _ in after.answers]
        if blank:
            return True
    pairs = zip(texts(before), texts(after), strict=True)
    return any(old.strip() and not new.strip() for old, new in pairs)


def _told(met: Counter[str], count: int) -> str:
    changed = met.pop("changed", 0)
    ordered = sorted(met.items(), key=lambda each: (-each[1], each[0]))
    kinds = [f"{kind} in {times}" for kind, times in ordered if times]
    return f"clean: {changed} of {count} examples changed" + (f" ({', '.join(kinds)})" if kinds else "")
