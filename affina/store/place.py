"""Where releases lie and where the registry is: under the root of the runs, or where AFFINA_REGISTRY says."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affina.core.address import is_address
from affina.core.run import RELEASES

if TYPE_CHECKING:
    from affina.store.registry import Registry
    from affina.store.versions import Version

REFERENCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,79})(?:@(\d{1,9}))?")
FILE = "registry.db"


@dataclass(frozen=True)
class Place:
    """A registry and the folder of its releases."""

    root: str | Path = "runs"
    """Where runs live."""
    registry: str = ""
    """A folder, or a database's address with its secrets as `${NAME}`; AFFINA_REGISTRY, else `releases` under the
    root."""
    by: str = ""
    """Who acts; whoever is logged in when left out."""

    @property
    def folder(self) -> Path:
        """Where the folders of releases lie."""
        return Path(self._given) if self._given and not is_address(self._given) else Path(self.root) / RELEASES

    @property
    def address(self) -> str:
        """The database's address."""
        return self._given if is_address(self._given) else f"sqlite:///{(self.folder / FILE).resolve()}"

    @property
    def begun(self) -> bool:
        """Whether there can be a release."""
        return is_address(self._given) or (self.folder / FILE).is_file()

    def open(self) -> Registry:
        """The registry, made where there is none yet. Raises Refused for a database that cannot be used."""
        from affina.store.database import Database  # where there is no registry, nothing of SQLAlchemy is loaded
        from affina.store.registry import Registry

        return Registry(Database(self.address), self.by)

    def of(self, version: Version) -> Path:
        """The folder of a version."""
        return self.folder / version.folder

    @property
    def _given(self) -> str:
        return self.registry or os.environ.get("AFFINA_REGISTRY", "")


def located(reference: str, place: Place) -> tuple[Version, Path] | None:
    """NAME@VERSION, or of NAME what is live, else the newest; None for what names no release."""
    match = REFERENCE.fullmatch(reference)
    if match is None or not place.begun or not (place.folder / match[1]).is_dir():
        return None
    registry = place.open()
    held = registry.versions(match[1])
    if not held:
        return None
    found = (registry.live(match[1]) or held[0]) if not match[2] else registry.version(reference)
    return found, place.of(found)
