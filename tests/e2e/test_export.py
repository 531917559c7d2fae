"""`physkit export`: artifacts that are proven, or an exit status that says otherwise."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from window_stores import sine, write_recording

import physkit
from physkit.cli import main
from physkit.core.errors import InputError
from physkit.data.store import NO_SEGMENT, open_store
from physkit.data.windows.config import ContentConfig, SlidingWindowsConfig, WindowSource
from physkit.data.windows.sampling import SlidingWindows
from physkit.export import parity
from physkit.inference.crops import TimedCrop
from physkit.inference.live.measure import Measurement
from physkit.inference.live.queue import Captured, FreshQueue
from physkit.inference.recordings import predict_recording
from physkit.inference.stream import ModelReader
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.runtime.session import Session
from physkit.train.clips import as_input, clip_pulse, stream_pulse
from physkit.weights.file import WeightsCard, save_weights

SMALL = {"height": 12, "width": 12, "channels": 8, "n_blocks": 1, "d_state": 8, "head_d_state": 4}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("export") / "small.safetensors"
    net = FacePhys(FacePhysConfig(**SMALL))
    save_weights(path, net.state_dict(), WeightsCard("facephys", SMALL))
    return path


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a flat face whose colour beats at 72 bpm."""
    path = tmp_path_factory.mktemp("crops") / "crops.npz"
    times_s = np.arange(120) / 30
    rng = np.random.default_rng(0)
    face = rng.uniform(90, 160, (12, 12, 3))
    beat = 3 * np.sin(2 * np.pi * 1.2 * times_s)[:, None, None, None]
    np.savez(path, frames=(face + beat).round().astype(np.uint8), timestamps_s=times_s)
    return path


def exported(out: Path, weights: Path, crops: Path, *words: str) -> list[str]:
    return [
        *("export", "--out", str(out), "--weights", str(weights), "--clip", str(crops)),
        *("--calibration", str(crops), "--frames", "120", *words),
    ]


@pytest.mark.slow
def test_every_target_is_written_proven_and_runs(
    weights: Path,
    crops: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "deployed"
    words = exported(out, weights, crops, "--precisions", "fp32", "--json")
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((out / "parity.json").read_text())
    found = {Path(file["path"]).name: file for file in told["files"]}
    assert set(found) == {f"facephys_step_fp32{s}" for s in (".onnx", ".tflite", ".jax")}
    for file in found.values():
        assert file["max_error"] < 2e-4
        assert file["failures"] == []
        assert set(file["state_drift"]) == {"12", "120"}
        assert max(file["state_drift"].values()) < 1e-3
    artifacts = [Path(file["path"]) for file in told["files"]]
    _one_stream_moves_between_runtimes(weights, artifacts)
    monkeypatch.setattr(FacePhys, "warmup_s", 0.0)  # files are read twice at a start, streams once
    _one_clip_with_gaps_gives_one_pulse(weights, artifacts, tmp_path)


def _one_stream_moves_between_runtimes(weights: Path, artifacts: list[Path]) -> None:
    """A state saved in one runtime goes on in another as the stream would have."""
    clip = np.random.default_rng(1).random((40, 12, 12, 3), dtype=np.float32)
    session = Session(weights)
    whole = np.array([session.step(frame, 0.03) for frame in clip])
    state, pulses = None, []
    for part, path in zip(
        np.array_split(clip, 1 + len(artifacts)), [weights, *artifacts], strict=True
    ):
        session = Session(path)
        if state is not None:
            session.load_state(state)
        pulses += [session.step(frame, 0.03) for frame in part]
        state = artifacts[0].parent / "moment.safetensors"
        session.save_state(state)
    np.testing.assert_allclose(pulses, whole, rtol=0, atol=2e-4)


def _one_clip_with_gaps_gives_one_pulse(weights: Path, artifacts: list[Path], out: Path) -> None:
    """Ten seconds without a frame, then a second without a face: every path starts anew alike."""
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (240, 12, 12, 3), np.uint8)
    times_s = np.cumsum(rng.uniform(0.025, 0.045, 240))
    times_s += np.where(np.arange(240) < 80, 0.0, 10.0) - times_s[0]
    segments = np.repeat([0, 1, NO_SEGMENT, 2], [80, 70, 25, 65])
    seen = segments != NO_SEGMENT
    items = [
        TimedCrop(float(t), frame if is_seen else None, int(segment) if is_seen else None)
        for t, frame, segment, is_seen in zip(times_s, frames, segments, seen, strict=True)
    ]
    label_times_s = np.arange(-1, times_s[-1] + 1, 1 / 60)
    write_recording(
        out / "gaps.zarr",
        frames=frames,
        times_s=times_s,
        label=sine(72)(label_times_s),
        label_times_s=label_times_s,
        segments=segments,
    )
    np.savez(out / "gaps.npz", frames=frames[seen], timestamps_s=times_s[seen])
    net = physkit.load("facephys", weights=weights).eval()

    pulses = {"predict": physkit.predict(out / "gaps.npz", weights=weights).pulse.samples}
    recording = open_store(out / "gaps.zarr")["s1_1"]
    pulses["evaluate"] = predict_recording(
        recording, net, chunk_frames=32, device=torch.device("cpu")
    ).prediction
    live, queue = (
        Measurement(ModelReader(net, torch.device("cpu"))),
        FreshQueue(capacity=len(items), late_s=1e9),
    )
    for item in items:
        queue.put(Captured(item, 0.0))
    queue.close()
    live.run(queue)
    assert live.pulse is not None
    pulses["live"] = live.pulse.samples[seen]
    whole = SlidingWindowsConfig(content=ContentConfig(label_form="raw"))
    stretches = list(SlidingWindows([WindowSource(str(out / "gaps.zarr"))], whole))
    assert [len(window.frames) for window in stretches] == [80, 70, 65]
    for name, read in (("training", clip_pulse), ("validation", stream_pulse)):
        with torch.no_grad():
            parts = [
                read(
                    net,
                    as_input(torch.from_numpy(w.frames)[None], None),
                    torch.from_numpy(w.dt_s)[None],
                )
                for w in stretches
            ]
        pulses[name] = torch.cat(parts, dim=1)[0].numpy()
    for path in (weights, *artifacts):
        pulses[path.suffix] = Session(path).run(iter(frames[seen]), times_s[seen])
    for name, pulse in pulses.items():
        np.testing.assert_allclose(pulse, pulses["evaluate"], rtol=0, atol=2e-4, err_msg=name)


@pytest.mark.slow
def test_half_precision_states_and_one_rate(weights: Path, crops: Path, tmp_path: Path) -> None:
    result = physkit.export_model(
        weights,
        tmp_path,
        targets=["litert"],
        precisions=["fp32"],
        state_dtype="float16",
        fps=30.0,
        clip=str(crops),
        calibration=str(crops),
        frames=120,
    )
    (file,) = result.files
    assert file.path.name == "facephys_step_fp32_fp16states_30fps.tflite"
    assert file.parity.precision == "fp32, states fp16"
    assert file.parity.correlation > 0.999
    session = Session(file.path)
    assert session.card.fixed_dt_s == pytest.approx(1 / 30)
    assert {state.dtype for state in session.card.states} == {"float16"}
    with pytest.raises(InputError, match="made for"):
        session.step(np.zeros((12, 12, 3), np.uint8), 1 / 15)


@pytest.mark.slow
def test_chunks_are_steps(weights: Path, crops: Path, tmp_path: Path) -> None:
    words = ("--targets", "onnx", "--precisions", "fp32", "--chunks", "16")
    assert main(exported(tmp_path, weights, crops, *words)) == 0
    step, chunk = (Session(tmp_path / f"facephys_{form}_fp32.onnx") for form in ("step", "chunk16"))
    clip = np.random.default_rng(1).random((48, 12, 12, 3), dtype=np.float32)
    times_s = np.arange(48) / 30
    np.testing.assert_allclose(chunk.run(clip, times_s), step.run(clip, times_s), rtol=0, atol=2e-4)
    with pytest.raises(InputError, match="takes 16 at once"):
        chunk.run(clip[:20], times_s[:20] + 5)


def test_an_artifact_beyond_its_limit_ends_with_status_1(
    weights: Path,
    crops: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    strict = parity.Limits(0.0, correlation=1.1, heart_rate_bpm=0.0, state_drift=0.0)
    monkeypatch.setattr(parity, "LIMITS", {"fp32": strict})
    words = exported(tmp_path, weights, crops, "--targets", "onnx", "--precisions", "fp32")
    assert main(words) == 1
    assert "beyond its limit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--targets": "onxx"}, "did you mean 'onnx'"),
        ({"--precisions": "int9"}, "did you mean 'int8'"),
        ({"--chunks": "1"}, "--chunks"),
        ({"--chunks": "2000"}, "--frames 1000"),
        ({"--precisions": "int8"}, "target jax"),
        ({"--fps": "0"}, "--fps"),
        ({"--frames": "1"}, "--frames"),
        ({"--clip": "none.mp4"}, "none.mp4"),
        ({"--weights": "none.safetensors"}, "none.safetensors"),
        ({"--out": "/proc/deployed"}, "choose another --out"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    change: dict[str, str],
    message: str,
    weights: Path,
    crops: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: dict[str, Any] = {
        "--out": str(tmp_path / "x"),
        "--weights": str(weights),
        "--clip": str(crops),
        "--calibration": str(crops),
        **change,
    }
    assert main(["export", *(word for pair in given.items() for word in pair)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_weights_of_another_model_are_not_exported(
    tmp_path: Path, crops: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "physnet.safetensors"
    save_weights(path, {"weight": torch.zeros(1)}, WeightsCard("physnet", {}))
    assert main(exported(tmp_path, path, crops)) == 2
    assert "physnet" in capsys.readouterr().err


@pytest.mark.slow
def test_a_session_survives_a_simulated_hour_of_jitter_and_gaps(
    weights: Path, crops: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "soak", str(weights), "--clip", str(crops), "--hours", "0.02"]
    assert main([*words, "--gap_every_s", "20", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_frames"] == 2160
    assert told["n_gaps"] > 1
    assert told["n_refused"] == 3
    assert told["n_not_finite"] == 0
    assert told["is_unchanged"]
    assert told["resumes_exactly"]


@pytest.mark.parametrize(
    "words", [["--hours", "0"], ["--jitter", "2"], ["--clip", "none.mp4"], ["--fps", "-1"]]
)
def test_a_soak_that_makes_no_sense_is_refused(
    words: list[str], weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "soak", str(weights), *words]) == 2
    assert words[1] in capsys.readouterr().err
