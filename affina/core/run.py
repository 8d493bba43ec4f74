"""A run is a folder one can read with `cat`: recipe, lock, ledger, proofs, events, checkpoints, answers, report."""

import fcntl
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from affina.core.atomic import damage, disk_error, write_json, write_text
from affina.core.errors import Failed, Refused, nearest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RELEASES = "releases"
"""The folder beside the runs in which releases are kept."""
RUNNING = ("preparing", "proving", "training", "evaluating")
LOOKS = 4  # tries to take a run's lock, 0.05 s apart
KEPT = 2  # recent checkpoints kept beside the best one


class Run:
    """One run's folder. Files it holds: recipe.yaml, lock.json, state.json, ledger.json, quarantine.jsonl, proofs.json,
    events.jsonl, checkpoints/step-NNNNNNNN/, base.json and tuned.json (answers), suites.base.json and suites.tuned.json
    (what each did with every suite's items), suites.json, result.json, report.html, report.md, report.json."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self._events: dict[str, list[dict[str, Any]]] | None = None
        self.damaged: list[str] = []

    @classmethod
    def create(cls, root: Path, name: str) -> "Run":
        """The run's folder, made when absent. Raises Refused when the root cannot be written."""
        if not NAME.fullmatch(name):
            raise Refused(
                f"a run cannot be called '{name}'", instead="use letters, digits, '.', '_' and '-', a letter first"
            )
        if name == RELEASES:
            raise Refused(f"a run cannot be called '{name}'", "releases are kept in that folder", "choose another name")
        folder = root / name
        try:
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise Refused(
                f"cannot keep a run in {folder}", why=error.strerror or str(error), instead="choose another --root"
            ) from error
        return cls(folder)

    @classmethod
    def find(cls, reference: str, root: Path) -> "Run":
        """A run by its name under `root` or by its path. Raises Refused with the nearest name."""
        for folder in (root / reference, Path(reference)):
            if (folder / "state.json").is_file():
                return cls(folder)
        known = [run.name for run in cls.all(root)]
        instead = nearest(reference, known) if known else "`affina train RECIPE` makes one"
        raise Refused(f"no run is called '{reference}' under {root}", instead=instead)

    @classmethod
    def all(cls, root: Path) -> list["Run"]:
        """Every run under `root`, the latest changed first."""
        states = sorted(root.glob("*/state.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return [cls(path.parent) for path in states]

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps every other process from training in this folder. Raises Refused when one already does."""
        with (self.folder / ".lock").open("w") as file:
            for attempt in range(LOOKS):  # one who only looks whether it is held lets go at once
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if attempt == LOOKS - 1:
                        raise Refused(
                            f"run '{self.name}' is being trained by another process",
                            instead="wait for it, stop it, or choose another --run name",
                        ) from error
                    time.sleep(0.05)
            yield

    @property
    def held(self) -> bool:
        """Whether a process is working in this folder now."""
        try:
            with (self.folder / ".lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(file, fcntl.LOCK_UN)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def discard(self) -> None:
        """Takes the folder away: for a request that turned out to be impossible before anything was kept."""
        shutil.rmtree(self.folder)

    # ── plain files ──
    def read(self, name: str, otherwise: Any = None) -> Any:
        """A JSON file of the run, or `otherwise` when it is not there yet."""
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return otherwise
        except ValueError as error:
            raise Failed(f"{path} is damaged", why=str(error), instead="delete the run and train again") from error

    def write(self, name: str, content: Any) -> None:
        """A file of the run, replaced at once: text as it is, anything else as JSON."""
        path = self.folder / name
        if isinstance(content, str):
            write_text(path, content)
        else:
            write_json(path, content)

    def mark(self, state: str, **more: Any) -> None:
        """Records where the run stands."""
        self.write("state.json", {"state": state, "pid": os.getpid(), **more})

    @property
    def state(self) -> str:
        """preparing, proving, training, evaluating, finished, stopped, failed, or interrupted (its process is gone)."""
        state = str(self.read("state.json", {}).get("state", "new"))
        return "interrupted" if state in RUNNING and not self.held else state

    # ── events ──
    def log(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Appends one event; the line is on disk before a checkpoint of the same step is."""
        known = self._known()  # read before the line is there, or it would be known twice
        event = {"step": step, "kind": kind, **values}
        self._append("events.jsonl", [event])
        known[""].append(event)
        known.setdefault(kind, []).append(event)

    def events(self, kind: str = "") -> Sequence[dict[str, Any]]:
        """Every event in order, or those of one kind; a last line torn by a crash is left out."""
        return self._known().get(kind, [])

    def _known(self) -> dict[str, list[dict[str, Any]]]:
        """The events by kind, all of them under "": looking at the last few costs the same in a long run."""
        if self._events is None:
            path = self.folder / "events.jsonl"
            lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
            try:
                self._events = _by_kind([json.loads(line) for line in lines])
            except ValueError as error:
                raise Failed(f"{path} is damaged", why=str(error), instead="delete the run and train again") from error
        return self._events

    def _append(self, name: str, events: Sequence[Mapping[str, Any]]) -> None:
        path = self.folder / name
        try:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(event, allow_nan=False) + "\n" for event in events)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(path, error) from error

    def rewind(self, step: int) -> None:
        """Sets aside the events after `step` and removes later checkpoints: what remains decides what happens next."""
        for folder in reversed(self.checkpoints()):
            if step_of(folder) > step:
                shutil.rmtree(folder)
        kept = [event for event in self.events() if event["step"] <= step]
        gone = [event for event in self.events() if event["step"] > step]
        if gone:
            self._append("events.aside.jsonl", gone)
        self.write("events.jsonl", "".join(json.dumps(event) + "\n" for event in kept))
        self._events = _by_kind(kept)

    # ── checkpoints ──
    def checkpoint(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step:08d}"

    def checkpoints(self) -> list[Path]:
        """Every checkpoint's folder, the oldest first."""
        return sorted((self.folder / "checkpoints").glob("step-*"))

    def latest(self, monitor: str = "", higher: bool = False) -> Path | None:
        """The newest checkpoint that verifies and, where a monitor is named, whose best so far verifies too.

        Damaged ones are named in `damaged` and passed over.
        """
        wrong = {folder: damage(folder) for folder in self.checkpoints()}
        self.damaged = [
            f"checkpoint {folder.name} is damaged ({what}); using the one before it"
            for folder, what in wrong.items()
            if what
        ]
        for folder in reversed(wrong):
            best = self.best(monitor, higher, step_of(folder)) if monitor else None
            if not wrong[folder] and not (best and wrong.get(self.checkpoint(best[0]))):
                return folder
        return None

    def best(self, monitor: str, higher: bool, until: float = math.inf) -> tuple[int, float] | None:
        """The step and value of the best validation, of those up to step `until`; the earlier when two are equal."""
        seen = [(event["step"], event[monitor]) for event in self.events("validate") if event["step"] <= until]
        return min(seen, key=lambda pair: (-pair[1] if higher else pair[1], pair[0])) if seen else None

    def prune(self, best: int | None) -> None:
        """Removes checkpoints that neither resume nor release needs."""
        keep = {self.checkpoint(best)} if best is not None else set()
        for folder in self.checkpoints()[:-KEPT]:
            if folder not in keep:
                shutil.rmtree(folder)

    def tidy(self) -> None:
        """Removes what a killed process had begun to write: names with a dot before and a process id behind."""
        for place in (self.folder, self.folder / "checkpoints"):
            for left in place.glob(".*.[0-9]*"):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()

    # ── the whole ──
    def show(self) -> dict[str, Any]:
        """What `affina show --json` prints: state, step, proofs, metrics, verdict, weights_sha256, diagnosis …"""
        result = self.read("result.json", {})
        events = self.events()
        return {
            "name": self.name,
            "folder": str(self.folder),
            "state": self.state,
            "step": max((event["step"] for event in events), default=0),
            "steps": self.read("lock.json", {}).get("steps"),
            "error": self.read("state.json", {}).get("error", ""),
            "proofs": self.read("proofs.json", {}).get("findings", []),
            "ledger": self.read("ledger.json", {}),
            "metrics": result.get("metrics", {}),
            "slices": result.get("slices", []),
            "suites": self.read("suites.json", {}),
            "verdict": result.get("verdict"),
            "diagnosis": result.get("diagnosis"),
            "best_step": result.get("best_step"),
            "weights_sha256": result.get("weights_sha256"),
        }


def _by_kind(events: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {"": [*events]}
    for event in events:
        found.setdefault(event["kind"], []).append(event)
    return found


def step_of(checkpoint: Path) -> int:
    """The step a checkpoint's folder is named after."""
    return int(checkpoint.name.removeprefix("step-"))
