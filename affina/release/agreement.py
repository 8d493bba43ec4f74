"""Whether an answer from elsewhere is the run's own: equal, tied where they part, cut, gone on behind its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from affina.core.kinds import Floats, Sampled
from affina.engine.torch.exact import Exact
from affina.release.witness import Said

PART = "\ufffd"
"""What a part of a letter is decoded as; servers hold it back, or leave it away."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What both were asked, and what the run answers in float32."""

    id: str
    tokens: tuple[int, ...]
    """As the run renders it."""
    want: Sampled


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer stands to the run's; where they part, after how many tokens, and how far apart the run's own
    logits are of its token and of the other."""

    kind: Literal["equal", "tied", "cut", "on", "other"]
    at: int = 0
    gap: float = 0.0


def outcome(exact: Exact, prompt: Prompt, said: Said, bound: float) -> Outcome:
    """White space at the ends does not count, nor a part of a letter where the limit cut it: servers strip them."""
    want, text = prompt.want, said.text
    ends = "" if want.stopped else PART
    if text.strip().rstrip(ends).rstrip() == want.text.strip().rstrip(ends).rstrip():
        return Outcome("equal")
    if want.text and text.startswith(want.text):
        return Outcome("on", len(want.tokens))
    if want.text.startswith(text) and said.ended == "length":
        return Outcome("cut", said.made or 0)
    at, gap = parting(exact, prompt, text)
    return Outcome("tied" if gap <= bound else "other", at, gap)


def parting(exact: Exact, prompt: Prompt, text: str) -> tuple[int, float]:
    """(tokens that agree, the gap there)"""
    renderer, tokens = exact.renderer, prompt.want.tokens
    heads = [renderer.text(tokens[:n]) for n in range(len(tokens) + 1)]
    at = max(n for n, head in enumerate(heads) if text.startswith(head))
    rest = text[len(heads[at]) :]
    stops = sorted(renderer.stops)
    mine = [tokens[at]] if at < len(tokens) else stops
    theirs = renderer.vocabulary.encode([rest])[0].ids[:1] if rest else stops
    last_V = exact.logits((*prompt.tokens, *tokens[:at]))[-1]
    return at, float(last_V[mine].max() - last_V[theirs].max())


def logprobs(exact: Exact, prompt: Prompt) -> Floats:
    """Of the run's own answer, in nats."""
    given, answer = prompt.tokens, prompt.want.tokens
    logits_TV = exact.logits((*given, *answer))[len(given) - 1 : -1].astype(np.float64)
    largest_T = logits_TV.max(1)
    norms_T = largest_T + np.log(np.exp(logits_TV - largest_T[:, None]).sum(1))
    found: Floats = logits_TV[np.arange(len(answer)), list(answer)] - norms_T
    return found


def first_other(mine: Sequence[int], theirs: Sequence[int], renderer: Any) -> str:
    """Where two renderings part, in words."""
    at = next((n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    named = [renderer.vocabulary.decode(each[at : at + 6], special=True) or "its end" for each in (mine, theirs)]
    return f"from token {at + 1} on it has {named[1]!r} in place of {named[0]!r}"
