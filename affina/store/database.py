"""The registry's database: a SQLite file, or PostgreSQL by its address; opened at the last migration, or brought to it.

Every change is one transaction that no other change overlaps. What `${NAME}` in an address stands for is taken from
the environment and never said.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from affina.core.address import WRITTEN_OUT, literal_secret
from affina.core.errors import Refused
from affina.core.login import complete, values_of, without
from affina.store.migrations import STEPS

WAIT_S = 30
"""How long a change waits for the one before it."""
SAID = 300
"""Letters of what a database says that are passed on."""
LOCK = 7_245_318_020_611
"""PostgreSQL's advisory lock that every change takes: any number that nothing else in the database uses."""
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class Database:
    """An open registry database; `address` is as it was given, with the secrets' names."""

    def __init__(self, address: str) -> None:
        if literal_secret(address):
            raise Refused(WRITTEN_OUT.replace("recipe", "setting"))
        self.address = address
        self._values = values_of(address)
        self._engine = self._made()
        self._migrated()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One view of the tables, as they stood when it began. Raises Refused for whatever the database says."""
        with self._told(), self._connected("REPEATABLE READ") as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """One change, whole or not at all, alone. Raises Refused for whatever the database says."""
        # A snapshot that was taken before the lock was had would not show what the change before this one wrote.
        with self._told(), self._connected("READ COMMITTED", changes=True) as connection, connection.begin():
            if self._engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_S}s'")
                connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    def _connected(self, isolation: str, changes: bool = False) -> Connection:
        """SQLite's snapshots are of one kind, PostgreSQL's of that which is named, whatever is usual there."""
        named = {"isolation_level": isolation} if self._engine.dialect.name == "postgresql" else {}
        return self._engine.connect().execution_options(changes=changes, **named)

    def _made(self) -> Engine:
        try:
            url = complete(self.address, self._values)
            if url.get_backend_name() not in ("sqlite", "postgresql"):
                raise Refused(f"{self.address} cannot hold a registry", "it is neither SQLite nor PostgreSQL")
            if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
                raise Refused(f"{self.address} cannot hold a registry", "it names no file, so nothing would be kept")
            if url.drivername in DRIVERS:
                url = url.set(drivername=DRIVERS[url.drivername])
            engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        except (SQLAlchemyError, ModuleNotFoundError, ValueError) as error:
            raise self._refusal(error) from None
        if engine.dialect.name == "sqlite":
            sqlalchemy.event.listen(engine, "connect", _prepared)
            sqlalchemy.event.listen(engine, "begin", _begun)
        return engine

    def _migrated(self) -> None:
        with self._alone():
            with self.reading() as connection:
                step = _step(connection)
            if step == STEPS[-1]:
                return
            if step and step not in STEPS:
                why = f"it stands at the migration '{step}', which this version does not know"
                raise Refused(f"the registry {self.address} cannot be used", why, "use the affina that wrote it")
            with self.changing() as connection:
                if _step(connection) != STEPS[-1]:
                    upgrade(connection)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody looks into a SQLite file while it is made. Its journal's mode, once set, stays with the file."""
        path = self._engine.url.database
        if self._engine.dialect.name != "sqlite" or not path:
            yield
            return
        with self._told(), _writable(Path(f"{path}.lock")).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            raw = self._engine.raw_connection()
            raw.cursor().execute("PRAGMA journal_mode = WAL")
            raw.close()
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise Refused(f"{error.object!a} cannot be kept", "it is no text", "write it in UTF-8") from None
        except (SQLAlchemyError, sqlite3.Error) as error:
            if isinstance(error, IntegrityError):
                raise
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> Refused:
        """What the database says, in a sentence without secrets."""
        what = f"the registry {self.address} cannot be used"
        if isinstance(error, ModuleNotFoundError) and error.name:
            return Refused(f"{what} without {error.name}", instead="pip install 'affina[postgresql]'")
        if isinstance(error, NoSuchModuleError | ValueError):
            return Refused(what, "it is no database's address", "give one such as postgresql://host/registry")
        said = " ".join(str(error.orig if isinstance(error, DBAPIError) and error.orig else error).split())
        return Refused(what, f"the database says: {without(said, self._values)[:SAID]}")


def configuration() -> Any:
    """What Alembic needs to know: where the migrations are."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(connection: Connection) -> None:
    """Runs every migration that the database lacks, inside the connection's own transaction."""
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = configuration()
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, context: Any) -> Any:
        return script._upgrade_revs("head", revision)

    with EnvironmentContext(config, script, fn=steps) as context:
        context.configure(connection=connection, transactional_ddl=False)
        context.run_migrations()


def _step(connection: Connection) -> str:
    """The migration that a database stands at; empty for one without a registry."""
    if not sqlalchemy.inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or "")


def _writable(path: Path) -> Path:
    """The path, its folder made. Raises Refused where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise Refused(f"no registry can be kept in {path.parent}", error.strerror or str(error)) from error
    return path


def _prepared(connection: Any, _: Any) -> None:
    """Transactions are begun by `_begun`, not by the driver, so that tables too are made whole or not at all."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {WAIT_S * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")


def _begun(connection: Connection) -> None:
    changes = connection.get_execution_options().get("changes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if changes else "BEGIN")
