"""The C++ files of this folder as one shared library, built once by the machine's own compiler and kept in the cache.

Where it cannot be built or loaded there is no library, and a reason: nothing here raises.
"""

import ctypes
import errno
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch  # first: its OpenMP runtime is then the one that the library binds to, with one pool of threads

from affina.core.cache import cache_root

HERE = Path(__file__).parent
# Not -ffast-math: masks are infinities. Sums that may be taken in another order say so (`omp simd reduction`).
FLAGS = (
    "-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC",
    "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-ffp-contract=fast",
)  # fmt: skip
LONGEST_BUILD_S = 300


def library() -> ctypes.CDLL | None:
    """The library, the same one for the whole process; None where there is none, as `reason` says."""
    return _loaded()[0]


def reason() -> str:
    """Why there is no library: no compiler, or its first error line; empty when there is one."""
    return _loaded()[1]


@cache
def _loaded() -> tuple[ctypes.CDLL | None, str]:
    return load(HERE)


def load(folder: Path) -> tuple[ctypes.CDLL | None, str]:
    """The library of a folder's `*.cpp` files and an empty reason, or None and the reason."""
    kernels, command = cache_root() / "kernels", compiler()
    identity = _identity(folder)
    if not command:
        for kept in sorted(kernels.glob(f"{identity}-*.so")):
            if (opened := _opened(kept)) is not None:
                return opened, ""
        return None, "no C++ compiler (c++, g++ or clang++) was found"
    try:
        version = subprocess.run([*command, "--version"], capture_output=True, timeout=60).stdout.split(b"\n")[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{shlex.join(command)} does not run: {error}"
    kept = kernels / f"{identity}-{hashlib.sha256(version).hexdigest()[:16]}.so"
    opened = _opened(kept) if kept.is_file() else None
    return (opened, "") if opened is not None else _built(folder, command, kept)


def _built(folder: Path, compiler: list[str], kept: Path) -> tuple[ctypes.CDLL | None, str]:
    """Compiled beside its final place and renamed, or, where nothing can be written, for this process alone."""
    problem = ""
    for place in (kept.parent, Path(tempfile.gettempdir())):
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".build-", dir=place) as aside:
                made = Path(aside) / kept.name
                problem = _compile(folder, compiler, made)
                if problem and os.strerror(errno.ENOSPC) not in problem:
                    return None, problem
                if not problem and place == kept.parent:
                    made = made.replace(kept)
                if (opened := _opened(made)) is not None:
                    return opened, ""
                problem = problem or f"{made} was built and cannot be loaded"
        except OSError as error:  # read-only or full: the next place
            problem = f"{error.filename or place}: {error.strerror}"
    return None, problem


def _compile(folder: Path, compiler: list[str], made: Path) -> str:
    """Every source at once, then linked. Empty when the file was made, otherwise the compiler's first error line."""
    sources = sorted(folder.glob("*.cpp"))
    objects = [made.with_name(f"{path.stem}.o") for path in sources]
    steps = [[*FLAGS, "-c", str(path), "-o", str(each)] for path, each in zip(sources, objects, strict=True)]
    for together in (steps, [[*FLAGS, "-shared", *map(str, objects), "-o", str(made)]]):
        running = [_start([*compiler, *step]) for step in together]
        problems = [_problem(process) for process in running]
        if problem := next(filter(None, problems), ""):
            return problem
    return "" if made.is_file() else "the compiler ended with status 0 and said nothing"


def _start(command: list[str]) -> subprocess.Popen[str]:
    silent, english = subprocess.DEVNULL, {**os.environ, "LC_ALL": "C"}
    return subprocess.Popen(command, stdin=silent, stdout=silent, stderr=subprocess.PIPE, text=True, env=english)


def _problem(process: subprocess.Popen[str]) -> str:
    """Waits; empty when the step succeeded."""
    try:
        said = process.communicate(timeout=LONGEST_BUILD_S)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"the compiler took longer than {LONGEST_BUILD_S} s"
    lines = [line for line in said.splitlines() if line.strip()]
    silent = f"the compiler ended with status {process.returncode} and said nothing"
    first = next((line for line in lines if "error:" in line), lines[0] if lines else silent)
    return first if process.returncode else ""


def _opened(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # cut short, of another system, or on a disk that may not execute: built again elsewhere
        return None


def compiler() -> list[str]:
    """The command of the first compiler there is, `$CXX` before the others; empty when there is none."""
    named = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    return next((words for words in map(shlex.split, named) if words and shutil.which(words[0])), [])


def _identity(folder: Path) -> str:
    """32 hexadecimal digits over sources, flags, torch's version and what the processor can do."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    able = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    digest = hashlib.sha256("\n".join([*FLAGS, torch.__version__, platform.machine(), able]).encode())
    for path in sorted([*folder.glob("*.cpp"), *folder.glob("*.h")]):
        digest.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]
