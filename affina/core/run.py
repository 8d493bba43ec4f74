"""A run is a folder one can read with `cat`: recipe, lock, ledger, proofs, events, checkpoints, answers, report."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from affina.core.atomic import damage, write_json, write_text
from affina.core.errors import Failed, Refused, nearest

RUNNING = ("preparing", "proving", "training", "evaluating")
KEPT = 2  # recent checkpoints kept beside the best one


class Run:
    """One run's folder. Files it holds: recipe.yaml, lock.json, state.json, ledger.json, quarantine.jsonl, proofs.json,
    events.jsonl, checkpoints/step-NNNNNNNN/, base.json and tuned.json (answers), result.json, report.html."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self._events: list[dict[str, Any]] | None = None
        self.damaged: list[str] = []

    @classmethod
    def create(cls, root: Path, name: str) -> "Run":
        """The run's folder, made when absent. Raises Refused when the root cannot be written."""
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
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Refused(
                    f"run '{self.name}' is being trained by another process",
                    instead="wait for it, stop it, or choose another --run name",
                ) from error
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
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "kind": kind, **values}, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        known.append({"step": step, "kind": kind, **values})

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """Every event in order; a last line torn by a crash is left out."""
        return [event for event in self._known() if not kind or event["kind"] == kind]

    def _known(self) -> list[dict[str, Any]]:
        if self._events is None:
            path = self.folder / "events.jsonl"
            lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
            self._events = [json.loads(line) for line in lines]
        return self._events

    def rewind(self, step: int) -> None:
        """Sets aside the events after `step`: what happens next is decided by what remains."""
        kept = [event for event in self.events() if event["step"] <= step]
        gone = [event for event in self.events() if event["step"] > step]
        if gone:
            with (self.folder / "events.aside.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(event) + "\n" for event in gone)
        self.write("events.jsonl", "".join(json.dumps(event) + "\n" for event in kept))
        self._events = kept

    # ── checkpoints ──
    def checkpoint(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step:08d}"

    def checkpoints(self) -> list[Path]:
        """Every checkpoint's folder, the oldest first."""
        return sorted((self.folder / "checkpoints").glob("step-*"))

    def latest(self) -> Path | None:
        """The newest checkpoint that verifies; damaged ones are named in `damaged` and passed over."""
        for folder in reversed(self.checkpoints()):
            wrong = damage(folder)
            if not wrong:
                return folder
            self.damaged.append(f"checkpoint {folder.name} is damaged ({wrong}); using the one before it")
        return None

    def best(self, monitor: str, higher: bool) -> tuple[int, float] | None:
        """The step and value of the best validation so far; the earlier one when two are equal."""
        seen = [(event["step"], event[monitor]) for event in self.events("validate")]
        return min(seen, key=lambda pair: (-pair[1] if higher else pair[1], pair[0])) if seen else None

    def prune(self, best: int | None) -> None:
        """Removes checkpoints that neither resume nor release needs."""
        keep = {self.checkpoint(best)} if best is not None else set()
        for folder in self.checkpoints()[:-KEPT]:
            if folder not in keep:
                shutil.rmtree(folder)

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
            "verdict": result.get("verdict"),
            "diagnosis": result.get("diagnosis"),
            "best_step": result.get("best_step"),
            "weights_sha256": result.get("weights_sha256"),
        }
