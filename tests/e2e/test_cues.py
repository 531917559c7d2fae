"""`physkit cues`: a small random LLaVA through the real loading path, a kill, measured texts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from stores import add_recording
from vision_language_model import save_llava

from physkit.core.errors import InputError
from physkit.models.physllm.cue_file import CueFile
from physkit.models.physllm.measured import MARK
from physkit.pipelines.cues import CuesCommandConfig, run

DEADLINE_S = 120.0
N_RECORDINGS = 6


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cues") / "faces.zarr"
    for number in range(N_RECORDINGS):
        name, rate_bpm = f"r{number}", 60.0 + number
        add_recording(path, name, subject=name, rate_bpm=rate_bpm, n_frames=100, size_px=24)
    return path


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return save_llava(tmp_path_factory.mktemp("llava") / "tiny")


def words(store: Path, out: Path, llava: Path) -> list[str]:
    options = ["--model", str(llava), "--dtype", "float32", "--batch", "2", "--most_tokens", "80"]
    return [sys.executable, "-m", "physkit.cli", "cues", str(store), "--out", str(out), *options]


@pytest.mark.slow
def test_a_killed_run_that_is_resumed_gives_the_same_file(
    store: Path, llava: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(words(store, whole, llava), check=True, env=environment)
    running = subprocess.Popen(words(store, cut, llava), env=environment)
    deadline = time.monotonic() + DEADLINE_S
    while not (cut.exists() and cut.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    running.wait()
    left = cut.read_text("utf-8")
    assert 0 < left.count("\n") < N_RECORDINGS
    cut.write_text(left[: len(left) - 40], "utf-8")  # as a kill within a line leaves it
    subprocess.run(words(store, cut, llava), check=True, env=environment)
    assert cut.read_bytes() == whole.read_bytes()
    lines = [json.loads(line) for line in whole.read_text("utf-8").splitlines()]
    assert [line["recording"] for line in lines] == [f"test/r{n}" for n in range(N_RECORDINGS)]
    assert all(len(line["times_s"]) == 4 and line["text"] for line in lines)
    assert {line["model"] for line in lines} == {str(llava)}
    assert CueFile.read(whole).text("test/r3", frame=50) == lines[3]["text"]


def test_an_answer_does_not_depend_on_the_others_of_its_batch(llava: Path) -> None:
    import torch

    from physkit.models.physllm.llava import PROMPT, Describer

    model = Describer.load(str(llava), dtype="float32", device=torch.device("cpu"))
    pictures = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    asked = PROMPT.format(n=1)
    together = model.describe(pictures, asked, most_tokens=8)
    alone = [model.describe([picture], asked, most_tokens=8)[0] for picture in pictures]
    assert together == alone


def test_measured_texts_are_marked_and_lie_by_clip(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured.jsonl"
    config = CuesCommandConfig(str(store), str(out), source="measured", per="clip", clip_frames=40)
    result = run(config)
    assert (result.made, result.kept, result.exit_status) == (3 * N_RECORDINGS, 0, 0)
    cues = CueFile.read(out)
    assert cues.made_by["source"] == "measured"
    assert [first for first, _ in cues.texts["test/r0"]] == [0, 40, 80]
    assert cues.text("test/r0", frame=79).startswith(MARK)
    before = out.read_bytes()
    assert run(config).made == 0
    assert out.read_bytes() == before
    with pytest.raises(InputError, match="another prompt"):
        run(CuesCommandConfig(str(store), str(out), source="measured"))
    with pytest.raises(InputError, match="no text on test/r9"):
        cues.text("test/r9", frame=0)


def test_a_recording_without_a_face_is_left_out_and_named(tmp_path: Path) -> None:
    store = tmp_path / "faces.zarr"
    add_recording(store, "dark", subject="a", rate_bpm=60, n_frames=50, faceless=slice(0, 50))
    add_recording(store, "seen", subject="b", rate_bpm=70, n_frames=50, faceless=slice(0, 20))
    result = run(CuesCommandConfig(str(store), str(tmp_path / "c.jsonl"), source="measured"))
    assert result.made == 1
    assert result.exit_status == 1
    assert "dark: shows no face" in result.left_out[0]


def test_a_model_that_is_not_here_is_told_with_the_fix(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    out = str(tmp_path / "c.jsonl")
    with pytest.raises(InputError, match=r"no such folder.*--model"):
        run(CuesCommandConfig(str(store), out, model=str(tmp_path / "nowhere")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="--source measured"):
        run(CuesCommandConfig(str(store), out, model=str(tmp_path / "empty")))
