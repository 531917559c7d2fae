/** BlazeFace short range, MediaPipe's detector; same code as physkit/face/detect/blazeface.py. */

import type { Picture } from '../media/picture';
import { boxAt, moved, overlap, type Box } from './box';

export interface Detection {
  /** The detector's own box, in pixels. */
  box: Box;
  /** 0 to 1; calibrated so that 0.5 is a face. */
  confidence: number;
}

/** The network: 128 x 128 x 3 pixels in [-1, 1] to 896 scores and 896 times 16 numbers. */
export type FaceNetwork = (pixels: Float32Array) => Promise<[Float32Array, Float32Array]>;

export const INPUT_PX = 128;
/** Cells along each side, and anchors a cell. */
const GRIDS = [
  [16, 2],
  [8, 6],
];
const N_NUMBERS = 16;
const EVEN_SCORE = 1.27;
const MIN_CONFIDENCE = 0.1;
const SAME_FACE_OVERLAP = 0.3;
const CERTAIN = 0.5;
const SEEN_IN_WHOLE = 0.17;
const TILE_SIDES = [1, 0.5];
const TILE_STEP = 0.65;

/** From the detector's box to the face's: hairline to chin, temple to temple. */
export function faceBox(box: Box): Box {
  const centreY = box.y + box.height / 2 - 0.18 * box.height;
  return boxAt(box.x + box.width / 2, centreY, 1.1 * box.width, 1.33 * box.height);
}

export class FaceDetector {
  private readonly anchors = anchorCentres();

  constructor(private readonly network: FaceNetwork) {}

  /** The faces in a part of a picture, best first, in pixels of the whole picture. */
  async detect(picture: Picture, part: Box, minFace = 0): Promise<Detection[]> {
    const found = await this.inWhole(picture, part);
    const [short, long] = [Math.min(part.width, part.height), Math.max(part.width, part.height)];
    const isCertain = found.some((face) => face.confidence >= CERTAIN);
    if ((minFace * short) / long > SEEN_IN_WHOLE || isCertain) return found;
    for (const tile of tiles(part)) found.push(...(await this.inWhole(picture, tile)));
    return merged(found);
  }

  private async inWhole(picture: Picture, part: Box): Promise<Detection[]> {
    const side = Math.max(part.width, part.height);
    const scale = INPUT_PX / side;
    const width = Math.max(1, Math.round(part.width * scale));
    const height = Math.max(1, Math.round(part.height * scale));
    const left = Math.floor((INPUT_PX - width) / 2);
    const top = Math.floor((INPUT_PX - height) / 2);
    const square = framed(picture.shrunk(part, width, height), width, height, left, top);
    const [scores, numbers] = await this.network(square);
    const found: Detection[] = [];
    for (let i = 0; i < scores.length; i++) {
      const score = Math.min(Math.max(scores[i], -80), 80);
      const confidence = 1 / (1 + Math.exp(EVEN_SCORE - score));
      if (confidence < MIN_CONFIDENCE) continue;
      const [x, y, w, h] = numbers.subarray(i * N_NUMBERS, i * N_NUMBERS + 4);
      const centreX = (x / INPUT_PX + this.anchors[2 * i]) * side - left / scale;
      const centreY = (y / INPUT_PX + this.anchors[2 * i + 1]) * side - top / scale;
      const box = boxAt(centreX, centreY, (w / INPUT_PX) * side, (h / INPUT_PX) * side);
      found.push({ box: moved(box, part.x, part.y), confidence });
    }
    return merged(found);
  }
}

/** The centres (x, y) of 896 anchors, as shares of the input, cell by cell, row by row. */
function anchorCentres(): Float32Array {
  const centres: number[] = [];
  for (const [cells, anchors] of GRIDS)
    for (let y = 0; y < cells; y++)
      for (let x = 0; x < cells; x++)
        for (let k = 0; k < anchors; k++) centres.push((x + 0.5) / cells, (y + 0.5) / cells);
  return Float32Array.from(centres);
}

/** A small picture in the middle of a black square, in [-1, 1]. */
function framed(
  rgb: Float32Array,
  width: number,
  height: number,
  left: number,
  top: number,
): Float32Array {
  const square = new Float32Array(INPUT_PX * INPUT_PX * 3).fill(-1);
  for (let y = 0; y < height; y++) {
    const row = ((top + y) * INPUT_PX + left) * 3;
    for (let i = 0; i < width * 3; i++) square[row + i] = (rgb[y * width * 3 + i] * 2) / 255 - 1;
  }
  return square;
}

/** Square tiles that overlap by a third. */
function tiles(part: Box): Box[] {
  const found: Box[] = [];
  for (const share of TILE_SIDES) {
    const side = Math.round(share * Math.min(part.width, part.height));
    if (side < INPUT_PX / 2 || side === Math.max(part.width, part.height)) continue;
    for (const top of starts(part.height, side))
      for (const left of starts(part.width, side))
        found.push({ x: part.x + left, y: part.y + top, width: side, height: side });
  }
  return found;
}

function starts(length: number, side: number): number[] {
  const count = 1 + Math.ceil((length - side) / (TILE_STEP * side));
  return Array.from({ length: count }, (_, i) =>
    count === 1 ? 0 : Math.round((i * (length - side)) / (count - 1)),
  );
}

/** Boxes of one face become their mean by confidence. */
function merged(found: Detection[]): Detection[] {
  let left = [...found].sort((a, b) => b.confidence - a.confidence);
  const faces: Detection[] = [];
  while (left.length) {
    const best = left[0];
    const same = left.filter((face) => face === best || overlap(face.box, best.box) > SAME_FACE_OVERLAP);
    const total = same.reduce((sum, face) => sum + face.confidence, 0);
    const mean = (side: keyof Box) =>
      same.reduce((sum, face) => sum + face.confidence * face.box[side], 0) / total;
    const box = { x: mean('x'), y: mean('y'), width: mean('width'), height: mean('height') };
    faces.push({ box, confidence: best.confidence });
    left = left.filter((face) => !same.includes(face));
  }
  return faces;
}
