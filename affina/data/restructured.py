"""reStructuredText as blocks of readable text: no file is inserted, nothing raw is let through, and what docutils does
not know (Sphinx's roles and directives) is read for its words."""

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any, NamedTuple

from affina.data.blocks import Block, By
from affina.data.library import needing

SAFE = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 6,
    "warning_stream": False,
    "traceback": True,  # else docutils prints an error and ends the process
    "_disable_config": True,  # no file of settings on this machine changes what is read
    "doctitle_xform": False,
    "docinfo_xform": False,
    "syntax_highlight": "none",
    "line_length_limit": 1 << 27,
    "input_encoding": "unicode",
}
DEEPEST = 8
"""How deep directives that docutils does not know may stand in one another."""
UNREAD = frozenset(
    re.findall(
        r"\S+", "comment substitution_definition target pending meta decoration system_message image raw transition"
    )
)
VERBATIM = frozenset(["literal_block", "doctest_block", "math_block"])
LINES = frozenset(
    re.findall(r"\S+", "paragraph attribution caption rubric subtitle term classifier field_name title option_group")
)
LISTS = frozenset(["bullet_list", "enumerated_list"])
NOTICES = frozenset(["attention", "caution", "danger", "error", "hint", "important", "note", "tip", "warning"])
LOST = re.compile(
    r'Unknown directive type|Error in "|Malformed table|Inconsistent title|A level \d+ section|Title level|'
    r"Unexpected section title|Incomplete section title|Missing matching|Error parsing content block",
)
"""Messages beside which the source that could not be understood is all that is left of it."""
DIRECTIVE = re.compile(r"^\s*\.\.\s+(?:\|[^|]*\|\s+)?([\w:.+-]+?)\s*::[ \t]*(.*)$")
OPTION = re.compile(r"^\s*:[\w-]+:(?:\s|$)")
WORDLESS = frozenset(
    re.findall(
        r"\S+",
        """toctree index include raw literalinclude contents image highlight tabularcolumns currentmodule module
    csv-table-file only-file automodule autoclass autofunction automethod graphviz uml meta role default-role
    sectnum unicode youtube video bibliography tags""",
    )
)
"""Directives of which nothing is read."""
CODE = frozenset(
    re.findall(r"\S+", "code code-block sourcecode parsed-literal prompt ipython doctest testcode math mermaid")
)
SAID = frozenset(
    re.findall(
        r"\S+",
        """versionadded versionchanged deprecated topic rubric admonition sidebar note tip seealso todo warning
    important hint caution danger attention error centered glossary epigraph pull-quote tab dropdown card""",
    )
)
"""Directives whose argument is read: it is a sentence or a title."""
ROLE = re.compile(r"^(?::[\w:+.-]+:)?`(.*)`(?::[\w:+.-]+:)?_{0,2}$", re.S)
POINTING = re.compile(r"^(.+?)\s*<[^<>]*>$", re.S)


class _Directive(NamedTuple):
    name: str
    argument: str
    body: str


def blocks(text: str, depth: int = 0) -> list[Block]:
    """The document's blocks, each with the line where it begins, as near as docutils tells: lines never go back."""
    with needing("reading reStructuredText", "docutils"):
        from docutils.core import publish_doctree
    found: list[Block] = []
    for block in _inside(publish_doctree(text, settings_overrides=SAFE), 0, depth):
        found.append(block._replace(line=max(block.line, found[-1].line if found else 1)))
    return found


def counted(text: str, by: By) -> int:
    """How many records the document holds: its sections are gone through one by one, not one in the other."""
    with needing("reading reStructuredText", "docutils"):
        from docutils import nodes
        from docutils.core import publish_doctree
    document = publish_doctree(text, settings_overrides=SAFE)
    kinds = ""
    for part in [document, *document.findall(nodes.section)]:
        for child in part.children:
            if child.tagname == "title" and part is not document:
                kinds += "h" if _words(child) else ""
            elif child.tagname != "section":
                found = [block for block in _of(child, part.tagname, 1, 0) if block.text.strip()]
                kinds += "".join("h" if block.level else "p" for block in found)
    return len(re.findall("h+p*|^p+", kinds)) if by == "section" else len(kinds)


def _inside(node: Any, level: int, depth: int) -> Iterator[Block]:
    """Blocks of what is in a node; `level` sections are open around it, `depth` unknown directives."""
    for child in node.children:
        yield from _of(child, node.tagname, level, depth)


def _of(node: Any, within: str, level: int, depth: int) -> Iterator[Block]:
    name, line = node.tagname, _line(node)
    if name == "section":
        yield from _inside(node, level + 1, depth)
    elif name == "title" and within == "section":
        yield Block(line, _words(node), level)
    elif name == "system_message":
        yield from _rescued(node, level, depth)
    elif name in UNREAD:
        return
    elif name in VERBATIM:
        yield Block(line, node.astext())
    elif name in LINES:
        yield Block(line, _words(node))
    elif name == "line_block":
        yield Block(line, "\n".join(_verses(node)))
    elif name in LISTS:
        yield from _items(node, level, depth)
    elif name == "table":
        yield Block(line, _table(node))
    else:
        mark = f"{name.capitalize()}: " if name in NOTICES else _label(node)
        yield from _marked(_inside(node, level, depth), mark)


def _items(node: Any, level: int, depth: int) -> Iterator[Block]:
    """A block for each item, with what is in it: paragraphs a blank line apart, lists in it line by line."""
    for number, item in enumerate(node.children, node.get("start", 1)):
        mark = f"{number}. " if node.tagname == "enumerated_list" else "- "
        lines: list[str] = []
        for child in item.children:
            told = [block.text for block in _of(child, "list_item", level, depth)]
            lines += [""] if lines and told and child.tagname not in LISTS else []
            lines += [line for text in told for line in text.split("\n")]
        indented = [f"{' ' * len(mark)}{line}" if line else "" for line in lines]
        yield Block(_line(item), mark + "\n".join(indented).strip())


def _marked(found: Iterator[Block], mark: str) -> Iterator[Block]:
    for number, block in enumerate(found):
        yield block._replace(text=mark + block.text) if number == 0 else block


def _label(node: Any) -> str:
    """Of a footnote, its number; of a definition or a field, nothing: its term is a block of its own."""
    labels = [child for child in node.children if child.tagname == "label"]
    if labels:
        node.remove(labels[0])
        return f"[{labels[0].astext()}] "
    return ""


def _table(node: Any) -> str:
    """A line for each row, cells apart by bars."""
    rows = []
    for row in node.findall(lambda each: each.tagname == "row"):
        cells = [" ".join(" ".join(block.text for block in _inside(cell, 0, 0)).split()) for cell in row.children]
        rows.append(" | ".join(cells))
    titles = [_words(child) for child in node.children if child.tagname == "title"]
    return "\n".join([*titles, *rows])


def _verses(node: Any, indent: int = 0) -> Iterator[str]:
    for child in node.children:
        if child.tagname == "line_block":
            yield from _verses(child, indent + 2)
        else:
            yield " " * indent + _words(child)


def _words(node: Any) -> str:
    """The words of a paragraph, as one line."""
    return " ".join("".join(_pieces(node)).split())


def _pieces(node: Any) -> Iterator[str]:
    for child in node.children:
        name = child.tagname
        if name == "#text":
            yield child.astext()
        elif name == "problematic":
            yield _role(child.astext())
        elif name in ("footnote_reference", "citation_reference"):
            yield f"[{child.astext()}]"
        elif name not in UNREAD or name == "target":
            yield from _pieces(child)


def _role(written: str) -> str:
    """The words of a role that docutils does not know; anything else as it is written."""
    found = ROLE.match(written)
    if found is None:
        return written
    pointing = POINTING.match(found[1])
    return pointing[1] if pointing else found[1].lstrip("~!")


def _line(node: Any) -> int:
    """Where a node begins, from the nearest of those in it that docutils gives a line; 1 where none has one."""
    if node.line:
        return int(node.line)
    return next((int(each.line) for each in node.findall() if getattr(each, "line", None)), 1)


def _rescued(message: Any, level: int, depth: int) -> Iterator[Block]:
    """The words of what docutils did not understand: it left its source beside the message."""
    source = next((child.astext() for child in message.children if child.tagname == "literal_block"), "")
    if not source or not LOST.search(message.children[0].astext()):
        return
    line = int(message.get("line", 1))
    directive = _directive(source)
    if directive is None:
        yield Block(line, re.sub(r"^([=\-`:.'\"~^_*+#])\1+\s*$", "", source, flags=re.M).strip())
    elif directive.name in CODE:
        yield Block(line, directive.body)
    elif directive.name not in WORDLESS:
        argument = directive.argument if directive.name in SAID else ""
        inside = "\n\n".join(part for part in (argument, directive.body) if part)
        if depth < DEEPEST:
            yield from (
                Block(line, block.text, block.level and level + block.level) for block in blocks(inside, depth + 1)
            )
        elif inside:
            yield Block(line, inside)


def _directive(source: str) -> _Directive | None:
    """Name, argument and body of a directive's source; None for what is none."""
    lines = source.split("\n")
    found = DIRECTIVE.match(lines[0])
    if found is None:
        return None
    rest = dedent("\n".join(lines[1:])).split("\n")
    while rest and rest[0].strip() and not OPTION.match(rest[0]):
        found_more = rest.pop(0)  # an argument goes on until its options or a blank line
        lines[0] += f" {found_more.strip()}"
    while rest and OPTION.match(rest[0]):
        rest.pop(0)
        while rest and rest[0].startswith(" "):
            rest.pop(0)
    argument = (DIRECTIVE.match(lines[0]) or found)[2]
    return _Directive(found[1].rpartition(":")[2].lower(), argument.strip(), "\n".join(rest).strip("\n"))
