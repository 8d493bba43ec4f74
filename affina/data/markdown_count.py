"""How many paragraphs a stretch of Markdown holds, by its lines and the marks they begin with: no parser is asked."""

import re
from collections.abc import Iterable

from affina.data.linecount import whole_lines

EMPTY = re.compile(r"[ \t]*$")
RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
FENCE = re.compile(r" {0,3}(?:(?P<ticks>`{3,})[^`]*|(?P<tildes>~{3,}).*)$")
INDENTED = re.compile(r" {0,3}\t| {4}")
ITEM = re.compile(r" {0,3}(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$)")
ODD = re.compile(r"^(?![ \t]+$)[^\S\n]+$", re.M)
"""A line that looks blank and is none: it is not settled whether it is a paragraph."""
QUOTATION = re.compile(r" {0,3}>")
NAMES = re.findall(
    r"\S+",
    """address article aside base basefont blockquote body caption center col colgroup dd details dialog dir div dl
dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html iframe legend li link
main menu menuitem nav noframes ol optgroup option p param search section summary table tbody td tfoot th thead title
tr track ul""",
)
TAG = (
    r"(?:[A-Za-z][\w-]*(?:\s+[\w:][\w.:-]*(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+))?)*\s*/?>|/[A-Za-z][\w-]*\s*>)"
)
MARKUP = tuple(
    (re.compile(rf" {{0,3}}<{begin}", re.I), re.compile(end, re.I))
    for begin, end in (
        (r"(?:script|pre|style|textarea)(?:\s|>|$)", r"</(?:script|pre|style|textarea)>"),
        ("!--", "-->"),
        (r"\?", r"\?>"),
        (r"!\[CDATA\[", r"\]\]>"),
        ("![A-Za-z]", ">"),
        (rf"/?(?:{'|'.join(NAMES)})(?:\s|/?>|$)", r"^[ \t]*$"),
        (rf"{TAG}\s*$", r"^[ \t]*$"),
    )
)
"""How a block of HTML begins, and what is in its last line or is the line after it (CommonMark 0.31, 4.6)."""
DEFINITION = re.compile(
    r" {0,3}\[(?=[^\]]*\S)(?:[^\[\]\\]|\\.)+\]:[ \t]*(?:\n[ \t]*)?(?:<[^<>\n]*>|[^ \t\n<][^ \t\n]*)"
    r"(?:(?:[ \t]+|[ \t]*\n[ \t]*)(?:\"(?:(?!\n[ \t]*\n)[^\"\\]|\\.)*\"|'(?:(?!\n[ \t]*\n)[^'\\]|\\.)*'"
    r"|\((?:(?!\n[ \t]*\n)[^()\\]|\\.)*\)))?[ \t]*\n",
    re.S,
)
"""Of a link (CommonMark 0.31, 4.7)."""


def count_blocks(text: Iterable[str]) -> int:
    """Paragraphs, headings, lists, tables, quotations and blocks of code; not rules, HTML and definitions of links.

    The stretch begins where a block does, or a blank line. A list and a block of indented code go to its end.
    """
    lines = "".join(whole_lines(text)).split("\n")
    found = at = 0
    while at < len(lines):
        if EMPTY.match(lines[at]) or RULE.match(lines[at]):
            at += 1
        elif (after := _unread(lines, at)) > at:
            at = after
        else:
            found, at = found + 1, _after(lines, at)
    return found


def _unread(lines: list[str], at: int) -> int:
    """The line after the HTML or the definition that begins here; this line where none does."""
    for begins, ends in MARKUP:
        if begins.match(lines[at]):
            last = next((line for line in range(at, len(lines)) if ends.search(lines[line])), len(lines))
            return last + 1
    if not lines[at].lstrip(" ").startswith("["):
        return at
    stop = next((line for line in range(at + 1, len(lines)) if _interrupts(lines[line])), len(lines))
    found = DEFINITION.match("\n".join([*lines[at:stop], ""]))
    return at + (found.group().count("\n") if found else 0)


def _interrupts(line: str) -> bool:
    """Whether another block begins here, where a definition of a link may go on."""
    if INDENTED.match(line):
        return False
    signs = (EMPTY, HEADING, RULE, FENCE, ITEM, QUOTATION, *(begins for begins, _ in MARKUP[:-1]))
    return any(sign.match(line) for sign in signs)


def _after(lines: list[str], at: int) -> int:
    """The line after the block that begins here."""
    first = lines[at]
    if INDENTED.match(first) or ITEM.match(first):
        return len(lines)
    if fence := FENCE.match(first):
        sign = fence["ticks"] or fence["tildes"]
        closes = re.compile(rf" {{0,3}}{sign}{sign[0]}*[ \t]*$")
        return next((line for line in range(at + 1, len(lines)) if closes.match(lines[line])), len(lines)) + 1
    if HEADING.match(first):
        return at + 1
    ends = (line for line in range(at + 1, len(lines)) if EMPTY.match(lines[line]) or HEADING.match(lines[line]))
    return next(ends, len(lines))
