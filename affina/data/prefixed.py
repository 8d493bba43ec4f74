"""Lines that begin with their class: `0 some words`, `__label__sport some words` (Joulin et al. 2016, fastText)."""

import re
from collections.abc import Sequence

MARK = "__label__"
CLASS = re.compile(r"[-+]?\d{1,2}|[A-Za-z_]{1,24}(?::[A-Za-z_]{1,24})?")
MOST, EACH, LEAST, WORDS = 50, 10, 10, 3
"""Classes there may be, lines of each on average, lines in all, mean words of a text."""


def labelled(lines: Sequence[str]) -> bool:
    """Whether these lines begin with marks, or with one of a few words or numbers that come again and again."""
    cut = [line.split(None, 1) for line in lines if line.strip()]
    if marked(lines):
        return True
    if len(cut) < LEAST or not all(len(each) == 2 and CLASS.fullmatch(each[0]) for each in cut):
        return False
    kinds = {each[0] for each in cut}
    words = sum(len(each[1].split()) for each in cut) / len(cut)
    alike = len({each.lstrip("+-").isdigit() for each in kinds}) == 1
    return alike and 2 <= len(kinds) <= MOST and EACH * len(kinds) <= len(cut) and words >= WORDS


def marked(lines: Sequence[str]) -> bool:
    """Whether every line begins with a mark."""
    filled = [line for line in lines if line.strip()]
    return bool(filled) and all(line.lstrip().startswith(MARK) for line in filled)


def divided(line: str) -> tuple[list[str], str]:
    """The classes of a line, one without marks, and its text."""
    classes, rest = [], line.strip()
    while rest.startswith(MARK):
        word, *more = rest.split(None, 1)
        classes.append(word.removeprefix(MARK))
        rest = "".join(more)
    if not classes:
        word, *text = rest.split(None, 1)
        return [word], "".join(text)
    return classes, rest.strip()
