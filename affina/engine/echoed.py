"""What an endpoint says of a text it was given, put to the places of the row that the text came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from affina.core.errors import Refused
from affina.core.kinds import Floats, Row


@dataclass(frozen=True, slots=True)
class Echo:
    """The endpoint's own tokens of a prompt: where each begins, in characters, and its log-probability in nats."""

    starts: tuple[int, ...]
    logprobs: Floats
    """NaN where none is given: of the first token."""

    @classmethod
    def read(cls, answer: Mapping[str, Any], host: str) -> "Echo":
        """From a completion with `echo` and `logprobs`. Raises Refused where it holds no log-probabilities,
        ValueError and the like for what is no completion."""
        found = answer["choices"][0].get("logprobs") or {}
        tokens, logprobs = found.get("tokens"), found.get("token_logprobs") or []
        count = (answer.get("usage") or {}).get("prompt_tokens")
        if not tokens or count is None or len(logprobs) != len(tokens) or not count <= len(tokens) <= count + 1:
            raise Refused(
                f"{host} gives no log-probabilities of a given text",
                why="its completions leave out `echo` or `logprobs`",
                instead="measure what it generates, or serve the model where they are offered (vLLM, llama-cpp-python)",
            )
        starts = found.get("text_offset") or [0, *accumulate(map(len, tokens))]
        if len(starts) < count:
            raise ValueError(f"{len(starts)} of {count} tokens have a place in the text")
        numbers = [np.nan if each is None else each for each in logprobs[:count]]
        return cls(tuple(starts[:count]), np.array(numbers, dtype=np.float64))


def by_token(echo: Echo, row: Row, host: str) -> Floats:
    """[S] of a row whose tokens are the endpoint's own. Raises Refused where they are not."""
    extra = len(echo.logprobs) - len(row.tokens)  # 1 where the endpoint puts a token before every text
    if extra not in (0, 1):
        raise Refused(
            f"{row.id}: {host} divides a text into {len(echo.logprobs)} tokens, the tokenizer into {len(row.tokens)}",
            why="the model that is served has another tokenizer",
            instead="name the base that is served: URL#model,tokenizer=BASE",
        )
    return finite(echo.logprobs[extra:][row.weights > 0], row.id, host)


def by_byte(echo: Echo, row: Row, text: str, host: str) -> Floats:
    """[S] of a row whose tokens are the text's bytes: a token's number stands at its last byte, 0 at the others.

    The first token, of which endpoints say nothing, counts 0.
    """
    ends = np.cumsum([0, *(len(letter.encode()) for letter in text)])
    logprobs_T = np.zeros(len(row.tokens))
    for stop, logprob in zip((*echo.starts[1:], len(text)), echo.logprobs, strict=True):
        last = ends[min(stop, len(text))] - 1  # a part of a letter may stand at its beginning or behind it
        if last >= 0 and not np.isnan(logprob):
            logprobs_T[last] += logprob
    return finite(logprobs_T[row.weights > 0], row.id, host)


def finite(logprobs_S: Floats, id: str, host: str) -> Floats:
    """The same numbers. Raises Refused where one is missing."""
    if np.isnan(logprobs_S).any():
        raise Refused(f"{id}: {host} leaves out the log-probability of a token that is asked for")
    return logprobs_S
