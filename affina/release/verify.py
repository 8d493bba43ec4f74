"""`verify`: whether a running OpenAI-compatible endpoint serves exactly this artefact, as far as it can be seen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from affina.core.errors import Refused
from affina.core.example import Chat, Message
from affina.core.kinds import Sampling
from affina.core.say import Say, Silent
from affina.engine.remote import Remote
from affina.engine.torch import tuned
from affina.engine.torch.exact import Exact
from affina.evaluation.open import Opened, open_model
from affina.release import checks
from affina.release.agreement import Prompt, outcome
from affina.release.checks import Answered, Artefact, Check
from affina.release.items import Item, answer_tokens, items_of
from affina.release.source import FLOAT32, ending_of, exact
from affina.release.witness import Said, Witness
from affina.training.embedded import Where

BASE_ASKED = ("Hello", "What is the capital of Italy?", "Count from one to five.", "Write a sentence about a parcel.")
"""What a base is asked, which has no items of its own."""
BASE_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Strictness:
    """How much is asked, and how far apart two numbers may be that are called equal."""

    items: int = 20
    """Prompts."""
    bound: float = 0.05
    """Of a log-probability, and of two logits of the run that are called a tie."""


def verify(
    model: str,
    against: str,
    on: str | None = None,
    strictness: Strictness = Strictness(),
    where: Where = Where(),  # noqa: B008  (frozen)
    say: Say | None = None,
) -> dict[str, Any]:
    """{"model", "against", "items", "bound", "checks": [{name, state, detail}], "agrees", "not_proven": [name]}.

    Asked are the run's own test items, or those of the file `on`. Raises Refused for a model that is no model of words,
    Failed for an endpoint that cannot be reached.
    """
    say = say or Silent()
    if strictness.items < 1 or strictness.bound < 0:
        what = f"{strictness.items} prompts within {strictness.bound:g}"
        raise Refused(f"{what} show nothing", instead="ask 1 prompt or more, within 0 or more")
    opened = open_model(model, Path(where.root), where.offline, say)
    if isinstance(opened.model, Remote):
        raise Refused(f"{model} is an endpoint", instead="give the run or release that it should serve")
    if ending_of(opened).head != "words" or opened.objective.reads != "past":
        what = f"{opened.name} cannot be verified against an endpoint"
        raise Refused(what, "its answers are no words that follow a prompt", "verify a run of conversations or texts")
    there = open_model(against, Path(where.root), where.offline, say).model
    if not isinstance(there, Remote):
        raise Refused(f"'{against}' is no endpoint", instead="write it so: http://host:port/v1#model")
    found, items = _checked(opened, there, on, strictness, say)
    return {
        "model": opened.name,
        "against": against,
        "items": items,
        "bound": strictness.bound,
        "checks": [asdict(each) for each in found],
        "agrees": all(each.state != "differs" for each in found),
        "not_proven": [each.name for each in found if each.state == "not proven"],
    }


def _checked(
    opened: Opened, there: Remote, on: str | None, strictness: Strictness, say: Say
) -> tuple[list[Check], int]:
    """Every check, and how many prompts were asked."""
    items, most = _asked(opened, on, say, strictness.items)
    base = None if opened.trained else tuned.base(opened.base, opened.model.renderer, FLOAT32)  # type: ignore[arg-type]
    artefact = Artefact(exact(opened) if base is None else Exact(base), opened.system, strictness.bound)
    witness, chats = Witness(there), [each.chat for each in items if each.chat is not None]
    sent = {chat.id: _before(chat) for chat in chats}
    prompts = _prompts(artefact, items, sent, most)
    rendered = checks.rendering(artefact, witness) if chats else []
    by_id = {chat.id: chat for chat in chats}

    def ask(prompt: Prompt, most: int) -> Said:
        if prompt.id not in by_id:
            text = artefact.exact.renderer.vocabulary.decode(prompt.tokens, special=True)
            return witness.goes_on(prompt.tokens, text, most)
        return witness.chat([each.as_dict() for each in sent[prompt.id]], most, by_id[prompt.id].tools)

    found = []
    for place, prompt in enumerate(prompts):
        said = ask(prompt, most)
        found.append(Answered(prompt, said, outcome(artefact.exact, prompt, said, strictness.bound)))
        say.progress("verifying: answers", place + 1, len(prompts))
    apart = [checks.weights(artefact, witness, prompts, most)] if chats else []
    ends = [checks.stops(artefact, found), checks.limit(artefact, found, ask), checks.likelihoods(artefact, found)]
    return [*rendered, *apart, checks.answers("answers", found, strictness.bound), *ends], len(prompts)


def _asked(opened: Opened, on: str | None, say: Say, most: int) -> tuple[list[Item], int]:
    """The items, and how many tokens an answer may have."""
    if opened.run is not None or on is not None:
        items = [each for each in items_of(opened, on, say, most) if each.prompt is not None]
        return items, answer_tokens(opened, items)
    asked = [Chat(id=text, messages=(Message("user", text),)) for text in BASE_ASKED[:most]]
    return [Item(each.id, (), each.given, chat=each) for each in asked], BASE_TOKENS


def _before(chat: Chat) -> tuple[Message, ...]:
    """The turns before the last answer."""
    roles = [message.role for message in chat.messages]
    end = len(roles) - 1 - roles[::-1].index("assistant") if "assistant" in roles else len(roles)
    return chat.messages[:end]


def _prompts(
    artefact: Artefact, items: Sequence[Item], sent: dict[str, tuple[Message, ...]], most: int
) -> list[Prompt]:
    """What is asked, as the artefact renders it, with its own answers."""
    given = [
        (each.chat.id, artefact.opening(sent[each.chat.id], each.chat.tools))
        if each.chat is not None
        else (each.id, list(each.prompt or ()))
        for each in items
    ]
    answers = artefact.exact.model.sample([tokens for _, tokens in given], Sampling(max_tokens=most))
    return [Prompt(id, tuple(tokens), want) for (id, tokens), want in zip(given, answers, strict=True)]
