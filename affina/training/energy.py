"""Joules by the processor's own counters (RAPL, as Linux shows them under powercap); nothing where it shows none."""

from collections.abc import Mapping
from pathlib import Path

PLACE = Path("/sys/class/powercap")
MICRO = 1e-6


def counters(place: Path = PLACE) -> dict[Path, int]:
    """By zone the microjoules counted so far: whole packages, and memory, which they leave out; empty where these
    cannot be read."""
    zones = [*place.glob("intel-rapl:[0-9]*")]
    try:
        return {zone: _number(zone / "energy_uj") for zone in zones if _apart(zone)}
    except (OSError, ValueError):  # no counter, or not for this user: energy is then not told, in so many words
        return {}


def joules(before: Mapping[Path, int], after: Mapping[Path, int]) -> float | None:
    """What was spent between two readings; a counter that went round once is followed. None where there is none."""
    if not before or before.keys() != after.keys():
        return None
    return MICRO * sum(_since(zone, before[zone], after[zone]) for zone in after)


def _since(zone: Path, before: int, after: int) -> int:
    return after - before if after >= before else after - before + _number(zone / "max_energy_range_uj")


def _apart(zone: Path) -> bool:
    """Whether no other zone counts the same: cores and graphics are parts of their package, which is, like memory, a
    part of the platform."""
    name = (zone / "name").read_text(encoding="ascii").strip()
    return name == "dram" or (zone.name.count(":") == 1 and name != "psys")


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
