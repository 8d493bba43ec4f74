"""A bank of items in a file: how its rows become prompts, how a model is asked them, and the groups they fall into."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from pydantic import Field, field_validator

from affina.core.errors import Refused
from affina.core.example import Chat, Message, Parallel
from affina.core.kinds import Model, Record, Renderer, Row, Sampled, Sampling, Unusable
from affina.core.task import Hall, Task
from affina.data import columns
from affina.data.files import listed, short_names
from affina.data.recognise import readings
from affina.data.stream import Records
from affina.evaluation.asking import nested
from affina.evaluation.continuation import continuation, fits
from affina.evaluation.few_shot import FewShot, Prompt, drawn
from affina.evaluation.going_on import last_run
from affina.evaluation.slices import grouped, quarters

PLACE = re.compile(r"\{([^{}\n]+)\}")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Item(Generic[R]):
    """A row of the bank: its prompt, the values it is grouped by, and what is right."""

    id: str
    given: str
    groups: tuple[str, ...]
    right: R
    before: tuple[tuple[str, str], ...] = ()
    """Examples that stand before it: what was asked and what is right."""


class Bank(Task):
    """Items in a file that affina reads."""

    data: str
    """The file of items, in any format that affina reads; relative to the task's own file."""
    prompt: Prompt = "{question}"
    """What the model is asked, with the columns' names in braces; `{a.b}` is what column `a` has under `b`. With
    answered examples before it: `{shots: 4, rows: FILE, text: PROMPT}`, the last two as they are when left out."""
    system: str = ""
    """A system message, for models that are asked in conversations."""
    form: Literal["chat", "text", "source"] = "chat"
    """How the model is asked: `chat` by its own template, `text` as raw text that it goes on from, `source` as what an
    encoder reads."""
    by: tuple[str, ...] = ()
    """Columns whose groups get numbers of their own; quarters of the prompt's length always do."""
    most: int | None = Field(None, ge=1)
    """Items at most, the first of the file; all when left out."""

    @field_validator("by", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_column(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @abstractmethod
    def spoken(self, right: Any) -> str:
        """What a model says that answers an item rightly, for examples."""

    def joint(self) -> str:
        """What stands in a raw text between what is asked and what is answered."""
        return " "

    def items(self, hall: Hall, right: Callable[[Record], R]) -> tuple[list[Item[R]], tuple[str, ...]]:
        """Every usable row, and sentences on those left out. `right` reads what is right of a row, or raises Unusable.

        Raises Refused for an unreadable file, where no row can be used, and where there are too few examples.
        """
        few = self.prompt if isinstance(self.prompt, FewShot) else None
        of_these = few is not None and not few.rows
        found, notes = self._read(self.data, hall, right, None if of_these else self.most)
        if few is None:
            return found, notes
        found, told = self._shown(found, few, hall, right)
        return found[: self.most], (*notes, *told)

    def _shown(
        self, asked: list[Item[R]], few: FewShot, hall: Hall, right: Callable[[Record], R]
    ) -> tuple[list[Item[R]], tuple[str, ...]]:
        """The items with the examples before them; no text is both."""
        pool, notes = self._read(few.rows, hall, right, None) if few.rows else (asked, ())
        said = {each.given for each in asked} if few.rows else set()
        open_to_all = [each for each in pool if each.given not in said]
        chosen = [open_to_all[place] for place in drawn([each.given for each in open_to_all], few.shots)]
        given = {each.given for each in chosen}
        left = [each for each in asked if each.given not in given]
        if len(chosen) < few.shots or not left:
            what = f"{few.shots} examples cannot stand before the items of {self.data}"
            also = "and are asked themselves" if few.rows else "and what is an example is not asked"
            why = f"{few.rows or self.data} has {len({each.given for each in pool})} different rows, {also}"
            raise Refused(what, why, "name a file of other rows under `rows`, or lower `shots`")
        before = tuple((each.given, self.spoken(each.right)) for each in chosen)
        told = f"{few.shots} answered examples stand before every item"
        told += "" if few.rows else f"; {len(asked) - len(left)} rows are examples and not asked"
        return [replace(each, before=before) for each in left], (*notes, told)

    def _read(
        self, file: str, hall: Hall, right: Callable[[Record], R], most: int | None
    ) -> tuple[list[Item[R]], tuple[str, ...]]:
        paths, notes = listed([file], hall.folder)
        names = short_names(paths)
        found_readings = readings(paths)
        found: list[Item[R]] = []
        problems: list[str] = []
        for entry in Records(found_readings, [names[each.paths[0]] for each in found_readings]):
            if len(found) == most:
                break
            try:
                found.append(self._item(entry.id, entry.record, right))
            except Unusable as error:
                problems.append(f"{entry.id}: {error}")
        if not found:
            why = problems[0] if problems else "there are no rows"
            raise Refused(f"no item of {file} can be asked", why, f"name the columns in the task {self.name}")
        if problems:
            notes = [*notes, f"{len(problems)} rows left out, the first {problems[0]}"]
        return found, tuple(notes)

    def _item(self, id: str, record: Record, right: Callable[[Record], R]) -> Item[R]:
        if record.problem:
            raise Unusable(record.problem)
        given = PLACE.sub(lambda place: columns.plain(columns.value(record, place[1]), place[1]), self._template)
        if not given.strip():
            raise Unusable("the prompt is empty")
        groups = tuple(columns.plain(columns.value(record, name), name) for name in self.by)
        return Item(id, given, groups, right(record))

    @property
    def _template(self) -> str:
        """The prompt with its places."""
        if isinstance(self.prompt, FewShot):
            return self.prompt.text or str(type(self).model_fields["prompt"].default)
        return self.prompt

    def slices(self, items: Sequence[Item[Any]]) -> dict[str, tuple[str, ...]]:
        """The group of every item by each column of `by`, and the quarter of its prompt's length in letters."""
        found = {name: grouped([item.groups[place] for item in items]) for place, name in enumerate(self.by)}
        return {**found, "length": quarters([len(item.given) for item in items])}

    def answers(self, model: Model, items: Sequence[Item[Any]], most: int, hall: Hall) -> list[Sampled]:
        """What the model generates greedily, at most so many tokens each."""
        prompts = [self._opening(model.renderer, item) for item in items]
        for item, prompt in zip(items, prompts, strict=True):
            fits(len(prompt) + 1, model.renderer.max_tokens, item.id)
        if hall.progress:
            hall.progress(f"asking {self.name}", 0, len(items))
        return model.sample(prompts, Sampling(max_tokens=most, seed=hall.seed))

    def _opening(self, renderer: Renderer, item: Item[Any]) -> list[int]:
        if self.form == "text":
            return renderer.continued(self._text(item))
        if self.form == "source":
            return renderer.prompt(Parallel(id=item.id, source=self._text(item), result=""))
        return renderer.opening(self._asked(item))

    def _asked(self, item: Item[Any]) -> tuple[Message, ...]:
        before = [Message("system", self.system)] if self.system else []
        for given, said in item.before:
            before += [Message("user", given), Message("assistant", said)]
        return (*before, Message("user", item.given))

    def _text(self, item: Item[Any]) -> str:
        """The examples and what is asked as one text."""
        return "".join(f"{given}{self.joint()}{said}\n\n" for given, said in item.before) + item.given

    def options_of(self, renderer: Renderer, item: Item[Any], said: Sequence[str], between: str) -> list[Row]:
        """A row per option, neighbours that share the prompt. `between` stands before an option of raw text.

        An option's stop token is left out where no option begins another: what the options are compared by is what
        they say. Raises Refused for an item longer than the model takes.
        """
        ids = [f"{item.id}?{place}" for place in range(len(said))]
        if self.form == "text":
            return [
                continuation(renderer, id, self._text(item), between + each) for id, each in zip(ids, said, strict=True)
            ]
        made: list[Any] = []
        for id, each in zip(ids, said, strict=True):
            if self.form == "source":
                made.append(Parallel(id=id, source=self._text(item), result=each))
            else:
                made.append(Chat(id=id, messages=(*self._asked(item), Message("assistant", each))))
        rows = [_last_answer(row) if item.before else row for row in renderer.rows(made)]
        for row in rows:
            fits(len(row.tokens) + row.cut, renderer.max_tokens, item.id)
        return rows if nested(tuple(said)) else [_open_ended(row) for row in rows]


def _last_answer(row: Row) -> Row:
    """The row with its last answer alone as target: what examples answer is given."""
    weights, kept = np.zeros_like(row.weights), last_run(row)
    weights[kept] = row.weights[kept]
    return replace(row, weights=weights)


def _open_ended(row: Row) -> Row:
    """The row without its last target, the stop token; a single target stays."""
    places = row.weights.nonzero()[0]
    if len(places) < 2:
        return row
    weights = row.weights.copy()
    weights[places[-1]] = 0
    return replace(row, weights=weights)


def texts(record: Record, column: str, what: str) -> tuple[str, ...]:
    """A column's text, or all texts of a column that is a list; a text may be a list as JSON. Raises Unusable."""
    found = columns.value(record, column)
    if isinstance(found, str) and found.lstrip().startswith("["):
        found = _listed(found)
    several = found if isinstance(found, (list, tuple)) else [found]
    said = tuple(columns.plain(each, column) for each in several)
    if not said or not all(each.strip() for each in said):
        raise Unusable(f"the {what} is empty (column '{column}')")
    return said


def silent(said: Sequence[str]) -> tuple[str, ...]:
    """The sentence on answers without a letter; none where there are none."""
    empty = sum(not each.strip() for each in said)
    return (f"{empty} of {len(said)} answers are empty",) if empty else ()


def _listed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
