"""What is rendered: a face where it is said to be, in its light, that follows its motion."""

from typing import Any

import cv2
import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.synth.generate import Seed, Synthesis
from physkit.synth.parameters import SynthParameters

QUIET = {"sway": 0.0, "roll_deg": 0.0, "zoom": 0.0, "turn_deg": 0.0, "nod_deg": 0.0}
QUIET |= {"drift": 0.0, "noise": 0.0, "blinks_per_min": 0.0, "width": 160, "height": 120}


def rendered(
    duration_s: float = 2.0, seed: int = 0, **parameters: Any
) -> tuple[np.ndarray, Synthesis]:
    synthesis = Synthesis(
        SynthParameters().changed(QUIET | parameters),
        duration_s=duration_s,
        seed=Seed.of_clip(seed),
    )
    return np.stack([frame.rgb for frame in synthesis.frames()]).astype(float), synthesis


def face(frames: np.ndarray, synthesis: Synthesis) -> np.ndarray:
    x, y, width, height = synthesis.face_boxes[0].round().astype(int)
    return frames[:, y : y + height, x : x + width]


def test_frames_come_on_the_true_clock() -> None:
    parameters = SynthParameters().changed(QUIET | {"dropped": 0.1, "jitter_s": 0.004})
    synthesis = Synthesis(parameters, duration_s=3.0, seed=Seed.of_clip(0))
    times_s = [frame.timestamp_s for frame in synthesis.frames()]
    np.testing.assert_array_equal(times_s, synthesis.times_s)
    np.testing.assert_array_equal(times_s, synthesis.pulse.timestamps_s)


def test_without_a_pulse_nothing_moves() -> None:
    frames, _ = rendered(pulse_strength=0.0)
    assert np.ptp(frames, axis=0).max() == 0


def test_blood_darkens_skin_and_nothing_else() -> None:
    frames, synthesis = rendered(pulse_strength=0.2, width=320, height=240)
    volume = synthesis.pulse.samples - synthesis.pulse.samples.mean()
    slope = np.tensordot(volume, frames, axes=(0, 0)).mean(axis=2) / (volume @ volume)
    x, y, width, height = synthesis.face_boxes[0].round().astype(int)
    forehead = slope[y + height // 5 : y + height // 4, x + width // 3 : x + 2 * width // 3]
    assert forehead.mean() < -3
    assert np.abs(slope[:, : x // 2]).max() < 0.1
    shirt = slope[-6:, x : x + width]
    assert np.abs(shirt).max() < 0.1


@pytest.mark.parametrize("size", [(160, 120), (240, 320), (256, 256)])
def test_faces_stay_in_pictures_of_any_shape(size: tuple[int, int]) -> None:
    frames, synthesis = rendered(width=size[0], height=size[1], sway=0.02)
    assert frames.shape == (60, size[1], size[0], 3)
    x, y, width, height = synthesis.face_boxes.T
    assert (x > 0).all()
    assert (x + width < size[0]).all()
    assert (y + height < size[1]).all()


def test_the_picture_follows_the_boxes() -> None:
    frames, synthesis = rendered(travel=0.6, travel_speed=1.2, pulse_strength=0.0)
    grey = frames.mean(axis=3).astype(np.float32)
    x, y, width, height = synthesis.face_boxes[0].round().astype(int)
    template = grey[0, y + height // 4 : y + height // 2, x : x + width]
    for t in (10, 25, 40):
        *_, (found_x, _) = cv2.minMaxLoc(cv2.matchTemplate(grey[t], template, cv2.TM_CCOEFF))
        moved_px = synthesis.face_boxes[t, 0] - synthesis.face_boxes[0, 0]
        assert found_x - x == pytest.approx(moved_px, abs=1.6)


def test_a_turning_face_takes_more_or_less_of_the_lamp() -> None:
    frames, synthesis = rendered(
        duration_s=8.0, look_deg=25.0, lamp_side=1.0, lamp_share=0.9, pulse_strength=0.0
    )
    whole = face(frames, synthesis).mean(axis=(1, 2, 3))
    assert np.ptp(whole) > 0.02 * whole.mean()


def test_a_warm_lamp_that_is_not_balanced_out_reddens_the_picture() -> None:
    cold, _ = rendered(white_balance=0.0, temperature_k=8000.0, around_temperature_k=8000.0)
    warm, _ = rendered(white_balance=0.0, temperature_k=3000.0, around_temperature_k=3000.0)
    assert warm[..., 0].mean() > cold[..., 0].mean()
    assert warm[..., 2].mean() < cold[..., 2].mean()


def test_low_light_is_dark() -> None:
    bright, _ = rendered()
    dark, _ = rendered(level=0.3)
    assert dark.mean() < 0.7 * bright.mean()


def test_speech_and_blinks_change_mouth_and_eyes_only() -> None:
    still, _ = rendered(duration_s=6.0, pulse_strength=0.0)
    frames, synthesis = rendered(
        duration_s=6.0, pulse_strength=0.0, talking=1.0, blinks_per_min=30.0
    )
    change = np.abs(frames - still).max(axis=(0, 3))
    x, y, width, height = synthesis.face_boxes[0].round().astype(int)
    rows = change[:, x : x + width].max(axis=1)
    assert rows[y + round(0.39 * height)] > 10
    assert rows[y + round(0.75 * height)] > 10
    assert rows[: y + round(0.2 * height)].max() < 2


def test_people_differ_and_sessions_of_one_do_not() -> None:
    pictures = [_first_picture(person, session) for person, session in ((1, 0), (1, 1), (2, 0))]
    assert np.abs(pictures[0] - pictures[1]).mean() < 1
    assert np.abs(pictures[0] - pictures[2]).mean() > 3


def _first_picture(person: int, session: int) -> np.ndarray:
    parameters = SynthParameters().changed(QUIET | {"pulse_strength": 0.0})
    synthesis = Synthesis(parameters, duration_s=2.0, seed=Seed((person,), (person, session)))
    return next(synthesis.frames()).rgb.astype(float)


def test_what_the_sensor_shows_is_there_at_any_time() -> None:
    synthesis = Synthesis(SynthParameters(), duration_s=10.0, seed=Seed.of_clip(0))
    times_s = np.linspace(0, 10, 641)
    measured = synthesis.measure(times_s)
    assert set(measured) == {"pulse", "heart_rate_bpm", "spo2_percent", "respiration"}
    assert all(values.shape == times_s.shape for values in measured.values())
    assert measured["heart_rate_bpm"].mean() == pytest.approx(synthesis.heart_rate_bpm, rel=0.03)
    assert (measured["spo2_percent"] == np.round(measured["spo2_percent"])).all()
    assert np.abs(measured["respiration"]).max() <= 1
    part = synthesis.measure(times_s[100:200])
    np.testing.assert_allclose(part["pulse"], measured["pulse"][100:200], atol=1e-12)


def test_the_finger_lags_behind_the_face() -> None:
    times_s = np.arange(0, 10, 0.01)
    near, far = (
        Synthesis(
            SynthParameters().changed({"finger_lag_s": lag_s}),
            duration_s=10.0,
            seed=Seed.of_clip(0),
        ).measure(times_s)["pulse"]
        for lag_s in (0.0, 0.1)
    )
    np.testing.assert_allclose(far[10:], near[:-10], atol=1e-9)


def test_a_heart_recovers_from_exercise() -> None:
    parameters = SynthParameters().changed(
        {"recovery_bpm": 40.0, "recovery_s": 20.0, "heart_rate_bpm": 70.0}
    )
    rate = Synthesis(parameters, duration_s=60.0, seed=Seed.of_clip(0)).measure(np.arange(60.0))
    assert rate["heart_rate_bpm"][:5].mean() == pytest.approx(105, abs=6)
    assert rate["heart_rate_bpm"][-5:].mean() == pytest.approx(72, abs=5)


def test_a_recording_without_two_beats_is_refused() -> None:
    with pytest.raises(InputError, match="two beats"):
        Synthesis(SynthParameters(), duration_s=0.5, seed=Seed.of_clip(0))


def test_a_face_so_large_that_no_shoulders_show_is_drawn() -> None:
    parameters = SynthParameters().changed(
        {"face_size": 0.34, "place_y": 0.0, "width": 320, "height": 240}
    )
    frame = next(Synthesis(parameters, duration_s=3.0, seed=Seed.of_clip(1)).frames())
    assert frame.rgb.shape == (240, 320, 3)
