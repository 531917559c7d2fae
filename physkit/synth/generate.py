"""From parameters and a seed to a recording and its true values."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.core.units import bpm_from_hz
from physkit.media.frames import Frame
from physkit.synth.camera import Sensor, exposure, frame_times
from physkit.synth.compress import compressed
from physkit.synth.light import lighting
from physkit.synth.motion import head_motion
from physkit.synth.parameters import SynthParameters
from physkit.synth.pulse import breathing_at, draw_heartbeats, pulse_at, rate_at
from physkit.synth.scene import Moments, Scene
from physkit.synth.streams import Streams

VESSEL_TAPS = (5, 1.5)
"""Number of samples over which small vessels smooth the pulse, and their reach to either side in
standard deviations."""
SENSOR_TAPS = (17, 4.0)
"""The same of the contact sensor; enough to remove all that 60 samples/s cannot represent."""


@dataclass(frozen=True)
class Seed:
    """Seeds of all random numbers."""

    person: tuple[int, ...]
    """The same numbers give the same face."""
    session: tuple[int, ...]
    """Seed of everything else."""

    @classmethod
    def of_clip(cls, seed: int) -> "Seed":
        """For a single clip."""
        return cls((seed,), (seed,))


class Synthesis:
    """A synthetic recording: the heartbeats are drawn at once, the pictures when they are read.

    Raises InputError where the recording would hold under two beats.
    """

    def __init__(self, parameters: SynthParameters, *, duration_s: float, seed: Seed) -> None:
        self.parameters, self.duration_s = parameters, duration_s
        self._seed = seed
        self._streams = Streams(*seed.session)
        rng = self._streams.of("heart")
        self.beats = draw_heartbeats(parameters.pulse, duration_s=duration_s, rng=rng)
        self.beat_times_s = self.beats.between(0.0, duration_s)
        if len(self.beat_times_s) < 2:
            raise InputError(f"{duration_s} s hold no two beats; choose a longer recording")
        self.times_s = frame_times(
            parameters.camera, duration_s=duration_s, rng=self._streams.of("clock")
        )
        self._motion = head_motion(self.times_s, config=parameters.motion, streams=self._streams)
        self._scene: Scene | None = None

    @property
    def heart_rate_bpm(self) -> float:
        """Mean rate of the beats whose feet lie in the recording."""
        feet_s = self.beat_times_s
        return bpm_from_hz((len(feet_s) - 1) / float(feet_s[-1] - feet_s[0]))

    @property
    def pulse(self) -> Pulse:
        """The contact pulse at the true times of the frames."""
        return Pulse(self.measure(self.times_s)["pulse"], self.times_s)

    @property
    def face_boxes(self) -> Float[np.ndarray, "t 4"]:
        """The face from hairline to chin in every frame: x, y, width, height in pixels."""
        return self._get_scene().face_boxes()

    def measure(self, times_s: Float[np.ndarray, "t"]) -> dict[str, Float[np.ndarray, "t"]]:
        """Values of the contact sensor at any times: `pulse`, `heart_rate_bpm`, `spo2_percent`,
        `respiration`."""
        config = self.parameters.pulse
        times_s = np.asarray(times_s, np.float64)
        finger_s = times_s - config.finger_lag_s
        breath = breathing_at(self.beats, times_s, config=config)
        return {
            "pulse": self._smoothed(finger_s, config.sensor_s, SENSOR_TAPS),
            "heart_rate_bpm": rate_at(self.beats, times_s),
            "spo2_percent": np.round(config.spo2_percent + 0.6 * breath),
            "respiration": breath,
        }

    def frames(self) -> Iterator[Frame]:
        """The video on its true clock."""
        scene, sensor = self._get_scene(), Sensor(self.parameters.camera, self._streams)
        pictures = (sensor.expose(scene.at(t)) for t in range(len(self.times_s)))
        seen = compressed(pictures, self.parameters.camera)
        for time_s, rgb in zip(self.times_s.tolist(), seen, strict=True):
            yield Frame(rgb, time_s)

    def _get_scene(self) -> Scene:
        if self._scene is None:
            parameters, streams = self.parameters, self._streams
            moments = Moments(
                motion=self._motion,
                light=lighting(self.times_s, config=parameters.light, streams=streams),
                exposure=exposure(
                    self.times_s, config=parameters.camera, rng=streams.of("exposure")
                ),
                volume=self._volume(),
            )
            self._scene = Scene(parameters, moments, Streams(*self._seed.person))
        return self._scene

    def _volume(self) -> Float[np.ndarray, "t 2"]:
        """Blood volume in the forehead and at the chin at the frames' times."""
        skin = self.parameters.skin

        def seen(delay_s: float) -> Float[np.ndarray, "t"]:
            return self._smoothed(self.times_s - delay_s, skin.smoothing_s, VESSEL_TAPS)

        half_s = skin.delay_spread_s / 2
        return np.stack([seen(-half_s), seen(half_s)], axis=1)

    def _smoothed(
        self, times_s: Float[np.ndarray, "t"], width_s: float, taps: tuple[int, float]
    ) -> Float[np.ndarray, "t"]:
        """The pulse at any times, smoothed by a Gaussian with a standard deviation of `width_s`."""
        n, reach = taps
        at = np.linspace(-reach, reach, n)
        weights = np.exp(-0.5 * at**2) / np.exp(-0.5 * at**2).sum()
        smoothed = np.zeros(times_s.shape)
        for weight, shift_s in zip(weights, width_s * at, strict=True):
            smoothed += weight * pulse_at(
                self.beats, times_s - shift_s, config=self.parameters.pulse
            )
        return smoothed
