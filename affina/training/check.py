"""`check`: everything of a recipe that can be known without computing, and what training would refuse. No torch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affina.core.example import Labelled
from affina.core.kinds import Row
from affina.core.recipe import Recipe
from affina.core.say import Say, Silent
from affina.training.material import Material
from affina.training.spaces import outside

SHOWN = 3


def check(recipe: Recipe | str | Path, offline: bool = False, say: Say | None = None) -> dict[str, Any]:
    """What training would see, as plain data: base, notes, ledger, labels, splits, steps, examples, problems.

    `splits` counts rows, tokens, targets (supervised tokens), the longest row in tokens and rows over `max_tokens`;
    `examples` are training rows in pieces, learned or not; `problems` are sentences, empty when training would start.
    Raises Refused, located, for whatever keeps it from looking at all.
    """
    say = say or Silent()
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    material = Material.gather(recipe, offline, say)
    return {
        "base": {"reference": material.source.reference, "licence": material.source.licence},
        "notes": [*material.prepared.notes, *material.renderer.notes, *outside(recipe, len(material.rows))],
        "ledger": material.prepared.ledger.summary(),
        "labels": _labels(material),
        "splits": {name: _sizes(held) for name, held in material.by_split.items()},
        "max_tokens": material.renderer.max_tokens,
        "batch": recipe.train.batch,
        "steps": recipe.train.total_steps(material.count),
        "examples": [_shown(row, material) for row in _spread(material.rows)],
        "problems": material.problems,
    }


def _labels(material: Material) -> dict[str, int]:
    """Each class and its training rows, the commonest first."""
    train = material.prepared.examples["train"]
    return dict(Counter(each.label for each in train if isinstance(each, Labelled)).most_common())


def _sizes(rows: Sequence[Row]) -> dict[str, int]:
    return {
        "rows": len(rows),
        "tokens": sum(len(row.tokens) for row in rows),
        "targets": sum(row.targets for row in rows),
        "longest": max(len(row.tokens) + row.cut for row in rows),
        "too_long": sum(row.cut > 0 for row in rows),
    }


def _spread(rows: Sequence[Row]) -> list[Row]:
    """The first row, the last, and one between."""
    places = {round(number * (len(rows) - 1) / (SHOWN - 1)) for number in range(SHOWN)}
    return [rows[place] for place in sorted(places)]


def _shown(row: Row, material: Material) -> dict[str, Any]:
    return {
        "id": row.id,
        "tokens": len(row.tokens),
        "targets": row.targets,
        "label": material.prepared.labels[row.label] if material.prepared.labels and row.label >= 0 else None,
        "pieces": [{"text": text, "learned": learned} for text, learned in material.renderer.pieces(row)],
    }
