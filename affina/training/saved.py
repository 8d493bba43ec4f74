"""What was learnt on a model that stays as it is, as a sealed folder: about.json and safetensors, nothing to unpickle.

A probe is kept beside it: what the model made of one sentence, so that another model is not mistaken for it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from affina.core.atomic import damage, sealed, write_json
from affina.core.errors import Failed, Refused
from affina.core.example import Text
from affina.core.kinds import Arrays, Model
from affina.core.say import Silent
from affina.training.embedded import READS

ABOUT, LEARNT, PROBE = "about.json", "learnt.safetensors", "probe"
SENTENCE = Text(id="probe", text="The quick brown fox jumps over the lazy dog, and nobody asks why.")
ROUNDING = 0.05
"""How far a probe may be off, of its size: another precision or machine moves it less, another model more."""


@dataclass(frozen=True)
class Saved:
    """A folder that was written: what it says about itself, and the arrays."""

    folder: Path
    about: Mapping[str, Any]
    learnt: Arrays


def write(folder: Path, about: Mapping[str, Any], learnt: Arrays, model: Model) -> None:
    """Replaces the folder. `about["reads"]` is what is read of the model. Raises Failed when the disk refuses."""
    arrays = {**learnt, PROBE: READS[about["reads"]](model, [SENTENCE], Silent())}
    with sealed(folder) as aside:
        save_file({name: np.ascontiguousarray(each) for name, each in arrays.items()}, aside / LEARNT)
        write_json(aside / ABOUT, about)


def read(folder: str | Path) -> Saved:
    """Raises Refused where there is no such folder, Failed where it is no longer as it was written."""
    path = Path(folder)
    if not (path / ABOUT).is_file():
        made = "`affina features … --head linear` and `affina anomaly` write such folders"
        raise Refused(f"{path} holds no head and no detector", instead=made)
    if wrong := damage(path):
        raise Failed(f"{path} is damaged", why=wrong, instead="make it again")
    return Saved(path, json.loads((path / ABOUT).read_text(encoding="utf-8")), load_file(path / LEARNT))


def same_model(saved: Saved, model: Model) -> None:
    """Raises Refused where the model makes something else of the probe than the one that was learnt on."""
    then, now = saved.learnt[PROBE], READS[saved.about["reads"]](model, [SENTENCE], Silent())
    if then.shape != now.shape or np.linalg.norm(then - now) > ROUNDING * np.linalg.norm(then):
        raise Refused(
            f"{saved.folder} was learnt on another model than {saved.about['model']} is now",
            why="it makes something else of the same sentence",
            instead="learn it again on this model",
        )
