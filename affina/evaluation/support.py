"""Whether a text bears out what is claimed: entailed by its likeliest passages, and no number or name of it missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from affina.core.example import Labelled
from affina.core.kinds import Floats, Model, Progress, Sampling
from affina.data.chunks import chunks, sentences
from affina.data.likeness import words
from affina.data.prompt import written
from affina.evaluation.answer import answer
from affina.evaluation.asking import need_labels
from affina.evaluation.measure import validate

ENTAILMENT, CONTRADICTION = "entailment", "contradiction"
CONTRADICTED = 0.5
PASSAGE_WORDS = 60
"""A passage of the source is a sentence of at most so many words, a longer one in parts: models of entailment are
taught on short texts."""
_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?:[.,’'\u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)?")
_NAME = re.compile(r"\b[^\W\d_]*[A-ZÀ-Ý][^\W_]*\b")
_WORDED = {
    word: str(value)
    for value, said in enumerate(
        [
            "zero",
            "one uno una",
            "two due",
            "three tre",
            "four quattro",
            "five cinque",
            "six sei",
            "seven sette",
            "eight otto",
            "nine nove",
            "ten dieci",
            "eleven undici",
            "twelve dodici",
        ]
    )
    for word in said.split()
}


@dataclass(frozen=True, slots=True)
class Support:
    """What a source says of one claim."""

    claim: str
    entailed: float
    """The chance that the likeliest passage entails it."""
    contradicted: float
    """The chance that this passage contradicts it."""
    missing: tuple[str, ...]
    """Numbers and names of the claim that the source does not hold."""
    stated: int
    """Numbers and names of the claim in all."""

    @property
    def grounded(self) -> bool:
        """Nothing of it is missing and nothing contradicts it: what holds where a model of entailment is weak."""
        return not self.missing and self.contradicted < CONTRADICTED

    @property
    def score(self) -> float:
        """The chance that it is entailed, times the share of its numbers and names that the source holds."""
        return self.entailed * (1 - len(self.missing) / self.stated if self.stated else 1.0)


@dataclass(frozen=True)
class Entailment:
    """A model that tells whether one text follows from another, and how it was taught to be asked."""

    model: Model
    labels: tuple[str, ...]
    """In the order of its head."""
    form: str
    """A text with {source} and {claim}."""

    def chances(self, pairs: Sequence[tuple[str, str]], progress: Progress | None = None) -> Floats:
        """[N, labels]. Raises Refused for a model with another head."""
        asked = [
            Labelled(id=str(n), text=self._put(*pair), label=self.labels[0], labels=self.labels)
            for n, pair in enumerate(pairs)
        ]
        need_labels(self.model, asked[0])
        found = answer(self.model, asked, frozenset({"chances"}), Sampling(), progress)
        validate(found)
        assert found.chances_NL is not None, "a model of labels gives chances"
        return found.chances_NL

    def _put(self, source: str, claim: str) -> str:
        return written(self.form).text({"source": source, "claim": claim})


def claims(text: str) -> list[str]:
    """The sentences of an answer: each is a claim of its own. None where it has no letter or digit."""
    return [text[start:stop] for start, stop in sentences(text)]


def supports(
    asked: Sequence[tuple[str, str]], entailment: Entailment, most: int, progress: Progress | None = None
) -> list[Support]:
    """For each (source, claim) what the source says of it, by the `most` passages that share most words with it."""
    pairs = [
        (n, passage, claim) for n, (source, claim) in enumerate(asked) for passage in evidence(source, claim, most)
    ]
    if not pairs:
        return [Support(claim, 0.0, 0.0, *_absent(source, claim)) for source, claim in asked]
    chances_NL = entailment.chances([pair[1:] for pair in pairs], progress)
    yes, no = (entailment.labels.index(label) for label in (ENTAILMENT, CONTRADICTION))
    best: dict[int, tuple[float, float]] = {}
    for (n, _, _), chances_L in zip(pairs, chances_NL, strict=True):
        best[n] = max(best.get(n, (0.0, 0.0)), (float(chances_L[yes]), float(chances_L[no])))
    return [
        Support(claim, *best.get(n, (0.0, 0.0)), *_absent(source, claim)) for n, (source, claim) in enumerate(asked)
    ]


def evidence(source: str, claim: str, most: int) -> list[str]:
    """The passages that share most different words with the claim, best first; of equals the earlier."""
    sought = set(words(claim))
    whole = [source[start:stop] for start, stop in sentences(source)]
    held = [each[start:stop] for each in whole for start, stop in chunks(each, PASSAGE_WORDS, _size)]
    return sorted(held, key=lambda passage: -len(sought & set(words(passage))))[:most]


def numbers(text: str) -> Iterator[tuple[str, str]]:
    """Every number as it stands and in plain form: 1,496.50 and 1.496,5 are both 1496.5. Small ones may be words."""
    for found in _NUMBER.finditer(text):
        yield found[0], _plain(found[0])
    for found in re.finditer(r"[^\W\d_]+", text.casefold()):
        if found[0] in _WORDED:
            yield found[0], _WORDED[found[0]]


def names(text: str) -> list[str]:
    """Words with a capital letter that no sentence begins with: names of people, places, firms, substances."""
    begun = {start for start, _ in sentences(text)}
    return [found[0] for found in _NAME.finditer(text) if found.start() not in begun and len(found[0]) > 1]


def _absent(source: str, claim: str) -> tuple[tuple[str, ...], int]:
    """The numbers and names that the source does not hold, and how many the claim has."""
    held, known = {plain for _, plain in numbers(source)}, set(words(source))
    figures = [(said, plain in held) for said, plain in numbers(claim) if said[0].isdigit()]
    called = [(name, set(words(name)) <= known) for name in names(claim)]
    return tuple(said for said, there in (*figures, *called) if not there), len(figures) + len(called)


def _size(text: str) -> int:
    return len(text.split())


def _plain(number: str) -> str:
    """Grouping signs dropped, a point before decimals, no zeros that say nothing."""
    signs = [sign for sign in number if not sign.isdigit()]
    if len(signs) == 1 and signs[0] in ".,":
        whole, _, rest = number.partition(signs[0])
        grouped = len(rest) == 3 and len(whole) <= 3 and whole != "0"
        number = whole + rest if grouped else f"{whole}.{rest}"
    elif signs:
        decimal = signs[-1] if signs[-1] != signs[0] else ""
        whole, _, rest = number.rpartition(decimal) if decimal else (number, "", "")
        number = "".join(filter(str.isdigit, whole)) + (f".{rest}" if rest else "")
    whole, _, rest = number.partition(".")
    rest = rest.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{rest}" if rest else "")
