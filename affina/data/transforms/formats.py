"""The same rows in several prompt formats: the one that a model handles best on validation rows, or a mix of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Question
from affina.core.kinds import Desk, Transform
from affina.data import prompt as library
from affina.data.formatted import formatted, places
from affina.data.prompt import Prompt
from affina.data.trial import nats


class Formats(Transform):
    """Texts with a class, questions about a text and instructions become conversations, each in one format; their
    answers stay as they are. The formats and how each fared are in the notes.

    A mix is drawn from the seed and a row's content, in every split, so that the measurement is of all formats too.
    """

    formats: tuple[str, ...] = ()
    """Names of the prompt library (`format_…`), or templates with places in braces such as `{text}`; those of the
    library for this kind of row when left out."""
    choose: Literal["mix", "best"] = "mix"
    """Every format for as many rows; or the best by the model's own validation rows, before any training."""
    best: int = Field(1, ge=1)
    """Formats that are kept where the best are chosen; several are mixed."""
    model: str = ""
    """The model that tries the formats: the base that will be trained."""
    rows: int = Field(100, ge=2)
    """Validation rows that each format is tried on, at most."""

    @field_validator("formats")
    @classmethod
    def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(formats)) < len(formats):
            raise ValueError("a format stands twice")
        for each in formats:
            if "{" not in each and each not in library.names():
                raise ValueError(f"no format of the library is called '{each}', and it is no template: no place in it")
        return formats

    def asks(self) -> tuple[str, ...]:
        """The model that tries the formats."""
        return (self.model,) if self.model else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The same examples in the same order; conversations of several turns go through as they are.

        Raises Refused for other kinds of rows, for a template without the row's own text, and where the best are to be
        chosen and there is no model or no validation split.
        """
        if not examples:
            return
        kinds = {type(each) for each in examples}
        if len(kinds) > 1:
            named = " and ".join(sorted(kind.__name__.lower() for kind in kinds))
            raise Refused(f"formats for {named} examples together", instead="divide the data")
        chosen = self._formats(kinds.pop())
        labels = tuple(sorted({each.label for each in examples if isinstance(each, Labelled)}))
        if self.choose == "best" and len(chosen) > self.best:
            chosen = self._tried(chosen, examples, labels, desk)
        times: Counter[str] = Counter()
        for example in examples:
            drawn = chosen[_number(desk.seed, example) % len(chosen)]
            made = formatted(example, drawn, labels)
            times[drawn.name if made is not example else "as it is"] += 1
            yield made
        desk.notes.append("formats: " + ", ".join(f"{name} {count} rows" for name, count in sorted(times.items())))

    def _formats(self, kind: type[Example]) -> list[Prompt]:
        task = {Labelled: "label", Question: "answer", Chat: "instruction"}.get(kind)
        if task is None:
            raise Refused(
                f"formats for {kind.__name__.lower()} examples",
                why="a format is for a text with a class, a question about a text, or an instruction",
                instead="take `formats` out of data.transforms",
            )
        names = self.formats or tuple(name for name in library.names() if name.startswith(f"format_{task}_"))
        found = [library.written(each) if "{" in each else library.prompt(each) for each in names]
        for each in found:
            needed, known = places(task)
            if not needed <= each.places <= known:
                raise Refused(
                    f"the format {each.name!r} does not fit {kind.__name__.lower()} examples",
                    why=f"its places are {', '.join(sorted(each.places)) or 'none'}",
                    instead=f"write one with {{{'}, {'.join(sorted(needed))}}}",
                )
        return found

    def _tried(
        self, chosen: Sequence[Prompt], examples: Collection[Example], labels: tuple[str, ...], desk: Desk
    ) -> list[Prompt]:
        """The formats of the fewest nats on the same validation rows; how each fared is noted."""
        if not self.model:
            raise Refused("formats: choose: best needs a model", instead="name it: {name: formats, model: BASE, …}")
        held = [each for each in examples if each.split == "validation"]
        if not held:
            raise Refused("formats are chosen on validation rows, and there are none", instead="put `split` before it")
        held = sorted(held, key=lambda each: _number(desk.seed, each))[: self.rows]
        nats_FN = nats(desk.open(self.model), [[formatted(each, one, labels) for each in held] for one in chosen])
        means_F = nats_FN.mean(axis=1)
        order = np.argsort(means_F, kind="stable")
        for place in order.tolist():
            gap_N = nats_FN[place] - nats_FN[order[0]]
            error = float(gap_N.std(ddof=1) / np.sqrt(len(gap_N))) if len(gap_N) > 1 else 0.0
            beside = f", {gap_N.mean():+.3f} ± {error:.3f} beside the best" if place != order[0] else ""
            kept = "kept" if place in order[: self.best] else "left out"
            desk.notes.append(
                f"formats: {chosen[place].reference} {kept}: {means_F[place]:.3f} nats a row on {nats_FN.shape[1]} "
                f"validation rows{beside}"
            )
        return [chosen[place] for place in sorted(order[: self.best].tolist())]


def _number(seed: int, example: Example) -> int:
    content = f"{seed}\0{example.given}\0{example.target}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=8).digest())
