"""Lists in lists of a JSON document: each innermost object, with what stands beside the lists on the way to it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from affina.data.strict_json import Decoded, Decoder, past_space


class _Beside(NamedTuple):
    """What stands beside the lists so far, and what is wrong with it."""

    held: dict[str, Any]
    problem: str = ""


def walked(decoder: Decoder, text: str, steps: Sequence[str]) -> Iterator[tuple[int, Decoded]]:
    """Start and value of each innermost object, in a text that is known to be JSON; `steps` are the lists' keys.

    An empty first step is a document that is itself a list. What stands in the outermost object is about the document
    and not carried. Where a list is missing, the object without it comes, with a problem.
    """
    start = past_space(text, 0)
    if not steps[0] and text[start] == "[":
        yield from _elements(decoder, text, start, steps[1:], _Beside({}))
    elif not steps[0]:
        yield start, decoder.at(text, start)._replace(problem="a list is expected")
    else:
        yield from _inside(decoder, text, start, steps, None)


def _inside(
    decoder: Decoder, text: str, place: int, steps: Sequence[str], beside: _Beside | None
) -> Iterator[tuple[int, Decoded]]:
    """What is in the list called `steps[0]` of the object at `place`; beside None: it is the outermost one."""
    at, found = -1, _Beside({})
    if text[place] == "{":
        for key, start, member in decoder.members(text, place):
            if key == steps[0]:
                at = start
            else:
                found = _Beside({**found.held, key: member.value}, found.problem or member.problem)
    if at < 0 or text[at] != "[":
        yield place, decoder.at(text, place)._replace(problem=f"it has no list '{steps[0]}'")
    elif beside is None:
        yield from _elements(decoder, text, at, steps[1:], _Beside({}))
    else:
        carried = _Beside({**beside.held, **found.held}, beside.problem or found.problem)
        yield from _elements(decoder, text, at, steps[1:], carried)


def _elements(
    decoder: Decoder, text: str, place: int, steps: Sequence[str], beside: _Beside
) -> Iterator[tuple[int, Decoded]]:
    for start, found in decoder.elements(text, place):
        if steps:
            yield from _inside(decoder, text, start, steps, beside)
        elif isinstance(found.value, dict):
            whole = {**beside.held, **found.value}
            yield start, Decoded(whole, found.end, found.problem or beside.problem)
        else:
            yield start, found
