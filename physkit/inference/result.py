"""What reading an input says about the heart, as commands and Python hand it out."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from physkit.core.table import labelled
from physkit.core.types import Pulse
from physkit.inference.faces import FaceReading, all_over_time
from physkit.inference.waveform import LiveFigures
from physkit.signal.confidence import Certainty
from physkit.signal.rate_over_time import RateOverTime
from physkit.signal.reading import RateSource


@dataclass(frozen=True, eq=False)
class PulseResult:
    """What a clip says about the heart of the person in it."""

    heart_rate_bpm: float | None
    """Beats per minute, the mean rate; None where the clip does not support a number (see
    warnings). Where several faces were seen, this and the other vital signs are those of the first
    of `faces`."""
    respiration_rate_bpm: float | None
    """Breaths per minute, or None."""
    signal_quality: float
    """0 (noise) to 1 (clean pulse)."""
    snr_db: float | None
    """Power at the heart rate and its double over the rest of 0.6-3.3 Hz, in dB."""
    hrv: dict[str, Any] | None
    """Heart-rate variability, or None where the clip is too short or not clean enough."""
    fps: float
    """Mean frame rate in Hz by the true timestamps."""
    n_frames: int
    """Frames read."""
    face_coverage: float
    """Share of the frames that show the face."""
    model: str
    """Model that read the pulse."""
    runtime: str
    """What ran it."""
    detector: str | None
    """Face detector; None for prepared crops."""
    pulse: Pulse
    """The waveform with its times, NaN where no face was seen."""
    warnings: tuple[str, ...]
    """What to know before believing the numbers."""
    live: LiveFigures | None = None
    """How soon frames were answered, of a live run."""
    faces: tuple[FaceReading, ...] = ()
    """What each face says, the one that was seen longest first: no figure is over two of them."""
    heart_rate_from: RateSource | None = None
    """What the heart rate was read from; None without one."""
    certainty: Mapping[str, Certainty] = dataclasses.field(default_factory=dict)
    """Expected error and confidence of each vital sign that is given, by name."""

    clips: tuple[Mapping[str, Any], ...] = ()
    """What the model says of each clip that it read, in their order: of a PhysLLM the text of each
    cue and its share in what the language model was told. Most models say nothing."""

    @property
    def heart_rate_over_time(self) -> RateOverTime | None:
        """The heart rate of every second, of whichever face was seen; None without a heart rate."""
        return all_over_time(self.faces)

    @property
    def read_pulse(self) -> Pulse:
        """The part of the pulse that the vital signs are read from."""
        return self.faces[0].pulse if self.faces else self.pulse

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON object; NaN becomes None."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["pulse"]
        over_time = self.heart_rate_over_time
        fields["heart_rate_over_time"] = over_time and {
            "timestamps_s": over_time.times_s.tolist(),
            "heart_rate_bpm": _without_nan(over_time.rates_bpm.tolist()),
        }
        fields["certainty"] = {n: dataclasses.asdict(c) for n, c in self.certainty.items()}
        fields["faces"] = [face.to_dict() for face in self.faces]
        fields["waveform"] = _without_nan(self.pulse.samples.tolist())
        fields["timestamps_s"] = self.pulse.timestamps_s.tolist()
        fields["warnings"] = list(self.warnings)
        fields["clips"] = list(self.clips)
        fields["live"] = dataclasses.asdict(self.live) if self.live else None
        return fields

    def lines(self) -> list[str]:
        """What a person reads in the terminal."""

        def shown(value: float | None, unit: str, name: str = "") -> str:
            if value is None:
                return "-"
            known = self.certainty.get(name)
            error = f" (error about {known.error:.1f})" if known else ""
            return f"{value:.1f} {unit}{error}"

        over_time = self.heart_rate_over_time
        told = shown(self.heart_rate_bpm, "bpm", "heart_rate_bpm")
        if over_time is not None and not over_time.is_steady:
            low_bpm, high_bpm = over_time.range_bpm
            told += f" (mean; from {low_bpm:.0f} to {high_bpm:.0f})"
        rows = [
            ("heart rate", told),
            (
                "respiration rate",
                shown(self.respiration_rate_bpm, "breaths/min", "respiration_rate_bpm"),
            ),
            ("signal quality", f"{self.signal_quality:.2f} of 1"),
            ("signal to noise", shown(self.snr_db, "dB")),
            ("variability (SDNN)", shown((self.hrv or {}).get("sdnn_ms"), "ms", "sdnn_ms")),
            ("variability (RMSSD)", shown((self.hrv or {}).get("rmssd_ms"), "ms", "rmssd_ms")),
            ("face seen", f"{self.face_coverage:.0%} of {self.n_frames} frames"),
            ("model", f"{self.model} ({self.runtime}), {self.fps:.1f} frames/s"),
            ("detector", self.detector or "none: prepared crops"),
        ]
        if self.live:
            median, p95 = self.live.latency_median_ms, self.live.latency_p95_ms
            latency = "-" if median is None else f"{median:.0f} ms, 95 % within {p95:.0f} ms"
            rows += [("latency", latency), ("dropped", f"{self.live.dropped_frames} frames")]
        return [
            *labelled(rows),
            *(f"warning: {warning}" for warning in self.warnings),
        ]


def _without_nan(values: list[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]
