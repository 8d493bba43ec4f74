"""The registry of releases: versions and their stages, approvals, lineage and the audit log. One version of a name is
live at most, and the database itself sees to that."""

import getpass
import os
import re
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from affina.core.errors import Refused
from affina.store import audit, lineage
from affina.store.database import Database
from affina.store.lineage import Node
from affina.store.place import FILE
from affina.store.tables import approvals, releases, settings, versions
from affina.store.versions import (
    APPROVALS,
    Version,
    all_of,
    approvals_of,
    at_stage,
    numbered,
    previous,
    referred,
    required,
)  # fmt: skip

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Registry:
    """The registry in a database."""

    def __init__(self, database: Database, by: str = "") -> None:
        self._database, self._by = database, by.strip() or _user()

    # ── versions ──
    def add(self, release: str, version: Mapping[str, str], pairs: Sequence[tuple[Node, Node]]) -> Version:
        """A new candidate of `release`: {digest, run, verdict, override}; one that is there already stays as it is.

        Raises Refused for a reason to override that would not be kept.
        """
        need_name(release)
        version = {**version, "override": version["override"].strip()}
        with self._database.changing() as connection:
            at = _now()
            found = connection.execute(sqlalchemy.select(releases.c.id).where(releases.c.name == release)).scalar()
            if found is None:
                made = connection.execute(releases.insert().values(name=release, created=at))
                found = made.inserted_primary_key[0] if made.inserted_primary_key else None
            held = all_of(connection, release)
            if same := next((each for each in held if each.digest == version["digest"]), None):
                _unchanged(same, version["override"])
                return same
            number = max((each.number for each in held), default=0) + 1
            override_by = self._by if version["override"] else ""
            connection.execute(
                versions.insert().values(
                    release_id=found, number=number, stage="candidate", created=at, created_by=self._by,
                    override_by=override_by, **version,
                )
            )  # fmt: skip
            lineage.link(connection, pairs)
            self._note(connection, "release", f"{release}@{number}", {"at": at, **version})
            return numbered(connection, release, number)

    def versions(self, release: str = "") -> list[Version]:
        """Every version, of one release or of all, the newest first within a release."""
        with self._database.reading() as connection:
            return all_of(connection, release)

    def version(self, reference: str) -> Version:
        """NAME@NUMBER, or of NAME the newest. Raises Refused with the nearest name."""
        with self._database.reading() as connection:
            return referred(connection, reference)

    def live(self, release: str) -> Version | None:
        """The version that is live; None where none is."""
        return self.standing(release, "live")

    def standing(self, release: str, stage: str) -> Version | None:
        """The version at a stage that one at a time stands at; None where none does."""
        with self._database.reading() as connection:
            return at_stage(all_of(connection, release), stage)

    # ── approvals ──
    def require(self, count: int) -> None:
        """How many people other than who released a version must approve it before it is promoted."""
        if count < 0:
            raise Refused(f"{count} approvals cannot be required", instead="give 0 or more")
        with self._database.changing() as connection:
            connection.execute(settings.delete().where(settings.c.name == APPROVALS))
            connection.execute(settings.insert().values(name=APPROVALS, value=str(count)))
            self._note(connection, "require", "registry", {"at": _now(), "approvals": count})

    @property
    def required(self) -> int:
        """How many approvals a promotion takes."""
        with self._database.reading() as connection:
            return required(connection)

    def approve(self, reference: str, note: str = "") -> Version:
        """Records that this person approves a version. Raises Refused for one's own, and for a second time."""
        with self._database.changing() as connection:
            version, at = referred(connection, reference), _now()
            if self._by == version.created_by:
                why = "who released a version does not approve it"
                raise Refused(f"{version.name} was released by {self._by}", why, "ask another person")
            if any(each["by"] == self._by for each in approvals_of(connection, version)):
                raise Refused(f"{self._by} has approved {version.name} already")
            connection.execute(approvals.insert().values(version_id=version.id, by=self._by, note=note, created=at))
            self._note(connection, "approve", version.name, {"at": at, "digest": version.digest, "note": note})
            return version

    def approvals(self, version: Version) -> list[dict[str, Any]]:
        """[{"by", "note", "created"}] in order."""
        with self._database.reading() as connection:
            return approvals_of(connection, version)

    # ── stages ──
    def promote(self, version: Version, to: str, seen: Version | None, override: str = "") -> Version:
        """Makes a version canary or live; what stood there retires. `seen` is what stood there when it was decided.

        Raises Refused for a verdict that is not `promote` without an override, for missing approvals, for a version
        that stands there already, and where another promotion came between.
        """
        override = override.strip()
        with self._database.changing() as connection:
            held = all_of(connection, version.release)
            now, standing = next(each for each in held if each.id == version.id), at_stage(held, to)
            if (standing and standing.id) != (seen and seen.id):
                said = f"{standing.name} was put there" if standing else "what stood there was taken away"
                what = f"{version.name} was not promoted to {to}"
                raise Refused(what, f"{said} in the meantime", "look at it, then promote again")
            if now.stage in (to, "live"):
                raise Refused(f"{version.name} is {now.stage} already")
            self._may(connection, now, override)
            at = _now()
            replaced = standing.id if to == "live" and standing else None
            changes: dict[str, Any] = {"stage": to, **({"replaced_id": replaced} if to == "live" else {})}
            if override:
                changes |= {"override": override, "override_by": self._by}
            self._moved(connection, now, standing, changes)
            detail = {"from": now.stage, "to": to, "replaces": standing.name if standing else "", "override": override}
            self._note(connection, "promote", now.name, {"at": at, "digest": now.digest, **detail})
            return numbered(connection, now.release, now.number)

    def rollback(self, release: str, seen: Version, reason: str = "") -> Version:
        """Retires the live version `seen` and makes live again what it replaced."""
        with self._database.changing() as connection:
            held = all_of(connection, release)
            standing = at_stage(held, "live")
            if standing is None or standing.id != seen.id:
                what = f"{release} was not rolled back"
                raise Refused(what, f"{seen.name} is not live any more", "look at it, then roll back again")
            before = previous(held, standing)
            self._moved(connection, before, standing, {"stage": "live"})
            detail = {"from": standing.name, "digest": before.digest, "reason": reason}
            self._note(connection, "rollback", before.name, {"at": _now(), **detail})
            return numbered(connection, release, before.number)

    # ── lineage, log ──
    def link(self, pairs: Sequence[tuple[Node, Node]]) -> None:
        """More edges: what a release has answered, for instance."""
        with self._database.changing() as connection:
            lineage.link(connection, pairs)

    def lineage(self, node: Node) -> dict[str, list[dict[str, Any]]]:
        """{"up": what it came of, "down": what came of it}."""
        with self._database.reading() as connection:
            return {way: lineage.walk(connection, node, way == "up") for way in ("up", "down")}

    def licence(self, node: Node) -> str:
        """The licences that were stated of data or a base; empty where none was."""
        with self._database.reading() as connection:
            return lineage.licence_of(connection, node)

    def node(self, kind: str, key: str) -> Node | None:
        """The node of a kind whose key begins so."""
        with self._database.reading() as connection:
            return lineage.known(connection, kind, key)

    def log(self, subject: str = "") -> list[dict[str, Any]]:
        """The audit log, of one version or of all."""
        with self._database.reading() as connection:
            return audit.entries(connection, subject)

    @property
    def tampered(self) -> str:
        """Where the audit log is not as it was written, or does not tell where a version stands, in a clause."""
        with self._database.reading() as connection:
            if wrong := audit.tampered(connection):
                return wrong
            told = audit.stages(connection)
            for each in all_of(connection, "")[::-1]:
                if each.name not in told:
                    return f"the audit log does not tell of {each.name}"
                if each.stage != told[each.name]:
                    return f"{each.name} is {each.stage}, where the audit log makes it {told[each.name]}"
            return ""

    def _note(self, connection: Connection, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        """`by` is taken at its word; the system's user and the machine say who could have given it."""
        audit.append(connection, self._by, action, subject, {**detail, "user": _user(), "host": socket.gethostname()})

    def _may(self, connection: Connection, version: Version, override: str) -> None:
        """Raises Refused where the verdict or missing approvals forbid a promotion."""
        if version.verdict != "promote" and not (override or version.override):
            what = f"the verdict on {version.name} is: {version.verdict}"
            raise Refused(what, "it can only be a candidate", "promote it with --override REASON, which is kept")
        needed, given = required(connection), approvals_of(connection, version)
        if len(given) < needed:
            people = "person" if needed == 1 else "people"
            why = f"{needed} {people} must approve it, and {len(given)} did"
            raise Refused(f"{version.name} lacks approval", why, f"`affina approve {version.name}` by another person")

    def _moved(
        self, connection: Connection, version: Version, standing: Version | None, changes: Mapping[str, Any]
    ) -> None:
        """What stood there leaves first: the database allows one at a time. A canary was never live, so it does not
        retire."""
        try:
            if standing is not None:
                left = "retired" if standing.stage == "live" else "candidate"
                connection.execute(versions.update().where(versions.c.id == standing.id).values(stage=left))
            connection.execute(versions.update().where(versions.c.id == version.id).values(**changes))
        except IntegrityError as error:
            what = f"{version.name} was not promoted"
            raise Refused(what, f"another version of {version.release} stands there already") from error


def need_name(release: str) -> None:
    """Raises Refused for what a release cannot be called: its folder stands beside the registry's own files."""
    if not NAME.fullmatch(release):
        instead = "use letters, digits, '.', '_' and '-', a letter first, 80 at most"
        raise Refused(f"a release cannot be called '{release}'", instead=instead)
    if release.casefold().startswith(FILE):
        raise Refused(f"a release cannot be called '{release}'", f"the registry's own files begin with {FILE}")


def _unchanged(version: Version, override: str) -> None:
    if override and override != version.override:
        why = f"it {'has another reason' if version.override else 'was released without a reason'}"
        instead = f"`affina promote {version.name} --override REASON` keeps this one"
        raise Refused(f"{version.name} is there already", why, instead)


def _user() -> str:
    """Who is logged in; by number where the system has no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
