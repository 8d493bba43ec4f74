"""How likely a model of words finds tokens of a text, in the way it reads: after what precedes them, or between both
sides, hidden one at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Chat, Message
from affina.core.kinds import Floats, Lexical, Model, Progress, Row
from affina.evaluation.going_on import need_numbers

ROWS_PER_CALL = 8192
"""Rows scored in one call: rows that share a prefix are neighbours, and the engine fills its batches by length."""


@dataclass(frozen=True, slots=True)
class Line:
    """A text as tokens, as its model reads one, and the places of it that are asked about, in order."""

    id: str
    tokens: tuple[int, ...]
    places: tuple[int, ...]
    unfolded: bool = False
    """Read from both sides, the places are hidden together and said from left to right, each seeing those before it;
    else each is hidden alone."""


def reads(model: Model, task: str) -> str:
    """ "past" or "both". Raises Refused for a model that finds no text likely or unlikely in one of these ways."""
    way = model.reads if isinstance(model, Lexical) else "past"
    if way not in ("past", "both"):
        whys = {"": "it ends in no words", "order": "it says words in a drawn order", "source": "it needs a source"}
        raise Refused(
            f"the task {task} cannot be put to this model",
            why=f"the task compares how likely sentences are, and {whys[way]}",
            instead="choose a model that goes on from a text, or a masked language model",
        )
    return way


def likelihoods(model: Model, lines: Sequence[Line], task: str, progress: Progress | None = None) -> list[Floats]:
    """Of every line, the log-probability of the token at each of its places, in nats.

    Raises Refused, naming the line, for one longer than the model takes, and Failed where one is no finite number.
    """
    both = reads(model, task) == "both"
    for line in lines:
        if len(line.tokens) > model.renderer.max_tokens:
            raise Refused(
                f"a text of {len(line.tokens)} tokens is longer than the model takes",
                why=f"it takes {model.renderer.max_tokens}",
                instead="leave the item out",
                where=line.id,
            )
    rows = [row for line in lines for row in (_hidden(line, mask_of(model)) if both else _after(line))]
    found: list[float] = []
    for start in range(0, len(rows), ROWS_PER_CALL):
        asked = rows[start : start + ROWS_PER_CALL]
        scored = model.score(asked)
        need_numbers(asked, scored, task)
        found += [number for each in scored for number in each.logprobs_S.tolist()]
        if progress:
            progress(task, min(start + ROWS_PER_CALL, len(rows)), len(rows))
    each = iter(found)
    return [np.array([*islice(each, len(line.places))], dtype=np.float64) for line in lines]


def whole(model: Model, id: str, text: str) -> Line:
    """A text, all of whose own tokens are asked about."""
    opening, own, closing = _framed(model, text)
    return Line(id, (*opening, *own, *closing), tuple(range(len(opening), len(opening) + len(own))))


def part(model: Model, id: str, pieces: tuple[str, str, str], unfolded: bool = True) -> Line:
    """A text of three pieces of which the middle one is asked about. Raises Refused where no token is its own."""
    before, said, after = pieces
    opening, own, closing = _framed(model, before + said + after)
    first = _common(own, _framed(model, before.rstrip())[1]) if before.strip() else 0
    behind = [_framed(model, each)[1][::-1] for each in (after, after.strip()) if each.strip()]
    last = len(own) - max((_common(own[first:][::-1], each) for each in behind), default=0)
    if first >= last:
        raise Refused(f"{said!r} is no token of its own in {before + said + after!r}", where=id)
    return Line(id, (*opening, *own, *closing), tuple(range(len(opening) + first, len(opening) + last)), unfolded)


def answer(model: Model, id: str, question: str, said: str) -> Line:
    """A conversation's answer, as the model's template has it, with its stop token."""
    chat = Chat(id=id, messages=(Message("user", question), Message("assistant", said)))
    (row,) = model.renderer.rows([chat])
    return Line(id, tuple(row.tokens.tolist()), tuple(np.flatnonzero(row.weights).tolist()))


def mask_of(model: Model) -> int:
    """The token behind which a masked model hides another."""
    renderer: Any = model.renderer
    mask: int | None = renderer.vocabulary.mask
    if mask is None:
        raise Refused("a masked model whose tokenizer names no mask token hides nothing", instead="choose another base")
    return mask


def _framed(model: Model, text: str) -> tuple[list[int], list[int], list[int]]:
    """What opens a text, its own tokens, and what closes it; a model of the past reads no end.

    Where a tokenizer opens no text, the token that ends one does, so that the first word has something before it.
    """
    if isinstance(model, Lexical) and model.reads == "both":
        renderer: Any = model.renderer
        opening, closing = renderer.vocabulary.frame
        return opening, list(renderer.vocabulary.encode([text])[0].ids), closing
    opened, tokens = model.renderer.continued(""), model.renderer.continued(text)
    return opened or [min(model.renderer.stops)], tokens[len(opened) :], []


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _after(line: Line) -> list[Row]:
    """One row, nothing where nothing is asked about."""
    weights = np.zeros(len(line.tokens), dtype=np.float32)
    weights[[*line.places]] = 1
    return [Row(line.id, np.array(line.tokens, dtype=np.int32), weights)] if line.places else []


def _hidden(line: Line, mask: int) -> list[Row]:
    """A row for each place, with one target each."""
    said = np.array(line.tokens, dtype=np.int32)
    rows = []
    for number, place in enumerate(line.places):
        tokens, weights = said.copy(), np.zeros(len(said), dtype=np.float32)
        tokens[[*(line.places[number:] if line.unfolded else (place,))]] = mask
        weights[place] = 1
        rows.append(Row(f"{line.id}@{place}", tokens, weights, said=said))
    return rows
