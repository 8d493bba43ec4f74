"""An OpenAI-compatible endpoint: its address, its key from the environment, requests that are tried again and bounded
in number, and one sentence for whatever goes wrong."""

import json
import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import httpx2

from affina.core.errors import AffinaError, Failed, Refused, nearest
from affina.engine.offline import is_this_machine

TOGETHER = 8  # requests under way at once
TRIES = 5
PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before the second try; doubled before each further one
TIMES_OUT_S = httpx2.Timeout(600.0, connect=10.0)  # a long answer that is not streamed is silent until it is whole
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
OPTIONS = ("key", "tokenizer")
SHOWN = 200  # letters of an endpoint's own error that are repeated
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Address:
    """`http://host:port/v1#model,key=NAME,tokenizer=MODEL`: where, under which name, the environment variable that
    holds the key, and the run or base whose tokenizer and template it has. Only the URL is required."""

    url: str
    model: str = ""
    key: str = ""
    tokenizer: str = ""

    @classmethod
    def read(cls, reference: str) -> "Address":
        """Raises Refused for what is no such address, and for a secret written out in it."""
        url, _, rest = reference.partition("#")
        parts = _split(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"'{reference}' is no endpoint", instead="write it so: http://host:port/v1#model")
        if "@" in parts.netloc or parts.query:
            raise Refused(
                f"the endpoint {parts.hostname} cannot be given so",
                why="an address with a login or a query would be copied wherever the reference is kept",
                instead="set an environment variable and name it: http://host/v1#model,key=NAME",
            )
        model, *given = rest.split(",")
        options = dict(each.partition("=")[::2] for each in given)
        for name in options:
            if name not in OPTIONS:
                raise Refused(f"an endpoint has no setting '{name}'", instead=nearest(name, [*OPTIONS]))
        return cls(url.rstrip("/"), model, options.get("key", ""), options.get("tokenizer", ""))

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def here(self) -> bool:
        """Whether it is this machine."""
        return is_this_machine(urlsplit(self.url).hostname)

    def secret(self) -> str:
        """The key; empty where none is named. Raises Refused where its variable is not set."""
        found = os.environ.get(self.key, "").strip() if self.key else ""
        if self.key and not found:
            why = f"{self.key} is not set in the environment"
            raise Refused(f"no key for {self.host}", why, f"export {self.key}=… first")
        if not (found.isascii() and found.isprintable()):
            raise Refused(f"what {self.key} holds is no key", why="a key is one line of plain letters and signs")
        return found


def _split(url: str) -> SplitResult | None:
    """None for what is no address at all, nor could become one."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        httpx2.URL(url)
        return parts if parts.port != 0 else None
    except (ValueError, httpx2.InvalidURL):
        return None


def is_endpoint(reference: str) -> bool:
    """Whether a model's reference is the address of an endpoint, and not that of a file to fetch."""
    url = reference.partition("#")[0]
    parts = _split(url)
    return url.startswith(("http://", "https://")) and not (parts and parts.path.endswith(".gguf"))


@contextmanager
def understood(host: str) -> Iterator[None]:
    """Raises Failed where what is read inside has not the form that the interface gives it."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        why = f"it has not the form of the interface ({type(error).__name__}: {error})"[:SHOWN]
        what = f"{host} gave an answer that is none"
        raise Failed(what, why, "check that it is an OpenAI-compatible server") from error


def said(choice: Mapping[str, Any]) -> str:
    """The text of a choice, in either form of the interface; half a surrogate pair, which no file takes, is a question
    mark. Raises TypeError for what is no text."""
    message = choice.get("message")
    found = message.get("content") if message else choice.get("text")
    if not isinstance(found, str | None):
        raise TypeError(f"a text is expected, here is {type(found).__name__}")
    return (found or "").encode("utf-8", "replace").decode()


class Endpoint:
    """Sends requests to one address. `pause_s` is what it waits before it tries again."""

    def __init__(self, address: Address, offline: bool = False, pause_s: float = PAUSE_S) -> None:
        """Connects to nothing. Raises Refused for a machine elsewhere while offline, and for a key that is not set."""
        if offline and not address.here:
            raise Refused(
                f"no connection to {address.host}",
                why="affina is offline (--offline or AFFINA_OFFLINE=1)",
                instead="run it without --offline",
            )
        self.address, self._pause_s, self._secret = address, pause_s, address.secret()
        headers = {"Authorization": f"Bearer {self._secret}"} if self._secret else {}
        self._client = httpx2.Client(headers=headers, timeout=TIMES_OUT_S, trust_env=not address.here)
        weakref.finalize(self, self._client.close)

    def get(self, path: str) -> Any:
        """JSON. Raises Refused for what the endpoint will not answer, Failed for what it did not."""
        return self._json(path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """JSON to JSON. Raises as `get` does."""
        return self._json(path, body)

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[Any]:
        """The JSON of every server-sent event until `[DONE]`. Raises as `get` does."""
        try:
            with self._client.stream("POST", self._url(path), json={**body, "stream": True}) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise self._refusal(path, answer)
                for line in answer.iter_lines():
                    text = line.removeprefix("data:").strip()
                    if line.startswith("data:") and text != "[DONE]":
                        yield self._parsed(path, text)
        except httpx2.HTTPError as error:
            raise self._unreached(error) from error

    def each(self, ask: Callable[[A], B], items: Sequence[A]) -> list[B]:
        """`ask` of every item, a few at once, in order; the first error ends it."""
        pool = ThreadPoolExecutor(TOGETHER)
        try:
            return list(pool.map(ask, items))
        finally:
            pool.shutdown(cancel_futures=True)

    def _url(self, path: str) -> str:
        """`/name` stands beside the interface's own folder, as servers put what is theirs alone."""
        root = self.address.url.removesuffix("/v1") if path.startswith("/") else f"{self.address.url}/"
        return root + path

    def _json(self, path: str, body: Mapping[str, Any] | None) -> Any:
        answer = self._answer(path, body)
        if answer.status_code != 200:
            raise self._refusal(path, answer)
        return self._parsed(path, answer.text)

    def _answer(self, path: str, body: Mapping[str, Any] | None) -> httpx2.Response:
        """The last of a few tries: busy and broken servers are asked again, later each time."""
        pause_s = self._pause_s
        for left in range(TRIES - 1, -1, -1):
            try:
                answer = self._client.request("GET" if body is None else "POST", self._url(path), json=body)
            except (httpx2.ConnectError, httpx2.RemoteProtocolError, httpx2.ReadError) as error:
                if not left:
                    raise self._unreached(error) from error
            except httpx2.HTTPError as error:
                raise self._unreached(error) from error
            else:
                if answer.status_code not in AGAIN or not left:
                    return answer
                asked = answer.headers.get("Retry-After", "")
                pause_s = max(pause_s, float(asked)) if asked.isdigit() else pause_s
            time.sleep(min(pause_s, LONGEST_PAUSE_S))
            pause_s *= 2
        raise AssertionError("the last try returns or raises")

    def _parsed(self, path: str, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            why = f"it answered something that is no JSON: {self._told(text)!r}"
            raise Failed(f"{self.address.host} gave no answer to {path}", why, "check the address") from error

    def _refusal(self, path: str, answer: httpx2.Response) -> AffinaError:
        code, what = answer.status_code, f"{self.address.host} does not answer {path}"
        why = f"{code}: {self._told(_message(answer.text)) or answer.reason_phrase}"
        if code in (401, 403):
            named = f"check what {self.address.key} holds" if self.address.key else "name its key: URL#model,key=NAME"
            return Refused(what, why, named)
        if code in AGAIN:
            return Failed(what, f"{why} ({TRIES} times)", "try again later")
        return Refused(what, why, "check the address and the model's name" if code in (301, 302, 307, 308, 404) else "")

    def _unreached(self, error: httpx2.HTTPError) -> Failed:
        why = f"no answer within {TIMES_OUT_S.read:.0f} s" if isinstance(error, httpx2.ReadTimeout) else str(error)
        return Failed(f"{self.address.host} cannot be reached", self._told(why), "check that the server runs there")

    def _told(self, text: str) -> str:
        """What a server said, in short, and never with the key in it."""
        plain = " ".join(text.split())
        return (plain.replace(self._secret, "…") if self._secret else plain)[:SHOWN]


def _message(text: str) -> str:
    """The sentence in an error's JSON, whichever way the server wraps it; the text itself where there is none."""
    try:
        plain = json.loads(text)
    except ValueError:
        return text
    for name in ("error", "message", "detail"):
        plain = plain.get(name, plain) if isinstance(plain, dict) else plain
    return plain if isinstance(plain, str) else json.dumps(plain)
