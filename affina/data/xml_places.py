"""Where the elements of an XML file stand, how often, and which of these places holds its records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from affina.core.errors import Refused
from affina.data.xml_stream import parse

MOST_PLACES = 20_000
"""Different places in a file; more are names that are data, and no columns."""
INNER = 8
"""Elements in each of those around them from which the inner ones are the records."""
KNOWN = ("rss/channel/item", "rdf:RDF/item", "feed/entry", "urlset/url", "tmx/body/tu")
"""Records of formats that are known: feeds, site maps, translation memories."""


@dataclass
class Place:
    """An element's name and those around it."""

    name: str
    above: Place | None = None
    inside: dict[str, Place] = field(default_factory=dict)
    count: int = 0
    attributes: set[str] = field(default_factory=set)
    repeats: bool = False
    """Whether one element holds several of them."""
    record: bool = False
    """Whether its elements are the records that are looked for."""

    @property
    def path(self) -> str:
        return f"{self.above.path}/{self.name}" if self.above is not None and self.above.name else self.name

    @property
    def columned(self) -> bool:
        return bool(self.inside or self.attributes)

    @property
    def weight(self) -> float:
        """How much one of its elements looks like a record: elements in it say most, one attribute or none little."""
        return 3.0 if self.inside else 1.0 if len(self.attributes) > 1 else 0.5 if self.attributes else 0.1

    def below(self) -> Iterator[Place]:
        for place in self.inside.values():
            yield place
            yield from place.below()


class Survey:
    """Hears a file once and counts. `wanted` is the path whose places are marked as those of records."""

    def __init__(self, path: Path, wanted: str | None = None) -> None:
        self.path, self.steps = path, wanted.strip("/").split("/") if wanted else []
        self.root, self.places = Place(""), 0
        self.open: list[tuple[Place, set[str]]] = [(self.root, set())]

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        above, seen = self.open[-1]
        place = above.inside.get(name) or self._new(name, above)
        place.count += 1
        if attributes:
            place.attributes.update(own(attributes))
        if name in seen:
            place.repeats = True
        seen.add(name)
        self.open.append((place, set()))

    def text(self, text: str) -> None:
        """Words say nothing of places."""

    def end(self) -> None:
        self.open.pop()

    def _new(self, name: str, above: Place) -> Place:
        self.places += 1
        if self.places > MOST_PLACES:
            raise Refused(
                f"{self.path} has more than {MOST_PLACES:,} different elements",
                why="their names are data, and cannot be columns",
            )
        place = above.inside[name] = Place(name, above)
        place.record = matches(place.path.split("/"), self.steps)
        return place


def own(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes that are data: not what declares namespaces."""
    if not any(name.startswith("xmlns") for name in attributes):
        return attributes
    return {name: value for name, value in attributes.items() if name != "xmlns" and not name.startswith("xmlns:")}


def matches(path: list[str], steps: list[str]) -> bool:
    """Whether a path ends in these steps; a step without a prefix is any prefix's."""
    if not steps or len(steps) > len(path):
        return False
    ends = zip(path[-len(steps) :], steps, strict=True)
    return all(step == name or step == name.rpartition(":")[2] for name, step in ends)


def survey(path: Path, codec: str | None, wanted: str | None) -> Place:
    """The file's places, from one above its root."""
    listener = Survey(path, wanted)
    for _ in parse(path, codec, listener):
        pass
    return listener.root


def records_place(root: Place) -> Place:
    """The place of the most repeated elements that have columns, but not of the cells of a record: elements with one
    attribute, and those of which a record has few. The root element itself where nothing repeats."""
    known = [place for place in root.below() if place.path in KNOWN]
    if known:
        return known[0]
    outer = [place for place in root.below() if place.count > 1 and place.above and place.above.count <= 1]
    if not outer:
        return next(iter(root.inside.values()))
    found = max(outer, key=lambda place: place.count * place.weight)
    while True:
        inner = [place for place in found.below() if place.weight >= 1 and place.count >= INNER * found.count]
        if not inner:
            return found
        found = max(inner, key=lambda place: place.count)


def plural(record: Place) -> tuple[str, ...]:
    """Paths, with dots, of the elements of a record that may stand in it several times."""
    start = len(record.path) + 1
    return tuple(sorted(place.path[start:].replace("/", ".") for place in record.below() if place.repeats))
