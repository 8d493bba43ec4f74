"""Addresses of databases as `data.read` names them: secrets stand there as `${NAME}` and never as themselves."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://|\$\{\w+\}$")
NAMED = re.compile(r"\$\{(\w+)\}")
SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]*)(.*)", re.DOTALL)
LOGIN = re.compile(r"(://[^:/@?#]*:)([^@]*)@")
"""A password, between the user's name and the host."""
SETTING = re.compile(
    r"((?:[?&;]|%3b)[\w ]*(?:pass|pwd|secret|token|api_?key|credential)[\w ]*(?:=|%3d))((?:(?!%3b)[^&;])*)", re.I
)
"""A password given as a setting at the end, or in an ODBC connection string there, whose signs are written as %XX."""
STANDARD_INPUT = "-"
WRITTEN_OUT = (
    "a password is written out in a database's address, and would end up in every copy of the recipe. "
    "Write `${DB_PASSWORD}` in its place and set DB_PASSWORD in the environment"
)


def is_address(entry: str) -> bool:
    """Whether an entry of `data.read` is the address of a database rather than a path."""
    return ADDRESS.match(entry) is not None


def literal_secret(entry: str) -> bool:
    """Whether a password is written out in an address."""
    if not is_address(entry):
        return False
    given = [found[2] for pattern in (LOGIN, SETTING) for found in pattern.finditer(entry)]
    return any(NAMED.sub("", secret) for secret in given)


def masked(text: str) -> str:
    """The text with every password that is written out in an address in it replaced by dots."""
    return SETTING.sub(_dots, LOGIN.sub(lambda found: f"{_dots(found)}@", text)) if "://" in text else text


def moved(entry: str, old: Path, new: Path) -> str:
    """An entry of `data.read` of a recipe in the folder `old`, as a recipe in the folder `new` writes it."""
    if entry == STANDARD_INPUT:
        return entry
    if not is_address(entry):
        return os.path.relpath(old / entry, new)
    found = SQLITE.fullmatch(entry)
    if not found or NAMED.match(found[2]) or Path(found[2]).is_absolute():
        return entry
    return f"{found[1]}{os.path.relpath(old / found[2], new)}{found[3]}"


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with what it names put in; a name without a value stays as it is."""
    return NAMED.sub(lambda found: values.get(found[1], found[0]), text)


def _dots(found: re.Match[str]) -> str:
    return f"{found[1]}…" if NAMED.sub("", found[2]) else found[0].removesuffix("@")
