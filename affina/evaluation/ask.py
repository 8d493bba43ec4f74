"""`generate` answers to prompts, or `chat`: a model is asked the way it was trained to be asked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Sampled, Sampling
from affina.core.say import Say, Silent
from affina.evaluation.open import Opened, open_model


def generate(
    model: str,
    prompts: Sequence[str],
    how: Sampling = Sampling(),  # noqa: B008  (frozen)
    root: str | Path = "runs",
    offline: bool = False,
    say: Say | None = None,
) -> list[dict[str, Any]]:
    """[{"prompt", "answer", "stopped"}] in order; a model with a label head answers with a label."""
    opened = open_model(model, Path(root), offline, say or Silent())
    answers = _answered(opened, [opened.ask(prompt) for prompt in prompts], how)
    return [
        {"prompt": prompt, "answer": said.text, "stopped": said.stopped}
        for prompt, said in zip(prompts, answers, strict=True)
    ]


class Conversation:
    """A dialogue with a model; what was said before is part of each question."""

    def __init__(self, opened: Opened, how: Sampling) -> None:
        self._opened, self._how = opened, how
        self.messages: tuple[Message, ...] = ()

    def answer(self, text: str) -> str:
        """The model's next answer."""
        said = _answered(self._opened, [self._opened.ask(text, self.messages)], self._how)[0]
        self.messages = (*self.messages, Message("user", text), Message("assistant", said.text))
        return said.text


def chat(
    model: str,
    how: Sampling = Sampling(),  # noqa: B008  (frozen)
    root: str | Path = "runs",
    offline: bool = False,
    say: Say | None = None,
) -> Conversation:
    """A conversation with a model. Raises Refused for an unknown one."""
    return Conversation(open_model(model, Path(root), offline, say or Silent()), how)


def _answered(opened: Opened, asked: Sequence[Example], how: Sampling) -> list[Sampled]:
    renderer = opened.model.renderer
    labelled = [example for example in asked if isinstance(example, Labelled)]
    if labelled:
        scored = opened.model.score(renderer.rows(labelled))
        best = [int(each.scores_L.argmax()) for each in scored if each.scores_L is not None]
        return [Sampled(opened.labels[place], (), stopped=True) for place in best]
    return opened.model.sample([_prompt(opened, example) for example in asked], how)


def _prompt(opened: Opened, example: Example) -> list[int]:
    if isinstance(example, Text):
        return opened.model.renderer.continued(example.text)
    assert isinstance(example, Chat)
    return opened.model.renderer.prompt(example)
