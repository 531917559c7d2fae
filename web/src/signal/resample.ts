/** Samples with true times onto an even clock, gaps kept; same code as physkit/signal/resample.py. */

import { clip, mean, steps, type Numbers } from './numbers';
import { makima } from './splines';

/** The longest stretch in seconds without a sample that is bridged. */
const MAX_GAP_S = 0.5;

/** An unbroken stretch of pulse on a uniform clock. */
export interface Run {
  pulse: Numbers;
  fps: number;
  /** Time of the first sample. */
  startS: number;
}

export const durationS = (run: Run): number => run.pulse.length / run.fps;

/** Frames a second over the intervals that are no gaps. */
export function meanFps(timesS: Numbers): number {
  const intervalsS = Array.from(steps(timesS));
  const unbrokenS = intervalsS.filter((s) => s <= MAX_GAP_S);
  return intervalsS.length ? 1 / mean(unbrokenS.length ? unbrokenS : intervalsS) : NaN;
}

/** The unbroken stretches of a pulse (NaN where nothing was seen), on a clock of `fps`. */
export function runsOf(samples: Numbers, timesS: Numbers, fps: number): Run[] {
  const runs: Run[] = [];
  let seen: number[] = [];
  const close = () => {
    if (seen.length)
      runs.push(resampled(seen.map((i) => samples[i]), seen.map((i) => timesS[i]), fps));
    seen = [];
  };
  samples.forEach((sample, i) => {
    if (!Number.isFinite(sample)) return;
    if (seen.length && timesS[i] - timesS[seen[seen.length - 1]] > MAX_GAP_S) close();
    seen.push(i);
  });
  close();
  return runs;
}

function resampled(samples: number[], timesS: number[], fps: number): Run {
  const [first, last] = [timesS[0], timesS[timesS.length - 1]];
  // half a thousandth of a step of tolerance keeps the last sample of an already uniform clock
  const n = Math.floor((last - first) * fps + 5e-4) + 1;
  const at = Float64Array.from({ length: n }, (_, i) => clip(first + i / fps, first, last));
  const [x, y] = [Float64Array.from(timesS), Float64Array.from(samples)];
  const pulse = samples.length < 3 ? straight(x, y, at) : makima(x, y, at);
  return { pulse, fps, startS: first };
}

function straight(x: Numbers, y: Numbers, at: Numbers): Numbers {
  if (x.length === 1) return at.map(() => y[0]);
  return at.map((t) => y[0] + ((y[1] - y[0]) * (t - x[0])) / (x[1] - x[0]));
}
