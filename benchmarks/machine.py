"""What a measurement costs and what disturbed it: memory of a process tree, page faults, other people's CPU time."""

import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

KB_PER_GB = 1e6


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except (FileNotFoundError, ProcessLookupError):  # it ended while being looked at
                continue
    return found


def resident_kb(pid: int) -> int:
    """What one process holds in memory now, in kB; 0 for one that has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


class TreeMemory(threading.Thread):
    """Looks every `pause_s` at what a process and its descendants hold together; pages they share count in each."""

    def __init__(self, pid: int, pause_s: float = 0.25) -> None:
        super().__init__(daemon=True)
        self.pid, self.pause_s, self.peak_kb = pid, pause_s, 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            self.peak_kb = max(self.peak_kb, sum(map(resident_kb, tree(self.pid))))
            self._ended.wait(self.pause_s)

    def end(self) -> float:
        """Stops looking; the peak in GB."""
        self._ended.set()
        self.join()
        return self.peak_kb / KB_PER_GB


def own_peak_gb() -> float:
    """The kernel's own record of this process's largest resident size."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KB_PER_GB


def minor_faults() -> int:
    """Pages this process has been given so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def age_s() -> float:
    """Seconds since this process was started, the interpreter's own start included."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


class Noise:
    """CPU time that others took, and that the hypervisor took, since this object was made."""

    def __init__(self) -> None:
        self.load = os.getloadavg()[0]
        self.busy_s, self.stolen_s = self._machine()

    def _machine(self) -> tuple[float, float]:
        ticks = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
        user, nice, system, _, _, interrupts, soft, stolen = (each / os.sysconf("SC_CLK_TCK") for each in ticks)
        return user + nice + system + interrupts + soft, stolen

    def seen(self) -> dict[str, float]:
        """load_before, sys_s (this process in the kernel), steal_s, others_cpu_s."""
        busy_s, stolen_s = self._machine()
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own_s = sum(each.ru_utime + each.ru_stime for each in used)
        return {
            "load_before": round(self.load, 2),
            "sys_s": round(used[0].ru_stime, 1),
            "steal_s": round(stolen_s - self.stolen_s, 1),
            "others_cpu_s": round(busy_s - self.busy_s - own_s, 1),
        }


def measured(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Runs a benchmark; the last JSON line it prints, with `tree_gb`, the peak of its process tree, added.

    Raises SystemExit with the end of what it said when it fails.
    """
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        memory = TreeMemory(process.pid)
        memory.start()
        try:
            said, complained = process.communicate()
        finally:  # an interrupt ends the run too
            process.kill()
            peak_gb = memory.end()
    lines = [line for line in said.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{complained[-2000:]}")
    line: dict[str, Any] = json.loads(lines[-1])
    return {**line, "tree_gb": round(max(peak_gb, line.get("peak_rss_gb", 0)), 2)}
