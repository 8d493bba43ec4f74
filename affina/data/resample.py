"""Groups of training rows brought to other sizes: rows repeated under ids of their own, or left out by draw."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from heapq import nlargest
from typing import Literal

from affina.core.example import Example
from affina.core.kinds import Desk
from affina.data.made import copied, draw

GroupOf = Callable[[Example], str]


def shares(counts: Mapping[str, int], temperature: float | None) -> dict[str, float]:
    """What part of the rows each group is to have: in proportion to its rows to the power of 1 / temperature. None: all
    alike, as at an infinite temperature."""
    sizes = {group: count ** (1 / temperature) if temperature else 1.0 for group, count in counts.items() if count}
    return {group: size / sum(sizes.values()) for group, size in sizes.items()}


def sizes(
    counts: Mapping[str, int], wanted: Mapping[str, float], to: Literal["over", "under", "same"] | int
) -> dict[str, int]:
    """Rows of each group for these shares: by repeating alone, by leaving out alone, with as many rows as there are, or
    with so many. Each group keeps at least one row."""
    ratios = [counts[group] / share for group, share in wanted.items()]
    given = {"over": max(ratios, default=0), "under": min(ratios, default=0), "same": sum(counts.values())}
    total = given[to] if isinstance(to, str) else to
    return {group: max(1, round(total * share)) for group, share in wanted.items()}


def resampled(
    examples: Collection[Example], group_of: GroupOf, wanted: Mapping[str, int], most: int, desk: Desk, by: str
) -> Iterator[Example]:
    """The examples in order, each with its copies behind it; rows of other splits as they are.

    A group of c rows that is to have n gets each row n // c times, and one time more those of the highest draws; no row
    more than `most` times. `by` names the transform in copies and reasons.
    """
    counts = Counter(group_of(example) for example in examples if example.split == "train")
    highest = _highest(examples, group_of, {group: wanted[group] % counts[group] for group in counts}, desk.seed)
    short = {group: wanted[group] for group in counts if wanted[group] > most * counts[group]}
    for example in examples:
        if example.split != "train":
            yield example
            continue
        group = group_of(example)
        times = wanted[group] // counts[group] + (example.id in highest)
        if not times:
            desk.books.drop(example, f"{by}: '{group}' has more rows than wanted")
            continue
        yield example
        for number in range(1, min(times, most)):
            copy = copied(example, number, by, f"repeated for '{group}'")
            desk.books.make(copy)
            yield copy
    if short:
        desk.notes.append(
            f"{by}: no row stands more than {most} times, so fewer than wanted: {', '.join(sorted(short))}"
        )


def _highest(examples: Collection[Example], group_of: GroupOf, extra: Mapping[str, int], seed: int) -> set[str]:
    """The ids of the rows with the highest draws, so many of each group."""
    drawn: dict[str, list[tuple[int, str]]] = {}
    for example in examples:
        if example.split == "train" and extra[group_of(example)]:
            drawn.setdefault(group_of(example), []).append((draw(example, seed, "resample"), example.id))
    return {id for group, held in drawn.items() for _, id in nlargest(extra[group], held)}


def told(before: Mapping[str, int], after: Mapping[str, int], shown: int = 6) -> str:
    """How many rows each group had and has, the largest first."""
    ordered = sorted(before, key=lambda group: (-before[group], group))
    listed = [f"{group or 'none'} {before[group]} → {after[group]}" for group in ordered[:shown]]
    return ", ".join(listed) + (f" and {len(ordered) - shown} more" if len(ordered) > shown else "")
