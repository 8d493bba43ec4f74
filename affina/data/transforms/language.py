"""Which language a text is in (py3langid's n-gram model), and what to do with texts in others than those wanted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

from py3langid.langid import MODEL_FILE, LanguageIdentifier
from pydantic import Field

from affina.core.errors import Refused, nearest
from affina.core.example import Example, Parallel, Tagged
from affina.core.kinds import Desk, Transform
from affina.data.texts import texts

READ = 4000
"""Characters of a text that are looked at: more change no decision."""
NO_WORDS = re.compile(r"https?://\S+|www\.\S+|[\w.+-]+@[\w-]+\.[\w.]+|@\w+")
"""Addresses and names of accounts, which are in no language."""
TOLD = 6
"""Languages that the note names."""


class Language(Transform):
    """Names each example's language; with `keep`, drops what is surely in another.

    A text that is too short or whose likeliest language is not likely enough is undecided: kept, and counted. Of a
    translation what is read decides, not what it becomes. A note counts the languages found.
    """

    keep: tuple[str, ...] = ()
    """Languages to keep, as two letters (ISO 639-1): [it, en]. Empty: all are kept, and only counted."""
    among: tuple[str, ...] = ()
    """The languages that are thought of at all; the model's 140 when left out. Short texts become surer, and a text in
    a language that is not named is taken for one that is."""
    threshold: float = Field(0.7, ge=0, le=1)
    """The probability from which a language is certain."""
    short: int = Field(10, ge=0)
    """Letters below which a text is too short to tell."""
    fact: str | None = None
    """Keep what was found among the example's facts, under this name."""

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples in the languages wanted, and the undecided ones, in order."""
        identifier = self._identifier()
        met: Counter[str] = Counter()
        undecided = 0
        for example in examples:
            found, sure = self._of(
                identifier, example.given if isinstance(example, Parallel | Tagged) else "\n".join(texts(example))
            )
            undecided += not sure
            met[found] += sure
            if sure and self.keep and found not in self.keep:
                desk.books.drop(example, f"in another language: {found}")
                continue
            yield replace(example, facts={**example.facts, self.fact: found if sure else ""}) if self.fact else example
        told = [f"{name} {times}" for name, times in met.most_common(TOLD) if times]
        others = sum(met.values()) - sum(times for _, times in met.most_common(TOLD))
        told += [f"others {others}"] if others else []
        desk.notes.append(
            f"language: {', '.join([*told, f'undecided and kept {undecided}'])} of {len(examples)} examples"
        )

    def _of(self, identifier: LanguageIdentifier, text: str) -> tuple[str, bool]:
        """The likeliest language of a text, and whether that is certain."""
        text = NO_WORDS.sub(" ", text[:READ])
        if sum(map(str.isalpha, text)) < max(self.short, 1):
            return "", False
        found, probability = identifier.classify(text)
        return str(found), bool(probability >= self.threshold)

    def _identifier(self) -> LanguageIdentifier:
        """The model, thinking of the languages of `among` alone. Raises Refused for a language it does not know."""
        made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        known = [str(each) for each in made.labels]
        for each in (*self.keep, *self.among):
            if each not in known:
                raise Refused(f"language: none is called '{each}'", instead=nearest(each, known))
        if lost := [each for each in self.keep if self.among and each not in self.among]:
            raise Refused(f"language: keep names {lost[0]}, which among leaves out", instead=f"add {lost[0]} to among")
        if self.among:
            made.set_languages([*self.among])
        return made
