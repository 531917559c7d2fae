"""What can be wrong with one recording, seen in its arrays alone: times, label, counts, lag, face.

Every check gives findings without a recording's name; none where all is well.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from physkit.core.types import Pulse
from physkit.core.units import MOST_STRETCHED
from physkit.data.findings import Finding, Severity
from physkit.media.frames import DamageCount
from physkit.signal.lag import LagEstimate
from physkit.signal.quality import MIN_QUALITY_S, signal_quality
from physkit.signal.resample import mean_fps, resample, usual_step_s

STILL = 0.02
"""A window whose range is less than this share of the usual one stands still."""
EDGE = 0.002
"""How near to its limit a clipped sample lies, relative to the signal's range."""
PLATEAU_S = 0.04
"""A shorter stay at a limit is the tip of a beat."""
MIN_PLATEAUS = 3
"""Fewer plateaus at one limit are no clipping but a few large beats."""


@dataclass(frozen=True)
class Limits:
    """From where on something is worth telling."""

    rates_hz: tuple[float, float] = (5.0, 20e3)
    """Fewest and most frames or samples a second: slower shows no beat, faster no clock has."""
    gap_steps: float = 1.5
    """An interval of so many usual ones holds a dropped frame."""
    max_dropped: float = 0.01
    """Share of dropped frames that is more than a note."""
    long_gap_s: float = 0.5
    """A gap of so many seconds is more than a note: no beat can be followed across it."""
    max_damaged: float = 0.01
    """Share of damaged pictures that is more than a note."""
    max_jitter: float = 0.1
    """Spread of the frame intervals, relative to the usual one."""
    max_rate_change: float = 0.05
    """Difference of a rate from that of the other recordings, relative to theirs."""
    flat_s: float = 1.5
    """A label that does not change for so long has stopped: it spans a beat at 40 bpm."""
    clipped_share: float = 0.03
    """Share of the samples that lie on plateaus at the very top or bottom."""
    min_label_quality: float = 0.3
    """Signal quality (0 to 1) under which a label hardly looks like a pulse."""
    uncovered_s: float = 0.5
    """Time at either end of the video for which there is no label."""
    min_overlap_s: float = 1.0
    """Time that label and video have in common, under which there is nothing to work with."""
    overhang_s: float = 2.0
    """Time for which the label goes on after the video's end."""
    unpaired: int = 3
    """Difference of the counts, where the label has one sample for each frame."""
    lag_s: float = 0.1
    """A larger lag hinders training; a finger lags a face by some tens of milliseconds."""
    drift_s: float = 0.1
    """Change of the lag over the recording."""
    min_coverage: float = 0.9
    """Share of the frames with a face."""


LIMITS = Limits()
UNITS_S = {"milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}
"""What times may be in by mistake."""
PAIRED_RATE = 1e-3
"""Label and frames come in pairs where their rates differ by less than this, relatively."""


def check_recording(
    timestamps_s: Float[np.ndarray, "t"], label: Pulse | None, *, limits: Limits = LIMITS
) -> list[Finding]:
    """All that times and label tell by themselves: `check_frame_times`, `check_label`, and
    `check_lengths` where both have times."""
    findings = check_frame_times(timestamps_s, limits=limits)
    if label is None:
        return findings
    findings += check_label(label, limits=limits)
    if all(is_clock(times_s) for times_s in (timestamps_s, label.timestamps_s)):
        findings += check_lengths(timestamps_s, label.timestamps_s, limits=limits)
    return findings


def is_clock(times_s: Float[np.ndarray, "t"]) -> bool:
    """Whether times increase, without any missing or wild one."""
    if len(times_s) < 2 or not np.all(np.diff(times_s) > 0):
        return False
    steps = float(times_s[-1] - times_s[0]) / float(np.median(np.diff(times_s)))
    return steps < MOST_STRETCHED * len(times_s)


def check_frame_times(
    timestamps_s: Float[np.ndarray, "t"], *, limits: Limits = LIMITS
) -> list[Finding]:
    """Times that are missing, run backwards or are in another unit; else drops and jitter."""
    broken = _broken_times("frame-times", "frame", timestamps_s, limits)
    if broken or len(timestamps_s) < 3:
        return broken
    steps_s = np.diff(timestamps_s)
    usual_s = float(np.median(steps_s))
    gaps_s = steps_s[steps_s > limits.gap_steps * usual_s]
    findings = []
    if gaps_s.size:
        missing = int(np.rint(gaps_s / usual_s - 1).sum())
        share, longest_s = missing / (missing + len(timestamps_s)), float(gaps_s.max())
        grave = share > limits.max_dropped or longest_s > limits.long_gap_s
        findings.append(
            Finding(
                "dropped-frames",
                "warning" if grave else "note",
                f"about {missing} frames dropped ({share:.1%}), the longest gap {longest_s:.2f} s",
                {"n_dropped": missing, "dropped_share": share, "longest_gap_s": longest_s},
            )
        )
    kept_s = steps_s[steps_s <= limits.gap_steps * usual_s]
    jitter_s = float(kept_s.std())
    if jitter_s > limits.max_jitter * usual_s:
        findings.append(
            Finding(
                "frame-jitter",
                "warning",
                f"frame intervals of {1e3 * usual_s:.1f} ms spread by {1e3 * jitter_s:.1f} ms",
                {"jitter_ms": 1e3 * jitter_s, "interval_ms": 1e3 * usual_s},
            )
        )
    return findings


def check_damage(damage: DamageCount, n_frames: int, *, limits: Limits = LIMITS) -> list[Finding]:
    """Frames whose pictures cannot be decoded. n_frames: all frames."""
    n_damaged, n_early = damage.n_damaged, damage.n_missing_start
    share = (n_damaged + n_early) / max(n_frames, 1)
    if share == 0:
        return []
    message = "; ".join(damage.sentences())
    measured = {"n_damaged": n_damaged, "n_missing_start": n_early, "damaged_share": share}
    severity: Severity = "warning" if share > limits.max_damaged else "note"
    return [Finding("damaged-frames", severity, message, measured)]


def check_label(pulse: Pulse, *, limits: Limits = LIMITS) -> list[Finding]:
    """Times and samples of a label that are missing, and a pulse that is flat, clipped or none."""
    times_s, samples = pulse.timestamps_s, pulse.samples
    if len(samples) == 0:
        return [Finding("label-unreadable", "error", "0 pulse samples", {"n_samples": 0})]
    findings = _broken_times("label-times", "label", times_s, limits)
    unknown = int(np.count_nonzero(~np.isfinite(samples)))
    if unknown:
        findings.append(
            Finding(
                "label-not-finite",
                "error" if unknown == len(samples) else "warning",
                f"{unknown} of {len(samples)} label samples are no numbers",
                {"n_not_finite": unknown},
            )
        )
    if not findings:
        findings = _gaps(times_s, limits)
    if unknown < len(samples) and not any(f.severity == "error" for f in findings):
        known = np.isfinite(samples)
        findings += _check_waveform(Pulse(samples[known], times_s[known]), limits)
    return findings


def _gaps(times_s: Float[np.ndarray, "t"], limits: Limits) -> list[Finding]:
    longest_s = float(np.diff(times_s).max()) if len(times_s) > 1 else 0.0
    if longest_s <= limits.long_gap_s:
        return []
    message = f"a gap of {longest_s:.2f} s in the label"
    return [Finding("label-times", "warning", message, {"longest_gap_s": longest_s})]


def _check_waveform(pulse: Pulse, limits: Limits) -> list[Finding]:
    rate_hz = mean_fps(pulse.timestamps_s)
    if not np.ptp(pulse.samples) > 0 or not rate_hz > 0:
        return [Finding("label-flat", "error", "the label is flat throughout")]
    if not is_clock(pulse.timestamps_s):
        return []  # told as a gap
    flat_s = longest_flat_s(pulse.samples, rate_hz=rate_hz, window_s=limits.flat_s)
    if flat_s > 0:
        message = f"the label is flat for {flat_s:.1f} s"
        return [Finding("label-flat", "warning", message, {"flat_s": flat_s})]
    share = plateau_share(pulse.samples, rate_hz=rate_hz)
    if share > limits.clipped_share:
        message = f"the label is clipped: {share:.0%} of it lies on plateaus at its limits"
        return [Finding("label-clipped", "warning", message, {"clipped_share": share})]
    return _check_quality(pulse, rate_hz=rate_hz, limits=limits)


def _check_quality(pulse: Pulse, *, rate_hz: float, limits: Limits) -> list[Finding]:
    """Whether a label looks like a pulse at all."""
    even, _ = resample(pulse.samples, pulse.timestamps_s, fps=min(rate_hz, 60.0))
    even = even[np.isfinite(even)]
    if len(even) < 2 * MIN_QUALITY_S * min(rate_hz, 60.0):
        return []
    quality = signal_quality(even, fps=min(rate_hz, 60.0))
    if quality >= limits.min_label_quality:
        return []
    message = f"the label hardly looks like a pulse: quality {quality:.2f} of 1"
    return [Finding("label-noisy", "warning", message, {"label_quality": quality})]


def check_lengths(
    timestamps_s: Float[np.ndarray, "t"],
    label_times_s: Float[np.ndarray, "n"],
    *,
    limits: Limits = LIMITS,
) -> list[Finding]:
    """A label that does not span the video or outlasts it, and frames without their samples."""
    if len(timestamps_s) < 2 or len(label_times_s) < 2:
        return []
    early_s = float(label_times_s[0] - timestamps_s[0])
    late_s = float(timestamps_s[-1] - label_times_s[-1])
    measured = {"label_starts_s": early_s, "label_ends_s": -late_s}
    span_s = float(timestamps_s[-1] - timestamps_s[0])
    covered_s = max(span_s - max(early_s, 0.0) - max(late_s, 0.0), 0.0)
    if covered_s < min(limits.min_overlap_s, span_s / 2):
        message = f"the label covers {covered_s:.2f} s of the video's {span_s:.2f} s"
        return [Finding("length-mismatch", "error", message, measured)]
    if max(early_s, late_s) > limits.uncovered_s:
        uncovered_s = max(early_s, 0.0) + max(late_s, 0.0)
        message = f"no label for {uncovered_s:.2f} s of the video"
        return [Finding("length-mismatch", "warning", message, measured)]
    if -late_s > limits.overhang_s:
        message = f"the label goes on for {-late_s:.2f} s after the video's end"
        return [Finding("length-mismatch", "warning", message, measured)]
    return _check_pairs(timestamps_s, label_times_s, limits)


def _check_pairs(
    timestamps_s: Float[np.ndarray, "t"], label_times_s: Float[np.ndarray, "n"], limits: Limits
) -> list[Finding]:
    """One sample for each frame, where the rates say that it is meant so."""
    step_s, label_step_s = usual_step_s(timestamps_s), usual_step_s(label_times_s)
    same_rate = abs(label_step_s / step_s - 1) < PAIRED_RATE
    together = abs(float(label_times_s[0] - timestamps_s[0])) < step_s
    # what was dropped on the way had its sample
    n_frames = 1 + round(float(timestamps_s[-1] - timestamps_s[0]) / step_s)
    n_samples = 1 + round(float(label_times_s[-1] - label_times_s[0]) / label_step_s)
    if not (same_rate and together) or abs(n_samples - n_frames) < limits.unpaired:
        return []
    return [
        Finding(
            "count-mismatch",
            "warning",
            f"{n_frames} frames and {len(label_times_s)} label samples, at one rate",
            {"n_frames": n_frames, "n_samples": len(label_times_s)},
        )
    ]


def check_lag(
    estimate: LagEstimate, *, rival_s: float | None = None, limits: Limits = LIMITS
) -> list[Finding]:
    """A label that is late or early, and clocks that drift apart.

    rival_s: another lag in seconds that fits about as well.
    """
    if estimate.lag_s is None or estimate.drift_s_per_s is None:
        message = f"label and camera pulse cannot be compared: {estimate.reason}"
        return [Finding("lag-unknown", "note", message)]
    findings = []
    lag_ms = 1e3 * estimate.lag_s
    uncertain_s = 2 * estimate.spread_s / np.sqrt(estimate.n_windows)
    if abs(estimate.lag_s) > limits.lag_s + uncertain_s:
        doubt = "" if rival_s is None else f"; {1e3 * rival_s:.0f} ms would fit about as well"
        findings.append(
            Finding(
                "lag",
                "warning",
                f"the label is {abs(lag_ms):.0f} ms {'late' if lag_ms > 0 else 'early'}"
                f" (spread {1e3 * estimate.spread_s:.0f} ms{doubt})",
                {"lag_ms": lag_ms, "correlation": estimate.correlation},
            )
        )
    total_s = estimate.drift_s_per_s * estimate.span_s
    error_s = estimate.drift_error_s_per_s * estimate.span_s
    if abs(total_s) > max(limits.drift_s, 2 * error_s):
        drift_ms_per_min = 60e3 * estimate.drift_s_per_s
        findings.append(
            Finding(
                "clock-drift",
                "warning",
                f"the lag grows by {drift_ms_per_min:.0f} ms a minute, "
                f"{1e3 * total_s:.0f} ms over the recording",
                {"drift_ms_per_min": drift_ms_per_min, "drift_ms": 1e3 * total_s},
            )
        )
    return findings


def check_coverage(coverage: float, *, limits: Limits = LIMITS) -> list[Finding]:
    """Too few frames with a face."""
    if coverage >= limits.min_coverage:
        return []
    return [
        Finding(
            "face-coverage",
            "warning" if coverage > 0 else "error",
            f"a face in {coverage:.0%} of the frames",
            {"face_coverage": coverage},
        )
    ]


def check_rate(
    check: str, rate_hz: float, usual_hz: float, *, limits: Limits = LIMITS
) -> list[Finding]:
    """A rate unlike that of the other recordings. check: "frame-rate" or "label-rate"."""
    if abs(rate_hz / usual_hz - 1) <= limits.max_rate_change:
        return []
    message = f"{rate_hz:.2f} Hz, while the others have {usual_hz:.2f} Hz"
    return [Finding(check, "warning", message, {"rate_hz": rate_hz, "usual_rate_hz": usual_hz})]


def _broken_times(
    check: str, whose: str, times_s: Float[np.ndarray, "t"], limits: Limits
) -> list[Finding]:
    missing = int(np.count_nonzero(~np.isfinite(times_s)))
    if missing:
        message = f"{missing} of {len(times_s)} {whose} times are missing"
        return [Finding(check, "error", message, {"n_missing": missing})]
    back = int(np.count_nonzero(np.diff(times_s) <= 0))
    if back:
        message = f"{back} of {len(times_s)} {whose} times are not later than those before"
        return [Finding(check, "error", message, {"n_not_later": back})]
    return _wrong_unit(check, whose, times_s, limits)


def _wrong_unit(
    check: str, whose: str, times_s: Float[np.ndarray, "t"], limits: Limits
) -> list[Finding]:
    """Times at a rate that neither a camera nor a sensor has."""
    low_hz, high_hz = limits.rates_hz
    rate_hz = 1 / float(np.median(np.diff(times_s))) if len(times_s) > 2 else low_hz
    if low_hz <= rate_hz <= high_hz:
        return []
    usual = [unit for unit, unit_s in UNITS_S.items() if low_hz <= rate_hz / unit_s <= high_hz]
    hint = f"; they look like {usual[0]}, not seconds" if usual else ""
    message = f"{whose} times have {rate_hz:.3g} Hz{hint}"
    return [Finding(check, "error", message, {"rate_hz": rate_hz})]


def longest_flat_s(samples: Float[np.ndarray, "t"], *, rate_hz: float, window_s: float) -> float:
    """The longest time for which a signal stands still, in seconds; 0 where under `window_s`."""
    n = max(round(window_s * rate_hz), 2)
    if len(samples) < n:
        return 0.0
    inside = slice(n // 2, len(samples) - (n - 1) // 2)
    ranges = (maximum_filter1d(samples, n) - minimum_filter1d(samples, n))[inside]
    # of windows that move: with half of the signal still, the median is no range at all
    usual = float(np.percentile(ranges, 90))
    longest = max((stop - start for start, stop in _runs(ranges <= STILL * usual)), default=0)
    return (longest + n - 1) / rate_hz if longest else 0.0


def plateau_share(samples: Float[np.ndarray, "t"], *, rate_hz: float) -> float:
    """Share of the samples that lie on plateaus at the signal's very top or bottom."""
    low, high = float(samples.min()), float(samples.max())
    margin = EDGE * (high - low)
    at_least = max(round(PLATEAU_S * rate_hz), 2)
    total = 0
    for at_limit in (samples >= high - margin, samples <= low + margin):
        lengths = [stop - start for start, stop in _runs(at_limit) if stop - start >= at_least]
        total += sum(lengths) if len(lengths) >= MIN_PLATEAUS else 0
    return total / len(samples)


def _runs(marks: Bool[np.ndarray, "t"]) -> list[tuple[int, int]]:
    """First index and one past the last of every stretch of marked samples."""
    edges = np.diff(np.concatenate([[0], marks.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]
