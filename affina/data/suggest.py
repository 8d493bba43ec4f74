"""What to write where a dataset's shape is not recognised: lines with the data's own columns, likeliest first."""

from collections.abc import Mapping, Sequence
from typing import Any

from affina.core.errors import Refused
from affina.core.kinds import Record, describe_columns
from affina.data import columns
from affina.data.shapes.labelled import chooses, classes

NAMED = 12
"""Columns that are named in a sentence; of more, the number is told."""
SAID = 3
"""Ways out that are offered."""


def unrecognised(records: Sequence[Record]) -> Refused:
    """The refusal, with the shapes that a person could mean."""
    known = describe_columns(records)
    told = ", ".join(known[:NAMED]) + (f" and {len(known) - NAMED} more" if len(known) > NAMED else "")
    ways = [f"`shape: {{{line}}}`" for line in _ways(columns.usual(records))[:SAID]] or [
        "`shape: {name: labelled, text: COLUMN, label: COLUMN}` for classes",
        "`shape: {name: prompt_completion, prompt: COLUMN, completion: COLUMN}` for answers",
    ]
    return Refused(
        "the dataset's shape is not recognised",
        why=f"its columns are {told or 'none'}, and no known shape has such columns",
        instead=f"say it under `data` of a recipe, or after `--shape`: for example {', or '.join(ways)}",
    )


def _ways(found: Mapping[str, Sequence[Any]]) -> list[str]:
    flat = columns.flat(found)
    texts = sorted((name for name in flat if columns.prose(flat[name])), key=lambda name: -sum(map(len, flat[name])))
    others = {name: values for name, values in flat.items() if name not in texts[:1]}
    kinds = [name for name in classes(others) if not chooses(flat[name], others)]
    ways = [f"name: labelled, text: {_name(texts[0])}, label: {_name(kind)}" for kind in kinds[:1] if texts]
    ways += [f"name: record, target: {_name(kind)}" for kind in kinds[:1] if not texts and len(flat) > 2]
    if len(texts) > 1:
        first, second = sorted(texts[:2], key=[*flat].index)
        ways.append(f"name: prompt_completion, prompt: {_name(first)}, completion: {_name(second)}")
    ways += [f"name: raw, text: {_name(text)}" for text in texts[:1]]
    return ways


def _name(column: str) -> str:
    """A column's name as YAML reads it back inside braces."""
    plain = column.replace("_", "").replace(" ", "").isalnum() and not column[0].isdigit() and column == column.strip()
    return column if plain else "'" + column.replace("'", "''") + "'"
