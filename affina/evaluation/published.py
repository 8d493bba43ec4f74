"""Files of published bias data as they were published: records with the columns that a task must have."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affina.core.errors import Refused
from affina.core.kinds import Reader, describe_columns, readers
from affina.data.files import listed, short_names
from affina.data.recognise import readings
from affina.data.stream import Records


@dataclass(frozen=True, slots=True)
class Row:
    """A record's columns, and where it stood: a name that no other of the same task has."""

    values: Mapping[str, Any]
    where: str


def published(file: str, folder: Path, columns: Collection[str], data: str) -> list[Row]:
    """Every record of a file, or of those that a pattern names, read as any data are.

    Raises Refused for a record without one of the columns.
    """
    paths, _ = listed([file], folder)
    names = short_names(paths)
    found_readings = [reading for path in paths for reading in readings([path], _headed(path))]
    found = [*Records(found_readings, [names[each.paths[0]] for each in found_readings])]
    if not found:
        raise Refused(f"{file} has no rows of {data}", instead=f"give a file with the columns {', '.join(columns)}")
    for where, _, record in found:
        if record.problem:
            raise Refused(f"the record cannot be read: {record.problem}", instead="mend the line", where=where)
        absent = [name for name in columns if not isinstance(record.values, Mapping) or name not in record.values]
        if absent:
            shown = ", ".join(describe_columns([record])) or "no columns"
            raise Refused(
                f"{where} is not in the format of {data}",
                why=f"it has no {', '.join(absent)}; it has {shown}",
                instead=f"give a file with the columns {', '.join(columns)}",
            )
    return [Row(record.values, where) for where, _, record in found]


def _headed(path: Path) -> Reader | None:
    """A delimited file's first row names its columns, few rows or many."""
    table = path.suffix.lower() in readers.find("csv").suffixes
    return readers.build({"name": "csv", "header": True}) if table else None


def content(path: Path) -> str:
    """A file's text, UTF-8. Raises Refused for another encoding."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is no text in UTF-8", why=str(error), instead="save it as UTF-8") from error


def text_of(values: Mapping[str, Any], column: str, where: str) -> str:
    """A cell that must hold a text. Raises Refused."""
    text = values[column]
    if not isinstance(text, str) or not text.strip():
        raise Refused(f"{column} is empty or no text: {text!r}", instead="fill it, or take the row out", where=where)
    return text.strip()
