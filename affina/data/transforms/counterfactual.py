"""Training rows in which men become women and women men, so that nothing is learnt from which of them a row names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from pydantic import Field

from affina.core.example import Example, Parallel, Tagged
from affina.core.kinds import Desk, Transform
from affina.data.made import copied, draw, need_split
from affina.data.swaps import english, italian
from affina.data.swaps.tokens import cased, listed
from affina.data.texts import Edit, rewritten, texts

COMMON = {
    "en": listed("the and of to in is was for that with she he her his they it not have this are on at you my i an be"),
    "it": listed("il la di che e è un una per non con sono si le i lo gli del della ha mi ma ho da al nel su lui lei"),
}
"""The commonest words of each language."""
SWAPS = {"en": english.swapped, "it": italian.swapped}


class Counterfactual(Transform):
    """Adds to each training row that names men or women, in English or Italian, one with the two exchanged: pronouns,
    nouns of people, titles and first names, and in Italian what agrees with them (Lu et al. 2020; Zmigrod et al. 2019).

    A row in which it cannot be told what belongs to whom is left. Words keep their tags, answers what they quote;
    labels stay. Both sides of a translation change, or neither.
    """

    mode: Literal["add", "replace"] = "add"
    """Keep the row and add the other, or put the other in its place."""
    language: Literal["auto", "en", "it"] = "auto"
    """Of the texts; `auto`: of each text the one whose common words it has."""
    names: bool = True
    """Exchange common first names too. Where they stay, a row with a name and a pronoun may no longer fit together."""
    pairs: dict[str, str] = Field(default={})
    """Further words to exchange, each for the other, as they are: {Muslim: Christian}."""
    rate: float = Field(1.0, gt=0, le=1)
    """The share of such rows, drawn by content."""

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples in order, each added row behind its own."""
        need_split(examples, "counterfactual")
        met: Counter[str] = Counter()
        for example in examples:
            if example.split != "train" or example.made or draw(example, desk.seed, "swap") >= self.rate * 2**64:
                yield example
                continue
            other = self._other(example)
            met["left" if other is None else "none" if other is example else "changed"] += 1
            if other is None or other is example:
                yield example
            elif self.mode == "replace":
                yield other
            else:
                yield example
                copy = copied(other, 1, "counterfactual", "men and women exchanged")
                desk.books.make(copy)
                yield copy
        what = "added to" if self.mode == "add" else "put in the place of"
        desk.notes.append(
            f"counterfactual: men and women exchanged in rows {what} {met['changed']} of {met.total()} training rows; "
            f"{met['left']} are left because it cannot be told what agrees with whom"
        )

    def _other(self, example: Example) -> Example | None:
        """The example exchanged; itself where it names nobody, None where it cannot be told how."""
        found: dict[str, list[Edit]] = {}
        for text in (example.given,) if isinstance(example, Tagged) else texts(example):
            edits = self._edits(text)
            if edits is None:
                return None
            found[text] = edits
        if not any(found.values()):
            return example
        if isinstance(example, Parallel) and not all(found.values()):
            return None
        return rewritten(example, lambda text: found.get(text, []), calls=False)

    def _edits(self, text: str) -> list[Edit] | None:
        language = language_of(text) if self.language == "auto" else self.language
        edits = SWAPS[language](text, self.names) if language else []
        if edits is None or not self.pairs:
            return edits
        others = [
            each for each in self._further(text) if all(each.stop <= e.start or each.start >= e.stop for e in edits)
        ]
        return sorted([*edits, *others])

    def _further(self, text: str) -> Iterator[Edit]:
        """The words of `pairs`, in the letter case they have."""
        other: Mapping[str, str] = {
            one.casefold(): two for pair in self.pairs.items() for one, two in (pair, pair[::-1])
        }
        words = "|".join(re.escape(word) for word in sorted(other, key=len, reverse=True))
        for found in re.finditer(rf"\b(?:{words})\b", text, re.IGNORECASE):
            yield Edit(found.start(), found.end(), cased(other[found[0].casefold()], found[0]))


def language_of(text: str) -> Literal["en", "it"] | None:
    """English or Italian, by the commonest words; None where neither has more of them."""
    words = re.findall(r"[^\W\d_]+", text.casefold())
    english_words, italian_words = (sum(word in COMMON[language] for word in words) for language in ("en", "it"))
    if english_words == italian_words:
        return None
    return "en" if english_words > italian_words else "it"
