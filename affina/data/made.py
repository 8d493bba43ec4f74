"""What transforms of the training split share: whether there is one, copies with their lineage, draws by content."""

from collections.abc import Collection
from dataclasses import replace
from hashlib import blake2b
from typing import TypeVar

from affina.core.errors import Refused
from affina.core.example import Example

E = TypeVar("E", bound=Example)


def need_split(examples: Collection[Example], what: str) -> None:
    """Raises Refused where no example has a split yet: what is done to training rows alone cannot be done before."""
    if len(examples) and not any(example.split for example in examples):
        raise Refused(
            f"{what} comes before the split",
            why="only training rows may be changed by it, and no row has a split yet",
            instead=f"put `split` before `{what}` in data.transforms",
        )


def copied(example: E, number: int, by: str, how: str) -> E:
    """The `number`-th copy (from 1) of an example that the transform `by` makes; `how` says what was done, in words."""
    return replace(example, id=f"{example.id}+{by}.{number}", origin=example.id, made=f"{by}: {how}")


def draw(example: Example, seed: int, salt: str = "") -> int:
    """A number of 64 bits from seed and content, whatever the order of rows: equal contents draw equal numbers."""
    content = f"{seed}\0{salt}\0{example.given}\0{example.target}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")


def file_of(example: Example) -> str:
    """The name of the file that an example was read from, or that its original was."""
    return example.id.rpartition(":")[0]
