/** Power spectra and the heart rate in them; same code as physkit/signal/heart_rate.py. */

import { realTransform } from './fourier';
import { mean, median, sum, type Numbers } from './numbers';

/** Slowest and fastest heart rate that is looked for: 36 and 198 bpm. */
export const LOW_HZ = 0.6;
export const HIGH_HZ = 3.3;
const TINY = 2.2250738585072014e-308;

export interface Spectrum {
  /** From bin to bin, the first of which is 0 Hz. */
  spacingHz: number;
  /** Sums to 1 unless the signal is constant. */
  power: Numbers;
  /** One over the duration of the signal behind it. */
  resolutionHz: number;
}

const bitLength = (n: number): number => (n === 0 ? 0 : 32 - Math.clz32(n));

/** Zero-padded power spectrum under a Hann window, its bins at most `spacingHz` apart. */
export function hannSpectrum(x: Numbers, fps: number, spacingHz = 0.1 / 60): Spectrum {
  const n = x.length;
  const nfft = 2 ** bitLength(Math.max(n, Math.ceil(fps / spacingHz)));
  const centre = mean(x);
  const windowed = x.map(
    (value, i) => (value - centre) * (0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 1)) / (n + 1))),
  );
  const { re, im } = realTransform(windowed, nfft);
  const power = re.map((value, k) => value ** 2 + im[k] ** 2);
  const total = sum(power);
  if (total > 0) for (let k = 0; k < power.length; k++) power[k] /= total;
  return { spacingHz: fps / nfft, power, resolutionHz: fps / n };
}

/** The mean of spectra on one frequency grid, each weighted by the duration behind it. */
export function averageSpectrum(spectra: Spectrum[]): Spectrum {
  const weights = spectra.map((one) => 1 / one.resolutionHz);
  const power = new Float64Array(spectra[0].power.length);
  spectra.forEach((one, i) => {
    for (let k = 0; k < power.length; k++) power[k] += one.power[k] * weights[i];
  });
  const total = sum(weights);
  return {
    spacingHz: spectra[0].spacingHz,
    power: power.map((value) => value / total),
    resolutionHz: 1 / Math.max(...weights),
  };
}

/** The frequency of the strongest maximum, or of the fundamental below it, in bpm; NaN for none. */
export function spectralHeartRateBpm(spectrum: Spectrum): number {
  const top = strongestMaximum(spectrum, LOW_HZ, HIGH_HZ);
  if (top === null) return NaN;
  return 60 * vertexHz(spectrum, fundamentalBelow(spectrum, top) ?? top);
}

/** The first bin at or above a frequency. */
function binAtLeast({ power, spacingHz }: Spectrum, hz: number): number {
  let bin = Math.max(0, Math.floor(hz / spacingHz));
  while (bin < power.length && bin * spacingHz < hz) bin++;
  return bin;
}

function strongestMaximum(spectrum: Spectrum, lowHz: number, highHz: number): number | null {
  const { power } = spectrum;
  const first = binAtLeast(spectrum, lowHz);
  const last = binAtLeast(spectrum, highHz);
  let best: number | null = null;
  for (let k = Math.max(first, 1); k < Math.min(last, power.length - 1); k++) {
    const isMaximum = power[k] > power[k - 1] && power[k] >= power[k + 1];
    if (isMaximum && (best === null || power[k] > power[best])) best = k;
  }
  return best;
}

/** The fundamental if the maximum `top` is its second harmonic: maxima at 1/2 and 3/2 say so. */
function fundamentalBelow(spectrum: Spectrum, top: number): number | null {
  const { power, spacingHz } = spectrum;
  const topHz = top * spacingHz;
  const toleranceHz = 0.5 * spectrum.resolutionHz;
  if (topHz / 2 < LOW_HZ) return null;
  const band = power.filter((_, k) => k * spacingHz >= LOW_HZ && k * spacingHz <= 2 * topHz);
  const floor = median(band);
  const near = (hz: number) => strongestMaximum(spectrum, hz - toleranceHz, hz + toleranceHz);
  const half = near(topHz / 2);
  const third = near(1.5 * topHz);
  if (half === null || third === null) return null;
  const isHalf = power[half] >= Math.max(0.1 * power[top], 12 * floor);
  const isThird = power[third] >= Math.max(0.02 * power[top], 4 * floor);
  return isHalf && isThird ? half : null;
}

/** A parabola through the logarithms of three bins gives the place between them. */
function vertexHz({ power, spacingHz }: Spectrum, index: number): number {
  const [left, centre, right] = [-1, 0, 1].map((i) => Math.log(power[index + i] + TINY));
  const curvature = left - 2 * centre + right;
  const shift = curvature < 0 ? (0.5 * (left - right)) / curvature : 0;
  return (index + shift) * spacingHz;
}
