"""What a run has made and another may use: found under its key in this run, or in one beside it."""

from typing import Any

from affina.core.errors import Failed
from affina.core.run import Run


def kept(run: Run, key: str, *names: str) -> tuple[Run, list[Any]] | None:
    """The first run, this one before those beside it, whose file `names[0]` holds this key, and what its files
    `names` hold; None where there is none. A run with a damaged or missing file among them is passed over."""
    beside = [each for each in Run.all(run.folder.parent) if each.name != run.name]
    for each in (run, *beside):
        try:
            if each.read(names[0], {}).get("key") == key:
                held = [each.read(name) for name in names]
                if None not in held:
                    return each, held
        except Failed:
            continue
    return None
