"""Every error affina raises on purpose: what was asked, why it cannot work, what to do instead, and where."""

from difflib import get_close_matches
from typing import ClassVar


class AffinaError(Exception):
    """A sentence for the person at the keyboard; the exit code says whose move it is."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, why: str = "", instead: str = "", where: str = "") -> None:
        self.what, self.why, self.instead, self.where = what, why, instead, where
        head = f"{where}: {what}" if where else what
        super().__init__(". ".join(part.rstrip(".") for part in (f"{head}: {why}" if why else head, instead) if part))


class Refused(AffinaError):
    """The request cannot be met as it stands; nothing was started and nothing half-written."""

    exit_code: ClassVar[int] = 2


class Failed(AffinaError):
    """The run itself failed: a proof, a NaN, a full disk."""


class Stopped(AffinaError):
    """The person stopped it; the state is saved."""

    exit_code: ClassVar[int] = 130


def nearest(name: str, known: list[str]) -> str:
    """A remedy sentence for an unknown name: the closest known one, or the whole list when nothing is close."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"
