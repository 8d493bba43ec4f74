"""Examples against the length limit: what their rows lose is counted, and a row left without a target goes out."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from affina.core.errors import Refused
from affina.core.kinds import Objective, Renderer, Row
from affina.data import rows as own
from affina.data.prepare import Prepared

WITHDRAWN = "nothing to learn is left of it within data.max_tokens"


class Fitted(dict[str, list[Row]]):
    """Each split's rows, and the longest row their base takes, in tokens."""

    def __init__(self, rows: Mapping[str, list[Row]], renderer: Renderer) -> None:
        super().__init__(rows)
        self.base_limit = renderer.vocabulary.limit if isinstance(renderer, own.Renderer) else sys.maxsize


def fit(prepared: Prepared, objective: Objective, renderer: Renderer, truncate: str) -> tuple[Prepared, Fitted]:
    """The examples that stay, and each split's rows. Where `truncate` is "allow", a row that lost all its targets is
    withdrawn; the ledger counts what the others lost. Raises Refused when that empties a split."""
    rows = {split: renderer.rows(objective.expand(held)) for split, held in prepared.examples.items()}
    if truncate == "allow":
        gone = {row.id for held in rows.values() for row in held if row.cut_targets and not row.targets}
        for split, held in prepared.examples.items():
            prepared.ledger.withdraw(split, [each.id for each in held if each.id in gone], WITHDRAWN)
        rows = {split: [row for row in held if row.id not in gone] for split, held in rows.items()}
        kept = {split: [each for each in held if each.id not in gone] for split, held in prepared.examples.items()}
        _none_empty(kept, renderer.max_tokens)
        prepared = replace(prepared, examples=kept)
    cut = [row for held in rows.values() for row in held if row.cut]
    prepared.ledger.cut(len(cut), sum(row.cut for row in cut), sum(row.cut_targets for row in cut))
    if "train" in rows:
        rows["train"] = objective.weighed(rows["train"], prepared.examples["train"])
    return prepared, Fitted(rows, renderer)


def too_long(rows: Mapping[str, Sequence[Row]], limit: int) -> str:
    """What is wrong with rows longer than the limit, and what to do, in a sentence; empty when none is."""
    cut = [row for held in rows.values() for row in held if row.cut]
    if not cut:
        return ""
    longest = max(cut, key=lambda row: len(row.tokens) + row.cut)
    size = len(longest.tokens) + longest.cut
    base_limit = rows.base_limit if isinstance(rows, Fitted) else sys.maxsize
    bound = f"data.max_tokens ({limit})" if limit < base_limit else f"the {limit} tokens that the base takes"
    told = f"{len(cut)} rows are longer than {bound}, the longest is {longest.id} with {size}"
    if size <= base_limit:
        return f"{told}: set data.max_tokens to {size}, or data.truncate to allow"
    beyond = "" if limit == base_limit else f", and the base takes at most {base_limit}"
    return f"{told}{beyond}: divide the long texts, set data.truncate to allow, or choose a base with a longer context"


def _none_empty(examples: Mapping[str, Sequence[object]], limit: int) -> None:
    empty = next((split for split, held in examples.items() if not held), "")
    if empty:
        raise Refused(
            f"cut to {limit} tokens, no row of the {empty} split has anything left to learn",
            instead="raise data.max_tokens",
        )
