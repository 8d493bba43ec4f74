"""Personal data become placeholders: [EMAIL], [PHONE], [IBAN] …"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Literal, Self

from phonenumbers import SUPPORTED_REGIONS
from pydantic import model_validator

from affina.core.errors import Refused
from affina.core.example import Example, Tagged
from affina.core.kinds import Desk, Transform
from affina.data.names import Names
from affina.data.personal import Found, apart, personal
from affina.data.texts import Edit, rewritten, texts

Kind = Literal["url", "email", "iban", "card", "codice_fiscale", "partita_iva", "ip", "phone"]
EVERY: tuple[Kind, ...] = ("url", "email", "iban", "card", "codice_fiscale", "partita_iva", "ip", "phone")
TOGETHER = 64
"""Examples whose names are looked for at once."""


class Redact(Transform):
    """Replaces e-mail addresses, telephone and card numbers, IBANs, Italian tax codes and VAT numbers, IP addresses and
    web addresses that hold a secret, wherever a model would read or say them; people's names where a model is given.

    Numbers are told by their checksums, telephone numbers by their country's plan. Words keep their tags and answers
    what they quote; labels and facts are not touched. The note counts each kind and repeats none of what was found.
    """

    kinds: tuple[Kind, ...] = EVERY
    """What is looked for. `url` are web addresses with a password, a token or a signature in them."""
    regions: tuple[str, ...] = ("IT", "GB", "US")
    """Countries (ISO 3166) whose telephone numbers are known without their prefix, likeliest first."""
    number: Literal["no", "example", "data"] = "no"
    """`example`: [EMAIL_1], [EMAIL_2] …, one number for one address within an example; `data`: within all of them."""
    names: str | None = None
    """A model that tags words (a run with the objective `tag`): people's names become [NAME]."""
    tags: tuple[str, ...] = ()
    """Every tag that the model of `names` gives: the labels of its run."""

    @model_validator(mode="after")
    def _tags_with_names(self) -> Self:
        if bool(self.names) != bool(self.tags):
            raise ValueError("names (a model) and tags (all that it gives) go together")
        return self

    def asks(self) -> tuple[str, ...]:
        """The model that finds names."""
        return (self.names,) if self.names else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples in order, redacted."""
        if unknown := [each for each in self.regions if each not in SUPPORTED_REGIONS]:
            raise Refused(f"redact: no country is called '{unknown[0]}'", instead="two letters: IT, GB, US")
        names = Names(desk.open(self.names), self.tags) if self.names else None
        met: Counter[str] = Counter()
        numbers: dict[tuple[str, bytes], int] = {}
        touched = 0
        for held in _batches(examples):
            if names:
                names.look([text for each in held for text in _seen(each)])
            for example in held:
                if self.number == "example":
                    numbers = {}
                new = rewritten(example, lambda text, numbers=numbers: self._edits(text, names, numbers, met))  # type: ignore[misc]
                touched += new != example
                yield new
        told = [f"{kind} {times}" for kind, times in met.most_common()]
        desk.notes.append(
            f"redact: {touched} of {len(examples)} examples changed: {', '.join(told) or 'nothing found'}"
        )

    def _edits(
        self, text: str, names: Names | None, numbers: dict[tuple[str, bytes], int], met: Counter[str]
    ) -> list[Edit]:
        found = personal(text, self.kinds, self.regions)
        if names:
            found = apart([*found, *(Found(*span, "name") for span in names.find(text))])
        met.update(each.kind for each in found)
        return [
            Edit(each.start, each.stop, self._placeholder(each.kind, text[each.start : each.stop], numbers))
            for each in found
        ]

    def _placeholder(self, kind: str, told: str, numbers: dict[tuple[str, bytes], int]) -> str:
        if self.number == "no":
            return f"[{kind.upper()}]"
        plain = "".join(each for each in told.casefold() if each.isalnum() or each in "@.:/")
        key = kind, blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=12).digest()
        earlier = sum(known == kind for known, _ in numbers) if key not in numbers else 0
        return f"[{kind.upper()}_{numbers.setdefault(key, earlier + 1)}]"


def _seen(example: Example) -> Iterable[str]:
    return (example.given,) if isinstance(example, Tagged) else texts(example)


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    left = iter(examples)
    while held := list(islice(left, TOGETHER)):
        yield held
