"""The pulses of the faces that one input shows, each read by itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from physkit.core.types import Pulse
from physkit.signal.rate_over_time import RateOverTime
from physkit.signal.reading import MIN_RUN_S, PulseReading, QualityGate, read_pulse

NO_FACE = -1
"""Stands for the number of a face where none was seen."""


@dataclass(frozen=True, eq=False)
class FaceReading:
    """What the pulse of one face says."""

    start_s: float
    """Time of its first frame."""
    end_s: float
    """Time of its last frame."""
    seen_s: float
    """Seconds in which it was seen."""
    pulse: Pulse
    """All of the input's moments, NaN where this face was not seen."""
    reading: PulseReading
    """Its vital signs."""

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON object."""
        return {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "heart_rate_bpm": self.reading.heart_rate_bpm,
            "signal_quality": self.reading.signal_quality,
        }


def read_faces(
    pulse: Pulse, face_numbers: Int[np.ndarray, "t"], *, gate: QualityGate | None = None
) -> tuple[FaceReading, ...]:
    """A reading of each face that was seen for at least `MIN_RUN_S`, the one seen longest first.

    face_numbers: of each sample (see `FaceNumbers`); `NO_FACE` where none was seen. gate: of the
    model that read the pulse. Of faces that
    were all seen for less, the one seen longest. Raises InputError as `read_pulse` does.
    """
    numbers, counts = np.unique(face_numbers[face_numbers != NO_FACE], return_counts=True)
    if numbers.size < 2:
        numbers, counts = np.array([NO_FACE]), np.array([len(face_numbers)])
    found: list[FaceReading] = []
    step_s = float(np.median(np.diff(pulse.timestamps_s))) if len(face_numbers) > 1 else 0.0
    for index in np.argsort(-counts, kind="stable"):
        seen_s = float(counts[index]) * step_s
        if found and seen_s < MIN_RUN_S:
            break
        is_its = (face_numbers == numbers[index]) | (numbers.size == 1)
        its_s = pulse.timestamps_s[is_its]
        own = Pulse(np.where(is_its, pulse.samples, np.nan), pulse.timestamps_s)
        reading = read_pulse(own, gate=gate)
        found.append(FaceReading(float(its_s[0]), float(its_s[-1]), seen_s, own, reading))
    return tuple(found)


def all_over_time(faces: tuple[FaceReading, ...]) -> RateOverTime | None:
    """The heart rates of all faces, each at the seconds in which it was seen; None for none."""
    series = [s for face in faces if (s := face.reading.over_time) is not None]
    if not series:
        return None
    rates_bpm = series[0].rates_bpm
    for other in series[1:]:
        rates_bpm = np.where(np.isfinite(rates_bpm), rates_bpm, other.rates_bpm)
    return RateOverTime(series[0].times_s, rates_bpm)


def several_faces(faces: tuple[FaceReading, ...]) -> tuple[str, ...]:
    """What to tell where more than one face was read."""
    if len(faces) < 2:
        return ()
    first = faces[0]
    told = (
        f"{len(faces)} faces were read, each by itself (one may be the same person again): the "
        f"figures are of the one seen longest, from {first.start_s:.1f} to {first.end_s:.1f} s"
    )
    return (told,)
