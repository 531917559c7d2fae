/** The page's elements, and how each is filled. */

import type { Problem } from '../problem';
import type { Reading } from '../signal/reading';
import type { Report } from '../worker/messages';
import { announcement, PROBLEMS, qualityWord } from './words';

/** Signal quality from which single beats are believed. */
const BELIEVED = 0.6;
const ANNOUNCE_EVERY_MS = 5000;

/** An element that index.html has. */
export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found as T;
}

export const screen = element('screen');
const rate = element('heart-rate');
const quality = element<HTMLMeterElement>('quality');
const problem = element('problem');
let announcedMs = -Infinity;

const text = (id: string, value: string) => {
  const at = element(id);
  if (at.textContent !== value) at.textContent = value;
};

export const showStatus = (words: string) => text('status', words);

/** The heart rate: a whole number while it is measured, with its decimal when all is read. */
export function showReading(reading: Reading | null, isWhole: boolean): void {
  const bpm = reading?.heartRateBpm ?? null;
  text('heart-rate', bpm === null ? '––' : bpm.toFixed(isWhole ? 1 : 0));
  rate.dataset.bpm = bpm === null ? '' : bpm.toFixed(2);
  const value = reading?.signalQuality ?? null;
  quality.value = value ?? 0;
  const bar = element('bar-value');
  bar.style.width = `${100 * (value ?? 0)}%`;
  bar.classList.toggle('weak', (value ?? 0) < BELIEVED);
  text('quality-word', qualityWord(value));
  if (!reading) text('announce', '');
  else if (isWhole || performance.now() - announcedMs > ANNOUNCE_EVERY_MS) {
    announcedMs = performance.now();
    text('announce', announcement(reading));
  }
}

export function showReport(report: Report | null, isCamera: boolean, dropped = 0): void {
  const progress = element<HTMLProgressElement>('progress');
  progress.hidden = report?.progress == null;
  if (!report) {
    for (const id of ['fps', 'latency', 'step', 'frames']) text(id, '–');
    return;
  }
  if (report.progress !== null) progress.value = report.progress;
  if (report.framesPerS > 0) text('fps', `${report.framesPerS.toFixed(0)} frames/s`);
  text('step', report.stepMs > 0 ? `${report.stepMs.toFixed(1)} ms` : '–');
  text('frames', dropped ? `${report.nFrames}, ${dropped} dropped` : String(report.nFrames));
  text('latency-name', isCamera ? 'Latency' : 'A frame takes');
  if (report.latencyMs !== null) text('latency', `${report.latencyMs.toFixed(0)} ms`);
  else if (!isCamera && report.framesPerS > 0) text('latency', `${(1000 / report.framesPerS).toFixed(1)} ms`);
}

export function showProblem(found: Problem | null): void {
  problem.hidden = found === null;
  problem.replaceChildren();
  if (!found) return;
  problem.dataset.code = found.code;
  const [what, detail] = [document.createElement('p'), document.createElement('p')];
  what.textContent = PROBLEMS[found.code];
  detail.className = 'detail';
  detail.textContent = found.detail;
  problem.append(what, detail);
}

export function showSource(state: 'empty' | 'open', source: 'camera' | 'file' | null): void {
  screen.dataset.state = state;
  screen.dataset.source = source ?? '';
}
