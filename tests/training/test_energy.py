"""Counters as Linux lays them out: https://docs.kernel.org/power/powercap/powercap.html"""

from pathlib import Path

import pytest

from affina.training.energy import counters, joules


def counted(place: Path, zones: dict[str, tuple[str, int]]) -> dict[Path, int]:
    """What is read where these zones, by folder, have a name and microjoules."""
    for folder, (name, energy) in zones.items():
        (place / folder).mkdir(exist_ok=True)
        for file, text in {"name": name, "energy_uj": energy, "max_energy_range_uj": 262143328850}.items():
            (place / folder / file).write_text(f"{text}\n")
    return counters(place)


def test_packages_and_memory_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    """5 J + 2 J of two packages and 0.5 J of memory; the cores' 4 J are in their package, and all of it in the
    platform's 11 J."""
    names = {
        "intel-rapl:0": "package-0",
        "intel-rapl:1": "package-1",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:2": "psys",
    }
    before = counted(tmp_path, {zone: (name, 1_000_000) for zone, name in names.items()})
    spent = {"package-0": 5_000_000, "package-1": 2_000_000, "core": 4_000_000, "dram": 500_000, "psys": 11_000_000}
    after = counted(tmp_path, {zone: (name, 1_000_000 + spent[name]) for zone, name in names.items()})
    assert joules(before, after) == pytest.approx(7.5)


def test_a_counter_that_went_round_is_followed(tmp_path: Path) -> None:
    before = counted(tmp_path, {"intel-rapl:0": ("package-0", 262143328850 - 1_000_000)})
    after = counted(tmp_path, {"intel-rapl:0": ("package-0", 2_000_000)})
    assert joules(before, after) == pytest.approx(3.0)


def test_without_a_counter_nothing_is_told(tmp_path: Path) -> None:
    assert counters(tmp_path) == {}
    assert joules({}, {}) is None
    before = counted(tmp_path, {"intel-rapl:0": ("package-0", 1)})
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("")
    assert counters(tmp_path) == {}
    assert joules(before, {}) is None
