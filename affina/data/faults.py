"""What is wrong with texts although they can be read: counted while they pass, each kind with its first place."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Problem(NamedTuple):
    """Something a person should know: its kind in a word or two, where it is met first, how often, a sentence."""

    kind: str
    file: str
    line: int
    times: int
    sentence: str


WRONG = "[\x80-\xbf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018-\u201d\u2022"
WRONG += "\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]"
"""What continues a UTF-8 sequence, as cp1252 shows it."""
KINDS = {
    "mojibake": re.compile(
        f"[\u00c2-\u00c5]{WRONG}|(?:[\u00ce-\u00d1]{WRONG}){{2}}|\u00e2\u20ac{WRONG}?|\u00e2{WRONG}{WRONG}"
    ),
    "lost letters": re.compile("\N{REPLACEMENT CHARACTER}"),
    "control characters": re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
    "half characters": re.compile("[\ud800-\udfff]"),
    "boilerplate": re.compile(r"\*\*\* ?START OF TH(?:E|IS) PROJECT GUTENBERG", re.IGNORECASE),
    "markup": re.compile(
        r"</?(?:p|br|div|span|a|b|i|em|strong|ul|ol|li|table|tr|td|h[1-6]|img|script)\b[^<>]*>|&(?:amp|lt|gt|quot|nbsp|#\d+);"
    ),
}
ANY = re.compile("|".join(each.pattern for each in KINDS.values()))
MEANS = {
    "mojibake": "letters decoded with the wrong table ({shown}): `clean` mends them",
    "lost letters": "letters that an earlier program replaced by \N{REPLACEMENT CHARACTER}: look for a better copy",
    "control characters": "control characters: `clean` takes them out",
    "half characters": "half of a character, which no file can hold as UTF-8: mend these rows",
    "boilerplate": "Project Gutenberg's header and licence: `clean` takes them out",
    "markup": "HTML ({shown}): read the pages themselves, or strip it, unless it is to be learnt",
}
AROUND = 12
RARE = 10
"""Rows of a class below which it is called rare: three splits leave too few of them to measure."""
MAJORITY = 0.9


class Faults:
    """The faults of texts met so far."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()
        self._first: dict[str, tuple[str, int, str]] = {}

    def look(self, text: str, file: str, line: int) -> None:
        """One more text, whose row stands there."""
        if not ANY.search(text):
            return
        for kind, pattern in KINDS.items():
            if place := pattern.search(text):
                self._times[kind] += 1
                shown = text[max(0, place.start() - AROUND) : place.end() + AROUND].strip()
                self._first.setdefault(kind, (file, line, shown))

    def problems(self, texts: int) -> Iterator[Problem]:
        """One for each kind that was met, the commonest first."""
        for kind, times in self._times.most_common():
            file, line, shown = self._first[kind]
            means = MEANS[kind].format(shown=repr(shown))
            yield Problem(kind, file, line, times, f"{times:,} of {texts:,} texts hold {means}")


def of_classes(counts: Mapping[str, int]) -> Iterator[Problem]:
    """What is wrong with how often classes occur, and with their names."""
    rows = sum(counts.values())
    if len(counts) == 1:
        only = next(iter(counts))
        yield Problem("one class", "", 0, rows, f"every row is '{only}': there is nothing to tell apart, add others")
        return
    common = max(counts, key=lambda name: counts[name], default="")
    if rows and counts[common] > MAJORITY * rows:
        share = f"{100 * counts[common] / rows:.1f} %"
        told = f"{share} of the rows are '{common}': always answering so looks right, measure F1 too"
        yield Problem("imbalance", "", 0, counts[common], told)
    rare = [name for name, times in counts.items() if times < RARE]
    if rare:
        named = ", ".join(f"'{name}' ({counts[name]})" for name in rare[:5])
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        what = f"{len(rare)} of {len(counts)} classes have fewer than {RARE} rows: {named}{more}"
        yield Problem("rare classes", "", 0, len(rare), what)
    spelt: dict[str, list[str]] = {}
    for name in counts:
        spelt.setdefault(re.sub(r"[\W_]+", " ", name).strip().casefold(), []).append(name)
    for alike in spelt.values():
        if len(alike) > 1 and alike[0].strip():
            told = " and ".join(f"'{name}'" for name in alike[:3])
            yield Problem("spelling", "", 0, len(alike), f"{told} are two classes: are they meant to be one?")
