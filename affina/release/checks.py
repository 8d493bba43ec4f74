"""What is checked of an endpoint that should serve one artefact: each check agrees, differs, or could not be proven."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from affina.core.errors import AffinaError, Refused
from affina.core.example import Message
from affina.engine.torch.exact import Exact
from affina.release.agreement import PART, Outcome, Prompt, first_other, logprobs, outcome
from affina.release.witness import Said, Witness

TURNS = (
    (("user", "Hello"),),
    (("system", "Be brief."), ("user", "Hello")),
    (("system", "Be brief."), ("user", "Hello"), ("assistant", "Good day"), ("user", "Who are you?")),
    (("system", "Be brief."), ("user", "  two lines,\n\n white space at the ends \n")),
)
"""Conversations whose rendering is compared, beside the prompts; those without a system turn show what is put there."""

BLANK = f" \n\t\r{PART}"
"""What may be lost at the ends of an answer: white space, and a part of a letter."""


@dataclass(frozen=True, slots=True)
class Check:
    """One property of the endpoint."""

    name: str
    state: Literal["agrees", "differs", "not proven"]
    detail: str


@dataclass(frozen=True)
class Artefact:
    """What should be served: the model in float32, its system prompt, and how far a logit may be off."""

    exact: Exact
    system: str
    bound: float

    def opening(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> list[int]:
        """A conversation as tokens, the system prompt before it where it has none of its own."""
        given = [*messages]
        if self.system and not (given and given[0].role == "system"):
            given = [Message("system", self.system), *given]
        found: list[int] = self.exact.renderer.opening(given, tools)
        return found


@dataclass(frozen=True)
class Answered:
    """A prompt, what the endpoint answered, and how that stands to the run's answer."""

    prompt: Prompt
    said: Said
    outcome: Outcome


def rendering(artefact: Artefact, witness: Witness) -> list[Check]:
    """The template by conversations with a system turn, the system prompt by those without."""
    own: list[tuple[list[Message], list[int]]] = []
    bare: list[tuple[list[Message], list[int]]] = []
    for turns in TURNS:
        messages = [Message(*turn) for turn in turns]
        try:
            held = own if messages[0].role == "system" else bare
            held.append((messages, artefact.opening(messages)))
        except Refused:
            continue  # the template itself takes no such conversation
    found = [_rendered("template", artefact, witness, own or bare)]
    prompt = _rendered("system prompt", artefact, witness, bare)
    if prompt.state == "differs" and artefact.system and _unprompted(artefact, witness, bare[0]):
        prompt = Check(prompt.name, "differs", "a conversation is rendered without the artefact's system prompt")
    return [*found, prompt]


def _rendered(
    name: str, artefact: Artefact, witness: Witness, cases: Sequence[tuple[list[Message], list[int]]]
) -> Check:
    counted = 0
    for messages, mine in cases:
        turns = [each.as_dict() for each in messages]
        theirs = witness.rendered(turns)
        count = witness.chat(turns, 1).given
        if theirs is not None and theirs != mine:
            return Check(name, "differs", first_other(mine, theirs, artefact.exact.renderer))
        if count is not None and count != len(mine):
            return Check(name, "differs", f"a conversation of {len(mine)} tokens has {count} there")
        if theirs is None and count is None:
            return Check(name, "not proven", "it neither shows a prompt's tokens nor counts them")
        counted += count is not None
    looked = f"conversations looked at: {len(cases)}"
    if not witness.route:
        return Check(name, "agrees", f"as many tokens there; which ones, it does not show; {looked}")
    also = "" if counted else "; answers count none"
    return Check(name, "agrees", f"the same tokens ({witness.route}){also}; {looked}")


def _unprompted(artefact: Artefact, witness: Witness, case: tuple[list[Message], list[int]]) -> bool:
    """Whether the endpoint renders as if there were no system prompt."""
    without = len(artefact.exact.renderer.opening(case[0]))
    return witness.chat([each.as_dict() for each in case[0]], 1).given == without


def weights(artefact: Artefact, witness: Witness, prompts: Sequence[Prompt], most: int) -> Check:
    """Greedy answers to prompts that are rendered here: what differs then is no matter of templates."""
    vocabulary, found = artefact.exact.renderer.vocabulary, []
    for prompt in prompts:
        try:
            said = witness.goes_on(prompt.tokens, vocabulary.decode(prompt.tokens, special=True), most)
        except AffinaError as error:
            return Check("weights", "not proven", f"it takes no rendered prompts: {error.what}")
        found.append(Answered(prompt, said, outcome(artefact.exact, prompt, said, artefact.bound)))
    return answers("weights", found, artefact.bound)


def answers(name: str, found: Sequence[Answered], bound: float) -> Check:
    """Whether every answer is the run's as far as it goes; what is wrong with its end is said elsewhere."""
    kinds = [each.outcome.kind for each in found]
    other = next((each for each in found if each.outcome.kind == "other"), None)
    if other is not None:
        at, gap, said = other.outcome.at, other.outcome.gap, other.said.text
        where = f"the one to {other.prompt.id} parts after {at} tokens, where the run's logits are {gap:.3g} apart"
        detail = f"{kinds.count('other')} of {len(found)} greedy answers are others; {where}: {_short(said)}"
        return Check(name, "differs", f"{detail} in place of {_short(other.prompt.want.text)}")
    ties = f", {kinds.count('tied')} part at a tie (logits within {bound:g})" if "tied" in kinds else ""
    whole = len(found) - kinds.count("tied")
    return Check(name, "agrees", f"{whole} of {len(found)} greedy answers equal{ties}")


def stops(artefact: Artefact, found: Sequence[Answered]) -> Check:
    """Answers end where the run's do, and no stop token is left in them."""
    special = artefact.exact.renderer.vocabulary.special
    for each in found:
        leak = next((token for token in special if token in each.said.text and token not in each.prompt.want.text), "")
        if leak:
            return Check("stop", "differs", f"the answer to {each.prompt.id} shows the token {leak}")
        if each.outcome.kind == "on" and each.prompt.want.stopped:
            after = each.said.text[len(each.prompt.want.text) :]
            return Check("stop", "differs", f"the answer to {each.prompt.id} goes on behind its end: {_short(after)}")
    ends = [each for each in found if each.prompt.want.stopped and each.outcome.kind == "equal"]
    unsaid = next((each for each in ends if each.said.ended != "stop"), None)
    if unsaid is not None:
        return Check("stop", "differs", f"the answer to {unsaid.prompt.id} ends as `{unsaid.said.ended}`, not `stop`")
    if not ends:
        return Check("stop", "not proven", "none of the run's answers that it gives ends by itself")
    return Check("stop", "agrees", f"{len(ends)} answers end by themselves where the run's do")


def limit(artefact: Artefact, found: Sequence[Answered], ask: Callable[[Prompt, int], Said]) -> Check:
    """`max_tokens` cuts there and nowhere before."""
    name = "max_tokens"
    cut = next((each for each in found if each.outcome.kind == "cut"), None)
    if cut is not None:
        short = f"is cut after {cut.said.made}" if cut.said.made else "is cut"
        whole = f"the run's has {len(cut.prompt.want.tokens)} tokens"
        return Check(name, "differs", f"the answer to {cut.prompt.id} {short}; {whole}")
    over = next((each for each in found if each.outcome.kind == "on" and not each.prompt.want.stopped), None)
    if over is not None:
        asked = f"{len(over.prompt.want.tokens)} tokens were asked for"
        return Check(name, "differs", f"the answer to {over.prompt.id} goes on behind its limit; {asked}")
    equal = [each for each in found if each.outcome.kind == "equal"]
    longest = max(equal, key=lambda each: len(each.prompt.want.tokens), default=None)
    if longest is None or len(longest.prompt.want.tokens) < 2:
        return Check(name, "not proven", "no answer of the run that it gives has two tokens")
    half = len(longest.prompt.want.tokens) // 2
    said, want = ask(longest.prompt, half), longest.prompt.want
    text = artefact.exact.renderer.text(want.tokens[:half])
    if said.made is not None and said.made != half:
        return Check(name, "differs", f"{half} tokens were asked for and {said.made} came")
    if said.ended != "length" or not text.strip(BLANK).startswith(said.text.strip(BLANK)):
        told = f"it ended as `{said.ended}` with {_short(said.text)}"
        return Check(name, "differs", f"{half} tokens were asked for; {told}")
    return Check(name, "agrees", f"an answer of {len(want.tokens)} tokens is cut after {half} where that is asked")


def likelihoods(artefact: Artefact, found: Sequence[Answered]) -> Check:
    """The log-probabilities of the answers' tokens, where answers are equal and they are told."""
    name, worst, tokens, wide = "log-probabilities", 0.0, 0, ""
    for each in found:
        told, length = each.said.logprobs, len(each.prompt.want.tokens)
        if told is None or each.outcome.kind != "equal" or len(told) not in (length, length + 1):
            continue  # the token that ends an answer may be told as well
        mine = logprobs(artefact.exact, each.prompt)
        off = float(np.nan_to_num(np.abs(told[: len(mine)] - mine), nan=np.inf).max(initial=0.0))
        tokens += len(mine)
        worst, wide = (off, each.prompt.id) if off > worst else (worst, wide)
    if not tokens:
        return Check(name, "not proven", "it gives none of answers that are the run's")
    state: Literal["agrees", "differs"] = "agrees" if worst <= artefact.bound else "differs"
    at = f" in the answer to {wide}" if wide else ""
    return Check(name, state, f"of {tokens} tokens at most {worst:.3g} nats off{at}; {artefact.bound:g} allowed")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
