"""A few test items whose answers are kept to read, before and after: drawn by the seed before anyone has answered."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from affina.core.answers import Answers
from affina.core.example import Chat, Example, Text
from affina.core.kinds import Model, Sampling
from affina.training.session import Session

SAMPLES = 6
SAMPLE_TOKENS = 64
OPENING_TOKENS = 24  # of raw text, shown to the model before it goes on


def spoken(session: Session, model: Model) -> list[dict[str, Any]]:
    """Generated answers to the shown items, {"text", "stopped"} each; none where it does not go on in words."""
    shown = _shown(session)
    if not _generates(shown):
        return []
    said = model.sample([_prompt(session, each) for each in shown], Sampling(max_tokens=SAMPLE_TOKENS))
    return [{"text": each.text, "stopped": each.stopped} for each in said]


def paired(
    session: Session, before: Sequence[Mapping[str, Any]], base: Answers, tuned: Answers
) -> list[dict[str, Any]]:
    """{"id", "given", "expected", "base", "tuned"} per shown item; "stopped" says whether generated answers ended."""
    shown = _shown(session)
    if not _generates(shown):
        return _answered(shown, base, tuned)
    after = spoken(session, session.engine)
    return [
        {
            "id": each.id,
            "given": _asked(session, each),
            "expected": each.messages[-1].content if isinstance(each, Chat) else "",
            "base": one["text"],
            "tuned": two["text"],
            "stopped": {"base": one["stopped"], "tuned": two["stopped"]},
        }
        for each, one, two in zip(shown, before, after, strict=True)
    ]


def _generates(shown: Sequence[Example]) -> bool:
    """Whether the items are gone on from in words: conversations, and texts without gaps."""
    return all(type(each) in (Chat, Text) for each in shown)


def _answered(shown: Sequence[Example], base: Answers, tuned: Answers) -> list[dict[str, Any]]:
    """The shown items, what was right, and the answers that were measured."""
    both = {"base": base, "tuned": tuned}
    places = {who: {name: n for n, name in enumerate(answers.ids)} for who, answers in both.items()}
    return [
        {"id": each.id, "given": each.given, "expected": each.target}
        | {who: answers.worded(places[who][each.id]) if each.id in places[who] else "" for who, answers in both.items()}
        for each in shown
    ]


def _shown(session: Session) -> list[Example]:
    """No conversation that leaves the base no position for an answer (rows may be cut, prompts are not)."""
    test = session.expanded("test")
    order = np.random.default_rng(session.recipe.train.seed).permutation(len(test))
    positions = session.material.renderer.vocabulary.limit - len(session.engine.network.before)
    fitting = (
        test[place]
        for place in order
        if not isinstance(test[place], Chat) or len(_prompt(session, test[place])) < positions
    )
    return list(islice(fitting, SAMPLES))


def _prompt(session: Session, example: Example) -> Sequence[int]:
    renderer = session.material.renderer
    if isinstance(example, Chat):
        return renderer.prompt(example)
    assert isinstance(example, Text)
    opening: list[int] = renderer.rows([example])[0].tokens[:OPENING_TOKENS].tolist()
    return opening


def _asked(session: Session, example: Example) -> str:
    """What a person needs to see of the prompt: the last thing the user said, or the text's opening."""
    if isinstance(example, Chat):
        said = [message.content for message in example.messages if message.role != "assistant"]
        return said[-1] if said else ""
    return session.material.renderer.text(_prompt(session, example))
