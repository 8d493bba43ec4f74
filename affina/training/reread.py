"""A finished run opened again, from its checkpoint and from the files that it wrote, beside what it answered itself."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from affina.core.answers import Answers
from affina.core.kinds import Model, Sampling
from affina.core.run import Run
from affina.core.say import Silent
from affina.data.rows import Renderer
from affina.engine.torch.written import read_back
from affina.evaluation.answer import answer
from affina.evaluation.open import Opened, chosen_metrics, computing_of, open_model, test_split

CLOSE = 1e-4
"""By how much a number may differ, relative and absolute: sums in another order."""


def reread(run: Run) -> str:
    """What differs, in a sentence; empty where nothing does."""
    opened = open_model(run.name, run.folder.parent, offline=True, say=Silent())
    asked = opened.objective.expand(test_split(opened))
    kept = Answers.from_dict(run.read("tuned.json"))
    columns = frozenset(metric.reads for metric in chosen_metrics(opened, asked))
    for what, model in (("checkpoint", opened.model), ("files", _files(opened))):
        if model is not None:
            again = answer(model, asked, columns, Sampling())
            odd = [each.name for each in fields(kept) if not _same(getattr(kept, each.name), getattr(again, each.name))]
            if odd:
                return f"opened again from its {what}, it answers otherwise: {', '.join(odd)} differ"
    return ""


def _files(opened: Opened) -> Model | None:
    """What the written files give; None where they change a base that the tuning had changed first."""
    recipe, run = opened.recipe, opened.run
    assert recipe is not None and run is not None
    if not type(recipe.tuning).starts_as_base:
        return None
    base = Path(opened.lock["base"]["reference"])
    renderer = Renderer.open(base, recipe.data.template, recipe.data.max_tokens)
    ending = recipe.objective.ending(len(opened.labels))
    return read_back(run.folder / "model", base, renderer, computing_of(opened.lock), ending)


def _same(kept: Any, again: Any) -> bool:
    if isinstance(kept, np.ndarray) and kept.dtype.kind == "f":
        return kept.shape == again.shape and bool(np.allclose(kept, again, rtol=CLOSE, atol=CLOSE))
    return bool(np.array_equal(kept, again)) if isinstance(kept, np.ndarray) else bool(kept == again)
