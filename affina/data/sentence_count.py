"""How many sentences a CoNLL file holds, by one regular expression over whole blocks of lines."""

import re
from collections.abc import Iterable, Iterator

from affina.data.linecount import BLANK, whole_lines

FILLED = r"[^\S\n]*+\S[^\n]*+\n"
DOCUMENT = "-DOCSTART-"


def count_sentences(chunks: Iterable[str], separator: str, width: int) -> int:
    """Blocks of lines that hold more than comments and a mark of a beginning. `separator`: tab or space."""
    pattern = _pattern(separator, width)
    return sum(match.lastgroup == "words" for text in _blocks(chunks) for match in pattern.finditer(text))


def _blocks(chunks: Iterable[str]) -> Iterator[str]:
    """Text that ends at a blank line, or where it ends."""
    held = ""
    for lines in whole_lines(chunks):
        text = BLANK.sub("\n", f"\n{held}{lines}")[1:]
        blocks, end, held = text.rpartition("\n\n")
        if end:
            yield f"{blocks}\n"
        else:
            held = text
    yield held


def _pattern(separator: str, width: int) -> re.Pattern[str]:
    """A comment is a line that begins with # and has not as many cells as words have."""
    if separator == "tab":
        row, after = rf"(?:[^\t\n]*+\t){{{width - 1}}}[^\t\n]*+\n", r"[^\S\t\n]*+[\t\n]"
        sign = r"[^\S\t\n]*+"
    else:
        row, after = rf"[^\S\n]*+(?:\S++[^\S\n]++){{{width - 1}}}\S++[^\S\n]*+\n", r"\s"
        sign = r"[^\S\n]*+"
    comment = rf"(?:(?!{row}){sign}#[^\n]*+\n)"
    return re.compile(
        rf"{comment}*+(?:(?P<document>{sign}{DOCUMENT}(?={after})[^\n]*+\n(?!{FILLED}))|(?P<words>(?:{FILLED})++)"
        rf"|(?P<blank>[^\S\n]*+(?:\n|\Z)))"
    )
