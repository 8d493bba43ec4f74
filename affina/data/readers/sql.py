"""Databases: one record per row of a query or a table, of a SQLite file or of a server's answer copied to a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from pydantic import model_validator
from sqlalchemy.engine import Connection

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import database
from affina.data.allowance import Allowance, damage
from affina.data.plain import record, refuse_unnamed
from affina.data.statement import checked, ordered

SQLITE = b"SQLite format 3\0"
COPY = b'{"affina": "rows of a database"'
"""How a copy of what a server gave begins: its first line is an object, every other one a row."""


class Sql(Reader):
    """A query, or a whole table. `data.read` names a SQLite file or an address such as
    `postgresql://${DB_USER}:${DB_PASSWORD}@host/db`, whose secrets come from the environment."""

    suffixes: ClassVar[tuple[str, ...]] = (".sqlite", ".sqlite3", ".db", ".db3")

    query: str = ""
    """One SELECT; with ORDER BY, so that rows keep their places."""
    table: str = ""
    """A table or view to read whole, where there is no query; the only one there is when both are left out."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Sql:
        if self.query and self.table:
            raise ValueError("give `query` or `table`, not both")
        if self.query:
            try:
                checked(self.query)
            except Refused as error:
                raise ValueError(str(error)) from error
        return self

    def look(self, path: Path) -> tuple[Sql, str]:
        """This reader with the table filled in, and whether the order of rows is fixed."""
        if _begins(path, COPY):
            head = _head(path)
            return Sql(query=self.query, table=self.table or head["table"]), head["told"]
        with _opened(path) as connection:
            settled, statement = self._settled(connection)
            return settled, settled._said(statement)

    def count(self, path: Path) -> int | None:
        """What the database itself counted."""
        if _begins(path, COPY):
            counted: int | None = _head(path)["count"]
            return counted
        with _opened(path) as connection:
            return database.count(connection, self._settled(connection)[1])

    def records(self, path: Path) -> Iterator[Record]:
        """Every row in order; its line is its number. Raises Refused for no database and for no rows."""
        number = 0
        for found in self._copied(path) if _begins(path, COPY) else self._asked(path):
            number += 1
            yield found
        if not number:
            raise Refused(f"{path} gives no rows", why=f"{'the query' if self.query else 'the table'} is empty")

    def fetch(self, address: str, into: Path) -> None:
        """Copies the answer of a server, counted and read in one view of its data. Raises Refused as `records` does."""
        spending = Allowance(address)
        with database.opened(address) as connection, damage(address, spending), into.open("xb") as file:
            settled, statement = self._settled(connection)
            rows = database.count(connection, statement)
            answer = database.ask(connection, statement)
            refuse_unnamed(answer.columns, address, "give each column a name of its own with AS")
            head = {"affina": "rows of a database", "columns": answer.columns, "count": rows}
            lines: Iterator[Any] = (_held(answer.columns, values) for values in answer.rows)
            for line in chain([{**head, "table": settled.table, "told": settled._said(statement)}], lines):
                written = f"{json.dumps(line)}\n".encode("ascii")
                spending.spend(len(written))
                file.write(written)

    def _settled(self, connection: Connection) -> tuple[Sql, str]:
        """This reader with its table, and the statement. Raises Refused where it is not clear what to read."""
        if self.query:
            return self, checked(self.query)
        names = database.tables(connection)
        if not self.table and len(names) != 1:
            raise Refused(
                "it is not said which rows of the database are wanted",
                why=f"it has the tables {', '.join(names)}" if names else "it has no tables",
                instead="write `reader: {name: sql, query: 'select … order by …'}` or `table:` under `data`",
            )
        settled = Sql(table=self.table or names[0])
        return settled, database.whole(connection, settled.table)

    def _said(self, statement: str) -> str:
        what = "the query" if self.query else f"the table {self.table}"
        loose = "in whatever order the database gives: with ORDER BY rows, and the split, keep their places"
        return what if ordered(statement) else f"{what}, {loose}"

    def _asked(self, path: Path) -> Iterator[Record]:
        with _opened(path) as connection:
            answer = database.ask(connection, self._settled(connection)[1])
            refuse_unnamed(answer.columns, str(path), "give each column a name of its own with AS")
            for number, values in enumerate(answer.rows, 1):
                yield record(answer.columns, values, str(path), number)

    def _copied(self, path: Path) -> Iterator[Record]:
        with path.open(encoding="utf-8") as file:
            columns = json.loads(file.readline())["columns"]
            for number, line in enumerate(file, 1):
                found = json.loads(line)
                values, problem = (found["row"], found["problem"]) if isinstance(found, dict) else (found, "")
                yield Record(dict(zip(columns, values, strict=True)), str(path), number, problem)


def _held(columns: Sequence[str], values: Iterable[Any]) -> Any:
    """A row as a line of the copy: its values, and what is wrong with them if something is."""
    found = record(columns, values, "", 0)
    row = [*found.values.values()]
    return {"row": row, "problem": found.problem} if found.problem else row


def _opened(path: Path) -> Any:
    """A connection to a SQLite file. Raises Refused for any other file."""
    if not _begins(path, SQLITE):
        size = path.stat().st_size
        why = "it does not begin as a SQLite file does" if size else "it holds no bytes"
        raise Refused(f"{path} is no database", why, "name a SQLite file, or an address such as postgresql://host/db")
    return database.opened_file(path)


def _begins(path: Path, mark: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError as error:
        raise Refused(f"{path} cannot be read", why=error.strerror or str(error)) from error


def _head(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return json.loads(file.readline())
