"""What a running endpoint says when it is asked as a client would ask it; what it does not offer is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affina.core.errors import AffinaError, Failed, Refused
from affina.core.kinds import Floats
from affina.engine.endpoint import said, understood
from affina.engine.remote import Remote

Turns = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Said:
    """One greedy answer."""

    text: str
    ended: str
    """`stop` by itself, `length` at the limit."""
    given: int | None
    """Tokens of the rendered prompt, as it counts them."""
    made: int | None
    """Tokens of the answer."""
    logprobs: Floats | None
    """Of its tokens, in nats."""


class Witness:
    """One endpoint under examination."""

    def __init__(self, remote: Remote) -> None:
        self._remote, self._post = remote, remote.endpoint.post
        self._logprobs, self._tokens = True, True
        self.route = ""
        """How prompts are seen as tokens; empty where the endpoint does not show them."""
        self._routes = {"/tokenize": self._tokenized, "/apply-template": self._templated}

    def chat(self, messages: Turns, most: int, tools: Sequence[Any] = ()) -> Said:
        """A conversation's next answer. Raises Refused or Failed where none comes."""
        body = {"messages": [dict(each) for each in messages], "max_tokens": most}
        return self._said("chat/completions", {**body, "tools": list(tools)} if tools else body)

    def goes_on(self, tokens: Sequence[int], text: str, most: int) -> Said:
        """What follows a prompt rendered here: given as tokens, or as text where it takes no tokens."""
        if self._tokens:
            try:
                return self._said("completions", {"prompt": list(tokens), "max_tokens": most})
            except Refused:
                self._tokens = False
        return self._said("completions", {"prompt": text, "max_tokens": most})

    def rendered(self, messages: Turns) -> list[int] | None:
        """The tokens that a conversation becomes."""
        for name in [self.route] if self.route else [*self._routes]:
            try:
                found = self._routes[name]([dict(each) for each in messages])
            except AffinaError:
                if self.route:
                    raise
                continue
            if found:
                self.route = name
                return found
        self._routes = {} if not self.route else self._routes
        return None

    def _tokenized(self, messages: list[dict[str, Any]]) -> list[int]:
        """As vLLM shows them."""
        body = {"model": self._remote.name, "messages": messages, "add_generation_prompt": True}
        return _ids(self._post("/tokenize", body))

    def _templated(self, messages: list[dict[str, Any]]) -> list[int]:
        """As llama.cpp does: the text, then its tokens."""
        answer = self._post("/apply-template", {"messages": messages})
        text = answer.get("prompt") if isinstance(answer, dict) else None
        body = {"content": text, "add_special": True, "parse_special": True}
        return _ids(self._post("/tokenize", body)) if isinstance(text, str) else []

    def _said(self, path: str, body: dict[str, Any]) -> Said:
        body = {"model": self._remote.name, "temperature": 0, **body}
        if self._logprobs:
            wanted: dict[str, Any] = {"logprobs": True, "top_logprobs": 1} if path[0:4] == "chat" else {"logprobs": 1}
            try:
                return self._read(self._post(path, {**body, **wanted}))
            except AffinaError:
                said = self._read(self._post(path, body))
                self._logprobs = False  # it answers, but not with them
                return said
        return self._read(self._post(path, body))

    def _read(self, answer: Any) -> Said:
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not choices:
            raise Failed(f"{self._remote.host} gave an answer that is none", why="there are no choices in it")
        with understood(self._remote.host):
            choice, usage = choices[0], answer.get("usage") or {}
            given, made = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
            told = _logprobs(choice.get("logprobs") or {})
            return Said(said(choice), str(choice.get("finish_reason")), given, made, told)


def _ids(answer: Any) -> list[int]:
    found = answer.get("tokens") if isinstance(answer, dict) else None
    return [int(each) for each in found] if isinstance(found, list) and all(isinstance(n, int) for n in found) else []


def _logprobs(told: Mapping[str, Any]) -> Floats | None:
    """Of the answer's tokens, in either form of the interface."""
    content = told.get("content")
    found = [each["logprob"] for each in content] if content else told.get("token_logprobs")
    return np.array(found, dtype=np.float64) if found and None not in found else None
