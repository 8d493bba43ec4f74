"""What came of what: data and bases → runs → releases → traffic, and releases that a later run began with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

from affina.store.tables import edges, labels


@dataclass(frozen=True, order=True, slots=True)
class Node:
    """Data, a base, a run's weights or a release by its SHA-256; traffic by the name of its log."""

    kind: str
    key: str
    label: str = ""
    """What people call it: a file, a reference, a run's name."""
    licence: str = ""
    """As a recipe, or a base's own files, state it."""


def link(connection: Connection, pairs: Sequence[tuple[Node, Node]]) -> None:
    """Adds edges; one that is there already stays. A node keeps the label it was first given, and every licence."""
    for pair in pairs:
        for node in pair:
            if node.label:
                _call(connection, node)
        first, second = pair
        ends = {"from_kind": first.kind, "from_key": first.key, "to_kind": second.kind, "to_key": second.key}
        there = sqlalchemy.and_(*(edges.c[name] == value for name, value in ends.items()))
        if not connection.execute(sqlalchemy.select(edges.c.id).where(there)).first():
            connection.execute(edges.insert().values(**ends))


def _call(connection: Connection, node: Node) -> None:
    """Keeps the label of a node that has none, and a licence that was not yet stated of it."""
    of = (labels.c.kind == node.kind) & (labels.c.key == node.key)
    held = connection.execute(sqlalchemy.select(labels.c.licence).where(of)).first()
    if held is None:
        named = {"kind": node.kind, "key": node.key, "label": node.label, "licence": node.licence}
        connection.execute(labels.insert().values(**named))
        return
    stated = held.licence.splitlines()
    if node.licence and node.licence not in stated:
        connection.execute(labels.update().where(of).values(licence="\n".join((*stated, node.licence))))


def walk(connection: Connection, start: Node, up: bool) -> list[dict[str, Any]]:
    """Every node that `start` came of (`up`), or that came of it: {"kind", "key", "label", "licence", "steps",
    "of"}, nearest first; `of` is the node it was reached from."""
    ahead, behind = ("from", "to") if up else ("to", "from")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    seen, edge = {(start.kind, start.key)}, [(start.kind, start.key)]
    steps = 0
    while edge:
        steps += 1
        reached = []
        for kind, key in edge:
            here = (edges.c[f"{behind}_kind"] == kind) & (edges.c[f"{behind}_key"] == key)
            wanted = sqlalchemy.select(edges.c[f"{ahead}_kind"], edges.c[f"{ahead}_key"]).where(here)
            for row in connection.execute(wanted.order_by(edges.c.id)):
                node = (str(row[0]), str(row[1]))
                if node not in seen:
                    seen.add(node)
                    reached.append(node)
                    found[node] = {"kind": node[0], "key": node[1], "steps": steps, "of": [kind, key]}
        edge = reached
    rows = connection.execute(sqlalchemy.select(labels))
    named = {(row.kind, row.key): {"label": row.label, "licence": _said(row.licence)} for row in rows}
    return [{**each, **named.get(node, {"label": "", "licence": ""})} for node, each in found.items()]


def known(connection: Connection, kind: str, key: str) -> Node | None:
    """The node that has this key, or whose key begins with it; None for none, and where several do."""
    rows = set()
    for side in ("from", "to"):
        key_at = edges.c[f"{side}_key"]
        wanted = sqlalchemy.select(key_at).where(
            edges.c[f"{side}_kind"] == kind, key_at.startswith(key, autoescape=True)
        )
        rows |= {str(row[0]) for row in connection.execute(wanted)}
    return Node(kind, rows.pop()) if len(rows) == 1 else None


def licence_of(connection: Connection, node: Node) -> str:
    """The licences that were stated of a node; empty where none was."""
    of = (labels.c.kind == node.kind) & (labels.c.key == node.key)
    return _said(connection.execute(sqlalchemy.select(labels.c.licence).where(of)).scalar() or "")


def _said(licences: str) -> str:
    """In one line: several are a contradiction, or a file that is had under either."""
    return "; ".join(licences.splitlines())
