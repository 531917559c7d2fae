/** Reads heart rate and quality beside the worker that handles frames, so that neither waits. */

import { readPulse } from '../signal/reading';
import type { FromReading, ToReading } from './messages';

self.onmessage = ({ data }: MessageEvent<ToReading>) => {
  const { run, isWhole, samples, timesS } = data;
  const answer: FromReading = { run, isWhole, reading: readPulse(samples, timesS) };
  self.postMessage(answer);
};
