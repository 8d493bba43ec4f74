"""A document as blocks (headings, paragraphs, lists, tables), and its records: whole, by section or by paragraph."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

By = Literal["document", "section", "paragraph"]


class Block(NamedTuple):
    """A heading (`level` 1 and more), or a paragraph, an item, a table (0), and where it begins."""

    line: int
    text: str
    level: int = 0


def groups(blocks: Iterable[Block], by: By) -> Iterator[list[Block]]:
    """The blocks of each record; those of white space are passed over. A section begins at a heading and goes to the
    next one; headings that follow one another open one section."""
    held: list[Block] = []
    for block in blocks:
        if not block.text.strip():
            continue
        opens = by == "paragraph" or (by == "section" and block.level > 0 and not (held and held[-1].level))
        if opens and held:
            yield held
            held = []
        held.append(block)
    if held:
        yield held


def parts(blocks: Iterable[Block], by: By) -> Iterator[tuple[int, str]]:
    """Where each record begins, and its text: its blocks with a blank line between them."""
    for group in groups(blocks, by):
        yield group[0].line, "\n\n".join(block.text for block in group)
