"""The same sentence in another order: clauses, adverbs of time, questions; Italian, English, by signs that are sure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

from affina.data.lexicon.words import Edit, listed

Form = Literal["clauses", "adverbs", "questions"]
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_CLAUSES = {
    "it": ("quando", "se", "mentre", "dopo che", "prima che", "appena", "non appena", "sebbene", "benché", "anche se",
           "siccome", "finché", "ogni volta che", "qualora"),
    "en": ("when", "if", "while", "although", "though", "because", "after", "before", "unless", "until", "once",
           "whenever", "as soon as", "even if"),
}  # fmt: skip
_ADVERBS = {
    "it": ("ieri", "oggi", "domani", "stamattina", "stasera", "ieri sera", "la settimana scorsa", "il mese scorso"),
    "en": ("yesterday", "today", "tomorrow", "this morning", "last night", "last week", "last month"),
}
_QUESTIONS: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "it": (
        (re.compile(r"^Come posso (?=\w+(?:re|rmi|rlo|rla|rli|rle)\b)"), "In che modo posso "),
        (re.compile(r"^In che modo posso (?=\w+(?:re|rmi|rlo|rla|rli|rle)\b)"), "Come posso "),
        (re.compile(r"^Posso (?=\w+re\b)"), "È possibile "),
        (re.compile(r"^È possibile (?=\w+re\b)"), "Si può "),
        (re.compile(r"^Come si fa (?:a|ad) (?=\w+re\b)"), "Come posso "),
        (re.compile(r"^Vorrei sapere (?=(?:come|quando|dove|perché|quanto|chi)\b)"), "Mi potete dire "),
    ),
    "en": (
        (re.compile(r"^How do I (?=[a-z])"), "How can I "),
        (re.compile(r"^How can I (?=[a-z])"), "In what way can I "),
        (re.compile(r"^Can I (?=(?!not\b|please\b|also\b|still\b|just\b|even\b|have to\b)[a-z])"), "Am I able to "),
        (re.compile(r"^Can you tell me (?=(?:how|when|where|why|what|who)\b)"), "Could you tell me "),
        (re.compile(r"^I want to know (?=(?:how|when|where|why|what|who|if)\b)"), "I would like to know "),
    ),
}
_SHORT = 8  # words of a statement in which an adverb of time at the end belongs to the verb
_OPENINGS = listed(
    """
    il lo la i gli le un una uno l' un' non ho ha abbiamo hanno è sono si ci mi ti vi the a an my your his her
    its our their this that these those it he she we they you there what how why where who can could do does did
    is are was were will would should have has had please
    """
)
"""What can begin a sentence and is written small elsewhere."""


def variants(text: str, language: str, forms: tuple[Form, ...]) -> list[tuple[Edit, ...]]:
    """Each sentence that can be ordered otherwise, as one edit."""
    rules: dict[Form, Callable[[str, str], Iterator[str]]] = {
        "clauses": _clauses,
        "adverbs": _adverbs,
        "questions": _questions,
    }
    found: list[tuple[Edit, ...]] = []
    for match in _SENTENCE.finditer(text):
        lead = len(match.group()) - len(match.group().lstrip())
        sentence = match.group().strip()
        start = match.start() + lead
        for form in forms:
            found += [
                (Edit(start, start + len(sentence), new),) for new in rules[form](sentence, language) if new != sentence
            ]
    return found


def _clauses(sentence: str, language: str) -> Iterator[str]:
    """*A, when B.* → *When B, A.*, and back. The one comma shows where the clause begins, and that it is no indirect
    question; the sign at the end stays there."""
    body, end = _parted(sentence)
    first, comma, second = body.partition(", ")
    if not comma or "," in second or any(sign in body for sign in ';:()"«»'):
        return
    if _begins(second, language) and (small := _small(first)):
        yield f"{_capital(second)}, {small}{end}"
    elif _begins(first, language) and _clause_alone(second, language):
        yield (
            f"{_capital(second)} {_decapitalised(first)}{end}"
            if language == "en"
            else (f"{_capital(second)}, {_decapitalised(first)}{end}")
        )


def _clause_alone(clause: str, language: str) -> bool:
    """Whether a main clause can stand first: it does not begin by pointing back (*then*, *allora*)."""
    word = clause.split(" ", 1)[0].lower()
    return word not in ("then", "allora", "e", "ma", "and", "but", "or", "o") and not _begins(clause, language)


def _adverbs(sentence: str, language: str) -> Iterator[str]:
    """*A yesterday.* → *Yesterday A.*: a statement of one clause with an adverb of time at its end."""
    body, end = _parted(sentence)
    if (
        end.endswith("?")
        or "," in body
        or len(body.split()) > _SHORT
        or any(f" {each} " in f" {body.lower()} " for each in _joins(language))
    ):
        return
    for adverb in sorted(_ADVERBS[language], key=len, reverse=True):
        if body.lower().endswith(f" {adverb}") and (small := _small(body[: -len(adverb) - 1])):
            yield f"{_capital(adverb)} {small}{end}"
            return


def _questions(sentence: str, language: str) -> Iterator[str]:
    for pattern, new in _QUESTIONS[language]:
        if sentence.endswith("?") and (match := pattern.match(sentence)):
            yield new + sentence[match.end() :]


def _joins(language: str) -> tuple[str, ...]:
    """What shows that a sentence has more than one clause."""
    more = (
        ("che", "e", "ma", "o", "perché", "di")
        if language == "it"
        else ("that", "and", "but", "or", "which", "who", "to")
    )
    return (*_CLAUSES[language], *more)


def _begins(clause: str, language: str) -> bool:
    return clause.lower().startswith(tuple(f"{each} " for each in _CLAUSES[language]))


def _parted(sentence: str) -> tuple[str, str]:
    body = sentence.rstrip(".!?")
    return body, sentence[len(body) :]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _decapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _small(clause: str) -> str:
    """A clause that stood first as it stands inside a sentence; empty where its first word may be a name."""
    word = re.split(r"(?<=['’])|\s", clause, maxsplit=1)[0]
    if word in ("I", "I'm", "I've", "I'd", "I'll") or clause[:1].islower():
        return clause
    return _decapitalised(clause) if word.lower().replace("’", "'") in _OPENINGS else ""
