"""Tasks by what a person names them with: a YAML file, a folder of them, a part's bare name, a trusted Python file."""

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from affina.core.errors import Refused, nearest
from affina.core.invalid import located
from affina.core.kinds import tasks
from affina.core.part import InvalidPart
from affina.core.task import Task
from affina.core.yaml_text import parsed

YAML = (".yaml", ".yml")
BARE = re.compile(r"\w+")
TRUSTED = "trusted_tasks"
"""Before the names of modules read from a person's own files, so that none hides another."""


@dataclass(frozen=True, slots=True)
class Named:
    """A task, how it is called in a report, and the folder that its paths are relative to."""

    label: str
    task: Task
    folder: Path


def is_task(on: str) -> bool:
    """Whether this names tasks; otherwise it is a file of data. Raises Refused for a bare name that is neither."""
    path = Path(on)
    if path.is_dir():
        return any(_files(path))
    if BARE.fullmatch(on) and not path.exists() and on not in tasks.names():
        raise Refused(f"no task and no file is called '{on}'", instead=nearest(on, tasks.names()))
    return path.suffix.lower() in (*YAML, ".py") or (on in tasks.names() and not path.exists())


def tasks_of(on: str, trust: bool = False) -> list[Named]:
    """The tasks that this names, labels distinct. A Python file runs, so that it is read only with `trust`.

    Raises Refused for an unreadable file, an unknown task or setting, or a Python file without trust.
    """
    path = Path(on)
    if path.is_dir():
        return distinct([named for file in _files(path) for named in _of_file(file)])
    if path.suffix.lower() == ".py":
        return [_trusted(path, trust)]
    if path.suffix.lower() in YAML:
        return distinct(list(_of_file(path)))
    return [Named(on, _built(on, "", on), Path())]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix.lower() in YAML)


def _of_file(path: Path) -> Iterator[Named]:
    """The task of a file, or those of its list."""
    if not path.is_file():
        raise Refused(f"{path} is not there", instead="give a task's YAML with --on FILE")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is no text in UTF-8", why=str(error)) from error
    given = parsed(text, str(path))
    if not isinstance(given, list):
        yield Named(path.stem, _built(given, text, str(path)), path.parent)
        return
    if not given:
        raise Refused(f"{path} lists no task", instead="write `- {name: multiple_choice, data: …}`")
    for number, each in enumerate(given, 1):
        task = _built(each, "", f"{path}, task {number}")
        yield Named(f"{path.stem}/{task.name}", task, path.parent)


def distinct(found: list[Named]) -> list[Named]:
    """The second of a label is called `label-2`."""
    times: dict[str, int] = {}
    made = []
    for each in found:
        times[each.label] = times.get(each.label, 0) + 1
        label = each.label if times[each.label] == 1 else f"{each.label}-{times[each.label]}"
        made.append(Named(label, each.task, each.folder))
    return made


def _built(given: Any, text: str, where: str) -> Task:
    """The task. Raises Refused with the line for a setting that is unknown, missing or wrong."""
    if not isinstance(given, str) and not isinstance(given, Mapping):
        raise Refused(
            f"{where} is no task", instead="write `name: multiple_choice` and its settings, or a list of such"
        )
    try:
        return tasks.build(given)
    except InvalidPart as error:
        raise located(error.kind, error.error, text, where) from error
    except ValueError as error:
        raise Refused(f"{where}: {error}") from error


def _trusted(path: Path, trust: bool) -> Named:
    """The one task that a Python file defines, with its default settings."""
    if not path.is_file():
        raise Refused(f"{path} is not there")
    if not trust:
        raise Refused(
            f"{path} is a program, and reading its task runs it",
            why="nobody said that it is to be trusted",
            instead="read it, then add --trust",
        )
    spec = importlib.util.spec_from_file_location(f"{TRUSTED}.{path.stem}", path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # pydantic looks a class's annotations up there
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError) as error:
        raise Refused(f"{path} does not run", why=f"{type(error).__name__} {error}", instead="mend it") from error
    own = [each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__]
    kinds = [each for each in own if issubclass(each, Task) and not inspect.isabstract(each)]
    if len(kinds) != 1:
        raise Refused(f"{path} defines {len(kinds)} tasks", why="a task's file defines one", instead="divide the file")
    try:
        return Named(path.stem, kinds[0](), path.parent)
    except ValidationError as error:
        raise located(kinds[0], error, "", str(path)) from error
