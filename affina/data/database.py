"""Databases by their SQLAlchemy address: opened for reading only, asked one query, streamed; secrets never said.

What `${NAME}` stands for is taken from the environment when connecting, goes into the connection and nowhere else:
errors are told with the names in place of the values.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from affina.core.address import WRITTEN_OUT, literal_secret
from affina.core.errors import Refused, nearest
from affina.core.login import complete, values_of, without

ROWS = 256
"""Rows that are fetched at a time."""
SAID = 300
"""Letters of what a database says that are passed on."""
EXTRAS = {"psycopg": "'affina[postgresql]'"}
"""What is installed for a driver, where that is not the driver's own name."""


@dataclass(frozen=True)
class Answer:
    """What a query gives: its columns, and the rows as they come."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def opened(address: str) -> Iterator[Connection]:
    """A connection that reads. Raises Refused, also inside, for whatever the database or its driver says."""
    if literal_secret(address):
        raise Refused(WRITTEN_OUT)
    values = values_of(address)
    try:
        engine, connection = _connected(address, values)
        with _closing(engine, connection, address, values):
            yield connection
    except Refused as refused:
        refused.__context__ = None  # what it was told from holds the secrets
        raise


@contextmanager
def opened_file(path: Path) -> Iterator[Connection]:
    """A connection that reads a SQLite file. Raises Refused as `opened` does."""
    _refuse_cut_off(path)
    waiting = path.with_name(f"{path.name}-wal")
    if waiting.exists() and waiting.stat().st_size:
        why = f"{waiting.name} beside it holds changes that are not in the file yet"
        raise Refused(f"{path} is being written", why, "close the program that writes it, or give a copy of it")
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True)
        connection.text_factory = _text
        connection.execute("pragma query_only = on")
        connection.execute("pragma trusted_schema = off")
        return connection

    engine = sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=sqlalchemy.NullPool)
    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        raise _told(str(path), {}, error) from error
    with _closing(engine, connection, str(path), {}):
        yield connection


def ask(connection: Connection, statement: str) -> Answer:
    """Starts a checked statement; its rows are streamed from the server."""
    reading = connection.execution_options(stream_results=True, yield_per=ROWS, no_parameters=True)
    result = reading.exec_driver_sql(statement)
    return Answer(list(result.keys()), (tuple(row) for row in result))


def count(connection: Connection, statement: str) -> int | None:
    """How many rows a checked statement gives, counted by the database; None for one that cannot count such a query."""
    if connection.dialect.name == "mssql":
        return None  # it takes no ORDER BY and no WITH inside
    counting = connection.execution_options(no_parameters=True)
    return int(counting.exec_driver_sql(f"select count(*) from (\n{statement}\n) counted_rows").scalar() or 0)


def tables(connection: Connection) -> list[str]:
    """The tables and views of the schema one is in, sorted."""
    inspector = sqlalchemy.inspect(connection)
    return sorted([*inspector.get_table_names(), *inspector.get_view_names()])


def whole(connection: Connection, table: str) -> str:
    """The statement for all of a table, in the order of its key if it has one. Raises Refused for an unknown table."""
    names = tables(connection)
    if table not in names:
        instead = nearest(table, names) if names else "it has none"
        raise Refused(f"there is no table '{table}'", "one of another schema takes a `query`", instead)
    quoted = connection.dialect.identifier_preparer.quote
    key = sqlalchemy.inspect(connection).get_pk_constraint(table)["constrained_columns"]
    return f"select * from {quoted(table)}" + (f" order by {', '.join(map(quoted, key))}" if key else "")


def _refuse_cut_off(path: Path) -> None:
    """Raises Refused for a SQLite file with fewer pages than its header says: SQLite itself would read zeros there."""
    with path.open("rb") as file:
        header, size = file.read(100), file.seek(0, 2)
    if len(header) < 100:
        raise Refused(f"{path} is cut off", f"it has {size} bytes", "fetch it again")
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    told = header[24:28] == header[92:96]  # else the number of pages is an older one (sqlite.org, File Format, 1.3.7)
    if told and size < pages * (1 << 16 if page == 1 else page):
        raise Refused(f"{path} is cut off", f"its header says {pages:,} pages, and its {size:,} bytes hold fewer")


def _connected(address: str, values: Mapping[str, str]) -> tuple[Engine, Connection]:
    """Raises Refused for whatever goes wrong: any error's text may hold a secret."""
    try:
        engine = sqlalchemy.create_engine(complete(address, values), poolclass=sqlalchemy.NullPool)
        return engine, _reading(engine)
    except Exception as error:
        raise _told(address, values, error) from None


def _reading(engine: Engine) -> Connection:
    connection = engine.connect()
    if engine.dialect.name == "postgresql":  # one view of the data for the count and for the rows
        return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return connection


@contextmanager
def _closing(engine: Engine, connection: Connection, address: str, values: Mapping[str, str]) -> Iterator[None]:
    """Undoes whatever was done, and tells what the database says without the secrets."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _told(address, values, error) from None
    finally:
        connection.close()
        engine.dispose()


def _told(address: str, values: Mapping[str, str], error: Exception) -> Refused:
    """What went wrong, in a sentence without secrets."""
    scheme = address.partition("://")[0]
    if isinstance(error, ModuleNotFoundError) and error.name:
        instead = f"pip install {EXTRAS.get(error.name, error.name)}"
        return Refused(f"reading {address} needs {error.name}", instead=instead)
    if isinstance(error, NoSuchModuleError):
        why = f"'{scheme}' is no database that SQLAlchemy knows" if scheme != address else "it is no database's address"
        return Refused(f"{address} cannot be read", why, "files are read from this machine: fetch them first")
    said = " ".join(str(error.orig if isinstance(error, DBAPIError) and error.orig else error).split())
    return Refused(f"{address} cannot be read", f"the database says: {without(said, values)[:SAID]}")


def _text(held: bytes) -> str | bytes:
    """SQLite keeps any bytes as text: those that are not are told apart from what is."""
    try:
        return held.decode("utf-8")
    except UnicodeDecodeError:
        return held
