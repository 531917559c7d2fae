"""Which rates the plot of a pulse marks."""

from pathlib import Path

import numpy as np
import pytest

from physkit.core.types import Pulse
from physkit.inference.plot import SAME_BPM, plot_pulse, rate_marks
from physkit.inference.result import PulseResult
from physkit.signal.heart_rate import spectral_heart_rate_bpm
from physkit.signal.reading import pulse_spectrum, read_pulse

FPS = 30.0


def read(samples: np.ndarray) -> PulseResult:
    pulse = Pulse(samples, np.arange(samples.size) / FPS)
    reading = read_pulse(pulse)
    return PulseResult(
        heart_rate_bpm=reading.heart_rate_bpm,
        respiration_rate_bpm=reading.respiration_rate_bpm,
        signal_quality=reading.signal_quality,
        snr_db=reading.snr_db,
        hrv=None,
        fps=FPS,
        n_frames=samples.size,
        face_coverage=1.0,
        model="pos",
        runtime="torch",
        detector=None,
        pulse=pulse,
        warnings=reading.warnings,
        heart_rate_from=reading.heart_rate_from,
    )


def beating(duration_s: float, *, step_bpm: float) -> np.ndarray:
    """A pulse of 60 bpm that is faster by `step_bpm` in its last third."""
    t = np.arange(round(duration_s * FPS)) / FPS
    phase = 2 * np.pi * np.cumsum(60 + step_bpm * (t > 2 / 3 * duration_s)) / 60 / FPS
    return np.sin(phase) + 0.3 * np.sin(2 * phase)


@pytest.mark.parametrize("duration_s", [12.0, 40.0])
def test_a_rate_refined_from_beats_and_the_spectral_peak_are_both_marked(duration_s: float) -> None:
    result = read(beating(duration_s, step_bpm=12.0))
    spectrum = pulse_spectrum(result.pulse)
    assert spectrum is not None
    reported, peak = rate_marks(result)
    assert reported.rate_bpm == result.heart_rate_bpm
    assert reported.is_reported
    assert "beats" in reported.label
    assert f"{reported.rate_bpm:.1f} bpm" in reported.label
    assert peak.rate_bpm == spectral_heart_rate_bpm(spectrum)
    assert not peak.is_reported
    assert "spectral peak" in peak.label
    assert abs(peak.rate_bpm - reported.rate_bpm) > SAME_BPM


def test_rates_that_agree_are_one_mark() -> None:
    (mark,) = rate_marks(read(beating(20.0, step_bpm=0.0)))
    assert mark.rate_bpm == pytest.approx(60, abs=SAME_BPM)
    assert "spectral peak" in mark.label


@pytest.mark.parametrize("n", [40, 400])
def test_without_a_heart_rate_nothing_is_marked_and_the_rest_is_drawn(
    n: int, tmp_path: Path
) -> None:
    result = read(np.random.default_rng(0).standard_normal(n))
    assert rate_marks(result) == ()
    plot_pulse(result, tmp_path / "pulse.svg")
    assert (tmp_path / "pulse.svg").stat().st_size > 1000
