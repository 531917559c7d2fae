/** Heart rate of every second; same code as physkit/signal/rate_over_time.py. */

import { findBeats } from './beats';
import { detrend, smoothnessOfCutoff } from './filters';
import { clip, mean, median, sum, weightedMean, type Numbers } from './numbers';
import { windowQualities } from './quality';
import { durationS, type Run } from './resample';
import { hannSpectrum, spectralHeartRateBpm } from './spectrum';

const RATE_WINDOW_S = 8;
const DRIFT_HZ = 0.25;
const MAX_DISAGREEMENT = 0.08;
const MAX_STEP = 0.12;
const STEADY_RANGE = 0.15;

/** The mean rate over all seconds of runs whose rate changes; null where it is steady. */
export function changingRateBpm(runs: Run[], fromS: number, toS: number, minQuality: number) {
  const rates = new Float64Array(Math.max(0, Math.floor(toS - fromS + 1e-6) + 1)).fill(NaN);
  for (const run of runs) fill(run, fromS, rates, minQuality);
  const answered = rates.filter(Number.isFinite);
  if (!answered.length) return null;
  const range = percentile(answered, 95) - percentile(answered, 5);
  return range > STEADY_RANGE * mean(answered) ? meanBpm(runs, fromS, rates) : null;
}

function fill(run: Run, fromS: number, rates: Numbers, minQuality: number): void {
  const { pulse, fps, startS } = run;
  const n = pulse.length;
  const length = Math.min(n, roundHalfEven(RATE_WINDOW_S * fps));
  const at: number[] = [];
  const bounds: number[][] = [];
  rates.forEach((_, second) => {
    const wanted = roundHalfEven((fromS + second - startS) * fps - length / 2);
    const start = clip(wanted, 0, n - length);
    if (Math.abs(wanted - start) > 0.5 * fps) return;
    at.push(second);
    bounds.push([start, start + length]);
  });
  if (!at.length) return;
  const qualities = windowQualities(pulse, fps, bounds);
  const x = detrend(pulse, smoothnessOfCutoff(DRIFT_HZ, fps));
  const beats = findBeats(pulse, fps);
  const found = bounds.map(([a, b]) => windowRateBpm(x, beats, a, b, fps));
  const known = found.flatMap((rate, i) => (Number.isFinite(rate) ? [i] : []));
  const last = known.length - 1;
  const around = known.map((_, k) =>
    median([-2, -1, 0, 1, 2].map((step) => found[known[clip(k + step, 0, last)]])),
  );
  known.forEach((i, k) => {
    const isStep = Math.abs(found[i] - around[k]) > MAX_STEP * around[k];
    if (!isStep && qualities[i] >= minQuality) rates[at[i]] = found[i];
  });
}

/** The spectral rate of a window if its beats agree, else NaN. */
function windowRateBpm(x: Numbers, beats: Numbers, a: number, b: number, fps: number): number {
  const rate = spectralHeartRateBpm(hannSpectrum(x.slice(a, b), fps, 0.01));
  const inside = beats.filter((beat) => beat >= a / fps && beat < b / fps);
  if (inside.length < 3) return NaN;
  const beatBpm = (60 * (inside.length - 1)) / (inside[inside.length - 1] - inside[0]);
  return Math.abs(beatBpm - rate) <= MAX_DISAGREEMENT * rate ? rate : NaN;
}

function meanBpm(runs: Run[], fromS: number, rates: Numbers): number {
  const means: number[] = [];
  const weights: number[] = [];
  for (const run of runs) {
    const endS = run.startS + durationS(run);
    const known: number[] = [];
    rates.forEach((rate, second) => {
      const timeS = fromS + second;
      if (Number.isFinite(rate) && timeS >= run.startS && timeS <= endS) known.push(second);
    });
    if (!known.length) continue;
    const count = Math.ceil((endS - run.startS) / 0.1);
    const values = Array.from({ length: count }, (_, i) =>
      between(run.startS + 0.1 * i - fromS, known, known.map((second) => rates[second])),
    );
    means.push(mean(values));
    weights.push(durationS(run));
  }
  return sum(weights) ? weightedMean(means, weights) : NaN;
}

/** Linear interpolation, the outermost values beyond the ends. */
function between(at: number, places: number[], values: number[]): number {
  const right = places.findIndex((place) => place >= at);
  if (right === 0) return values[0];
  if (right === -1) return values[values.length - 1];
  const share = (at - places[right - 1]) / (places[right] - places[right - 1]);
  return values[right - 1] + share * (values[right] - values[right - 1]);
}

function percentile(x: Numbers, percent: number): number {
  const sorted = Float64Array.from(x).sort();
  const at = (percent / 100) * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

/** NumPy's rounding. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
