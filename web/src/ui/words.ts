/** Every sentence that the page says by itself. */

import type { ProblemCode } from '../problem';
import type { Reading } from '../signal/reading';
import { MIN_SEEN_S } from '../signal/reading';

/** What is wrong, and what to do about it. */
export const PROBLEMS: Record<ProblemCode, string> = {
  'no-artifact': 'The network file is missing. Start the page by physkit serve.',
  'bad-artifact': 'This network cannot be used. Export it again by physkit export.',
  'no-runtime': 'This browser cannot run the network. A current Chrome, Edge, Firefox or Safari can.',
  'no-webcodecs': 'This browser cannot decode videos frame by frame. A current Chrome, Edge, Firefox or Safari can.',
  'no-video': 'This file cannot be opened as a video. Choose an MP4, MOV, WebM or MKV file.',
  'unsupported-codec': 'This browser cannot decode this video. Convert it to H.264 (MP4) or VP9 (WebM), or try another browser.',
  'damaged-video': 'The video is damaged. What could be read until then is shown.',
  'no-camera': 'No camera was found. Connect one, or open a video instead.',
  'camera-denied': "The camera is not allowed. Allow it in the browser's address bar, or open a video instead.",
  'camera-lost': 'The camera was disconnected. The result so far is shown.',
  unexpected: 'Something went wrong. Load the page again.',
};

export type Phase = 'loading' | 'idle' | 'running' | 'finished';

/** What is known when a status is asked for. */
export interface Situation {
  phase: Phase;
  isCamera: boolean;
  hasFace: boolean;
  everHadFace: boolean;
  /** Mean brightness of the face, 0 to 1. */
  brightness: number | null;
  framesPerS: number;
  reading: Reading | null;
}

const DARK = 0.14;
const GLARING = 0.92;

/** One line on how it goes. */
export function statusOf(now: Situation): string {
  if (now.phase === 'loading') return 'Loading the network…';
  if (now.phase === 'idle') return 'Ready.';
  const isDone = now.phase === 'finished';
  if (isDone && !now.everHadFace) return 'No face was found in this video.';
  if (!isDone && !now.hasFace) return 'No face in view. Look into the camera, with light on your face.';
  if (now.brightness !== null && now.brightness < DARK)
    return isDone ? 'The face was too dark for a good reading.' : 'Too dark. Put more light on the face.';
  if (now.brightness !== null && now.brightness > GLARING) return 'Too bright. Dim the light on the face.';
  return readingStatus(now, isDone);
}

function readingStatus({ reading, isCamera }: Situation, isDone: boolean): string {
  if (!reading && isDone) return 'Stopped before anything was measured.';
  if (!reading) return isCamera ? 'Measuring. Keep still…' : 'Reading the video…';
  if (reading.why === 'too-slow')
    return 'Too few frames a second for a pulse: at least 8 are needed.';
  if (reading.why === 'too-short') {
    const left = Math.max(1, Math.ceil(MIN_SEEN_S - reading.seenS));
    if (isDone) return `Too short: a heart rate needs ${MIN_SEEN_S} seconds of face without a break.`;
    return isCamera ? `Measuring. Keep still for ${left} s more…` : 'Reading the video…';
  }
  if (reading.why === 'too-weak')
    return isDone
      ? 'No clear pulse was found. More light and less movement help.'
      : 'No clear pulse yet. Keep still, with even light on the face.';
  return isDone ? 'Done. The mean rate of all that was read.' : 'Reading the pulse.';
}

/** A word for a signal quality. */
export function qualityWord(quality: number | null): string {
  if (quality === null) return '–';
  if (quality < 0.35) return 'too weak';
  if (quality < 0.6) return 'weak';
  return quality < 0.85 ? 'good' : 'very good';
}

/** What is read aloud. */
export function announcement({ heartRateBpm, signalQuality }: Reading): string {
  if (heartRateBpm === null) return 'No heart rate yet.';
  return `Heart rate ${Math.round(heartRateBpm)} beats per minute, signal ${qualityWord(signalQuality)}.`;
}
