"""What a person types to a model, as an example of the kind that it was trained on; what is asked for is left open."""

from affina.core.errors import Refused
from affina.core.example import (
    Chat,
    Example,
    Labelled,
    Message,
    MultiLabelled,
    Parallel,
    Question,
    Rated,
    Tagged,
    Text,
)  # fmt: skip

BETWEEN = "|||"
"""What stands between a question and the text that answers it."""


def typed(task: str, text: str, labels: tuple[str, ...] = (), before: tuple[Message, ...] = ()) -> Example:
    """`task` is the kind of the training examples, as a lock names it; `before` are the turns of a conversation so far.

    Raises Refused for a task that a text alone does not ask.
    """
    if task == "labelled":
        return Labelled(id="asked", text=text, label=labels[0], labels=labels)
    if task == "multilabelled":
        return MultiLabelled(id="asked", text=text, right=(), labels=labels)
    if task == "rated":
        return Rated(id="asked", text=text, value=0.0)
    if task == "tagged":
        words = tuple(text.split())
        return Tagged(id="asked", words=words, tags=labels[:1] * len(words), labels=labels)
    if task == "question":
        return _question(text)
    if task == "parallel":
        return Parallel(id="asked", source=text, result="")
    if task == "text":
        return Text(id="asked", text=text)
    if task in UNASKED:
        what, why, instead = UNASKED[task]
        raise Refused(what, why, instead)
    return Chat(id="asked", messages=(*before, Message("user", text), Message("assistant", "")))


UNASKED = {
    "pair": (
        "a reward model does not answer a text",
        "it scores answers, and its scores mean something only beside each other",
        "measure it on pairs with `affina evaluate MODEL --on FILE`",
    ),
    "related": (
        "a model of vectors does not answer a text",
        "it places texts near those that belong to them",
        "measure it on texts that belong together with `affina evaluate MODEL --on FILE`",
    ),
}


def _question(text: str) -> Question:
    question, found, context = (part.strip() for part in text.partition(BETWEEN))
    if not (question and found and context):
        raise Refused(
            "a question needs the text that answers it",
            why="the model marks a passage of a given text",
            instead=f"write both, so: QUESTION {BETWEEN} TEXT",
        )
    return Question(id="asked", question=question, context=context, answers=())
