/** Finding the face to follow in one picture; same code as physkit/face/search.py. */

import type { Picture } from '../media/picture';
import { area, boxAt, centreX, centreY, clipped, shift, type Box } from './box';
import type { Detection, FaceDetector } from './detector';

const ACQUIRE_CONFIDENCE = 0.5;
const KEEP_CONFIDENCE = 0.25;
/** Face widths (or share of its size) between two boxes from which on they are of two faces. */
export const GATE = 0.75;
const WINDOW_SIZE = 2.2;
const WINDOW_MIN_FACE = 1 / (WINDOW_SIZE * (1 + GATE));
const REMEMBER_S = 2;

/** Looks for the same face again and again: near where it was, else anywhere and twice. */
export class FaceSearch {
  private last: Box | null = null;
  private lastS = 0;

  constructor(private readonly detector: FaceDetector) {}

  /** The face near a box, or else the one to follow anew. */
  async find(picture: Picture, timeS: number, near: Box | null): Promise<Detection | null> {
    const known = near && (await this.near(picture, near, KEEP_CONFIDENCE));
    const face = known ?? (await this.anywhere(picture, timeS));
    if (face) [this.last, this.lastS] = [face.box, timeS];
    return face;
  }

  private async near(picture: Picture, near: Box, confidence: number): Promise<Detection | null> {
    const side = WINDOW_SIZE * near.width;
    const around = boxAt(centreX(near), centreY(near), side, side);
    const window = clipped(around, picture.width, picture.height);
    if (!window) return null;
    const [left, top] = [Math.trunc(window.x), Math.trunc(window.y)];
    const right = Math.max(Math.round(window.x + window.width), left + 1);
    const bottom = Math.max(Math.round(window.y + window.height), top + 1);
    const part = { x: left, y: top, width: right - left, height: bottom - top };
    const faces = (await this.detector.detect(picture, part, WINDOW_MIN_FACE)).filter(
      (face) => face.confidence >= confidence && shift(near, face.box) <= GATE,
    );
    return faces.sort((a, b) => shift(near, a.box) - shift(near, b.box))[0] ?? null;
  }

  /** The face that was lost a moment ago, or else the largest that convinces. */
  private async anywhere(picture: Picture, timeS: number): Promise<Detection | null> {
    const whole = { x: 0, y: 0, width: picture.width, height: picture.height };
    const faces = await this.detector.detect(picture, whole);
    const isKnown = (face: Detection) =>
      this.last !== null && timeS - this.lastS <= REMEMBER_S && shift(this.last, face.box) <= GATE;
    faces.sort((a, b) => Number(isKnown(b)) - Number(isKnown(a)) || area(b.box) - area(a.box));
    for (const face of faces) {
      const confirmed = await this.near(picture, face.box, ACQUIRE_CONFIDENCE);
      if (confirmed) return confirmed;
    }
    return null;
  }
}
