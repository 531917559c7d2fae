/** What the page and its workers say to each other. */

import type { ProblemCode } from '../problem';
import type { Reading } from '../signal/reading';

/** How the face is found: by the detector, or in a fixed frame in the middle of the picture. */
export type Finding = 'detector' | 'centre';

/** `artifacts.json` of the server: where each file lies, relative to the page. */
export interface ArtifactList {
  model: string;
  states: string;
  /** null: no face detector is at hand. */
  detector: string | null;
}

export type ToPulse =
  | { type: 'load'; page: string; canvas: OffscreenCanvas }
  | { type: 'file'; run: number; file: File; finding: Finding }
  | { type: 'camera'; run: number; finding: Finding }
  | { type: 'frame'; run: number; frame: VideoFrame; timeS: number; capturedMs: number }
  | { type: 'stop'; run: number };

/** What happened since the last report. */
export interface Report {
  samples: { timeS: number; pulse: number }[];
  /** Frames handled since the source was opened. */
  nFrames: number;
  /** Frames handled a second of wall time: of a file in all, of a camera of late. */
  framesPerS: number;
  /** The network's share of a frame, in ms. */
  stepMs: number;
  /** From a frame's arrival to its sample, in ms; of a camera. */
  latencyMs: number | null;
  hasFace: boolean;
  /** Mean brightness of the face, 0 to 1; null without one. */
  brightness: number | null;
  /** How much of a file is done, 0 to 1. */
  progress: number | null;
}

export interface About {
  precision: string;
  weights: string;
  physkit: string;
  runtime: string;
  hasDetector: boolean;
  /** Everything that was fetched, to be kept for use offline. */
  urls: string[];
}

export type FromPulse =
  | { type: 'ready'; about: About }
  | { type: 'report'; run: number; report: Report }
  | { type: 'taken'; run: number }
  | { type: 'finished'; run: number }
  | { type: 'problem'; run: number | null; code: ProblemCode; detail: string };

export interface ToReading {
  run: number;
  isWhole: boolean;
  samples: Float64Array;
  timesS: Float64Array;
}

export interface FromReading {
  run: number;
  isWhole: boolean;
  reading: Reading;
}
