"""What a judge says: which of two answers it prefers, or how many points it gives; None where it does not say."""

import re
from dataclasses import dataclass
from typing import Literal

Preferred = Literal["first", "second", "neither"]
_PAIR = re.compile(r"\[\[\s*(A|B|tie)\s*\]\]", re.IGNORECASE)
_POINTS = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*(?:/\s*10)?\s*\]\]")
_BARE_PAIR = re.compile(r"\W*(A|B|tie)\W*", re.IGNORECASE)
_BARE_POINTS = re.compile(r"\W*(\d+(?:\.\d+)?)\s*(?:/\s*10)?\W*")
LEAST, MOST = 1.0, 10.0


def preferred(said: str) -> Preferred | None:
    """The last verdict in double brackets, or the whole text where it is nothing but a verdict."""
    verdicts = _PAIR.findall(said)
    bare = _BARE_PAIR.fullmatch(said)
    verdict = verdicts[-1] if verdicts else bare[1] if bare else ""
    named: dict[str, Preferred] = {"a": "first", "b": "second", "tie": "neither"}
    return named.get(verdict.lower())


def points(said: str) -> float | None:
    """The last number in double brackets, or the whole text where it is nothing but a number; from 1 to 10."""
    verdicts = _POINTS.findall(said)
    bare = _BARE_POINTS.fullmatch(said)
    verdict = verdicts[-1] if verdicts else bare[1] if bare else ""
    found = float(verdict) if verdict else 0.0
    return found if LEAST <= found <= MOST else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a judge said of one pair: with the model's answer first, and with it second."""

    first: Preferred | None
    second: Preferred | None

    @property
    def readable(self) -> bool:
        return self.first is not None and self.second is not None

    @property
    def won(self) -> bool:
        """The model's answer is preferred in both orders."""
        return self.first == "first" and self.second == "second"

    @property
    def lost(self) -> bool:
        return self.first == "second" and self.second == "first"

    @property
    def swayed(self) -> bool:
        """There is a preference that does not survive the swap."""
        both_tied = self.first == self.second == "neither"
        return self.readable and not (self.won or self.lost or both_tied)

    @property
    def first_place(self) -> float:
        """The share of its preferences that went to whatever stood first; NaN where it had none."""
        decided = [each for each in (self.first, self.second) if each in ("first", "second")]
        return sum(each == "first" for each in decided) / len(decided) if decided else float("nan")
