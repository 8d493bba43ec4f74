"""Rows whose label is probably wrong, listed for a person to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from affina.core.atomic import write_json
from affina.core.errors import Refused
from affina.core.example import Example, Labelled
from affina.core.kinds import Desk, Transform
from affina.data.confident import Suspect, folds, held_out, predicted, suspects
from affina.data.made import draw
from affina.data.vectors import vectors

SHOWN = 5
"""Rows that the note names."""


class _Row(NamedTuple):
    id: str
    text: str
    label: str
    training: bool
    draw: int


class LabelErrors(Transform):
    """Suspects wrong labels by confident learning: a classifier that has not seen a row says, surer than is usual for
    that class, that it is of another.

    Training rows are judged by classifiers of the other folds, validation and test rows by one of all training rows.
    The note names the surest; `write` lists all. Nothing is dropped unless asked, and then of the training split alone.
    """

    folds: int = Field(5, ge=2)
    """Parts that the training rows are divided into; a class with fewer texts is not judged."""
    model: str | None = None
    """A model that embeds the texts; TF-IDF of their words when left out."""
    drop: bool = False
    """Leave the suspected training rows out."""
    write: str | None = None
    """A JSON file for the list: id, text, label, what it probably is, margin. Relative to the recipe's folder."""

    def asks(self) -> tuple[str, ...]:
        """The model that embeds."""
        return (self.model,) if self.model else ()

    def writes(self) -> tuple[str, ...]:
        """The list."""
        return (self.write,) if self.write else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The examples in order. Raises Refused where rows have no class."""
        rows: list[_Row] = []
        for each in examples:
            if not isinstance(each, Labelled):
                raise Refused(
                    f"label_errors cannot judge {type(each).__name__.lower()} examples",
                    why="it compares the one class of each row with what others of the class say",
                    instead="take label_errors out of data.transforms",
                )
            rows.append(
                _Row(each.id, each.text, each.label, each.split in ("", "train"), draw(each, desk.seed, "folds"))
            )
        found, share, judged = self._found(rows, desk) if rows else ([], 0.0, 0)
        if self.write:
            write_json(desk.folder / self.write, [told for told, _ in found], 0o600)
        wrong = {told["id"]: told["probably"] for told, training in found if training and self.drop}
        for example in examples:
            if example.id in wrong:
                desk.books.drop(example, f"its label is suspected: '{example.target}', probably '{wrong[example.id]}'")
            else:
                yield example
        shown = [f"{told['id']} ('{told['label']}', probably '{told['probably']}')" for told, _ in found[:SHOWN]]
        desk.notes.append(
            f"label_errors: {len(found)} of {judged} labels are suspected, about {share:.1%} of all"
            + (f"; the surest: {', '.join(shown)}" if shown else "")
            + (f"; {len(rows) - judged} rows are of classes too small to judge" if judged < len(rows) else "")
        )

    def _found(self, rows: Sequence[_Row], desk: Desk) -> tuple[list[Any], float, int]:
        """Of each suspect what is told and whether it is a training row; the share held wrong; how many were judged."""
        names = sorted({row.label for row in rows})
        number = {name: place for place, name in enumerate(names)}
        labels_N = np.array([number[row.label] for row in rows])
        training_N = np.array([row.training for row in rows])
        counts = Counter(label for label, _ in {(row.label, row.text) for row in rows if row.training})
        large_L = np.array([counts[name] >= self.folds for name in names])
        if large_L.sum() < 2:
            return [], 0.0, 0
        use = np.flatnonzero(training_N & large_L[labels_N])
        ask = np.flatnonzero(~training_N & large_L[labels_N])
        vectors_ND = vectors([row.text for row in rows], desk.open(self.model) if self.model else None)
        parts = folds(
            [rows[n].text for n in use.tolist()], labels_N[use], [rows[n].draw for n in use.tolist()], self.folds
        )
        probabilities_NL = np.zeros((len(rows), len(names)))
        probabilities_NL[use] = held_out(vectors_ND[use], labels_N[use], parts, len(names))
        if len(ask):
            probabilities_NL[ask] = predicted(vectors_ND[use], labels_N[use], vectors_ND[ask], len(names))
        judged = np.concatenate([use, ask]).astype(np.int64)
        found, share = suspects(labels_N[judged], probabilities_NL[judged])
        return [_told(each, rows[int(judged[each.place])], names) for each in found], share, len(judged)


def _told(suspect: Suspect, row: _Row, names: Sequence[str]) -> tuple[dict[str, Any], bool]:
    text = row.text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair cannot be written
    told = {"id": row.id, "text": text, "label": row.label, "probably": names[suspect.other]}
    return {**told, "margin": round(suspect.margin, 4)}, row.training
