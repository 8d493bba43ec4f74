"""Lists in lists of a JSON document: each innermost object, with what stands beside the lists on the way to it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from affina.data.strict_json import Decoded, Decoder, past_space


class _Beside(NamedTuple):
    """What stands beside the lists so far, and what is wrong with it."""

    held: dict[str, Any]
    problem: str = ""


def walked(decoder: Decoder, text: str, steps: Sequence[str]) -> Iterator[tuple[int, Decoded]]:
    """Start and value of each innermost object of one that is known to be JSON; `steps` are the keys of the lists in
    it. Where a list is missing, the object without it comes, with a problem."""
    yield from _inside(decoder, text, past_space(text, 0), steps, _Beside({}))


def leads(value: Any, steps: Sequence[str]) -> bool:
    """Whether this object has the first of these lists, some object of it the next one, and so to the end."""
    if not steps:
        return True
    held = value.get(steps[0]) if isinstance(value, dict) else None
    return isinstance(held, list) and (len(steps) == 1 or any(leads(each, steps[1:]) for each in held))


def _inside(
    decoder: Decoder, text: str, place: int, steps: Sequence[str], beside: _Beside
) -> Iterator[tuple[int, Decoded]]:
    """What is in the list called `steps[0]` of the object at `place`."""
    at, found, problem = -1, _Beside({}), f"it has no list '{steps[0]}'"
    if text[place] == "{":
        for key, start, member in decoder.members(text, place):
            if key == steps[0] and text[start] == "[":
                problem = "" if at < 0 else f"the key {key!r} stands twice in one object"
                at = start
            else:
                found = _Beside({**found.held, key: member.value}, found.problem or member.problem)
    if problem:
        yield place, decoder.at(text, place)._replace(problem=problem)
        return
    carried = _Beside({**beside.held, **found.held}, beside.problem or found.problem)
    for start, element in decoder.elements(text, at):
        if steps[1:]:
            yield from _inside(decoder, text, start, steps[1:], carried)
        elif isinstance(element.value, dict):
            whole = {**carried.held, **element.value}
            yield start, Decoded(whole, element.end, element.problem or carried.problem)
        else:
            yield start, element
