"""JSON as the standard has it (RFC 8259): no NaN, no key twice, no half of a surrogate pair."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

SPACE = re.compile(r"[ \t\n\r]*")
CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*+"|(-?Infinity|NaN)', re.DOTALL)


class Decoded(NamedTuple):
    """A value, where it ends in the text, and what is wrong with it although it parses."""

    value: Any
    end: int
    problem: str = ""


class Decoder:
    """Decodes values one after another out of a text. Raises ValueError with a sentence for what is not JSON."""

    def __init__(self) -> None:
        self._twice: list[str] = []
        self._json = json.JSONDecoder(object_pairs_hook=self._object, parse_constant=_no_constant)

    def at(self, text: str, start: int = 0) -> Decoded:
        """The value that starts at `start`, leading white space skipped."""
        self._twice.clear()
        start = past_space(text, start)
        try:
            value, end = self._json.raw_decode(text, start)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            if str(error).startswith("Exceeds the limit"):
                raise ValueError("a number in it has more digits than can be read") from error
            place = next(found.start(1) for found in CONSTANT.finditer(text, start) if found[1])
            raise json.JSONDecodeError(str(error), text, place) from error
        if self._twice:
            return Decoded(value, end, f"the key {self._twice[0]!r} stands twice in one object")
        return Decoded(value, end, _half_surrogate(value, text, start, end))

    def whole(self, text: str) -> Decoded:
        """The one value that the text is."""
        found = self.at(text)
        if (rest := past_space(text, found.end)) != len(text):
            raise json.JSONDecodeError("something follows the value", text, rest)
        return found

    def elements(self, text: str, start: int) -> Iterator[tuple[int, Decoded]]:
        """Start and value of every element of the array at `start`, in a text that is known to be JSON."""
        place = past_space(text, start + 1)
        while text[place] != "]":
            found = self.at(text, place)
            yield place, found
            place = past_space(text, found.end)
            if text[place] == ",":
                place = past_space(text, place + 1)

    def members(self, text: str, start: int) -> Iterator[tuple[str, int, Decoded]]:
        """Key, start and value of every member of the object at `start`, in a text that is known to be JSON."""
        place = past_space(text, start + 1)
        while text[place] != "}":
            key = self.at(text, place)
            place = past_space(text, past_space(text, key.end) + 1)
            found = self.at(text, place)
            yield key.value, place, found
            place = past_space(text, found.end)
            if text[place] == ",":
                place = past_space(text, place + 1)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            keys = [key for key, _ in pairs]
            self._twice.append(next(key for key in keys if keys.count(key) > 1))
        return values


def past_space(text: str, place: int) -> int:
    """The next position that holds no JSON white space."""
    found = SPACE.match(text, place)
    assert found is not None
    return found.end()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _half_surrogate(value: Any, text: str, start: int, end: int) -> str:
    if text.find("\\ud", start, end) < 0 and text.find("\\uD", start, end) < 0:
        return ""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "a \\u escape is half of a surrogate pair"
    return ""
