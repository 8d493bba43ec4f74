"""An affina model served over HTTP as an OpenAI-compatible endpoint, with the faults that real servers have."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from affina.core.example import Message
from affina.core.kinds import Row, Sampled, Sampling


@dataclass
class Faults:
    """What is wrong with the endpoint, and what it does not offer."""

    template: bool = False
    """Conversations are rendered without their roles."""
    system: str = ""
    """A system prompt of the server's own."""
    stop: bool = True
    """Whether an answer ends at its stop token."""
    leaks: str = ""
    """The stop token's text, left at the end of an answer."""
    most: int = 10**9
    """Tokens that it gives at most, whatever is asked."""
    least: int = 0
    """Tokens that it gives if it can, whatever is asked."""
    tokenize: str = ""
    """`vllm` or `llama.cpp`: how its tokenizer is asked, if at all."""
    usage: bool = True
    logprobs: bool = True
    echo: bool = True
    completions: bool = True
    busy: int = 0
    """Requests that are answered 503 first."""
    status: int = 503
    form: Any = None
    """Answered in place of everything."""
    off: float = 0.0
    """Added to every log-probability."""


@dataclass
class Server:
    """One model behind HTTP; `asked` are the bodies it was sent, `keys` what they were authorised by."""

    model: Any
    faults: Faults = field(default_factory=Faults)
    key: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """(status, JSON)"""
        faults, renderer = self.faults, self.model.renderer
        if faults.busy:
            faults.busy -= 1
            return faults.status, {"error": {"message": "come again"}}
        if faults.form is not None:
            return 200, faults.form
        if path == "/v1/models":
            return 200, {"data": [{"id": "tiny"}]}
        if path == "/v1/chat/completions":
            return 200, self._completion(self._opened(body["messages"], body.get("tools", [])), body, chat=True)
        if path == "/v1/completions" and faults.completions:
            prompt = body["prompt"]
            tokens = list(prompt) if isinstance(prompt, list) else self._encoded(prompt)
            if body.get("echo"):
                return (200, self._echo(tokens)) if faults.echo else (400, {"error": {"message": "no echo here"}})
            return 200, self._completion(tokens, body, chat=False)
        if path == "/v1/embeddings":
            vectors = self.model.embed(body["input"]) * 3
            data = [{"index": place, "embedding": each.tolist()} for place, each in enumerate(vectors)]
            return 200, {"data": data[::-1]}
        if path == "/tokenize" and faults.tokenize == "vllm":
            return 200, {"tokens": self._opened(body["messages"], ())}
        if path == "/apply-template" and faults.tokenize == "llama.cpp":
            return 200, {"prompt": renderer.vocabulary.decode(self._opened(body["messages"], ()), special=True)}
        if path == "/tokenize" and faults.tokenize == "llama.cpp" and "content" in body:
            return 200, {"tokens": self._encoded(body["content"])}
        return 404, {"error": {"message": f"no path {path}"}}

    def _encoded(self, text: str) -> list[int]:
        vocabulary = getattr(self.model.renderer, "vocabulary", None)
        return list(vocabulary.encode([text])[0].ids) if vocabulary else self.model.renderer.continued(text)

    def _opened(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any]) -> list[int]:
        turns = [Message(each["role"], each["content"]) for each in messages]
        if self.faults.system and not any(each.role == "system" for each in turns):
            turns = [Message("system", self.faults.system), *turns]
        if self.faults.template:
            return self._encoded("\n".join(each.content for each in turns))
        return list(self.model.renderer.opening(turns, tools))

    def _completion(self, prompt: list[int], body: Mapping[str, Any], chat: bool) -> dict[str, Any]:
        faults = self.faults
        limit = max(min(body.get("max_tokens", 16), faults.most), faults.least)
        how = Sampling(limit, body.get("temperature", 1.0), body.get("top_p", 1.0), body.get("seed", 0))
        said = self.model.sample([prompt], how)[0]
        tokens, text, stopped = list(said.tokens), said.text, said.stopped
        if stopped and not faults.stop:
            stop = sorted(self.model.renderer.stops)[-1]
            more = self.model.sample([[*prompt, *tokens, stop]], replace(how, max_tokens=max(1, limit - len(tokens))))
            tokens, text, stopped = [*tokens, *more[0].tokens], text + more[0].text + "!", False
        choice = {"finish_reason": "stop" if stopped else "length", "index": 0}
        text += faults.leaks if stopped else ""
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        if faults.logprobs and body.get("logprobs"):
            choice["logprobs"] = self._logprobs(prompt, said, chat)
        made: dict[str, Any] = {"choices": [choice]}
        if faults.usage:
            made["usage"] = {"prompt_tokens": len(prompt), "completion_tokens": len(tokens)}
        return made

    def _logprobs(self, prompt: list[int], said: Sampled, chat: bool) -> dict[str, Any]:
        logprobs = self._scored([*prompt, *said.tokens], len(prompt)).tolist()
        names = [self.model.renderer.text([token]) for token in said.tokens]
        if chat:
            return {"content": [{"token": n, "logprob": p} for n, p in zip(names, logprobs, strict=True)]}
        return {"tokens": names, "token_logprobs": logprobs}

    def _echo(self, tokens: list[int]) -> dict[str, Any]:
        """As vLLM does: the prompt's tokens and one more."""
        names = [self.model.renderer.text([token]) for token in tokens]
        starts = [len(self.model.renderer.text(tokens[:place])) for place in range(len(names) + 1)]
        found = {"tokens": [*names, "x"], "text_offset": starts}
        found["token_logprobs"] = [None, *self._scored(tokens, 1).tolist(), -1.0]
        usage = {"prompt_tokens": len(tokens), "completion_tokens": 1}
        return {"choices": [{"text": "".join(names), "logprobs": found, "finish_reason": "length"}], "usage": usage}

    def _scored(self, tokens: list[int], start: int) -> Any:
        weights = (np.arange(len(tokens)) >= start).astype(np.float32)
        row = Row("asked", np.array(tokens, np.int32), weights)
        return self.model.score([row])[0].logprobs_S + self.faults.off


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        self._send(*self._asked({}))

    def do_POST(self) -> None:
        self._send(*self._asked(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def _asked(self, body: Any) -> tuple[int, Any, bool]:
        served: Server = self.server.served
        if served.key and self.headers.get("Authorization") != f"Bearer {served.key}":
            told = self.headers.get("Authorization", "nothing")
            return 401, {"error": {"message": f"wrong key: {told}"}}, False
        with self.server.one:
            served.asked.append((self.path, body))
            return (*served.answer(self.path, body), bool(body.get("stream")))

    def _send(self, status: int, plain: Any, stream: bool) -> None:
        text = json.dumps(plain)
        if stream and self.server.served.faults.form is not None:
            text = f"data: {text}\n\n"
        elif stream and status == 200:
            said = plain["choices"][0]
            parts = (said["message"]["content"] if "message" in said else said["text"]).partition(" ")
            events = [{"choices": [{"delta": {"content": part}}]} for part in parts if part]
            text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: Any) -> None:
        """Nothing: a test's output is its own."""


@contextmanager
def serving(model: Any, faults: Faults | None = None, key: str = "") -> Iterator[Server]:
    """The endpoint's URL is `url`; it is there inside the block."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    served = Server(model, faults or Faults(), key, url=f"http://127.0.0.1:{http.server_address[1]}/v1")
    http.served, http.one = served, threading.Lock()  # type: ignore[attr-defined]
    listening = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    listening.start()
    try:
        yield served
    finally:
        http.shutdown()
        http.server_close()
        listening.join()
