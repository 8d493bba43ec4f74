"""Examples: what one row of data means, whatever file it came from. Every example knows where it came from."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One thing to learn from. `id` is `file:line`, unique in a run; `split` is empty until a transform sets it."""

    id: str
    split: str = ""

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
