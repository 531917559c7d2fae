"""A short clip of a face with a known pulse."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.core.units import bpm_from_hz
from physkit.synth.camera import CameraConfig, Sensor
from physkit.synth.canvas import grain
from physkit.synth.face import FaceConfig, draw_portrait
from physkit.synth.light import LightConfig, light_field, light_over_time
from physkit.synth.motion import MotionConfig, head_motion
from physkit.synth.pulse import PulseConfig, draw_heartbeats, pulse_at
from physkit.synth.video import Codec, chosen_codec, write_video

BACKGROUND_RGB = (0.52, 0.56, 0.58)


@dataclass(frozen=True)
class ClipConfig:
    """A clip: one person, one lamp, one camera."""

    duration_s: float = 12.0
    """Length in seconds."""
    seed: int = 0
    """Everything random comes from it: the same seed gives the same clip."""
    pulse_strength: tuple[float, float, float] = (0.0035, 0.0080, 0.0055)
    """Relative darkening of the skin in R, G, B by one beat where perfusion is strongest."""
    codec: Codec = "auto"
    """Video encoder."""
    pulse: PulseConfig = field(default_factory=PulseConfig)
    """The heart."""
    face: FaceConfig = field(default_factory=FaceConfig)
    """The person."""
    motion: MotionConfig = field(default_factory=MotionConfig)
    """The head's drift."""
    light: LightConfig = field(default_factory=LightConfig)
    """The lamp."""
    camera: CameraConfig = field(default_factory=CameraConfig)
    """The camera."""


@dataclass(frozen=True, eq=False)
class ClipTruth:
    """What is true of a clip, to compare with what is read from it."""

    path: Path
    """The video."""
    codec: str
    """The encoder that wrote it."""
    heart_rate_bpm: float
    """Mean rate of the beats whose feet lie in the clip, in beats per minute."""
    beat_times_s: Float[np.ndarray, "beats"]
    """Feet of the beats in the clip, where the upstroke begins."""
    pulse: Pulse
    """Blood volume at the frames' times."""
    face_box_px: tuple[int, int, int, int]
    """The face at rest, from hairline to chin: x, y, width, height."""


def synthesise_clip(path: str | Path, *, config: ClipConfig | None = None) -> ClipTruth:
    """Write a video of a drawn face whose skin follows a known pulse.

    Raises InputError where the file cannot be written or the clip would hold under two beats.
    """
    path, config = Path(path), ClipConfig() if config is None else config
    # One stream of random numbers for each cause: more noise must not move the heart.
    heart, person, head, lamp, sensor = np.random.default_rng(config.seed).spawn(5)
    beats = draw_heartbeats(config.pulse, duration_s=config.duration_s, rng=heart)
    inside = (beats.foot_times_s >= 0) & (beats.foot_times_s < config.duration_s)
    feet_s = beats.foot_times_s[inside]
    if len(feet_s) < 2:
        raise InputError(f"{path}: {config.duration_s} s hold no two beats; ask for a longer clip")
    times_s = np.arange(round(config.duration_s * config.camera.fps)) / config.camera.fps
    volume = pulse_at(beats, times_s, config=config.pulse)
    scene = Scene(config, person)
    shifts = head_motion(times_s, centre_px=scene.centre_px, config=config.motion, rng=head)
    light = light_over_time(times_s, config=config.light, rng=lamp)
    write_video(
        path,
        _frames(scene, Sensor(config.camera, sensor), volume, shifts, light),
        size_px=(config.camera.width, config.camera.height),
        fps=config.camera.fps,
        quality=config.camera.quality,
        codec=config.codec,
    )
    return ClipTruth(
        path=path,
        codec=chosen_codec(config.codec),
        heart_rate_bpm=bpm_from_hz((len(feet_s) - 1) / float(feet_s[-1] - feet_s[0])),
        beat_times_s=feet_s,
        pulse=Pulse(samples=volume, timestamps_s=times_s),
        face_box_px=scene.face_box_px,
    )


class Scene:
    """A person before a wall, in pixels of the camera."""

    def __init__(self, config: ClipConfig, rng: np.random.Generator) -> None:
        height, width = config.camera.height, config.camera.width
        self.size = (width, height)
        portrait = draw_portrait(height, width, config=config.face, rng=rng)
        self.centre_px, self.face_box_px = portrait.centre_px, portrait.box_px
        blood = portrait.perfusion[..., None] * np.array(config.pulse_strength, np.float32)
        self.person, self.taken = portrait.rgb, portrait.rgb * blood
        self.gap = np.repeat(1.0 - portrait.opacity[..., None], 3, axis=2)
        wall = np.array(BACKGROUND_RGB, np.float32)
        plaster = 1.0 + 0.01 * grain(height, width, size_px=4.0, rng=rng)
        self.wall = wall * plaster[..., None]
        self.light = np.repeat(
            light_field(height, width, config=config.light)[..., None], 3, axis=2
        )

    def at(
        self, volume: float, shift: Float[np.ndarray, "2 3"], light: float
    ) -> Float[np.ndarray, "h w 3"]:
        """The light that reaches the camera at one moment."""
        # In place and in OpenCV where it can be: a clip is hundreds of these.
        still = cv2.scaleAdd(self.taken, -volume, self.person)
        scene = cv2.warpAffine(still, shift, self.size, borderMode=cv2.BORDER_REPLICATE)
        gap = cv2.warpAffine(self.gap, shift, self.size, borderMode=cv2.BORDER_REPLICATE)
        gap *= self.wall
        scene += gap
        scene *= self.light
        scene *= light
        return np.asarray(scene)


def _frames(
    scene: Scene,
    sensor: Sensor,
    volume: Float[np.ndarray, "t"],
    shifts: Float[np.ndarray, "t 2 3"],
    light: Float[np.ndarray, "t"],
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    for t in range(len(volume)):
        yield sensor.expose(scene.at(float(volume[t]), shifts[t], float(light[t])))
