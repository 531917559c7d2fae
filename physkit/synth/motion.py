"""Motion of a head: drift, sweeps, turns, steps, speech and blinks, as continuous processes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.synth.drift import moments, ramped_steps, slow_drift
from physkit.synth.streams import Streams

BLINK_S = 0.22
"""Duration of a blink."""
SYLLABLES_HZ = (3.0, 6.0)
"""Syllables a second of speech."""
PHRASE_S, PAUSE_SHARE = 2.2, 0.25
"""Mean length of a phrase between pauses, and the share of pauses."""
TURN_S = 0.9
"""Time that a turn of the head takes."""
WALK_SWAY_SHARE = 0.6
"""Sideways swing of a walker relative to the bounce, at half the rate of the steps."""
BODY_SHARE = 0.85
"""How much of a walk or a sweep the shoulders follow; of a drift they follow a fifth."""


@dataclass(frozen=True)
class MotionConfig:
    """How far a head moves. Lengths are in half face widths."""

    sway: float = 0.014
    """Standard deviation of the slow drift along each axis of the picture."""
    roll_deg: float = 0.4
    """Standard deviation of the drift of the rotation in the picture, in degrees."""
    zoom: float = 0.003
    """Standard deviation of the relative change of size, as the head comes nearer."""
    turn_deg: float = 0.8
    """Standard deviation of the drift to the left and right, in degrees."""
    nod_deg: float = 0.6
    """Standard deviation of the drift up and down, in degrees."""
    sway_high_hz: float = 0.25
    """Fastest drift in Hz."""
    travel: float = 0.0
    """How far the head sweeps from the middle to either side."""
    travel_speed: float = 0.3
    """Speed of those sweeps in half face widths a second."""
    look_deg: float = 0.0
    """Angle by which the head turns to look around, in degrees."""
    look_every_s: float = 2.0
    """Mean time in seconds between such turns."""
    step_hz: float = 1.9
    """Steps a second of a walker."""
    bounce: float = 0.0
    """Rise and fall with every step, as an amplitude."""
    step_nod_deg: float = 0.0
    """Nod with every step in degrees, as an amplitude."""
    talking: float = 0.0
    """How far the mouth opens in speech: 0 to 1."""
    talk_nod_deg: float = 0.0
    """Standard deviation of the gestures of a talking head, in degrees."""
    blinks_per_min: float = 15.0
    """Blinks a minute."""


@dataclass(frozen=True, eq=False)
class HeadMotion:
    """Pose of a head at every frame; lengths in half face widths, angles in radians."""

    shift: Float[np.ndarray, "t 2"]
    """Right and down."""
    body_shift: Float[np.ndarray, "t 2"]
    """Right and down, of the shoulders."""
    scale: Float[np.ndarray, "t"]
    """Relative size."""
    roll: Float[np.ndarray, "t"]
    """In the picture, clockwise."""
    yaw: Float[np.ndarray, "t"]
    """To the picture's right."""
    pitch: Float[np.ndarray, "t"]
    """Down."""
    jaw: Float[np.ndarray, "t"]
    """Opening of the mouth, 0 to 1."""
    lids: Float[np.ndarray, "t"]
    """How closed the eyes are, 0 to 1."""


def head_motion(
    times_s: Float[np.ndarray, "t"], *, config: MotionConfig, streams: Streams
) -> HeadMotion:
    """The motion at the given times, the first of which is 0."""
    rng = streams.of("drift")

    def drift(size: float) -> Float[np.ndarray, "t"]:
        high_hz = config.sway_high_hz
        return size * slow_drift(times_s, low_hz=0.02, high_hz=high_hz, rng=rng)

    own = np.stack([drift(config.sway), drift(config.sway)], axis=1)
    scale = 1.0 + drift(config.zoom)
    roll, yaw, pitch = (
        np.deg2rad(drift(size)) for size in (config.roll_deg, config.turn_deg, config.nod_deg)
    )
    carried = _travel(times_s, config, streams.of("travel"))
    steps, step_pitch = _steps(times_s, config, streams.of("walk"))
    carried = carried + steps
    looks = _looks(times_s, config, streams.of("looks"))
    jaw, gestures = _speech(times_s, config, streams.of("speech"))
    return HeadMotion(
        shift=own + carried,
        body_shift=BODY_SHARE * carried + 0.2 * own,
        scale=scale,
        roll=roll + 0.3 * gestures[:, 0],
        yaw=yaw + looks[:, 0] + gestures[:, 0],
        pitch=pitch + looks[:, 1] + step_pitch + gestures[:, 1],
        jaw=jaw,
        lids=_blinks(times_s, config, streams.of("blinks")),
    )


def _travel(
    times_s: Float[np.ndarray, "t"], config: MotionConfig, rng: np.random.Generator
) -> Float[np.ndarray, "t 2"]:
    """Motion to both sides of the picture at constant speed, with smooth turns."""
    phase = rng.uniform(0.0, 2 * np.pi)
    if config.travel == 0:
        return np.zeros((len(times_s), 2))
    cycle_s = 4 * config.travel / config.travel_speed
    wave = np.sin(2 * np.pi * times_s / cycle_s + phase)
    triangle = np.arcsin(0.95 * wave) / np.arcsin(0.95)
    return np.asarray(config.travel * np.stack([triangle, np.zeros(len(times_s))], axis=1))


def _steps(
    times_s: Float[np.ndarray, "t"], config: MotionConfig, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "t 2"], Float[np.ndarray, "t"]]:
    """Shift and pitch of a walker: up and down with each step, to a side with every other."""
    wander = 0.04 * slow_drift(times_s, low_hz=0.05, high_hz=0.3, rng=rng)
    strength = 1.0 + 0.25 * slow_drift(times_s, low_hz=0.1, high_hz=0.5, rng=rng)
    dt_s = np.diff(times_s, prepend=times_s[0])
    cycles = np.cumsum(dt_s * config.step_hz * (1.0 + wander))
    phase = rng.uniform(0.0, 2 * np.pi) + 2 * np.pi * cycles
    down = strength * (np.sin(phase) + 0.3 * np.sin(2 * phase + 0.8))
    side = WALK_SWAY_SHARE * strength * np.sin(phase / 2 + 0.5)
    shift = config.bounce * np.stack([side, down], axis=1)
    pitch = np.deg2rad(config.step_nod_deg) * strength * np.sin(phase + 0.9)
    return shift, pitch


def _looks(
    times_s: Float[np.ndarray, "t"], config: MotionConfig, rng: np.random.Generator
) -> Float[np.ndarray, "t 2"]:
    """Yaw and pitch in radians of a head that looks around."""
    at_s = moments(float(times_s[-1]), every_s=config.look_every_s, spread=0.4, rng=rng)
    to = rng.uniform(-1.0, 1.0, (len(at_s) + 1, 2)) * np.array([1.0, 0.5])
    to[0] = 0.0
    angles = [ramped_steps(times_s, at_s, to[:, axis], ramp_s=TURN_S) for axis in (0, 1)]
    return np.asarray(np.deg2rad(config.look_deg) * np.stack(angles, axis=1))


def _speech(
    times_s: Float[np.ndarray, "t"], config: MotionConfig, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "t"], Float[np.ndarray, "t 2"]]:
    """Opening of the mouth, in syllables with pauses, and the yaw and pitch of speech."""
    length_s = float(times_s[-1])
    rate_hz = np.mean(SYLLABLES_HZ) + 0.5 * np.ptp(SYLLABLES_HZ) * np.tanh(
        slow_drift(times_s, low_hz=0.3, high_hz=1.5, rng=rng)
    )
    phase = 2 * np.pi * np.cumsum(rate_hz * np.diff(times_s, prepend=times_s[0]))
    stress = 0.6 + 0.3 * slow_drift(times_s, low_hz=0.4, high_hz=1.6, rng=rng)
    at_s = moments(length_s, every_s=PHRASE_S / 2, spread=0.6, rng=rng)
    speaks = rng.uniform(size=len(at_s) + 1) > PAUSE_SHARE
    voice = ramped_steps(times_s, at_s, speaks.astype(float), ramp_s=0.2)
    opening = np.clip(stress, 0.1, 1.0) * (0.5 - 0.5 * np.cos(phase)) * voice
    nods = [slow_drift(times_s, low_hz=0.3, high_hz=2.2, rng=rng) * voice for _ in range(2)]
    gestures = np.deg2rad(config.talk_nod_deg) * np.stack(nods, axis=1)
    return config.talking * np.clip(opening, 0.0, 1.0), gestures


def _blinks(
    times_s: Float[np.ndarray, "t"], config: MotionConfig, rng: np.random.Generator
) -> Float[np.ndarray, "t"]:
    """How closed the eyes are."""
    lids = np.zeros(len(times_s))
    if config.blinks_per_min == 0:
        return lids
    at_s = moments(float(times_s[-1]), every_s=60.0 / config.blinks_per_min, spread=0.7, rng=rng)
    for moment_s in at_s:
        since = (times_s - moment_s) / BLINK_S
        lids = np.maximum(lids, np.where((since > 0) & (since < 1), np.sin(np.pi * since), 0.0))
    return lids
