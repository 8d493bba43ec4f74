"""`generate` answers to prompts, or `chat`: a model is asked the way it was trained to be asked."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Gapped, Message, Parallel, Text
from affina.core.kinds import Asked, Sampled, Sampling, Streaming
from affina.core.say import Say, Silent
from affina.evaluation.answer import asker
from affina.evaluation.open import Opened, open_model


def generate(
    model: str,
    prompts: Sequence[str],
    how: Sampling = Sampling(),  # noqa: B008  (frozen)
    root: str | Path = "runs",
    offline: bool = False,
    say: Say | None = None,
) -> list[dict[str, Any]]:
    """[{"prompt", "answer", "stopped"}] in order: a text, a label, a number, words with their tags, a passage of a
    text given as `QUESTION ||| TEXT`, or the text with its gaps filled, as the model was trained.

    Raises Refused for a model that a text does not ask.
    """
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
        return "".join(self.pieces(text))

    def pieces(self, text: str) -> Iterator[str]:
        """The same as it comes, where the model lets it be read while it does; else whole."""
        opened, asked, said = self._opened, self._opened.ask(text, self.messages), ""
        if isinstance(opened.model, Streaming) and isinstance(asked, Chat):
            coming: Iterable[str] = opened.model.stream(_prompt(opened, asked), self._how)
        else:
            coming = (each.text for each in _answered(opened, [asked], self._how))
        for piece in coming:
            said += piece
            yield piece
        self.messages = (*self.messages, Message("user", text), Message("assistant", said))


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
    if not asked:
        return []
    _fits(opened, asked)
    if isinstance(asked[0], Gapped):
        return [Sampled(text, (), stopped=True) for text in _filled(opened, asked)]
    if isinstance(asked[0], Chat | Parallel | Text):
        return opened.model.sample([_prompt(opened, example) for example in asked], how)
    asking = asker(asked)
    found = asking.answers(opened.model, asked, Asked(asking.gives, how))
    said = [found.worded(place) for place in range(len(found))]
    if found.guessed is not None:
        said = [
            " ".join(f"{word}/{tag}" for word, tag in zip(each.given.split(), tags, strict=True))
            for each, tags in zip(asked, found.guessed, strict=True)
        ]
    return [Sampled(text, (), stopped=True) for text in said]


def _fits(opened: Opened, asked: Sequence[Example]) -> None:
    """Raises Refused for a text that the model would not see whole, or not as it stands."""
    renderer: Any = opened.model.renderer
    for each in asked:
        if isinstance(each, Chat | Text):  # generation itself minds these; a text with gaps is many rows
            continue
        if objection := renderer.objection(each):
            raise Refused(f"{each.given[:40]!r} cannot be put to {opened.name}", objection)
        row = renderer.rows([each])[0]
        if row.cut and not (opened.recipe and opened.recipe.data.truncate == "allow"):
            size = max(len(row.tokens), renderer.max_tokens) + row.cut
            raise Refused(
                f"{each.given[:40]!r} … is too long for {opened.name}",
                why=f"it has {size} tokens and the model takes {renderer.max_tokens}",
                instead="divide it",
            )


def _filled(opened: Opened, asked: Sequence[Example]) -> list[str]:
    """Every text with the likeliest token in place of each mask. Raises Refused for a text without one."""
    renderer = opened.model.renderer
    made = []
    for each in asked:
        rows = renderer.rows([each])
        if not any(row.targets for row in rows):
            raise Refused(
                f"{each.given[:40]!r} hides no word",
                why="a masked model says what is hidden",
                instead=f"write {opened.hides} where a word is to be filled in",
            )
        tokens: list[int] = []
        for row, likeliest in zip(rows, opened.model.fill(rows), strict=True):
            said = row.tokens.copy()
            said[row.weights > 0] = likeliest
            tokens += said.tolist()
        made.append(renderer.text(tokens).strip())
    return made


def _prompt(opened: Opened, example: Example) -> list[int]:
    if isinstance(example, Text):
        return opened.model.renderer.continued(example.text)
    assert isinstance(example, Chat | Parallel)
    return opened.model.renderer.prompt(example)
