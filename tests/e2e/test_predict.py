"""`physkit predict` on real videos, as a user calls it."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from clips import stored_pictures, write_video

import physkit
from physkit.cli import main
from physkit.core.errors import InputError
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.weights.file import WeightsCard, save_weights

FACEPHYS_BPM, POS_BPM = 52.5, 52.7
KEYS = {
    "heart_rate_bpm",
    "respiration_rate_bpm",
    "signal_quality",
    "snr_db",
    "hrv",
    "fps",
    "n_frames",
    "face_coverage",
    "model",
    "runtime",
    "waveform",
    "timestamps_s",
    "warnings",
}


def predicted(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert main(["predict", *map(str, words), "--json"]) == 0
    answer: dict = json.loads(capsys.readouterr().out)
    return answer


def test_facephys_reads_the_real_face(
    face_mp4: Path, released_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = predicted(capsys, face_mp4, "--weights", released_weights)
    assert answer.keys() >= KEYS
    assert answer["heart_rate_bpm"] == pytest.approx(FACEPHYS_BPM, abs=1.0)
    assert answer["model"] == "facephys"
    assert answer["n_frames"] == len(answer["waveform"]) == len(answer["timestamps_s"]) == 301
    assert answer["face_coverage"] == 1.0
    assert answer["fps"] == pytest.approx(30, abs=0.1)
    assert answer["signal_quality"] > 0.8


@pytest.mark.parametrize("method", ["pos", "chrom", "green", "ica", "pbv", "lgi", "omit"])
def test_classical_methods_read_the_real_face(face_mp4: Path, method: str) -> None:
    result = physkit.predict(face_mp4, model=method)
    assert result.heart_rate_bpm == pytest.approx(POS_BPM, abs=1.5)


def test_blazeface_reads_the_real_face(
    face_mp4: Path, released_weights: Path, assets: Path
) -> None:
    result = physkit.predict(
        face_mp4,
        weights=released_weights,
        face={
            "detector": "blazeface",
            "weights": assets / "faces" / "blaze_face_short_range.tflite",
        },
    )
    assert result.detector == "blazeface"
    assert result.heart_rate_bpm == pytest.approx(FACEPHYS_BPM, abs=1.0)


@pytest.mark.parametrize(
    ("model", "kind"),
    [  # pictures are turned upright before any model sees them: one turn shows it for the second
        *(("pos", f"rotated{degrees}") for degrees in (90, 180, 270)),
        *((model, kind) for kind in ("half", "dropped") for model in ("pos", "facephys")),
        ("facephys", "rotated90"),
    ],
)
def test_a_reencoded_face_has_the_same_heart_rate(
    reencoded: Callable[[str], Path], released_weights: Path, kind: str, model: str
) -> None:
    weights = released_weights if model == "facephys" else None
    result = physkit.predict(reencoded(kind), model=model, weights=weights)
    assert result.face_coverage > 0.99
    assert result.heart_rate_bpm == pytest.approx(FACEPHYS_BPM, abs=2.0)


@pytest.mark.parametrize("model", ["facephys", "pos"])
def test_there_is_pulse_only_where_there_is_a_face(
    assets: Path, released_weights: Path, model: str
) -> None:
    weights = released_weights if model == "facephys" else None
    clip = assets / "videos" / "face_noface.mov"
    result = physkit.predict(clip, model=model, weights=weights)
    seen = np.isfinite(result.pulse.samples)
    assert 0.35 < result.face_coverage < 0.6
    assert seen.mean() == pytest.approx(result.face_coverage)
    assert seen[:60].all()  # the face
    assert not seen[90:].any()  # the cartoon
    assert result.heart_rate_bpm is None
    assert any("too little" in warning for warning in result.warnings)
    assert result.fps == pytest.approx(26.4, abs=0.2)


def test_a_clip_without_a_face_is_one_line_and_status_2(
    assets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(assets / "videos" / "no_face.mp4")]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert "no_face.mp4: no face in any of 95 frames" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_crops_read_as_the_video_they_were_cut_from(
    face_mp4: Path, released_weights: Path, tmp_path: Path
) -> None:
    import cv2

    crops = np.stack(
        [
            cv2.resize(rgb[18:530, 25:445], (36, 36), interpolation=cv2.INTER_AREA)
            for rgb in stored_pictures(face_mp4)
        ]
    )
    np.save(tmp_path / "crops.npy", crops)
    np.savez(
        tmp_path / "crops.npz", frames=crops / np.float32(255), timestamps_s=np.arange(301) / 30
    )
    from_bytes = physkit.predict(tmp_path / "crops.npy", weights=released_weights, fps=30.0)
    from_floats = physkit.predict(tmp_path / "crops.npz", weights=released_weights)
    assert from_bytes.heart_rate_bpm == pytest.approx(FACEPHYS_BPM, abs=1.0)
    np.testing.assert_allclose(from_bytes.pulse.samples, from_floats.pulse.samples, atol=1e-4)
    with pytest.raises(InputError, match="--fps"):
        physkit.predict(tmp_path / "crops.npy", weights=released_weights)


def test_crops_too_small_for_the_model_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", np.zeros((20, 12, 12, 3), np.uint8))
    with pytest.raises(InputError, match=r"small\.npy: crops are 12x12 pixels"):
        physkit.predict(tmp_path / "small.npy", fps=30.0)


def test_the_duration_counts_from_the_first_crop_and_crops_need_no_detector(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "late.npz"
    frames = rng.integers(0, 256, (90, 36, 36, 3), dtype=np.uint8)
    np.savez(path, frames=frames, timestamps_s=1000 + np.arange(90) / 30)
    assert physkit.predict(path, model="pos", duration_s=2.0).n_frames == 60
    with pytest.raises(InputError, match="crops need no detector"):
        physkit.predict(path, model="pos", face={"detector": "haar"})


def test_a_model_of_oblong_crops_is_refused_by_name(tmp_path: Path) -> None:
    config = FacePhysConfig(height=8, width=12, channels=8, n_blocks=1, d_state=4, head_d_state=2)
    weights = tmp_path / "oblong.safetensors"
    card = WeightsCard("facephys", dataclasses.asdict(config))
    save_weights(weights, FacePhys(config).state_dict(), card)
    np.save(tmp_path / "crops.npy", np.zeros((30, 36, 36, 3), np.uint8))
    with pytest.raises(InputError, match="reads 12x8 pixels"):
        physkit.predict(tmp_path / "crops.npy", weights=weights, fps=30.0)


def test_the_choice_of_our_own_weights_is_said(
    face_mp4: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSKIT_HOME", str(tmp_path))
    result = physkit.predict(face_mp4, duration_s=2.0)
    assert result.model == "facephys"
    assert sum("physkit weights pull facephys" in warning for warning in result.warnings) == 1


def test_imported_weights_give_the_same_pulse(
    face_mp4: Path, released_weights: Path, tmp_path: Path
) -> None:
    ours = tmp_path / "facephys.safetensors"
    assert main(["weights", "import", str(released_weights), "--out", str(ours)]) == 0
    released = physkit.predict(face_mp4, weights=released_weights, duration_s=3.0)
    imported = physkit.predict(face_mp4, weights=ours, duration_s=3.0)
    assert imported.model == "facephys"
    assert np.array_equal(released.pulse.samples, imported.pulse.samples)
    assert released.n_frames == 90


def test_a_plot_is_drawn_or_its_name_refused_before_any_work(
    face_mp4: Path, tmp_path: Path
) -> None:
    physkit.predict(face_mp4, model="pos", plot=tmp_path / "pulse.png", duration_s=3.0)
    assert (tmp_path / "pulse.png").read_bytes().startswith(b"\x89PNG")
    for name in ("pulse.txt", "absent/pulse.png"):
        with pytest.raises(InputError, match=r"no (picture format|folder)"):
            physkit.predict(face_mp4, model="pos", plot=tmp_path / name)


def black_video(path: Path) -> Path:
    return write_video(path, [np.zeros((64, 96, 3), np.uint8)] * 30)


def bad_input(kind: str, folder: Path, face_mp4: Path) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "zero_bytes":
        path.touch()
    elif kind == "truncated":
        path.write_bytes(face_mp4.read_bytes()[:400_000])
    elif kind == "not_a_video":
        path.write_bytes(b"all work and no play " * 999)
    elif kind == "one_frame":
        write_video(path, [np.full((64, 96, 3), 90, np.uint8)])
    elif kind == "black":
        black_video(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "nan_crops":
        path = folder / "nan.npy"
        np.save(path, np.full((30, 36, 36, 3), np.nan, np.float32))
    elif kind == "wrong_shape":
        path = folder / "shape.npy"
        np.save(path, np.zeros((30, 36, 36), np.uint8))
    elif kind == "wrong_dtype":
        path = folder / "dtype.npy"
        np.save(path, np.zeros((30, 36, 36, 3), np.int64))
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "folder",
        "zero_bytes",
        "truncated",
        "not_a_video",
        "one_frame",
        "black",
        "nan_crops",
        "wrong_shape",
        "wrong_dtype",
    ],
)
def test_bad_input_is_one_line_status_2_and_writes_nothing(
    kind: str, face_mp4: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bad_input(kind, tmp_path, face_mp4)
    before = sorted(tmp_path.rglob("*"))
    words = ["predict", str(path), "--model", "pos", "--fps", "30"]
    assert main([*words, "--plot", str(tmp_path / "out.png")]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert path.name in answer.err
    assert len(answer.err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


MEASURE = """
import json, re, sys
from pathlib import Path
import physkit
result = physkit.predict(sys.argv[1], weights=sys.argv[2])
# not getrusage, whose peak is inherited from the process that started this one
peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))
print(json.dumps([peak_kb / 1024, result.n_frames]))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_the_video(
    face_mp4: Path, released_weights: Path, tmp_path: Path
) -> None:
    # The least of two runs: how many pictures wait between threads at the worst moment is luck.
    long = looped(face_mp4, tmp_path / "long.mp4", seconds=70)
    shorter_mb = min(peak_of_predict_mb(face_mp4, released_weights, n_frames=301) for _ in range(2))
    longer_mb = peak_of_predict_mb(long, released_weights, n_frames=2107)
    if longer_mb - shorter_mb >= 40:
        longer_mb = min(longer_mb, peak_of_predict_mb(long, released_weights, n_frames=2107))
    assert longer_mb < 1000
    assert longer_mb - shorter_mb < 40


def peak_of_predict_mb(video: Path, weights: Path, *, n_frames: int) -> float:
    command = [sys.executable, "-c", MEASURE, str(video), str(weights)]
    # one heap for all threads: several vary the peak by 50 MB from run to run
    one_heap = os.environ | {"MALLOC_ARENA_MAX": "1"}
    answer = subprocess.run(
        command, capture_output=True, text=True, check=True, env=one_heap
    ).stdout
    peak_mb, n_read = json.loads(answer)
    assert n_read == n_frames
    return float(peak_mb)


def looped(source: Path, target: Path, *, seconds: int) -> Path:
    """The clip over and over, its packets copied without being coded again."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream_in = container.streams.video[0]
        stream = out.add_stream_from_template(stream_in)
        shift = 0
        for _ in range(seconds // 10):
            container.seek(0)
            last = 0
            for packet in container.demux(stream_in):
                if packet.dts is None:
                    continue
                last = max(last, packet.pts + packet.duration)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = stream
                out.mux(packet)
            shift += last
    return target


def test_two_people_with_a_cut_between_are_two_readings(
    face_mp4: Path, assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cv2

    rng = np.random.default_rng(0)
    pictures = []
    other = next(iter(stored_pictures(assets / "videos" / "single_face.mp4")))[42:340, 148:446]
    for picture, bpm, seconds in ((next(iter(stored_pictures(face_mp4))), 60, 12), (other, 90, 10)):
        still = cv2.resize(picture, (160, 160)).astype(np.float32)
        t = np.arange(25 * seconds) / 25
        beat = 1 + 0.01 * np.sin(2 * np.pi * bpm / 60 * t)[:, None] * np.array([0.3, 1.0, 0.5])
        grain = rng.normal(0, 2, (len(t), 160, 160, 1))
        pictures += list(np.clip(still * beat[:, None, None] + grain, 0, 255).astype(np.uint8))
    path = write_video(tmp_path / "two.mp4", pictures, codec_options={"crf": "8"})
    answer = predicted(capsys, path, "--model", "pos")
    rates_bpm = [face["heart_rate_bpm"] for face in answer["faces"]]
    assert rates_bpm == [pytest.approx(60, abs=1), pytest.approx(90, abs=1)]
    assert answer["heart_rate_bpm"] == rates_bpm[0]
    assert answer["faces"][0]["end_s"] == pytest.approx(12, abs=0.1)
    assert "2 faces were read" in " ".join(answer["warnings"])
    over_time = answer["heart_rate_over_time"]
    series = dict(zip(over_time["timestamps_s"], over_time["heart_rate_bpm"], strict=True))
    assert series[6.0] == pytest.approx(60, abs=2)
    assert series[17.0] == pytest.approx(90, abs=2)
