"""A finished run becomes a folder that holds all that answering takes, every file hashed; its name is its own hash.

The folder reads as a run does, without data and without what only training needs, so that whatever opens a run opens
it. The same run gives the same folder: what was interrupted is taken up by releasing it again.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import affina
from affina.core.atomic import damage, sealed, sha256, write_json, write_text
from affina.core.errors import Failed, Refused
from affina.core.example import Chat, Message
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.data.rows import Renderer
from affina.engine.source import Source
from affina.store.artefact import ABOUT, digest_of, verify
from affina.store.lineage import Node
from affina.store.versions import SHORT

COPIED = ("recipe.yaml", "lock.json", "ledger.json", "proofs.json", "events.jsonl", "result.json", "suites.json")
"""Of the run; it may lack the last."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")
TRAINED = "trained.safetensors"
PROBES = (
    (Message("user", "Hello"),),
    (Message("system", "Be brief."), Message("user", "Hello")),
    (Message("user", "Hello"), Message("assistant", "Good day"), Message("user", "Who are you?")),
)
"""Conversations whose rendering is kept, so that a server's template can be held against it."""


@dataclass(frozen=True)
class Finished:
    """A run with a verdict, opened with its base."""

    run: Run
    recipe: Recipe
    source: Source
    renderer: Renderer
    system: str | None = None
    """The system prompt that every conversation it learnt from begins with."""
    parent: Node | None = None
    """The release, or the run, that it was trained from."""

    @property
    def lock(self) -> dict[str, Any]:
        found: dict[str, Any] = self.run.read("lock.json")
        return found

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = self.run.read("result.json")
        return found


def finished(run: Run) -> None:
    """Raises Refused for a run without a verdict, Failed for one whose files are not what it wrote."""
    result = run.read("result.json", {})
    if run.state != "finished" or not result.get("verdict"):
        what = f"run '{run.name}' has no verdict"
        raise Refused(what, f"it is {run.state}", "train it to its end: the same `affina train` resumes it")
    best = run.checkpoint(result["best_step"])
    for folder in (best, run.folder / "model"):
        if wrong := damage(folder):
            again = "`affina train` with its recipe makes it whole"
            raise Failed(f"run '{run.name}' cannot be released", f"{folder.name} is damaged: {wrong}", again)
    if sha256(best / TRAINED) != result["weights_sha256"]:
        why = f"the weights in {best.name} are not those that the verdict is about"
        raise Failed(f"run '{run.name}' cannot be released", why, "train it again")


def artefact(found: Finished, name: str, place: Path) -> Path:
    """Writes the release under `place`/`name`; its folder is named after its id. Raises Failed where the disk fails."""
    of = place / name
    with alone(of):
        for left in (of / "incoming", *of.glob(".incoming.*")):  # what a killed one had begun
            if left.exists():
                shutil.rmtree(left)
        with sealed(of / "incoming") as folder:
            _copy(found, folder)
            write_json(folder / ABOUT, about(found, name))
        digest = digest_of(of / "incoming")
        final = of / digest[:SHORT]
        if _whole(final, digest):  # it may be live: it stays where it is
            shutil.rmtree(of / "incoming")
            return final
        if final.exists():
            shutil.rmtree(final)
        os.rename(of / "incoming", final)
        _synced(of)
        verify(final, digest)
    return final


def about(found: Finished, name: str) -> dict[str, Any]:
    """What the release says of itself, apart from the files that say more."""
    lock, result, renderer = found.lock, found.result, found.renderer
    words = renderer.vocabulary
    return {
        "name": name,
        "run": {"name": found.run.name, "weights_sha256": result["weights_sha256"], "step": result["best_step"]},
        "base": lock["base"],
        "stands_alone": stands_alone(found),
        "parent": {"kind": found.parent.kind, "id": found.parent.key} if found.parent else None,
        "data": lock["data"],
        "code": {"affina": lock["versions"]["affina"], "released_by": affina.__version__, "proved": _proved(found.run)},
        "task": lock["task"],
        "labels": lock["labels"],
        "tuning": found.recipe.tuning.name,
        "head": found.recipe.objective.ending(len(lock["labels"])).head,
        "system": found.system,
        "stops": {str(token): words.decode([token], special=True) for token in sorted(_stops(found))},
        "precision": {name: lock["machine"]["compute"][name] for name in ("precision", "masters")},
        "template": {
            "kind": found.recipe.data.template or ("own" if renderer.template.own else "plain"),
            "rendered": _rendered(renderer),
        },
        "verdict": result["verdict"],
    }


def stands_alone(found: Finished) -> bool:
    """Whether the written model is the base's own shape, weights and all, so that the base itself is not needed."""
    written, base = found.run.folder / "model" / "config.json", found.source.folder / "config.json"
    return written.is_file() and json.loads(written.read_text()) == json.loads(base.read_text())


def _stops(found: Finished) -> frozenset[int]:
    """The ids that end an answer; of a model that gives no answer in turns those that its base declares."""
    ending = found.recipe.objective.ending(len(found.lock["labels"]))
    turns = ending.head == "words" and ending.reads == "past" and found.lock["task"] != "text"
    return found.renderer.stops if turns else frozenset(found.renderer.vocabulary.stops)


def _copy(found: Finished, folder: Path) -> None:
    run, result = found.run, found.result
    for name in COPIED:
        if (run.folder / name).is_file():
            shutil.copy(run.folder / name, folder / name)
    write_json(folder / "state.json", {"state": "finished"})
    best = run.checkpoint(result["best_step"])
    with sealed(folder / "checkpoints" / best.name) as kept:
        shutil.copy(best / TRAINED, kept / TRAINED)
    shutil.copytree(run.folder / "model", folder / "model")
    (folder / "tokenizer").mkdir()
    for name in TOKENIZER:
        if (found.source.folder / name).is_file():
            shutil.copy(found.source.folder / name, folder / "tokenizer" / name)
    write_text(folder / "tokenizer" / "chat_template.jinja", found.renderer.template.source)


def _rendered(renderer: Renderer) -> list[dict[str, Any]]:
    """What the template makes of some conversations; nothing of those that it refuses."""
    found = []
    for messages in PROBES:
        try:
            text = renderer.template.render(messages, opening=True)
        except Refused as refused:
            found.append({"messages": [each.as_dict() for each in messages], "refused": refused.why})
        else:
            found.append({"messages": [each.as_dict() for each in messages], "text": text})
    return found


def system_of(examples: Iterator[Any]) -> str | None:
    """The system prompt that every conversation begins with; None where there is none, or not one for all."""
    prompts = {_system(each) for each in examples}
    return prompts.pop() if len(prompts) == 1 else None


def _system(example: Any) -> str | None:
    if not isinstance(example, Chat) or not example.messages or example.messages[0].role != "system":
        return None
    return example.messages[0].content


def _proved(run: Run) -> str:
    """The hash of the code and all else that the run's proofs were shown with."""
    return str(run.read("proofs.json")["key"])


def _whole(folder: Path, digest: str) -> bool:
    try:
        verify(folder, digest)
    except Refused:
        return False
    return True


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time writes what lies under a release's name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise Refused(f"no release can be kept in {folder}", error.strerror or str(error)) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _synced(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
