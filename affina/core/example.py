"""Examples: what one row of data means, whatever file it came from. Every example knows where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One thing to learn from. `id` is `file:line`, unique in a run; `split` is empty until a transform sets it.

    `facts` are columns kept beside what is learnt (a customer, a date, a region), by name, as text. `made` tells how a
    transform made this example, and `origin` the id of the one it was made from; both are empty where it was read.
    """

    id: str
    split: str = ""
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    origin: str = ""
    made: str = ""

    def beside(self) -> dict[str, Any]:
        """The fields that every example has: what stays when one is put in another form."""
        return {each.name: getattr(self, each.name) for each in fields(Example)}

    @property
    def given(self) -> str:
        """The text the model is shown: what near-duplicate search and splits compare."""
        raise NotImplementedError

    @property
    def target(self) -> str:
        """The text the model should produce; empty where everything is both shown and produced (raw text)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Example):
    """Raw text: every token is a target."""

    text: str

    @property
    def given(self) -> str:
        return self.text

    @property
    def target(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `extra` keeps the fields some templates read: tool_calls, tool_call_id, name."""

    role: str
    content: str
    extra: dict[str, Any] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, Any]:
        """The mapping a chat template is given."""
        return {"role": self.role, "content": self.content, **self.extra}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat(Example):
    """A conversation; every assistant turn is a target. `options`: the closed set the last answer is one of."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    options: tuple[str, ...] = ()

    @property
    def given(self) -> str:
        return "\n".join(message.content for message in self.messages if message.role != "assistant")

    @property
    def target(self) -> str:
        return "\n".join(message.content for message in self.messages if message.role == "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled(Example):
    """A text and its class. `labels` is the label set of the whole data: one shared tuple, set when all is read."""

    text: str
    label: str
    labels: tuple[str, ...] = ()

    @property
    def given(self) -> str:
        return self.text

    @property
    def target(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiLabelled(Example):
    """A text and all classes that are right for it, maybe none. `labels` is the label set of the whole data."""

    text: str
    right: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @property
    def given(self) -> str:
        return self.text

    @property
    def target(self) -> str:
        return ", ".join(self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated(Example):
    """A text and a number. Where the text is a conversation whose last answer is rated, `messages` are its turns."""

    text: str
    value: float
    messages: tuple[Message, ...] = ()

    @property
    def given(self) -> str:
        return self.text

    @property
    def target(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged(Example):
    """Words and the tag of each (BIO for entities). `labels` is the tag set of the whole data."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @property
    def given(self) -> str:
        return " ".join(self.words)

    @property
    def target(self) -> str:
        return " ".join(self.tags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Example):
    """A question whose answer is a passage of the context. `answers` are right texts and where each begins in it; none
    where the context does not answer it."""

    question: str
    context: str
    answers: tuple[tuple[str, int], ...]

    @property
    def given(self) -> str:
        return f"{self.question}\n{self.context}"

    @property
    def target(self) -> str:
        return self.answers[0][0] if self.answers else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel(Example):
    """A text and what it becomes: its translation, its summary. `references` are further right results; `opening` is
    the special token that stands first in the result, where it is not the one that the tokenizer puts there."""

    source: str
    result: str
    references: tuple[str, ...] = ()
    opening: str = ""

    @property
    def given(self) -> str:
        return self.source

    @property
    def target(self) -> str:
        return self.result


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Example):
    """A conversation and two answers to it, the first preferred."""

    messages: tuple[Message, ...]
    chosen: str
    rejected: str

    @property
    def given(self) -> str:
        return "\n".join(message.content for message in self.messages)

    @property
    def target(self) -> str:
        return self.chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Related(Example):
    """Two texts that belong together, and texts that only seem to belong to the first."""

    anchor: str
    positive: str
    negatives: tuple[str, ...] = ()

    @property
    def given(self) -> str:
        return self.anchor

    @property
    def target(self) -> str:
        return self.positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Gapped(Text):
    """Raw text of which `share` is hidden and is to be said, `permuted` in a drawn order or all at once; where it is 0,
    the text's own mask tokens stand for what is hidden.

    `spans` is the longest run of words hidden together (XLNet hides runs); with `whole`, words are hidden whole.
    """

    share: float
    whole: bool = True
    permuted: bool = False
    spans: int = 1
