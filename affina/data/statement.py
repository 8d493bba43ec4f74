"""The one SELECT that a database is asked: told from what could change data, and whether its order is fixed."""

import re
from itertools import product

from affina.core.errors import Refused

LITERALS = (r"'(?:[^']|'')*'", r"'(?:[^'\\]|\\.|'')*'")
"""Where a literal ends: databases differ in whether a backslash hides a quote."""
DOLLARS = ("", r"|\$(\w*)\$.*?\$\1\$")
"""PostgreSQL's other literals."""
QUIET = r"""|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/"""
"""Quoted names, and comments."""
READINGS = [re.compile(literal + QUIET + dollar, re.DOTALL) for literal, dollar in product(LITERALS, DOLLARS)]
CHANGES = re.compile(
    r"\b(insert|update|delete|merge|into|drop|alter|create|truncate|grant|revoke|call|exec|execute|attach|copy)\b", re.I
)


def checked(query: str) -> str:
    """The query without its closing semicolon. Raises Refused unless it is a single SELECT, WITH or VALUES that reads.

    The connection is opened for reading only, where the database knows that: this is the second lock on the door.
    """
    if not query.strip():
        raise Refused("the query is empty", instead="write `reader: {name: sql, query: 'select …'}`")
    ends = {_end(_bare(query, reading)) for reading in READINGS}
    if len(ends) > 1 or "/*!" in query:
        why = "where its texts end depends on the database"
        raise Refused("the query cannot be told to be one that only reads", why, "write it without \\, $$ and /*!")
    return query[: ends.pop()].strip()


def ordered(query: str) -> bool:
    """Whether the rows come in an order that the outermost query fixes."""
    plain = _bare(query, READINGS[0])
    while (inner := re.sub(r"\([^()]*\)", " ", plain)) != plain:
        plain = inner
    return re.search(r"\border\s+by\b", plain, re.I) is not None


def _bare(query: str, reading: re.Pattern[str]) -> str:
    """The query with blanks in place of texts, quoted names and comments."""
    return reading.sub(lambda found: " " * len(found[0]), query)


def _end(bare: str) -> int:
    """Where the statement ends. Raises Refused for several, and for one that may change something."""
    end = bare.find(";") if ";" in bare else len(bare)
    if bare[end:].strip("; \t\r\n"):
        raise Refused("the query holds several statements", "one is asked", "leave the others out")
    if not (first := re.match(r"[\s(]*(\w+)", bare)) or first[1].lower() not in ("select", "with", "values"):
        raise Refused("the query is no SELECT", "data are only read here", "begin it with SELECT or WITH")
    if found := CHANGES.search(bare):
        why = f"'{found[0]}' in it is a word of statements that change something"
        raise Refused("the query does more than read", why, 'if it is the name of a column, write it in quotes: "…"')
    return end
