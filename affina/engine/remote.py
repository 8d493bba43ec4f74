"""Any OpenAI-compatible endpoint as a Model, as far as it goes: what it does not offer is refused in a sentence.

Without a tokenizer of its own it is asked in messages, which the endpoint renders; with one, in tokens, which are
rendered here as any base's are.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.errors import Failed, Refused
from affina.core.example import Text
from affina.core.kinds import Batch, Ints, Row, Sampled, Sampling, Scored
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.engine.echoed import Echo, by_byte, by_token
from affina.engine.endpoint import Address, Endpoint, said, understood
from affina.engine.spoken import Asked, Spoken

STOPS = 4
"""Stop strings that the interface takes."""


class Remote:
    """A model that another program serves."""

    shares = False

    def __init__(self, endpoint: Endpoint, renderer: Spoken | Renderer) -> None:
        self.endpoint, self.renderer = endpoint, renderer
        self.host = endpoint.address.host
        self._takes_tokens = True
        self._limit = "max_tokens"

    @cached_property
    def name(self) -> str:
        """The model's own name; where the address gives none, the one that is served. Raises Refused for several."""
        if self.endpoint.address.model:
            return self.endpoint.address.model
        held = self._part(self.endpoint.get("models"), "data")
        with understood(self.host):
            served = [str(each["id"]) for each in held]
        if len(served) != 1:
            why = f"it serves {', '.join(served)}"
            raise Refused(f"which model of {self.host} is meant?", why, f"name it: {self.endpoint.address.url}#model")
        return served[0]

    def unscored(self) -> str:
        """Why it gives no log-probabilities of given texts, in a sentence; empty where it does."""
        if isinstance(self.renderer, Spoken):
            return "only the endpoint knows how it renders a conversation, so no answer's log-probability can be asked"
        return self._unechoed

    @cached_property
    def _unechoed(self) -> str:
        try:
            self.score(self.renderer.rows([Text(id="probe", text="one two three four")]))
        except Refused as refused:
            return str(refused)
        return ""

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        """Row after row: what an endpoint computes once is its own affair."""
        return layout(rows, share=False)

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        """Log-probabilities of the targets, by `echo`. Raises Refused where it does not say them."""
        return self.endpoint.each(self._scored, rows)

    def fill(self, rows: Sequence[Row]) -> list[Ints]:
        raise Refused(f"{self.host} fills no gaps", why="the interface has no request for hidden words")

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        """An answer to every prompt, a few asked at once; each draws by the seed and its place, if it heeds a seed."""
        return self.endpoint.each(lambda place: self._sampled(prompts[place], how, place), range(len(prompts)))

    def stream(self, prompt: Sequence[int], how: Sampling) -> Iterator[str]:
        """The answer to one prompt, piece by piece as it comes."""
        path, body = self._request(prompt, how, 0)
        for event in self.endpoint.stream(path, body):
            if not isinstance(event, dict) or "error" in event:
                raise Failed(f"{self.host} broke off its answer", why=str(event)[:200])
            with understood(self.host):
                choice = (event.get("choices") or [{}])[0]
                piece = said({"message": choice.get("delta"), "text": choice.get("text")})
            yield piece

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """[N, D], rows of unit length."""
        if not texts:
            return np.zeros((0, 0), np.float32)
        answer = self.endpoint.post("embeddings", {"model": self.name, "input": list(texts)})
        data = self._part(answer, "data")
        with understood(self.host):
            found = sorted(data, key=lambda each: int(each.get("index", 0)))
            vectors_ND = np.array([each["embedding"] for each in found], dtype=np.float32)
        if vectors_ND.ndim != 2 or len(vectors_ND) != len(texts):
            raise Failed(f"{self.host} gave {len(found)} embeddings of {len(texts)} texts")
        norms_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
        if not (np.isfinite(norms_N1) & (norms_N1 > 0)).all():
            raise Failed(f"{self.host} gave an embedding that points nowhere", why="it holds no number, or zeros alone")
        made: npt.NDArray[np.float32] = vectors_ND / norms_N1
        return made

    # ── requests ──
    def _sampled(self, prompt: Sequence[int], how: Sampling, place: int) -> Sampled:
        choice = self._choice(prompt, how, place)
        with understood(self.host):
            text, ended = said(choice), choice.get("finish_reason")
        if isinstance(self.renderer, Spoken):
            tokens = self.renderer.continued(text)
        else:
            tokens = list(self.renderer.vocabulary.encode([text])[0].ids)
        return Sampled(text, tuple(tokens), stopped=ended != "length")

    def _choice(self, prompt: Sequence[int], how: Sampling, place: int) -> Mapping[str, Any]:
        """The one answer; asked again in the other way where the endpoint takes text alone, or names a limit anew."""
        path, body = self._request(prompt, how, place)
        try:
            answer = self.endpoint.post(path, body)
        except Refused as refused:
            if "max_completion_tokens" in refused.why and self._limit == "max_tokens":
                self._limit = "max_completion_tokens"
            elif isinstance(body.get("prompt"), list):
                self._takes_tokens = False
            else:
                raise
            return self._choice(prompt, how, place)
        choice: Mapping[str, Any] = self._part(answer, "choices")[0]
        return choice

    def _request(self, prompt: Sequence[int], how: Sampling, place: int) -> tuple[str, dict[str, Any]]:
        """(path, body)"""
        body: dict[str, Any] = {"model": self.name, self._limit: how.max_tokens, "temperature": how.temperature}
        if how.temperature > 0:
            body |= {"top_p": how.top_p, "seed": how.seed + place}
        if not isinstance(self.renderer, Spoken):
            stops = [self.renderer.vocabulary.decode([stop], special=True) for stop in sorted(self.renderer.stops)]
            return "completions", {**body, "prompt": self._given(prompt), "stop": stops[:STOPS]}
        asked: Asked = self.renderer.asked(prompt)
        if not asked.messages:
            return "completions", {**body, "prompt": asked.text}
        tools = {"tools": list(asked.tools)} if asked.tools else {}
        return "chat/completions", {**body, "messages": list(asked.messages), **tools}

    def _given(self, tokens: Sequence[int]) -> list[int] | str:
        """A prompt as tokens, or as their text where the endpoint takes no tokens."""
        assert isinstance(self.renderer, Renderer), "messages are not rendered here"
        plain = [int(token) for token in tokens]
        return plain if self._takes_tokens else self.renderer.vocabulary.decode(plain, special=True)

    def _scored(self, row: Row) -> Scored:
        if not row.targets:
            return Scored(np.zeros(0))
        if isinstance(self.renderer, Spoken):
            asked = self.renderer.asked(row.tokens.tolist())
            if asked.messages:
                raise Refused(
                    f"{self.host} gives no log-probabilities of an answer in a conversation",
                    why="the interface has them of plain texts alone, and only the endpoint knows how it renders",
                    instead=f"name the base that is served: {self.endpoint.address.url}#model,tokenizer=BASE",
                )
            return Scored(by_byte(self._echo(asked.text), row, asked.text, self.host))
        return Scored(by_token(self._echo(self._given(row.tokens.tolist())), row, self.host))

    def _echo(self, prompt: list[int] | str) -> Echo:
        body = {"model": self.name, "prompt": prompt, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
        try:
            answer = self.endpoint.post("completions", body)
            self._part(answer, "choices")
            with understood(self.host):
                return Echo.read(answer, self.host)
        except Refused:
            if isinstance(prompt, str) or not self._takes_tokens:
                raise
            self._takes_tokens = False
            return self._echo(self._given(prompt))

    def _part(self, answer: Any, name: str) -> Any:
        """A list of the answer. Raises Failed where it is not there, or empty."""
        found = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(found, list) or not found:
            why = f"there are no {name} in it"
            raise Failed(
                f"{self.host} gave an answer that is none", why, "check that it is an OpenAI-compatible server"
            )
        return found


def remote(reference: str, offline: bool, renderer: Renderer | None = None) -> Remote:
    """A model by its address, with what it is rendered by, where that is known here; nothing is sent yet."""
    return Remote(Endpoint(Address.read(reference), offline), renderer or Spoken())
