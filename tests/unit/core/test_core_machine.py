"""How many workers there is room for."""

from pathlib import Path

import numpy as np
import psutil
import pytest

from physkit.core import machine as memory
from physkit.core.machine import MB, available_mb, peak_rss_mb
from physkit.core.workers import n_cores
from physkit.prepare.run import PrepareConfig, choose_workers


def groups(folder: Path, text: str) -> Path:
    """A file that says which control groups this process is in."""
    file = folder / "cgroup"
    file.write_text(text)
    return file


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_peak_is_what_was_held_at_most() -> None:
    before = peak_rss_mb()
    held = np.ones(200 * MB, np.uint8)
    assert held[-1] == 1
    del held
    assert peak_rss_mb() >= before
    assert peak_rss_mb() > 200


def test_the_limit_of_any_enclosing_group_counts(tmp_path: Path) -> None:
    own = groups(tmp_path, "0::/jobs/one\n")
    root = tmp_path / "fs"
    write(root / "jobs" / "one", memory__max="max\n", memory__current="5\n")
    write(
        root / "jobs",
        memory__max=f"{1000 * MB}\n",
        memory__current=f"{600 * MB}\n",
        memory__stat=f"anon 1\ninactive_file {100 * MB}\n",
    )
    assert available_mb(cgroups=root, own_groups=own) == 500


def test_the_first_version_of_groups_is_understood(tmp_path: Path) -> None:
    own = groups(tmp_path, "3:cpu,cpuacct:/x\n2:memory:/box\n0::/\n")
    write(
        tmp_path / "fs" / "memory" / "box",
        memory__limit_in_bytes=f"{900 * MB}\n",
        memory__usage_in_bytes=f"{500 * MB}\n",
        memory__stat=f"inactive_file 0\ntotal_inactive_file {50 * MB}\n",
    )
    assert available_mb(cgroups=tmp_path / "fs", own_groups=own) == 450


def test_a_container_that_sees_only_its_own_top_is_understood(tmp_path: Path) -> None:
    own = groups(tmp_path, "0::/kubepods/pod7/abc\n")
    write(tmp_path / "fs", memory__max=f"{800 * MB}\n", memory__current="0\n")
    assert available_mb(cgroups=tmp_path / "fs", own_groups=own) == 800


def test_without_limits_the_free_memory_counts(tmp_path: Path) -> None:
    own = tmp_path / "absent"
    free_mb = psutil.virtual_memory().available / MB
    assert available_mb(cgroups=tmp_path, own_groups=own) == pytest.approx(free_mb, rel=0.2)


@pytest.mark.parametrize(
    ("asked", "room_mb", "n_tasks", "workers", "told"),
    [
        (None, 1e6, 100, n_cores(), False),
        (3, 1e6, 100, 3, False),
        (3, 1e6, 2, 2, False),
        (8, 1500, 100, 2, True),
        (8, 1500, 2, 2, False),
        (8, 10, 100, 1, True),
        (1, 10, 100, 1, False),
        (None, 1e6, 0, 1, False),
    ],
)
def test_no_more_workers_than_memory_and_recordings_allow(
    asked: int | None,
    room_mb: float,
    n_tasks: int,
    workers: int,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available_mb", lambda: room_mb)
    config = PrepareConfig("ubfc", "raw", "out", workers=asked)
    chosen, notes = choose_workers(config, n_tasks)
    assert chosen == workers
    assert bool(notes) == told
    if told:
        assert "each may need 700 MB" in notes[0]
