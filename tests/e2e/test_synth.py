"""`physkit synth` writes what readers read, with the truth beside it, and goes on where it was."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ctrl_c
import numpy as np
import pytest

from physkit.cli import main
from physkit.data.formats.truth import read_truth
from physkit.data.readers import READERS
from physkit.synth.presets import PRESETS
from physkit.synth.write import SynthConfig, run

SMALL = ["--seconds", "2", "--width", "96", "--height", "72", "--workers", "1"]


def synth(out: Path, *words: str, layout: str = "pure") -> int:
    return main(["synth", "--layout", layout, "--out", str(out), *SMALL, *words])


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with two tasks each."""
    out = tmp_path_factory.mktemp("synth") / "pure"
    words = ["--subjects", "2", "--sessions", "2", "--preset", "pure-like"]
    assert synth(out, *words) == 0
    return out


def test_the_reader_finds_every_recording_and_its_conditions(pure: Path) -> None:
    tree = READERS["pure"]().find(pure)
    assert [r.name for r in tree.recordings] == ["01-01", "01-02", "02-02", "02-03"]
    assert tree.strays == ()
    tasks = [r.conditions["task"] for r in tree.recordings]
    assert tasks == ["steady", "talking", "talking", "slow translation"]
    assert all(r.conditions["preset"] == "pure-like" for r in tree.recordings)


def test_label_and_times_are_the_truths(pure: Path) -> None:
    reader = READERS["pure"]()
    recording = reader.find(pure).recordings[0]
    truth = read_truth(pure, recording.name)
    label = reader.read_label(recording).pulse
    with reader.open_frames(recording) as frames:
        times_s = [frame.timestamp_s for frame in frames]
    np.testing.assert_allclose(times_s, truth.pulse.timestamps_s, atol=1e-6)
    at_frames = np.interp(truth.pulse.timestamps_s, label.timestamps_s, label.samples)
    np.testing.assert_allclose(at_frames, truth.pulse.samples, atol=0.05)
    assert truth.face_boxes.shape == (len(times_s), 4)


def test_one_seed_gives_one_tree_whatever_the_workers(pure: Path, tmp_path: Path) -> None:
    config = SynthConfig(
        layout="pure",
        out=str(tmp_path / "again"),
        subjects=2,
        sessions=2,
        seconds=2.0,
        preset="pure-like",
        width=96,
        height=72,
        workers=2,
    )
    result = run(config)
    assert [recording.name for recording in result.recordings][:2] == ["01-01", "01-02"]
    first, again = files(pure), files(tmp_path / "again")
    assert first.keys() == again.keys()
    # An npz holds the time it was written.
    assert all(first[name] == again[name] for name in first if not name.endswith(".npz"))


def test_another_seed_gives_other_people(tmp_path: Path) -> None:
    rates = [run(_one(tmp_path / str(seed), seed)).recordings[0].heart_rate_bpm for seed in (0, 1)]
    assert rates[0] != rates[1]


def _one(out: Path, seed: int) -> SynthConfig:
    return SynthConfig(
        layout="ubfc",
        out=str(out),
        subjects=1,
        seconds=2.0,
        seed=seed,
        width=96,
        height=72,
        workers=1,
    )


def test_parts_make_the_whole(pure: Path, tmp_path: Path) -> None:
    words = ["--subjects", "1", "--first_subject", "2", "--sessions", "2", "--preset", "pure-like"]
    assert synth(tmp_path / "part", *words) == 0
    whole = files(pure)
    for name, content in files(tmp_path / "part").items():
        if name.startswith("02-"):
            assert whole[name] == content


def test_a_second_run_writes_only_what_is_missing(
    pure: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pure"
    shutil.copytree(pure, out)
    for file in (out / "synthetic").glob("02-02.*"):
        file.unlink()
    before = files(out)
    words = ["--subjects", "2", "--sessions", "2", "--preset", "pure-like", "--json"]
    assert synth(out, *words) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    new = {recording["name"]: recording["is_new"] for recording in told["recordings"]}
    assert new == {"01-01": False, "01-02": False, "02-02": True, "02-03": False}
    after = files(out)
    assert all(after[name] == content for name, content in before.items())
    assert after.keys() == files(pure).keys()


def test_conditions_without_their_numbers_are_named(
    pure: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pure"
    shutil.copytree(pure, out)
    (out / "synthetic" / "02-02.conditions.json").write_text(
        '{"parameters": {"subject_number": "x"}}'
    )
    words = ["--subjects", "2", "--sessions", "2", "--preset", "pure-like"]
    assert "02-02.conditions.json: has no subject_number" in refused(capsys, synth(out, *words))


def refused(capsys: pytest.CaptureFixture[str], status: int) -> str:
    answer = capsys.readouterr()
    assert status == 2
    assert answer.out == ""
    assert len(answer.err.strip().splitlines()) == 1
    return answer.err


def test_other_settings_are_refused(pure: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(pure)
    assert "made with --seed 0" in refused(capsys, synth(pure, "--seed", "1", "--subjects", "2"))
    assert files(pure) == before


def test_a_folder_with_other_things_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "not empty" in refused(capsys, synth(tmp_path))
    assert files(tmp_path) == {"thesis.txt": b"mine"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "ubfc_like"], "did you mean 'ubfc-like'"),
        (["--subjects", "0"], "--subjects 0"),
        (["--seconds", "0.2"], "--seconds 0.2"),
        (["--seed", "-1"], "--seed -1"),
        (["--width", "97"], "even sizes"),
        (["--sessions", "7", "--preset", "pure-like"], "6 sessions"),
    ],
)
def test_bad_options_are_told_and_nothing_is_made(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, synth(tmp_path / "out", *words))
    assert not (tmp_path / "out").exists()


def test_a_layout_that_is_unknown_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, synth(tmp_path / "out", layout="ubcf"))
    assert "did you mean 'ubfc'" in told
    assert not (tmp_path / "out").exists()


def test_help_names_every_layout_and_preset(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["synth", "--help"])
    shown = re.sub(r"-\n +", "-", capsys.readouterr().out)  # lines break after hyphens
    assert {*READERS, *PRESETS} <= set(re.findall(r"[\w-]+", shown))


def test_a_place_that_cannot_be_written_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "/proc/synth" in refused(capsys, synth(Path("/proc/synth")))


def test_ctrl_c_ends_a_long_run_at_once_and_leaves_no_halves(tmp_path: Path) -> None:
    words = ["synth", "--layout", "pure", "--subjects", "3", "--seconds", "600", "--workers", "2"]
    command = [sys.executable, "-m", "physkit.cli", *words, "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=ctrl_c.heed,
    )
    while process.poll() is None and len(list(tmp_path.glob("out/.*/*/*/*.png"))) < 4:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (130, "physkit: interrupted\n")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["synthetic"]


@pytest.mark.slow
def test_a_killed_run_is_completed_by_the_next(tmp_path: Path) -> None:
    words = ["synth", "--layout", "pure", "--subjects", "6", *SMALL[:6], "--workers", "2"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*words, "--out", str(whole)]) == 0
    command = [sys.executable, "-m", "physkit.cli", *words, "--out", str(killed)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list((killed / "synthetic").glob("*.conditions.json")):
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    first, again = files(whole), files(killed)
    assert first.keys() == again.keys()
    assert all(first[name] == again[name] for name in first if not name.endswith(".npz"))
