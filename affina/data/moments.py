"""Dates written in one of the usual ways, to numbers that can be ordered."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import numpy as np

from affina.core.errors import Refused
from affina.core.kinds import Floats

DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%y", "%m/%d/%y")
HOURS = ("", " %H:%M", " %H:%M:%S")
WRITTEN = (
    "%Y-%m-%d %H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y", "%d %b %Y",
    *(day + hour for day in DAYS for hour in HOURS),
)  # fmt: skip
MIXED = {"%d/%m/%Y": "%m/%d/%Y", "%d/%m/%y": "%m/%d/%y"}
"""Ways that many dates could be read in both."""


def moments(texts: Sequence[str], column: str) -> Floats:
    """[N]: seconds since 1970 (or the numbers themselves), all read in the same way.

    Raises Refused where some are no dates, are written in different ways, or could be read in two.
    """
    for read in (float, _iso, parsedate_to_datetime):
        if (found := _all(texts, read)) is not None:
            return found
    fitting = {each: found for each in WRITTEN if (found := _all(texts, _format(each))) is not None}
    if not fitting:
        odd = next((text for text in texts if _one(text) is None), texts[0])
        raise Refused(
            f"the column '{column}' is no time",
            why=f"'{odd[:40]}' is no date that can be read, or dates are written in different ways",
            instead="write dates as YYYY-MM-DD",
        )
    for one, two in MIXED.items():
        for hour in HOURS:
            both = [fitting[each + hour] for each in (one, two) if each + hour in fitting]
            if len(both) == 2 and (both[0] != both[1]).any():
                raise Refused(
                    f"the dates of column '{column}' can be read as day/month and as month/day",
                    why=f"such as '{texts[0]}'",
                    instead="write dates as YYYY-MM-DD",
                )
    return next(iter(fitting.values()))


def _all(texts: Sequence[str], read: Callable[[str], object]) -> Floats | None:
    try:
        return np.array([_seconds(read(text.strip())) for text in texts], np.float64)
    except (ValueError, TypeError, IndexError):
        return None


def _one(text: str) -> Floats | None:
    reads: list[Callable[[str], object]] = [float, _iso, parsedate_to_datetime, *map(_format, WRITTEN)]
    return next((found for read in reads if (found := _all([text], read)) is not None), None)


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _format(written: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, written)


def _seconds(found: object) -> float:
    if isinstance(found, datetime):
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if isinstance(found, float) and np.isfinite(found):
        return found
    raise ValueError("neither a date nor a number")
