"""An equal sample of what passes by once, of bounded size (Vitter 1985, algorithm R); the same each time."""

import random
from typing import Generic, TypeVar

T = TypeVar("T")


class Reservoir(Generic[T]):
    """Holds `size` of the things it was offered, every one with the same chance; all of them while they are fewer."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.met = size, 0
        self._draws = random.Random(seed)
        self._held: list[tuple[int, T]] = []

    def offer(self, thing: T) -> None:
        """One more passes by."""
        self.met += 1
        if len(self._held) < self.size:
            self._held.append((self.met, thing))
        elif (place := self._draws.randrange(self.met)) < self.size:
            self._held[place] = (self.met, thing)

    @property
    def kept(self) -> list[T]:
        """What is held, in the order it came."""
        return [thing for _, thing in sorted(self._held, key=lambda pair: pair[0])]
