"""`physkit prep` when it is killed, loses a worker or runs out of disk: nothing is lost or half."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ctrl_c
import numpy as np
import psutil
import pytest
from store_contents import contents, made_once

import physkit
from physkit.data.formats.avi import write_avi
from physkit.data.readers import READERS
from physkit.media.frames import Frame

WORKER = "physkit.core.worker_main"
N_KILLS = 20
N_RECORDINGS = 8
DEADLINE_S = 120.0


def start(raw: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """A preparation in a process group of its own."""
    words = ["prep", "--dataset", "ubfc", "--raw", str(raw), "--out", str(out), "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "physkit.cli", *words, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=ctrl_c.heed,
    )


def finish(run: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Exit status and answer of a preparation that is left alone."""
    out, err = run.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in err
    return run.returncode, json.loads(out)


def workers_of(run: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        children = psutil.Process(run.pid).children(recursive=True)
        return [child for child in children if WORKER in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


def wait_for(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def wait_for_a_moment(run: subprocess.Popen[str], out: Path, rng: np.random.Generator) -> None:
    """Until recordings are written, or sometimes before; and then a random time."""
    wait_for(lambda: run.poll() is not None or staged(out) or rng.random() < 0.002)
    time.sleep(rng.uniform(0, 0.5))


def staged(out: Path, name: str = "") -> list[Path]:
    """Recordings that are being made ready."""
    return list(out.with_name(f".{out.name}.unfinished").glob(f"{name}*.*/new/frames"))


@pytest.mark.slow
def test_a_preparation_killed_at_random_moments_ends_as_if_undisturbed(
    raw_ubfc: Path, prepared_ubfc: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    expected = contents(prepared_ubfc)
    n_kills = n_stores = n_mid_way = 0
    while n_kills < N_KILLS:
        out = tmp_path / f"{n_stores}.zarr"
        n_stores += 1
        made: dict[str, tuple[int, int]] = {}
        is_done = False
        while not is_done:
            run = start(raw_ubfc, out, "--workers", "2")
            if n_kills < N_KILLS:
                wait_for_a_moment(run, out, rng)
            if n_kills < N_KILLS and run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.communicate()
                n_kills += 1
                n_mid_way += bool(staged(out))
            else:
                status, answer = finish(run)
                assert (status, answer["failed"]) == (0, [])
                is_done = True
            if (out / "zarr.json").exists():
                now = made_once(out)
                assert made.items() <= now.items(), "a recording was prepared twice"
                made = now
                for name, recording in contents(out).items():
                    assert recording == expected[name]
        assert contents(out) == expected
        assert not out.with_name(f".{out.name}.unfinished").exists()
    assert n_mid_way >= N_KILLS // 2


@pytest.mark.slow
def test_workers_die_with_their_parent(raw_ubfc: Path, tmp_path: Path) -> None:
    run = start(raw_ubfc, tmp_path / "s.zarr", "--workers", "2")
    workers = wait_for(lambda: staged(tmp_path / "s.zarr") and workers_of(run))
    run.kill()  # alone, not its group
    run.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=5)
    assert len(gone) == 2
    assert not alive


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(raw_ubfc: Path, prepared_ubfc: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    run = start(raw_ubfc, out, "--workers", "2")
    for worker in wait_for(lambda: len(staged(out)) == 2 and workers_of(run)):
        worker.kill()
    status, answer = finish(run)
    assert (status, len(answer["done"]), answer["failed"]) == (0, N_RECORDINGS, [])
    assert contents(out) == contents(prepared_ubfc)


@pytest.mark.slow
def test_a_recording_that_kills_its_workers_is_named(raw_ubfc: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    run = start(raw_ubfc, out, "--workers", "1")
    killed: set[int] = set()
    while len(killed) < 2:
        wait_for(lambda: staged(out, "subject3") and {w.pid for w in workers_of(run)} - killed)
        for worker in workers_of(run):
            if worker.pid not in killed:
                worker.kill()
                killed.add(worker.pid)
        for folder in staged(out, "subject3"):
            folder.rename(folder.with_name("seen"))
    status, answer = finish(run)
    assert status == 1
    assert len(answer["done"]) == N_RECORDINGS - 1
    (failure,) = answer["failed"]
    assert failure["recording"] == "subject3"
    assert failure["cause"].startswith("worker killed by signal 9 (SIGKILL, out of memory?)")


@pytest.fixture
def small_disk(tmp_path: Path, prepared_ubfc: Path) -> Iterator[Path]:
    """A disk with room for about half of the recordings."""
    n_bytes = sum(f.stat().st_size for f in prepared_ubfc.rglob("*"))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes * 6 // 10}", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_takes_what_fits_and_the_rest_when_there_is_room(
    raw_ubfc: Path, prepared_ubfc: Path, small_disk: Path
) -> None:
    out = small_disk / "s.zarr"
    status, answer = finish(start(raw_ubfc, out, "--workers", "2"))
    assert status == 1
    assert 0 < len(answer["done"]) < N_RECORDINGS
    assert len(answer["done"]) + len(answer["failed"]) == N_RECORDINGS
    assert {failure["cause"] for failure in answer["failed"]} == {
        f"{out}: the disk is full; make room and run again"
    }
    before, expected = made_once(out), contents(prepared_ubfc)
    assert contents(out).items() <= expected.items()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    status, answer = finish(start(raw_ubfc, out, "--workers", "2"))
    assert (status, len(answer["skipped"]), answer["failed"]) == (0, len(before), [])
    assert contents(out) == expected
    assert before.items() <= made_once(out).items()


@pytest.mark.slow
def test_a_disk_that_cannot_be_written_is_one_line(raw_ubfc: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    run = start(raw_ubfc, small_disk / "s.zarr")
    out, err = run.communicate(timeout=DEADLINE_S)
    assert (run.returncode, out) == (2, "")
    (line,) = err.splitlines()
    assert "s.zarr: cannot be written (" in line
    assert "Read-only file system" in line


@pytest.mark.slow
def test_an_interrupted_run_leaves_no_workers_and_no_rubbish(
    raw_ubfc: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s.zarr"
    run = start(raw_ubfc, out, "--workers", "2")
    workers = wait_for(lambda: staged(out) and workers_of(run))
    os.killpg(run.pid, signal.SIGINT)  # as Ctrl-C does
    _, err = run.communicate(timeout=DEADLINE_S)
    assert (run.returncode, err.strip()) == (130, "physkit: interrupted")
    assert not psutil.wait_procs(workers, timeout=5)[1]
    assert not out.with_name(f".{out.name}.unfinished").exists()


@pytest.mark.slow
def test_memory_of_a_worker_does_not_grow_with_the_recording(
    raw_ubfc: Path, tmp_path: Path
) -> None:
    reader = READERS["ubfc"]()
    (recording, *_) = reader.find(raw_ubfc).recordings
    with reader.open_frames(recording) as source:
        pictures = [frame.rgb for frame in source]
    peak_mb = []
    for repeats in (1, 20):
        n_frames = repeats * len(pictures)
        folder = tmp_path / str(repeats) / "subject1"
        folder.mkdir(parents=True)
        frames = (Frame(pictures[k % len(pictures)], k / 30) for k in range(n_frames))
        write_avi(folder / "vid.avi", frames, size_px=(320, 240), fps=30.0, codec="mjpeg")
        times_s = np.arange(n_frames) / 30
        np.savetxt(folder / "ground_truth.txt", [np.sin(times_s), 0 * times_s + 60, times_s])
        result = physkit.prepare(
            dataset="ubfc", raw=folder.parent, out=folder.parent / "s.zarr", workers=1
        )
        assert result.n_frames == n_frames
        assert result.peak_rss_mb is not None
        peak_mb.append(result.peak_rss_mb)
    assert peak_mb[1] < peak_mb[0] + 30
    assert peak_mb[1] < 700
