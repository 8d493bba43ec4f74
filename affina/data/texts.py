"""The texts an example holds, and changes of them: tags stay with their words, answers with what they quote."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial
from typing import Any, NamedTuple, TypeVar

from affina.core.example import Example, Message, Question, Tagged

E = TypeVar("E", bound=Example)


class Edit(NamedTuple):
    """The characters [start, stop) of a text become `text`."""

    start: int
    stop: int
    text: str


Find = Callable[[str], Sequence[Edit]]
"""The edits of a text: in order, none touching another's characters."""

FIELDS = ("text", "messages", "options", "chosen", "rejected", "question", "context", "anchor", "positive", "negatives")
"""Where examples keep what a model is shown or says; words, answers and texts with a result are told apart below."""
LONG = 20_000
"""Characters up to which two versions of a text are compared letter by letter."""


def held(example: Example) -> dict[str, Any]:
    """The fields of an example that hold text, by name."""
    names = [*FIELDS, *(("words",) if isinstance(example, Tagged) else ())]
    if hasattr(example, "result"):
        names += ["source", "result", "references"]
    return {name: getattr(example, name) for name in names if hasattr(example, name)}


def texts(example: Example) -> Iterator[str]:
    """Every text of an example, in order: turns, options, references and the words of a tagged sentence too."""
    for value in held(example).values():
        for each in value if isinstance(value, tuple) else (value,):
            yield each.content if isinstance(each, Message) else each


def rewritten(example: E, find: Find, calls: bool = True) -> E:
    """The example with the edits that `find` finds in each of its texts; itself where there are none.

    Edits of a tagged sentence are found in its words joined by spaces; each word keeps its tag, so an edit over several
    words gives each of them a word of its own, or all of it. An answer follows what it quotes: where an edit crosses
    its edge, the answer takes in the whole of what was put there. `calls`: arguments of tool calls are texts too.
    """
    if isinstance(example, Tagged):
        words = _words(example.words, find)
        return example if words == example.words else replace(example, words=words)
    if isinstance(example, Question):
        asked: E = _question(example, find)
        return asked
    change = partial(_changed, find=find, calls=calls)
    new = {name: change(value) for name, value in held(example).items()}
    return example if new == held(example) else replace(example, **new)


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The text after its edits."""
    parts, at = [], 0
    for edit in edits:
        parts += [text[at : edit.start], edit.text]
        at = edit.stop
    return "".join([*parts, text[at:]])


def differences(before: str, after: str) -> list[Edit]:
    """Edits that make one text of the other, as small as is found quickly: letter by letter, or line by line."""
    if before == after:
        return []
    if len(before) + len(after) > LONG:
        return _by_parts(before, after, [line.splitlines(keepends=True) for line in (before, after)])
    return _by_parts(before, after, [before, after])


def _by_parts(before: str, after: str, parts: Sequence[Sequence[str]]) -> list[Edit]:
    old, new = ([0] for _ in range(2))
    for edges, each in zip((old, new), parts, strict=True):
        for part in each:
            edges.append(edges[-1] + len(part))
    matcher = SequenceMatcher(None, parts[0], parts[1], autojunk=False)
    return [
        Edit(old[a], old[b], after[new[c] : new[d]]) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"
    ]


def _changed(value: Any, find: Find, calls: bool) -> Any:
    if isinstance(value, str):
        return edited(value, find(value))
    if isinstance(value, tuple):
        return tuple(_changed(each, find, calls) for each in value)
    content = edited(value.content, find(value.content))
    extra = _called(value.extra, find) if calls and value.extra else value.extra
    return value if content == value.content and extra == value.extra else replace(value, content=content, extra=extra)


def _called(value: Any, find: Find) -> Any:
    """What hangs on a turn, with the texts in the arguments of its tool calls changed, names and ids left alone."""
    if isinstance(value, Mapping):
        return {
            key: _argument(each, find) if key == "arguments" else _called(each, find) for key, each in value.items()
        }
    return [_called(each, find) for each in value] if isinstance(value, list) else value


def _argument(value: Any, find: Find) -> Any:
    """An argument with its texts changed. Arguments told as JSON stay JSON; a number may become a text."""
    if isinstance(value, Mapping):
        return {key: _argument(each, find) for key, each in value.items()}
    if isinstance(value, list):
        return [_argument(each, find) for each in value]
    if isinstance(value, str):
        inner = _parsed(value)
        if inner is None:
            return edited(value, find(value))
        changed = _argument(inner, find)
        return value if changed == inner else json.dumps(changed, ensure_ascii=False)
    if isinstance(value, int | float) and not isinstance(value, bool) and (edits := find(str(value))):
        return edited(str(value), edits)
    return value


def _parsed(text: str) -> Any:
    """The object or list that a text is in JSON; None where it is none."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _words(words: tuple[str, ...], find: Find) -> tuple[str, ...]:
    edges, made = [0], list(words)
    for word in words:
        edges.append(edges[-1] + len(word) + 1)
    inside: dict[int, list[Edit]] = {}
    for edit in find(" ".join(words)):
        met = [n for n, word in enumerate(words) if edges[n] < max(edit.stop, edit.start + 1) and
               edges[n] + len(word) > edit.start]  # fmt: skip
        if len(met) == 1:
            first = edges[met[0]]
            start, stop = max(edit.start - first, 0), min(edit.stop - first, len(words[met[0]]))
            inside.setdefault(met[0], []).append(Edit(start, stop, edit.text))
            continue
        told = edit.text.split()
        for n, word in zip(met, told if len(told) == len(met) else [edit.text] * len(met), strict=True):
            inside.setdefault(n, []).append(
                Edit(max(edit.start - edges[n], 0), min(edit.stop - edges[n], len(words[n])), word)
            )
    for n, edits in inside.items():
        made[n] = edited(words[n], edits)
    return tuple(made)


def _question(example: Any, find: Find) -> Any:
    edits = find(example.context)
    question, context = edited(example.question, find(example.question)), edited(example.context, edits)
    answers = tuple(_moved(text, start, edits, context) for text, start in example.answers)
    new = replace(example, question=question, context=context, answers=answers)
    return example if new == example else new


def _moved(text: str, start: int, edits: Sequence[Edit], context: str) -> tuple[str, int]:
    """An answer in the edited context, and where it begins."""
    stop, shift = start + len(text), 0
    first, last = start, stop
    for edit in edits:
        grown = len(edit.text) - (edit.stop - edit.start)
        if edit.stop <= start:
            first += grown
        elif edit.start < start:
            first = edit.start + shift
        if edit.stop <= stop and edit.start < stop:
            last += grown
        elif edit.start < stop:
            last = edit.start + shift + len(edit.text)
        shift += grown
    return context[first:last], first
