"""The camera's clock, noise, exposure and compression do what their parameters say."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.synth.camera import CameraConfig, Compression, Sensor, exposure, frame_times
from physkit.synth.compress import compressed
from physkit.synth.streams import Streams

CAMERA = CameraConfig(width=160, height=120)


def times(**parameters: float) -> np.ndarray:
    config = replace(CAMERA, **parameters)
    return frame_times(config, duration_s=60.0, rng=np.random.default_rng(0))


@pytest.mark.parametrize("size", [(161, 120), (160, 121), (32, 32)])
def test_sizes_no_video_holds_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="pixels"):
        CameraConfig(width=size[0], height=size[1])


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_a_camera_needs_a_frame_rate(fps: float) -> None:
    with pytest.raises(InputError, match="frames per second"):
        CameraConfig(fps=fps)


def test_a_plain_clock_is_regular() -> None:
    np.testing.assert_allclose(times(), np.arange(1800) / 30)


def test_dropped_frames_leave_gaps_in_time() -> None:
    kept = times(dropped=0.1)
    assert kept[0] == 0
    assert len(kept) / 1800 == pytest.approx(0.9, abs=0.03)
    np.testing.assert_allclose(kept * 30, np.round(kept * 30), atol=1e-9)


def test_a_clock_that_jitters_never_runs_backwards() -> None:
    seen = times(jitter_s=0.05)
    assert np.diff(seen).min() > 0
    assert 0.005 < (seen - np.arange(1800) / 30).std() < 0.05


def test_noise_is_as_strong_as_its_dial_and_new_with_every_frame() -> None:
    sensor = Sensor(replace(CAMERA, noise=0.02), Streams(0))
    grey = np.full((120, 160, 3), 128.0, np.float32)
    first, second = (sensor.expose(grey).astype(float) for _ in range(2))
    assert first.std() == pytest.approx(0.02 * 255, rel=0.05)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


def test_light_beyond_the_sensor_saturates() -> None:
    sensor = Sensor(replace(CAMERA, noise=0.0), Streams(0))
    for level, seen in ((300.0, 255), (-20.0, 0), (127.6, 128)):
        assert (sensor.expose(np.full((120, 160, 3), level, np.float32)) == seen).all()


def test_exposure_moves_in_steps_and_stays_between_them() -> None:
    config = replace(CAMERA, exposure_steps_per_min=6.0, exposure_step=0.1)
    gain = exposure(times(), config=config, rng=np.random.default_rng(0))
    moves = np.abs(np.diff(np.log(gain[:, 1])))
    assert np.ptp(np.log(gain[:, 1])) > 0.03
    assert (moves < 1e-9).mean() > 0.8


def test_an_exposure_that_is_locked_is_even() -> None:
    assert (exposure(times(), config=CAMERA, rng=np.random.default_rng(0)) == 1).all()


def pictures(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    base = cv2.GaussianBlur(rng.uniform(0, 255, (120, 160, 3)).astype(np.float32), (0, 0), 3)
    return [np.roll(base, i, axis=1).astype(np.uint8) for i in range(n)]


@pytest.mark.parametrize(("kind", "coarse", "fine"), [("mjpeg", 20, 95), ("h264", 11, 41)])
def test_compression_keeps_frames_and_loses_by_its_quality(
    kind: Compression, coarse: int, fine: int
) -> None:
    before, errors = pictures(12), []
    for quality in (fine, coarse):
        config = replace(CAMERA, compression=kind, quality=quality)
        after = list(compressed(iter(before), config))
        assert len(after) == len(before)
        errors.append(np.abs(np.stack(after).astype(float) - np.stack(before)).mean())
    assert 0 < errors[0] < errors[1]
    assert errors[0] < 4


@pytest.mark.parametrize("kind", ["mjpeg", "h264"])
def test_compression_shifts_no_colour(kind: Compression) -> None:
    before = [np.full((120, 160, 3), (170, 120, 100), np.uint8)] * 3
    after = list(compressed(iter(before), replace(CAMERA, compression=kind, quality=40)))
    assert np.abs(after[-1].mean(axis=(0, 1)) - before[0].mean(axis=(0, 1))).max() < 3
