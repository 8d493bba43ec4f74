"""Instructions whose keeping a rule can check: what tuning on answers of one form may unlearn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Model, Sampling
from affina.core.task import Hall, Statistic, Task, Tested
from affina.evaluation.going_on import answers, need_past
from affina.evaluation.items import groups, items
from affina.evaluation.rules import kept


class Instructions(Task):
    """Which of 40 instructions an answer follows, in English and Italian, or of the user's: so many words, in capitals,
    as JSON, with a word, without it, in a language (the kind of check is that of IFEval, Zhou et al., 2023).
    """

    costs: ClassVar[str] = "answers"

    read: tuple[str, ...] = ()
    """Files with the columns `prompt` and `rules`, a list like [{words: {most: 20}}, {contains: [rain]}]."""
    most: int = Field(40, ge=1)
    """Instructions that are given at most, at equal distances."""
    max_tokens: int = Field(96, ge=1)
    """Tokens of an answer at most."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is an instruction. Raises Refused for an unknown rule and for a model without words."""
        need_past(model, self.name)
        rows = items(self.name, self.read, hall.folder, ("prompt", "rules"), self.most)
        for row in rows:
            if not isinstance(row["rules"], list):
                raise Refused(f"{row['rules']!r} is no list of rules", where=row["id"])
            kept("", row["rules"], row["id"])
        how = Sampling(max_tokens=self.max_tokens, seed=hall.seed)
        said = answers(model, [str(row["prompt"]) for row in rows], how, self.name, hall.progress)
        found = [kept(each, row["rules"], row["id"]) for each, row in zip(said, rows, strict=True)]
        columns = {
            "followed": np.array([all(each) for each in found], dtype=np.float64),
            "rules": np.array([np.mean(each) for each in found], dtype=np.float64),
        }
        shown = tuple(
            {"asked": row["prompt"], "answered": each, "expected": str(row["rules"])}
            for row, each in zip(rows, said, strict=True)
        )
        return Tested(tuple(row["id"] for row in rows), columns, shown, groups(rows, "language"))

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "followed": Statistic.mean("followed", unit="share of instructions"),
            "rules": Statistic.mean("rules", unit="share of an instruction's rules"),
        }
