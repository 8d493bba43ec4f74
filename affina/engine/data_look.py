"""`data_look`: files looked at as training would read them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affina.core.recipe import Data
from affina.data.prepare import read_examples


def data_look(files: Sequence[str]) -> dict[str, Any]:
    """Rows, shape and ledger of `files`, as plain data. Raises Refused for files that cannot be used."""
    seen = read_examples(Data(read=[*files]), Path())
    ledger = seen.ledger.summary()
    return {"rows": ledger["read"], "shape": seen.shape.name, "ledger": ledger}
