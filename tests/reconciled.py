"""A transform applied as preparation does it: with a ledger whose totals must add up afterwards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from affina.core.example import Example
from affina.core.kinds import Desk, Model, transforms
from affina.data.ledger import Ledger


def applied(
    name: str, examples: list[Example], seed: int = 0, folder: Path = Path(), **fields: Any
) -> tuple[list[Example], dict[str, int], list[str]]:
    """What comes out, the reasons of what was dropped, and the notes."""
    return applied_with(None, name, examples, seed, folder, **fields)


def applied_with(
    opens: Callable[[str], Model] | None,
    name: str,
    examples: list[Example],
    seed: int = 0,
    folder: Path = Path(),
    **fields: Any,
) -> tuple[list[Example], dict[str, int], list[str]]:
    """The same with a way to open models."""
    ledger = Ledger()
    for each in examples:
        ledger.read("a", each.id)
    desk = Desk(ledger, seed, folder, open=opens) if opens else Desk(ledger, seed, folder)
    left = list(transforms.build({"name": name, **fields}).apply(examples, desk))
    ledger.use("all", left)
    ledger.reconcile()
    assert len({each.id for each in left}) == len(left)
    return left, ledger.summary()["dropped"]["reasons"], desk.notes
