"""`physkit prep --engine ray` on a local cluster of two workers, and object storage over HTTP."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from store_contents import contents
from upath import UPath

import physkit

DEADLINE_S = 180.0
S3_KEY = "AWS_SECRET_ACCESS_KEY"

pytestmark = [
    pytest.mark.slow,
    # aiohttp complains of sessions that s3fs leaves to the end of the process
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_a_ray_cluster_gives_the_same_store(
    raw_ubfc: Path, prepared_ubfc: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    raw, out = tmp_path / "raw", tmp_path / "s.zarr"
    shutil.copytree(raw_ubfc, raw)
    label = raw / "subject2" / "ground_truth.txt"
    text = label.read_bytes()
    label.write_bytes(b"")
    result = physkit.prepare(dataset="ubfc", raw=raw, out=out, engine="ray", workers=2)
    assert (len(result.done), result.workers) == (7, 2)
    (failure,) = result.failed
    assert (failure.recording, "ground_truth.txt" in failure.cause) == ("subject2", True)
    label.write_bytes(text)
    again = physkit.prepare(dataset="ubfc", raw=raw, out=out, engine="ray", workers=2)
    assert (again.done, len(again.skipped), again.failed) == (("subject2",), 7, ())
    assert contents(out) == contents(prepared_ubfc)


def busy_ray_workers(driver: int) -> list[psutil.Process]:
    """Processes below the driver that are at work on a recording."""
    busy = []
    for child in psutil.Process(driver).children(recursive=True):
        try:
            title = child.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if title and title[0].startswith("ray::_outcome"):
            busy.append(child)
    return busy


def test_a_killed_ray_worker_loses_nothing(
    raw_ubfc: Path, prepared_ubfc: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "s.zarr"
    words = ["prep", "--dataset", "ubfc", "--raw", str(raw_ubfc), "--out", str(out), "--json"]
    run = subprocess.Popen(
        [sys.executable, "-m", "physkit.cli", *words, "--engine", "ray", "--workers", "2"],
        stdout=subprocess.PIPE,
        text=True,
    )
    staging = out.with_name(f".{out.name}.unfinished")
    deadline = time.monotonic() + DEADLINE_S
    while not (list(staging.glob("*/new/frames")) and busy_ray_workers(run.pid)):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (victim, *_) = busy_ray_workers(run.pid)
    victim.kill()
    answer = json.loads(run.communicate(timeout=DEADLINE_S)[0])
    assert run.returncode == 0
    assert (len(answer["done"]), answer["failed"]) == (8, [])
    assert contents(out) == contents(prepared_ubfc)
    assert not staging.exists()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An empty bucket of an S3 server of this computer, which the environment names."""
    s3fs = pytest.importorskip("s3fs")
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv(S3_KEY, "something")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()  # it would remember the server before
    name = f"s3://{tmp_path.name.replace('_', '-')}"
    UPath(name).mkdir()
    yield name
    server.stop()


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_an_s3_bucket_is_read_and_written(
    raw_ubfc: Path, prepared_ubfc: Path, bucket: str, engine: str
) -> None:
    pytest.importorskip(engine if engine == "ray" else "s3fs")
    raw, out = f"{bucket}/raw", f"{bucket}/s.zarr"
    UPath(raw).fs.put(f"{raw_ubfc}/", f"{UPath(raw).path}/", recursive=True)
    words = ["--dataset", "ubfc", "--raw", raw, "--out", out, "--engine", engine, "--workers", "2"]
    command = [sys.executable, "-m", "physkit.cli", "prep", *words, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert run.returncode == 0, run.stderr
    assert len(json.loads(run.stdout)["done"]) == 8
    assert contents(UPath(out)) == contents(prepared_ubfc)
    again = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert len(json.loads(again.stdout)["skipped"]) == 8


def test_half_a_copy_in_a_bucket_is_named_and_mended(
    raw_ubfc: Path, prepared_ubfc: Path, bucket: str, tmp_path: Path
) -> None:
    out = UPath(f"{bucket}/s.zarr")
    out.fs.put(f"{prepared_ubfc}/", f"{out.path}/", recursive=True)
    (out / "subject2/frames/c/0/0/0/0").unlink()
    (out / "subject3/zarr.json").unlink()
    result = physkit.evaluate_model(str(out), tmp_path / "out", model="green")
    causes = dict(result.left_out)
    assert (result.exit_status, set(causes)) == (1, {"subject2", "subject3"})
    assert "'frames' is missing or damaged (frames/c/0/0/0/0)" in causes["subject2"]
    again = physkit.prepare(dataset="ubfc", raw=raw_ubfc, out=str(out), engine="serial")
    assert again.done == ("subject2", "subject3")
    assert contents(out) == contents(prepared_ubfc)
