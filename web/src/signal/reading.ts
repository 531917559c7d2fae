/** Heart rate and quality of a pulse with gaps; same code as physkit/signal/reading.py. */

import { findBeats } from './beats';
import { detrend, smoothnessOfCutoff } from './filters';
import { evenly, mean, median, steps, sum, weightedMean, type Numbers } from './numbers';
import { signalQuality } from './quality';
import { changingRateBpm } from './rateOverTime';
import { durationS, meanFps, runsOf, type Run } from './resample';
import { averageSpectrum, hannSpectrum, spectralHeartRateBpm } from './spectrum';

/** Seconds of seen pulse that a heart rate needs. */
export const MIN_SEEN_S = 8;
const MIN_RUN_S = 4;
const MIN_BEATS_S = 20;
/** Least signal quality for a heart rate. */
export const MIN_QUALITY = 0.35;
const MIN_BEAT_QUALITY = 0.6;
const MIN_RATE_QUALITY = 0.9;
const MIN_FPS = 8;
const DRIFT_HZ = 0.25;
const SEGMENT_S = 30;

/** Why there is no heart rate. */
export type NoRate = 'too-slow' | 'too-short' | 'too-weak';

export interface Reading {
  /** The mean rate; null where the pulse does not support one. */
  heartRateBpm: number | null;
  /** 0 (noise or nothing) to 1 (clean pulse); null where too little was seen to judge. */
  signalQuality: number | null;
  /** Seconds of pulse in pieces long enough to read. */
  seenS: number;
  why: NoRate | null;
}

/** Heart rate and quality of samples (NaN where no face was seen) at strictly rising times. */
export function readPulse(samples: Numbers, timesS: Numbers): Reading {
  const fps = meanFps(timesS);
  if (!(fps >= MIN_FPS)) return nothing('too-slow', 0);
  const usable = runsOf(samples, timesS, fps).filter((run) => durationS(run) >= MIN_RUN_S);
  const seenS = sum(usable.map(durationS));
  if (seenS < MIN_SEEN_S) return nothing('too-short', seenS);
  const weights = usable.map(durationS);
  const quality = weightedMean(usable.map((run) => signalQuality(run.pulse, fps)), weights);
  let rate = spectralHeartRateBpm(spectrumOf(usable));
  if (quality < MIN_QUALITY || !Number.isFinite(rate))
    return { heartRateBpm: null, signalQuality: quality, seenS, why: 'too-weak' };
  const changing = changingRateBpm(usable, timesS[0], timesS[timesS.length - 1], MIN_QUALITY);
  rate = changing ?? rate;
  const enough = changing === null ? MIN_RATE_QUALITY : MIN_BEAT_QUALITY;
  if (quality >= enough) rate = correctedByBeats(rate, usable);
  return { heartRateBpm: rate, signalQuality: quality, seenS, why: null };
}

const nothing = (why: NoRate, seenS: number): Reading => ({
  heartRateBpm: null,
  signalQuality: null,
  seenS,
  why,
});

/** The mean spectrum of detrended pieces of at most `SEGMENT_S`, overlapping by half. */
function spectrumOf(runs: Run[]) {
  const spectra = runs.flatMap(({ pulse, fps }) => {
    const n = pulse.length;
    const length = Math.min(n, Math.trunc(SEGMENT_S * fps));
    const x = detrend(pulse, smoothnessOfCutoff(DRIFT_HZ, fps));
    const starts = evenly(0, n - length, 1 + Math.ceil((2 * (n - length)) / length));
    return Array.from(starts, Math.trunc).map((start) =>
      hannSpectrum(x.slice(start, start + length), fps),
    );
  });
  return averageSpectrum(spectra);
}

/** The rate of a clean pulse, corrected by its beats; as it is where they disagree. */
function correctedByBeats(rateBpm: number, runs: Run[]): number {
  const beats = runs.map((run) => findBeats(run.pulse, run.fps)).filter((b) => b.length > 1);
  if (!beats.length) return rateBpm;
  const intervals = beats.flatMap((b) => Array.from(steps(b)));
  const normal = beats.flatMap((b) => areNormal(Array.from(steps(b))));
  if (normal.filter(Boolean).length / normal.length < 0.9) return rateBpm;
  const beatBpm = 60 / mean(intervals.filter((_, i) => normal[i]));
  if (Math.abs(beatBpm - rateBpm) > 0.1 * rateBpm) return rateBpm;
  const isLong = Math.max(...runs.map(durationS)) >= MIN_BEATS_S;
  return isLong ? beatBpm : (beatBpm + rateBpm) / 2;
}

/** Which intervals are in range, and near the median of the 11 around. */
function areNormal(intervalsS: number[]): boolean[] {
  const last = intervalsS.length - 1;
  return intervalsS.map((interval, i) => {
    const around = Array.from(
      { length: 11 },
      (_, k) => intervalsS[Math.min(Math.max(i + k - 5, 0), last)],
    );
    const middle = median(around);
    return interval >= 0.3 && interval <= 2 && Math.abs(interval - middle) <= 0.3 * middle;
  });
}
