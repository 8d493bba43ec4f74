"""Whether an exported model says what its run says: logits, greedy answers, rendered prompts and their tokens.

The reference is the run in float32. Where they part beyond the format's bounds, `shown` raises Failed and says where.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from affina.core.errors import Failed
from affina.core.export import Bounds, Served
from affina.core.say import Say
from affina.release import divergence
from affina.release.items import Item

TIE = 1e-2
"""Two tokens whose logits in the reference are closer are a tie, and either answer is right; or a format's own bound on
logits."""


@dataclass(frozen=True)
class Asked:
    """What parity is shown on, and how a row is read."""

    items: Sequence[Item]
    most: int
    """Tokens of an answer."""
    stops: frozenset[int]
    head: str = "words"
    exclusive: bool = True


@dataclass(frozen=True)
class Apart:
    """Where two models are farthest apart."""

    item: str = ""
    place: int = 0
    value: float = 0.0


@dataclass(frozen=True)
class Compared:
    """What two models say at every token of the items."""

    tokens: int
    largest: Apart
    size: float
    """The largest logit of the run."""
    mean: float
    """Of the absolute differences of logits."""
    kl: float
    """Mean per token of the answers, nats: where the model is asked."""
    everywhere: float
    """Mean per token of the whole rows, prompts too."""
    worst: Apart
    """Of the KL of answers."""
    same: int
    """Items for which the likeliest is the same at the last token."""


@dataclass(frozen=True)
class Answered:
    """Greedy answers beside the run's."""

    answers: int
    equal: int
    ties: int
    parted: str = ""
    """Where the first one that is no tie parts, in a sentence."""


class Reference(Served, Protocol):
    """A run's own model, which answers many prompts at once."""

    def answers(self, prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        """Greedy continuations, in order: see `Served.greedy`."""


def shown(run: Reference, export: Served, asked: Asked, bounds: Bounds, yardstick: Served | None, say: Say) -> Any:
    """The figures, as plain data. Raises Failed where the export parts from the run."""
    prompts = _same_prompts(run, export, asked)
    compared, measured = _compared(run, (export, yardstick), asked, say)
    answered = _answered(run, export, asked, bounds.logits or TIE, say)
    found: dict[str, Any] = {
        "items": len(asked.items),
        "tokens": compared.tokens,
        "logits": {
            "largest": compared.largest.value,
            "mean": compared.mean,
            "size": compared.size,
            "bound": bounds.logits,
        },
        "kl": {
            "mean": compared.kl,
            "everywhere": compared.everywhere,
            "largest": compared.worst.value,
            "bound": None if measured is not None else bounds.kl,
        },
        "yardstick": None if measured is None else {"everywhere": measured.everywhere, "times": bounds.times},
        "likeliest": {"same": compared.same, "of": len(asked.items)},
        "greedy": {"answers": answered.answers, "equal": answered.equal, "ties": answered.ties},
        "prompts": prompts,
    }
    _hold(compared, answered, bounds, measured)
    return found


def _hold(compared: Compared, answered: Answered, bounds: Bounds, yardstick: Compared | None) -> None:
    """Raises Failed at the first bound that is not kept."""
    largest, worst = compared.largest, compared.worst
    if bounds.logits is not None and not largest.value <= bounds.logits:
        size = f"where the run's largest is {compared.size:.3g}"
        raise _parts(f"a logit of {_at(largest)} is {largest.value:.3g} off {size}; {bounds.logits:.3g} is allowed")
    if bounds.times is not None and yardstick is not None:
        most = bounds.times * yardstick.everywhere
        if not compared.everywhere <= most:
            found = f"its mean KL over whole rows is {compared.everywhere:.3g} nats per token; {most:.3g} is allowed"
            raise _parts(f"{found}, {bounds.times:g} times that of llama.cpp's own quantiser")
    elif bounds.kl is not None and not compared.kl <= bounds.kl:
        found = f"the mean KL of its answers is {compared.kl:.3g} nats per token; {bounds.kl:.3g} is allowed"
        raise _parts(f"{found}; worst at {_at(worst)} with {worst.value:.3g}")
    if bounds.greedy and answered.parted:
        raise _parts(answered.parted)


def _compared(run: Served, others: tuple[Served, Served | None], asked: Asked, say: Say) -> tuple[Compared, Any]:
    """The first, and the second where there is one, beside the run: its logits are computed once."""
    known = [each for each in others if each is not None]
    sums = [_Sums(asked) for _ in known]
    for place, item in enumerate(asked.items):
        right = run.logits(item.tokens, item.source, item.types)
        for served, held in zip(known, sums, strict=True):
            held.add(item, right, served.logits(item.tokens, item.source, item.types))
        say.progress("parity: logits", place + 1, len(asked.items))
    found = [each.done() for each in sums]
    return found[0], found[1] if len(found) > 1 else None


class _Sums:
    """Differences, item by item."""

    def __init__(self, asked: Asked) -> None:
        self._asked, self._same, self._tokens = asked, 0, 0
        self._differences, self._kls = list[float](), list[np.ndarray[Any, Any]]()
        self._answers = list[np.ndarray[Any, Any]]()
        self._largest, self._worst, self._size = Apart(), Apart(), 0.0

    def add(self, item: Item, right: divergence.Said, other: divergence.Said) -> None:
        if right.shape != other.shape:
            raise _parts(f"{item.id} has logits {list(right.shape)} in the run and {list(other.shape)} in the export")
        off = np.nan_to_num(np.abs(right - other), nan=np.inf)
        kl_N = np.nan_to_num(divergence.of(self._asked.head, self._asked.exclusive, right, other), nan=np.inf)
        self._largest = _worse(self._largest, item, off.max(1))
        asked = np.zeros(len(kl_N), bool)
        asked[list(item.answers) if item.answers and len(kl_N) == len(item.tokens) else slice(None)] = True
        self._worst = _worse(self._worst, item, np.where(asked, kl_N, 0))
        self._answers.append(kl_N[asked])
        self._differences.append(float(off.mean()))
        self._size = max(self._size, float(np.abs(right).max()))
        self._kls.append(kl_N)
        self._same += int(right[-1].argmax() == other[-1].argmax())
        self._tokens += len(right)

    def done(self) -> Compared:
        kl, everywhere = (float(np.maximum(np.concatenate(each), 0).mean()) for each in (self._answers, self._kls))
        mean = float(np.mean(self._differences))
        return Compared(self._tokens, self._largest, self._size, mean, kl, everywhere, self._worst, self._same)


def _worse(so_far: Apart, item: Item, values_N: np.ndarray[Any, Any]) -> Apart:
    place = int(values_N.argmax())
    return Apart(item.id, place, float(values_N[place])) if values_N[place] > so_far.value else so_far


def _answered(run: Reference, export: Served, asked: Asked, tie: float, say: Say) -> Answered:
    """Greedy answers, one by one."""
    prompts = [(item, item.prompt) for item in asked.items if item.prompt is not None]
    equal = ties = 0
    parted = ""
    expected = run.answers([prompt for _, prompt in prompts], asked.most) if prompts else []
    for place, ((item, prompt), right) in enumerate(zip(prompts, expected, strict=True)):
        other = export.greedy(prompt, asked.most, asked.stops)
        if right == other:
            equal += 1
        elif (gap := _gap(run, item, right, other, asked.stops)) <= tie:
            ties += 1
        else:
            at = _common(right, other)
            parted = parted or (
                f"the answer to {item.id} parts at token {at + 1} ({_token(right, at)}, and not {_token(other, at)}), "
                f"where the run's own logits are {gap:.3g} apart"
            )
        say.progress("parity: greedy answers", place + 1, len(prompts))
    return Answered(len(prompts), equal, ties, parted)


def _gap(run: Served, item: Item, right: list[int], other: list[int], stops: frozenset[int]) -> float:
    """How much likelier, in logits, the run finds its own token than the export's, where the two part."""
    at, before = _common(right, other), item.prompt or ()
    source = item.source and before
    given = (*item.tokens[:1], *right[:at]) if source else (*before, *right[:at])
    last_V = run.logits(given, source)[-1]
    chosen = [max(last_V[list(stops)]) if len(each) <= at else last_V[each[at]] for each in (right, other)]
    return float(chosen[0] - chosen[1])


def _common(right: list[int], other: list[int]) -> int:
    pairs = enumerate(zip(right, other, strict=False))
    return next((place for place, (one, two) in pairs if one != two), min(len(right), len(other)))


def _token(answer: list[int], at: int) -> str:
    return f"token {answer[at]}" if at < len(answer) else "the end"


def _same_prompts(run: Served, export: Served, asked: Asked) -> dict[str, int]:
    """Rendered byte for byte and encoded token by token alike. Raises Failed for the first that is not."""
    rendered = 0
    for item in asked.items:
        text = item.text
        if item.chat is not None:
            given, tools = _opening(item), item.chat.tools
            text = run.render(given, tools)
            if text != (other := export.render(given, tools)):
                at = next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), len(text))
                raise _parts(
                    f"the prompt of {item.id} is rendered otherwise from character {at + 1} on: {other[at:][:20]!r}"
                )
            rendered += 1
        if (mine := run.tokens(text)) != (theirs := export.tokens(text)):
            at = _common(mine, theirs)
            raise _parts(f"the text of {item.id} is other tokens from the {at + 1}th on: {_token(theirs, at)}")
    return {"rendered": rendered, "encoded": len(asked.items)}


def _opening(item: Item) -> list[dict[str, Any]]:
    """The turns before the last answer."""
    assert item.chat is not None
    turns = [message.as_dict() for message in item.chat.messages]
    roles = [turn["role"] for turn in turns]
    return turns[: len(roles) - 1 - roles[::-1].index("assistant")] if "assistant" in roles else turns


def _at(apart: Apart) -> str:
    return f"{apart.item}, token {apart.place + 1},"


def _parts(why: str) -> Failed:
    return Failed("the export parts from the run", why, "nothing was written; export in more bits or another format")
