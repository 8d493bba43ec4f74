"""What is seen of examples while they pass by once: lengths, classes, repetitions, faults, and an equal sample."""

from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any

from affina.core.example import Example, Labelled, MultiLabelled, Rated, Tagged
from affina.data.classes import labels_of
from affina.data.faults import Faults, Problem, of_classes
from affina.data.lengths import Lengths
from affina.data.near import clusters
from affina.data.reservoir import Reservoir
from affina.data.twins import MOST, Twins

SAMPLED = 2000
"""Examples that are kept to be looked at closely: languages, near-duplicates, tokens."""
NEAR = 0.8
"""Jaccard similarity of character 5-grams from which texts are near-duplicates."""
READ = 4000
"""Characters of a text that are compared for it."""
LONG = 20
"""Times the median beyond which the longest text is said to be a giant."""
FILES = 1 << 20
"""Files that are told apart where two examples are compared."""
NAMES = 10_000
"""Different classes that are counted; beyond them no class is what a column holds."""


class Sight:
    """Add every usable example; ask when all have passed."""

    def __init__(self) -> None:
        self.first: Example | None = None
        self.sample: Reservoir[Example] = Reservoir(SAMPLED)
        self.lengths = {name: Lengths() for name in ("text, characters", "text, words")}
        self.classes: Counter[str] = Counter()
        self.twins = Twins()
        self._faults = Faults()
        self._longest = ("", 0, 0)
        self._files = [""]
        self._numbers = array("d")

    def add(self, example: Example, file: str, line: int) -> None:
        """One more example, whose row stands there."""
        shown, taught = example.given, example.target
        self._measure("text", shown)
        classed = isinstance(example, (Labelled, MultiLabelled, Tagged, Rated))
        if classed:
            self._class(example)
        elif taught:
            self._measure("answer", taught)
        if file != self._files[-1]:
            self._files.append(file)
        self.twins.add(shown, taught, line * FILES + min(len(self._files), FILES) - 1)
        self._faults.look(shown if classed else f"{shown}\n{taught}", file, line)
        if len(shown) > self._longest[2]:
            self._longest = (file, line, len(shown))
        self.first = self.first or example
        self.sample.offer(example)

    def _measure(self, what: str, text: str) -> None:
        for unit, length in (("characters", len(text)), ("words", len(text.split()))):
            self.lengths.setdefault(f"{what}, {unit}", Lengths()).add(length)

    def _class(self, example: Example) -> None:
        if isinstance(example, Rated):
            self._numbers.append(example.value)
        for name in labels_of(example):
            if name in self.classes or len(self.classes) < NAMES:
                self.classes[name] += 1

    def numbers(self) -> dict[str, float] | None:
        """Of rated texts: the least number, the median, the most, the mean; None where texts have none."""
        if not self._numbers:
            return None
        ranked = sorted(self._numbers)
        return {
            "least": ranked[0],
            "half": ranked[(len(ranked) - 1) // 2],
            "most": ranked[-1],
            "mean": round(sum(ranked) / len(ranked), 4),
        }

    def duplicates(self) -> dict[str, Any]:
        """Exact repetitions, and near ones where all examples are in the sample (else None)."""
        kept = self.sample.kept
        near = None
        if 0 < self.sample.met <= SAMPLED:
            groups = clusters([each.given[:READ] for each in kept], NEAR)
            near = len(groups) - len(set(groups))
        return {"exact": self.twins.repeated().times, "near": near, "compared": self.twins.compared}

    def _where(self, place: int) -> tuple[str, int]:
        """The file and line of an example that was compared."""
        line, file = divmod(place, FILES)
        return self._files[file], line

    def problems(self) -> Iterator[Problem]:
        """Everything a person should know before learning from these examples."""
        texts = self.sample.met
        yield from self._faults.problems(texts)
        if self.classes and not any(isinstance(each, Tagged) for each in self.sample.kept[:1]):
            yield from of_classes(self.classes)
        if (repeated := self.twins.repeated()).times:
            told = f"{repeated.times:,} of {texts:,} examples repeat an earlier one: `dedup` drops them"
            yield Problem("duplicates", *self._where(repeated.place), repeated.times, told)
        one_right = isinstance(next(iter(self.sample.kept), None), (Labelled, MultiLabelled))
        if one_right and (contradicted := self.twins.contradicted()).times:
            told = f"{contradicted.times:,} texts stand there with more than one right answer"
            yield Problem("contradictions", *self._where(contradicted.place), contradicted.times, told)
        if texts > MOST:
            told = f"repetitions were looked for among the first {MOST:,} examples only"
            yield Problem("limits", "", 0, texts, told)
        file, line, longest = self._longest
        half = self.lengths["text, characters"].at(0.5)
        if texts > LONG and longest > LONG * max(half, LONG):
            told = f"the longest text has {longest:,} characters, and half of them at most {half:,}"
            yield Problem("a giant", file, line, 1, told)
