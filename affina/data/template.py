"""A base's chat template, rendered as transformers renders it: sandboxed Jinja2, same globals and filters, no torch."""

import json
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node, Scope
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from affina.core.errors import Refused
from affina.core.example import Chat, Message

PLAIN = (
    "{{ opening }}{% for message in messages %}{{ message.content }}"
    "{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
)  # the line end is an expression: one that stands bare after a block is trimmed away

TOOLS = """\
{%- set first = messages[0].content if messages and messages[0].role == 'system' else '' %}
{%- if tools or first %}{{ '<|im_start|>system\\n' + first }}
{%- if tools %}{{ '\\n\\n' if first else '' }}{{ 'Tools:\\n<tools>\\n' }}
{%- for tool in tools %}{{ tool | tojson + '\\n' }}{% endfor %}{{ '</tools>' }}{% endif %}
{{- '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}{% if not (loop.first and message.role == 'system') %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}
{{- '\\n' if message.content or not loop.first else '' }}
{{- '<tool_call>\\n{"name": ' + call.function.name | tojson + ', "arguments": ' }}
{{- call.function.arguments | tojson + '}\\n</tool_call>' }}{% endfor %}
{{- '<|im_end|>\\n' }}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
"""ChatML with tools: their JSON between <tools> in the system turn, and calls between <tool_call> in an answer, as
Hermes 2 Pro and Qwen 2.5 mark them. Every turn is rendered alone: what stands before an answer does not change."""
TURNS = ("<|im_start|>", "<|im_end|>")
"""The tokens it needs."""

FOLD = (
    "{%- if messages | length > 1 and messages[0].role == 'system' %}{% set messages = [{'role': messages[1].role, "
    "'content': messages[0].content + '\\n\\n' + messages[1].content}] + messages[2:] %}{% endif %}\n"
)
"""Before a template that has no place for a system message: it is said at the beginning of the message after it."""
SYSTEM = Message("system", "affina asks whether this is seen"), Message("user", "a")

ERRORS = (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What code in a template can raise."""


class Generation(Extension):
    """The `{% generation %}` block some templates mark answers with; the text inside is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it as an instance attribute)

    def parse(self, parser: Parser) -> list[Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return [Scope(body).set_lineno(line)]  # what is set inside is not seen outside, as in transformers


class Template:
    """Renders conversations. `own` is False for affina's plain template, used where the base brings none."""

    def __init__(self, source: str, tokens: Mapping[str, str], own: bool) -> None:
        self.source, self.tokens, self.own = source, dict(tokens), own

    @classmethod
    def with_tools(cls, special: Container[str]) -> "Template":
        """ChatML with tools. Raises Refused for a base whose tokenizer has no tokens for its turns."""
        if missing := [token for token in TURNS if token not in special]:
            why = f"its tokenizer has no token {' and no '.join(missing)}"
            raise Refused("data.template: tools on this base", why, "choose a ChatML base, or one that renders tools")
        return cls(TOOLS, {}, own=True)

    @classmethod
    def find(cls, folder: Path, tokens: Mapping[str, str]) -> "Template | None":
        """The template of a model folder: chat_template.jinja, or the one in tokenizer_config.json; None if neither."""
        file = folder / "chat_template.jinja"
        if file.is_file():
            return cls(file.read_text(encoding="utf-8"), tokens, own=True)._seeing_system()
        settings = folder / "tokenizer_config.json"
        given = json.loads(settings.read_text(encoding="utf-8")).get("chat_template") if settings.is_file() else None
        if isinstance(given, list):
            given = next((each["template"] for each in given if each.get("name") == "default"), None)
        return cls(given, tokens, own=True)._seeing_system() if given else None

    def _seeing_system(self) -> "Template":
        """Itself; or with `FOLD` before it, where it refuses a system message or leaves it out without a word, and so
        does neither."""
        folded = Template(FOLD + self.source, self.tokens, self.own)
        return folded if not self._shows_system() and folded._shows_system() else self

    def _shows_system(self) -> bool:
        try:
            return SYSTEM[0].content in self.render(SYSTEM, opening=True)
        except Refused:
            return False

    @property
    def folds(self) -> bool:
        """Whether a system message becomes a part of the one after it."""
        return self.source.startswith(FOLD)

    @cached_property
    def _compiled(self) -> jinja2.Template:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        try:
            return environment.from_string(self.source)
        except jinja2.TemplateError as error:
            raise Refused(
                "the base's chat template does not compile", str(error), "set data.template: plain"
            ) from error

    def render(self, messages: Sequence[Message], tools: Sequence[Any] = (), opening: bool = False) -> str:
        """The conversation as text; `opening` adds what stands before an answer. Raises Refused when it cannot be."""
        try:
            return self._compiled.render(
                messages=[message.as_dict() for message in messages],
                tools=list(tools) or None,
                documents=None,
                add_generation_prompt=opening,
                **self.tokens,
            )
        except ERRORS as error:
            raise Refused(
                "the base's chat template refuses a conversation",
                str(error),
                "mend the row or set data.template: plain",
            ) from error

    def sees_tools(self, chat: Chat) -> bool:
        """Whether the tools and tool calls of this conversation reach the rendered text."""
        calls = any("tool_calls" in message.extra for message in chat.messages)
        bare = [Message(message.role, message.content) for message in chat.messages] if calls else chat.messages
        whole = self.render(chat.messages, chat.tools)
        return (not chat.tools or whole != self.render(chat.messages)) and (
            not calls or whole != self.render(bare, chat.tools)
        )


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
