"""The registry: releases, versions, approvals, lineage, settings, and an audit log that only grows."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STAGES = ("candidate", "canary", "live", "retired")
NODES = ("data", "base", "run", "release", "traffic")
REFUSED = "the audit log is append-only"
SQLITE = (
    f"CREATE TRIGGER audit_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END",
    f"CREATE TRIGGER audit_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END",
    "CREATE TRIGGER audit_replace BEFORE INSERT ON audit "
    "WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id OR hash = NEW.hash) "
    f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END",  # INSERT OR REPLACE deletes without a DELETE trigger
)
POSTGRESQL = (
    "CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REFUSED}'; END $$",
    "CREATE TRIGGER audit_rows BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_only_grows()",
    "CREATE TRIGGER audit_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()",
)


def upgrade() -> None:
    """From an empty database."""
    _versions()
    _approvals()
    _lineage()
    _audit()


def downgrade() -> None:
    """Refused: the audit log is not to be taken away."""
    raise NotImplementedError("the registry's first step is not undone: delete the database instead")


def _key(table: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("id", name=f"pk_{table}")


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer(), nullable=False)


def _one_of(table: str, column: str, words: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}"))


def _text(name: str, size: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(size), nullable=False)


def _versions() -> None:
    op.create_table(
        "releases", _id(), _text("name", 80), _text("created", 32), _key("releases"),
        sa.UniqueConstraint("name", name="uq_releases_name"),
    )  # fmt: skip
    op.create_table(
        "versions", _id(), sa.Column("release_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False), _text("digest", 64), _text("run", 200),
        _text("verdict", 20), _text("stage", 10), sa.Column("override", sa.Text(), nullable=False),
        _text("override_by", 200), sa.Column("replaced_id", sa.Integer()), _text("created", 32),
        _text("created_by", 200), _key("versions"), _one_of("versions", "stage", STAGES),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name="fk_versions_release_id"),
        sa.ForeignKeyConstraint(["replaced_id"], ["versions.id"], name="fk_versions_replaced_id"),
        sa.UniqueConstraint("release_id", "number", name="uq_versions_release_id_number"),
        sa.UniqueConstraint("release_id", "digest", name="uq_versions_release_id_digest"),
    )  # fmt: skip
    for stage in ("live", "canary"):
        where = sa.text(f"stage = '{stage}'")
        op.create_index(
            f"one_{stage}", "versions", ["release_id"], unique=True, sqlite_where=where, postgresql_where=where
        )


def _approvals() -> None:
    op.create_table(
        "approvals", _id(), sa.Column("version_id", sa.Integer(), nullable=False), _text("by", 200),
        sa.Column("note", sa.Text(), nullable=False), _text("created", 32), _key("approvals"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_approvals_version_id"),
        sa.UniqueConstraint("version_id", "by", name="uq_approvals_version_id_by"),
    )  # fmt: skip
    op.create_table(
        "settings", _text("name", 40), sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )  # fmt: skip


def _lineage() -> None:
    op.create_table(
        "edges", _id(), _text("from_kind", 10), _text("from_key", 200), _text("to_kind", 10), _text("to_key", 200),
        _key("edges"), _one_of("edges", "from_kind", NODES), _one_of("edges", "to_kind", NODES),
        sa.UniqueConstraint(
            "from_kind", "from_key", "to_kind", "to_key", name="uq_edges_from_kind_from_key_to_kind_to_key"
        ),
    )  # fmt: skip
    op.create_table(
        "labels", _text("kind", 10), _text("key", 200), sa.Column("label", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_labels"),
    )  # fmt: skip


def _audit() -> None:
    op.create_table(
        "audit", sa.Column("id", sa.Integer(), nullable=False, autoincrement=False), _text("at", 32), _text("by", 200),
        _text("action", 20), _text("subject", 200), sa.Column("detail", sa.Text(), nullable=False),
        _text("previous", 64), _text("hash", 64), _key("audit"), sa.UniqueConstraint("hash", name="uq_audit_hash"),
    )  # fmt: skip
    for statement in POSTGRESQL if op.get_context().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
