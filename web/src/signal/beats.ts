/** Beat times of a pulse waveform, its feet; same code as physkit/signal/beats.py. */

import { inverseRealTransform, nextFastLength, realTransform } from './fourier';
import { oddlyPadded } from './filters';
import {
  argmax,
  clip,
  evenly,
  firstAtLeast,
  isFlat,
  median,
  standardised,
  type Numbers,
} from './numbers';
import { hannSpectrum, spectralHeartRateBpm } from './spectrum';
import { refined } from './splines';

const FINE_FPS = 100;
const MIN_DURATION_S = 2;
const LOCAL_WINDOW_S = 10;
const RHYTHM_WEIGHT = 2;
const MIN_STRENGTH = 0.2;

/** Seconds after the first sample at which beats begin; none for a flat or too short signal. */
export function findBeats(pulse: Numbers, fps: number): Numbers {
  const n = pulse.length;
  const none = new Float64Array(0);
  if (n < 8 || n / fps < MIN_DURATION_S || isFlat(pulse)) return none;
  const factor = Math.ceil(FINE_FPS / fps);
  const rateHz = fps * factor;
  const x = factor === 1 ? standardised(pulse) : refined(standardised(pulse), factor);
  const periodS = localPeriodS(x, rateHz);
  if (!periodS) return none;
  const f0 = 1 / median(periodS);
  const coarse = filtered(x, rateHz, 0.5 * f0, Math.min(3.5 * f0, 0.45 * fps));
  const { tops, strength } = candidates(coarse, periodS, rateHz);
  const times = Float64Array.from(tops, (top) => top / rateHz);
  const periods = Float64Array.from(tops, (top) => periodS[top]);
  const chain = bestChain(times, strength, periods).map((i) => tops[i]);
  const fine = filtered(x, rateHz, 0.3 * f0, Math.min(8, 5 * f0, 0.45 * fps));
  const feet = feetOf(coarse, fine, chain, (at) => periodS[at] * rateHz);
  return Float64Array.from(feet, (foot) => foot / rateHz);
}

/** Zero-phase band-pass: a second-order Butterworth, forward and backward, as its spectrum. */
function filtered(x: Numbers, fps: number, lowHz: number, highHz: number): Numbers {
  const pad = Math.min(x.length - 1, Math.trunc(2 * fps));
  const padded = oddlyPadded(x, pad);
  const nfft = nextFastLength(padded.length);
  // the transform is circular: the last value bridges to the first
  const bridge = evenly(padded[padded.length - 1], padded[0], nfft - padded.length + 2);
  const whole = new Float64Array(nfft);
  whole.set(padded);
  whole.set(bridge.subarray(1, -1), padded.length);
  const half = realTransform(whole, nfft);
  for (let k = 0; k < half.re.length; k++) {
    const hz = (k || 1e-3) * (fps / nfft);
    const gain = 1 / ((1 + (lowHz / hz) ** 4) * (1 + (hz / highHz) ** 4));
    half.re[k] *= gain;
    half.im[k] *= gain;
  }
  return inverseRealTransform(half, nfft).slice(pad, pad + x.length);
}

/** The beat interval in seconds around every sample, from spectra of overlapping windows. */
function localPeriodS(x: Numbers, fps: number): Numbers | null {
  const n = x.length;
  const window = Math.min(n, Math.trunc(LOCAL_WINDOW_S * fps));
  const count = 1 + Math.ceil((3 * (n - window)) / window);
  const starts = [...new Set(evenly(0, n - window, count))];
  const step = Math.max(1, Math.trunc(fps / 20));
  const centres: number[] = [];
  const rates: number[] = [];
  for (const start of starts) {
    const first = Math.trunc(start);
    const sparse = x.slice(first, first + window).filter((_, i) => i % step === 0);
    const rate = spectralHeartRateBpm(hannSpectrum(sparse, fps / step, 0.01));
    if (!Number.isFinite(rate)) continue;
    centres.push(start + window / 2);
    rates.push(rate);
  }
  if (!rates.length) return null;
  // a window that lost the rhythm must not bend it: neighbours outvote it
  const smooth = rates.map((_, i) => median(rates.slice(Math.max(0, i - 2), i + 3)));
  return Float64Array.from({ length: n }, (_, i) => 60 / between(i, centres, smooth));
}

/** Linear interpolation, the outermost values beyond the ends. */
function between(at: number, places: number[], values: number[]): number {
  const right = firstAtLeast(places, at);
  if (right === 0) return values[0];
  if (right === places.length) return values[places.length - 1];
  const share = (at - places[right - 1]) / (places[right] - places[right - 1]);
  return values[right - 1] + share * (values[right] - values[right - 1]);
}

/** Samples of steepest rise, and their slope relative to the strong ones around (0 to 1). */
function candidates(
  coarse: Numbers,
  periodS: Numbers,
  fps: number,
): { tops: number[]; strength: number[] } {
  const n = coarse.length;
  const slope = coarse.map((_, i) => {
    if (i === 0) return coarse[1] - coarse[0];
    return i === n - 1 ? coarse[i] - coarse[i - 1] : (coarse[i + 1] - coarse[i - 1]) / 2;
  });
  const tops: number[] = [];
  for (let i = 1; i < n - 1; i++)
    if (slope[i] > slope[i - 1] && slope[i] > slope[i + 1] && slope[i] > 0) tops.push(i);
  // the last rise may be cut off before its steepest moment
  if (slope[n - 1] > slope[n - 2] && slope[n - 1] > 0) tops.push(n - 1);
  if (!tops.length) return { tops, strength: [] };
  const heights = tops.map((top) => slope[top]);
  // of the candidates of about eight beats, the strong ones are the systolic upstrokes
  const perBeat = (tops.length * median(periodS) * fps) / n;
  const size = Math.max(5, Math.trunc(8 * perBeat));
  const reference = percentileAround(heights, 100 - 60 / Math.max(1, perBeat), size);
  const strength = heights.map((height, i) => Math.min(height / reference[i], 1));
  const strong = (_: number, i: number) => strength[i] > MIN_STRENGTH;
  return { tops: tops.filter(strong), strength: strength.filter(strong) };
}

/** SciPy's percentile_filter: its rank among `size` values around, the ends mirrored. */
function percentileAround(x: number[], percentile: number, size: number): number[] {
  const rank = Math.trunc((size * percentile) / 100);
  const n = x.length;
  const mirrored = (i: number) => {
    const at = ((i % (2 * n)) + 2 * n) % (2 * n);
    return x[at < n ? at : 2 * n - 1 - at];
  };
  return x.map((_, i) => {
    const first = i - (size >> 1);
    const around = Float64Array.from({ length: size }, (_, k) => mirrored(first + k)).sort();
    return around[Math.min(rank, size - 1)];
  });
}

/** Indices of the chain with the largest sum of strengths less the cost of uneven intervals. */
function bestChain(timesS: Numbers, strength: number[], periodS: Numbers): number[] {
  const best = Float64Array.from(strength);
  const previous = new Int32Array(best.length).fill(-1);
  for (let j = 1; j < best.length; j++) {
    let top = 0;
    for (let i = firstAtLeast(timesS, timesS[j] - 3 * periodS[j]); i < j; i++) {
      const ratio = (timesS[j] - timesS[i]) / periodS[j];
      const gain = best[i] - RHYTHM_WEIGHT * Math.log(ratio) ** 2;
      if (gain > top) [top, previous[j]] = [gain, i];
    }
    best[j] += top;
  }
  const chain: number[] = [];
  for (let j = argmax(best); j >= 0; j = previous[j]) chain.push(j);
  return chain.reverse();
}

/** The minimum before each upstroke, in samples with fractions; none where it is cut off. */
function feetOf(
  coarse: Numbers,
  fine: Numbers,
  upstrokes: number[],
  period: (at: number) => number,
): number[] {
  const feet: number[] = [];
  for (const upstroke of upstrokes) {
    const reach = period(upstroke);
    const rough = lowest(coarse, Math.max(0, upstroke - Math.trunc(0.45 * reach)), upstroke + 1);
    const near = Math.trunc(0.1 * reach);
    const low = lowest(fine, Math.max(0, rough - near), Math.min(rough + near, upstroke) + 1);
    const foot = vertex(fine, low);
    if (foot !== null && (!feet.length || foot > feet[feet.length - 1] + 1)) feet.push(foot);
  }
  return feet;
}

function lowest(x: Numbers, first: number, end: number): number {
  let low = first;
  for (let i = first + 1; i < Math.min(end, x.length); i++) if (x[i] < x[low]) low = i;
  return low;
}

/** The minimum at `index`, between samples; null at an end of the signal. */
function vertex(x: Numbers, index: number): number | null {
  if (!(index > 0 && index < x.length - 1)) return null;
  const curvature = x[index - 1] - 2 * x[index] + x[index + 1];
  const shift = curvature > 0 ? (0.5 * (x[index - 1] - x[index + 1])) / curvature : 0;
  return index + clip(shift, -0.5, 0.5);
}
