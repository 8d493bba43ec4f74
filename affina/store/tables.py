"""The registry's tables, as they stand after the last migration. Times are UTC, as ISO 8601 text."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

STAGES = ("candidate", "canary", "live", "retired")
NODES = ("data", "base", "run", "release", "traffic")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("created", String(32), nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("release_id", ForeignKey("releases.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("run", String(200), nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("stage", String(10), nullable=False),
    Column("override", Text, nullable=False),
    Column("override_by", String(200), nullable=False),
    Column("replaced_id", ForeignKey("versions.id")),
    Column("created", String(32), nullable=False),
    Column("created_by", String(200), nullable=False),
    UniqueConstraint("release_id", "number"),
    UniqueConstraint("release_id", "digest"),
    _one_of("stage", STAGES),
)
"""`replaced_id` is the version that was live before this one went live: where a rollback goes."""

for_live = {"sqlite_where": text("stage = 'live'"), "postgresql_where": text("stage = 'live'")}
for_canary = {"sqlite_where": text("stage = 'canary'"), "postgresql_where": text("stage = 'canary'")}
one_live = Index("one_live", versions.c.release_id, unique=True, **for_live)  # type: ignore[arg-type]
one_canary = Index("one_canary", versions.c.release_id, unique=True, **for_canary)  # type: ignore[arg-type]

approvals = Table(
    "approvals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version_id", ForeignKey("versions.id"), nullable=False),
    Column("by", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Column("created", String(32), nullable=False),
    UniqueConstraint("version_id", "by"),
)

edges = Table(
    "edges",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("from_kind", String(10), nullable=False),
    Column("from_key", String(200), nullable=False),
    Column("to_kind", String(10), nullable=False),
    Column("to_key", String(200), nullable=False),
    UniqueConstraint("from_kind", "from_key", "to_kind", "to_key"),
    _one_of("from_kind", NODES),
    _one_of("to_kind", NODES),
)
"""What came of what: a node is data, a base, a run's weights or a release by its SHA-256, or traffic by its name."""

labels = Table(
    "labels",
    metadata,
    Column("kind", String(10), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("label", Text, nullable=False),
    Column("licence", Text, nullable=False, server_default=""),
)
"""What people call a node (a file, a model's reference, a run's name), and the licences that were stated of it."""

settings = Table(
    "settings",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("by", String(200), nullable=False),
    Column("action", String(20), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
)
"""Append-only: the database refuses to change or delete an entry, and each holds the hash of the one before it."""
