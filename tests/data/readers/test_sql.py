import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import postgres
import pytest

from affina.core.atomic import sha256
from affina.core.errors import Refused
from affina.core.kinds import Reader, Record, readers
from affina.core.recipe import Recipe
from affina.data import scratch
from affina.data.files import listed
from affina.data.prepare import prepare
from affina.data.recognise import readings

TICKETS = "create table tickets (id integer primary key, text, label)"


def database(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def sql(**fields: Any) -> Reader:
    return readers.build({"name": "sql", **fields})


def read(path: Path, **fields: Any) -> list[Record]:
    return list(sql(**fields).records(path))


def test_the_only_table_is_read_in_the_order_of_its_key(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", TICKETS, "insert into tickets values (2, 'due', 'b'), (1, 'uno', 'a')")
    found = read(path)
    assert [record.values for record in found] == [
        {"id": 1, "text": "uno", "label": "a"},
        {"id": 2, "text": "due", "label": "b"},
    ]
    assert [(record.line, record.file) for record in found] == [(1, str(path)), (2, str(path))]
    assert sql().count(path) == 2
    assert sql().look(path) == (sql(table="tickets"), "the table tickets")


def test_a_query_says_what_is_read(tmp_path: Path) -> None:
    path = database(
        tmp_path / "a.db",
        TICKETS,
        "create table other (x)",
        "insert into tickets values (1, '50% :off', null), (2, 'b', 'c')",
    )
    query = (
        "select text as body, id > 1 as late from tickets where text like '%:off' or id = 2 order by id desc; -- all"
    )
    assert [record.values for record in read(path, query=query)] == [
        {"body": "b", "late": 1},
        {"body": "50% :off", "late": 0},
    ]
    assert sql(query=query).count(path) == 2
    assert sql(query=query).look(path)[1] == "the query"
    assert "with ORDER BY rows, and the split, keep their places" in sql(query="select * from tickets").look(path)[1]


def test_several_tables_are_refused_with_their_names(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", TICKETS, "create table other (x)")
    with pytest.raises(Refused, match="it has the tables other, tickets"):
        read(path)
    with pytest.raises(Refused, match="gives no rows: the table is empty"):
        read(path, table="tickets")
    with pytest.raises(Refused, match=r"no table 'ticket': .* did you mean 'tickets'"):
        read(path, table="ticket")
    with pytest.raises(Refused, match="the database says: no such column: texts"):
        read(path, query="select texts from tickets")
    with pytest.raises(Refused, match="two columns called 'id'"):
        read(path, query="select a.id, b.id from tickets a, tickets b")


def test_settings_that_cannot_go_together_are_refused() -> None:
    for fields in ({"query": "select 1", "table": "a"}, {"query": "delete from a"}, {"query": "select 1; select 2"}):
        with pytest.raises(ValueError):
            sql(**fields)


def test_bytes_that_are_no_text_are_a_problem_of_their_row(tmp_path: Path) -> None:
    path = database(
        tmp_path / "a.db", "create table t (a)", "insert into t values ('è'), (x'ff'), (cast(x'ff' as text)), (null)"
    )
    assert [(record.values["a"], bool(record.problem)) for record in read(path)] == [
        ("è", False), (None, True), (None, True), (None, False),
    ]  # fmt: skip


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("text,label\n")
    with pytest.raises(Refused, match="is no database: it does not begin as a SQLite file does"):
        read(tmp_path / "a.db")


def test_a_recipe_trains_on_a_sqlite_address_relative_to_its_folder(tmp_path: Path) -> None:
    rows = ", ".join(f"({n}, 'words of row {n * 7919}', '{'ab'[n % 2]}')" for n in range(40))
    database(tmp_path / "a.db", TICKETS, f"insert into tickets values {rows}")
    data = {"read": "sqlite:///a.db", "reader": {"name": "sql", "query": "select text, label from tickets order by id"}}
    prepared = prepare(Recipe.build({"name": "x", "model": {"base": "smollm2-135m-instruct"}, "data": data}, tmp_path))
    assert sum(map(len, prepared.examples.values())) == 40
    assert prepared.files == {"a.db": sha256(tmp_path / "a.db")}


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with postgres.server() as port:
        yield port


def execute(port: int, *statements: str) -> None:
    import psycopg

    how = {
        "host": "127.0.0.1",
        "port": port,
        "dbname": "postgres",
        "user": "anna.rossi",
        "password": postgres.PASSWORD,
    }
    with psycopg.connect(**how, autocommit=True) as connection:  # type: ignore[arg-type]
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def fetched(address: str, reader: Reader) -> tuple[Path, list[Record]]:
    ((path,), _) = listed([address], Path(), reader)
    (reading,) = readings([path], reader)
    return path, list(reading.records())


@pytest.fixture
def address(server: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DB_USER", "anna.rossi")
    monkeypatch.setenv("DB_PASSWORD", postgres.PASSWORD)
    monkeypatch.setenv("DB_PORT", str(server))
    return "postgresql://${DB_USER}:${DB_PASSWORD}@127.0.0.1:${DB_PORT}/postgres"


@pytest.mark.slow
def test_postgresql_rows_become_plain(address: str, server: int) -> None:
    execute(
        server,
        "drop table if exists kinds",
        "create table kinds (id int primary key, text text, price numeric(9,2), at timestamptz, day date, tags text[],"
        ' extra jsonb, code uuid, raw bytea, ok boolean, share float8, "50%" text)',
        "insert into kinds values (2, 'caffè \U0001f375 100% :now', 12.50, '2024-05-01 09:30:00+00', '2024-05-01',"
        " '{x,null}', '{\"a\": [1, null]}', '00000000-0000-0000-0000-000000000001', 'plain', true, 'NaN', 'x'),"
        " (1, null, null, null, null, null, null, null, '\\xff', null, null, null)",
    )
    path, (first, second) = fetched(address, sql(table="kinds"))
    assert first.problem == "column 'raw' holds 1 bytes that are no text"
    assert second.problem == "" and second.file == address and second.line == 2
    at = second.values.pop("at")
    assert at.startswith("2024-05-01 ") and at.endswith("+00:00")
    assert second.values == {
        "id": 2, "text": "caffè \U0001f375 100% :now", "price": "12.50", "day": "2024-05-01", "tags": ["x", None],
        "extra": {"a": [1, None]}, "code": "00000000-0000-0000-0000-000000000001", "raw": "plain", "ok": True,
        "share": None, "50%": "x",
    }  # fmt: skip
    assert sql(table="kinds").count(path) == 2
    query = "select text from kinds where text like '%100\\% :now' order by id"
    with pytest.raises(ValueError):
        sql(query="with gone as (delete from kinds returning *) select * from gone")
    assert [record.values["text"] for record in fetched(address, sql(query=query))[1]] == ["caffè \U0001f375 100% :now"]


@pytest.mark.slow
def test_postgresql_is_only_read(address: str, server: int) -> None:
    """A function that writes passes for a SELECT: the server itself refuses it."""
    execute(
        server,
        "create table if not exists kept (id int primary key)",
        "insert into kept values (1) on conflict do nothing",
        "create or replace function empties() returns int language sql as 'delete from kept; select 1'",
    )
    with pytest.raises(Refused, match="read-only transaction"):
        fetched(address, sql(query="select empties()"))
    assert [record.values["id"] for record in fetched(address, sql(table="kept"))[1]] == [1]


@pytest.mark.slow
def test_postgresql_streams_in_little_memory(address: str) -> None:
    """300 MB from the server; the process grows by little."""
    query = "select n, repeat(md5(n::text), 32) as text from generate_series(1, 300000) n order by n"
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom affina.core.kinds import readers\n"
        "from affina.data.files import listed\nfrom affina.data.recognise import readings\n"
        "reader = readers.build({'name': 'sql', 'query': sys.argv[2]})\n"
        "listed([sys.argv[1]], Path(), readers.build({'name': 'sql', 'query': 'select 1 as a'}))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "((path,), _) = listed([sys.argv[1]], Path(), reader)\n"
        "(reading,) = readings([path], reader)\n"
        "print(sum(1 for _ in reading.records()), reader.count(path),"
        " (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, address, query], capture_output=True, text=True, timeout=170)
    rows, counted, grown_mib = map(int, done.stdout.split())
    assert rows == counted == 300_000
    assert grown_mib < 64


def assert_nowhere(told: Sequence[str]) -> None:
    for each in told:
        for secret in (postgres.PASSWORD, "p@ss", "w/rd", "p%40ss", "anna.rossi"):
            assert secret not in each


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["password", "user", "port", "database", "query"])
def test_no_error_of_a_real_server_says_a_secret(
    wrong: str, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    query = "select 1 as a"
    if wrong == "password":
        monkeypatch.setenv("DB_PASSWORD", f"{postgres.PASSWORD}x")
    elif wrong == "user":
        monkeypatch.setenv("DB_USER", "anna.rossi.x")
    elif wrong == "port":
        monkeypatch.setenv("DB_PORT", "1")
    elif wrong == "database":
        address = address.replace("/postgres", "/${DB_PASSWORD}")
    else:
        query = "select a from nowhere"
    with caplog.at_level("DEBUG"), pytest.raises(Refused) as error:
        fetched(address, sql(query=query))
    chain: list[BaseException | None] = [error.value]
    while chain[-1] is not None and (chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(chain[-1].__cause__ or (None if chain[-1].__suppress_context__ else chain[-1].__context__))
    assert_nowhere([str(error.value), *map(repr, chain), *caplog.messages])
    assert "the database says" in str(error.value)


@pytest.mark.slow
def test_lock_ledger_cache_and_rows_hold_the_names_and_not_the_values(
    address: str, server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    execute(
        server,
        "drop table if exists tickets",
        "create table tickets (id int primary key, text text, label text)",
        "insert into tickets select n, 'words of row ' || n * 7919, (array['a', 'b'])[n % 2 + 1]"
        " from generate_series(1, 40) n",
    )
    data = {
        "read": [address],
        "reader": {"name": "sql", "table": "tickets"},
        "shape": {"name": "labelled", "text": "text", "label": "label"},
    }
    recipe = Recipe.build({"name": "x", "model": {"base": "smollm2-135m-instruct"}, "data": data}, tmp_path)
    prepared = prepare(recipe)
    prepared.ledger.write(tmp_path)
    assert sum(map(len, prepared.examples.values())) == 40
    told = [json.dumps(recipe.resolved()), recipe.dump(), repr(prepared), *prepared.notes, *prepared.files]
    copies = [
        path.read_text(errors="replace")
        for folder in (tmp_path, scratch.folder())
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert len(copies) > 3 and prepared.ledger.summary()["files"] == {address: 40}
    assert_nowhere([*told, *copies])
    again = prepare(recipe)
    assert again.files == prepared.files
    execute(server, "update tickets set text = 'other words' where id = 1")
    assert prepare(recipe).files != prepared.files
