"""What parity is shown on: rows of a run's own test items, where their answers begin, and conversations as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Parallel, Text
from affina.core.say import Say
from affina.evaluation.open import Opened, from_file, splits_of
from affina.release.source import ending_of

MOST = 50
SPARE = 8  # tokens generated beyond the longest right answer
LONGEST_ANSWER = 64
SPLITS = ("test", "validation", "train")


@dataclass(frozen=True)
class Item:
    """One row, whole; `prompt` is what its answer is generated from, None where nothing is generated."""

    id: str
    tokens: tuple[int, ...]
    text: str
    source: tuple[int, ...] = ()
    prompt: tuple[int, ...] | None = None
    chat: Chat | None = None
    weights: tuple[float, ...] = ()
    """What each token counts for in the loss: see `Row`."""
    label: int = -1
    """Its class, where it has one."""
    answers: tuple[int, ...] = ()
    """The places whose logits say its answer: where the model is asked; () where all are."""
    types: tuple[int, ...] = ()
    """Which of two texts each token is of; () where there is one."""


def items_of(opened: Opened, on: str | None, say: Say, most: int = MOST) -> list[Item]:
    """At most so many, of a file or of the run's own splits: test items first, others where they are too few.

    Raises Refused where the items cannot be read.
    """
    if on is not None:
        examples = from_file(opened, on, say)
    else:
        splits = splits_of(opened)
        examples = [each for name in SPLITS for each in splits.get(name, ())]
    found = [_item(opened, each) for each in opened.objective.expand(examples[:most])][:most]
    if not found:
        raise Refused("there is nothing to show parity on", instead="give items with --on FILE")
    return found


def answer_tokens(opened: Opened, items: Sequence[Item]) -> int:
    """How long answers are generated: a little longer than the longest right one."""
    longest = max((len(each.tokens) - len(each.prompt) for each in items if each.prompt), default=0)
    if ending_of(opened).reads == "source":
        longest = max(len(each.tokens) for each in items)
    return min(LONGEST_ANSWER, longest + SPARE)


def _item(opened: Opened, example: Example) -> Item:
    renderer: Any = opened.model.renderer
    row = renderer.rows([example])[0]
    tokens = tuple(row.tokens.tolist())
    prompt: tuple[int, ...] | None = None
    if isinstance(example, Chat | Parallel):
        prompt = tuple(renderer.prompt(example))
    elif isinstance(example, Text):
        prompt = tokens[: max(1, len(tokens) // 2)]
    source = () if row.source is None else tuple(row.source.tolist())
    chat = example if isinstance(example, Chat) else None
    weights = tuple(row.weights.tolist())
    before = int(row.said is None)  # what is said of a place by its own state, or by the state before it
    answers = tuple(place - before for place, weight in enumerate(weights) if weight and place >= before)
    types = () if row.types is None else tuple(row.types.tolist())
    return Item(row.id, tokens, example.given, source, prompt, chat, weights, row.label, answers, types)
