"""A synthetic clip is a real video: detectors find its face, and methods read its pulse."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt

from physkit.core.errors import InputError
from physkit.models import MODELS
from physkit.synth.clip import ClipConfig, ClipTruth, synthesise_clip
from physkit.synth.parameters import SynthParameters

SHORT = ClipConfig(
    duration_s=2.0, parameters=SynthParameters().changed({"width": 160, "height": 120})
)


def decoded(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """All frames, and their presentation times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    times_s = np.array([float(frame.pts * frame.time_base) for frame in frames])
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames]), times_s


def crops(frames: np.ndarray, box_px: tuple[int, int, int, int]) -> np.ndarray:
    x, y, width, height = box_px
    faces = frames[:, y : y + height, x : x + width]
    return np.stack([cv2.resize(f, (36, 36), interpolation=cv2.INTER_AREA) for f in faces]) / 255


def in_band(pulse: np.ndarray) -> np.ndarray:
    return np.asarray(sosfiltfilt(butter(2, [0.6, 3.3], "bandpass", fs=30, output="sos"), pulse))


def rate_bpm(pulse: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(in_band(pulse), 1 << 15))
    hz = np.fft.rfftfreq(1 << 15, 1 / 30)
    inside = (hz > 0.6) & (hz < 3.3)
    return float(60 * hz[inside][power[inside].argmax()])


def classical(name: str, faces: np.ndarray) -> np.ndarray:
    model = MODELS[name]()
    clip = torch.from_numpy(faces).float()[None]
    pulse, state = model(clip, torch.full((1, len(faces)), 1 / 30))
    return torch.cat([pulse, model.finish(state)], dim=1)[0].double().numpy()


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> ClipTruth:
    """The clip of the default settings."""
    return synthesise_clip(tmp_path_factory.mktemp("synth") / "clip.mp4")


@pytest.fixture(scope="module")
def video(truth: ClipTruth) -> tuple[np.ndarray, np.ndarray]:
    return decoded(truth.path)


@pytest.fixture(scope="module")
def frames(video: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return video[0]


def test_the_video_has_the_truths_frames_at_their_times(
    truth: ClipTruth, video: tuple[np.ndarray, np.ndarray]
) -> None:
    frames, times_s = video
    assert frames.shape == (360, 480, 640, 3)
    np.testing.assert_allclose(times_s, truth.pulse.timestamps_s, atol=1e-4)
    assert truth.pulse.samples.shape == (360,)


def test_the_truths_rate_is_its_beats_and_its_pulse(truth: ClipTruth) -> None:
    assert truth.heart_rate_bpm == pytest.approx(60 / np.diff(truth.beat_times_s).mean())
    assert rate_bpm(truth.pulse.samples) == pytest.approx(truth.heart_rate_bpm, abs=1)


@pytest.mark.parametrize("name", ["pos", "chrom", "green"])
def test_classical_methods_read_the_rate_through_compression(
    name: str, truth: ClipTruth, frames: np.ndarray
) -> None:
    pulse = classical(name, crops(frames, truth.face_box_px))
    assert rate_bpm(pulse) == pytest.approx(truth.heart_rate_bpm, abs=1)


def test_pos_follows_the_waveform_and_its_sign(truth: ClipTruth, frames: np.ndarray) -> None:
    pulse = in_band(classical("pos", crops(frames, truth.face_box_px)))[50:-50]
    assert np.corrcoef(pulse, in_band(truth.pulse.samples)[50:-50])[0, 1] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("bpm", [50.0, 140.0])
def test_pos_reads_slow_and_fast_hearts(bpm: float, tmp_path: Path) -> None:
    changed = {"heart_rate_bpm": bpm, "width": 320, "height": 240}
    config = ClipConfig(seed=int(bpm), parameters=SynthParameters().changed(changed))
    truth = synthesise_clip(tmp_path / "clip.mp4", config=config)
    pulse = classical("pos", crops(decoded(truth.path)[0], truth.face_box_px))
    assert rate_bpm(pulse) == pytest.approx(truth.heart_rate_bpm, abs=1)


def test_the_released_facephys_reads_the_rate(
    truth: ClipTruth, frames: np.ndarray, assets: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(assets / "facephys" / "model.onnx")
    inputs = session.get_inputs()[2:]
    with gzip.open(assets / "facephys" / "state.gz") as file:
        values = json.load(file).values()
    state = [np.float32(v).reshape(i.shape) for v, i in zip(values, inputs, strict=True)]
    dt_s, pulse = np.float32([1 / 30]), []
    for face in crops(frames, truth.face_box_px).astype(np.float32):
        feeds = {i.name: v for i, v in zip(inputs, state, strict=True)}
        sample, *state = session.run(None, feeds | {"input": face[None, None], "dt": dt_s})
        pulse.append(float(sample.item()))
    # The warm state is another face's: its memory fades within two seconds.
    assert rate_bpm(np.array(pulse)[60:]) == pytest.approx(truth.heart_rate_bpm, abs=1)


def test_haar_finds_the_face_in_every_frame(truth: ClipTruth, frames: np.ndarray) -> None:
    cascade = cv2.CascadeClassifier(
        str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml")
    )
    x, y, width, height = truth.face_box_px
    for frame in frames[::5]:
        found = cascade.detectMultiScale(
            cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 1.1, 5, minSize=(80, 80)
        )
        assert len(found) == 1
        left, top, size, _ = found[0]
        assert abs(left + size / 2 - (x + width / 2)) < 20
        assert abs(top + size / 2 - (y + height / 2)) < 30


def test_blazeface_finds_the_face_in_every_frame(frames: np.ndarray, assets: Path) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    detector = litert.Interpreter(str(assets / "faces" / "blaze_face_short_range.tflite"))
    detector.allocate_tensors()
    scores = next(o for o in detector.get_output_details() if o["shape"][-1] == 1)
    for frame in frames[::5]:
        square = cv2.copyMakeBorder(frame, 80, 80, 0, 0, cv2.BORDER_CONSTANT)
        small = cv2.resize(square, (128, 128), interpolation=cv2.INTER_AREA)
        pixels = small[None].astype(np.float32) / 127.5 - 1
        detector.set_tensor(detector.get_input_details()[0]["index"], pixels)
        detector.invoke()
        logit = detector.get_tensor(scores["index"]).max()
        assert 1 / (1 + np.exp(-logit)) > 0.75


def test_skin_pulses_most_in_green_and_least_in_red(tmp_path: Path) -> None:
    still = dict.fromkeys(("sway", "roll_deg", "zoom", "turn_deg", "nod_deg", "drift"), 0.0)
    small = {"width": 320, "height": 240}
    config = ClipConfig(duration_s=6.0, parameters=SynthParameters().changed(still | small))
    truth = synthesise_clip(tmp_path / "clip.mp4", config=config)
    colours = crops(decoded(truth.path)[0], truth.face_box_px).mean(axis=(1, 2))
    volume = truth.pulse.samples - truth.pulse.samples.mean()
    red, green, blue = -(volume @ colours) / (volume @ volume) / colours.mean(axis=0)
    assert green > blue > red > 0.001
    assert green < 0.01


def test_one_seed_gives_one_clip(tmp_path: Path) -> None:
    first = synthesise_clip(tmp_path / "a.mp4", config=SHORT)
    again = synthesise_clip(tmp_path / "b.mp4", config=SHORT)
    other = synthesise_clip(tmp_path / "c.mp4", config=replace(SHORT, seed=1))
    assert first.path.read_bytes() == again.path.read_bytes()
    np.testing.assert_array_equal(first.pulse.samples, again.pulse.samples)
    assert np.abs(first.pulse.samples - other.pulse.samples).max() > 0.1


def test_more_noise_does_not_move_the_heart(tmp_path: Path) -> None:
    quiet = synthesise_clip(tmp_path / "a.mp4", config=SHORT)
    noisy = replace(SHORT, parameters=SHORT.parameters.changed({"noise": 0.05}))
    loud = synthesise_clip(tmp_path / "b.mp4", config=noisy)
    np.testing.assert_array_equal(quiet.beat_times_s, loud.beat_times_s)


def test_motion_jpeg_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    truth = synthesise_clip(tmp_path / "clip.avi", config=replace(SHORT, codec="mjpeg"))
    with av.open(str(truth.path)) as container:
        assert container.streams.video[0].codec_context.name == truth.codec == "mjpeg"
    assert len(decoded(truth.path)[0]) == 60


@pytest.mark.parametrize("name", ["clip.txt", "missing/clip.mp4"])
def test_a_place_that_cannot_hold_a_video_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=name):
        synthesise_clip(tmp_path / name, config=SHORT)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").mkdir()
    with pytest.raises(InputError, match=r"clip\.mp4"):
        synthesise_clip(tmp_path / "clip.mp4", config=SHORT)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_clip_without_two_beats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two beats"):
        synthesise_clip(tmp_path / "clip.mp4", config=replace(SHORT, duration_s=0.5))
