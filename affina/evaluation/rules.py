"""Constraints on an answer that a rule can check: length, form, words, language (as Zhou et al., 2023, do)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from affina.core.errors import Refused, nearest
from affina.data.chunks import sentences
from affina.data.lexicon.languages import Language, language_of

_BULLET = re.compile(r"^\s*[-*•–]\s*\S", re.MULTILINE)
_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*?)\n?```\Z", re.DOTALL)
_QUOTED = re.compile(r"\A(?:\"[^\"\n]+\"|“[^”\n]+”|«[^»\n]+»)\Z")


def kept(answer: str, rules: Sequence[Mapping[str, Any]], where: str) -> list[bool]:
    """Whether the answer keeps each of the rules, {name: argument}. An empty answer keeps none.

    Raises Refused for an unknown rule, or an argument that it cannot take, naming the item.
    """
    found = []
    for rule in rules:
        if not isinstance(rule, Mapping) or len(rule) != 1:
            raise Refused(
                f"a rule is a name with an argument, not {rule!r}", instead="write {words: {most: 20}}", where=where
            )
        ((name, argument),) = rule.items()
        if name not in RULES:
            raise Refused(f"no rule is called '{name}'", instead=nearest(name, [*RULES]), where=where)
        try:
            follows = RULES[name](answer.strip(), argument)  # of an empty answer too: its argument is looked at
            found.append(bool(answer.strip()) and follows)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise Refused(f"the rule '{name}' cannot take {argument!r}", why=str(error), where=where) from error
    return found


def _count(found: int, wanted: Mapping[str, int]) -> bool:
    """`exactly`, `least` and `most`, as far as they are given."""
    if unknown := wanted.keys() - {"exactly", "least", "most"}:
        raise ValueError(f"{', '.join(sorted(unknown))} is none of exactly, least, most")
    if not all(type(each) is int for each in wanted.values()):
        raise TypeError("it needs whole numbers")
    return (
        found == wanted.get("exactly", found)
        and found >= wanted.get("least", found)
        and found <= wanted.get("most", found)
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)


def _list(wanted: Any) -> Sequence[str]:
    """A list, and no text, whose letters would be taken for words."""
    if not isinstance(wanted, list | tuple) or not all(isinstance(each, str) for each in wanted):
        raise TypeError("it needs a list of texts")
    return wanted


def _said(text: str, word: str) -> bool:
    """As a word or words of its own, whatever the letter case; `a|b`: either."""
    return any(re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text, re.IGNORECASE) for each in word.split("|"))


def _bare(text: str) -> str:
    return text.strip(" \n\t.!\"'").casefold()


def _holds(text: str, keys: Sequence[str]) -> bool:
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text)
    except (json.JSONDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and set(keys) <= found.keys()


def _cased(text: str, case: str) -> bool:
    if case not in ("upper", "lower"):
        raise ValueError("it needs upper or lower")
    return any(map(str.isalpha, text)) and text == (text.upper() if case == "upper" else text.lower())


def _quoted(text: str, wanted: bool) -> bool:
    if not isinstance(wanted, bool):
        raise TypeError("it needs true or false")
    return bool(_QUOTED.match(text)) == wanted


def _in(text: str, language: str) -> bool:
    if language not in get_args(Language):
        raise ValueError(f"the languages that it tells apart are {', '.join(get_args(Language))}")
    return language_of(text) == language


RULES: Mapping[str, Callable[[str, Any], bool]] = {
    "words": lambda text, wanted: _count(len(_words(text)), wanted),
    "sentences": lambda text, wanted: _count(len(sentences(text)), wanted),
    "lines": lambda text, wanted: _count(len([line for line in text.splitlines() if line.strip()]), wanted),
    "paragraphs": lambda text, wanted: _count(
        len([part for part in re.split(r"\n\s*\n", text) if part.strip()]), wanted
    ),
    "bullets": lambda text, wanted: _count(len(_BULLET.findall(text)), wanted),
    "case": _cased,
    "contains": lambda text, words: all(_said(text, word) for word in _list(words)),
    "avoids": lambda text, words: not any(_said(text, word) for word in _list(words)),
    "avoids signs": lambda text, signs: not set(signs) & set(text),
    "starts": lambda text, words: text.startswith(words),
    "ends": lambda text, words: text.endswith(words),
    "matches": lambda text, wanted: _bare(text) == _bare(wanted),
    "one of": lambda text, wanted: _bare(text) in {_bare(each) for each in _list(wanted)},
    "quoted": _quoted,
    "json": lambda text, keys: _holds(text, _list(keys)),
    "language": _in,
}
"""Each by its name in a bank: the answer, without white space around it, and what the rule asks."""
