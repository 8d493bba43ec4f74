"""Rows as well-known sets name their columns: what each is recognised as, or the choice that is offered."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from affina.core.errors import Refused
from affina.core.kinds import Record, Unusable, shapes
from affina.data.recognise import shape_for

SETS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("usual_sets.yaml").read_text("utf-8"))
ROWS = 24


def filled(cell: Any, n: int) -> Any:
    """The cell with `{n}` as the row's number and `{abc}` as one of these letters, by turns."""
    if isinstance(cell, str):
        for letters in ("ab", "abc", "abcd", "01", "001", "012"):
            cell = cell.replace(f"{{{letters}}}", letters[n % len(letters)])
        return cell.replace("{n}", str(n))
    if isinstance(cell, Mapping):
        return {key: filled(each, n) for key, each in cell.items()}
    return [filled(each, n) for each in cell] if isinstance(cell, list) else cell


@pytest.mark.parametrize("name", SETS)
def test_a_usual_set_is_recognised_or_refused_with_what_settles_it(name: str) -> None:
    row = SETS[name]["row"]
    records = [Record({key: filled(cell, n) for key, cell in row.items()}, "rows", n) for n in range(10, 10 + ROWS)]
    if refused := SETS[name].get("refused"):
        with pytest.raises(Refused, match=refused) as error:
            shape_for(records)
        assert "`shape: {name: " in error.value.instead
        return
    shape, reason = shape_for(records)
    expected = SETS[name]["shape"]
    assert shapes.dump(shape) in (expected, expected["name"]) and reason.startswith(f"{shape.name}: ")
    for record in records:
        try:
            assert list(shape.examples(record))
        except Unusable as error:  # pairs that are marked as unrelated
            assert "do not belong together" in str(error)
