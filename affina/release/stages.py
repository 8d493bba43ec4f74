"""What becomes of releases: listed, approved, promoted, rolled back, and asked where they come from. A folder is
verified before it goes live, and every decision stands in the audit log and on the card."""

import os
from pathlib import Path
from typing import Any, Literal

from affina.core.atomic import sha256
from affina.core.errors import Refused
from affina.release.card import carded
from affina.release.facts import FILES
from affina.store import mlflow
from affina.store.artefact import intact, verify
from affina.store.lineage import Node
from affina.store.place import Place
from affina.store.registry import Registry
from affina.store.versions import Version, previous

Stage = Literal["canary", "live"]
HERE = Place()


def releases(name: str = "", place: Place = HERE) -> dict[str, Any]:
    """{"releases": every version, the newest first within a name, "audit": what is wrong with the log or "",
    "approvals": how many a promotion takes}; of one name also its "log". Raises Refused for an unknown name."""
    if not place.begun and not name:
        return {"releases": [], "approvals": 0, "audit": "", "log": []}  # asking makes no registry
    registry = place.open()
    if name:
        registry.version(name)
    held = registry.versions(name.partition("@")[0])
    for each in sorted({version.release for version in held}):
        carded(registry, place, each)
    subject = [entry for each in held for entry in registry.log(each.name)] if name else []
    return {
        "releases": [_shown(each, place, registry) for each in held],
        "approvals": registry.required,
        "audit": registry.tampered,
        "log": sorted(subject, key=lambda entry: int(entry["id"])),
    }


def approve(reference: str = "", note: str = "", require: int | None = None, place: Place = HERE) -> dict[str, Any]:
    """Approves a version, and says how many approvals a promotion takes; `require` sets that number."""
    registry = place.open()
    if require is None and not reference:
        raise Refused("nothing is approved", instead="give NAME@VERSION, or --require N for how many must approve")
    if require is not None:
        registry.require(require)
    if not reference:
        return {"approvals": registry.required}
    version = registry.approve(reference, note)
    carded(registry, place, version.release)
    return {**_shown(version, place, registry), "approvals": registry.required}


def promote(
    reference: str, to: Stage = "live", override: str = "", place: Place = HERE, mirror: str = ""
) -> dict[str, Any]:
    """Makes a version (of a name the newest) canary or live, in place of what stood there.

    Raises Refused for a verdict that forbids it without `override`, for missing approvals, for a folder that is not
    what was released, and where another promotion came between.
    """
    if to not in ("canary", "live"):
        raise Refused(f"a release is not promoted to '{to}'", instead="promote it to canary or live")
    registry, server = place.open(), mlflow.server(mirror)
    version = registry.version(reference)
    stood = registry.standing(version.release, to)
    _whole(version, place)
    done = registry.promote(version, to, stood, override)
    carded(registry, place, done.release)
    if server:
        server.stage(done, registry.version(stood.name) if stood else None)
    return {**_shown(done, place, registry), "replaced": stood.name if stood else None}


def rollback(name: str, reason: str = "", place: Place = HERE, mirror: str = "") -> dict[str, Any]:
    """Makes live again what was live before, and retires what is. Raises Refused where there is nothing to go back to,
    or where it is not what was released."""
    registry, server = place.open(), mlflow.server(mirror)
    release, at, _ = name.partition("@")
    if at:
        raise Refused(
            f"'{name}' names one version", "a name is rolled back, to what was live before", f"roll back {release}"
        )
    registry.version(release)
    standing = registry.live(release)
    if standing is None:
        raise Refused(f"{release} has no live version", "there is nothing to roll back")
    _whole(previous(registry.versions(release), standing), place)
    done = registry.rollback(release, standing, reason)
    carded(registry, place, release)
    if server:
        server.stage(done, registry.version(standing.name))
    return {**_shown(done, place, registry), "retired": standing.name}


def lineage(reference: str, place: Place = HERE) -> dict[str, Any]:
    """{"node", "up", "down"}: what a release came of, and what came of it; or a file of data, or the hash of one.

    Raises Refused for what the registry does not know.
    """
    registry = place.open()
    node = _node(registry, reference)
    found = registry.lineage(node)
    named = {each.digest: each for each in registry.versions()}
    for each in (*found["up"], *found["down"]):
        if each["kind"] == "release" and each["key"] in named:
            each["label"], each["stage"] = named[each["key"]].name, named[each["key"]].stage
    own = {"kind": node.kind, "key": node.key, "label": node.label, "licence": registry.licence(node)}
    return {"node": own, **found}


def _node(registry: Registry, reference: str) -> Node:
    if os.path.isfile(reference):  # which a text too long for a name is not
        if found := registry.node("data", sha256(Path(reference))):
            return Node(found.kind, found.key, reference)
        raise Refused(f"no run that was released has read {reference}", "its hash is not in the registry")
    for kind in ("data", "base", "run", "release") if len(reference) >= 8 else ():
        if all(letter in "0123456789abcdef" for letter in reference) and (known := registry.node(kind, reference)):
            return known
    version = registry.version(reference)
    return Node("release", version.digest, version.name)


def _whole(version: Version, place: Place) -> None:
    folder = place.of(version)
    if not folder.is_dir():
        raise Refused(f"release {version.name} is gone", f"there is no {folder}", "restore the folder of releases")
    verify(folder, version.digest)


def _shown(version: Version, place: Place, registry: Registry) -> dict[str, Any]:
    plain = version._asdict()
    del plain["id"]
    number = plain.pop("number")
    folder = place.of(version)
    gone = not folder.is_dir()
    tampered = not gone and not intact(folder, version.digest, FILES)
    more = {"folder": str(folder), "gone": gone, "tampered": tampered, "approved": registry.approvals(version)}
    return {**plain, "version": number, "id": plain.pop("digest"), **more}
