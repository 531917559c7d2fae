"""The machine this process runs on: what it is, and its memory."""

import ctypes
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

MB = 1 << 20
WORKER_MB = 700
"""What one worker may come to need."""
CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of malloc.h
LARGEST_KEPT = 32 << 20
"""Bytes; glibc takes no larger threshold, and hands every larger buffer back to the system."""


def peak_rss_mb() -> float:
    """Most memory that this process has held so far, in units of 1024 * 1024 bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # not Linux
        return float(psutil.Process().memory_info().rss) / MB
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(peak[1]) / 1024 if peak else 0.0


def available_mb(cgroups: Path = CGROUPS, own_groups: Path = OWN_GROUPS) -> float:
    """Memory that can be had, in units of 1024 * 1024 bytes, under a container's limits too.

    cgroups, own_groups: where Linux lists control groups, and those of this process.
    """
    free = float(psutil.virtual_memory().available)
    return min([free, *_cgroup_rooms(cgroups, own_groups)]) / MB


def _cgroup_rooms(cgroups: Path, own_groups: Path) -> list[float]:
    """Bytes that each limit on this process, or on a group around it, leaves."""
    try:
        lines = own_groups.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return []
    rooms: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            rooms += _rooms(cgroups, path, limit="memory.max", usage="memory.current")
        elif "memory" in controllers.split(","):
            base = cgroups / "memory"
            names = {"limit": "memory.limit_in_bytes", "usage": "memory.usage_in_bytes"}
            rooms += _rooms(base, path, **names)
    return rooms


def _rooms(base: Path, path: str, *, limit: str, usage: str) -> list[float]:
    """Bytes left in the group called `path` and in those around it.

    A container may know its group by the host's name and see only the top, as its own.
    """
    group = base / path.lstrip("/")
    rooms: list[float] = []
    for folder in (group, *group.parents):
        if not folder.is_relative_to(base):
            break
        most, used = _number(folder / limit), _number(folder / usage)
        if most is not None and used is not None:
            rooms.append(most - used + _reclaimable(folder))
    return rooms


def _number(file: Path) -> float | None:
    try:
        return float(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such limit, or "max"
        return None


def _reclaimable(group: Path) -> float:
    """Bytes of cached files that the kernel gives back when asked for memory."""
    try:
        text = (group / "memory.stat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    # version 1 has a total, which counts the groups within as its usage does
    found = re.findall(r"^(?:total_)?inactive_file (\d+)$", text, re.MULTILINE)
    return max((float(n_bytes) for n_bytes in found), default=0.0)


def keep_freed_memory() -> None:
    """Tells glibc to keep what is freed for the rest of this process; elsewhere does nothing.

    Every buffer of a few megabytes is otherwise given back and mapped again, page by page, which
    costs a training step a seventh of its time (docs/benchmarks.md).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


@dataclass(frozen=True)
class Machine:
    """Where a benchmark ran."""

    cpu: str
    """Processor, as the system calls it."""
    cores: int
    """Logical cores."""
    system: str
    """Operating system and architecture."""
    python: str
    """Version of Python."""
    torch: str
    """Version of PyTorch."""


def this_machine() -> Machine:
    """The machine this process runs on."""
    return Machine(
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=version("torch"),
    )


def this_commit() -> str:
    """Commit of the checkout that physkit runs from, or unknown."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # an installed package, or a machine without git
    return done.stdout.strip()


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2] for line in text.splitlines() if line.startswith("model name")]
    return names[0].strip() if names else platform.machine()
