"""The label set of a dataset, and what is odd about it: one class only, texts under several."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, MultiLabelled, Tagged
from affina.data.bits import bits, spaced_bits

WITH_LABELS = (Labelled, MultiLabelled, Tagged)


def label_set(examples: Iterable[Example]) -> tuple[str, ...]:
    """Every class of the data, sorted; empty where rows have no class."""
    return tuple(sorted({label for example in examples for label in labels_of(example)}))


def labels_of(example: Example) -> tuple[str, ...]:
    """The classes that an example itself has."""
    if isinstance(example, Labelled):
        return (example.label,)
    if isinstance(example, MultiLabelled):
        return example.right
    return example.tags if isinstance(example, Tagged) else ()


def refuse_one_class(examples: Collection[Example], labels: Sequence[str]) -> None:
    """Raises Refused where every answer is the same: there is nothing to tell apart."""
    first = next(iter(examples), None)
    if not isinstance(first, WITH_LABELS):
        return
    if isinstance(first, MultiLabelled):
        if any(isinstance(each, MultiLabelled) and each.right != first.right for each in examples):
            return
    elif len(labels) > 1:
        return
    told = f"'{', '.join(labels)}'" if labels else "without a class"
    raise Refused("there is only one class to learn", why=f"every usable row is {told}", instead="add rows of others")


def never_learnt(by_split: Mapping[str, Collection[Example]]) -> str:
    """What is wrong with rows whose class or tag no training row has, in a sentence; empty where there are none."""
    learnt = {*label_set(by_split["train"])}
    odd = [
        (split, each, label)
        for split, held in by_split.items()
        for each in held
        for label in dict.fromkeys(labels_of(each))
        if label not in learnt
    ]
    if not odd:
        return ""
    split, first, label = odd[0]
    kind = "tag" if isinstance(first, Tagged) else "class"
    rows = len({each.id for _, each, _ in odd})
    return (
        f"{rows} rows have a {kind} that no training row has, the first is {first.id} with '{label}' in the {split} "
        "split: add rows of it, remove these, or let `split` divide by label"
    )


def under_several(examples: Collection[Example]) -> str:
    """A sentence about texts that stand under more than one label; empty when none does."""
    if not isinstance(next(iter(examples), None), Labelled):
        return ""
    found = (_hash(each.text, each.label) for each in examples if isinstance(each, Labelled))
    pairs = np.unique(np.fromiter(found, np.dtype([("text", "u8"), ("label", "u8")]), len(examples)))
    texts, times = np.unique(pairs["text"], return_counts=True)
    several = set(texts[times > 1].tolist())
    if not several:
        return ""
    shown = next(each.text for each in examples if isinstance(each, Labelled) and _hash(each.text, "")[0] in several)
    return f"{len(several)} texts stand under more than one label, for example: {' '.join(shown.split())[:80]!r}"


def _hash(text: str, label: str) -> tuple[int, int]:
    """64 bits of the text, white space aside, and of the label: what is kept of each of many rows."""
    return spaced_bits(text), bits(label)
