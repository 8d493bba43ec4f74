"""How many lines and paragraphs are not blank, by regular expressions over chunks of a text: nothing is divided."""

import re
from collections.abc import Iterable, Iterator

FILLED = re.compile(r"\n[^\S\n]*+[^\n]")
FILLED_JSON = re.compile(r"\n[ \t]*+[^ \t\n]")
BLANK = re.compile(r"\n[^\S\n]++(?=\n)")
PARAGRAPH = re.compile(r"\n\n[^\n]")


def count_lines(chunks: Iterable[str], filled: re.Pattern[str] = FILLED) -> int:
    """Lines that hold more than white space; with FILLED_JSON, more than what is white space in JSON."""
    return sum(len(filled.findall(f"\n{lines}")) for lines in whole_lines(chunks))


def count_paragraphs(chunks: Iterable[str]) -> int:
    """Runs of lines that are not blank."""
    found, before = 0, "\n"
    for lines in whole_lines(chunks):
        text = BLANK.sub("\n", f"{before}\n{lines}")
        found += len(PARAGRAPH.findall(text))
        before = "\n" if text.endswith("\n\n") else "x"
    return found


def whole_lines(chunks: Iterable[str]) -> Iterator[str]:
    """The text in pieces of whole lines, each ended by \\n. `chunks` never end between a \\r and its \\n."""
    held: list[str] = []
    for chunk in chunks:
        text = chunk.replace("\r\n", "\n").replace("\r", "\n")
        lines, end, rest = text.rpartition("\n")
        if end:
            yield "".join([*held, lines, end])
            held = []
        held.append(rest)
    if any(held):
        yield "".join([*held, "\n"])
