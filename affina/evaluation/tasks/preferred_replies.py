"""Which of two replies a model finds likelier, where people prefer one: safe against harmful, helpful against not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Chat, Message, Pair
from affina.core.kinds import Floats, Model, Row
from affina.core.recipe import Data
from affina.core.task import Hall, Statistic, Task, Tested
from affina.data.prepare import read_examples
from affina.evaluation.going_on import last_run, need_past, scored
from affina.evaluation.items import spread

LENGTHS = "only the last reply counts; the share by log-probability favours short replies, the one per token does not"


class PreferredReplies(Task):
    """The log-probability of the preferred reply minus the other's, whole and per token; and the share of pairs in
    which the preferred one is likelier. Both replies share the conversation before them.
    """

    costs: ClassVar[str] = "scores"

    read: tuple[str, ...] = ()
    """Files of preferences: conversations with a chosen and a rejected reply."""
    most: int = Field(200, ge=1)
    """Pairs that are asked at most, at equal distances."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is a pair; one that the model cannot read whole is left out and said so."""
        need_past(model, self.name)
        pairs: Sequence[Pair] = spread(self._pairs(hall), self.most)
        both = [tuple(_rows(model, pair)) for pair in pairs]
        whole = [place for place, rows in enumerate(both) if all(not row.cut and row.targets for row in rows)]
        if not whole:
            raise Refused(
                "no pair of replies can be asked",
                why=f"all are longer than the {model.renderer.max_tokens} tokens that the model takes",
            )
        flat = [row for place in whole for row in both[place]]
        found = scored(model, flat, self.name, hall.progress)
        numbers = np.array([(each.logprobs_S.sum(), row.targets) for each, row in zip(found, flat, strict=True)])
        numbers = numbers.reshape(len(whole), 2, 2)
        each_N2 = numbers[:, :, 0] / numbers[:, :, 1]
        margin_N, per_token_N = numbers[:, 0, 0] - numbers[:, 1, 0], each_N2[:, 0] - each_N2[:, 1]
        columns = {
            "margin": margin_N,
            "margin_per_token": per_token_N,
            "preferred": _likelier(margin_N),
            "preferred_per_token": _likelier(per_token_N),
        }
        kept = [pairs[place] for place in whole]
        shown = tuple({"asked": each.given, "preferred": each.chosen, "other": each.rejected} for each in kept)
        left = len(pairs) - len(whole)
        notes = (f"{left} of {len(pairs)} pairs are longer than the model takes",) if left else ()
        return Tested(tuple(each.id for each in kept), columns, shown, notes=(*notes, LENGTHS))

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "preferred": Statistic.mean("preferred", unit="share of pairs"),
            "preferred_per_token": Statistic.mean("preferred_per_token", unit="share of pairs"),
            "margin": Statistic.mean("margin", unit="nats"),
            "margin_per_token": Statistic.mean("margin_per_token", unit="nats per token"),
        }

    def _pairs(self, hall: Hall) -> Sequence[Pair]:
        if not self.read:
            raise Refused(f"{self.name} has no pairs", instead="name a file of preferences under `read`")
        found = read_examples(Data(read=list(self.read)), hall.folder).examples["all"]
        pairs = [each for each in found if isinstance(each, Pair)]
        if len(pairs) < len(found) or not pairs:
            raise Refused(
                f"{', '.join(self.read)} holds no pairs of replies",
                why=f"its rows are {type(found[0]).__name__.lower() if found else 'none'} examples",
                instead="give conversations with a chosen and a rejected reply",
            )
        return pairs


def _rows(model: Model, pair: Pair) -> list[Row]:
    """The conversation with either reply, the reply alone a target."""
    said = [
        Chat(id=f"{pair.id}#{n}", messages=(*pair.messages, Message("assistant", reply)))
        for n, reply in enumerate((pair.chosen, pair.rejected))
    ]
    return [_last_alone(row) for row in model.renderer.rows(said)]


def _last_alone(row: Row) -> Row:
    weights = np.zeros_like(row.weights)
    weights[last_run(row)] = 1
    return replace(row, weights=weights)


def _likelier(margin_N: Floats) -> Floats:
    """1 where the preferred one is likelier, 0 where the other is, one half where neither."""
    found: Floats = (np.sign(margin_N) + 1) / 2
    return found
