"""Words that a printed page divides at the ends of its lines, made whole again."""

import re

DIVIDED = re.compile(r"([^\W\d_]+)-\n{1,2}[ \t]*([^\W\d_]+)")
SOFT = re.compile("\u00ad\n?[ \t]*")
WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def joined(text: str) -> str:
    """The text with every divided word whole, over the blank line between pages too: without its hyphen, unless the
    text has the word with one elsewhere and not without. A capital begins no rest of a word: its hyphen stays."""
    text = SOFT.sub("", text)
    if not DIVIDED.search(text):
        return text
    words = {word.lower() for word in WORD.findall(DIVIDED.sub(" ", text))}

    def whole(found: re.Match[str]) -> str:
        first, rest = found[1], found[2]
        hyphened = f"{first}-{rest}".lower() in words and f"{first}{rest}".lower() not in words
        return f"{first}-{rest}" if hyphened or rest[0].isupper() else f"{first}{rest}"

    return DIVIDED.sub(whole, text)
