/** Trend removal and band-pass filtering; same code as physkit/signal/filters.py. */

import { type Numbers } from './numbers';

/** The signal without its slow trend: x - (I + smoothness^2 D'D)^-1 x. Tarvainen et al. 2002. */
export function detrend(x: Numbers, smoothness: number): Numbers {
  const n = x.length;
  if (n < 3) return new Float64Array(n);
  const weight = smoothness ** 2;
  const diagonals = [0, 1, 2].map((lag) => new Float64Array(n - lag));
  const difference = [1, -2, 1];
  for (let lag = 0; lag < 3; lag++)
    for (let row = 0; row < 3 - lag; row++)
      for (let i = 0; i < n - 2; i++)
        diagonals[lag][row + i] += weight * difference[row] * difference[row + lag];
  for (let i = 0; i < n; i++) diagonals[0][i] += 1;
  const trend = solveFiveDiagonals(diagonals, x);
  return x.map((value, i) => value - trend[i]);
}

/** Solves a symmetric positive system, given by its diagonal and the two above, as L D L'. */
function solveFiveDiagonals([main, first, second]: Numbers[], right: Numbers): Numbers {
  const n = right.length;
  const d = new Float64Array(n);
  const l1 = new Float64Array(n);
  const l2 = new Float64Array(n);
  const z = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    // l1[i], l2[i]: what row i takes of the rows one and two above
    l2[i] = i > 1 ? second[i - 2] / d[i - 2] : 0;
    l1[i] = i > 0 ? (first[i - 1] - (i > 1 ? l2[i] * d[i - 2] * l1[i - 1] : 0)) / d[i - 1] : 0;
    d[i] = main[i];
    if (i > 0) d[i] -= l1[i] ** 2 * d[i - 1];
    if (i > 1) d[i] -= l2[i] ** 2 * d[i - 2];
    z[i] = right[i] - (i > 0 ? l1[i] * z[i - 1] : 0) - (i > 1 ? l2[i] * z[i - 2] : 0);
  }
  const x = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    x[i] = z[i] / d[i];
    if (i < n - 1) x[i] -= l1[i + 1] * x[i + 1];
    if (i < n - 2) x[i] -= l2[i + 2] * x[i + 2];
  }
  return x;
}

/** The `smoothness` with which `detrend` halves a sinusoid of `cutoffHz`. */
export const smoothnessOfCutoff = (cutoffHz: number, fps: number): number =>
  (2 * Math.sin((Math.PI * cutoffHz) / fps)) ** -2;

/** Second-order Butterworth band-pass, forward and backward, its ends padded oddly. */
export function bandpass(x: Numbers, fps: number, lowHz: number, highHz: number): Numbers {
  const [b, a] = butterworthBandpass(lowHz / fps, highHz / fps);
  const pad = 3 * a.length;
  const n = x.length;
  const padded = oddlyPadded(x, pad);
  const start = steadyState(b, a);
  const forward = filtered(b, a, padded, start);
  const backward = filtered(b, a, forward.reverse(), start).reverse();
  return backward.slice(pad, pad + n);
}

/** The signal continued at both ends by its point reflection. */
export function oddlyPadded(x: Numbers, pad: number): Numbers {
  const n = x.length;
  return Float64Array.from({ length: n + 2 * pad }, (_, i) => {
    if (i < pad) return 2 * x[0] - x[pad - i];
    if (i >= pad + n) return 2 * x[n - 1] - x[2 * n - 2 + pad - i];
    return x[i - pad];
  });
}

/** Numerator and denominator of order 4, for edges as shares of the sampling rate. */
function butterworthBandpass(low: number, high: number): [number[], number[]] {
  const [w1, w2] = [low, high].map((edge) => 4 * Math.tan(Math.PI * edge));
  const width = w2 - w1;
  const centre = w1 * w2;
  // the analogue filter: (width s)^2 over a square in s + centre / s, of the low-pass 1, sqrt 2, 1
  const r = Math.SQRT2 * width;
  const bottom = [1, r, 2 * centre + width ** 2, r * centre, centre ** 2];
  const top = [0, 0, width ** 2, 0, 0];
  const a = bilinear(bottom);
  const b = bilinear(top);
  return [b.map((value) => value / a[0]), a.map((value) => value / a[0])];
}

/** The polynomial in z^-1 of a polynomial of degree 4 in s = 4 (1 - z^-1) / (1 + z^-1). */
function bilinear(polynomial: number[]): number[] {
  const result = [0, 0, 0, 0, 0];
  polynomial.forEach((coefficient, i) => {
    let factor = [coefficient * 4 ** (4 - i)];
    for (let k = 0; k < 4; k++) factor = times(factor, k < 4 - i ? [1, -1] : [1, 1]);
    factor.forEach((value, k) => (result[k] += value));
  });
  return result;
}

function times(p: number[], q: number[]): number[] {
  const result = new Array<number>(p.length + q.length - 1).fill(0);
  p.forEach((a, i) => q.forEach((b, k) => (result[i + k] += a * b)));
  return result;
}

/** What the delays of a filter hold after an endless input of 1. */
function steadyState(b: number[], a: number[]): number[] {
  const order = a.length - 1;
  // z[i] = b[i + 1] - a[i + 1] y + z[i + 1], with the steady output y = sum b / sum a
  const y = b.reduce((p, q) => p + q) / a.reduce((p, q) => p + q);
  const z = new Array<number>(order).fill(0);
  for (let i = order - 1; i >= 0; i--) z[i] = b[i + 1] - a[i + 1] * y + (z[i + 1] ?? 0);
  return z;
}

function filtered(b: number[], a: number[], x: Numbers, steady: number[]): Numbers {
  const order = a.length - 1;
  const z = steady.map((value) => value * x[0]);
  return x.map((value) => {
    const y = b[0] * value + z[0];
    for (let i = 0; i < order; i++)
      z[i] = b[i + 1] * value - a[i + 1] * y + (i + 1 < order ? z[i + 1] : 0);
    return y;
  });
}
