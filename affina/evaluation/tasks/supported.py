"""Whether what a model answers about a source stands in the source, claim by claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from affina.core.errors import Refused
from affina.core.kinds import Model, Sampling
from affina.core.task import Hall, Statistic, Task, Tested
from affina.data.prompt import written
from affina.evaluation.going_on import answers, need_past
from affina.evaluation.items import groups, items
from affina.evaluation.support import CONTRADICTION, ENTAILMENT, Entailment, Support, claims, supports

ASKED = "Answer the question with what this text says.\n\n{source}\n\nQuestion: {question}"


class Supported(Task):
    """The model answers questions about given sources; every sentence of an answer is a claim. Its support is the
    chance that the source's likeliest passage entails it, by a model of entailment, times the share of its numbers and
    names that the source holds. Claims below `threshold` are unsupported, and listed. How sure a model of entailment is
    depends on what it was taught: hold `threshold` against answers that are known.
    """

    costs: ClassVar[str] = "answers"

    read: tuple[str, ...] = ()
    """Files with the columns `source` and `question`."""
    entailment: str = ""
    """The model of entailment: a run trained on pairs with the labels entailment, neutral and contradiction."""
    labels: tuple[str, ...] = (CONTRADICTION, ENTAILMENT, "neutral")
    """Its labels in their order: a run sorts them."""
    form: str = "{source} | {claim}"
    """How the two texts of a pair stood in its training rows."""
    prompt: str = ASKED
    """What the model is asked; {source} and {question} stand for the item's."""
    threshold: float = Field(0.5, ge=0, le=1)
    """The support from which on a claim is supported."""
    passages: int = Field(3, ge=1)
    """Passages of the source that each claim is held against: those that share most words with it."""
    most: int = Field(100, ge=1)
    """Questions at most, at equal distances."""
    max_tokens: int = Field(96, ge=1)
    """Tokens of an answer at most."""

    @field_validator("form")
    @classmethod
    def _has_both(cls, form: str) -> str:
        if "{source}" not in form or "{claim}" not in form:
            raise ValueError("`form` needs {source} and {claim}")
        return form

    @field_validator("labels")
    @classmethod
    def _can_say_both(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if not {ENTAILMENT, CONTRADICTION} <= {*labels} or len({*labels}) < len(labels):
            raise ValueError(f"`labels` are different and hold {ENTAILMENT} and {CONTRADICTION}")
        return labels

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is a question; an answer without a claim says nothing. Raises Refused without a model of entailment,
        or for one with other labels."""
        need_past(model, self.name)
        if not self.entailment:
            raise Refused(
                f"{self.name} has no model of entailment",
                instead="set `entailment` to a run that was trained on pairs with these labels",
            )
        rows = items("", self.read, hall.folder, ("source", "question"), self.most)
        how = Sampling(max_tokens=self.max_tokens, seed=hall.seed)
        said = answers(model, [self._put(row) for row in rows], how, self.name, hall.progress)
        by = Entailment(hall.open(self.entailment), self.labels, self.form)
        owned = [(n, str(rows[n]["source"]), claim) for n, text in enumerate(said) for claim in claims(text)]
        found: list[list[Support]] = [[] for _ in rows]
        judged = supports([each[1:] for each in owned], by, self.passages, hall.progress)
        for (n, _, _), support in zip(owned, judged, strict=True):
            found[n].append(support)
        return self._tested(rows, said, found)

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "supported": Statistic.mean("supported", unit="share of an answer's claims"),
            "support": Statistic.mean("support", unit="mean support of an answer's claims"),
            "all_supported": Statistic.mean("all_supported", unit="share of answers"),
            "grounded": Statistic.mean("grounded", unit="share of claims of which nothing is missing or contradicted"),
            "missing": Statistic.mean("missing", False, unit="numbers and names that the source lacks, per answer"),
        }

    def _put(self, row: Mapping[str, Any]) -> str:
        return written(self.prompt).text({name: str(row[name]) for name in ("source", "question")})

    def _tested(
        self, rows: Sequence[Mapping[str, Any]], said: Sequence[str], found: Sequence[Sequence[Support]]
    ) -> Tested:
        below = [[each for each in some if each.score < self.threshold] for some in found]
        counts_N = np.array([len(some) or np.nan for some in found], dtype=np.float64)
        columns = {
            "supported": 1 - np.array([len(some) for some in below]) / counts_N,
            "support": np.array([sum(each.score for each in some) for some in found]) / counts_N,
            "grounded": np.array([sum(each.grounded for each in some) for some in found]) / counts_N,
            "missing": np.where(
                np.isnan(counts_N), np.nan, [sum(len(each.missing) for each in some) for some in found]
            ),
        }
        columns["all_supported"] = np.where(np.isnan(counts_N), np.nan, columns["supported"] == 1)
        shown = tuple(
            {
                "asked": row["question"],
                "answered": text,
                "expected": str(row.get("answer", "")),
                "unsupported": [
                    {"claim": each.claim, "support": each.score, "missing": list(each.missing)} for each in some
                ],
            }
            for row, text, some in zip(rows, said, below, strict=True)
        )
        silent = int(np.isnan(counts_N).sum())
        notes = [f"{sum(map(len, below))} of {sum(map(len, found))} claims are not supported"]
        if silent:
            notes.append(f"{silent} of {len(rows)} answers make no claim")
        ids = tuple(str(row["id"]) for row in rows)
        return Tested(ids, columns, shown, groups([*map(dict, rows)], "language", "category"), tuple(notes))
