"""An example in a prompt format: a conversation of what the format asks and the example's own answer."""

from __future__ import annotations

from affina.core.example import Chat, Example, Labelled, Message, Question
from affina.data.prompt import Prompt

UNSAID = {"en": "The text does not say.", "it": "Il testo non lo dice."}
"""The answer to a question that its text does not answer."""
PLACES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "label": (frozenset({"text"}), frozenset({"text", "labels"})),
    "answer": (frozenset({"context", "question"}), frozenset({"context", "question"})),
    "instruction": (frozenset({"instruction"}), frozenset({"instruction"})),
}


def places(task: str) -> tuple[frozenset[str], frozenset[str]]:
    """The places that a format for this task must have, and all that it may."""
    return PLACES[task]


def formatted(example: Example, form: Prompt, labels: tuple[str, ...] = ()) -> Example:
    """The example as a conversation; one of several questions and answers is left as it is."""
    if isinstance(example, Labelled):
        turns = form.filled({"text": example.text, "labels": ", ".join(labels)})
        return _chat(example, turns, example.label, labels)
    if isinstance(example, Question):
        turns = form.filled({"context": example.context, "question": example.question})
        return _chat(example, turns, example.target or UNSAID.get(form.language, UNSAID["en"]))
    assert isinstance(example, Chat), "formats are for these kinds"
    roles = [turn.role for turn in example.messages]
    if roles[-2:] != ["user", "assistant"] or roles[:-2] not in ([], ["system"]):
        return example
    *before, asked, answer = example.messages
    turns = (*before, *form.filled({"instruction": asked.content}))
    return _chat(example, turns, answer, example.options)


def _chat(example: Example, turns: tuple[Message, ...], answer: str | Message, options: tuple[str, ...] = ()) -> Chat:
    said = answer if isinstance(answer, Message) else Message("assistant", answer)
    tools = example.tools if isinstance(example, Chat) else ()
    return Chat(**example.beside(), messages=(*turns, said), tools=tools, options=options)
