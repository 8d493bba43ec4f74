"""Stretches of a text that can answer a question, found by rule: amounts, dates, durations, laws, terms, names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

LONGEST = 8
"""Words in an answer, at most."""
MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "gennaio|febbraio|marzo|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|novembre|dicembre"
)
DIGITS = "one|two|three|four|five|six|seven|eight|nine"
COUNT = (
    rf"(?:(?:{DIGITS}|ten|eleven|twelve|fifteen|eighteen|twenty|twenty-four|thirty|thirty-six|forty-five|sixty|ninety|"
    r"uno|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|dodici|quindici|venti|trenta|sessanta|novanta)"
    r"(?: \(\d+\))?|\d+(?:[.,]\d+)?)"
)
TENS = (
    r"(?:one hundred|ten|fifteen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)"
    rf"(?:(?: |-)(?:{DIGITS}))?)"
)
UNIT = (
    r"(?:(?:business|calendar|consecutive|full|working) )?(?:days?|weeks?|months?|years?|hours?|minutes?)|"
    r"(?:giorni|giorno|settiman[ae]|mes[ie]|ann[io]|or[ae]|minut[io])(?: (?:lavorativi|consecutivi|solari))?"
)
JOINED = r"(?:of(?: the)?|&|di|del|della|dello|dei|degli|delle|per(?: (?:il|la|lo|l['’]))?)"
CAPITAL = r"(?:[A-ZÀ-Þ][\w&-]*\w|[A-ZÀ-Þ](?!\w))"
ACT = (
    r"(?:[Dd]ecreto(?: |-)[Ll]egge|[Dd]ecreto [Ll]egislativo|[Ll]egge|D\.? ?[Ll]gs\.?|D\.?L\.?|DPCM|DPR|"
    r"(?:Regolamento|Direttiva|Decisione)(?: \((?:UE|CE)\))?)"
)
MANY = r"(?:million|billion|milion[ie]|miliard[io])"
RULES: tuple[tuple[str, str], ...] = (
    ("law", rf"\b{ACT} (?:(?:del )?\d{{1,2}}°? [a-z]+ \d{{4}},? )?(?:n\. ?)?\d+(?:/\d+)*(?:/(?:CE|UE|CEE))?\b"),
    ("law", r"\b(?:Section|Article|Exhibit|Schedule|[Aa]rticolo|art\.) \d+(?:[.-]\d+)*(?:\([a-z0-9]+\))*"),
    ("amount", rf"(?:US)?[$€£] ?\d[\d.,]*\d(?: {MANY})?\b"),
    ("amount", rf"\b\d[\d.,]* (?:{MANY} (?:di |of )?)?(?:euro|dollars|EUR|USD)\b"),
    ("percent", rf"(?i:\b(?:{TENS} )?(?:percent )?\(\d+(?:[.,]\d+)? ?%\))"),
    ("percent", r"\b\d+(?:[.,]\d+)?(?: ?%| (?:percent|per cento)\b)"),
    ("date", rf"(?i:\b\d{{1,2}}(?:°|º|st|nd|rd|th)? (?:day of )?(?:{MONTHS}),? \d{{4}}\b)"),
    ("date", rf"(?i:\b(?:{MONTHS}) \d{{1,2}},? \d{{4}}\b)"),
    ("date", r"\b\d{1,2}[/.]\d{1,2}[/.](?:19|20)\d{2}\b"),
    ("date", rf"(?i:\b(?:{MONTHS}) (?:19|20)\d{{2}}\b)"),
    ("duration", rf"(?i:\b{COUNT} (?:{UNIT})\b)"),
    ("term", r"(?<=[“«])[^”»“«]{2,60}(?=[”»])"),
    ("term", r"(?<=\")[^\"\n]{2,60}(?=\")"),
    ("name", rf"\b{CAPITAL}(?: (?:{JOINED} )?{CAPITAL})+(?: of \d{{4}})?"),
    ("party", r"(?<=\b[Tt]he\s)[A-Z][a-z]+(?= (?:shall|will|may|must|agrees|acknowledges) )"),
    ("party", r"\b(?:[A-Z]{2,}|[A-Z][a-z]+[A-Z]\w*)(?= \w+(?:a|e|ò|ono|ano) (?:il|lo|la|i|gli|le|un|una|l['’]))"),
    ("name", r"\b(?:[A-Z]{2,6}|[A-Z][a-z]+[A-Z]\w*)\b"),
    ("year", r"(?<![\w/.-])(?:19|20)\d{2}(?![\w/-])"),
)
"""What kind of answer, and how one reads, a space standing for any white space: where two overlap the earlier rule
counts."""
_RULES = tuple((kind, re.compile(rule.replace(" ?", r"\s*").replace(" ", r"\s+"))) for kind, rule in RULES)
_GAP = re.compile(r"\n\s*\n|[^\S\n]{4,}")
_ADDRESS = re.compile(r"\S*(?:://|www\.|@)\S*")
_COMMON_FIRST = frozenset(
    re.findall(r"\w+", "the a an this that these those such any each if in on for il lo la i gli le un una")
)
_TRIMMED = " \t\n\r.,;:!?\"'“”‘’«»()[]{}*`_-–—"
_ALIKE = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "\u00a0": " "})


class Span(NamedTuple):
    """Characters [start, stop) of a text, and the kind of thing that stands there."""

    start: int
    stop: int
    kind: str


def spans(text: str) -> list[Span]:
    """Everything that a rule finds: in order, none within another. What stands in several places of the text is left
    out, but for a party that does something: its verb tells its places apart."""
    found = [Span(*match.span(), "") for match in _ADDRESS.finditer(text)]  # nothing inside an address is an answer
    for kind, rule in _RULES:
        for match in rule.finditer(text):
            span = _trimmed(text, match.start(), match.end(), kind)
            if span and not any(span.start < each.stop and each.start < span.stop for each in found):
                found.append(span)
    flat = _flat(text)[0]
    return [
        each for each in sorted(found) if each.kind and _sound(text, each) and _once(flat, text[each.start : each.stop])
    ]


def located(answer: str, text: str) -> tuple[int, int] | None:
    """Where an answer stands in a text, [start, stop) in the text's own characters: case, white space, forms of
    quotation marks and dashes, and marks around the answer do not count. None where it does not stand, or stands
    in several places."""
    flat, places = _flat(text)
    wanted = _flat(answer)[0].strip(_TRIMMED)
    starts = [*_occurrences(flat, wanted)] if wanted else []
    if len(starts) != 1:
        return None
    return places[starts[0]], places[starts[0] + len(wanted) - 1] + 1


def flattened(text: str) -> str:
    """A text as answers are compared: lower case, single spaces, one form of marks, none at the ends."""
    return _flat(text)[0].strip(_TRIMMED)


def _flat(text: str) -> tuple[str, list[int]]:
    """The text in the form that counts, and for each of its characters where it comes from."""
    signs: list[str] = []
    places: list[int] = []
    for place, sign in enumerate(text):
        plain = unicodedata.normalize("NFKC", sign.translate(_ALIKE)).casefold()
        for each in plain:
            if each.isspace():
                if signs and signs[-1] == " ":
                    continue
                each = " "
            signs.append(each)
            places.append(place)
    return "".join(signs), places


def _occurrences(flat: str, wanted: str) -> Iterator[int]:
    """Where it stands as whole words."""
    edge = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
    yield from (match.start() for match in edge.finditer(flat))


def _once(flat: str, answer: str) -> bool:
    return len([*_occurrences(flat, flattened(answer))]) == 1


def _trimmed(text: str, start: int, stop: int, kind: str) -> Span | None:
    """Without marks at the ends of names and terms; a name also without an article before it, and then it is one only
    if it has two words, or a capital inside."""
    if kind not in ("name", "term"):
        return Span(start, stop, kind)
    part = text[start:stop]
    first = re.match(r"\w+\s+", part)
    if kind == "name" and first and first[0].strip().casefold() in _COMMON_FIRST:
        start += first.end()
        part = part[first.end() :]
        if not re.search(r"\s|\w[A-Z]", part):
            return None
    start += len(part) - len(part.lstrip(_TRIMMED))
    stop -= len(part) - len(part.rstrip(_TRIMMED))
    return Span(start, stop, kind) if stop > start else None


def _sound(text: str, span: Span) -> bool:
    """Not too long, not across a blank line or a table's gap, and no name that is a heading or a sentence's start."""
    answer = text[span.start : span.stop]
    said = answer.split()
    if not 1 <= len(said) <= LONGEST or _GAP.search(answer):
        return False
    if span.kind != "name":
        return any(sign.isalnum() for sign in answer)
    return not (len(said) > 2 and answer.isupper())
