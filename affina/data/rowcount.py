"""How many rows delimited text has, by one regular expression over chunks of it: the second count of what is read."""

import re
from collections.abc import Iterable

from affina.data.delimited import LONGEST_LINES, LONGEST_TEXT, Form
from affina.data.lines import ENDS

END = r"(?:\r\n|\n|\r)"


def count_rows(chunks: Iterable[str], form: Form) -> int:
    """Rows that are neither blank nor comments, malformed ones included: each is one physical line. `chunks` never end
    between a \\r and its \\n."""
    pattern = _pattern(form)
    rows, text = 0, ""
    for chunk in chunks:
        found, left = _counted(pattern, text + chunk, last=False)
        rows, text = rows + found, left
    return rows + _counted(pattern, text, last=True)[0]


def _counted(pattern: re.Pattern[str], text: str, last: bool) -> tuple[int, str]:
    """The rows of the text, and the rest of it that may belong to a row which goes on."""
    rows, at, size = 0, 0, len(text)
    while at < size:
        for match in pattern.finditer(text, at):
            kind, stop = match.lastgroup, match.end()
            goes_on = stop == size and not last and (kind == "open" or not text.endswith(ENDS))
            if goes_on and not (kind == "open" and _too_long(text, match.start(), stop)):
                return rows, text[match.start() :]
            if kind == "row" and stop - match.start() <= LONGEST_LINES:
                rows += 1
            elif kind == "open" or (kind == "row" and _too_long(text, match.start(), stop)):
                at = _after_line(text, match.start())
                rows += 1
                break
            elif kind in ("row", "bad"):
                rows += 1
            at = stop
    return rows, ""


def _too_long(text: str, start: int, stop: int) -> bool:
    """Whether the row has more lines, or being of several more characters, than one may have."""
    lines = len(re.findall(END, text[start:stop]))
    lines += not text[start:stop].endswith(ENDS)
    return lines > LONGEST_LINES or (lines > 1 and stop - start > LONGEST_TEXT)


def _after_line(text: str, start: int) -> int:
    end = re.compile(END).search(text, start)
    return end.end() if end else len(text)


def _pattern(form: Form) -> re.Pattern[str]:
    """Alternatives at a row's start: blank, a comment, a row, a row whose end is not in sight, a malformed line."""
    separator, quote, escape = (re.escape(sign) for sign in (form.separator, form.quote, form.escape))
    space = " *+" if form.padded else ""
    bare = rf"[^{separator}\r\n{escape}]*+"
    plain = bare + (rf"(?:{escape}.{bare})*+" if escape else "")
    begun = rf"{plain}(?:{escape}|(?<=[\r\n]))" if escape else ""  # behind an escaped line end a row goes on
    cell = plain
    if quote:
        held = f"[^{quote}{escape}]*+"
        inside = rf"{quote}{held}(?:(?:{quote}{quote}{f'|{escape}.' if escape else ''}){held})*+"
        cell = rf"{space}(?:{inside}{quote}|(?!{quote}){plain})"
        begun = "|".join(
            filter(None, [inside + (f"{escape}?" if escape else ""), f"(?!{quote}){begun}" if begun else ""])
        )
        begun = f"{space}(?:{begun})"
    comment = rf"(?P<comment>{re.escape(form.comment)}[^\r\n]*+(?:{END}|\Z))|" if form.comment else ""
    opened = rf"|(?P<open>(?:{cell}{separator})*+{begun}\Z)" if begun else ""
    return re.compile(
        rf"{comment}(?P<blank>(?:(?!{separator})[^\S\r\n])*+(?:{END}|\Z))"
        rf"|(?P<row>{cell}(?:{separator}{cell})*+(?:{END}|(?<![\r\n])\Z))"
        rf"{opened}|(?P<bad>[^\r\n]*+(?:{END}|\Z))",
        re.DOTALL,
    )
