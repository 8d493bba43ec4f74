"""Texts with a class: the label of the highest probability, said in words or chosen by a head of labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affina.core import kinds
from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Labelled
from affina.core.kinds import Floats, Metric, Model, Progress
from affina.core.task import Hall, Statistic, Tested
from affina.data import columns
from affina.evaluation.bank import Bank, Item
from affina.evaluation.few_shot import Prompt
from affina.evaluation.going_on import scored
from affina.evaluation.summed import columns_of, statistics_of

METRICS = ("f1", "mcc", "ece", "brier")
"""What is measured beside accuracy and nats."""


class Classification(Bank):
    """A model of words is asked for each label's log-probability after the prompt, which all labels share; a head of
    labels gives its own probabilities. `ece` and `brier` say how far these can be believed."""

    prompt: Prompt = "{text}"
    """What the model is asked, with the columns' names in braces; all that a head of labels sees. Of a model of words
    it may be `{shots: 4, rows: FILE, text: PROMPT}`, with answered examples before it."""
    label: str = "label"
    """The column of the right label."""
    labels: tuple[str, ...] = ()
    """All labels; those of the file, or of the model's head, when left out."""
    words: Mapping[str, str] = {}
    """What a model of words calls a label, by label; itself when left out."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        items, notes = self.items(hall, lambda record: columns.text(record, self.label, "label").strip())
        labels = self._labels(items, hall)
        logs_NL = (self._by_head if hall.labels else self._in_words)(model, items, labels, hall.progress)
        # One order whatever the model's head has: two models are compared column by column.
        logs_NL, labels = logs_NL[:, np.argsort(labels)], tuple(sorted(labels))
        logs_NL = logs_NL - logs_NL.max(axis=1, keepdims=True)
        chances_NL = np.exp(logs_NL) / np.exp(logs_NL).sum(axis=1, keepdims=True)
        target_N = np.array([labels.index(item.right) for item in items], dtype=np.int64)
        given_N = chances_NL.argmax(axis=1)
        ids, nats_N = tuple(item.id for item in items), -np.log(chances_NL[np.arange(len(items)), target_N])
        answers = Answers(ids, nats_N, np.ones(len(items)), labels, target_N, given_N, chances_NL)
        right_N = (target_N == given_N).astype(np.float64)
        found = {**columns_of(_measured(), answers), "right": right_N, "nats": nats_N}
        shown = [
            {"given": item.given, "expected": item.right, "said": labels[place]}
            for item, place in zip(items, given_N.tolist(), strict=True)
        ]
        slices = {**self.slices(items), "label": tuple(item.right for item in items)}
        return Tested(ids, found, tuple(shown), slices, notes)

    def spoken(self, right: str) -> str:
        return self.words.get(right, right)

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "accuracy": Statistic.mean("right", unit="share"),
            **statistics_of(_measured()),
            "nats": Statistic.mean("nats", higher_is_better=False, unit="nats per item"),
        }

    def _labels(self, items: Sequence[Item[str]], hall: Hall) -> tuple[str, ...]:
        """All labels, in the order of the head. Raises Refused for fewer than two, and where label sets differ."""
        known = hall.labels or self.labels or tuple(sorted({item.right for item in items}))
        if hall.labels and self.labels and set(self.labels) != set(hall.labels):
            what = f"the task {self.name} and the model's head have other labels"
            raise Refused(
                what, why=f"{', '.join(self.labels)} and {', '.join(hall.labels)}", instead="leave out `labels`"
            )
        if len(known) < 2:
            only = f"there is only '{known[0]}'" if known else "there is none"
            raise Refused("a classification needs two labels", why=only, instead="name all of them under `labels`")
        if odd := next((item for item in items if item.right not in known), None):
            raise Refused(
                f"the label '{odd.right}' is none of the {len(known)} known ones",
                why=f"{'the model has a head of' if hall.labels else 'the task has'} {', '.join(known)}",
                instead="correct the row, or name the label under `labels`",
                where=odd.id,
            )
        if unknown := sorted(set(self.words) - set(known)):
            raise Refused(f"`words` names {unknown[0]}, which is no label", why=f"the labels are {', '.join(known)}")
        return known

    def _in_words(
        self, model: Model, items: Sequence[Item[str]], labels: tuple[str, ...], progress: Progress | None
    ) -> Floats:
        """[N, L] log-probabilities of what the labels are called."""
        said = [self.words.get(label, label) for label in labels]
        if len(set(said)) < len(said):
            raise Refused("two labels are called alike", why=", ".join(said), instead="change `words`")
        rows = [row for item in items for row in self.options_of(model.renderer, item, said, " ")]
        found = [each.logprobs_S.sum() for each in scored(model, rows, self.name, progress)]
        return np.array(found, dtype=np.float64).reshape(len(items), len(labels))

    def _by_head(
        self, model: Model, items: Sequence[Item[str]], labels: tuple[str, ...], progress: Progress | None
    ) -> Floats:
        """[N, L] what the head gives. Raises Refused where examples are to be shown to it."""
        if any(item.before for item in items):
            raise Refused(
                "a head of labels sees no examples", "it reads one text at a time", "write the prompt without `shots`"
            )
        asked = [Labelled(id=item.id, text=item.given, label=item.right, labels=labels) for item in items]
        rows = model.renderer.rows(asked)
        if long := next((row for row in rows if row.cut), None):
            size = len(long.tokens) + long.cut
            raise Refused(f"an item has {size} tokens, more than the model takes", instead="shorten it", where=long.id)
        scores: list[Any] = [each.scores_L for each in scored(model, rows, self.name, progress)]
        return np.array(scores, dtype=np.float64)


def _measured() -> list[Metric]:
    return [kinds.metrics.build(name) for name in METRICS]
