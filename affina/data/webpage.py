"""What a person reads of a web page: its blocks of text without scripts, navigation and lists of links; its tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from affina.data.blocks import Block
from affina.data.library import needing

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

UNSEEN = frozenset(
    re.findall(
        r"\S+",
        """script style noscript template iframe object embed svg canvas video audio head title button select
    textarea input annotation annotation-xml rp datalist dialog frameset map""",
    )
)
"""Elements of which nothing is read."""
AROUND = "nav, aside, menu, header, footer"
"""Elements around what a page is about; a header or footer inside it belongs to it."""
ROLES = frozenset(
    re.findall(r"\S+", "navigation banner contentinfo complementary search menu menubar dialog alertdialog toolbar")
)
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
BLOCKS = frozenset(
    re.findall(
        r"\S+",
        """address article aside blockquote body caption center dd details dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol p pre section summary table
    tbody td tfoot th thead tr ul""",
    )
)
CELLS = frozenset({"td", "th"})
LINKED = 2 / 3
"""The share of a block's letters in links from which it is a link."""
RUN = 3
"""Links that follow one another and are navigation."""
VOID = "area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr"
CLOSED = re.compile(rf"<(?!(?:{VOID})\b)([A-Za-z][\w:.-]*)((?:\s[^<>]*?)?)/>", re.I)
SPACE = re.compile(r"[ \t\r\n\f]+")
WIDEST = 16_384
"""Columns of a table, as many as a spreadsheet has: `colspan` can ask for millions."""


@dataclass
class _Page:
    """Blocks as they are gathered while the page is walked through."""

    blocks: list[tuple[Block, float]] = field(default_factory=list)
    """Each with the share of its letters that stand in links."""
    pieces: list[str] = field(default_factory=list)
    linked: int = 0
    links: int = 0
    """Links that are open here."""
    kept: int = 0
    """Elements open here that keep white space as it stands."""
    mark: str = ""
    """What stands before the next block: that of an item."""
    rows: int = 0
    """Table rows open here: what would be a block in one is not."""

    def add(self, text: str) -> None:
        self.pieces.append(text if self.kept else SPACE.sub(" ", text))
        self.linked += len("".join(text.split())) if self.links else 0

    def close(self, level: int = 0) -> None:
        """What was gathered becomes a block."""
        joined = "".join(self.pieces)
        lines = joined.split("\n")
        text = joined.strip("\n") if self.kept else "\n".join(SPACE.sub(" ", line).strip(" ") for line in lines).strip()
        if text.strip(" |"):
            share = self.linked / max(1, len("".join(text.split())))
            self.blocks.append((Block(len(self.blocks) + 1, self.mark + text, level), share))
            self.mark = ""
        self.pieces, self.linked = [], 0


def parsed(text: str) -> "LexborHTMLParser":
    """The page's tree, by the HTML standard. In XHTML an element may be closed where it opens, which HTML ignores."""
    with needing("reading web pages", "selectolax"):
        from selectolax.lexbor import LexborHTMLParser
    strict = text.lstrip("\ufeff \t\r\n").startswith("<?xml") or "//DTD XHTML" in text[:1000]
    return LexborHTMLParser(CLOSED.sub(r"<\1\2></\1>", text) if strict else text)


def blocks(text: str, whole: bool = False) -> list[Block]:
    """The page's blocks, numbered from 1. `whole` keeps navigation, headers, footers, asides and lists of links."""
    tree = parsed(text)
    body = tree.body
    if body is None:
        return []
    found = _gathered(body if whole else _main(body), whole)
    kept = [block for block, _ in found] if whole else _unlinked(found)
    return [block._replace(line=number) for number, block in enumerate(kept, 1)]


def written_out(text: str, whole: bool) -> tuple[str, bool, bool]:
    """The tree from which the blocks come as HTML in which every element ends, `whole`, and whether it is in an
    article or the like."""
    body = parsed(text).body
    if body is None:
        return "", whole, False
    root = body if whole else _main(body)
    return root.html or "", whole, _enclosed(root)


def tables(text: str) -> list[tuple[list[list[str]], bool]]:
    """Every table without a table in it, as rows of cells, and whether its first row is marked as naming the columns.

    A cell that spans rows or columns stands in each of them.
    """
    body = parsed(text).body
    found = []
    for table in body.css("table") if body is not None else []:
        rows = [row for row in table.css("tr") if any(cell.tag in CELLS for cell in row.iter())]
        if rows and all(inner.mem_id == table.mem_id for inner in table.css("table")):
            first = [cell.tag for cell in rows[0].iter() if cell.tag in CELLS]
            marked = "th" in first and ("td" not in first or len(first) == 1)
            found.append((_grid(rows), marked or bool(table.css("thead tr") and set(first) != {"td"})))
    return found


def _main(body: "LexborNode") -> "LexborNode":
    """The one element that says it holds what the page is about, or the whole page."""
    said = body.css("main, [role=main]")
    if len(said) == 1 and said[0].text().strip():
        return said[0]
    articles = body.css("article")
    if len(articles) == 1 and 2 * len(articles[0].text().split()) > len(body.text().split()):
        return articles[0]
    return body


def _gathered(root: "LexborNode", whole: bool) -> list[tuple[Block, float]]:
    page = _Page()
    around = set() if whole else {node.mem_id for node in root.css(AROUND) if not _within(node)}
    around.discard(root.mem_id)
    for node, opens in _walk(root, around, whole):
        tag = node.tag or ""
        if tag == "-text":
            page.add((node.text_content or "") if opens else "")
        elif tag == "br":
            page.pieces.append("\n" if opens and not page.rows else " ")
        elif tag == "a":
            page.links += 1 if opens else -1
        elif tag in BLOCKS:
            _edge(page, node, tag, opens)
    page.close()
    return page.blocks


def _edge(page: _Page, node: "LexborNode", tag: str, opens: bool) -> None:
    """Where a block begins or ends; in a table's row only cells are told apart."""
    if page.rows and not (tag == "tr" and not opens):
        after = opens and tag in CELLS and "".join(page.pieces).strip()
        page.pieces.append(" | " if after else " ")
        page.rows += 1 if tag == "tr" and opens else 0
        return
    if tag == "tr":
        page.rows += 1 if opens else -1
        if page.rows > 0 and not opens:
            return
    page.close(int(tag[1]) if re.fullmatch("h[1-6]", tag) and not opens else 0)
    if tag == "pre":
        page.kept += 1 if opens else -1
    elif tag == "li":
        page.mark = _mark(node) if opens else ""


def _mark(item: "LexborNode") -> str:
    """What stands before an item of a list."""
    if item.parent is None or item.parent.tag != "ol":
        return "- "
    number, before = 1, item.prev
    while before is not None:
        number, before = number + (before.tag == "li"), before.prev
    return f"{number}. "


def _walk(root: "LexborNode", around: set[int], whole: bool) -> Iterator[tuple["LexborNode", bool]]:
    """Every node as it opens and as it closes, without those that nobody sees; deep pages need no deep stack."""
    node, end = root, root.mem_id
    while True:
        skipped = _unseen(node, whole) or node.mem_id in around
        if not skipped:
            yield node, True
            if (child := node.first_child) is not None:
                node = child
                continue
            yield node, False
        while node.mem_id != end and node.next is None and node.parent is not None:
            node = node.parent
            yield node, False
        if node.mem_id == end or node.next is None:
            return
        node = node.next


def _unseen(node: "LexborNode", whole: bool) -> bool:
    tag = node.tag
    if tag == "-text":
        return False
    if tag is None or tag in UNSEEN or tag.startswith("-"):
        return True
    held = node.attributes
    hidden = "hidden" in held or bool(HIDDEN.search(held.get("style") or ""))
    return hidden or (not whole and ((held.get("role") or "").lower() in ROLES or held.get("aria-hidden") == "true"))


def _within(node: "LexborNode") -> bool:
    """Whether a header or a footer is that of an article, not of the page."""
    return node.tag in ("header", "footer") and _enclosed(node)


def _enclosed(node: "LexborNode") -> bool:
    above = node.parent
    while above is not None:
        if above.tag in ("article", "main", "section"):
            return True
        above = above.parent
    return False


def _unlinked(found: list[tuple[Block, float]]) -> list[Block]:
    """The blocks without those of a run of links."""
    kept: list[Block] = []
    run: list[Block] = []
    for block, share in [*found, (Block(0, ""), 0.0)]:
        if share > LINKED:
            run.append(block)
            continue
        kept += run if len(run) < RUN else []
        run = []
        kept.append(block)
    return kept[:-1]


def _grid(rows: list["LexborNode"]) -> list[list[str]]:
    """Cells by row and column; what spans several is repeated (HTML standard, 4.9.12)."""
    grid: list[list[str]] = []
    below: dict[int, tuple[int, str]] = {}
    for row in rows:
        cells: list[str] = []
        started = dict(below)
        below = {place: (left - 1, text) for place, (left, text) in below.items() if left > 1}
        for cell in (each for each in row.iter() if each.tag in CELLS):
            text = " ".join("\n".join(block.text for block, _ in _gathered(cell, True)).split())
            while len(cells) in started:
                cells.append(started[len(cells)][1])
            for _ in range(min(_span(cell, "colspan"), WIDEST - len(cells))):
                if (rest := _span(cell, "rowspan") - 1) > 0:
                    below[len(cells)] = (rest, text)
                cells.append(text)
        while len(cells) in started:
            cells.append(started[len(cells)][1])
        if cells:
            grid.append(cells)
    return grid


def _span(cell: "LexborNode", name: str) -> int:
    said = cell.attributes.get(name) or "1"
    return max(1, min(int(said), WIDEST)) if said.isascii() and said.isdigit() and len(said) < 9 else 1
