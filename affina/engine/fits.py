"""Whether a base can take a recipe's tuning, judged on a skeleton of it before any weight is read.

`python -m affina.engine.fits FOLDER ASKED`: the same in a process of its own, for a caller that has not loaded torch.
"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import affina
from affina.core.atomic import write_text
from affina.core.cache import cache_root, disk_errors, short_hash
from affina.core.errors import AffinaError
from affina.core.kinds import Ending, tunings
from affina.core.recipe import Recipe
from affina.engine.apart import run_apart, told

LABELS = 2  # how many there are decides nothing here


def fits(recipe: Recipe, folder: Path, merged: bool = False) -> None:
    """`folder` holds the base's configuration and tokenizer. Raises Refused where training would, for a tuning, a head
    or dropout that a network of this form cannot take; `merged`: and for a tuning that cannot be folded into it.

    torch is not loaded into this process: where it is not there, another one judges. What passes is noted in the cache.
    """
    ending = recipe.objective.ending(LABELS)
    asked = {
        "tuning": tunings.dump(recipe.tuning),
        "ending": [ending.head, ending.size, ending.reads],
        "dropout": recipe.model.dropout.model_dump(),
        "merged": merged,
    }
    versions = [affina.__version__, version("torch"), version("transformers")]
    config = (folder / "config.json").read_text(encoding="utf-8")
    noted = cache_root() / "fits" / short_hash(json.dumps([asked, config, versions], sort_keys=True))
    if noted.is_file():
        return
    if "torch" in sys.modules:
        _judged(folder, asked)
    else:
        run_apart("affina.engine.fits", "the tuning could not be judged", str(folder), json.dumps(asked))
    if os.access(cache_root(), os.W_OK):  # else it is judged again
        with disk_errors("what was judged of the base"):
            noted.parent.mkdir(exist_ok=True)
            write_text(noted, "")


def _judged(folder: Path, asked: dict[str, Any]) -> None:
    from affina.engine.torch.skeleton import judge, skeleton

    tuning, model = tunings.build(asked["tuning"]), skeleton(folder, Ending(*asked["ending"]), asked["dropout"])
    judge(tuning, model)
    if asked["merged"]:
        tuning.merge(model)


def main(folder: Path, asked: str) -> int:
    """Judges, or prints the error as one JSON line on stdout; returns the exit code."""
    from affina.engine.torch.imports import sparing

    try:
        with sparing():
            _judged(folder, json.loads(asked))
    except AffinaError as error:
        print(told(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
