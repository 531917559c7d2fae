/** Rectangles in a picture; same code as physkit/face/box.py. Edges are real, in pixels. */

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export const centreX = (box: Box): number => box.x + box.width / 2;
export const centreY = (box: Box): number => box.y + box.height / 2;
export const area = (box: Box): number => box.width * box.height;

export const boxAt = (x: number, y: number, width: number, height: number): Box => ({
  x: x - width / 2,
  y: y - height / 2,
  width,
  height,
});

export const moved = (box: Box, dx: number, dy: number): Box => ({
  ...box,
  x: box.x + dx,
  y: box.y + dy,
});

/** What of the box lies in a picture of this size; null when nothing does. */
export function clipped(box: Box, width: number, height: number): Box | null {
  const left = Math.max(box.x, 0);
  const top = Math.max(box.y, 0);
  const right = Math.min(box.x + box.width, width);
  const bottom = Math.min(box.y + box.height, height);
  if (right <= left || bottom <= top) return null;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** The box `share` of the way from one to another. */
export const between = (a: Box, b: Box, share: number): Box => ({
  x: a.x + share * (b.x - a.x),
  y: a.y + share * (b.y - a.y),
  width: a.width + share * (b.width - a.width),
  height: a.height + share * (b.height - a.height),
});

/** Intersection over union, 0 to 1. */
export function overlap(a: Box, b: Box): number {
  const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (across <= 0 || down <= 0) return 0;
  return (across * down) / (area(a) + area(b) - across * down);
}

/** How far b is from a: its move in widths of a, or the change of its size, whichever is larger. */
export function shift(a: Box, b: Box): number {
  const move = Math.hypot(centreX(b) - centreX(a), centreY(b) - centreY(a)) / a.width;
  return Math.max(move, Math.exp(Math.abs(Math.log(b.width / a.width))) - 1);
}

/** A box with whole edges within the picture, at least a pixel apart, as crops are cut. */
export function pixels(box: Box, width: number, height: number): Box {
  const [left, right] = span(box.x, box.width, width);
  const [top, bottom] = span(box.y, box.height, height);
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function span(start: number, length: number, limit: number): [number, number] {
  const first = Math.min(Math.max(Math.round(start), 0), limit - 1);
  return [first, Math.min(Math.max(Math.round(start + length), first + 1), limit)];
}
