"""Each classical method reads the pulse it should, as blood volume has it, and never breaks."""

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt

from physkit.models import MODELS

CLASSICAL = ["green", "ica", "chrom", "pbv", "pos", "lgi", "omit"]
SKIN = np.array([0.62, 0.45, 0.36])
SIGNATURE = np.array([0.33, 0.77, 0.53])


def read(name: str, clip: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
    """The pulse of one clip (t h w 3) by one method, all of it."""
    model = MODELS[name]()
    pulse, state = model(torch.from_numpy(clip)[None].float(), torch.from_numpy(dt_s)[None].float())
    return torch.cat([pulse, model.finish(state)], dim=1)[0].double().numpy()


def in_band(pulse: np.ndarray, fps: float) -> np.ndarray:
    sos = butter(2, [0.6, 3.3], "bandpass", fs=fps, output="sos")
    return np.asarray(sosfiltfilt(sos, pulse))


def rate_bpm(pulse: np.ndarray, fps: float) -> float:
    power = np.abs(np.fft.rfft(in_band(pulse, fps), 1 << 16))
    hz = np.fft.rfftfreq(1 << 16, 1 / fps)
    inside = (hz > 0.6) & (hz < 3.3)
    return float(60 * hz[inside][power[inside].argmax()])


def skin_clip(
    pulse: Callable[[np.ndarray], np.ndarray], dt_s: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Frames of 4x4 skin under drifting light that a pulse darkens by about 1 %."""
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(dt_s)
    light = 1 + 0.02 * np.sin(2 * np.pi * 0.11 * times_s) + 0.002 * rng.normal(size=len(dt_s))
    colours = SKIN * light[:, None] * (1 - 0.01 * SIGNATURE * pulse(times_s)[:, None])
    noise = rng.normal(0, 0.001, (len(dt_s), 4, 4, 3))
    return colours[:, None, None] + noise


@pytest.fixture(scope="module")
def face_crops(assets: Path) -> np.ndarray:
    """A real face at rest, 301 frames at 30 frames/s, as 36x36 crops in [0, 1]."""
    with av.open(str(assets / "videos" / "face.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    crops = [
        cv2.resize(frame[18:530, 25:445], (36, 36), interpolation=cv2.INTER_AREA)
        for frame in frames
    ]
    return np.stack(crops) / 255


@pytest.mark.parametrize("bpm", [45, 60, 77, 100, 125, 150])
@pytest.mark.parametrize("name", CLASSICAL)
def test_a_known_rate_is_found(name: str, bpm: int) -> None:
    dt_s = np.full(600, 1 / 30)
    clip = skin_clip(lambda t: np.sin(2 * np.pi * bpm / 60 * t), dt_s)
    assert rate_bpm(read(name, clip, dt_s), 30) == pytest.approx(bpm, abs=1)


@pytest.mark.parametrize("fps", [10, 15, 25, 60])
@pytest.mark.parametrize("name", CLASSICAL)
def test_the_rate_does_not_depend_on_the_frame_rate(name: str, fps: int) -> None:
    dt_s = np.full(20 * fps, 1 / fps)
    clip = skin_clip(lambda t: np.sin(2 * np.pi * 1.2 * t), dt_s)
    assert rate_bpm(read(name, clip, dt_s), fps) == pytest.approx(72, abs=1)


@pytest.mark.parametrize("name", CLASSICAL)
def test_dropped_frames_with_true_times_do_not_shift_the_rate(name: str) -> None:
    rng = np.random.default_rng(3)
    times_s = np.sort(rng.choice(np.arange(900) / 30, 600, replace=False))
    dt_s = np.diff(times_s, prepend=times_s[0] - 1 / 30)
    clip = skin_clip(lambda t: np.sin(2 * np.pi * 1.2 * t), dt_s)
    even_s = np.arange(times_s[0], times_s[-1], 1 / 30)
    pulse = np.interp(even_s, times_s, read(name, clip, dt_s))
    assert rate_bpm(pulse, 30) == pytest.approx(72, abs=1)


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_pulse_rises_with_blood_volume(name: str) -> None:
    dt_s = np.full(600, 1 / 30)
    clip = skin_clip(lambda t: np.sin(2 * np.pi * 1.2 * t), dt_s)
    truth = np.sin(2 * np.pi * 1.2 * np.cumsum(dt_s))
    found = in_band(read(name, clip, dt_s), 30)
    assert np.corrcoef(found[60:-60], truth[60:-60])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("name", "tolerance_bpm"),
    [("pos", 0.5), ("green", 1), ("chrom", 1), ("ica", 1), ("pbv", 1.5), ("lgi", 1), ("omit", 1)],
)
def test_a_real_face_gives_its_rate(
    name: str, tolerance_bpm: float, face_crops: np.ndarray
) -> None:
    pulse = read(name, face_crops, np.full(301, 1 / 30))
    assert rate_bpm(pulse, 30) == pytest.approx(52.7, abs=tolerance_bpm)


@pytest.mark.parametrize("name", CLASSICAL)
def test_all_agree_in_sign_on_a_real_face(name: str, face_crops: np.ndarray) -> None:
    dt_s = np.full(301, 1 / 30)
    found, pos = (in_band(read(n, face_crops, dt_s), 30)[50:-50] for n in (name, "pos"))
    assert np.corrcoef(found, pos)[0, 1] > 0.8


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_real_pulse_rises_faster_than_it_falls(name: str, face_crops: np.ndarray) -> None:
    """The systolic upstroke is the steep side: a wrong sign would turn this round."""
    pulse = read(name, face_crops, np.full(301, 1 / 30))
    sos = butter(2, [0.6, 5], "bandpass", fs=30, output="sos")
    slope = np.diff(sosfiltfilt(sos, pulse)[30:-30])
    assert np.mean((slope - slope.mean()) ** 3) / slope.std() ** 3 > 0.2


@pytest.mark.parametrize("n_frames", [1, 2, 3, 5, 30, 90])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", CLASSICAL)
def test_a_clip_without_any_change_has_no_pulse(name: str, level: float, n_frames: int) -> None:
    pulse = read(name, np.full((n_frames, 2, 2, 3), level), np.full(n_frames, 1 / 30))
    assert pulse.shape == (n_frames,)
    assert np.ptp(pulse) == 0


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 5, 10, 47, 48])
def test_short_clips_give_finite_pulse(name: str, n_frames: int) -> None:
    clip = np.random.default_rng(0).uniform(0, 1, (n_frames, 2, 2, 3))
    pulse = read(name, clip, np.full(n_frames, 1 / 30))
    assert pulse.shape == (n_frames,)
    assert np.isfinite(pulse).all()


@pytest.mark.parametrize("case", ["grey", "red only", "one black channel", "time stands still"])
@pytest.mark.parametrize("name", CLASSICAL)
def test_degenerate_colour_gives_finite_pulse(name: str, case: str) -> None:
    clip = np.random.default_rng(0).uniform(0.4, 0.6, (150, 1, 1, 3))
    dt_s = np.full(150, 1 / 30)
    if case == "grey":
        clip[..., 1:] = clip[..., :1]
    elif case == "red only":
        clip[..., 1:] = 0
    elif case == "one black channel":
        clip[..., 2] = 0
    else:
        dt_s[:] = 0
    assert np.isfinite(read(name, clip, dt_s)).all()


def test_pos_is_the_published_algorithm_with_its_sign_turned() -> None:
    dt_s = np.full(200, 1 / 30)
    colours = skin_clip(lambda t: np.sin(2 * np.pi * 1.2 * t), dt_s).mean(axis=(1, 2))
    published = np.zeros(200)
    for last in range(48, 201):
        normal = colours[last - 48 : last] / colours[last - 48 : last].mean(axis=0)
        s = np.array([[0, 1, -1], [-2, 1, 1]]) @ normal.T
        h = s[0] + s[0].std() / s[1].std() * s[1]
        published[last - 48 : last] += h - h.mean()
    ours = read("pos", colours[:, None, None], dt_s)
    np.testing.assert_allclose(ours, -published / 48, atol=1e-6)


def test_chrom_is_the_published_algorithm() -> None:
    dt_s = np.full(240, 1 / 30)
    colours = skin_clip(lambda t: np.sin(2 * np.pi * 1.2 * t), dt_s).mean(axis=(1, 2))
    sos = butter(3, [0.7, 2.5], "bandpass", fs=30, output="sos")
    published = np.zeros(240)
    for first in range(0, 240 - 47, 24):
        red, green, blue = (colours[first : first + 48] / colours[first : first + 48].mean(0)).T
        # The same padding as the transfer-function form, whose poles are 7 coefficients.
        x, y = (
            sosfiltfilt(sos, s, padlen=21)
            for s in (3 * red - 2 * green, 1.5 * red + green - 1.5 * blue)
        )
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, 49) / 48)
        published[first : first + 48] += hann * (x - x.std() / y.std() * y)
    np.testing.assert_allclose(read("chrom", colours[:, None, None], dt_s), published, atol=1e-6)
