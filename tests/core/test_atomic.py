"""Files and folders are whole or absent, whatever interrupts the writing."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from affina.core.atomic import MANIFEST, damage, sealed, sha256, write_json, write_text
from affina.core.errors import Failed


def in_another_process(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60)


def test_a_digest_is_the_published_one(tmp_path: Path) -> None:
    # FIPS 180-2, appendix B.1: the message "abc".
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_is_replaced_at_once_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    write_text(tmp_path / "a", "nuovo: così")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "nuovo: così"
    assert os.listdir(tmp_path) == ["a"]


def test_numbers_that_are_not_json_are_refused_and_the_old_file_stands(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"loss": 1.5})
    with pytest.raises(ValueError):
        write_json(tmp_path / "a", {"loss": float("nan")})
    assert (tmp_path / "a").read_text(encoding="utf-8") == '{\n "loss": 1.5\n}\n'


def test_a_crash_between_writing_and_renaming_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    script = """
import os, signal, sys
from pathlib import Path
from affina.core import atomic
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
atomic.write_text(Path(sys.argv[1]) / "a", "new")
"""
    assert in_another_process(script, tmp_path).returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"


def test_a_full_disk_is_a_clear_failure_and_the_old_file_stands(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    script = """
import resource, signal, sys
from pathlib import Path
from affina.core.atomic import write_text
from affina.core.errors import Failed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    write_text(Path(sys.argv[1]) / "a", "x" * 100_000)
except Failed as error:
    print(error)
"""
    done = in_another_process(script, tmp_path)
    assert f"{tmp_path / 'a'} could not be written: File too large. free space" in done.stdout, done.stderr
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_sealed_folder_appears_whole_with_its_checksums(tmp_path: Path) -> None:
    with sealed(tmp_path / "checkpoint") as folder:
        (folder / "inner").mkdir()
        (folder / "weights").write_bytes(b"123")
        (folder / "inner" / "state").write_bytes(b"456")
        assert not (tmp_path / "checkpoint").exists()
    assert damage(tmp_path / "checkpoint") == ""
    assert sorted(os.listdir(tmp_path / "checkpoint")) == ["inner", MANIFEST, "weights"]


def test_a_block_that_raises_leaves_the_older_folder(tmp_path: Path) -> None:
    with sealed(tmp_path / "checkpoint") as folder:
        (folder / "weights").write_bytes(b"old")
    with pytest.raises(KeyError), sealed(tmp_path / "checkpoint") as folder:
        (folder / "weights").write_bytes(b"new")
        raise KeyError
    assert (tmp_path / "checkpoint" / "weights").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["checkpoint"]


def test_a_full_disk_leaves_the_older_folder(tmp_path: Path) -> None:
    with sealed(tmp_path / "checkpoint") as folder:
        (folder / "weights").write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(Failed, match=r"could not be written"), sealed(tmp_path / "checkpoint") as folder:
            (folder / "weights").write_bytes(b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / "checkpoint" / "weights").read_bytes() == b"old"


@pytest.mark.parametrize("harm", ["truncate", "flip", "delete", "manifest"])
def test_every_kind_of_damage_is_named(tmp_path: Path, harm: str) -> None:
    with sealed(tmp_path / "checkpoint") as folder:
        (folder / "weights").write_bytes(b"0123456789")
    weights = tmp_path / "checkpoint" / "weights"
    if harm == "truncate":
        weights.write_bytes(b"01234")
    elif harm == "flip":
        weights.write_bytes(b"012345678!")
    elif harm == "delete":
        weights.unlink()
    else:
        (tmp_path / "checkpoint" / MANIFEST).write_text("{", encoding="utf-8")
    assert damage(tmp_path / "checkpoint") != ""
