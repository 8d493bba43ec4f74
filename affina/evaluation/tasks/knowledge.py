"""General knowledge, asked by multiple choice: what a model knew before it was tuned and should know after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Chat, Message
from affina.core.kinds import Model, Sampling
from affina.core.task import Hall, Statistic, Task, Tested
from affina.evaluation.answer import answer
from affina.evaluation.going_on import need_past
from affina.evaluation.items import groups, items
from affina.evaluation.measure import validate


class Knowledge(Task):
    """The option of the highest log-probability, of 80 questions in English and Italian that were made for this
    project, or of the user's. Options are answers as a person would write them, not letters, and share the prompt.
    """

    costs: ClassVar[str] = "scores"

    read: tuple[str, ...] = ()
    """Files with the columns `question`, `options` (a list) and `answer` (one of them), in place of the own ones."""
    most: int = Field(80, ge=1)
    """Questions that are asked at most, at equal distances."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is a question. Raises Refused for a model without words, and for an answer that is no option."""
        need_past(model, self.name)
        rows = items(self.name, self.read, hall.folder, ("question", "options", "answer"), self.most)
        chats = [_chat(row) for row in rows]
        found = answer(model, chats, frozenset({"label", "chances"}), Sampling(), hall.progress)
        validate(found)
        assert found.target_N is not None and found.predicted_N is not None and found.chances_NL is not None
        places = np.arange(len(rows))
        columns = {
            "right": (found.target_N == found.predicted_N).astype(np.float64),
            "chance": found.chances_NL[places, found.target_N],
        }
        said = [found.labels[place] for place in found.predicted_N]
        shown = tuple(
            {"asked": row["question"], "answered": each, "expected": row["answer"]}
            for row, each in zip(rows, said, strict=True)
        )
        return Tested(found.ids, columns, shown, groups(rows, "language", "category"))

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "accuracy": Statistic.mean("right", unit="share of questions"),
            "chance": Statistic.mean("chance", unit="chance given to the right option"),
        }


def _chat(row: Mapping[str, Any]) -> Chat:
    options = row["options"]
    if not isinstance(options, list | tuple) or len(set(map(str, options))) < 2:
        raise Refused(
            f"{options!r} is no list of options",
            why="a choice needs two that differ",
            instead="give a list, as JSON has it",
            where=row["id"],
        )
    turns = (Message("user", str(row["question"])), Message("assistant", str(row["answer"])))
    return Chat(id=row["id"], messages=turns, options=tuple(dict.fromkeys(map(str, options))))
