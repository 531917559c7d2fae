"""Lamps: direction, colour and change of their light."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.synth.drift import moments, ramped_steps, slow_drift
from physkit.synth.streams import Streams

NEUTRAL_K = 5500.0
"""Colour temperature that the camera shows as white."""
SCREEN_FROM = (0.0, 0.45, 0.9)
"""Direction of a screen, which is below and before the face."""
SCENE_S = 1.6
"""Mean time between cuts of the film on a screen."""
FLICKER_HARMONIC = 0.25
"""Second harmonic of a flicker relative to its first."""


@dataclass(frozen=True)
class LightConfig:
    """One lamp, the light that the room reflects, and a screen."""

    level: float = 1.0
    """Brightness of the picture; 1 is well exposed."""
    temperature_k: float = 5000.0
    """Colour temperature of the lamp in kelvin."""
    white_balance: float = 0.8
    """How much of that colour the camera's white balance removes: 0 to 1."""
    lamp_side: float = -0.35
    """Horizontal position of the lamp: -1 (left) to 1 (right)."""
    lamp_height: float = 0.4
    """Height of the lamp: 0 (level with the face) to 1."""
    lamp_share: float = 0.55
    """Share of the light that comes directly from the lamp; the rest is ambient."""
    around_temperature_k: float = 5000.0
    """Colour temperature in kelvin of the ambient light."""
    drift: float = 0.008
    """Standard deviation of the slow relative change of all light."""
    drift_high_hz: float = 0.3
    """Fastest such change in Hz."""
    gusts: float = 0.0
    """Standard deviation of the relative change of the lamp alone, at `gusts_low_hz` and above:
    branches before a window, people who pass."""
    gusts_low_hz: float = 0.5
    """Slowest such change in Hz."""
    gusts_high_hz: float = 2.5
    """Fastest such change in Hz."""
    flicker: float = 0.0
    """Amplitude of the beat between the lamp's flicker and the frame rate."""
    flicker_hz: float = 1.3
    """Frequency of that beat in Hz."""
    screen: float = 0.0
    """Mean light of a screen before the face, relative to all other light."""
    screen_motion: float = 0.35
    """Standard deviation of the relative change of the screen's light between its cuts."""

    def __post_init__(self) -> None:
        for name in ("temperature_k", "around_temperature_k"):
            if not 1500 <= getattr(self, name) <= 15000:
                raise InputError(f"{name} {getattr(self, name)}: choose 1500 to 15000 kelvin")


@dataclass(frozen=True, eq=False)
class Lighting:
    """Linear light in R, G, B at every frame, after white balance."""

    directions: Float[np.ndarray, "2 3"]
    """Unit vectors to the lamp and the screen: right, down, towards the camera."""
    lamp: Float[np.ndarray, "t 3"]
    """From the lamp."""
    screen: Float[np.ndarray, "t 3"]
    """From the screen."""
    around: Float[np.ndarray, "t 3"]
    """Ambient."""


def lighting(times_s: Float[np.ndarray, "t"], *, config: LightConfig, streams: Streams) -> Lighting:
    """The light at the given times, the first of which is 0."""
    seen = (1.0 - config.white_balance) * np.log(white(config.temperature_k))
    lamp_colour = np.exp(seen)
    balance = lamp_colour / white(config.temperature_k)
    around_colour = white(config.around_temperature_k) * balance
    rng = streams.of("lamp")
    drift = 1.0 + config.drift * slow_drift(
        times_s, low_hz=0.02, high_hz=config.drift_high_hz, rng=rng
    )
    gusts = config.gusts * slow_drift(
        times_s, low_hz=config.gusts_low_hz, high_hz=config.gusts_high_hz, rng=rng
    )
    beat = 2 * np.pi * config.flicker_hz * times_s + rng.uniform(0.0, 2 * np.pi)
    flicker = config.flicker * (np.sin(beat) + FLICKER_HARMONIC * np.sin(2 * beat))
    lamp = config.lamp_share * drift * np.maximum(1.0 + gusts + flicker, 0.05)
    around = (1.0 - config.lamp_share) * drift * (1.0 + 0.3 * flicker)
    to_lamp = (config.lamp_side, -config.lamp_height, 0.8)
    return Lighting(
        directions=np.stack([_unit(to_lamp), _unit(SCREEN_FROM)]),
        lamp=lamp[:, None] * lamp_colour,
        screen=config.screen * _screen(times_s, config, streams.of("screen")) * balance,
        around=around[:, None] * around_colour,
    )


def white(temperature_k: float) -> Float[np.ndarray, "3"]:
    """Linear R, G, B of a black body, green 1, relative to `NEUTRAL_K`.

    Planck's law at 610, 540 and 465 nm.
    """
    wavelength_m = np.array([610e-9, 540e-9, 465e-9])
    exponent = 0.014388 / wavelength_m
    ratio = np.expm1(exponent / NEUTRAL_K) / np.expm1(exponent / temperature_k)
    return np.asarray(ratio / ratio[1])


def _screen(
    times_s: Float[np.ndarray, "t"], config: LightConfig, rng: np.random.Generator
) -> Float[np.ndarray, "t 3"]:
    """Light of a film: a new colour with every cut, and change between cuts."""
    at_s = moments(float(times_s[-1]), every_s=SCENE_S, spread=0.8, rng=rng)
    level = rng.uniform(0.4, 1.6, (len(at_s) + 1, 1))
    tint = np.exp(0.25 * rng.standard_normal((len(at_s) + 1, 3)))
    colours = level * tint
    cut = np.stack(
        [ramped_steps(times_s, at_s, colours[:, c], ramp_s=0.05) for c in range(3)], axis=1
    )
    motion = [slow_drift(times_s, low_hz=0.3, high_hz=2.5, rng=rng) for _ in range(3)]
    common = slow_drift(times_s, low_hz=0.3, high_hz=2.5, rng=rng)
    moving = 1.0 + config.screen_motion * (0.8 * common[:, None] + 0.6 * np.stack(motion, axis=1))
    return np.asarray(np.maximum(cut * moving, 0.02))


def _unit(vector: tuple[float, float, float]) -> Float[np.ndarray, "3"]:
    return np.asarray(np.array(vector) / np.linalg.norm(vector))
