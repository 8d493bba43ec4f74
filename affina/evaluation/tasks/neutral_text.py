"""How likely a model finds text that is about nothing it was tuned for: what it forgets shows here first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.example import Text
from affina.core.kinds import Model, Row
from affina.core.task import Columns, Hall, Statistic, Task, Tested
from affina.evaluation.going_on import need_past, scored
from affina.evaluation.items import groups, items


class NeutralText(Task):
    """Nats per byte, nats per token and perplexity on 40 short passages in English and Italian written for this
    project, or on texts of the user's. Nats per byte compare models with different tokenizers.

    A text's first token is asked only where the tokenizer opens texts; its end never is.
    """

    costs: ClassVar[str] = "scores"

    read: tuple[str, ...] = ()
    """Files with a column `text`, in place of the passages that come with it."""
    most: int = Field(40, ge=1)
    """Texts that are asked at most, at equal distances."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is a text. Raises Refused for a model that does not go on from a text."""
        need_past(model, self.name)
        rows = items(self.name, self.read, hall.folder, ("text",), self.most)
        texts = [[_open(row, model) for row in model.renderer.rows([_text(each)])] for each in rows]
        found = iter(scored(model, [row for each in texts for row in each], self.name, hall.progress))
        nats, tokens, sizes = [], [], []
        for own in texts:
            logprobs = np.concatenate([next(found).logprobs_S for _ in own])
            said = [int(token) for row in own for token in row.tokens[row.weights > 0]]
            nats.append(-float(logprobs.sum()))
            tokens.append(len(said))
            sizes.append(len(model.renderer.text(said).encode("utf-8", "surrogatepass")))
        columns = {
            "nats": np.array(nats, dtype=np.float64),
            "tokens": np.array(tokens, dtype=np.float64),
            "bytes": np.array(sizes, dtype=np.float64),
        }
        shown = tuple({"text": each["text"], "nats": n} for each, n in zip(rows, nats, strict=True))
        return Tested(tuple(each["id"] for each in rows), columns, shown, groups(rows, "language"))

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "nats_per_byte": Statistic(_ratio("bytes"), higher_is_better=False, unit="nats per byte"),
            "nats_per_token": Statistic(_ratio("tokens"), higher_is_better=False, unit="nats per token"),
            "perplexity": Statistic(_perplexity, higher_is_better=False, unit="per token"),
        }


def _text(row: Mapping[str, object]) -> Text:
    if not isinstance(row["text"], str):
        raise Refused(f"{row['text']!r} is no text", where=str(row["id"]))
    return Text(id=str(row["id"]), text=row["text"])


def _open(row: Row, model: Model) -> Row:
    """The row without its end as a target."""
    weights = row.weights.copy()
    if len(row.tokens) and int(row.tokens[-1]) in model.renderer.stops:
        weights[-1] = 0
    return replace(row, weights=weights)


def _ratio(below: str) -> Callable[[Columns], float]:
    def ratio(columns: Columns) -> float:
        total = float(columns[below].sum())
        return float(columns["nats"].sum()) / total if total else float("nan")

    return ratio


def _perplexity(columns: Columns) -> float:
    return float(np.exp(_ratio("tokens")(columns)))
