"""The substitutions of `synonyms` that were read one by one: how they are drawn, and the list with the verdicts.

`reviewed_italian.tsv` has a line each: the source; what stood there and what stands there now; `grammar` (right or
wrong) and `sense` (kept or shifted) as judged by reading. Of the novel, which is in the public domain, some words stand
around.
"""

import csv
import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import NamedTuple

from affina.core.kinds import Desk, transforms
from affina.data.ledger import Ledger
from affina.data.lexicon.words import Edit, edited
from affina.data.variants import Piece
from affina.engine.package import fetch

LIST = Path(__file__).with_name("reviewed_italian.tsv")
NOVEL, FAQ = 120, 80
AROUND = 4  # words of a public-domain text that are kept on either side


class Substitution(NamedTuple):
    source: str
    before: str
    after: str


def drawn(novel: Path, faq: Path) -> list[Substitution]:
    """One substitution of each of 120 paragraphs and of 80 questions and answers, in the order of their hashes."""
    part = transforms.build({"name": "synonyms", "language": "it", "rate": 1e-6})
    variation = part.opened(Desk(Ledger(), fetch=fetch))  # type: ignore[attr-defined]
    made = []
    for source, texts, wanted, around in (("novel", paragraphs(novel), NOVEL, AROUND), ("faq", asked(faq), FAQ, 0)):
        found = 0
        for text in sorted(set(texts), key=lambda each: blake2b(each.encode()).digest()):
            if found < wanted and (edits := variation.vary([Piece(text)], [Random(text)])[0]):
                made.append(Substitution(source, *_phrases(text, edits, around)))
                found += 1
    return made


def paragraphs(novel: Path) -> Iterator[str]:
    """The novel's own paragraphs, without what surrounds it in the file."""
    whole = novel.read_text(encoding="utf-8-sig")
    body = re.split(r"\*\*\* (?:START|END) OF TH[^\n]*\n", whole)[1]
    for each in re.split(r"\n\s*\n", body):
        text = " ".join(each.split())
        if len(text.split()) > 8 and "[Illustrazione" not in text:
            yield text


def asked(faq: Path) -> Iterator[str]:
    with faq.open(encoding="utf-8", newline="") as lines:
        mark = max(",;\t", key=lines.readline().count)
        lines.seek(0)
        for row in csv.DictReader(lines, delimiter=mark):
            for name in ("question", "answer"):
                if text := " ".join((row.get(name) or "").split()):
                    yield text


def _phrases(text: str, edits: tuple[Edit, ...], around: int) -> tuple[str, str]:
    """What the edits stand in, before and after them, with so many words around; with none, an article and its noun."""
    new = edited(text, edits)
    start, stop = edits[0].start, edits[-1].stop
    before = around or (1 if len(edits) == 1 else 0)
    left = re.search(rf"(?:\S+\s+){{0,{before}}}\S*$", text[:start])
    right = re.match(rf"\S*(?:\s+\S+){{0,{around}}}" if around else r"\w*", text[stop:])
    assert left is not None and right is not None
    return text[left.start() : stop + right.end()], new[left.start() : len(new) - len(text) + stop + right.end()]


def listed() -> list[dict[str, str]]:
    with LIST.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
