"""Prepares a recipe's data without training: the splits as files, made once, with the books."""

from pathlib import Path
from typing import Any

from affina.core.recipe import Recipe
from affina.core.say import Say, Silent
from affina.data.prepare import SPLITS, build
from affina.evaluation.reach import reach
from affina.training.material import objection


def data_prepare(
    recipe: Recipe | str | Path, root: str | Path = "runs", offline: bool = False, say: Say | None = None
) -> dict[str, Any]:
    """`folder`, `files` (split → Parquet file), `rows` (split → how many), `made` (False: it was there), `shape`,
    `classes`, `ledger` (see `Ledger.summary`) and `notes`.

    `recipe` is one or its file; a training of it starts from the same files. Memory does not grow with the data.
    Raises Refused for whatever keeps the data from being prepared.
    """
    say = say or Silent()
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    built = build(recipe, objection(recipe, offline, say, Path(root)), reach(Path(root), offline, say))
    about, ledger = built.about, built.ledger.summary()
    return {
        "folder": str(built.folder),
        "files": {split: str(built.folder / f"{split}.parquet") for split in SPLITS},
        "rows": ledger["used"],
        "made": built.made,
        "shape": about["shape"],
        "classes": len(about["labels"]),
        "ledger": ledger,
        "notes": about["notes"],
    }
