"""Prompts whose answers are whole texts: metrics of texts over one or several right ones."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, field_validator

from affina.core import kinds
from affina.core.answers import Answers
from affina.core.kinds import Metric, Model
from affina.core.task import Hall, Statistic, Tested
from affina.evaluation.bank import Bank, silent, texts
from affina.evaluation.summed import columns_of, statistics_of, summable


class Generation(Bank):
    """What the model writes beside the right texts, by the metrics of the shelf that read text."""

    costs: ClassVar[str] = "answers"

    answer: str = "answer"
    """The column of the right text, or of a list of right texts."""
    metrics: tuple[Annotated[Metric, kinds.metrics], ...] = Field(
        ("chrf", "rouge_l", "rouge_1", "rouge_2"), min_length=1, validate_default=True
    )
    """What is measured, the first deciding; `bleu` needs sacrebleu."""
    max_tokens: int = Field(128, ge=1)
    """Tokens generated at most."""

    @field_validator("metrics")
    @classmethod
    def _of_texts(cls, given: tuple[Metric, ...]) -> tuple[Metric, ...]:
        for metric in given:
            if metric.reads != "text" or not summable(metric):
                raise ValueError(f"{metric.name} is no metric of texts")
        if len({metric.name for metric in given}) < len(given):
            raise ValueError("a metric stands twice")
        return given

    def ask(self, model: Model, hall: Hall) -> Tested:
        items, notes = self.items(hall, lambda record: texts(record, self.answer, "right text"))
        sampled = self.answers(model, items, self.max_tokens, hall)
        said, ids = tuple(each.text for each in sampled), tuple(item.id for item in items)
        nothing = np.zeros(len(items))
        found = Answers(
            ids, nothing, nothing, expected=tuple(item.right[0] for item in items), said=said,
            references=tuple(item.right for item in items),
        )  # fmt: skip
        shown = [
            {"given": item.given, "expected": item.right[0], "said": text}
            for item, text in zip(items, said, strict=True)
        ]
        stopped = np.array([each.stopped for each in sampled], dtype=np.float64)
        return Tested(
            ids,
            {**columns_of(self.metrics, found), "stopped": stopped},
            tuple(shown),
            self.slices(items),
            (*notes, *silent(said)),
        )

    def spoken(self, right: tuple[str, ...]) -> str:
        return right[0]

    def statistics(self) -> Mapping[str, Statistic]:
        return {**statistics_of(self.metrics), "stopped": Statistic.mean("stopped", unit="share")}
