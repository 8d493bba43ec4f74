"""A task's columns at some of its items, made when they are read: what a bootstrap calls a statistic with."""

from collections.abc import Callable, Iterator, Mapping

from affina.core.kinds import Floats, Ints
from affina.core.task import Columns


class Drawn(Mapping[str, Floats]):
    """Columns made when they are first read; `read` holds those."""

    def __init__(self, columns: Columns, make: Callable[[str], Floats]) -> None:
        self._columns, self._make = columns, make
        self.read: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        if name not in self.read:
            self.read[name] = self._make(name)
        return self.read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def of_items(columns: Columns, index_N: Ints) -> Drawn:
    """The columns at these items."""
    return Drawn(columns, lambda name: columns[name][index_N])
