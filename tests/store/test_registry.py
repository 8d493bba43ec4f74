"""The registry's laws, on SQLite and on a real PostgreSQL server."""

import getpass
import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import postgres
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from affina.core.errors import Refused
from affina.store import audit, tables
from affina.store import database as databases
from affina.store.database import Database
from affina.store.lineage import Node
from affina.store.migrations import STEPS
from affina.store.place import Place, located
from affina.store.registry import Registry
from affina.store.versions import Version, all_of

RACE = """
import sys, time
from affina.core.errors import Refused
from affina.store.place import Place
registry = Place(sys.argv[1], sys.argv[2], by="anna").open()
version = registry.version(sys.argv[3])
seen = registry.live("intents")
print("ready", flush=True)
sys.stdin.readline()
try:
    print("won", registry.promote(version, "live", seen).name)
except Refused as refused:
    print("lost", refused)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with postgres.server() as port:
        yield port


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A registry of its own."""
    if request.param == "sqlite":
        return Place(tmp_path, by="anna")
    port = request.getfixturevalue("server")
    monkeypatch.setenv("DB_PASSWORD", postgres.PASSWORD)
    name = "r" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
    at = sqlalchemy.URL.create("postgresql+psycopg", "anna.rossi", postgres.PASSWORD, "127.0.0.1", port, "postgres")
    engine = sqlalchemy.create_engine(at, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return Place(tmp_path, f"postgresql://anna.rossi:${{DB_PASSWORD}}@127.0.0.1:{port}/{name}", by="anna")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def add(registry: Registry, number: int, verdict: str = "promote", override: str = "") -> Version:
    """Version `number` of `intents`, of a run of its own on the same data."""
    run, release = Node("run", digest(f"run {number}"), f"run-{number}"), digest(f"release {number}")
    pairs = [(Node("data", digest("data"), "a.csv"), run), (run, Node("release", release))]
    known = {"digest": release, "run": run.label, "verdict": verdict, "override": override}
    return registry.add("intents", known, pairs)


def stages(registry: Registry) -> dict[int, str]:
    return {each.number: each.stage for each in registry.versions("intents")}


def directly(place: Place, statement: str) -> Any:
    """What a program says that goes around the registry."""
    opened = Database(place.address)
    with opened._engine.connect().execution_options(changes=True) as connection, connection.begin():
        result = connection.exec_driver_sql(statement)
        return result.fetchall() if result.returns_rows else None


def test_a_version_goes_from_candidate_to_live_and_back(place: Place) -> None:
    registry = place.open()
    first, second = add(registry, 1), add(registry, 2)
    assert (first.name, second.name, first.stage) == ("intents@1", "intents@2", "candidate")
    registry.promote(second, "canary", None)
    registry.promote(first, "live", None)
    assert stages(registry) == {1: "live", 2: "canary"}
    registry.promote(second, "live", first)
    assert stages(registry) == {1: "retired", 2: "live"}
    stands = registry.live("intents")
    assert stands is not None and place.of(stands) == place.folder / "intents" / second.digest[:16]
    registry.rollback("intents", second, "worse on Mondays")
    assert stages(registry) == {1: "live", 2: "retired"}
    with pytest.raises(Refused, match=r"intents@1 replaced nothing: no version was live before it"):
        registry.rollback("intents", registry.version("intents@1"))
    assert [entry["action"] for entry in registry.log()] == ["release", "release", *3 * ["promote"], "rollback"]
    assert registry.log("intents@1")[-1]["detail"]["reason"] == "worse on Mondays"


def test_the_same_artefact_is_the_same_version(place: Place) -> None:
    registry = place.open()
    assert add(registry, 1) == add(registry, 1)
    assert len(registry.log()) == 1


def test_a_canary_that_another_takes_the_place_of_is_a_candidate_again(place: Place) -> None:
    registry = place.open()
    first, second = add(registry, 1), add(registry, 2)
    registry.promote(first, "canary", None)
    registry.promote(second, "canary", first)
    assert stages(registry) == {1: "candidate", 2: "canary"}


@pytest.mark.parametrize("verdict", ["reject", "not enough data"])
def test_what_was_not_found_better_is_promoted_only_with_a_reason_that_is_kept(place: Place, verdict: str) -> None:
    registry = place.open()
    version = add(registry, 1, verdict)
    for stage in ("canary", "live"):
        with pytest.raises(Refused, match=rf"verdict on intents@1 is: {verdict}: it can only be a candidate"):
            registry.promote(version, stage, None)
    done = registry.promote(version, "live", None, "the customer asked for it")
    assert (done.override, done.override_by) == ("the customer asked for it", "anna")
    assert registry.log()[-1]["detail"]["override"] == "the customer asked for it"


def test_an_override_given_with_the_release_counts(place: Place) -> None:
    registry = place.open()
    done = registry.promote(add(registry, 1, "reject", "agreed with the customer"), "live", None)
    assert (done.stage, done.override_by) == ("live", "anna")


def test_a_promotion_waits_for_the_approvals_of_others(place: Place) -> None:
    registry = place.open()
    version = add(registry, 1)
    registry.require(2)
    with pytest.raises(Refused, match=r"anna: who released a version does not approve it"):
        registry.approve("intents@1")
    for number, name in enumerate(("bea", "carlo")):
        with pytest.raises(Refused, match=rf"lacks approval: 2 people must approve it, and {number} did"):
            registry.promote(version, "live", None)
        other = Place(place.root, place.registry, name).open()
        other.approve("intents", "looked at fifty answers")
        with pytest.raises(Refused, match=rf"{name} has approved intents@1 already"):
            other.approve("intents@1")
    assert registry.promote(version, "live", None).stage == "live"
    assert [each["by"] for each in registry.approvals(version)] == ["bea", "carlo"]


def test_the_database_itself_allows_one_live_version(place: Place) -> None:
    registry = place.open()
    registry.promote(add(registry, 1), "live", None)
    add(registry, 2)
    with pytest.raises(DBAPIError, match=r"(?i)unique"):
        directly(place, "UPDATE versions SET stage = 'live'")
    with pytest.raises(DBAPIError, match=r"(?i)check"):
        directly(place, "UPDATE versions SET stage = 'alive' WHERE number = 2")
    assert stages(registry) == {1: "live", 2: "candidate"}


@pytest.mark.parametrize("statement", ["UPDATE audit SET \"by\" = 'bea'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_audit_log_only_grows(place: Place, statement: str) -> None:
    registry = place.open()
    add(registry, 1)
    with pytest.raises(DBAPIError, match="append-only" if place.registry or "TRUNC" not in statement else "syntax"):
        directly(place, statement)
    assert len(registry.log()) == 1


def test_replacing_an_entry_is_refused_on_sqlite(tmp_path: Path) -> None:
    place = Place(tmp_path)
    add(place.open(), 1)
    with pytest.raises(DBAPIError, match="append-only"):
        directly(place, "INSERT OR REPLACE INTO audit SELECT * FROM audit")


def test_tampering_that_goes_around_the_database_shows(tmp_path: Path) -> None:
    place = Place(tmp_path, by="anna")
    registry = place.open()
    for number in (1, 2, 3):
        add(registry, number)
    assert registry.tampered == ""
    for trigger in ("update", "delete"):
        directly(place, f"DROP TRIGGER audit_{trigger}")
    directly(place, "UPDATE audit SET \"by\" = 'bea' WHERE id = 2")
    assert registry.tampered == "entry 2 of the audit log was changed"
    directly(place, "UPDATE audit SET \"by\" = 'anna' WHERE id = 2")
    assert registry.tampered == ""
    directly(place, "DELETE FROM audit WHERE id = 2")
    assert registry.tampered == "entry 2 of the audit log is gone"


def test_a_log_cut_off_at_its_end_shows(tmp_path: Path) -> None:
    place = Place(tmp_path, by="anna")
    registry = place.open()
    for number in (1, 2):
        add(registry, number)
    directly(place, "DROP TRIGGER audit_delete")
    directly(place, "DELETE FROM audit WHERE id = 2")
    assert registry.tampered == "the audit log does not tell of intents@2"


def test_a_stage_that_the_log_does_not_tell_of_shows(tmp_path: Path) -> None:
    """As where the entry of a promotion, and the reason in it, was cut off, or a stage was set around the registry."""
    place = Place(tmp_path, by="anna")
    registry = place.open()
    one, two = add(registry, 1), add(registry, 2, "reject")
    registry.promote(two, "canary", None, "to try it")
    registry.promote(one, "canary", two)
    registry.promote(one, "live", None)
    registry.promote(two, "live", one, "wanted")
    registry.rollback("intents", two)
    assert registry.tampered == ""
    directly(place, "DROP TRIGGER audit_delete")
    directly(place, "DELETE FROM audit WHERE action = 'rollback'")
    assert registry.tampered == "intents@1 is live, where the audit log makes it retired"
    directly(place, "UPDATE versions SET stage = 'retired' WHERE number = 1")
    directly(place, "UPDATE versions SET stage = 'live' WHERE number = 2")
    assert registry.tampered == ""
    directly(place, "UPDATE versions SET stage = 'canary' WHERE number = 1")
    assert registry.tampered == "intents@1 is canary, where the audit log makes it retired"


def test_the_hash_of_an_entry_is_that_of_its_fields_and_the_one_before_it(tmp_path: Path) -> None:
    registry = Place(tmp_path, by="anna").open()
    add(registry, 1)
    (entry,) = registry.log()
    detail = json.dumps(entry["detail"], ensure_ascii=False, sort_keys=True)
    fields = [1, entry["at"], "anna", "release", "intents@1", detail, "0" * 64]
    assert entry["hash"] == hashlib.sha256(json.dumps(fields, ensure_ascii=False).encode()).hexdigest()
    assert entry["previous"] == audit.FIRST


def test_lineage_is_walked_up_to_the_data_and_down_to_traffic(place: Place) -> None:
    registry = place.open()
    first, second = add(registry, 1), add(registry, 2)
    release = Node("release", first.digest)
    child = Node("run", digest("child"), "child")
    registry.link([(release, Node("traffic", "2026-11")), (release, child), (release, child)])
    found = registry.lineage(release)
    assert [(each["kind"], each["label"], each["steps"]) for each in found["up"]] == [
        ("run", "run-1", 1),
        ("data", "a.csv", 2),
    ]
    assert [(each["kind"], each["key"]) for each in found["down"]] == [
        ("traffic", "2026-11"),
        ("run", child.key),
    ]
    down = registry.lineage(Node("data", digest("data")))["down"]
    assert {each["key"] for each in down if each["kind"] == "release"} == {first.digest, second.digest}
    assert registry.node("data", digest("data")[:10]) == Node("data", digest("data"))
    assert registry.node("data", "%") is None


def test_every_licence_that_was_stated_of_data_is_kept(place: Place) -> None:
    registry, run = place.open(), Node("run", digest("run"), "first")
    for licence in ("", "CC-BY-4.0", "MIT; or by us", "CC-BY-4.0", ""):
        registry.link([(Node("data", digest("data"), "a.csv", licence), run)])
    (data,) = registry.lineage(run)["up"]
    assert (data["label"], data["licence"]) == ("a.csv", "CC-BY-4.0; MIT; or by us")
    assert registry.licence(Node("data", digest("data"))) == data["licence"]
    assert registry.licence(Node("data", digest("other"))) == ""


def test_a_registry_of_the_first_step_is_brought_to_the_last_with_all_it_holds(place: Place) -> None:
    registry = place.open()
    before = (add(registry, 1), registry.lineage(Node("run", digest("run 1"))), registry.log())
    directly(place, "ALTER TABLE labels DROP COLUMN licence")
    directly(place, "UPDATE alembic_version SET version_num = '0001'")
    again = place.open()
    assert (again.version("intents@1"), again.lineage(Node("run", digest("run 1"))), again.log()) == before
    assert directly(place, "SELECT version_num FROM alembic_version") == [("0002",)] and again.tampered == ""


def test_the_log_says_who_was_named_and_who_could_have_named_them(place: Place) -> None:
    add(place.open(), 1)
    (entry,) = place.open().log()
    assert entry["by"] == "anna"
    assert (entry["detail"]["user"], entry["detail"]["host"]) == (getpass.getuser(), socket.gethostname())


def test_a_lineage_that_returns_to_itself_ends(tmp_path: Path) -> None:
    registry = Place(tmp_path).open()
    one, two = Node("run", "1"), Node("release", "2")
    registry.link([(one, two), (two, one)])
    assert [each["key"] for each in registry.lineage(one)["down"]] == ["2"]


def test_of_two_processes_that_promote_at_once_one_wins_and_the_other_is_told(place: Place) -> None:
    registry = place.open()
    for number in (1, 2, 3):
        add(registry, number)
    registry.promote(registry.version("intents@1"), "live", None)
    command = [sys.executable, "-c", RACE, str(place.root), place.registry]
    both = [
        subprocess.Popen([*command, f"intents@{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in (2, 3)
    ]
    for each in both:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = sorted(each.communicate(timeout=60)[0] for each in both)
    lost, won = said
    winner = won.split()[1]
    assert won == f"won {winner}\n"
    assert f"not promoted to live: {winner} was put there in the meantime" in lost
    assert sorted(stages(registry).values()) == ["candidate", "live", "retired"]
    assert registry.tampered == ""


def test_a_view_of_the_registry_stays_as_it_was_when_it_began(place: Place) -> None:
    registry, opened = place.open(), Database(place.address)
    add(registry, 1)
    with opened.reading() as connection:
        before = all_of(connection, "intents")
        add(registry, 2)
        assert all_of(connection, "intents") == before
    with opened.reading() as connection:
        assert len(all_of(connection, "intents")) == 2


def test_a_change_sees_the_one_before_it_whatever_the_database_is_set_to(place: Place) -> None:
    """A server may give every transaction the view of its beginning, which is before it waits for its turn."""
    registry = place.open()
    if place.registry:
        directly(
            place,
            f"ALTER DATABASE {place.registry.rpartition('/')[2]} SET default_transaction_isolation = 'serializable'",
        )
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: add(place.open(), number), range(8)))
    assert sorted(each.number for each in made) == list(range(1, 9)) and registry.tampered == ""


def test_migrations_lead_from_an_empty_database_to_the_tables(place: Place) -> None:
    opened = Database(place.address)
    with opened.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        indexes = {each["name"]: each for each in sqlalchemy.inspect(connection).get_indexes("versions")}
    for stage in ("live", "canary"):
        assert indexes[f"one_{stage}"]["unique"]
        (where,) = [str(text) for key, text in indexes[f"one_{stage}"]["dialect_options"].items() if "where" in key]
        assert f"'{stage}'" in where


def test_the_known_steps_are_those_that_alembic_finds() -> None:
    script = ScriptDirectory.from_config(databases.configuration())
    assert tuple(reversed([each.revision for each in script.walk_revisions()])) == STEPS


def test_a_registry_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.open()
    directly(place, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Refused, match=r"migration '9999', which this version does not know. use the affina that"):
        place.open()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("postgresql://anna:secret@localhost/x", "a password is written out"),
        ("postgresql://anna:${NOT_SET_HERE}@localhost/x", "NOT_SET_HERE is not set in the environment"),
        ("postgresql://127.0.0.1:x/x", "no database's address"),
        ("odd://localhost/x", "neither SQLite nor PostgreSQL"),
        ("sqlite:///:memory:", "names no file, so nothing would be kept"),
        ("sqlite://", "names no file, so nothing would be kept"),
        ("postgresql://127.0.0.1:1/x", "the database says: .*refused"),
        ("sqlite:////proc/none/registry.db", "no registry can be kept in /proc/none"),
    ],
)
def test_a_registry_that_cannot_be_used_is_refused_in_a_sentence(address: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=sentence) as refused:
        Place(tmp_path, address).open()
    assert "secret" not in str(refused.value)


def test_what_a_database_says_is_told_without_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "s3cr3t-host")
    with pytest.raises(Refused) as refused:
        Place(tmp_path, "postgresql://anna@${DB_PASSWORD}.invalid/x").open()
    assert "s3cr3t" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "registry.db").write_text("not a database, though it is long enough to be one" * 20)
    with pytest.raises(Refused, match="file is not a database"):
        Place(tmp_path).open()


@pytest.mark.parametrize(
    "name", ["", "../up", "a/b", ".hidden", "a" * 81, "a@1", "ä", "a b", "a\n", "registry.db-wal", "Registry.DB"]
)
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    known = {"digest": "0" * 64, "run": "r", "verdict": "promote", "override": ""}
    with pytest.raises(Refused, match="a release cannot be called"):
        Place(tmp_path).open().add(name, known, [])


def test_a_reference_names_what_is_live_else_the_newest(tmp_path: Path) -> None:
    place = Place(tmp_path, by="anna")
    assert located("intents", place) is None
    assert not place.folder.exists(), "asking makes nothing"
    registry = place.open()
    first, second = add(registry, 1), add(registry, 2)
    assert located("intents", place) is None, "nothing lies there"
    (place.folder / "intents").mkdir()
    assert located("intents", place) == (second, place.of(second))
    registry.promote(first, "live", None)
    found = located("intents", place)
    assert found is not None and found[0].number == 1
    with pytest.raises(Refused, match=r"intents has no version 7. the newest is 2"):
        located("intents@7", place)
    with pytest.raises(Refused, match=r"no release is called 'intent'. did you mean 'intents'"):
        registry.version("intent")


def test_the_environment_says_where_the_registry_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_REGISTRY", str(tmp_path / "shared"))
    place = Place(tmp_path / "runs")
    assert (place.folder, place.address) == (tmp_path / "shared", f"sqlite:///{tmp_path}/shared/registry.db")
    monkeypatch.setenv("AFFINA_REGISTRY", "postgresql://host/registry")
    assert (place.folder, place.address) == (tmp_path / "runs" / "releases", "postgresql://host/registry")
