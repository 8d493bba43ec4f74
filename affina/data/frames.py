"""Questions made from a sentence by rule: its answer taken out and asked for (overgenerate, then rank: Heilman & Smith
2010). A rule applies where the words around the answer leave no doubt of what it is; a model judges what comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from affina.data.chunks import SHORTENED
from affina.data.spans import MONTHS
from affina.data.wording import FUNCTION

LONGEST = 28
"""Words of a question, at most."""
AUXILIARY = r"(?:shall|will|may|must|can|is|are|was|were|has|have|had)"
DETERMINER = r"(?:(?:il|lo|la|i|gli|le|un|uno|una|ogni|ciascun|ciascuna)\b|l['’]|un['’])"
_MEANS = re.compile(
    r"\s*[\"”»]?,?\s*(?:means|shall mean|is defined as)[:,]?\s+"
    r"(?!(?:any|all|as|each|either|and|that|with|within|without|if|in|the following)\b)",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"\s*\([^()]{0,40}\)")
_CLAUSE = re.compile(r"[,;:(]|\s[-–—]\s|\.(?=\s|$)")
_SHORT = re.compile(r"\s*[\"”»]?\s*\((?:(?:the|di seguito|il|la)\s+)?[\"“«]?(?P<short>[A-Z][\w-]{1,14})[\"”»]?\)")
_MARKUP = re.compile(r"\*+|`+|\\(?=\s)|(?<!\w)_+|_+(?!\w)")
_SUM = re.compile(
    r"\s+(?:(?:the|a|an)\s+)?(?:(?:total|lump|gross|aggregate|additional)\s+)?(?:sum|amount|payment)(?:\s+equal)?\s+(?:of|to)$"
)
_SUBJECT = re.compile(
    r"(?:[Tt]he|[Tt]his|[Tt]hese|[Aa]ll|[Aa]ny|[Ee]ach|[Ee]very|you|we|he|she|it|[A-ZÀ-Þ][\w&’'-]*)(?:\s+(?!that\b|which\b|and\b|or\b)[A-Za-zÀ-ÿ&’'-]+){0,6}"
)
BEHIND = {
    ("duration", "within"): "Within what time",
    ("duration", "for"): "For how long",
    ("duration", "for up to"): "For how long",
    ("date", "on"): "On what date",
    ("date", "by"): "By what date",
    ("date", "until"): "Until what date",
    ("date", "before"): "Before what date",
    ("date", "after"): "After what date",
    ("date", "through"): "Until what date",
    ("date", "as of"): "As of what date",
    ("date", "effective"): "From what date",
    ("year", "in"): "In what year",
    ("law", "under"): "Under which provision",
    ("law", "pursuant to"): "Pursuant to which provision",
    ("law", "in accordance with"): "In accordance with which provision",
    ("name", "by"): "By whom",
    ("amount", ""): "What amount",
}
"""What is asked instead of a preposition and the answer behind it, in English; "": the answer is a verb's object."""
DAVANTI = {
    ("date", "entro"): "Entro quando",
    ("date", "entro il"): "Entro quale data",
    ("date", "dal"): "Da quale data",
    ("date", "il"): "In quale data",
    ("date", "da"): "Da quando",
    ("date", "fino al"): "Fino a quale data",
    ("date", "a"): "Quando",
    ("date", "nel"): "Quando",
    ("date", "a partire da"): "A partire da quando",
    ("date", "a partire dal"): "A partire da quale data",
    ("date", "in data"): "In quale data",
    ("year", "nel"): "In quale anno",
    ("year", "entro il"): "Entro quale anno",
    ("year", "dal"): "Da quale anno",
    ("duration", "entro"): "Entro quanto tempo",
    ("duration", "per"): "Per quanto tempo",
    ("law", "ai sensi del"): "Ai sensi di quale norma",
    ("law", "ai sensi della"): "Ai sensi di quale norma",
    ("law", "ai sensi dell'"): "Ai sensi di quale norma",
    ("law", "in attuazione del"): "In attuazione di quale norma",
    ("law", "dal"): "Da quale norma",
    ("law", "dalla"): "Da quale norma",
    ("law", "dall'"): "Da quale norma",
    ("name", "da"): "Da chi",
    ("name", "dal"): "Da chi",
    ("name", "dalla"): "Da chi",
    ("name", "dall'"): "Da chi",
}
"""The same in Italian."""
_NO_SUBJECT = frozenset(
    re.findall(
        r"\w+",
        "if when where which that who and or but unless as provided upon in to notwithstanding such there it this",
    )
)
_LEADS_ON = re.compile(
    rf"\b(?:the|any|these) following\b|\bas follows\b|\bthe same\b|[\"“”«»]|\b(?:{MONTHS})\s\d{{1,2}}\?$", re.IGNORECASE
)
"""A list to come, a term that is only quoted, or a date whose year was cut off."""
_NOBODY = frozenset(re.findall(r"\w+", "neither each any such no either both"))
_HANGING = frozenset(re.findall(r"\w+", "pursuant prior relating subsequent unless except equal according due subject"))
_ATTACHED = frozenset(re.findall(r"\w+", "of after following from before by per"))


class Place(NamedTuple):
    """A sentence around an answer, all on single spaces."""

    before: str
    answer: str
    after: str
    kind: str

    @classmethod
    def of(cls, text: str, start: int, stop: int, kind: str) -> Place:
        """A stretch of a sentence, marks of markup left out."""
        before, after = (_MARKUP.sub("", each) for each in (text[:start], text[stop:]))
        spaced = [" ".join(each.split()) for each in (before, text[start:stop], after)]
        behind = " " if before[-1:].isspace() and spaced[0] else ""
        ahead = " " if after[:1].isspace() and spaced[2] else ""
        return cls(spaced[0] + behind, spaced[1], ahead + spaced[2], kind)


def framed(place: Place, tongue: str) -> list[str]:
    """The questions that the rules find, none twice."""
    rules = (
        _defined,
        _short,
        *((_english_subject, _english_behind) if tongue == "en" else (_italian_subject, _italian)),
    )
    found = dict.fromkeys(_whole(question) for rule in rules for question in rule(place, tongue))
    return [each for each in found if len(each.split()) <= LONGEST and _ends_well(each)]


def _ends_well(question: str) -> bool:
    """Not on a word that something must follow, nor on a list's beginning."""
    last = re.split(r"[\s'’]", question.rstrip("?"))[-1].casefold()
    hanging = len(last) < 2 or last in _HANGING or last in SHORTENED or not set(".<([").isdisjoint(last)
    hanging = hanging or any(last in known for known in FUNCTION.values()) or question.count("(") != question.count(")")
    return not hanging and not _LEADS_ON.search(question)


def _whole(question: str) -> str:
    plain = " ".join(question.split()).rstrip(" ,;:.-–—")
    return f"{plain[:1].upper()}{plain[1:]}?"


def _defined(place: Place, tongue: str) -> Iterator[str]:
    """“TERM” means the inability of … → Which term means the inability of …"""
    if tongue != "en" or place.kind != "term" or not (means := _MEANS.match(place.after)):
        return
    meaning = _first_clause(place.after[means.end() :])
    if len(meaning.split()) >= 6:
        yield f"Which term means {meaning}"


def _short(place: Place, tongue: str) -> Iterator[str]:
    """Long Name (SHORT): what it is short for, where the initials agree."""
    if place.kind != "name" or not (found := _SHORT.match(place.after)) or not _initials(place.answer, found["short"]):
        return
    short = found["short"]
    yield f"Which name is abbreviated as {short}" if tongue == "en" else f"Che cosa significa la sigla {short}"


def _initials(name: str, short: str) -> bool:
    """Whether the capitals of the short form are the initials of the name's capitalised words, all of them in order."""
    capitals = [sign for sign in short if sign.isupper()]
    return len(capitals) > 1 and capitals == [word[0] for word in re.split(r"[\s’']", name) if word[:1].isupper()]


def _english_subject(place: Place, tongue: str) -> Iterator[str]:
    """NAME shall … → Who shall …"""
    verb = re.match(rf"\s+(?:{AUXILIARY}|agrees|acknowledges|represents|warrants)\s+(?!not\b|mean\b)", place.after)
    nobody = place.answer.partition(" ")[0].casefold() in _NOBODY
    if (
        place.kind in ("name", "party")
        and verb
        and not nobody
        and re.fullmatch(r"(?:\([a-z0-9]+\)|\d[\d.]*)?\s*(?:the\s+)?", place.before, re.IGNORECASE)
    ):
        yield f"Who {_first_sentence(place.after)}"


def _english_behind(place: Place, tongue: str) -> Iterator[str]:
    """SUBJECT shall DO within TIME of X → Within what time of X shall SUBJECT DO?"""
    clause = _BRACKETS.sub("", re.split(r"[;:]\s|\)\s", place.before)[-1]).strip()
    found = re.match(rf"(?P<subject>.{{1,60}}?)\s+(?P<verb>{AUXILIARY})\s+(?P<middle>.*)$", f"{clause} ")
    if not found or not _SUBJECT.fullmatch(found["subject"]):
        return
    subject, verb, middle = found["subject"], found["verb"], found["middle"].strip()
    if re.search(rf"\b(?:{AUXILIARY})\b", middle):  # a second clause: what the answer belongs to is in doubt
        return
    if subject == "I" or subject.split()[0].casefold() in _NO_SUBJECT or _CLAUSE.search(middle):
        return
    rest = _first_clause(place.after)
    for (kind, preposition), asked in BEHIND.items():
        if kind != place.kind:
            continue
        if not preposition:
            done = _SUM.sub("", middle)
            if done.split() and not any(done.split()[-1].casefold() in known for known in FUNCTION.values()):
                yield f"{asked} {verb} {_lowered(subject, tongue)} {done} {rest}"
            continue
        behind = re.fullmatch(rf"(?P<done>.*\S)\s+{preposition}(?:\s+the)?", middle)
        if behind and (kind != "name" or _passive(verb, behind["done"])):
            attached = rest if rest.split()[:1] and rest.split()[0].casefold() in _ATTACHED else ""
            yield f"{asked} {attached} {verb} {_lowered(subject, tongue)} {behind['done']}"


def _passive(verb: str, done: str) -> bool:
    """Whether something is done by somebody: “is administered”, “shall be promptly paid”."""
    told = done.split()
    by_be = verb in ("is", "are", "was", "were") and len(told) <= 3
    return (by_be or (told[0] == "be" and len(told) <= 4)) and told[-1].endswith(("ed", "en", "id", "ade", "ought"))


def _italian_subject(place: Place, tongue: str) -> Iterator[str]:
    """Il NAME realizza una … → Chi realizza una …"""
    if place.kind not in ("name", "party") or not re.fullmatch(
        rf"(?:[-•]\s*)?(?:{DETERMINER})?\s*", place.before, re.IGNORECASE
    ):
        return
    verb = re.match(rf"\s+(?P<verb>\w+(?:a|e|ò|à|rà))\s+{DETERMINER}", place.after)
    if verb and verb["verb"] not in FUNCTION["it"]:
        yield f"Chi {_first_sentence(place.after)}"


def _italian(place: Place, tongue: str) -> Iterator[str]:
    """Entro DATE le PA adottano … → Entro quando le PA adottano …; the answer may stand at the end too."""
    for (kind, preposition), asked in DAVANTI.items():
        if kind != place.kind:
            continue
        edge = "" if preposition.endswith("'") else r"\s+"
        word = re.escape(preposition).replace("'", "['’]")
        if re.fullmatch(rf"(?:[-•]\s*)?{word}{edge}", place.before, re.IGNORECASE):
            rest = place.after.lstrip(" ,:-–—")
            if re.match(DETERMINER, rest, re.IGNORECASE):
                yield f"{asked} {_lowered(_first_sentence(rest), tongue)}"
            continue
        found = re.fullmatch(rf"(?P<done>{DETERMINER}.*\S)\s+{word}{edge}", place.before, re.IGNORECASE)
        if found and re.fullmatch(r"\s*[.;]?\s*", place.after) and not _CLAUSE.search(found["done"]):
            yield f"{asked} {_lowered(found['done'], tongue)}"


def _first_clause(text: str) -> str:
    """Up to the first mark of punctuation, short notes in brackets left out."""
    return _CLAUSE.split(_BRACKETS.sub("", text), maxsplit=1)[0].strip()


def _first_sentence(text: str) -> str:
    """Up to the first semicolon, colon, dash or stop."""
    return re.split(r"[;:]|\s[-–—]\s|\.(?=\s|$)", text, maxsplit=1)[0].strip()


def _lowered(text: str, tongue: str) -> str:
    """Without the capital of a sentence's beginning, where the first word is one that says nothing."""
    first = re.split(r"[\s'’]", text, maxsplit=1)[0]
    return text[:1].lower() + text[1:] if first.casefold() in FUNCTION[tongue] else text
