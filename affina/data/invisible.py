"""Characters that nobody sees: which of them carry no meaning where they stand, and white space made plain."""

import re
import unicodedata

CONTROLS = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)
"""Escapes of terminals, control characters, interlinear marks, code points that are no characters, half surrogates."""
HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f]"
)
"""Soft hyphens, zero-width spaces and joiners, marks of direction, byte order marks, tags."""
JOINERS = "\u200c\u200d"
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
FLAG = "\U0001f3f4"
"""The emoji that tags belong to: flags of regions are this and their letters as tags."""
PLAIN_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
BREAKS = re.compile("\r\n?|\u2028|\u2029|\x85|\x0b|\x0c")
TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
BLANK = re.compile(r"\n{3,}")
RUNS = re.compile(r"(?<=\S)[ \t]{2,}")


def without_controls(text: str) -> tuple[str, int]:
    """The text without characters that only steer a terminal or are none at all, and how many went."""
    return CONTROLS.subn("", text)


def without_hidden(text: str) -> tuple[str, int]:
    """The text without hidden characters, and how many went.

    Kept: a joiner beside letters of scripts that need it (Arabic, Indic …) or emoji, a mark of direction where the text
    has letters that run from right to left, a tag behind a flag.
    """
    if not HIDDEN.search(text):
        return text, 0
    right_to_left = any(unicodedata.bidirectional(each) in ("R", "AL") for each in text)
    kept = [each for at, each in enumerate(text) if not HIDDEN.match(each) or _needed(text, at, right_to_left)]
    return "".join(kept), len(text) - len(kept)


def _needed(text: str, at: int, right_to_left: bool) -> bool:
    mark = text[at]
    if mark in DIRECTIONS:
        return right_to_left
    if mark in JOINERS:
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        return _joins(before) and _joins(after)
    if "\U000e0020" <= mark <= "\U000e007f":
        return text[:at].rstrip("".join(map(chr, range(0xE0020, 0xE0080)))).endswith(FLAG)
    return False


def _joins(neighbour: str) -> bool:
    """Whether a joiner beside this character may change what is seen."""
    if not neighbour or ord(neighbour) < 0x80 or neighbour.isspace():
        return False
    return not unicodedata.name(neighbour, "").startswith(PLAIN_SCRIPTS)


def plain_breaks(text: str) -> str:
    """Line ends of every kind as \\n."""
    return BREAKS.sub("\n", text)


def plain_spaces(text: str, single: bool) -> str:
    """Spaces of every width as spaces, none at the ends of lines, at most one blank line, nothing around the text.

    `single`: a run of spaces inside a line becomes one; what a line begins with stays as it is.
    """
    text = SPACES.sub(" ", text)
    text = BLANK.sub("\n\n", TRAILING.sub("", text))
    text = RUNS.sub(" ", text) if single else text
    return text.strip("\n").rstrip() if "\n" in text.strip() else text.strip()
