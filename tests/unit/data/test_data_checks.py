"""What is wrong with arrays is found; what is right, or as real sensors are, is not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from physkit.core.types import Pulse
from physkit.data.checks import (
    Limits,
    check_coverage,
    check_damage,
    check_frame_times,
    check_label,
    check_lag,
    check_lengths,
    check_rate,
    check_recording,
    longest_flat_s,
    plateau_share,
)
from physkit.data.findings import CHECKS, SEVERITIES, Finding
from physkit.media.frames import DamageCount
from physkit.signal.lag import LagEstimate
from physkit.synth.pulse import PulseConfig, draw_heartbeats, pulse_at

DOCS = Path(__file__).parents[3] / "docs" / "audit.md"


def names(findings: list[Finding]) -> list[str]:
    return [finding.check for finding in findings]


def label(
    bpm: float = 72.0, *, rate_hz: float = 60.0, duration_s: float = 30.0, seed: int = 0
) -> Pulse:
    """A finger's pulse as a generator of beats has it."""
    config = PulseConfig(heart_rate_bpm=bpm)
    rng = np.random.default_rng(seed)
    beats = draw_heartbeats(config, duration_s=duration_s, rng=rng)
    times_s = np.arange(0, duration_s, 1 / rate_hz)
    return Pulse(pulse_at(beats, times_s, config=config), times_s)


def changed(change: Callable[[np.ndarray], np.ndarray]) -> Pulse:
    pulse = label()
    return Pulse(change(pulse.samples.copy()), pulse.timestamps_s)


def even(n: int = 600, fps: float = 30.0) -> np.ndarray:
    return np.arange(n) / fps


@pytest.mark.parametrize("fps", [15.0, 29.97, 30.0, 60.0])
def test_an_even_clock_is_fine_even_if_rounded_to_milliseconds(fps: float) -> None:
    assert check_frame_times(even(fps=fps)) == []
    assert check_frame_times(np.round(even(fps=fps), 3)) == []


def test_times_that_are_missing_or_run_backwards_are_errors() -> None:
    missing, backwards, equal = even(), even(), even()
    missing[7] = np.nan
    backwards[7] = backwards[3]
    equal[7] = equal[6]
    for times_s in (missing, backwards, equal):
        (finding,) = check_frame_times(times_s)
        assert (finding.check, finding.severity) == ("frame-times", "error")
    assert check_frame_times(missing)[0].measured == {"n_missing": 1}


@pytest.mark.parametrize(
    ("scale", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")]
)
def test_times_in_another_unit_are_errors_that_name_it(scale: float, unit: str) -> None:
    pulse = label()
    for (finding,) in (
        check_frame_times(scale * even()),
        check_label(Pulse(pulse.samples, scale * pulse.timestamps_s)),
    ):
        assert (finding.severity, unit in finding.message) == ("error", True)


def test_a_label_of_another_time_is_an_error() -> None:
    (finding,) = check_recording(even(), Pulse(label().samples, label().timestamps_s + 1.7e9))
    assert (finding.check, finding.severity) == ("length-mismatch", "error")
    assert "covers 0.00 s of the video's 19.97 s" in finding.message


def test_one_wild_time_is_a_gap() -> None:
    times_s = label().timestamps_s.copy()
    times_s[-1] = 3e10
    findings = check_recording(even(), Pulse(label().samples, times_s))
    assert [(f.check, f.severity) for f in findings] == [("label-times", "warning")]


def test_dropped_frames_are_counted() -> None:
    times_s = np.delete(even(), [100, 101, 300])
    (finding,) = check_frame_times(times_s)
    assert (finding.check, finding.severity) == ("dropped-frames", "note")
    assert finding.measured["n_dropped"] == 3
    assert finding.measured["longest_gap_s"] == pytest.approx(0.1)


@pytest.mark.parametrize("dropped", [range(100, 120), range(50, 550, 20)])
def test_many_dropped_frames_or_a_long_gap_are_a_warning(dropped: range) -> None:
    (finding,) = check_frame_times(np.delete(even(), list(dropped)))
    assert finding.severity == "warning"


@pytest.mark.parametrize(("jitter_ms", "expected"), [(1.0, []), (8.0, ["frame-jitter"])])
def test_jitter_is_told_where_it_matters(jitter_ms: float, expected: list[str]) -> None:
    rng = np.random.default_rng(0)
    times_s = even() + 1e-3 * jitter_ms * rng.uniform(-1, 1, 600)
    assert names(check_frame_times(times_s)) == expected


@pytest.mark.parametrize("bpm", [45.0, 72.0, 150.0])
@pytest.mark.parametrize("rate_hz", [30.0, 62.5, 256.0])
def test_a_good_label_is_fine(bpm: float, rate_hz: float) -> None:
    for seed in range(3):
        assert check_label(label(bpm, rate_hz=rate_hz, seed=seed)) == []


def test_a_label_of_few_whole_numbers_is_neither_flat_nor_clipped() -> None:
    for levels in (20, 100):
        assert check_label(changed(lambda x, n=levels: np.round(n * x / np.ptp(x)))) == []


def test_an_empty_label_is_unreadable() -> None:
    assert names(check_label(Pulse(np.zeros(0), np.zeros(0)))) == ["label-unreadable"]


def test_samples_that_are_no_numbers_are_counted() -> None:
    (finding,) = check_label(changed(lambda x: np.where(np.arange(len(x)) < 5, np.nan, x)))
    assert (finding.check, finding.severity) == ("label-not-finite", "warning")
    assert finding.measured == {"n_not_finite": 5}
    (finding,) = check_label(changed(lambda x: np.full_like(x, np.inf)))
    assert finding.severity == "error"


def test_label_times_that_run_backwards_or_have_a_gap_are_told() -> None:
    pulse = label()
    times_s = pulse.timestamps_s.copy()
    times_s[30] = times_s[10]
    (finding,) = check_label(Pulse(pulse.samples, times_s))
    assert (finding.check, finding.severity) == ("label-times", "error")
    kept = np.r_[0:600, 700:1800]
    (finding,) = check_label(Pulse(pulse.samples[kept], pulse.timestamps_s[kept]))
    assert (finding.check, finding.severity) == ("label-times", "warning")
    assert finding.measured["longest_gap_s"] == pytest.approx(101 / 60)


def test_a_label_that_stops_is_flat() -> None:
    (finding,) = check_label(changed(lambda x: np.where(np.arange(len(x)) < 300, x[0], x)))
    assert (finding.check, finding.severity) == ("label-flat", "warning")
    assert finding.measured["flat_s"] == pytest.approx(5.0, abs=0.3)
    (finding,) = check_label(changed(np.zeros_like))
    assert finding.severity == "error"


def test_a_sensor_off_the_finger_is_flat_though_it_is_noisy() -> None:
    rng = np.random.default_rng(0)
    noise = 1e-3 * rng.standard_normal(1800)
    assert names(check_label(changed(lambda x: np.where(np.arange(1800) > 900, noise, x)))) == [
        "label-flat"
    ]


@pytest.mark.parametrize("quantile", [0.75, 0.9])
def test_a_clipped_label_is_told_at_the_top_and_at_the_bottom(quantile: float) -> None:
    top = changed(lambda x: np.minimum(x, np.quantile(x, quantile)))
    bottom = changed(lambda x: np.maximum(x, np.quantile(x, 1 - quantile)))
    assert names(check_label(top)) == names(check_label(bottom)) == ["label-clipped"]


def test_noise_is_no_label() -> None:
    rng = np.random.default_rng(0)
    noisy = changed(lambda x: rng.standard_normal(len(x)))
    assert names(check_label(noisy)) == ["label-noisy"]


def test_a_label_that_spans_the_video_is_fine() -> None:
    assert check_lengths(even(), even(1200, 60.0)) == []
    assert check_lengths(even(), np.arange(-30, 1260) / 60) == []
    assert check_lengths(even(), even(605, 30.3)) == []


@pytest.mark.parametrize(
    "label_times_s", [even(1000, 60.0), np.arange(60, 1200) / 60, even(1500, 60.0)]
)
def test_a_label_that_ends_early_begins_late_or_goes_on_is_told(label_times_s: np.ndarray) -> None:
    (finding,) = check_lengths(even(), label_times_s)
    assert finding.check == "length-mismatch"


@pytest.mark.parametrize("n_samples", [590, 610])
def test_frames_and_samples_that_should_be_pairs_are_counted(n_samples: int) -> None:
    (finding,) = check_lengths(even(), even(n_samples))
    assert finding.check == "count-mismatch"
    assert finding.measured == {"n_frames": 600, "n_samples": n_samples}


def test_dropped_frames_are_no_mismatch() -> None:
    assert check_lengths(np.delete(even(), range(100, 110)), even()) == []


def estimate(
    lag_s: float | None,
    *,
    spread_s: float = 0.01,
    drift: float = 0.0,
    error: float = 1e-4,
    span_s: float = 60.0,
) -> LagEstimate:
    known = lag_s is not None
    return LagEstimate(
        lag_s=lag_s,
        spread_s=spread_s,
        correlation=0.9,
        drift_s_per_s=drift if known else None,
        drift_error_s_per_s=error,
        span_s=span_s,
        n_windows=10,
        doubt=0.0,
        reason=None if known else "they hardly agree",
    )


@pytest.mark.parametrize(
    ("lag_s", "said"), [(0.133, "133 ms late"), (-0.2, "200 ms early"), (0.06, None)]
)
def test_a_lag_is_told_with_its_direction(lag_s: float, said: str | None) -> None:
    findings = check_lag(estimate(lag_s))
    assert names(findings) == (["lag"] if said else [])
    assert not said or said in findings[0].message


def test_a_lag_that_windows_do_not_agree_on_is_not_told() -> None:
    assert check_lag(estimate(0.15, spread_s=0.1)) == []


def test_a_rival_lag_is_told_beside_it() -> None:
    assert "-420 ms" in check_lag(estimate(0.4), rival_s=-0.42)[0].message


def test_drift_is_told_where_it_adds_up_and_is_sure() -> None:
    assert names(check_lag(estimate(0.0, drift=0.003))) == ["clock-drift"]
    assert check_lag(estimate(0.0, drift=0.003, span_s=20.0)) == []
    assert check_lag(estimate(0.0, drift=0.003, error=0.002)) == []
    (finding,) = check_lag(estimate(0.0, drift=0.003))
    assert finding.measured["drift_ms_per_min"] == pytest.approx(180)


def test_no_estimate_is_a_note_with_the_reason() -> None:
    (finding,) = check_lag(estimate(None))
    assert (finding.check, finding.severity) == ("lag-unknown", "note")
    assert "hardly agree" in finding.message


def test_coverage_and_rates_have_limits() -> None:
    assert check_coverage(0.95) == []
    assert check_coverage(0.5)[0].severity == "warning"
    assert check_coverage(0.0)[0].severity == "error"
    assert check_rate("frame-rate", 29.97, 30.0) == []
    assert names(check_rate("label-rate", 60.0, 30.0)) == ["label-rate"]
    assert check_coverage(0.95, limits=Limits(min_coverage=0.99)) != []


def test_a_short_stretch_is_neither_flat_nor_a_plateau() -> None:
    assert longest_flat_s(np.zeros(10), rate_hz=30.0, window_s=1.5) == 0
    ramp = np.linspace(0, 1, 300)
    assert longest_flat_s(ramp, rate_hz=30.0, window_s=1.5) == 0
    assert plateau_share(ramp, rate_hz=30.0) == 0


def test_every_check_has_a_suggestion_and_stands_in_the_docs() -> None:
    text = DOCS.read_text("utf-8")
    for check, suggestion in CHECKS.items():
        assert f"`{check}`" in text
        assert suggestion
    assert Finding("lag", SEVERITIES[0], "late").suggestion == CHECKS["lag"]


def test_damaged_pictures_are_a_note_and_many_a_warning() -> None:
    assert check_damage(DamageCount(), 100) == []
    (few,) = check_damage(DamageCount(n_damaged=1, first="at 4.95 s"), 100)
    assert (few.severity, few.measured["n_damaged"]) == ("note", 1)
    assert few.message == "1 picture is damaged (the first: at 4.95 s) and counts as not seen"
    early = DamageCount(n_missing_start=30, missing_start_s=1.0)
    (many,) = check_damage(early, 240)
    assert (many.severity, many.measured["damaged_share"]) == ("warning", 0.125)
    assert "the first 1.00 s cannot be decoded" in many.message
