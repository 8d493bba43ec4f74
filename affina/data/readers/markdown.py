"""Markdown (CommonMark and tables): the text as it is written, whole, by section or by paragraph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Stretches
from affina.data import encoding
from affina.data.blocks import Block, By, groups
from affina.data.front_matter import divided
from affina.data.markdown_count import ODD, count_blocks
from affina.data.offsets import located, stretches, united

MOST_BYTES = 1 << 26
RULES = frozenset({"hr", "html_block"})


class Markdown(Reader):
    """Its marks are kept: models read them. `line` is the line of the file that a record begins on. By paragraph,
    lists, tables and blocks of code are whole, and rules and definitions of links are not read."""

    suffixes: ClassVar[tuple[str, ...]] = (".md", ".markdown", ".mdown")
    texts: ClassVar[bool] = True

    by: By = "document"
    """What one record is: the whole text, what stands under a heading with it, or a paragraph."""
    columns: bool = False
    """Whether a record has columns: what the front matter says, and `text`. Else it is left out."""
    encoding: str | None = None
    """The file's encoding; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[Markdown, str]:
        """This reader with the encoding filled in."""
        found = encoding.detect(path, self.encoding)
        settled = self.model_copy(update={"encoding": found.name})
        return settled, f"Markdown, one record per {self.by}, {found.name}"

    def records(self, path: Path) -> Iterator[Record]:
        """The records in order. Raises Refused for a file without text, with NULs, or of more than 64 MiB."""
        text = self._text(path)
        before, problem, start = divided(text)
        lines, first = text[start:].split("\n"), text.count("\n", 0, start)
        bounds = [*located(path, self.encoding)]
        if not text[start:].strip():
            raise Refused(f"{path} holds no text", why="there is nothing in it but white space and front matter")
        for begin, end in self._ranges(lines):
            part = "\n".join(lines[begin:end])
            values: Any = {**before, "text": part} if self.columns else part
            span = united(bounds[first + begin : first + end])
            yield Record(values, str(path), first + begin + 1, problem if self.columns else "", span)

    def stretches(self, path: Path) -> Stretches | None:
        """Whole texts and sections leave nothing but white space between them, and the front matter; paragraphs also
        what is not read. None for paragraphs where a line looks blank and is none."""
        text = self._text(path)
        start = divided(text)[2]
        if self.by != "paragraph":
            found = stretches(path, self.encoding, _filled, headers=int(start > 0))
            return found and replace(found, apart=True)
        if ODD.search(text):
            return None
        found = stretches(path, self.encoding, count_blocks)
        first = next(islice(located(path, self.encoding), text.count("\n", 0, start), None), None)
        return found and first and replace(found, apart=True, mark=max(found.mark, first.start))

    def _text(self, path: Path) -> str:
        with encoding.open_text(path, self.encoding, newline=None) as stream:
            text = stream.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise Refused(
                f"{path} is too large for one Markdown text", why="64 MiB are held at most", instead="divide it"
            )
        if "\0" in text:
            raise Refused(f"{path} is binary", why="text holds no NUL characters", instead="give a text file")
        return text

    def _ranges(self, lines: list[str]) -> Iterator[tuple[int, int]]:
        """Lines [begin, end) of each record."""
        filled = [at for at, line in enumerate(lines) if line.strip()]
        held = [] if self.by == "document" else [*groups(_blocks(lines, sparing=self.by == "paragraph"), self.by)]
        begins = [group[0].line for group in held]
        if self.by == "section":
            begins[:1] = filled[:1]  # definitions of links are no blocks: above the first one they go with it
        if self.by != "paragraph" and len(begins) < 2:
            yield filled[0], filled[-1] + 1
            return
        for at, group in enumerate(held):
            last = group[-1].line + group[-1].text.count("\n") + 1
            end = begins[at + 1] if self.by == "section" and at + 1 < len(begins) else last
            while end > begins[at] + 1 and not lines[end - 1].strip():
                end -= 1
            yield begins[at], end


def _filled(text: Iterable[str]) -> int:
    """Whether a stretch holds more than white space."""
    return int(any(piece.strip() for piece in text))


def _blocks(lines: list[str], sparing: bool) -> Iterator[Block]:
    """The outermost blocks by CommonMark; `sparing` leaves out rules and HTML. A block's line is counted from 0."""
    from markdown_it import MarkdownIt

    for token in MarkdownIt("commonmark").enable("table").disable("inline").parse("\n".join(lines)):
        if token.level or not token.map or (sparing and token.type in RULES):
            continue
        begin, end = token.map
        level = int(token.tag[1:]) if token.type == "heading_open" else 0
        yield Block(begin, "\n".join(lines[begin:end]), level)
