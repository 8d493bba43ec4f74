"""A few test items whose answers are kept to read, before and after: drawn by the seed before anyone has answered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affina.core.example import Chat, Example, Labelled, Text
from affina.core.kinds import Answers, Model, Sampling
from affina.training.session import Session

SAMPLES = 6
SAMPLE_TOKENS = 64
OPENING_TOKENS = 24  # of raw text, shown to the model before it goes on


def spoken(session: Session, model: Model) -> list[dict[str, Any]]:
    """Generated answers to the shown items, {"text", "stopped"} each; nothing where a label head says no words."""
    prompts = [_prompt(session, each) for each in _shown(session) if not isinstance(each, Labelled)]
    said = model.sample(prompts, Sampling(max_tokens=SAMPLE_TOKENS)) if prompts else []
    return [{"text": each.text, "stopped": each.stopped} for each in said]


def paired(
    session: Session, before: Sequence[Mapping[str, Any]], base: Answers, tuned: Answers
) -> list[dict[str, Any]]:
    """{"id", "given", "expected", "base", "tuned"} per shown item; "stopped" says whether generated answers ended."""
    shown = _shown(session)
    if isinstance(shown[0], Labelled):
        return _labelled(shown, base, tuned)
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


def _labelled(shown: Sequence[Example], base: Answers, tuned: Answers) -> list[dict[str, Any]]:
    """The shown items of a label head: the right label, the base's and the tuned model's."""
    named = {who: _labels(answers) for who, answers in (("base", base), ("tuned", tuned))}
    return [
        {"id": each.id, "given": each.given, "expected": each.target}
        | {who: labels[each.id] for who, labels in named.items()}
        for each in shown
    ]


def _labels(answers: Answers) -> dict[str, str]:
    """The label given to each item."""
    assert answers.predicted_N is not None, "a label head gives labels"
    return {name: answers.labels[code] for name, code in zip(answers.ids, answers.predicted_N, strict=True)}


def _shown(session: Session) -> list[Example]:
    test = session.expanded("test")
    order = np.random.default_rng(session.recipe.train.seed).permutation(len(test))
    return [test[place] for place in order[:SAMPLES]]


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
