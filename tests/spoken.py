"""Models whose preferences are known beforehand: what tests of bias tasks ask in place of a network."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from affina.core.kinds import Ints, Row, Sampled, Sampling, Scored
from affina.engine.toy import STOP, Toy

Said = Callable[[str], float]


def spelt(tokens: Sequence[int]) -> str:
    return bytes(token for token in tokens if token < STOP).decode("utf-8")


class Spoken(Toy):
    """Each character has the log-probability that a table gives it, whatever stands before it; others have -1."""

    def __init__(self, nats: Mapping[str, float]) -> None:
        super().__init__()
        self.nats, self.asked = nats, 0

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        self.asked += len(rows)
        return [
            Scored(np.array([self.nats.get(spelt([token]), -1.0) for token in row.tokens[row.weights > 0].tolist()]))
            for row in rows
        ]


class Chooser(Toy):
    """Finds the answers of a list likely, behind the texts that a test of it names."""

    def __init__(self, likely: Callable[[str, str], bool]) -> None:
        super().__init__(4096)
        self.likely = likely

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        found = []
        for row in rows:
            before, said = (spelt(row.tokens[row.weights > 0 if own else row.weights == 0].tolist()) for own in (0, 1))
            found.append(Scored(np.full(row.targets, (0.0 if self.likely(before, said.strip()) else -1.0))))
        return found


class Labeller(Toy):
    """A head of two labels: the second where the text holds a `+`."""

    reads = ""

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        return [
            Scored(np.zeros(0), np.array([0.0, 1.0 if "+" in spelt(row.tokens.tolist()) else -1.0])) for row in rows
        ]

    def likeliest(self, rows: Sequence[Row], count: int) -> list[Ints]:
        raise NotImplementedError


class Filler(Toy):
    """Goes on with given words, by what stands before them."""

    reads = "past"

    def __init__(self, words: Callable[[str], list[str]]) -> None:
        super().__init__()
        self.words = words

    def likeliest(self, rows: Sequence[Row], count: int) -> list[Ints]:
        first = [[ord(word[0]) for word in self.words(spelt(row.tokens[:-1].tolist()))[:count]] for row in rows]
        return [np.array([each]) for each in first]

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        found = []
        for prompt in prompts:
            before = spelt(prompt)
            word = next(each for each in self.words(before[:-1]) if each[0] == before[-1])
            rest = f"{word[1:]} and"[: how.max_tokens]
            found.append(Sampled(rest, tuple(rest.encode()), stopped=False))
        return found


def lines(path: Path, rows: Sequence[Mapping[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path.name
