"""`new`: looks at files of examples and writes the short commented recipe that fits them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from affina.core.address import moved
from affina.core.errors import Refused
from affina.core.example import (
    Chat,
    Example,
    Labelled,
    MultiLabelled,
    Pair,
    Parallel,
    Question,
    Rated,
    Related,
    Tagged,
    Text,
)
from affina.core.kinds import Reader, Shape, readers, shapes
from affina.core.recipe import Data, Recipe
from affina.data.files import listed
from affina.data.prepare import prepare, read_examples
from affina.data.recognise import readings, shape_for

BASE = "smollm2-135m-instruct"
FEW_DOCUMENTS = 10  # below it whole documents cannot be divided into three splits worth the name
WINDOW = 512  # tokens in a row of raw text
STEP = 64  # `max_tokens` is a multiple of it
LONGEST = 8192  # tokens: most bases that train on one machine take no more, and a step's memory grows with it
MARKUP = 8  # tokens a chat template puts around a turn, with room to spare


class Task(NamedTuple):
    """What examples of one kind are for: its name, the objective and why, and how many of what there are."""

    name: str
    objective: str
    comment: str
    rows: str
    metrics: str = ""


LABELLED = Task(
    "classification", "cross_entropy", "the label is answered in words", "texts", "[accuracy, f1, loss]"
)  # fmt: skip
RAW = Task("continued text", "cross_entropy", "next token", "texts without an answer", "[loss, perplexity]")
TASKS: dict[type[Example], Task] = {
    Chat: Task("answers", "cross_entropy", "next token", "conversations", "[loss, perplexity]"),
    Text: RAW,
    Labelled: LABELLED,
    MultiLabelled: Task("sets of classes", "multi_label", "each class by itself: a new head", "texts"),
    Rated: Task("regression", "regression", "a number for each text: a new head", "rated texts"),
    Tagged: Task("tagging", "tag", "a tag for each word: a new head", "sentences"),
    Question: Task("questions about a text", "span", "where the answer begins and ends: a new head", "questions"),
    Parallel: Task(
        "texts from texts", "cross_entropy", "next token; `seq2seq` for an encoder-decoder base", "pairs of texts"
    ),
    Pair: Task("preferences", "reward", "the chosen answer above the rejected one: a new head", "pairs of answers"),
    Related: Task("related texts", "contrastive", "related texts close together, others apart", "pairs of texts"),
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What was found in the files: their formats, how text is divided, the shape, every usable row."""

    formats: list[tuple[Reader, str]]
    reader: dict[str, str] | None
    shape: Shape
    why_shape: str
    examples: list[Example]
    labels: tuple[str, ...]

    @property
    def task(self) -> Task:
        return TASKS[type(self.examples[0])]

    @property
    def why_task(self) -> str:
        told = f"{len(self.examples)} {self.task.rows}"
        if not self.labels:
            return told
        told += f" with {len(self.labels)} {'tags' if isinstance(self.examples[0], Tagged) else 'classes'}"
        return f"{told}; {self.task.comment}" if self.task == LABELLED else told


def new(files: Sequence[str], out: str | None = None) -> dict[str, Any]:
    """Writes a recipe for `files`; returns recipe (its text), path, format, shape, task, why each was chosen, notes,
    and the ledger.

    Raises Refused, writing nothing, when the files cannot be read or used, or the recipe's file exists.
    """
    path = _free(Path(out) if out else Path(f"{_name(Path(files[0]))}.yaml"))
    listed(files, Path())  # a missing file is refused under the name that was typed
    read = [moved(file, Path(), path.parent) for file in files]
    seen = _look(read, path.parent)
    text = _written(_name(path), read, seen)
    prepared = prepare(Recipe.build(yaml.safe_load(text), path.parent))  # refused before it is written
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Refused(f"{path} cannot be written", why=error.strerror or str(error), instead="give --out") from error
    why = "; ".join(dict.fromkeys(reason for _, reason in seen.formats))
    told = tuple(reason for _, reason in seen.formats)
    return {
        "recipe": text,
        "path": str(path),
        "format": ", ".join(dict.fromkeys(reader.name for reader, _ in seen.formats)),
        "shape": seen.shape.name,
        "task": seen.task.name,
        "why": {"format": why, "shape": seen.why_shape, "task": seen.why_task},
        "notes": [note for note in prepared.notes if not note.endswith(told)],
        "ledger": prepared.ledger.summary(),
    }


def _look(read: list[str], folder: Path) -> Seen:
    """Text is divided as coarsely as leaves enough rows for three splits: documents, else paragraphs, else lines."""
    paths = listed(read, folder)[0]
    found = readings(paths)
    reader, prepared = None, read_examples(Data(read=read), folder)
    if {each.reader.name for each in found} == {"text"}:
        for by in ("paragraph", "line"):
            if len(prepared.examples["all"]) < FEW_DOCUMENTS:
                reader = {"name": "text", "by": by}
                prepared = read_examples(Data.model_validate({"read": read, "reader": reader}), folder)
        found = readings(paths, readers.build(reader)) if reader else found
    shape, why = shape_for([record for each in found for record in each.records()])
    return Seen(
        [(each.reader, each.reason) for each in found], reader, shape, why, prepared.examples["all"], prepared.labels
    )


def _free(path: Path) -> Path:
    if path.exists():
        raise Refused(f"{path} exists", why="a recipe is never overwritten", instead="give another --out, or remove it")
    if not path.parent.is_dir():
        raise Refused(f"there is no folder {path.parent}", instead="make it, or give another --out")
    return path


def _name(path: Path) -> str:
    """The file's stem as a recipe's name: letters, digits, dots, dashes, underscores."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.resolve().stem).strip("-._")[:80]
    return stem or "recipe"


def _written(name: str, read: list[str], seen: Seen) -> str:
    """The recipe's text; every line says in a few words what it is for."""
    task, longest = seen.task, _max_tokens(seen)
    lines = [
        ("", f"# {seen.why_task}."),
        ("", "# What is left out is the recommended setting: `affina describe data` (or train, evaluate …) shows it."),
        (f"name: {_inline(name)}", ""),
        ("model:", ""),
        (f"  base: {BASE}", "what is fine-tuned: an alias, a folder, a .gguf file or a hub name"),
        ("data:", ""),
        (f"  read: {_inline(read)}", "files, relative to this one"),
        (f"  reader: {_inline(seen.reader)}" if seen.reader else "", "what one row is"),
        (f"  shape: {_inline(shapes.dump(seen.shape))}", "what the rows mean"),
        ("  transforms: [dedup, split]", "exact duplicates out; 70/10/20, near-duplicates on one side"),
        (f"  max_tokens: {min(LONGEST, longest)}", _max_tokens_reason(task, longest)),
        ("tuning: lora", "a small adapter; `full` moves every weight"),
        (f"objective: {task.objective}", task.comment),
        ("train:", ""),
        ("  epochs: 3", "passes over the training rows; early stopping may end sooner"),
        ("  batch: 16", "rows per step"),
        ("evaluate:", ""),
        (f"  metrics: {task.metrics}" if task.metrics else "", "the first one decides the verdict"),
        ("  patience: 3", "validations without improvement before training stops"),
    ]
    if task == LABELLED:
        lines.append(("  gate: {accuracy: better than base, margin: 0.05}", "the smallest gain worth having"))
    width = min(50, max(len(line) for line, comment in lines if comment and line))
    return "".join(_commented(line, comment, width) for line, comment in lines if line or comment.startswith("#"))


def _commented(line: str, comment: str, width: int) -> str:
    return f"{line.ljust(width)}  # {comment}\n" if line and comment else f"{line or comment}\n"


def _inline(plain: Any) -> str:
    """Plain data on one line of YAML."""
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=math.inf, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _max_tokens_reason(task: Task, longest: int) -> str:
    if longest > LONGEST:
        return f"the longest row may need {longest}: divide it, choose a base that takes it, or add `truncate: allow`"
    return (
        "tokens in a row: longer text continues in the next" if task == RAW else "the longest row, with room to spare"
    )


def _max_tokens(seen: Seen) -> int:
    """What the longest row needs, estimated without a tokenizer and rather too high; whole windows for raw text."""
    if seen.task == RAW:
        return WINDOW
    longest = max(_tokens_of(example) for example in seen.examples)
    return STEP * math.ceil((longest + 4 * MARKUP) / STEP)


def _tokens_of(example: Example) -> int:
    if isinstance(example, Chat):
        turns = sum(_tokens(f"{each.content} {each.extra or ''}") + MARKUP for each in example.messages)
        return turns + sum(_tokens(str(tool)) for tool in example.tools)
    if isinstance(example, Pair):
        turns = sum(_tokens(each.content) + MARKUP for each in example.messages)
        return turns + max(_tokens(example.chosen), _tokens(example.rejected)) + MARKUP
    if isinstance(example, Related):
        return max(map(_tokens, (example.anchor, example.positive, *example.negatives))) + MARKUP
    labels = sum(_tokens(label) + 1 for label in example.labels) if isinstance(example, Labelled) else 0
    return _tokens(example.given) + _tokens(example.target) + labels + 3 * MARKUP


def _tokens(text: str) -> int:
    """At most one token for three Latin letters, for any other sign, and for each byte of a letter beyond ASCII."""
    parts = re.findall(r"[A-Za-z]+|[^A-Za-z ]", text)
    return sum(math.ceil(len(part) / 3) if part.isascii() else len(part.encode(errors="replace")) for part in parts)
