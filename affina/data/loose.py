"""Every text in files of any format, whatever their shape: what rows are held against, not learnt from."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from affina.data.files import listed
from affina.data.recognise import readings


def loose(files: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """Each text with `file:line`, in order; records with a problem are passed over. Raises Refused."""
    paths, _ = listed(files, folder)
    for reading in readings(paths):
        for record in reading.records():
            if not record.problem:
                name = f"{Path(record.file).name}:{record.line}"
                yield from ((name, text) for text in strings(record.values))


def longest(files: Sequence[str], folder: Path) -> Iterator[str]:
    """Of each record the longest text."""
    named = loose(files, folder)
    for _, held in groupby(named, key=lambda each: each[0]):
        yield max((text for _, text in held), key=len)


def strings(value: Any) -> Iterator[str]:
    """The strings in a record, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from strings(each)
