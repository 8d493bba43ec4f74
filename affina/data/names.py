"""People's names in a text, as a model that tags words finds them."""

import re
from collections.abc import Iterator, Sequence

from affina.core.errors import Refused
from affina.core.example import Tagged
from affina.core.kinds import Model

WORD = re.compile(r"\w+(?:[’'](?=\w))?|[^\w\s]")
WINDOW = 96
"""Words that are tagged together."""
PEOPLE = ("PER", "PERSON", "PERS", "NAME")


class Names:
    """What a model says of texts, remembered for as long as a batch of them is looked at."""

    def __init__(self, model: Model, tags: Sequence[str]) -> None:
        """`tags`: every tag that the model gives, in any order. Raises Refused where none is of people."""
        self.model, self.tags = model, sorted(tags)
        self.known: dict[str, list[tuple[int, int]]] = {}
        if not any(_person(tag) for tag in tags):
            raise Refused(
                "redact: no tag is of people", why=f"tags are {', '.join(tags) or 'none'}", instead="one ends in PER"
            )

    def look(self, texts: Sequence[str]) -> None:
        """Tags these texts, and forgets those before."""
        windows = [(text, words) for text in dict.fromkeys(texts) for words in _windows(text)]
        rows = self.model.renderer.rows([_numbered(words) for _, words in windows])
        self.known = {text: [] for text in texts}
        for (text, words), row, scored in zip(windows, rows, self.model.score(rows), strict=True):
            if scored.places_SL is None or scored.places_SL.shape[1] != len(self.tags):
                raise Refused(
                    "redact: the model of `names` does not give these tags",
                    why=f"{len(self.tags)} tags were named",
                    instead="give a run trained with the objective tag, and all of its labels as `tags`",
                )
            assert row.said is not None
            places = row.said[row.weights > 0].tolist()
            best = [self.tags[place] for place in scored.places_SL.argmax(axis=1).tolist()]
            self.known[text] += _spans([(words[place], tag) for place, tag in zip(places, best, strict=True)])

    def find(self, text: str) -> list[tuple[int, int]]:
        """The characters [start, stop) of each name."""
        if text not in self.known:
            before = self.known
            self.look([text])
            self.known = {**before, **self.known}
        return self.known[text]


def _windows(text: str) -> Iterator[list[re.Match[str]]]:
    words = [*WORD.finditer(text)]
    yield from (words[start : start + WINDOW] for start in range(0, len(words), WINDOW))


def _numbered(words: Sequence[re.Match[str]]) -> Tagged:
    """A sentence whose tags are its words' numbers: the row then tells which word each of its places belongs to."""
    numbers = tuple(map(str, range(len(words))))
    return Tagged(id="", words=tuple(word[0] for word in words), tags=numbers, labels=numbers)


def _spans(tagged: Sequence[tuple[re.Match[str], str]]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    inside = False
    for word, tag in tagged:
        if not _person(tag):
            inside = False
            continue
        if inside and not tag.startswith("B-"):
            spans[-1] = (spans[-1][0], word.end())
        else:
            spans.append(word.span())
        inside = True
    return spans


def _person(tag: str) -> bool:
    return tag.rpartition("-")[2].upper() in PEOPLE
