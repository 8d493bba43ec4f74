"""Line-parallel text: two files of which line n of one is line n of the other in another language or form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat, zip_longest
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, Span, Stretches
from affina.data import encoding
from affina.data.offsets import measure, stretches

TOGETHER = 4096
"""Lines that are measured at once."""


class ParallelLines(Reader):
    """Two files, one after the other in `data.read`, as columns called by their endings, or source and target."""

    files: ClassVar[int] = 2
    suffixes: ClassVar[tuple[str, ...]] = (
        ".source", ".target", ".src", ".tgt", ".trg", ".en", ".eng", ".it", ".ita", ".es", ".spa", ".fr", ".fra",
        ".de", ".deu", ".pt", ".por", ".nl", ".nld", ".pl", ".pol", ".ro", ".ron", ".ru", ".rus", ".zh", ".zho",
        ".ja", ".jpn", ".ar", ".ara", ".la", ".lat",
    )  # fmt: skip

    encoding: str | None = None
    """The encoding of both files; detected when left out."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name and encoding.known(name)

    def look(self, path: Path) -> tuple[ParallelLines, str]:
        """This reader, and that lines go together; each file has an encoding of its own."""
        encoding.detect(path, self.encoding)
        return self, "line by line with the file after it"

    def records(self, path: Path) -> Iterator[Record]:
        """Raises Refused: one file has no other side."""
        encoding.detect(path, self.encoding)
        raise Refused(f"{path} is one side of a parallel text", instead="name the other file after it in `data.read`")

    def together(self, paths: Sequence[Path]) -> Iterator[Record]:
        """A record for each line, blank on both sides or not. Raises Refused where one file has more lines."""
        one, two = paths
        names = _columns(one, two)
        counts = [sum(1 for _ in self._lines(path)) for path in paths]
        if counts[0] != counts[1]:
            raise Refused(
                f"{one} and {two} are not parallel",
                why=f"{one.name} has {counts[0]} lines and {two.name} {counts[1]}",
                instead="write the two files of a pair one after the other in `data.read`, or mend the shorter one",
            )
        lines = zip_longest(self._lines(one), self._lines(two), fillvalue="")
        pairs = (dict(zip(names, sides, strict=True)) for sides in lines)
        spans = self._spans(one)
        records = (Record(pair, str(one), number, span=next(spans)) for number, pair in enumerate(pairs, 1))
        errors = {encoding.detect(path, self.encoding).errors for path in paths}
        yield from encoding.judged(records, "strict" if errors == {"strict"} else "surrogateescape")

    def stretches(self, path: Path) -> Stretches | None:
        """The lines of the first side, by their ends; the other has as many or the pair is refused."""
        return stretches(path, self.encoding, _ends)

    def _lines(self, path: Path) -> Iterator[str]:
        with encoding.open_text(path, self.encoding, newline="\n") as stream:
            for line in stream:
                yield line.removesuffix("\n").removesuffix("\r")

    def _spans(self, path: Path) -> Iterator[Span | None]:
        """The bytes of each line; None without end where they are not known."""
        measured = measure(path, encoding.detect(path, self.encoding))
        if measured is None:
            yield from repeat(None)
            return
        start = measured.start
        with encoding.open_text(path, self.encoding, newline="\n") as stream:
            while lines := [*islice(stream, TOGETHER)]:
                for size in measured.sizes(lines):
                    yield Span(start, start + size)
                    start += size


def _ends(text: Iterable[str]) -> int:
    ends, last = 0, "\n"
    for piece in text:
        ends, last = ends + piece.count("\n"), piece[-1:] or last
    return ends + (last != "\n")


def _columns(one: Path, two: Path) -> tuple[str, str]:
    """The endings as columns. Raises Refused where both are the same: they are then no two sides of one text."""
    names = one.suffix.lower()[1:], two.suffix.lower()[1:]
    if names[0] == names[1]:
        if one.suffix.lower() in ParallelLines.suffixes:
            raise Refused(
                f"{one} and {two} are the same side of a parallel text",
                why=f"both end in .{names[0]}",
                instead="write the two files of a pair one after the other in `data.read`",
            )
        return "source", "target"
    return names if all(names) else ("source", "target")
