"""Raw text and how likely it goes on: a row whose targets are the tokens of what follows."""

from collections.abc import Sequence

import numpy as np

from affina.core.errors import Refused
from affina.core.kinds import Renderer, Row


def continuation(renderer: Renderer, id: str, before: str, after: str) -> Row:
    """`after` is supervised behind `before`, the tokens of both as generation from `before` would have them.

    White space at the end of `before` belongs to what follows, since tokenizers join it to the next word. Raises
    Refused for a row longer than the model takes, and where nothing follows.
    """
    bare = before.rstrip()
    given, whole = renderer.continued(bare), renderer.continued(before + after)
    said = whole[len(given) :]
    if whole[: len(given)] != given:  # one token stands across the edge: what follows is then divided by itself
        said = renderer.continued(before[len(bare) :] + after)[len(renderer.continued("")) :]
    if not said:
        raise Refused("a text goes on with nothing", why="its continuation has no token", where=id)
    return supervised(renderer, id, given or beginning(renderer), said)


def supervised(renderer: Renderer, id: str, given: Sequence[int], said: Sequence[int]) -> Row:
    """The row of tokens whose last part is supervised. Raises Refused for one longer than the model takes."""
    tokens = np.array([*given, *said], dtype=np.int32)
    fits(len(tokens), renderer.max_tokens, id)
    weights = np.zeros(len(tokens), dtype=np.float32)
    weights[len(given) :] = 1
    return Row(id, tokens, weights)


def beginning(renderer: Renderer) -> list[int]:
    """What stands before a text's first token: what its tokenizer opens a text with, or else the end of another."""
    return renderer.continued("") or [min(renderer.stops)]


def fits(size: int, most: int, id: str) -> None:
    """Raises Refused for an item that the model would not see whole."""
    if size > most:
        raise Refused(
            "an item is too long for the model",
            why=f"it has {size} tokens and the model takes {most}",
            instead="shorten it, or take it out",
            where=id,
        )
