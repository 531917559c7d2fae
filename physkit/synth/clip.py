"""A short clip of a face with a known pulse, as one video file."""

from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Float
from numpy import ndarray

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.synth.generate import Seed, Synthesis
from physkit.synth.parameters import SynthParameters
from physkit.synth.video import Codec, chosen_codec, write_video


@dataclass(frozen=True)
class ClipConfig:
    """A clip: one person, one lamp, one camera, one file."""

    duration_s: float = 12.0
    """Length in seconds."""
    seed: int = 0
    """Seed of all random numbers: the same seed gives the same clip."""
    codec: Codec = "auto"
    """Video encoder of the file."""
    quality: int = 16
    """H.264 constant rate factor: 0 is lossless, 23 is common; far above 25 the pulse is lost."""
    parameters: SynthParameters = field(default_factory=SynthParameters)
    """Person, light and camera."""


@dataclass(frozen=True, eq=False)
class ClipTruth:
    """The true values of a clip, to compare with a reading of it."""

    path: Path
    """The video."""
    codec: str
    """The encoder that wrote it."""
    heart_rate_bpm: float
    """Mean rate of the beats whose feet lie in the clip, in beats per minute."""
    beat_times_s: Float[ndarray, "beats"]
    """Feet of the beats in the clip, where the upstroke begins."""
    pulse: Pulse
    """Blood volume at the frames' times."""
    face_box_px: tuple[int, int, int, int]
    """The face at first, from hairline to chin: x, y, width, height."""


def synthesise_clip(path: str | Path, *, config: ClipConfig | None = None) -> ClipTruth:
    """Write a video of a drawn face whose skin follows a known pulse, at an even frame rate.

    Raises InputError where the file cannot be written or the clip would hold under two beats.
    """
    path, config = Path(path), ClipConfig() if config is None else config
    camera, seed = config.parameters.camera, Seed.of_clip(config.seed)
    try:
        synthesis = Synthesis(config.parameters, duration_s=config.duration_s, seed=seed)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    write_video(
        path,
        (frame.rgb for frame in synthesis.frames()),
        size_px=(camera.width, camera.height),
        fps=camera.fps,
        quality=config.quality,
        codec=config.codec,
    )
    x, y, width, height = (round(edge) for edge in synthesis.face_boxes[0].tolist())
    return ClipTruth(
        path=path,
        codec=chosen_codec(config.codec),
        heart_rate_bpm=synthesis.heart_rate_bpm,
        beat_times_s=synthesis.beat_times_s,
        pulse=synthesis.pulse,
        face_box_px=(x, y, width, height),
    )
