"""A database's address with what it names put in, and what a database says without it: secrets are never said."""

import os
import re
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

import sqlalchemy

from affina.core.address import NAMED, filled
from affina.core.errors import Refused

SHORT = 4
"""A value of fewer letters would be found in ordinary words."""


def values_of(address: str) -> dict[str, str]:
    """What the address names, from the environment. Raises Refused for a name that is not set."""
    names = NAMED.findall(address)
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        what = f"{address} cannot be opened"
        raise Refused(what, f"{', '.join(missing)} is not set in the environment", f"set it: export {missing[0]}=…")
    return {name: os.environ[name] for name in names}


def complete(address: str, values: Mapping[str, str]) -> sqlalchemy.URL:
    """The address with the values in it, whatever signs they have."""
    if NAMED.fullmatch(address):
        return sqlalchemy.make_url(filled(address, values))
    main, _, settings = address.partition("?")
    login = re.match(r"[^:/]*://[^/]*@", main)
    place = login.end() if login else 0
    quoted = {name: quote(value, safe="") for name, value in values.items()}
    plus = {name: quote_plus(value) for name, value in values.items()}
    bare = {name: quote(value, safe=":[]") for name, value in values.items()}  # a host may have colons
    before = filled(main[:place], quoted) + filled(main[place:], bare)
    return sqlalchemy.make_url(before + (f"?{filled(settings, plus)}" if settings else ""))


def without(said: str, values: Mapping[str, str]) -> str:
    """A sentence with names in place of their values, however these are written."""
    for name, secrets in sorted(_secrets(values).items(), key=lambda each: -max(map(len, each[1]))):
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) < SHORT and secret in said:
                return f"something that cannot be repeated, since the value of {name} is in it"
            said = said.replace(secret, f"${{{name}}}")
    return said


def _secrets(values: Mapping[str, str]) -> dict[str, set[str]]:
    """Every way in which a value may be written, and where it is a whole address, the parts of it too."""
    found = {}
    for name, value in values.items():
        parts = {value}
        if "://" in value:
            given = sqlalchemy.make_url(value)
            parts |= {part for part in (given.username, given.password) if part}
            parts |= {str(each) for each in given.query.values()}
        forms = (str, lambda text: quote(text, safe=""), quote_plus, lambda text: repr(text)[1:-1], _escaped)
        found[name] = {form(part) for part in parts for form in forms}
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
