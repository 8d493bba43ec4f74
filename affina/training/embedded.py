"""Examples of a file, dealt into splits where that is asked, and what a model that stays as it is makes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Example, Labelled, Text
from affina.core.kinds import Embedded, Floats, Model
from affina.core.recipe import Recipe
from affina.core.say import Say
from affina.evaluation.open import Opened

TOGETHER = 512
"""Texts embedded at once: enough to fill batches, few enough that progress is seen."""


@dataclass(frozen=True)
class Where:
    """Where models are looked for."""

    root: str | Path = "runs"
    offline: bool = False


def recipe_for(opened: Opened, file: str) -> Recipe:
    """How a file is read and split: as the recipe that it is says, or as recognised; then a run's own seed deals, so
    that what it trained on is training data here too."""
    if Path(file).suffix in (".yaml", ".yml"):
        return Recipe.load(file)
    seed = opened.recipe.train.seed if opened.recipe else 0
    return Recipe.build({"name": "file", "model": {"base": "-"}, "data": {"read": [file]}, "train": {"seed": seed}})


def vectors(model: Model, examples: Sequence[Example], say: Say) -> Embedded:
    """[N, D], rows of unit length: of each example the text that a model is shown. What is cut is said."""
    found, cut = [], 0
    for start in range(0, len(examples), TOGETHER):
        texts = [each.given for each in examples[start : start + TOGETHER]]
        found.append(model.embed(texts))
        rows = model.renderer.rows([Labelled(id="", text=text, label="") for text in texts])
        cut += sum(row.cut > 0 for row in rows)
        say.progress("embedding", min(start + TOGETHER, len(examples)), len(examples))
    if cut:
        say.line(
            f"{cut} texts are longer than the {model.renderer.max_tokens} tokens that are read: their ends are cut"
        )
    made = np.concatenate(found)
    if not np.isfinite(made).all():
        raise Refused("the model's embeddings are not numbers", instead="set another precision, or take another model")
    return made


def nats(model: Model, examples: Sequence[Example], say: Say) -> Floats:
    """[N, 1] nats per token of each example's text under a causal model. Raises Refused for a text of one token."""
    summed = np.zeros((len(examples), 2))
    for start in range(0, len(examples), TOGETHER):
        texts = [
            Text(id=str(start + at), text=each.given) for at, each in enumerate(examples[start : start + TOGETHER])
        ]
        rows = model.renderer.rows(texts)
        for row, scored in zip(rows, model.score(rows), strict=True):
            summed[int(row.id.partition("#")[0])] += (-scored.logprobs_S.sum(), row.targets)
        say.progress("reading", min(start + TOGETHER, len(examples)), len(examples))
    silent = np.flatnonzero(summed[:, 1] == 0)
    if silent.size:
        raise Refused(
            "a text of a single token has no perplexity", instead="leave it out", where=examples[int(silent[0])].id
        )
    return summed[:, :1] / summed[:, 1:]


READS: dict[str, Callable[[Model, Sequence[Example], Say], Embedded | Floats]] = {"vectors": vectors, "nats": nats}
"""What a model tells of examples, by the name under which a novelty reads it."""
