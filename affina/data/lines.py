"""Physical lines of a text, a chunk at a time: ended by \\n, \\r\\n or \\r and by nothing else, in bounded memory."""

from collections.abc import Iterator
from io import StringIO
from typing import TextIO

from affina.core.errors import Refused

CHUNK = 1 << 20
"""Characters read at once."""
LONGEST = 1 << 28
"""Characters that one physical line may have."""
ENDS = ("\n", "\r")


def physical_lines(text: str) -> list[str]:
    """Lines as a file opened with newline='' gives them, each with its end."""
    return list(StringIO(text, newline=""))


def line_ends(text: str, start: int = 0, stop: int | None = None) -> int:
    """How many lines end between two places of the text, neither of which is inside a \\r\\n."""
    stop = len(text) if stop is None else stop
    ends = text.count("\n", start, stop)
    if returns := text.count("\r", start, stop):
        ends += returns - text.count("\r\n", start, stop)
    return ends


def chunks(stream: TextIO, size: int = 0) -> Iterator[str]:
    """The text in pieces of about `size` characters (0: CHUNK), none of which ends between a \\r and what may be its
    \\n; the last one may be empty."""
    carry = ""
    while text := stream.read(size or CHUNK):
        text = carry + text
        carry = "\r" if text.endswith("\r") else ""
        yield text[: len(text) - len(carry)]
    yield carry


def batches(stream: TextIO, file: str) -> Iterator[list[str]]:
    """Lists of whole lines, in order. Raises Refused for a line longer than LONGEST: the file is no file of lines."""
    held: list[str] = []  # the pieces of a line that has not ended yet
    size, number = 0, 1
    for chunk in chunks(stream):
        lines = physical_lines(chunk)
        if held and lines:
            held.append(lines[0])
            size += len(lines[0])
            if lines[0].endswith(ENDS):
                lines[0] = "".join(held)
                held, size = [], 0
            else:
                lines = []
        if lines and not lines[-1].endswith(ENDS):
            held = [lines.pop()]
            size = len(held[0])
        if size > LONGEST:
            raise Refused(
                f"{file} has a line of more than {LONGEST} characters",
                why="such a file is no file of lines",
                instead="give it line ends, or name its format with `data.reader`",
                where=f"{file}:{number + len(lines)}",
            )
        number += len(lines)
        if lines:
            yield lines
    if held:
        yield ["".join(held)]
