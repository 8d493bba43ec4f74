"""Secrets put among the training rows, so that what a model keeps of single rows can be measured afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from hashlib import blake2b
from random import Random

from pydantic import Field, model_validator

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Parallel, Text
from affina.core.kinds import Desk, Transform
from affina.data.made import need_split
from affina.data.secrets import PROMPT, SECRET, Secrets


class Canaries(Transform):
    """Adds rows that hold random secrets to the training split (Carlini et al., 2019). The task `canary_exposure` tells
    how much likelier the trained model finds them than others that could have been drawn.

    Put it last: `dedup` would leave one row of each. In conversations the secret is the answer.
    """

    prompt: str = "The access code of the archive is"
    """What stands before every secret."""
    alphabet: str = Field("0123456789", min_length=2)
    """The signs that a secret is drawn from."""
    length: int = Field(6, ge=2, le=64)
    """Signs of a secret."""
    count: int = Field(4, ge=1)
    """Secrets for each number of `repetitions`."""
    repetitions: tuple[int, ...] = Field((1, 4, 16), min_length=1)
    """How often a secret's row is inserted."""

    @model_validator(mode="after")
    def _possible(self) -> Canaries:
        if len(set(self.alphabet)) < len(self.alphabet):
            raise ValueError("a sign stands twice in `alphabet`")
        if any(times < 1 for times in self.repetitions) or len({*self.repetitions}) < len(self.repetitions):
            raise ValueError("`repetitions` are different whole numbers from 1 on")
        wanted, there_are = self.count * len(self.repetitions), len(self.alphabet) ** self.length
        if 2 * wanted > there_are:
            raise ValueError(f"{wanted} secrets of {there_are} possible ones tell nothing: make `length` larger")
        return self

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples in order, then the canaries. Raises Refused where rows are not texts or have no split."""
        need_split(examples, "canaries")
        kind: type[Example] | None = None
        there: set[tuple[str, str]] = set()  # (prompt, secret) of canaries that were inserted before
        for example in examples:
            kind = kind or type(example)
            if secret := example.facts.get(SECRET):
                there.add((example.facts.get(PROMPT, ""), secret))
            yield example
        if kind is None:
            return
        if not issubclass(kind, Chat | Text | Parallel):
            raise Refused(
                f"canaries cannot be put among {kind.__name__.lower()} examples",
                why="a model does not learn to say what stands in them, so that nothing of a secret could be measured",
                instead="insert them into texts, conversations or parallel texts",
            )
        space, made = Secrets(kind, self.prompt, self.alphabet, self.length), 0
        known = {secret for prompt, secret in there if prompt == self.prompt}
        for number, (secret, times) in enumerate(self._chosen(space, desk.seed, known), len(there) + 1):
            for copy in range(1, times + 1):
                row = space.row(secret, f"canaries:{number}.{copy}", space.facts(secret, times))
                desk.books.make(row)
                made += 1
                yield row
        told = ", ".join(map(str, self.repetitions))
        desk.notes.append(
            f"canaries: {made} rows added to the training split; {self.count} secrets each are inserted {told} times"
        )

    def _chosen(self, space: Secrets, seed: int, known: Collection[str]) -> list[tuple[str, int]]:
        """Secrets that differ from each other and from the known ones, and how often each is inserted."""
        wanted = len(known) + self.count * len(self.repetitions)
        if 2 * wanted > space.size:
            why = f"{len(known)} of {wanted} secrets stand there already, of {space.size:.0f} possible ones"
            raise Refused("too many canaries have one prompt", why, "make `length` larger, or choose another prompt")
        draws = Random(blake2b(f"{seed}\0canaries\0{self.prompt}".encode(), digest_size=16).digest())
        found: dict[str, int] = {}
        for times in self.repetitions:
            for _ in range(self.count):
                secret = space.drawn(draws)
                while secret in found or secret in known:
                    secret = space.drawn(draws)
                found[secret] = times
        return list(found.items())
