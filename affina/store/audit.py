"""The audit log: entries are only added, and each holds the hash of the one before it: tampering shows."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

from affina.store.tables import audit

FIRST = "0" * 64
"""What stands in place of the hash before the first entry."""


def append(connection: Connection, by: str, action: str, subject: str, detail: Mapping[str, Any]) -> None:
    """One more entry, in the change that it tells of."""
    newest = sqlalchemy.select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)
    last = connection.execute(newest).first()
    entry = {
        "id": last.id + 1 if last else 1,
        "at": detail["at"],
        "by": by,
        "action": action,
        "subject": subject,
        "detail": json.dumps(dict(detail), ensure_ascii=False, sort_keys=True),
        "previous": last.hash if last else FIRST,
    }
    connection.execute(audit.insert().values(**entry, hash=_hash(entry)))


def entries(connection: Connection, subject: str = "") -> list[dict[str, Any]]:
    """The log in order, of one subject or of all; `detail` as data."""
    asked = sqlalchemy.select(audit).order_by(audit.c.id)
    asked = asked.where(audit.c.subject == subject) if subject else asked
    rows = [dict(row._mapping) for row in connection.execute(asked)]
    return [{**row, "detail": _detail(row["detail"])} for row in rows]


def tampered(connection: Connection) -> str:
    """Where the log is not as it was written, in a clause; empty where every entry follows from the one before it."""
    previous = FIRST
    for number, row in enumerate(connection.execute(sqlalchemy.select(audit).order_by(audit.c.id)), 1):
        entry = dict(row._mapping)
        if entry["id"] != number:
            return f"entry {number} of the audit log is gone"
        if entry["previous"] != previous:
            return f"entry {number} of the audit log does not follow from the one before it"
        if entry.pop("hash") != _hash(entry):
            return f"entry {number} of the audit log was changed"
        previous = row.hash
    return ""


def stages(connection: Connection) -> dict[str, str]:
    """Where every version stands by what the log tells, in order."""
    found: dict[str, str] = {}
    for entry in entries(connection):
        name, detail = entry["subject"], entry["detail"] if isinstance(entry["detail"], dict) else {}
        if entry["action"] == "release":
            found[name] = "candidate"
        elif entry["action"] == "promote":
            if left := detail.get("replaces"):
                found[left] = "retired" if detail["to"] == "live" else "candidate"
            found[name] = detail["to"]
        elif entry["action"] == "rollback":
            found[detail["from"]], found[name] = "retired", "live"
    return found


def _hash(entry: Mapping[str, Any]) -> str:
    keys = ("id", "at", "by", "action", "subject", "detail", "previous")
    return hashlib.sha256(json.dumps([entry[key] for key in keys], ensure_ascii=False).encode()).hexdigest()


def _detail(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # an entry that was tampered with is shown as it stands
