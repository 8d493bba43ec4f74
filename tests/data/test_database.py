import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy

from affina.core.errors import Refused
from affina.core.login import complete
from affina.data import database

PASSWORD = "p@ss:w/rd ?#'\\é%41"


def rows(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements or (
        "create table rows (id integer primary key, text)",
        "insert into rows values (2, 'b'), (1, 'a')",
    ):
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def test_a_file_is_opened_for_reading_only(tmp_path: Path) -> None:
    path = rows(tmp_path / "a %41 ?#'.db")
    with database.opened_file(path) as connection:
        assert list(database.ask(connection, "select text from rows order by id").rows) == [("a",), ("b",)]
        assert database.count(connection, "select text from rows -- all") == 2
    for statement in ("delete from rows", "create table x (y)", "pragma query_only = off", "vacuum into '/tmp/x.db'"):
        with pytest.raises(Refused), database.opened_file(path) as connection:
            connection.exec_driver_sql(statement)
            connection.exec_driver_sql("delete from rows")
    with database.opened_file(path) as connection:
        assert database.count(connection, "select * from rows") == 2


def test_a_table_is_read_by_its_key_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    path = rows(
        tmp_path / "a.db", 'create table "my rows" (b, a, "order", primary key (b, "order"))', "create table loose (a)",
        "create view seen as select * from loose",
    )  # fmt: skip
    with database.opened_file(path) as connection:
        assert database.tables(connection) == ["loose", "my rows", "seen"]
        assert database.whole(connection, "my rows") == 'select * from "my rows" order by b, "order"'
        assert database.whole(connection, "seen") == "select * from seen"
        with pytest.raises(Refused, match=r"no table 'loos': .* did you mean 'loose'"):
            database.whole(connection, "loos")


def test_text_that_is_none_comes_as_bytes(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.db", "create table t (a)", "insert into t values (cast(x'fffe' as text)), ('é')")
    with database.opened_file(path) as connection:
        assert list(database.ask(connection, "select a from t").rows) == [(b"\xff\xfe",), ("é",)]


def test_a_file_with_changes_beside_it_is_refused(tmp_path: Path) -> None:
    writing = sqlite3.connect(tmp_path / "a.db")
    writing.execute("pragma journal_mode = wal")
    writing.execute("create table t (a)")
    with pytest.raises(Refused, match=r"is being written: a\.db-wal beside it holds changes"):
        database.opened_file(tmp_path / "a.db").__enter__()
    writing.close()
    with database.opened_file(tmp_path / "a.db") as connection:
        assert database.tables(connection) == ["t"]


def test_a_damaged_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.db")
    whole = path.read_bytes()
    assert len(whole) == 8192
    path.write_bytes(whole[:4096] + bytes(4096))
    said = "the database says: database disk image is malformed"
    with pytest.raises(Refused, match=said), database.opened_file(path) as connection:
        list(database.ask(connection, "select * from rows").rows)
    for size in (50, 5000, 8191):
        path.write_bytes(whole[:size])
        with pytest.raises(Refused, match="is cut off"):
            database.opened_file(path).__enter__()


def test_values_go_into_the_address_whatever_their_signs() -> None:
    values = {"U": "an:na@x", "P": PASSWORD, "H": "host", "N": "5433", "D": "my d?b/x", "O": "a b&c"}
    made = complete("postgresql://${U}:${P}@${H}:${N}/${D}?application_name=${O}", values)
    assert (made.username, made.password, made.host, made.port) == ("an:na@x", PASSWORD, "host", 5433)
    assert (made.database, made.query) == ("my d?b/x", {"application_name": "a b&c"})
    assert complete("${A}", {"A": "sqlite:///x.db"}).database == "x.db"


def test_a_name_that_is_not_set_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_USER", "anna")
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    with pytest.raises(Refused, match=r"DB_PASSWORD is not set in the environment\. set it: export DB_PASSWORD=…"):
        database.opened("postgresql://${DB_USER}:${DB_PASSWORD}@host/db").__enter__()


def failing(monkeypatch: pytest.MonkeyPatch, fail: Callable[[sqlalchemy.URL], Exception], address: str) -> str:
    """All that a person, a log or a traceback could show of a connection that fails so."""

    def connect(url: sqlalchemy.URL, **settings: object) -> object:
        raise fail(url)

    monkeypatch.setattr(database.sqlalchemy, "create_engine", connect)
    with pytest.raises(Refused) as error:
        database.opened(address).__enter__()
    shown = "".join(traceback.format_exception(error.value))
    chain: list[BaseException | None] = [error.value, error.value.__cause__, error.value.__context__]
    return shown + "".join(map(repr, chain))


@pytest.mark.parametrize("form", ["{0}", "{0!r}", "password={0}", "postgresql://x:{1}@host/db", "{2}"])
def test_whatever_is_raised_says_no_secret(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_USER", "anna.rossi")
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://anna.rossi:{database.quote(PASSWORD, safe='')}@host/db")

    def said(url: sqlalchemy.URL) -> str:
        return form.format(url.password, database.quote(url.password or "", safe=""), url)

    errors: list[Callable[[sqlalchemy.URL], Exception]] = [
        lambda url: ValueError(said(url)),
        lambda url: sqlalchemy.exc.OperationalError("select 1", {}, Exception(said(url))),
        lambda url: ConnectionError(said(url)),
        lambda url: sqlalchemy.exc.ArgumentError(said(url)),
    ]
    for address in ("postgresql://${DB_USER}:${DB_PASSWORD}@host/db", "${DATABASE_URL}"):
        for error in errors:
            shown = failing(monkeypatch, error, address)
            for secret in (PASSWORD, repr(PASSWORD)[1:-1], database.quote(PASSWORD, safe=""), "w/rd", "anna.rossi"):
                assert secret not in shown
            assert address in shown


def test_a_secret_too_short_to_be_replaced_silences_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P", "ab")
    shown = failing(monkeypatch, lambda url: ValueError("about ab"), "postgresql://u:${P}@host/db")
    assert "cannot be repeated, since the value of P is in it" in shown and "about" not in shown


def test_a_missing_driver_and_an_unknown_database_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Refused, match=r"needs psycopg. pip install 'affina\[postgresql\]'"):
        database.opened("postgresql://host/db").__enter__()
    with pytest.raises(Refused, match=r"needs MySQLdb\. pip install"):
        database.opened("mysql://host/db").__enter__()
    for address in ("https://host/a.csv", "s3://bucket/a.csv"):
        with pytest.raises(Refused, match=r"is no database that SQLAlchemy knows\. files are read from this machine"):
            database.opened(address).__enter__()
    with pytest.raises(Refused, match=r"Write `\$\{DB_PASSWORD\}`"):
        database.opened("postgresql://u:geheim@host/db").__enter__()
