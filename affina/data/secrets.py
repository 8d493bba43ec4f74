"""Rows that hold a secret, and what is written beside them: what inserts them and what measures them agree on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random

from affina.core.example import Chat, Example, Message, Parallel, Text

SECRET, PROMPT, ALPHABET, TIMES = "canary", "canary_prompt", "canary_alphabet", "canary_times"
"""Facts of a canary's row: its secret, what stands before it, the signs it is drawn from, how often it is inserted."""
MADE = "canaries: a secret inserted to measure memorisation"


@dataclass(frozen=True, slots=True)
class Secrets:
    """All secrets that could stand after one prompt: as many signs of an alphabet."""

    kind: type[Example]
    """Of the rows that hold them."""
    prompt: str
    alphabet: str
    length: int

    @property
    def size(self) -> float:
        """How many there are."""
        return float(len(self.alphabet)) ** self.length

    def drawn(self, draws: Random) -> str:
        """One of them, each as likely as any other."""
        return "".join(draws.choice(self.alphabet) for _ in range(self.length))

    def others(self, known: Collection[str], most: int, draws: Random) -> list[str]:
        """All that are not among the known ones, where they are at most so many; else as many, drawn, all different."""
        if self.size - len(known) <= most:
            every = map("".join, product(self.alphabet, repeat=self.length))
            return [secret for secret in every if secret not in known]
        found: dict[str, None] = {}
        while len(found) < most:
            if (secret := self.drawn(draws)) not in known:
                found[secret] = None
        return list(found)

    def row(self, secret: str, id: str, facts: Mapping[str, str] | None = None) -> Example:
        """The training row of a secret."""
        held = facts or {}
        if issubclass(self.kind, Chat):
            turns = (Message("user", self.prompt), Message("assistant", secret))
            return Chat(id=id, split="train", facts=held, made=MADE, messages=turns)
        if issubclass(self.kind, Parallel):
            return Parallel(id=id, split="train", facts=held, made=MADE, source=self.prompt, result=secret)
        return Text(id=id, split="train", facts=held, made=MADE, text=f"{self.prompt} {secret}")

    def facts(self, secret: str, times: int) -> dict[str, str]:
        """What is written beside the row of a secret that is inserted so many times."""
        return {SECRET: secret, PROMPT: self.prompt, ALPHABET: self.alphabet, TIMES: str(times)}


def inserted(examples: Iterable[Example]) -> dict[Secrets, dict[str, int]]:
    """The secrets that stand among the examples and how often each was inserted, by what they were drawn from."""
    found: dict[Secrets, dict[str, int]] = {}
    for example in examples:
        if secret := example.facts.get(SECRET):
            facts = example.facts
            space = Secrets(type(example), facts[PROMPT], facts[ALPHABET], len(secret))
            found.setdefault(space, {})[secret] = int(facts[TIMES])
    return found
