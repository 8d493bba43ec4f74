"""How much two texts say the same, word by word: ROUGE-L and what it is made of."""

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Runs of letters and digits of any script, in lower case."""
    return _WORD.findall(text.lower())


def dice(shared: int, one: int, two: int) -> float:
    """F1 of `shared` parts among `one` and `two`: 2·shared / (one + two), 0 where there are none."""
    return 2 * shared / (one + two) if one + two else 0.0


def longest_common(one: Sequence[str], two: Sequence[str]) -> int:
    """Length of the longest common subsequence, 64 and more places at a time (Hyyrö, 2004: bit-vector LCS)."""
    places: dict[str, int] = {}
    for at, part in enumerate(one):
        places[part] = places.get(part, 0) | 1 << at
    whole = (1 << len(one)) - 1
    missing = whole
    for part in two:
        met = missing & places.get(part, 0)
        missing = ((missing + met) | (missing - met)) & whole
    return len(one) - missing.bit_count()


def rouge_l(one: Sequence[str], two: Sequence[str]) -> float:
    """F1 of the longest common subsequence of two texts given as words (Lin, 2004; a text is one sentence)."""
    return dice(longest_common(one, two), len(one), len(two))


def likest(text: Sequence[str], pool: Iterable[Sequence[str]], above: float) -> tuple[float, int] | None:
    """The highest ROUGE-L of a text with any of a pool, and which; None where none reaches `above`.

    Texts whose lengths alone keep them below `above` are not compared.
    """
    best: tuple[float, int] | None = None
    for place, other in enumerate(pool):
        least = best[0] if best else above
        if dice(min(len(text), len(other)), len(text), len(other)) < least:
            continue
        found = rouge_l(text, other)
        if found >= above and (best is None or found > best[0]):
            best = found, place
    return best


def longest_run(one: Sequence[str], two: Sequence[str]) -> int:
    """Length of the longest run of words that stands in both texts without a gap."""
    longest, ending = 0, [0] * (len(two) + 1)
    for part in one:
        before, ending = ending, [0] * (len(two) + 1)
        for at, other in enumerate(two):
            if part == other:
                ending[at + 1] = before[at] + 1
                longest = max(longest, ending[at + 1])
    return longest


def repeats_itself(text: str) -> bool:
    """Whether a text of some length goes round in circles: fewer than a third of its runs of three words differ."""
    said = words(text)
    runs = [tuple(said[start : start + 3]) for start in range(len(said) - 2)]
    return len(runs) > 20 and len(set(runs)) * 3 < len(runs)
