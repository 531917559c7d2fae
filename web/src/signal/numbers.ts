/** Small sums over lists of numbers. */

export type Numbers = Float64Array;

export const sum = (x: ArrayLike<number>): number => {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i];
  return total;
};

export const mean = (x: ArrayLike<number>): number => sum(x) / x.length;

/** The standard deviation, by n. */
export function spread(x: ArrayLike<number>): number {
  const centre = mean(x);
  let total = 0;
  for (let i = 0; i < x.length; i++) total += (x[i] - centre) ** 2;
  return Math.sqrt(total / x.length);
}

export function median(x: ArrayLike<number>): number {
  const sorted = Float64Array.from(x).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Differences between neighbours. */
export const steps = (x: ArrayLike<number>): Numbers =>
  Float64Array.from({ length: Math.max(0, x.length - 1) }, (_, i) => x[i + 1] - x[i]);

export const clip = (x: number, low: number, high: number): number =>
  Math.min(Math.max(x, low), high);

/** The mean weighted by `weights`. */
export function weightedMean(x: ArrayLike<number>, weights: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i] * weights[i];
  return total / sum(weights);
}

/** `n` numbers from `first` to `last`, evenly spaced. */
export const evenly = (first: number, last: number, n: number): Numbers =>
  Float64Array.from({ length: n }, (_, i) =>
    n === 1 ? first : i === n - 1 ? last : first + i * ((last - first) / (n - 1)), // as NumPy rounds
  );

/** Scaled to mean 0 and standard deviation 1. */
export function standardised(x: Numbers): Numbers {
  const centre = mean(x);
  const scale = spread(x);
  return x.map((value) => (value - centre) / scale);
}

/** Whether all values are the same, or one is no number. */
export const isFlat = (x: Numbers): boolean => {
  let [low, high] = [Infinity, -Infinity];
  for (const value of x) {
    if (Number.isNaN(value)) return true;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return !(high > low);
};

/** The first index in `sorted` whose value is at least `value`. */
export function firstAtLeast(sorted: ArrayLike<number>, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of the largest value, the first of several; -1 for none. */
export function argmax(x: ArrayLike<number>): number {
  let best = x.length ? 0 : -1;
  for (let i = 1; i < x.length; i++) if (x[i] > x[best]) best = i;
  return best;
}
