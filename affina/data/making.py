"""Rows that a maker makes, written as they come: what was interrupted, by whatever, goes on and ends in the same bytes.

Beside the rows lies a folder with what was rejected (only its owner may read it), a line per finished round, and at
the end the report. A round that was half-written is cut off and made again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from affina.core.atomic import disk_error, sha256, write_json, write_text
from affina.core.errors import Refused
from affina.core.kinds import Made, Maker, Record, Workshop
from affina.core.say import Say
from affina.data import made_report
from affina.data.files import listed, short_names
from affina.data.recognise import readings

FRUITLESS = 60
"""Rounds after one another without a row, after which making ends."""
OWNER_ONLY = 0o600


@dataclass(frozen=True)
class Order:
    """What is to be made: of which files, by which models, how many rows at most."""

    maker: Maker
    files: Sequence[str]
    rows: int
    seed: int
    model: Mapping[str, str]
    """Its `reference`, and the `digest` of its weights."""
    critic: Mapping[str, str]


class Sheaf:
    """The files of one making: rows in `out`, the rest in a folder named after it."""

    def __init__(self, out: Path) -> None:
        self.out, self.folder = out, out.with_name(f"{out.stem}.make")
        self.rejected, self.rounds = self.folder / "rejected.jsonl", self.folder / "rounds.jsonl"
        self.asked, self.report = self.folder / "asked.json", self.folder / "report.json"
        self.page = self.folder / "report.html"

    @contextmanager
    def open(self, asked: Mapping[str, Any]) -> Iterator[Sheaf]:
        """Held against every other process; cut back to its last whole round.

        Raises Refused where the file is there and was made otherwise, or is being made.
        """
        self._settle(asked)
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Refused(
                    f"{self.out} is being made by another process", instead="wait for it, or stop it"
                ) from error
            self._cut_back()
            yield self

    def _settle(self, asked: Mapping[str, Any]) -> None:
        if self.asked.is_file():
            before = json.loads(self.asked.read_text(encoding="utf-8"))
            if odd := [key for key in asked if before.get(key) != asked[key]]:
                raise Refused(
                    f"{self.out} was made otherwise",
                    why=f"another {' and '.join(odd)} was asked for then",
                    instead=f"give another --out, or remove {self.out} and {self.folder}",
                )
            return
        if self.out.exists():
            raise Refused(f"{self.out} exists", why="nothing is written over", instead="give another --out")
        if not self.out.parent.is_dir():
            raise Refused(f"there is no folder {self.out.parent}", instead="make it, or give another --out")
        self.folder.mkdir(exist_ok=True)
        write_json(self.asked, dict(asked), OWNER_ONLY)

    def _cut_back(self) -> None:
        last = self.done[-1] if self.done else {"rows": 0, "rejected": 0}
        for path, mode, kind in ((self.out, 0o644, "rows"), (self.rejected, OWNER_ONLY, "rejected")):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, mode)
            try:
                if os.fstat(handle).st_size < last[kind]:
                    raise Refused(f"{path} is shorter than it was", why="rows were taken out", instead="make it anew")
                os.ftruncate(handle, last[kind])
            finally:
                os.close(handle)
        whole = "".join(json.dumps(each) + "\n" for each in self.done)
        write_text(self.rounds, whole, OWNER_ONLY)

    @property
    def done(self) -> list[dict[str, int]]:
        """A line per finished round: how long both files were then. The last may be half-written and is none."""
        if not self.rounds.is_file():
            return []
        lines = self.rounds.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def add(self, made: Sequence[Made], asked: Mapping[str, Any]) -> None:
        """A round's rows. They are on the disk before the round counts as done."""
        try:
            kept = [_line(each, asked) for each in made if not each.rejected]
            rest = [_line(each, asked) for each in made if each.rejected]
            sizes = {"rows": _append(self.out, kept), "rejected": _append(self.rejected, rest)}
            _append(self.rounds, [json.dumps(sizes)])
        except OSError as error:
            raise disk_error(self.folder, error) from error

    def kept(self) -> Iterator[dict[str, Any]]:
        yield from _lines(self.out)

    def refused(self) -> Iterator[dict[str, Any]]:
        yield from _lines(self.rejected)


def make_rows(order: Order, enter: Callable[[], Workshop], out: Path, say: Say) -> dict[str, Any]:
    """Makes rows until there are enough, the material ends or nothing comes of it any more; returns the report. The
    workshop is entered where there is work left.

    Raises Refused for files that cannot be read or are nothing for this maker, and for an `out` made otherwise.
    """
    paths = listed(order.files, Path())[0]
    names = short_names(paths)
    asked = {
        "maker": {"name": order.maker.name, **order.maker.model_dump(mode="json")},
        "prompts": dict(order.maker.known()),
        "rows": order.rows,
        "seed": order.seed,
        "model": dict(order.model),
        "critic": dict(order.critic),
        "files": {names[path]: sha256(path) for path in paths},
    }
    with Sheaf(out).open(asked) as sheaf:
        if sheaf.report.is_file():
            found: dict[str, Any] = json.loads(sheaf.report.read_text(encoding="utf-8"))
            return found
        workshop = enter()
        records = [replace(record, file=names[path]) for path, record in _records(paths)]
        material = order.maker.material(records)
        say.line(f"{order.maker.name}: {len(material):,} of {len(records):,} records to make rows from")
        ended = _rounds(order, material, workshop, sheaf, say)
        report = {**asked, "ended": ended, **made_report.counted(sheaf.kept(), sheaf.refused(), order.seed)}
        write_text(sheaf.page, made_report.page(out.name, report), OWNER_ONLY)
        write_json(sheaf.report, report, OWNER_ONLY)
        return report


def _records(paths: Sequence[Path]) -> Iterator[tuple[Path, Record]]:
    for reading in readings(paths):
        yield from ((reading.paths[0], record) for record in reading.records())


def _rounds(order: Order, material: Sequence[Any], workshop: Workshop, sheaf: Sheaf, say: Say) -> str:
    """Goes on where it was left; why it ended, in a phrase."""
    asked = {"model": order.model["reference"], "weights": order.model["digest"], "seed": order.seed}
    kept, done = list(sheaf.kept()), len(sheaf.done)
    fruitless = _fruitless(sheaf.done)
    if done:
        say.line(f"{done} rounds were done before: going on with {len(kept)} rows")
    for about in islice(order.maker.rounds(material, workshop), done, None):
        if len(kept) >= order.rows:
            return "enough rows"
        if fruitless >= FRUITLESS:
            return f"nothing came of {FRUITLESS} rounds"
        made = _within(order.maker.round(about, kept, workshop), order.rows - len(kept))
        sheaf.add(made, {**asked, "maker": order.maker.name})
        new = [dict(each.row) for each in made if not each.rejected]
        kept += new
        fruitless = 0 if new else fruitless + 1
        say.progress("making", len(kept), order.rows, f"{len(made)} asked in the last round")
    return "enough rows" if len(kept) >= order.rows else "the material ended"


def _within(made: Any, room: int) -> list[Made]:
    """The rows with no more kept than there is room for."""
    found: list[Made] = []
    for each in made:
        room -= not each.rejected
        found.append(
            replace(each, rejected="there are enough rows", passed=()) if room < 0 and not each.rejected else each
        )
    return found


def _fruitless(done: Sequence[Mapping[str, int]]) -> int:
    """Rounds at the end that added no row."""
    sizes = [0, *(each["rows"] for each in done)]
    return next((back for back in range(len(done)) if sizes[-1 - back] != sizes[-2 - back]), len(done))


def _line(made: Made, asked: Mapping[str, Any]) -> str:
    origin = {**made.origin, **asked} | ({"passed": list(made.passed)} if not made.rejected else {})
    reason = {"rejected": made.rejected} if made.rejected else {}
    return json.dumps({**reason, **made.row, "made": origin}, ensure_ascii=False)


def _append(path: Path, lines: Sequence[str]) -> int:
    """Adds the lines, safe on the disk; returns the file's size in bytes."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, OWNER_ONLY)
    # half a surrogate pair, which JSON can hold and UTF-8 cannot, is written as the \\u escape it came from
    with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
