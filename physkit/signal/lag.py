"""The lag between two pulses with their own clocks, and the drift between the clocks.

Positive: the label is late, label(t) = pulse(t - lag).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import correlate
from scipy.stats import theilslopes

from physkit.core.types import Pulse
from physkit.signal.filters import bandpass
from physkit.signal.resample import resample, seen_runs

MIN_RUN_S = 2.0
"""A shorter unbroken run consists of filter edges only."""
MIN_FILLED = 0.8
"""Least share of a window in which both pulses must be known."""
MIN_ENERGY = 1e-9
"""Energy of a flat window, relative to the whole signal: its correlation is a rounding error."""

MAX_OWN_S = 0.15
"""Largest distance of a window's own peak from the common line: under half a beat at 180 bpm."""
MIN_NEAR = 0.6
"""Least share of the windows whose own peaks are so near: of noise, half are by chance."""
SPREAD_S = (0.012, 0.028)
"""Largest spread of the windows' own lags: of waveforms that agree, and what is added for each unit
of noise over signal, sqrt(1 / correlation**2 - 1). Another person's beats scatter more: at a
correlation of 0.88, by 33 ms where those of one heart do by 7."""
DRIFT_SLACK = 1.2
"""How far beyond the largest drift the fitted one may lie; another heart rate is a larger drift."""
MIN_SHARE = 0.3
"""Least energy of a window that counts, relative to the strongest window."""
SLACK = 2
"""Largest distance of a window's own peak from the line, in ticks."""
LEAST_MISFIT = 1e-3
"""Least unexplained share of the label: below it, waveforms differ by rounding errors."""
NOISE_SHARE = 0.5
"""Share of the samples whose misfit counts as independent noise; the rest is a constant difference
of the waveforms. From simulations of 20 and 60 s, 48 to 150 bpm: if all count, a wrong lag is
sometimes reported as certain."""


@dataclass(frozen=True)
class LagConfig:
    """How a lag is estimated, and when the estimate is reliable."""

    clock_hz: float = 120.0
    """Rate of the common clock; a parabola finds the peak between its ticks."""
    low_hz: float = 0.6
    """Lower edge of the band that is compared, in Hz."""
    high_hz: float = 4.0
    """Upper edge of the band in Hz: the fundamental and a harmonic or more."""
    window_s: float = 10.0
    """Longest window whose correlation is taken on its own."""
    max_lag_s: float = 1.0
    """Largest lag in the middle of the recording, in either direction."""
    max_drift: float = 0.01
    """Largest drift, in seconds of lag a second: a nominal 30 Hz that is 29.97 Hz in truth gives
    0.001."""
    min_correlation: float = 0.35
    """Least correlation at a lag; with less, pulse and label do not agree."""
    chance_correlation: float = 2.0
    """What noise reaches by the best of all lags and drifts, times the root of the seconds that
    were compared: in 20 s, noise correlates by up to 0.4."""
    min_windows: int = 3
    """Least number of windows."""
    usual_lag_s: float = 0.2
    """Usual spread of the lags of labels: a steady pulse repeats, and of two lags that fit equally
    well the smaller is more likely."""
    max_doubt: float = 4.0
    """Standard errors by which a possible lag may fit worse than the best one."""


@dataclass(frozen=True)
class LagEstimate:
    """The lag of a label behind a pulse."""

    lag_s: float | None
    """Seconds that the label is late, in the middle of the recording; None where unreliable."""
    spread_s: float
    """Standard deviation of the windows' own lags from the line through them, whose two degrees of
    freedom are taken off."""
    correlation: float
    """Mean correlation of the windows along that line; NaN where there is no window."""
    drift_s_per_s: float | None
    """Growth of the lag over time; None where unreliable."""
    drift_error_s_per_s: float
    """Half the width of that growth's 95 % interval; NaN where there are too few windows."""
    span_s: float
    """Length of the pulse in seconds."""
    n_windows: int
    """Windows that were compared."""
    doubt: float
    """Standard errors by which another lag fits better; 0 for the one that fits best."""
    reason: str | None
    """Why there is no estimate; None where there is one."""


def estimate_lag(label: Pulse, pulse: Pulse, *, config: LagConfig | None = None) -> LagEstimate:
    """The likeliest of `possible_lags`."""
    return possible_lags(label, pulse, config=config)[0]


def possible_lags(
    label: Pulse, pulse: Pulse, *, config: LagConfig | None = None
) -> tuple[LagEstimate, ...]:
    """Possible lags of `label` behind `pulse`, the most likely first; NaN in either is a gap.

    Both are resampled to one uniform clock and filtered by one zero-phase band-pass; short windows
    are correlated at every lag. The straight lines of lag over time with the highest mean
    correlation give lag and drift; the own peak of each window near the line refines both. A steady
    pulse fits again one beat later: uneven beats separate such lags; otherwise the smaller is more
    likely, see `LagConfig.usual_lag_s`. One estimate without a lag where none is reliable.
    """
    config = LagConfig() if config is None else config
    windows = _correlate(label, pulse, config)
    if len(windows.times_s) < config.min_windows:
        return (_unknown(windows, float("nan"), "too short a time is known of both pulses"),)
    lines = _lines(windows, config)
    best = max((windows.mean_along(line) for line in lines), default=0.0)
    least = max(config.min_correlation, config.chance_correlation / np.sqrt(windows.seen_s))
    agreeing = [line for line in lines if windows.mean_along(line) >= least]
    if not agreeing:
        reason = f"they hardly agree (correlation {best:.2f}, {least:.2f} needed)"
        return (_unknown(windows, best, reason),)
    refined = [_refined(windows, line, config) for line in _likeliest(windows, agreeing, config)]
    known = tuple(e for e in refined if e is not None and e.correlation >= least)
    return known or (_unknown(windows, best, "the windows do not agree on a lag"),)


@dataclass(frozen=True, eq=False)
class _Windows:
    """Correlation of the windows in which enough samples are known."""

    times_s: Float[np.ndarray, "w"]
    """Middle of each, from the middle of the recording."""
    lags_s: Float[np.ndarray, "k"]
    correlations: Float[np.ndarray, "w k"]
    overlap: float
    """Number of windows that contain each sample."""
    span_s: float
    """Length of the recording."""
    seen_s: float
    """Time in the windows, each moment counted once."""

    def along(self, line: "_Line") -> Float[np.ndarray, "w"]:
        """Each window's correlation at the lag that the line gives it."""
        lags_s = line.lag_s + line.drift * self.times_s
        step_s = self.lags_s[1] - self.lags_s[0]
        index = np.rint((lags_s - self.lags_s[0]) / step_s).astype(int)
        known = (index >= 0) & (index < len(self.lags_s))
        index = np.clip(index, 0, len(self.lags_s) - 1)
        return np.where(known, self.correlations[np.arange(len(index)), index], 0.0)

    def misfit(self, line: "_Line") -> float:
        """Mean logarithm of the share of the label that the pulse does not explain along a line."""
        shifts_s = (self.lags_s[1] - self.lags_s[0]) * np.arange(-SLACK, SLACK + 1)
        near = [self.along(replace(line, lag_s=line.lag_s + shift_s)) for shift_s in shifts_s]
        agreement = np.clip(np.max(near, axis=0), 0.0, None)
        return float(np.log(np.maximum(1 - agreement**2, LEAST_MISFIT)).mean())

    def mean_along(self, line: "_Line") -> float:
        """The mean of `along`."""
        return float(self.along(line).mean())


@dataclass(frozen=True)
class _Line:
    lag_s: float
    drift: float
    doubt: float = 0.0


def _unknown(windows: _Windows, correlation: float, reason: str) -> LagEstimate:
    n, nan = len(windows.times_s), float("nan")
    return LagEstimate(None, nan, correlation, None, nan, windows.span_s, n, nan, reason)


def _correlate(label: Pulse, pulse: Pulse, config: LagConfig) -> _Windows:
    """Correlation of pulse(t) with label(t + lag), window by window."""
    x, known_x, start_s = _on_clock(pulse, config)
    reach_s = config.max_lag_s + config.max_drift * len(x) / config.clock_hz / 2
    reach = round(reach_s * config.clock_hz)
    y, known_y = _beside(label, start_s=start_s, n=len(x), reach=reach, config=config)
    span_s = len(x) / config.clock_hz
    window_s = min(config.window_s, max(span_s / 6, config.window_s / 2.5))
    n = round(window_s * config.clock_hz)
    hop = max(n // 2, 1)
    rows, times_s = [], []
    for first in range(0, len(x) - n + 1, hop):
        here, there = slice(first, first + n), slice(first, first + n + 2 * reach)
        known = known_x[here] & known_y[first + reach : first + reach + n]
        enough = known.mean() >= MIN_FILLED
        row = _correlation(x[here], y[there], known_y[there]) if enough else None
        if row is not None:
            rows.append(row)
            times_s.append((first + n / 2) / config.clock_hz - span_s / 2)
    lags_s = np.arange(-reach, reach + 1) / config.clock_hz
    table = np.array(rows) if rows else np.zeros((0, len(lags_s)))
    seen_s = (len(rows) + n / hop - 1) * hop / config.clock_hz
    return _Windows(np.array(times_s), lags_s, table, n / hop, span_s, seen_s)


def _correlation(
    x: Float[np.ndarray, "n"], y: Float[np.ndarray, "m"], known: Bool[np.ndarray, "m"]
) -> Float[np.ndarray, "k"] | None:
    """Correlation of a window with every equally long window of `y`, over the known samples.

    None where either is flat.
    """
    summed = np.concatenate([[0.0], np.cumsum(y**2)])
    y_energy = summed[len(x) :] - summed[: -len(x)]
    x_energy = correlate(known.astype(np.float64), x**2, mode="valid", method="fft")
    least = MIN_ENERGY * len(x)
    if not (x @ x > least and y_energy.max() > least):
        return None
    # at the end of the label, a few samples of it must not count as agreement
    x_energy = np.maximum(x_energy, MIN_SHARE * (x @ x))
    y_energy = np.maximum(y_energy, MIN_SHARE * y_energy.max())
    products = correlate(y, x, mode="valid", method="fft")
    return np.asarray(products / np.sqrt(x_energy * y_energy))


def _on_clock(
    pulse: Pulse, config: LagConfig
) -> tuple[Float[np.ndarray, "u"], Bool[np.ndarray, "u"], float]:
    """The band on the common clock, where it is known, and the clock's start in seconds."""
    values, grid_s = resample(pulse.samples, pulse.timestamps_s, fps=config.clock_hz)
    start_s = float(grid_s[0]) if len(grid_s) else 0.0
    return (*_band(values, config), start_s)


def _beside(
    label: Pulse, *, start_s: float, n: int, reach: int, config: LagConfig
) -> tuple[Float[np.ndarray, "v"], Bool[np.ndarray, "v"]]:
    """The label's band on `n` ticks from `start_s`, and `reach` more to either side."""
    total = n + 2 * reach
    times_s, samples = label.timestamps_s, label.samples
    if len(times_s) < 2:
        return np.zeros(total), np.zeros(total, bool)
    # shifted to the ticks of the pulse: the offset between ticks is not part of the lag
    origin_s = start_s - reach / config.clock_hz
    lead = int(np.ceil((times_s[0] - origin_s) * config.clock_hz - 1e-6))
    tick_s = origin_s + lead / config.clock_hz
    at_tick = float(np.interp(tick_s, times_s, samples))
    inside = times_s > tick_s
    times_s = np.concatenate([[tick_s], times_s[inside]])
    values, _ = resample(np.concatenate([[at_tick], samples[inside]]), times_s, fps=config.clock_hz)
    band, known = _band(values, config)
    out, out_known = np.zeros(total), np.zeros(total, bool)
    first, last = max(lead, 0), min(lead + len(band), total)
    if last > first:
        out[first:last] = band[first - lead : last - lead]
        out_known[first:last] = known[first - lead : last - lead]
    return out, out_known


def _band(
    values: Float[np.ndarray, "u"], config: LagConfig
) -> tuple[Float[np.ndarray, "u"], Bool[np.ndarray, "u"]]:
    """Band-passed run by run with unit spread; 0 where unknown."""
    band, known = np.zeros(len(values)), np.zeros(len(values), bool)
    clock_s = np.arange(len(values)) / config.clock_hz
    for run in seen_runs(values, clock_s, max_gap_s=1.5 / config.clock_hz):
        if run.stop - run.start >= MIN_RUN_S * config.clock_hz:
            band[run] = bandpass(
                values[run] - values[run].mean(),
                fps=config.clock_hz,
                low_hz=config.low_hz,
                high_hz=config.high_hz,
                order=2,
            )
            known[run] = True
    spread = float(band[known].std()) if known.any() else 0.0
    return (band / spread if spread > 0 else band), known


def _lines(windows: _Windows, config: LagConfig) -> list[_Line]:
    """The lines whose mean correlation is a peak among the lags."""
    step_s = windows.lags_s[1] - windows.lags_s[0]
    span_s = float(np.ptp(windows.times_s))
    n = int(np.ceil(config.max_drift * span_s / (2 * step_s)))
    drifts = np.arange(-n, n + 1) * (2 * step_s / span_s)
    table = np.stack([_mean_along(windows, float(drift)) for drift in drifts])
    best_drift = drifts[table.argmax(axis=0)]
    return [
        _Line(float(windows.lags_s[k]), float(best_drift[k]))
        for k in _peaks(table.max(axis=0))
        if abs(windows.lags_s[k]) <= config.max_lag_s
    ]


def _peaks(x: Float[np.ndarray, "k"]) -> list[int]:
    """Indices of local maxima, without the edges."""
    inner = np.arange(1, len(x) - 1)
    return [int(k) for k in inner[(x[inner] > x[inner - 1]) & (x[inner] >= x[inner + 1])]]


def _mean_along(windows: _Windows, drift: float) -> Float[np.ndarray, "k"]:
    """Mean correlation of all lines of one drift, by their lag in the middle."""
    step_s = windows.lags_s[1] - windows.lags_s[0]
    k = len(windows.lags_s)
    total = np.zeros(k)
    shifts = np.rint(drift * windows.times_s / step_s).astype(int)
    for shift, row in zip(shifts, windows.correlations, strict=True):
        first, last = max(-shift, 0), min(k - shift, k)
        total[first:last] += row[first + shift : last + shift]
    return total / len(windows.times_s)


def _likeliest(windows: _Windows, lines: list[_Line], config: LagConfig) -> list[_Line]:
    """The possible lines, the most likely first, with the standard errors by which each fits worse.

    With Gaussian noise, the misfit gives the likelihood of each line relative to the best one. The
    lag, in units of `usual_lag_s`, is added in squares.
    """
    if not lines:
        return []
    misfits = np.array([windows.misfit(line) for line in lines])
    moments = 2 * (config.high_hz - config.low_hz) * windows.span_s * NOISE_SHARE
    doubts = np.sqrt(moments * np.maximum(misfits - misfits.min(), 0.0))
    judged = [replace(line, doubt=float(d)) for line, d in zip(lines, doubts, strict=True)]
    possible = [line for line in judged if line.doubt <= config.max_doubt]
    return sorted(possible, key=lambda x: x.doubt**2 + (x.lag_s / config.usual_lag_s) ** 2)


def _refined(windows: _Windows, line: _Line, config: LagConfig) -> LagEstimate | None:
    """A robust line through each window's own peak near this one; None without enough of them."""
    expected_s = line.lag_s + line.drift * windows.times_s
    own_s = np.array(
        [
            _nearest_peak_s(row, windows.lags_s, lag_s)
            for row, lag_s in zip(windows.correlations, expected_s, strict=True)
        ]
    )
    near = np.isfinite(own_s) & (np.abs(own_s - expected_s) < MAX_OWN_S)
    if near.sum() < max(config.min_windows, MIN_NEAR * len(near)):
        return None
    times_s, own_s = windows.times_s[near], own_s[near]
    slope, _, low, high = theilslopes(own_s, times_s)
    lag_s = float(np.median(own_s - slope * times_s))
    residual = own_s - lag_s - slope * times_s
    free = max(len(residual) - 2, 1)
    spread_s = float(np.sqrt(residual @ residual / free))
    correlation = windows.mean_along(line)
    largest_s = SPREAD_S[0] + SPREAD_S[1] * np.sqrt(max(1 / correlation**2 - 1, 0.0))
    if spread_s > largest_s or abs(slope) > DRIFT_SLACK * config.max_drift:
        return None
    return LagEstimate(
        lag_s=lag_s,
        spread_s=spread_s,
        correlation=correlation,
        drift_s_per_s=float(slope),
        drift_error_s_per_s=float(high - low) / 2,
        span_s=windows.span_s,
        n_windows=int(near.sum()),
        doubt=line.doubt,
        reason=None,
    )


def _nearest_peak_s(
    row: Float[np.ndarray, "k"], lags_s: Float[np.ndarray, "k"], at_s: float
) -> float:
    """The maximum nearest to a lag, between ticks; NaN without one."""
    peaks = _peaks(row)
    if not peaks:
        return float("nan")
    k = min(peaks, key=lambda k: abs(float(lags_s[k]) - at_s))
    left, centre, right = row[k - 1 : k + 2]
    curvature = left - 2 * centre + right
    shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(lags_s[k] + shift * (lags_s[1] - lags_s[0]))
