"""The kernels are built once, kept, bound to torch's threads, and where they cannot be built a sentence says why."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from affina.engine.torch import native

SOURCE = '#include "answer.h"\nextern "C" int answer() { return ANSWER; }\n'
pytestmark = pytest.mark.skipif(not native.compiler(), reason="no C++ compiler on this machine")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one source file, and an empty cache."""
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "answer.cpp").write_text(SOURCE, encoding="utf-8")
    (sources / "answer.h").write_text("#define ANSWER 42\n", encoding="utf-8")
    return sources


def kept(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache" / "kernels").iterdir())


def answer(folder: Path) -> int:
    library, reason = native.load(folder)
    assert library is not None and reason == "", reason
    return int(library.answer())


def compiler(folder: Path, script: str) -> str:
    path = folder.parent / "compiler"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_library_is_built_once_and_then_needs_no_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(folder) == 42
    (first,) = kept(folder)
    made = first.stat().st_mtime_ns
    assert answer(folder) == 42 and kept(folder) == [first] and first.stat().st_mtime_ns == made
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert answer(folder) == 42
    first.unlink()
    assert native.load(folder) == (None, "no C++ compiler (c++, g++ or clang++) was found")


def test_a_changed_header_makes_another_library(folder: Path) -> None:
    assert answer(folder) == 42
    (folder / "answer.h").write_text("#define ANSWER 43\n", encoding="utf-8")
    assert answer(folder) == 43 and len(kept(folder)) == 2


def test_another_compiler_makes_another_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(folder) == 42
    real = native.compiler()[0]
    script = f'[ "$1" = --version ] && echo "compiler 99" && exit\nexec {shutil.which(real)} "$@"'
    monkeypatch.setenv("CXX", compiler(folder, script))
    assert answer(folder) == 42 and len(kept(folder)) == 2


def test_the_first_error_of_the_compiler_is_the_reason(folder: Path) -> None:
    (folder / "wrong.cpp").write_text('extern "C" int wrong() { return nothing; }\n', encoding="utf-8")
    library, reason = native.load(folder)
    assert library is None and "wrong.cpp:1" in reason and "nothing" in reason
    assert kept(folder) == []


@pytest.mark.parametrize("script", ["exit 3", "exit 0"], ids=["fails", "makes nothing"])
def test_a_broken_compiler_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setenv("CXX", compiler(folder, script))
    library, reason = native.load(folder)
    assert library is None and f"ended with status {script[-1]} and said nothing" in reason


def test_a_compiler_that_cannot_run_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(compiler(folder, ""))
    path.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    monkeypatch.setenv("CXX", str(path))
    library, reason = native.load(folder)
    assert library is None and "does not run" in reason


def test_a_cache_that_cannot_be_written_costs_a_build_per_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = folder.parent / "file"
    blocked.write_text("", encoding="utf-8")  # a file where a folder should be: refused to root as well
    monkeypatch.setenv("AFFINA_CACHE", str(blocked))
    assert answer(folder) == 42


def test_a_damaged_library_is_built_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(folder) == 42
    (whole,) = kept(folder)
    damaged = folder.parent / "second" / "kernels" / whole.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"\x7fELF cut short")
    monkeypatch.setenv("AFFINA_CACHE", str(damaged.parents[1]))
    assert answer(folder) == 42 and damaged.stat().st_size > 100


THREADS = """
import torch
from affina.engine.torch import native
library = native.library()
assert library is not None, native.reason()
for wanted in (1, 3, 2):
    torch.set_num_threads(wanted)
    assert library.affina_threads() == wanted
from pathlib import Path
maps = Path("/proc/self/maps")
lines = maps.read_text(encoding="utf-8").splitlines() if maps.exists() else []
print(len({line.split()[-1] for line in lines if "libgomp" in line}))
"""


def test_two_processes_at_once_make_one_library_on_the_threads_of_torch(folder: Path) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", THREADS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        out, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        assert out.split() == (["1"] if Path("/proc/self/maps").exists() else ["0"])
    assert [path.suffix for path in kept(folder)] == [".so"]
    assert os.environ["AFFINA_CACHE"] == str(folder.parent / "cache")
