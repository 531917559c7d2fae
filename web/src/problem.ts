/** What the page tells its user when something cannot be done. */

/** Each has its text in ui/words.ts. */
export type ProblemCode =
  | 'no-artifact'
  | 'bad-artifact'
  | 'no-runtime'
  | 'no-webcodecs'
  | 'no-video'
  | 'unsupported-codec'
  | 'damaged-video'
  | 'no-camera'
  | 'camera-denied'
  | 'camera-lost'
  | 'unexpected';

export class Problem extends Error {
  constructor(
    readonly code: ProblemCode,
    /** What exactly was found, for those who want to know. */
    readonly detail: string,
  ) {
    super(`${code}: ${detail}`);
  }
}

/** Any error as a problem: those of our own as they are. */
export const asProblem = (error: unknown, code: ProblemCode = 'unexpected'): Problem =>
  error instanceof Problem ? error : new Problem(code, error instanceof Error ? error.message : String(error));
