"""A look at files as plain data: what `data_look` returns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from affina.core.example import Example, Message, Parallel
from affina.core.kinds import Shape, readers, shapes
from affina.data.lengths import Lengths
from affina.data.look import Looking
from affina.data.new import FEW_DOCUMENTS, TASKS
from affina.data.sight import SAMPLED, Sight

BINS = 24
SHOWN = 600
"""Characters of a text that a sample shows."""
WORD = 30
"""Characters up to which what stands in a list is a word."""
CLASSES = 1000
"""Classes that are listed; beyond them the number is told."""
READ = 1000
"""Examples whose language is looked at."""
ASIDE = ("id", "split", "facts", "origin", "made", "labels")
"""What says where an example came from, not what it teaches."""

Count = Callable[[Sequence[str]], list[int]]
"""The tokens of each of some texts."""


def as_plain(seen: Looking, tokens: Count | None = None) -> dict[str, Any]:
    """Everything that was seen: see `data_look`."""
    sight, kept = seen.sight, seen.sight.sample.kept
    task = TASKS[type(kept[0])] if kept else None
    notes = [*seen.notes, *_undivided(seen), *_sampled(sight.sample.met, tokens is not None)]
    apart = kept and isinstance(kept[0], Parallel)
    found = _languages([each.given if apart else f"{each.given}\n{each.target}" for each in kept], notes)
    lengths = {**sight.lengths, **(_tokens(kept, tokens) if tokens else {})}
    ledger = seen.ledger.summary()
    return {
        "files": ledger["files"],
        "rows": ledger["read"],
        "examples": sight.sample.met,
        "format": _each(reading.reader.name for reading in seen.readings),
        "encoding": _each(str(getattr(reading.reader, "encoding", None) or "") for reading in seen.readings),
        "shape": seen.shape.name if seen.shape else None,
        "task": task.name if task else None,
        "why": {
            "format": _each(reading.reason for reading in seen.readings),
            "shape": seen.why.removeprefix(f"{seen.shape.name}: ") if seen.shape else "",
            "task": f"{sight.sample.met:,} {task.rows}; {task.comment}" if task else "",
        },
        "recipe": _recipe(seen),
        "columns": {name: {**each.summary(), "is": _part(seen.shape, name)} for name, each in seen.columns.items()},
        "languages": found,
        "answer_languages": _languages([each.target for each in kept], []) if apart else None,
        "lengths": {name: {**each.summary(), "bins": each.bins(BINS)} for name, each in lengths.items() if each.counts},
        "classes": dict(sight.classes.most_common(CLASSES)),
        "numbers": sight.numbers(),
        "duplicates": sight.duplicates() if kept else None,
        "problems": [each._asdict() for each in seen.problems()],
        "ledger": {**ledger, "used": {"all": seen.used}},
        "samples": [_sample(each) for each in _spread(sight)],
        "notes": notes,
    }


def parts(sample: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A sample's parts by name, each as a text; turns one by one by their roles."""
    for name, value in sample.items():
        if name == "messages":
            for turn in value:
                called = f" {turn['extra']}" if "extra" in turn else ""
                yield turn["role"], f"{turn['content']}{called}".strip()
        elif name != "id":
            yield name, _text(value)


def _text(value: Any) -> str:
    """Of a list words with spaces between, longer texts in lines, passages with where they stand."""
    if not isinstance(value, list):
        return str(value)
    if value and all(isinstance(each, str) for each in value):
        return (" " if max(map(len, value)) <= WORD else "\n").join(value)
    return ", ".join(f"{each[0]!r} at {each[1]}" if isinstance(each, list) else str(each) for each in value)


def _each(told: Iterable[str]) -> str:
    """Different ones, a comma between."""
    return ", ".join(dict.fromkeys(filter(None, told)))


def _recipe(seen: Looking) -> dict[str, Any]:
    """What a recipe's `data` would say, so that nothing is left to be recognised."""
    told: dict[str, Any] = {"read": list(seen.data.read)}
    if seen.data.reader is not None:
        told["reader"] = readers.dump(seen.data.reader)
    if seen.shape is not None:
        told["shape"] = shapes.dump(seen.shape)
    return told


def _part(shape: Shape | None, column: str) -> str:
    """What the column is to the shape; empty where it is not used."""
    if shape is None or column not in shape.uses([column]):
        return ""
    settings = {name: value if isinstance(value, tuple) else (value,) for name, value in shape.model_dump().items()}
    return next((name for name, value in settings.items() if column in value), "told")


def _languages(texts: Sequence[str], notes: list[str]) -> dict[str, int] | None:
    """Language → texts of the sample, an empty name for what is not certain; None where the library is absent."""
    try:
        from affina.data.languages import languages
    except ModuleNotFoundError as error:
        notes.append(f"languages are told by {error.name}: pip install 'affina[cleaning]'")
        return None
    return languages(texts[:: max(1, len(texts) // READ)][:READ])


def _tokens(kept: Sequence[Example], count: Count) -> dict[str, Lengths]:
    found: dict[str, Lengths] = {}
    for what, texts in (("text", [each.given for each in kept]), ("answer", [each.target for each in kept])):
        for tokens in count([text for text in texts if text]):
            found.setdefault(f"{what}, tokens", Lengths()).add(tokens)
    return found


def _undivided(seen: Looking) -> list[str]:
    """That texts are read whole, where they are few and could be divided."""
    whole = all(getattr(each.reader, "by", "") == "document" for each in seen.readings)
    if not whole or not seen.readings or len(seen.readings) >= FEW_DOCUMENTS:
        return []
    names = {each.reader.name for each in seen.readings}
    spec = f"{{name: {min(names)}, by: paragraph}}" if len(names) == 1 else "{name: text, by: paragraph}"
    return [f"a document is one row: `reader: {spec}` makes a row of each paragraph, and `new` chooses for itself"]


def _sampled(examples: int, tokens: bool) -> list[str]:
    if examples <= SAMPLED:
        return []
    told = "languages, tokens and" if tokens else "languages and"
    return [f"{told} samples are of {SAMPLED:,} examples drawn equally from {examples:,}; all else is of every one"]


def _spread(sight: Sight) -> list[Example]:
    """The first of all, one from the middle of the sample, and its last."""
    kept = [each for each in sight.sample.kept if each is not sight.first]
    shown = [sight.first, *(kept[place] for place in sorted({(len(kept) - 1) // 2, len(kept) - 1}) if kept)]
    return [each for each in shown if each is not None]


def _sample(example: Example) -> dict[str, Any]:
    """Its id and what it shows and teaches, part by part; long texts are cut."""
    told = {"id": example.id}
    for each in fields(example):
        value = getattr(example, each.name)
        if each.name not in ASIDE and value not in ("", ()):
            told[each.name] = _shown(value)
    return told


def _shown(value: Any) -> Any:
    if isinstance(value, Message):
        return {"role": value.role, "content": _shown(value.content), **({"extra": value.extra} if value.extra else {})}
    if isinstance(value, (tuple, list)):
        return [_shown(each) for each in value]
    if isinstance(value, str) and len(value) > SHOWN:
        return f"{value[:SHOWN]} … ({len(value):,} characters)"
    return value
