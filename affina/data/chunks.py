"""A text in consecutive stretches of whole sentences, each within a budget of tokens; offsets are exact."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Stretch = tuple[int, int]
"""Characters [start, stop) of a text."""
SHORTENED = frozenset(
    re.findall(
        r"\S+",
        """mr mrs ms dr prof st sr jr inc ltd co corp no nos sec secs art artt par pt cap vol pp p fig figg ed eds vs cf
        al e.g i.e u.s u.s.c c.d cd d.lgs dlgs d.l d.p.r dpr d.p.c.m dpcm lett n nn pag pagg s.p.a spa s.r.l srl sig
        sigg dott dott.ssa ing avv rif es p.es p.a ss segg approx est jan feb mar apr jun jul aug sept oct nov dec""",
    )
)
"""What a full stop behind does not end a sentence, in English and Italian, in lower case without the last stop."""
_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)")
_BREAK = re.compile(r"\n[^\S\n]*(?:\n\s*)+")
_BEFORE = re.compile(r"[^\s(\[“\"«']+$")


def sentences(text: str) -> list[Stretch]:
    """The sentences in order, without the white space between them. A blank line ends one; so does a full stop before
    white space, unless it closes an abbreviation, an initial or a number before a lower-case letter."""
    found: list[Stretch] = []
    edges = [0, *(edge for match in _BREAK.finditer(text) for edge in match.span()), len(text)]
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        begun = start
        for match in _END.finditer(text, start, stop):
            if _ends(text, begun, match, stop):
                found.append((begun, match.end()))
                begun = match.end()
        found.append((begun, stop))
    return [tight for each in found if (tight := _tight(text, *each))]


def chunks(text: str, budget: int, size: Callable[[str], int]) -> Iterator[Stretch]:
    """As many whole sentences as fit into `budget` by `size`, again and again to the end. A sentence that is larger
    than that alone is divided between words, or within one that is itself too long."""
    start, stop, held = 0, 0, 0
    for first, last in sentences(text):
        for begun, ended, cost in _within(text, first, last, budget, size):
            if stop > start and held + cost > budget:
                yield start, stop
                start, held = begun, 0
            start, stop, held = (begun if stop <= start else start), ended, held + cost
    if stop > start:
        yield start, stop


def _ends(text: str, begun: int, match: re.Match[str], stop: int) -> bool:
    if not match[0].startswith(".") or match[0].startswith(".."):
        return True
    word = _BEFORE.search(text, begun, match.start())
    last = word[0].casefold().strip(".") if word else ""
    if last in SHORTENED or (len(last) == 1 and last.isalpha()):
        return False
    following = text[match.end() : stop].lstrip()[:1]
    return not following.islower()


def _tight(text: str, start: int, stop: int) -> Stretch | None:
    """Without white space at either end; None for what has no letter or digit."""
    part = text[start:stop]
    if not any(sign.isalnum() for sign in part):
        return None
    return start + len(part) - len(part.lstrip()), stop - (len(part) - len(part.rstrip()))


def _within(
    text: str, start: int, stop: int, budget: int, size: Callable[[str], int]
) -> Iterator[tuple[int, int, int]]:
    """A stretch in parts of at most the budget, with what each costs."""
    while start < stop:
        end, cost = stop, size(text[start:stop])
        while cost > budget and end - start > 1:
            shorter = start + max(1, (end - start) * budget // (cost + 1))
            space = max(text.rfind(sign, start + 1, shorter + 1) for sign in " \n\t")
            end = space if space > start else shorter
            cost = size(text[start:end])
        tight = _tight(text, start, end)
        if tight:
            yield *tight, cost
        start = end
