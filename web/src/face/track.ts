/** Following one face with a box that keeps still; same code as physkit/face/track.py. */

import type { Picture } from '../media/picture';
import { area, between, boxAt, centreX, centreY, clipped, shift, type Box } from './box';
import { CutFinder } from './cuts';
import { faceBox, type Detection, type FaceDetector } from './detector';
import { FaceSearch, GATE } from './search';

const DETECT_EVERY_S = 0.5;
const MAX_LOOKAHEAD_FRAMES = 16;
/** Of large pictures fewer are held back. */
const MAX_LOOKAHEAD_PIXELS = 40e6;
const POSITION_BAND = 0.08;
const SIZE_BAND = 0.1;
const MAX_STEP = 0.15;
const MIN_VISIBLE = 0.5;

export interface TimedPicture {
  picture: Picture;
  timeS: number;
}

export interface Tracked extends TimedPicture {
  /** The face within the picture; null where none was seen. */
  box: Box | null;
  /** Number of the unbroken stretch of one face. */
  segment: number;
}

/** Gives every picture its face, in order; some wait for the next look. */
export interface Tracker {
  push(item: TimedPicture): Promise<Tracked[]>;
  finish(): Promise<Tracked[]>;
}

interface Look {
  /** Which of the pending pictures; -1 is the last one before them. */
  position: number;
  timeS: number;
  face: Detection | null;
}

/** The box, held still by a dead band, and the number of its segment. */
class HeldBox {
  box: Box | null = null;
  segment = -1;

  follow(known: Detection | null, seen: Detection | null): void {
    if (!seen) this.box = null;
    else if (!known || !this.box || shift(known.box, seen.box) > GATE) {
      this.segment++;
      this.box = seen.box;
    } else this.box = inDeadBand(this.box, seen.box);
  }
}

/** Looks every half second; between looks that agree the box is interpolated in time. */
export class LookaheadTracker implements Tracker {
  private readonly search: FaceSearch;
  private readonly cuts = new CutFinder();
  private readonly held = new HeldBox();
  private pending: TimedPicture[] = [];
  private lastLook: Look | null = null;

  constructor(detector: FaceDetector) {
    this.search = new FaceSearch(detector);
  }

  async push(item: TimedPicture): Promise<Tracked[]> {
    const given: Tracked[] = [];
    if (this.cuts.isCut(item.picture)) {
      given.push(...(await this.finish()));
      this.lastLook = null;
    }
    this.pending.push(item);
    if (this.isDue(item)) given.push(...(await this.finish()));
    return given;
  }

  private isDue({ picture, timeS }: TimedPicture): boolean {
    const most = Math.floor(MAX_LOOKAHEAD_PIXELS / (picture.width * picture.height));
    const n = Math.max(1, Math.min(MAX_LOOKAHEAD_FRAMES, most));
    if (!this.lastLook || this.pending.length >= n) return true;
    return timeS - this.lastLook.timeS >= DETECT_EVERY_S;
  }

  async finish(): Promise<Tracked[]> {
    if (!this.pending.length) return [];
    let before = this.lastLook;
    const last = await this.look(this.pending.length - 1, before?.face ?? null);
    const looks = before ? await this.fill(before, last) : [last];
    const given: Tracked[] = [];
    for (const look of looks) {
      const heldBefore = this.held.box;
      this.held.follow(before?.face ?? null, look.face);
      for (let i = before ? before.position + 1 : look.position; i <= look.position; i++)
        given.push(this.tracked(this.pending[i], before, heldBefore, look));
      before = look;
    }
    this.lastLook = { ...last, position: -1 };
    this.pending = [];
    return given;
  }

  private async look(position: number, near: Detection | null): Promise<Look> {
    const { picture, timeS } = this.pending[position];
    return { position, timeS, face: await this.search.find(picture, timeS, near?.box ?? null) };
  }

  /** The looks after `start`, up to `end`, that it takes for neighbours to agree. */
  private async fill(start: Look, end: Look): Promise<Look[]> {
    if (end.position - start.position === 1 || agree(start.face, end.face)) return [end];
    const position = Math.floor((start.position + end.position) / 2);
    const middle = await this.look(position, start.face ?? end.face);
    return [...(await this.fill(start, middle)), ...(await this.fill(middle, end))];
  }

  private tracked(item: TimedPicture, before: Look | null, heldBefore: Box | null, look: Look): Tracked {
    let box = look.face && this.held.box;
    if (box && before?.face && heldBefore && item.timeS < look.timeS)
      box = between(heldBefore, box, (item.timeS - before.timeS) / (look.timeS - before.timeS));
    return { ...item, box: box && visible(box, item.picture), segment: this.held.segment };
  }
}

/** For a camera: no picture waits, so the box glides to where the last look saw the face. */
export class LiveTracker implements Tracker {
  private readonly search: FaceSearch;
  private readonly cuts = new CutFinder();
  private readonly held = new HeldBox();
  private lastLook: Look | null = null;
  private from: Box | null = null;

  constructor(detector: FaceDetector) {
    this.search = new FaceSearch(detector);
  }

  async push(item: TimedPicture): Promise<Tracked[]> {
    const { picture, timeS } = item;
    const isCut = this.cuts.isCut(picture);
    if (isCut || !this.lastLook || timeS - this.lastLook.timeS >= DETECT_EVERY_S) {
      const known = isCut ? null : (this.lastLook?.face ?? null);
      const segment = this.held.segment;
      const before = this.held.box;
      const face = await this.search.find(picture, timeS, known?.box ?? null);
      this.held.follow(known, face);
      this.from = this.held.segment === segment ? before : null;
      this.lastLook = { position: -1, timeS, face };
    }
    let box = this.held.box;
    if (box && this.from)
      box = between(this.from, box, Math.min(1, (timeS - this.lastLook.timeS) / DETECT_EVERY_S));
    return [{ ...item, box: box && visible(box, picture), segment: this.held.segment }];
  }

  finish(): Promise<Tracked[]> {
    return Promise.resolve([]);
  }
}

/** No detector: a frame in the middle of the picture, into which the user puts the face. */
export class CentreTracker implements Tracker {
  push(item: TimedPicture): Promise<Tracked[]> {
    const { width, height } = item.picture;
    const side = 0.5 * Math.min(width, height);
    const box = boxAt(width / 2, height / 2, side, 1.2 * side);
    return Promise.resolve([{ ...item, box, segment: 0 }]);
  }

  finish(): Promise<Tracked[]> {
    return Promise.resolve([]);
  }
}

function agree(a: Detection | null, b: Detection | null): boolean {
  if (!a || !b) return a === b;
  return shift(a.box, b.box) <= MAX_STEP;
}

/** The face box within the picture; null where less than half of it is. */
function visible(box: Box, picture: Picture): Box | null {
  const face = faceBox(box);
  const seen = clipped(face, picture.width, picture.height);
  return seen && area(seen) >= MIN_VISIBLE * area(face) ? seen : null;
}

/** The box nearest to the held one from which the seen one is within the dead bands. */
function inDeadBand(held: Box, seen: Box): Box {
  const slack = POSITION_BAND * held.width;
  const near = (value: number, centre: number) =>
    Math.min(Math.max(value, centre - slack), centre + slack);
  const like = (value: number, size: number) =>
    Math.min(Math.max(value, size / (1 + SIZE_BAND)), size * (1 + SIZE_BAND));
  return boxAt(
    near(centreX(held), centreX(seen)),
    near(centreY(held), centreY(seen)),
    like(held.width, seen.width),
    like(held.height, seen.height),
  );
}
