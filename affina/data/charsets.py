"""Which encoding bytes that are no UTF-8 were most likely written in: by the letters that each would make of them."""

import codecs
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cache

from affina.data.letters import LATIN, SCRIPTS, Script

TYPOGRAPHIC = frozenset("‘’‚“”„«»‹›–—…•·€£¥¢§¶°ºª¹²³¼½¾×÷±©®™№¡¿´\xa0\xad")
BLANK, QUOTED, SIGN, CAPITAL, OTHER_SIGN, STRANGE, IMPOSSIBLE = -2.5, -4.0, -6.0, -2.5, -9.0, -10.0, -14.0
"""Natural logarithms: of a space that does not break, of a quotation mark or dash, of another typographic sign, of a
capital against its small letter, of a sign of the script that is not among the common ones, of any other letter, and of
what no text holds."""
LATIN_LEAST, LEAST = -4.0, -5.5
"""The least mean of these logarithms with which a guess of Latin letters is believed, and one of another alphabet."""
USUAL = ("cp1252", "latin_1")
"""What is said where none is."""
INSIDE = re.compile(r"(?<=[^\W\d_])[^\w\s'’·\-­\x00-\x7f](?=[^\W\d_])")
"""A sign between two letters."""
MIXED = re.compile(r"[A-Za-z](?=[^\x00-\x7f])|(?<=[^\x00-\x7f])[A-Za-z]")
"""A Latin letter beside one that is beyond ASCII."""
MISFIT = -4.0
RARER, FOREIGN = -1.0, -3.0
"""Before anything is looked at: of each encoding against the one before it, and of a script that is not Latin."""


def likeliest(sample: bytes, cut: bool = False) -> list[str]:
    """Encodings that the bytes may be in, likeliest first. `cut`: the last character may not be whole."""
    found: list[tuple[float, str]] = []
    believed = {}
    for script in SCRIPTS:
        for rank, encoding in enumerate(script.encodings):
            if (text := _decoded(sample, encoding, cut)) is None:
                continue
            likelihood = _likelihood(text, script)
            least = LATIN_LEAST if script == LATIN else LEAST
            beyond = sum(sign > "\x7f" for sign in text)
            believed[encoding] = not script.alphabet or likelihood >= least * beyond
            found.append((likelihood + RARER * rank + (FOREIGN if script != LATIN else 0), encoding))
    names = [encoding for _, encoding in sorted(found, key=lambda each: -each[0])]
    return names if names and believed[names[0]] else [*USUAL, *names]


def _decoded(sample: bytes, encoding: str, cut: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample, final=not cut)
    except UnicodeDecodeError:
        return None


def _likelihood(text: str, script: Script) -> float:
    """The logarithm of the probability of the characters beyond ASCII, in the language that explains them best."""
    counts = {sign: times for sign, times in Counter(text).items() if sign > "\x7f"}
    misfits = len(INSIDE.findall(text)) + (len(MIXED.findall(text)) if script.alphabet and script != LATIN else 0)
    misfits += len(_crowded(script.vowels).findall(text)) if script.vowels else 0
    best = max(
        sum(times * known.get(sign, 0.0) or times * _unlisted(sign, known, script) for sign, times in counts.items())
        for known in map(_logarithms, script.languages, [script.alphabet] * len(script.languages))
    )
    return best + MISFIT * misfits


@cache
def _logarithms(letters: str, alphabet: bool) -> Mapping[str, float]:
    """Of each letter's probability, by its rank, as such frequencies fall (Zipf)."""
    mass = 0.9 if alphabet else 0.6
    total = sum(1 / (rank + 2) for rank in range(len(letters)))
    return {sign: math.log(mass / (rank + 2) / total) for rank, sign in enumerate(letters)}


@cache
def _crowded(vowels: str) -> re.Pattern[str]:
    """Five letters or more together without a vowel."""
    return re.compile(rf"(?:(?![{vowels}])[^\W\d_\x00-\x7f]){{5,}}", re.IGNORECASE)


def _unlisted(sign: str, known: Mapping[str, float], script: Script) -> float:
    if (small := sign.lower()) != sign and small in known:
        return known[small] + CAPITAL
    if sign in TYPOGRAPHIC:
        return BLANK if sign == "\xa0" else QUOTED if sign in "’“”«»–—" else SIGN
    if any(first <= ord(sign) <= last for first, last in script.covers):
        return OTHER_SIGN
    return STRANGE if unicodedata.category(sign) in ("Lu", "Ll", "Lo", "Mn") else IMPOSSIBLE
