"""Heads move as their parameters say, and no parameter moves another's motion."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from physkit.synth.motion import HeadMotion, MotionConfig, head_motion
from physkit.synth.streams import Streams

TIMES_S = np.arange(0, 60, 1 / 30)
STILL = dict.fromkeys(("sway", "roll_deg", "zoom", "turn_deg", "nod_deg", "blinks_per_min"), 0.0)


def moved(**parameters: float) -> HeadMotion:
    return head_motion(TIMES_S, config=MotionConfig(**(STILL | parameters)), streams=Streams(3))


def strongest_hz(signal: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(signal - signal.mean()))
    return float(np.fft.rfftfreq(len(signal), 1 / 30)[spectrum.argmax()])


def test_without_motion_all_stays_as_drawn() -> None:
    motion = moved()
    for name in ("shift", "body_shift", "roll", "yaw", "pitch", "jaw", "lids"):
        assert not getattr(motion, name).any()
    assert (motion.scale == 1).all()


def test_travel_sweeps_at_its_speed() -> None:
    x = moved(travel=0.9, travel_speed=0.3).shift[:, 0]
    assert np.abs(x).max() == pytest.approx(0.9, rel=0.05)
    assert np.median(np.abs(np.gradient(x, TIMES_S))) == pytest.approx(0.3, rel=0.3)


def test_walking_bounces_with_every_step() -> None:
    motion = moved(bounce=0.1, step_hz=1.9)
    assert strongest_hz(motion.shift[:, 1]) == pytest.approx(1.9, abs=0.25)
    assert strongest_hz(motion.shift[:, 0]) == pytest.approx(0.95, abs=0.15)


def test_looks_stay_within_their_angle_and_rest_between() -> None:
    yaw = np.rad2deg(moved(look_deg=20.0).yaw)
    assert 8 < np.abs(yaw).max() <= 20
    assert (np.abs(np.diff(yaw)) < 1e-9).mean() > 0.2


def test_speech_has_syllables_and_pauses() -> None:
    jaw = moved(talking=1.0).jaw
    assert 0.5 < jaw.max() <= 1
    assert (jaw < 0.02).mean() > 0.15
    n_openings = len(find_peaks(jaw, height=0.1)[0])
    assert 2 < n_openings / (60 * (jaw > 0.02).mean()) < 7


def test_blinks_come_as_often_as_asked() -> None:
    closed = moved(blinks_per_min=20.0).lids > 0.3
    assert 14 <= np.count_nonzero(np.diff(closed.astype(int)) == 1) <= 26


def test_talking_does_not_change_how_a_head_drifts() -> None:
    quiet, loud = moved(sway=0.02), moved(sway=0.02, talking=1.0, bounce=0.0)
    np.testing.assert_array_equal(quiet.shift, loud.shift)
