"""What a model still gets right when its input is mistyped, cased or punctuated otherwise, or said in other words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Parallel
from affina.core.kinds import Desk, Floats, Model, Sampling, metrics, objectives, transforms
from affina.core.recipe import Data
from affina.core.task import Hall, Statistic, Task, Tested
from affina.data.lexicon.words import Edit
from affina.data.prepare import read_examples
from affina.data.variants import changed, pieces
from affina.evaluation.answer import answer, asker
from affina.evaluation.asking import need_labels
from affina.evaluation.items import spread
from affina.evaluation.measure import validate
from affina.evaluation.statistics import wilson

Change = Literal["typos", "upper", "lower", "unpunctuated", "paraphrase"]
SIGNS = frozenset(".,;:!?…")
SPLIT = "test"


class Perturbed(Task):
    """The same items as they are and changed: how many answers are right under each change, and how many flip, from
    right to wrong and from wrong to right. Only what the model is shown changes, never what is right.

    Of labels, or answers with options, the right one counts; of free answers an exact match.
    """

    costs: ClassVar[str] = "answers"

    read: tuple[str, ...] = ()
    """Files of items; the run's own test split where nothing is named."""
    changes: tuple[Change, ...] = Field(("typos", "upper", "lower", "unpunctuated"), min_length=1)
    """`typos`: slips of the keyboard as in the transform `noise` · `upper`, `lower`: letter case · `unpunctuated`:
    without . , ; : ! ? · `paraphrase`: in the words of `model`. Addresses, names with @ or # and places stay."""
    rate: float = Field(0.05, gt=0, le=1)
    """The share of letters that are mistyped; one at least."""
    layout: Literal["it", "en"] = "en"
    """The keyboard."""
    model: str = ""
    """The model that says items in other words: a run, a base of conversations."""
    most: int = Field(200, ge=1)
    """Items at most, at equal distances."""
    max_tokens: int = Field(64, ge=1)
    """Tokens of a free answer at most."""

    @model_validator(mode="after")
    def _paraphrased_by_somebody(self) -> Perturbed:
        if "paraphrase" in self.changes and not self.model:
            raise ValueError("`paraphrase` needs `model`: a run or a base of conversations")
        return self

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is an example; under a change that leaves it as it is, it says nothing.

        Raises Refused for items that have no right answer of one word or text.
        """
        examples = self._items(hall)
        clean_N, said = self._right(model, examples, hall)
        columns: dict[str, Floats] = {"clean": clean_N}
        shown = [
            {"asked": each.given, "answered": text, "expected": each.target}
            for each, text in zip(examples, said, strict=True)
        ]
        notes = []
        for change in self.changes:
            variants = _fitting(model, examples, self._changed(change, examples, hall))
            met = [place for place, each in enumerate(variants) if each is not None]
            right_N = np.full(len(examples), np.nan)
            if met:
                right_N[met], other = self._right(model, [each for each in variants if each is not None], hall)
                for place, text in zip(met, other, strict=True):
                    if right_N[place] != clean_N[place]:
                        shown[place][change] = text
            columns[change] = right_N
            told_N = ~np.isnan(right_N)
            columns[f"{change}_lost"] = np.where(told_N, (clean_N == 1) & (right_N == 0), np.nan)
            columns[f"{change}_won"] = np.where(told_N, (clean_N == 0) & (right_N == 1), np.nan)
            columns[f"{change}_flips"] = columns[f"{change}_lost"] + columns[f"{change}_won"]
            notes.append(_told(change, columns, int(told_N.sum())))
        stacked = np.stack([columns[change] for change in self.changes])
        columns["perturbed"] = np.array([_mean(each) for each in stacked.T])
        return Tested(tuple(each.id for each in examples), columns, tuple(shown), notes=tuple(notes))

    def statistics(self) -> Mapping[str, Statistic]:
        found = {
            "perturbed": Statistic.mean("perturbed", unit="share of right answers, over all changes"),
            "clean": Statistic.mean("clean", unit="share of right answers, unchanged"),
        }
        for change in self.changes:
            found[change] = Statistic.mean(change, unit="share of right answers")
            found[f"{change}_flips"] = Statistic.mean(f"{change}_flips", False, unit="share of items")
            found[f"{change}_lost"] = Statistic.mean(f"{change}_lost", False, unit="share of items, right to wrong")
            found[f"{change}_won"] = Statistic.mean(f"{change}_won", unit="share of items, wrong to right")
        return found

    def _items(self, hall: Hall) -> list[Example]:
        found: Sequence[Example] = hall.splits.get(SPLIT, ())
        if self.read:
            found = read_examples(Data(read=list(self.read)), hall.folder).examples["all"]
        if not found:
            raise Refused("there are no items to change", instead="ask a run, or name files under `read`")
        if odd := next((each for each in found if not isinstance(each, Labelled | Chat | Parallel)), None):
            raise Refused(
                f"{type(odd).__name__.lower()} examples are not asked under changes",
                why="only a label or a text can be right or wrong as a whole",
                instead="give labelled texts, conversations or texts with a result",
                where=odd.id,
            )
        chosen = [replace(each, split="train", origin="", made="") for each in spread(list(found), self.most)]
        known = hall.labels
        return [replace(each, labels=known) if known and isinstance(each, Labelled) else each for each in chosen]

    def _right(self, model: Model, examples: Sequence[Example], hall: Hall) -> tuple[Floats, list[str]]:
        """Whether each is answered right, and what is answered."""
        first = examples[0]
        if isinstance(first, Labelled):
            if getattr(model, "reads", "") == "past":  # labels as words, asked with the usual instruction
                examples = objectives.build("cross_entropy").expand(examples)
            else:
                need_labels(model, first)
        labelled = "label" in asker(examples).gives
        how = Sampling(max_tokens=self.max_tokens, seed=hall.seed)
        found = answer(model, examples, frozenset({"label" if labelled else "text"}), how, hall.progress)
        validate(found)
        each_N = metrics.build("accuracy" if labelled else "exact_match").each(found)
        assert each_N is not None, "both are means over items"
        return each_N, [found.worded(place) for place in range(len(found))]

    def _changed(self, change: Change, examples: Sequence[Example], hall: Hall) -> list[Example | None]:
        """Each changed; None where nothing is left to change."""
        if change == "typos":
            return self._augmented({"name": "noise", "rate": self.rate, "layout": self.layout}, examples, hall)
        if change == "paraphrase":
            return self._augmented({"name": "paraphrase", "model": self.model}, examples, hall)
        return [_rewritten(each, CHANGES[change]) for each in examples]

    def _augmented(self, step: dict[str, object], examples: Sequence[Example], hall: Hall) -> list[Example | None]:
        """As a step of the data engine changes training rows."""
        desk = Desk(_Unbooked(), hall.seed, hall.folder, hall.open)
        made = {each.origin: each for each in transforms.build(step).apply(examples, desk) if each.made}
        return [made.get(each.id) for each in examples]


@dataclass
class _Unbooked:
    """No ledger: what is made here trains nothing."""

    dropped: list[str] = field(default_factory=list)

    def drop(self, example: Example, reason: str) -> None:
        self.dropped.append(example.id)

    def make(self, example: Example) -> None:
        return None


CHANGES: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "unpunctuated": lambda text: "".join(sign for sign in text if sign not in SIGNS),
}


def _rewritten(example: Example, change: Callable[[str], str]) -> Example | None:
    """With every stretch changed that need not stay as it is; None where that changes nothing."""
    edits = []
    for piece in pieces(example):
        edges = [0, *(edge for span in sorted(piece.kept) for edge in span), len(piece.text)]
        free = [(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop]
        edits.append(tuple(Edit(start, stop, change(piece.text[start:stop])) for start, stop in free))
    found = changed(example, edits)
    return None if found.given == example.given or not found.given.strip() else found


def _fitting(model: Model, examples: Sequence[Example], variants: Sequence[Example | None]) -> list[Example | None]:
    """None for a variant that the model cannot read whole where it could read the item: capitals take more tokens."""
    met = [place for place, each in enumerate(variants) if each is not None]
    before, after = (_cut(model, [each[place] for place in met]) for each in (examples, variants))
    long = {place for place, one, two in zip(met, before, after, strict=True) if two > one}
    return [None if place in long else each for place, each in enumerate(variants)]


def _cut(model: Model, examples: Sequence[Example | None]) -> list[int]:
    return [row.cut for row in model.renderer.rows([each for each in examples if each is not None])]


def _mean(each: Floats) -> float:
    told = each[~np.isnan(each)]
    return float(told.mean()) if len(told) else float("nan")


def _told(change: str, columns: Mapping[str, Floats], n: int) -> str:
    lost, won = (int(np.nansum(columns[f"{change}_{way}"])) for way in ("lost", "won"))
    if not n:
        return f"{change}: changes none of the items"
    low, high = wilson(lost + won, n, 0.05)
    share = f"{(lost + won) / n:.1%} of {n} items flip (95 %: {float(low):.1%} to {float(high):.1%})"
    return f"{change}: {share}, {lost} from right to wrong and {won} from wrong to right"
