"""An equal sample of what passes by once, of bounded size (Li 1994, algorithm L); the same each time."""

import math
import random
from typing import Generic, TypeVar

T = TypeVar("T")


class Reservoir(Generic[T]):
    """Holds `size` of the things that passed, every one with the same chance; all of them while they are fewer.

    Draws nothing for what it lets pass: it knows beforehand which thing it holds next.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.met = size, 0
        self._draws = random.Random(seed)
        self._held: list[tuple[int, T]] = []
        self._weight = 1.0
        self._next = 1

    def offer(self, thing: T) -> None:
        """One more passes by."""
        if self.wanted():
            self.hold(thing)

    def wanted(self) -> bool:
        """One more passes by: whether it is to be held. Where it is, `hold` follows."""
        self.met += 1
        return self.met == self._next

    def hold(self, thing: T) -> None:
        """Takes in what was wanted, in the place of another once there are enough."""
        if len(self._held) < self.size:
            self._held.append((self.met, thing))
        else:
            self._held[self._draws.randrange(self.size)] = (self.met, thing)
        self._next = self.met + 1 if len(self._held) < self.size else self.met + self._passed_over() + 1

    def _passed_over(self) -> int:
        """How many are let pass before the next one that is held."""
        self._weight *= math.exp(math.log(1 - self._draws.random()) / self.size)
        return math.floor(math.log(1 - self._draws.random()) / math.log1p(-self._weight))

    @property
    def kept(self) -> list[T]:
        """What is held, in the order it came."""
        return [thing for _, thing in sorted(self._held, key=lambda pair: pair[0])]
