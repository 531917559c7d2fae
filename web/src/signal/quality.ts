/** Quality of a pulse; same code as physkit/signal/quality.py. */

import { findBeats } from './beats';
import { bandpass, detrend, smoothnessOfCutoff } from './filters';
import { clip, evenly, isFlat, mean, median, spread, standardised, steps, type Numbers } from './numbers';
import { hannSpectrum, spectralHeartRateBpm } from './spectrum';

const MIN_QUALITY_S = 4;
const MIN_PULSE_SHARE = 1e-5;
const WINDOW_S = 10;
const PULSE_BAND_HZ = [0.5, 4];
const CONCENTRATION_RANGE = [0.4, 0.85];
const UNEVENNESS_RANGE = [0.05, 0.3];

/** From 0 (noise, a flat line) to 1 (a clean pulse): power at the rate, times even beats. */
export const signalQuality = (pulse: Numbers, fps: number): number =>
  windowQualities(pulse, fps, [[0, pulse.length]])[0];

/** The quality of many windows (first sample, one past the last) of one pulse. */
export function windowQualities(pulse: Numbers, fps: number, bounds: number[][]): number[] {
  const none = bounds.map(() => 0);
  if (isFlat(pulse) || pulse.length / fps < MIN_QUALITY_S) return none;
  const x = detrend(standardised(pulse), smoothnessOfCutoff(0.3, fps));
  if (spread(x) < MIN_PULSE_SHARE) return none;
  const [lowHz, highHz] = [PULSE_BAND_HZ[0], Math.min(PULSE_BAND_HZ[1], 0.45 * fps)];
  const beats = findBeats(bandpass(x, fps, lowHz, highHz), fps);
  return bounds.map(([a, b]) =>
    index(x.slice(a, b), beats.filter((beat) => beat >= a / fps && beat < b / fps), fps),
  );
}

function index(x: Numbers, beats: Numbers, fps: number): number {
  if (x.length / fps < MIN_QUALITY_S || beats.length < 4) return 0;
  let [low, high] = CONCENTRATION_RANGE;
  const concentrated = clip((concentration(x, fps) - low) / (high - low), 0, 1);
  const unevenness = median(steps(steps(beats).map(Math.log)).map(Math.abs));
  [low, high] = UNEVENNESS_RANGE;
  return Math.sqrt(concentrated * clip((high - unevenness) / (high - low), 0, 1));
}

/** Share of the power in `PULSE_BAND_HZ` at the heart rate and its double; mean over windows. */
function concentration(x: Numbers, fps: number): number {
  const n = x.length;
  const window = Math.min(n, Math.trunc(WINDOW_S * fps));
  const starts = evenly(0, n - window, 1 + Math.ceil((2 * (n - window)) / window)).map(Math.trunc);
  return mean([...new Set(starts)].map((start) => share(x.slice(start, start + window), fps)));
}

function share(x: Numbers, fps: number): number {
  const spectrum = hannSpectrum(x, fps, 0.01);
  const rateHz = spectralHeartRateBpm(spectrum) / 60;
  // the main lobe of a Hann window reaches two resolution cells to either side
  const widthHz = Math.max(0.12, 1.5 * spectrum.resolutionHz);
  let [near, total] = [0, 0];
  spectrum.power.forEach((power, k) => {
    const hz = k * spectrum.spacingHz;
    if (hz < PULSE_BAND_HZ[0] || hz > PULSE_BAND_HZ[1]) return;
    total += power;
    if (Math.abs(hz - rateHz) <= widthHz || Math.abs(hz - 2 * rateHz) <= widthHz) near += power;
  });
  return total > 0 ? near / total : 0;
}
