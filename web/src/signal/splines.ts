/** Curves through samples: modified Akima on any clock, and a cubic spline on an even one. */

import { firstAtLeast, type Numbers } from './numbers';

/** A modified Akima spline, as SciPy's Akima1DInterpolator(method="makima"); at least 3 samples. */
export function makima(times: Numbers, values: Numbers, at: Numbers): Numbers {
  const n = times.length;
  const slopes = new Float64Array(n + 3);
  for (let i = 0; i < n - 1; i++) slopes[i + 2] = (values[i + 1] - values[i]) / (times[i + 1] - times[i]);
  slopes[1] = 2 * slopes[2] - slopes[3];
  slopes[0] = 2 * slopes[1] - slopes[2];
  slopes[n + 1] = 2 * slopes[n] - slopes[n - 1];
  slopes[n + 2] = 2 * slopes[n + 1] - slopes[n];
  const turns = Float64Array.from({ length: n + 2 }, (_, i) => {
    const change = Math.abs(slopes[i + 1] - slopes[i]);
    return change + 0.5 * Math.abs(slopes[i + 1] + slopes[i]);
  });
  const totals = Float64Array.from({ length: n }, (_, i) => turns[i] + turns[i + 2]);
  const largest = totals.reduce((a, b) => Math.max(a, b), -Infinity);
  const tangents = totals.map((total, i) =>
    total > 1e-9 * largest
      ? slopes[i + 1] + (turns[i] / total) * (slopes[i + 2] - slopes[i + 1])
      : 0.5 * (slopes[i + 3] + slopes[i]),
  );
  return hermite(times, values, tangents, at);
}

/** Values between samples by cubics with the given tangents. */
function hermite(times: Numbers, values: Numbers, tangents: Numbers, at: Numbers): Numbers {
  return at.map((t) => {
    const i = Math.min(Math.max(firstAtLeast(times, t) - 1, 0), times.length - 2);
    const h = times[i + 1] - times[i];
    const s = t - times[i];
    const slope = (values[i + 1] - values[i]) / h;
    const curve = (tangents[i] + tangents[i + 1] - 2 * slope) / h;
    return values[i] + s * (tangents[i] + s * ((slope - tangents[i]) / h - curve + (s * curve) / h));
  });
}

/** A not-a-knot cubic spline through samples at 0, 1, 2, ...: every 1 / factor of a sample. */
export function refined(x: Numbers, factor: number): Numbers {
  const n = x.length;
  const tangents = splineTangents(x);
  const times = Float64Array.from({ length: n }, (_, i) => i);
  const at = Float64Array.from({ length: (n - 1) * factor + 1 }, (_, i) => i / factor);
  return hermite(times, x, tangents, at);
}

/** Tangents whose second derivatives agree at samples, and third ones at the outermost but one. */
function splineTangents(x: Numbers): Numbers {
  const n = x.length;
  const below = new Float64Array(n).fill(1);
  const main = new Float64Array(n).fill(4);
  const above = new Float64Array(n).fill(1);
  const right = new Float64Array(n);
  for (let i = 1; i < n - 1; i++) right[i] = 3 * (x[i + 1] - x[i - 1]);
  main[0] = main[n - 1] = 1;
  above[0] = below[n - 1] = 2;
  right[0] = (5 * (x[1] - x[0]) + (x[2] - x[1])) / 2;
  right[n - 1] = (5 * (x[n - 1] - x[n - 2]) + (x[n - 2] - x[n - 3])) / 2;
  for (let i = 1; i < n; i++) {
    const share = below[i] / main[i - 1];
    main[i] -= share * above[i - 1];
    right[i] -= share * right[i - 1];
  }
  for (let i = n - 1; i >= 0; i--)
    right[i] = (right[i] - (i < n - 1 ? above[i] * right[i + 1] : 0)) / main[i];
  return right;
}
