/** The picture beside the pulse, with corners around the face, drawn no more often than needed. */

import type { Box } from '../face/box';

const EVERY_MS = 45;
const LONGER_SIDE_PX = 720;

type Draw = (context: OffscreenCanvasRenderingContext2D, width: number, height: number) => void;

export class Preview {
  private readonly context: OffscreenCanvasRenderingContext2D;
  private lastMs = -Infinity;

  constructor(private readonly canvas: OffscreenCanvas) {
    const context = canvas.getContext('2d', { alpha: false });
    if (!context) throw new Error('this browser draws on no canvas in a worker');
    this.context = context;
  }

  /** Draws a frame of width x height pixels, unless the last one is fresh. */
  show(draw: Draw, width: number, height: number, face: Box | null): void {
    const nowMs = performance.now();
    if (nowMs - this.lastMs < EVERY_MS) return;
    this.lastMs = nowMs;
    const scale = Math.min(1, LONGER_SIDE_PX / Math.max(width, height));
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== w || this.canvas.height !== h)
      [this.canvas.width, this.canvas.height] = [w, h];
    draw(this.context, w, h);
    if (face) corners(this.context, face, scale);
  }
}

function corners(context: OffscreenCanvasRenderingContext2D, face: Box, scale: number): void {
  const [left, top] = [face.x * scale, face.y * scale];
  const [right, bottom] = [left + face.width * scale, top + face.height * scale];
  const arm = 0.16 * Math.min(right - left, bottom - top);
  context.lineWidth = Math.max(2, 0.02 * (right - left));
  context.lineCap = context.lineJoin = 'round';
  context.strokeStyle = 'rgb(255 255 255 / 0.92)';
  context.shadowColor = 'rgb(0 0 0 / 0.45)';
  context.shadowBlur = 6;
  context.beginPath();
  for (const [x, dx] of [
    [left, arm],
    [right, -arm],
  ])
    for (const [y, dy] of [
      [top, arm],
      [bottom, -arm],
    ]) {
      context.moveTo(x, y + dy);
      context.lineTo(x, y);
      context.lineTo(x + dx, y);
    }
  context.stroke();
  context.shadowBlur = 0;
}
