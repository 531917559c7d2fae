"""How much memory and how many cores there are, and how much was used."""

import os
import re
from pathlib import Path

import psutil

MB = 1 << 20
WORKER_MB = 700
"""What one worker may come to need."""
CGROUPS = Path("/sys/fs/cgroup")


def peak_rss_mb() -> float:
    """Most memory that this process has held so far, in units of 1024 * 1024 bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # not Linux
        return float(psutil.Process().memory_info().rss) / MB
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(peak[1]) / 1024 if peak else 0.0


def available_mb(cgroups: Path = CGROUPS) -> float:
    """Memory that can be had, under the limits of the container too."""
    return min([float(psutil.virtual_memory().available), *_cgroup_rooms(cgroups)]) / MB


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroup_rooms(cgroups: Path) -> list[float]:
    """Bytes that each limit on this process, or on a group it is in, leaves."""
    rooms: list[float] = []
    for base, limit, usage in (
        (cgroups, "memory.max", "memory.current"),
        (cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for group in _own_groups(base):
            most, used = _number(group / limit), _number(group / usage)
            if most is not None and used is not None:
                rooms.append(most - used + _reclaimable(group))
    return rooms


def _own_groups(base: Path) -> list[Path]:
    """The folder of this process's group under `base` and those above it."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return []
    is_memory = base.name == "memory"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if ("memory" in controllers.split(",")) if is_memory else controllers == "":
            folder = base / path.lstrip("/")
            # in a container the path may be the host's: then only the top is to be seen
            return [f for f in (folder, *folder.parents) if f.is_relative_to(base)]
    return [base]


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
    found = re.search(r"^(?:total_)?inactive_file (\d+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0
