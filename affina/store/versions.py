"""Versions of releases as rows of the registry: what a reference names, what stands where, who approved it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy.engine import Connection

from affina.core.errors import Refused, nearest
from affina.store.place import REFERENCE
from affina.store.tables import approvals, releases, settings, versions

APPROVALS = "approvals"
SHORT = 16
"""Digits of a release's id that name its folder."""


class Version(NamedTuple):
    """One version of a release, as the registry knows it; `digest` is the hash of its manifest, its id."""

    id: int
    release: str
    number: int
    digest: str
    run: str
    verdict: str
    stage: str
    override: str
    override_by: str
    replaced: int | None
    """The number of the version that was live before this one went live."""
    created: str
    created_by: str

    @property
    def name(self) -> str:
        """As people refer to it."""
        return f"{self.release}@{self.number}"

    @property
    def folder(self) -> Path:
        """Where it lies, under the folder of all releases."""
        return Path(self.release) / self.digest[:SHORT]


def previous(held: Sequence[Version], standing: Version) -> Version:
    """What was live before this version. Raises Refused where nothing was."""
    found = next((each for each in held if each.number == standing.replaced), None)
    if found is None:
        raise Refused(f"{standing.name} replaced nothing", "no version was live before it")
    return found


def at_stage(held: Sequence[Version], stage: str) -> Version | None:
    return next((each for each in held if each.stage == stage), None)


def all_of(connection: Connection, release: str) -> list[Version]:
    before = versions.alias("before")
    columns = [versions.c.id, releases.c.name, versions.c.number, versions.c.digest, versions.c.run]
    columns += [versions.c.verdict, versions.c.stage, versions.c.override, versions.c.override_by]
    columns += [before.c.number, versions.c.created, versions.c.created_by]
    joined = versions.join(releases, releases.c.id == versions.c.release_id)
    asked = sqlalchemy.select(*columns).select_from(joined.outerjoin(before, before.c.id == versions.c.replaced_id))
    asked = asked.order_by(releases.c.name, versions.c.number.desc())
    asked = asked.where(releases.c.name == release) if release else asked
    return [Version(*row) for row in connection.execute(asked)]


def numbered(connection: Connection, release: str, number: int) -> Version:
    return next(each for each in all_of(connection, release) if each.number == number)


def referred(connection: Connection, reference: str) -> Version:
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise Refused(f"'{reference}' names no release", instead="write NAME, or NAME@VERSION")
    held = all_of(connection, match[1])
    if not held:
        names = [str(row[0]) for row in connection.execute(sqlalchemy.select(releases.c.name))]
        instead = nearest(match[1], names) if names else "`affina release RUN --name NAME` makes one"
        raise Refused(f"no release is called '{match[1]}'", instead=instead)
    if not match[2]:
        return held[0]
    found = next((each for each in held if each.number == int(match[2])), None)
    if found is None:
        raise Refused(f"{match[1]} has no version {match[2]}", instead=f"the newest is {held[0].number}")
    return found


def approvals_of(connection: Connection, version: Version) -> list[dict[str, Any]]:
    asked = sqlalchemy.select(approvals.c.by, approvals.c.note, approvals.c.created)
    rows = connection.execute(asked.where(approvals.c.version_id == version.id).order_by(approvals.c.id))
    return [dict(row._mapping) for row in rows]


def required(connection: Connection) -> int:
    found = connection.execute(sqlalchemy.select(settings.c.value).where(settings.c.name == APPROVALS)).scalar()
    return int(found or 0)
